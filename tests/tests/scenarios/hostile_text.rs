//! A peer whose every text tries to take over the terminal of who reads it: on a screen, on a pipe and in a file it
//! changes neither title nor clipboard, colours, modes, or any line but its own.

use std::num::NonZeroU16;
use std::process::Command;
use std::time::Instant;

use common::ids::{ChainId, ConversationId, EntryId, EventId};
use common::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::message::registry::{Reply, Request};
use common::message::room::{Act, Genesis, History, LogEntry, NO_ENTRY};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::{List, Text};
use tests::programs::{Deeds, Process, controls, program};
use tests::wire::{PeerLink, Person, RegistryLink, Room};
use tests::{DEADLINE, Ended, Launch, Registry, TermPeer};

#[test]
fn a_screen_is_the_programs_alone() {
    let registry = Registry::start(&[]);
    let mut mallory = Mallory::new(&registry);
    let alice = TermPeer::launch(Launch::new(&registry, "alice"), 200, 100);
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
    let forged = screen.lines().find(|line| line.trim_start().starts_with("<alice> forged"));
    assert_eq!(forged, None, "{screen}");
    assert!(screen.contains("␛[41mred"), "sequences are shown: {screen}");
    alice.look(only_text);
    assert_eq!(alice.deeds(), Vec::<String>::new());
    let written = alice.written().replace("\r\n", "\n");
    let strange: Vec<String> = controls(&written).into_iter().filter(|control| !is_our_own(control)).collect();
    assert_eq!(strange, Vec::<String>::new());
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    alice.check_sane();
}

#[test]
fn what_a_pipe_carried_can_be_looked_at() {
    for face in ["--plain", "--json"] {
        let registry = Registry::start(&[]);
        let mut mallory = Mallory::new(&registry);
        let (mut alice, launch) = on_a_pipe(&registry, face);
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
        let copy: Vec<String> = std::fs::read_to_string(&copy).unwrap().lines().map(str::to_owned).collect();
        assert!(copy.iter().any(|line| line.contains("that was all")));
        looked_at(&copy);
    }
}

#[test]
fn what_was_typed_wrong_is_repeated_harmlessly() {
    for name in ["peer", "registry"] {
        for wrong in [
            &["--\u{1b}]0;owned\u{7}"][..],
            &["--set", "x\u{1b}[41m\u{202e}=1"],
            &["--set", "\u{9b}41m"],
            &["--listen", "\r\u{1b}[2J"],
            &["--config", "/nowhere/\u{1b}]52;c;b3duZWQ=\u{7}"],
            &["--data-dir", "/proc/\u{1b}[41m", "--user", "a\u{1b}[41m"],
            &["serve\u{1b}[41m", "\u{2028}forged"],
        ] {
            let output = Command::new(program(name)).args(wrong).env_clear().output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!output.status.success() && !said.is_empty(), "{name} {wrong:?}");
            assert_eq!(controls(&said), Vec::<String>::new(), "{name} {wrong:?}: {said:?}");
        }
    }
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
        let mut terminal = vt100::Parser::new_with_callbacks(size(3), size(line.len() + 1), 0, Deeds::default());
        terminal.process(format!("before\r\n{line}\r\nafter").as_bytes());
        assert_eq!(terminal.callbacks().list(), &[] as &[String]);
        let screen = terminal.screen();
        only_text(screen);
        assert_eq!((screen.fgcolor(), screen.hide_cursor()), (vt100::Color::Default, false));
        let shown: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        // The emulator has no room for what stands for something that is not there.
        let line = line.replace(char::REPLACEMENT_CHARACTER, "");
        assert_eq!(shown, ["before", line.trim_end(), "after"]);
        assert_eq!(screen.cursor_position(), (2, 5));
    }
}

/// Alice without a terminal, her standard error and all of her log among what she says.
fn on_a_pipe(registry: &Registry, face: &str) -> (Process, Launch) {
    let launch = Launch::new(registry, "alice").with(|launch| {
        launch.extra.push(face.to_owned());
        launch.variables.push(("P2P_CHAT_LOG", "trace".into()));
    });
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(program("peer"));
    command.args(launch.arguments()).envs(launch.environment());
    // The folder of her profile lives as long as the launch does.
    (Process::start("alice", command, registry.transcript()), launch)
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
        let genesis = Genesis {
            realm: link.realm(),
            name: RoomName::parse("#trap").unwrap(),
            owner: person.keys.identity(),
            owner_name: person.name.clone(),
            private: false,
            history: History::All,
            nonce: ChainId([1; 16]),
            at: now(),
            rotations: List::default(),
        };
        let genesis = Signed::sign(&genesis, person.keys.identity_signer());
        let room = Room { id: common::ids::RoomId(genesis.id()), genesis: genesis.clone(), invite: None };
        let join = Content::Join(Box::new(Join { statement: person.statement(link.realm()), invite: None }));
        let join = event(&person, room.id.into(), 1, NO_EVENT, &join);
        let made = link.ask(Request::CreateRoom { genesis: Box::new(genesis), join: join.clone() });
        assert_eq!(made, Ok(Reply::Done));
        let act = Act::Topic { text: Text::cut(&payloads().concat()) };
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
        let all = payloads().concat();
        link.sealed.send(&PeerMessage::Status { away: Some(Text::cut(&all)) });
        for (place, conversation) in [(0, self.room.id.into()), (1, direct)] {
            let mut events: Vec<WireEvent> = payloads()
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
        let event = event(&self.person, conversation, number + 1, previous, content);
        self.written[place] = (number + 1, event.id());
        event
    }
}

fn event(
    person: &Person,
    conversation: ConversationId,
    number: u64,
    previous: EventId,
    content: &Content,
) -> WireEvent {
    let (kind, body) = content.encode().unwrap();
    let event = Event {
        conversation,
        author: person.keys.identity(),
        chain: ChainId([7; 16]),
        number,
        previous,
        parents: List::default(),
        head: 0,
        lamport: number,
        at: now(),
        kind,
        body,
    };
    event.sign(person.keys.event_signer())
}

fn payloads() -> Vec<String> {
    let mut payloads: Vec<String> = PAYLOADS.iter().map(|&payload| payload.to_owned()).collect();
    payloads.push(format!("o{}", "\u{301}".repeat(200)));
    payloads
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

const PAYLOADS: &[&str] = &[
    "\u{1b}]0;owned\u{7}",
    "\u{1b}]2;owned\u{1b}\\",
    "\u{1b}]52;c;b3duZWQ=\u{7}",
    "\u{1b}]8;;http://192.0.2.1\u{7}owned\u{1b}]8;;\u{7}",
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[41mred",
    "\u{1b}[1;4;7mloud",
    "\u{9b}41m\u{9d}0;owned\u{9c}\u{90}q\u{9c}",
    "\u{202e}drow \u{2066}x\u{2069}\u{61c}",
    "a\u{200b}b\u{feff}c\u{2060}\u{ad}",
    "\u{e0001}\u{e006f}\u{e0077}\u{e007f}",
    "x\u{2028}<alice> forged\u{2029}y",
    "x\n<alice> forged",
    "x\r<alice> forged",
    "x\u{85}<alice> forged",
    "x\u{b}\u{c}\u{8}\u{8}\u{8}\0\u{7f}",
    "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?1h\u{1b}=",
    "\u{1b}c\u{1b}7\u{1b}8\u{1b}M\u{e}\u{f}",
    "\u{1b}P0;1|17/61\u{1b}\\\u{1b}[6n\u{1b}[5i\u{1b}[8;5;5t",
];
