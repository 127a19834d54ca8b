//! A peer whose every text tries to take over the terminal of who reads it: on a screen, on a pipe and in a file it
//! changes neither title nor clipboard, colours, modes, or any line but its own.

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroU16;
use std::process::Command;
use std::time::Instant;

use common::fuzz::attacks;
use common::ids::{ConversationId, EntryId, EventId};
use common::message::event::{Content, NO_EVENT, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::message::registry::{Code, FromRegistry, Refusal, Reply, Request};
use common::message::room::{Act, LogEntry, NO_ENTRY};
use common::names::UserName;
use common::secure::sign::Signed;
use common::visible::MARKS_MAX;
use common::wire::bounded::{List, Text};
use tests::evil::EvilRegistry;
use tests::programs::{Deeds, Looked, Process, controls, look_at, program};
use tests::wire::{PeerLink, Person, RegistryLink, Room, now};
use tests::{DEADLINE, Ended, Launch, Registry, TermPeer};

#[test]
fn a_screen_is_the_programs_alone() {
    let registry = Registry::start(&[]);
    let mut mallory = Mallory::new(&registry);
    let launch = Launch::new(&registry, "alice").with(|launch| launch.variables.push(logs_all()));
    let alice = TermPeer::launch(launch, 200, 100);
    alice.wait_screen("alice> ");
    alice.enter("/join #trap");
    alice.wait_screen("[#trap");
    mallory.attacks("alice");
    alice.wait_screen("that was all");
    for line in ASKED {
        alice.enter(line);
    }
    alice.enter("/msg mallory enough");
    alice.wait_screen("enough");
    let screen = alice.screen();
    assert!(!screen.lines().any(is_forged), "{screen}");
    assert!(screen.contains("␛[41mred"), "sequences are shown: {screen}");
    check_screen(&alice);
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    alice.check_sane();
    let log = log_file(&alice.launch);
    assert!(log.iter().any(|line| line.contains("DEBUG")), "it tells of mallory's link: {log:?}");
    looked_at(&log);
    // Also once more, in an emulator that people use; nothing of hers is left of it by then.
    let Some(looked) = catted(&alice.written(), 100, 200) else { return };
    let calm = catted("", 100, 200).unwrap();
    assert_eq!((looked.title, looked.modes, looked.clipboard), (calm.title, calm.modes, calm.clipboard));
    assert_eq!((looked.cursor.0, looked.rows.last()), (calm.cursor.0, calm.rows.last()), "{:?}", looked.rows);
}

#[test]
fn what_a_pipe_carried_can_be_looked_at() {
    for face in ["--plain", "--json"] {
        let registry = Registry::start(&[]);
        let mut mallory = Mallory::new(&registry);
        let launch = Launch::new(&registry, "alice");
        let mut alice = on_a_pipe(&launch, face);
        alice.write_line("/join #trap");
        let mut lines = until(&alice, "#trap");
        mallory.attacks("alice");
        lines.extend(until(&alice, "that was all"));
        let copy = launch.folder().join("copy");
        ASKED.iter().for_each(|line| alice.write_line(line));
        alice.write_line(&format!("/export {}", copy.display()));
        alice.write_line("/msg nobody-of-that-name \u{1b}]0;owned\u{7}");
        alice.write_line("/help \u{1b}]52;c;b3duZWQ=\u{7}");
        lines.extend(until(&alice, "]52;c"));
        alice.write_line("/quit");
        assert_eq!(alice.end(), Ended::Exit(0));
        while let Ok(line) = alice.line(Instant::now() + DEADLINE) {
            lines.push(line);
        }
        looked_at(&lines);
        catted_lines(&lines);
        let copy: Vec<String> = std::fs::read_to_string(&copy).unwrap().lines().map(str::to_owned).collect();
        assert!(copy.iter().any(|line| line.contains("that was all")));
        looked_at(&copy);
        catted_lines(&copy);
    }
}

/// Otherwise the others prove nothing.
#[test]
fn what_she_sends_would_take_an_emulator_over() {
    let Some(looked) = catted(&attacks().concat(), 100, 200) else { return };
    let calm = catted("", 100, 200).unwrap();
    assert_ne!(looked.title, calm.title);
    assert_ne!(looked.modes, calm.modes);
    assert!(looked.clipboard.contains("owned"), "{}", looked.clipboard);
    assert_ne!(looked.rows[0], "before", "{:?}", looked.rows);
    let Some(looked) = catted("x\u{1b}[41mred", 100, 200) else { return };
    assert!(looked.rows.iter().any(|row| row.contains("\u{1b}[41m")), "{:?}", looked.rows);
}

#[test]
fn what_a_registry_says_is_as_harmless() {
    let answers: Vec<String> = attacks().into_iter().chain(["that was all".to_owned()]).collect();
    let asked = answers.len();
    let registry = EvilRegistry::start();
    let mut next = (0..).map(move |number: usize| answers[number % asked].clone());
    registry.bend(move |about, message| match message {
        FromRegistry::Reply { id, .. } | FromRegistry::Refused { id, .. } if is_asked(about.request) => {
            let text = next.next().expect("it begins again");
            vec![FromRegistry::Refused { id, refusal: Refusal::new(Code::NoSuchUser, &text) }]
        }
        message => vec![message],
    });
    let alone = |name: &str| {
        let launch = Launch::alone(registry.address(), name);
        launch.with(|launch| launch.transcript = registry.transcript.clone())
    };
    for (face, name) in [("--plain", "bob"), ("--json", "carol")] {
        let launch = alone(name);
        let mut peer = on_a_pipe(&launch, face);
        let mut lines = until(&peer, name);
        (0..asked).for_each(|_| peer.write_line("/whois zoe"));
        lines.extend(until(&peer, "that was all"));
        assert!(lines.iter().any(|line| line.contains("forged")), "{lines:?}");
        assert!(!lines.iter().any(|line| is_forged(line)), "{lines:?}");
        looked_at(&lines);
        peer.write_line("/quit");
        assert_eq!(peer.end(), Ended::Exit(0));
    }
    let alice = TermPeer::launch(alone("alice").with(|launch| launch.variables.push(logs_all())), 200, 100);
    alice.wait_screen("alice> ");
    (0..asked).for_each(|_| alice.enter("/whois zoe"));
    alice.wait_screen("that was all");
    let screen = alice.screen();
    assert!(screen.contains("␛]52;c;") && !screen.lines().any(is_forged), "{screen}");
    check_screen(&alice);
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    looked_at(&log_file(&alice.launch));
}

#[test]
fn what_was_typed_wrong_is_repeated_harmlessly() {
    for name in ["peer", "registry"] {
        // No argument can hold a zero.
        let all = attacks().concat().replace('\0', "");
        let flag = format!("--{all}");
        for wrong in [
            &[flag.as_str()][..],
            &["--help", &flag],
            &["--set", &all],
            &["--set", &format!("{all}=1")],
            &["--set", &format!("sign_up={all}"), "--set", &format!("bell={all}")],
            &["--listen", &all],
            &["--config", &format!("/nowhere/{all}")],
            &["--data-dir", &format!("/proc/{all}"), "--user", &all],
            &["--user", &all],
            &["--password-file", &format!("/nowhere/{all}"), "--user", "alice"],
            &[&all, "\u{2028}forged"],
            &["user", "add", &all],
            &["help", &all],
        ] {
            let output = Command::new(program(name)).args(wrong).env_clear().output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let asks = wrong[0] == "--help";
            assert!(output.status.success() == asks && !said.is_empty(), "{name} {wrong:?}");
            assert_eq!(controls(&said), Vec::<String>::new(), "{name} {wrong:?}: {said:?}");
            assert!(!said.lines().any(is_forged), "{name} {wrong:?}: {said}");
            check_towers(&said);
        }
    }
}

/// What no honest program asks for.
fn is_asked(request: Option<&Request>) -> bool {
    matches!(request, Some(Request::Lookup { user }) if user.as_str() == "zoe")
}

/// Whether a line begins as those of alice do, who says nothing of the kind.
fn is_forged(line: &str) -> bool {
    let said = line.trim_start().trim_start_matches("14:03 ").trim_start_matches("#dev ");
    said.starts_with("<alice> forged")
}

/// What has to do with mallory, and may show her words.
const ASKED: [&str; 9] = [
    "/topic",
    "/rooms",
    "/names #trap",
    "/whois mallory",
    "/why mallory",
    "/history @mallory 100",
    "/history #trap 100",
    "/search owned",
    "/trace ^mallory",
];

/// What tmux can be.
const EMULATOR_COLUMNS_MAX: usize = 9000;

/// Sequences that the line editor and the program's own colours consist of.
fn is_our_own(control: &str) -> bool {
    let mode = control.strip_prefix("ESC [?").and_then(|rest| rest.strip_suffix(['h', 'l']));
    let is_own_mode = mode.is_some_and(|mode| ["2004", "2026", "25"].contains(&mode));
    let is_drawing = control.starts_with("ESC [") && control.ends_with(['A', 'B', 'C', 'D', 'G', 'J', 'K', 'm']);
    // A carriage return begins what the editor draws; the bell is asked for by no setting here.
    is_drawing || is_own_mode || control == "U+000D"
}

/// Nobody but the program chose how a cell looks, and it uses no background.
fn only_text(screen: &vt100::Screen) {
    let (rows, columns) = screen.size();
    for (row, column) in (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column))) {
        let cell = screen.cell(row, column).unwrap();
        let plain = cell.bgcolor() == vt100::Color::Default && !cell.inverse() && !cell.underline() && !cell.italic();
        assert!(plain, "row {row}, column {column}: {:?}", cell.contents());
    }
    assert!(!screen.alternate_screen() && !screen.application_keypad() && !screen.application_cursor());
}

/// `cat` of these lines on a terminal shows them and does nothing else.
#[track_caller]
fn looked_at(lines: &[String]) {
    let size = |count: usize| NonZeroU16::new(u16::try_from(count).unwrap()).unwrap();
    for line in lines {
        assert_eq!(controls(line), Vec::<String>::new(), "{line:?}");
        check_towers(line);
        let mut terminal = vt100::Parser::new_with_callbacks(size(3), size(line.len() + 1), 0, Deeds::default());
        terminal.process(format!("before\r\n{line}\r\nafter").as_bytes());
        assert_eq!(terminal.callbacks().list(), &[] as &[String]);
        let screen = terminal.screen();
        only_text(screen);
        assert_eq!((screen.fgcolor(), screen.hide_cursor()), (vt100::Color::Default, false));
        let shown: Vec<String> = screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect();
        // The emulator has no room for what stands for something that is not there.
        let line = line.replace(char::REPLACEMENT_CHARACTER, "");
        assert_eq!(shown, ["before", line.trim_end(), "after"]);
        assert_eq!(screen.cursor_position(), (2, 5));
    }
}

/// The same all at once, in an emulator that people use.
#[track_caller]
fn catted_lines(lines: &[String]) {
    let longest = lines.iter().map(String::len).max().unwrap_or_default();
    let columns = (longest + 1).min(EMULATOR_COLUMNS_MAX);
    let rows = lines.iter().map(|line| line.len() / columns + 1).sum::<usize>() + 3;
    let Some(looked) = catted(&(lines.join("\n") + "\n"), columns, rows) else { return };
    let calm = catted("calm\n", columns, rows).unwrap();
    assert_eq!((looked.title, looked.modes, looked.clipboard), (calm.title, calm.modes, calm.clipboard));
    let text: Vec<&String> = looked.rows.iter().filter(|row| !row.is_empty()).collect();
    assert!(text.len() >= lines.iter().filter(|line| !line.is_empty()).count(), "no line swallows another");
    assert!(text.iter().all(|row| !row.contains('\u{1b}')), "no colours: {text:?}");
    assert_eq!((text[0].as_str(), text[text.len() - 1].as_str()), ("before", "after"));
    assert_eq!(looked.cursor.0, calm.cursor.0);
}

/// `None` where there is no such emulator; whoever runs the tests is told so.
#[track_caller]
fn catted(text: &str, columns: usize, rows: usize) -> Option<Looked> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("before\n{text}after")).unwrap();
    let looked = look_at(file.path(), columns, rows);
    looked.map_err(|error| writeln!(std::io::stderr().lock(), "no look with tmux ({error})").unwrap()).ok()
}

/// Alice without a terminal, her standard error and all of her log among what she says.
fn on_a_pipe(launch: &Launch, face: &str) -> Process {
    let launch = launch.clone().with(|launch| {
        launch.extra.push(face.to_owned());
        launch.variables.push(logs_all());
    });
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(program("peer"));
    command.args(launch.arguments()).envs(launch.environment());
    Process::start("alice", command, &launch.transcript)
}

fn logs_all() -> (&'static str, OsString) {
    ("P2P_CHAT_LOG", "trace".into())
}

/// Where a person looks at the terminal, the log is a file.
fn log_file(launch: &Launch) -> Vec<String> {
    let log = std::fs::read_to_string(launch.data_dir().join("peer.log")).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// Nothing was done to a screen but what the program itself does.
#[track_caller]
fn check_screen(peer: &TermPeer) {
    peer.look(only_text);
    assert_eq!(peer.deeds(), Vec::<String>::new());
    let written = peer.written().replace("\r\n", "\n");
    let strange: Vec<String> = controls(&written).into_iter().filter(|control| !is_our_own(control)).collect();
    assert_eq!(strange, Vec::<String>::new());
    check_towers(&written);
}

/// No letter carries more marks than any language puts on one.
#[track_caller]
fn check_towers(text: &str) {
    let tower = "\u{301}".repeat(MARKS_MAX + 1);
    assert!(!text.contains(&tower), "{text:?}");
}

#[track_caller]
fn until(alice: &Process, text: &str) -> Vec<String> {
    let deadline = Instant::now() + DEADLINE;
    let mut lines = Vec::new();
    loop {
        match alice.line(deadline) {
            Ok(line) => lines.push(line),
            Err(error) => alice.transcript.fail(&format!("waited for '{text}': {error}")),
        }
        if lines.last().is_some_and(|line| line.contains(text)) {
            return lines;
        }
    }
}

/// She has an account and a public room with a hostile topic.
struct Mallory {
    person: Person,
    link: RegistryLink,
    room: Room,
    join: WireEvent,
    // The chain in the room, then the one with whoever is attacked.
    written: [(u64, EventId); 2],
}

impl Mallory {
    fn new(registry: &Registry) -> Self {
        let person = Person::new("mallory");
        let mut link = RegistryLink::sign_up(registry.address(), &person);
        let (room, join) = Room::create(&mut link, &person, "#trap");
        let act = Act::Topic { text: Text::cut(&attacks().concat()) };
        let entry = LogEntry { room: room.id, index: 1, previous: NO_ENTRY, at: now(), act };
        let entry = Signed::sign(&entry, person.keys.identity_signer());
        assert_ne!(EntryId(entry.id()), NO_ENTRY);
        assert_eq!(link.ask(Request::AddEntry { entry }), Ok(Reply::Done));
        let written = [(1, join.id()), (0, NO_EVENT)];
        Self { person, link, room, join, written }
    }

    /// Everything she can say, in every field where a text can stand.
    fn attacks(&mut self, victim: &str) {
        let record = self.link.lookup(victim);
        let device = record.credentials.certificate.claim().unwrap().device;
        let address = record.addresses.first().unwrap().0.to_string();
        let credentials = self.link.credentials.clone().unwrap();
        let mut link = PeerLink::dial(&address, device, &self.person, &credentials).expect("she has an account");
        let victim = UserName::parse(victim).unwrap();
        let direct = ConversationId::direct(&self.link.realm(), &self.person.name, &victim);
        let genesis = Box::new(self.room.genesis.clone());
        link.sealed.send(&PeerMessage::RoomHello { room: self.room.id, genesis, join: self.join.clone() });
        let all = attacks().concat();
        link.sealed.send(&PeerMessage::Status { away: Some(Text::cut(&all)) });
        for (place, conversation) in [(0, self.room.id.into()), (1, direct)] {
            let mut events: Vec<WireEvent> = attacks()
                .into_iter()
                .map(Content::Text)
                .map(|content| self.says(place, conversation, &content))
                .collect();
            let target = events[0].id();
            let cut = |bytes: usize| Text::<200>::cut(&all[..all.floor_char_boundary(bytes)]).into_string();
            for content in [
                Content::Action(all.clone()),
                Content::Edit { target, text: all.clone() },
                Content::Reaction { target, word: cut(32) },
                Content::Delete { target: events[1].id() },
            ] {
                events.push(self.says(place, conversation, &content));
            }
            if place == 0 {
                events.push(self.says(place, conversation, &Content::Part(cut(200))));
            } else {
                events.push(self.says(place, conversation, &Content::Text("that was all".to_owned())));
            }
            let late = place == 0;
            link.sealed.send(&PeerMessage::Events(Events { conversation, late, events: List::cut(events) }));
        }
        link.hear(std::time::Duration::from_millis(500));
    }

    fn says(&mut self, place: usize, conversation: ConversationId, content: &Content) -> WireEvent {
        let (number, previous) = self.written[place];
        let event = self.person.event(conversation, number + 1, previous, content);
        self.written[place] = (number + 1, event.id());
        event
    }
}
