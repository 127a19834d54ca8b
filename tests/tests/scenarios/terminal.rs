//! The face for people on a real pseudo-terminal: what they type, what they see, and that neither disturbs the other.

use tests::{JsonPeer, Launch, Registry, TermPeer};

#[test]
fn a_newcomer_gets_in_by_what_the_screen_says() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let launch = Launch::new(&registry, "alice").with(|launch| {
        launch.user = false;
        launch.password = None;
        launch.extra.clear();
    });
    let alice = TermPeer::launch(launch, 30, 100);
    alice.wait_screen("/register NAME");
    alice.enter("/register alice");
    alice.wait_screen("assword");
    alice.enter("wonderland 7");
    alice.wait_screen("again");
    alice.enter("wonderland 7");
    // The registry is new here, and only the person can say whether it is the right one.
    alice.wait_screen(registry.fingerprint());
    alice.enter("yes");
    alice.wait_screen("alice> ");
    alice.enter("/who");
    alice.wait_screen("bob");
    alice.enter("@bob hello bob");
    bob.hears("@alice", "alice", "hello bob");
    alice.wait_screen("✓");
    if alice.screen().contains("wonderland") {
        alice.fail("the password was shown");
    }
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    alice.check_sane();
    let history = std::fs::read_to_string(alice.launch.data_dir().join("history")).unwrap();
    assert!(history.contains("/who") && !history.contains("wonderland"), "{history}");
}

/// Every row of the original's list of features, by people at three terminals.
#[test]
fn three_people_at_terminals_do_everything() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| on_terminal(&registry, name));
    alice.enter("/who");
    alice.wait_screen("carol");
    alice.enter("/create #dev");
    alice.wait_screen("[#dev");
    bob.enter("/rooms");
    bob.wait_screen("#dev");
    bob.enter("/join #dev");
    bob.wait_screen("[#dev");
    carol.enter("/join #dev");
    carol.wait_screen("[#dev");
    alice.wait_screen("carol joined");
    alice.enter("hello room");
    bob.wait_screen("<alice> hello room");
    carol.wait_screen("<alice> hello room");
    alice.wait_screen("✓ 2/2");
    carol.enter("@alice just you");
    alice.wait_screen("just you");
    bob.enter("/part");
    alice.wait_screen("bob left");
    alice.enter("/create #board --private");
    alice.wait_screen("[#board");
    bob.enter("/rooms board");
    alice.enter("/invite bob");
    bob.wait_screen("#board");
    bob.enter("/accept #board");
    bob.wait_screen("[#board");
    bob.enter("nobody else here");
    alice.wait_screen("<bob> nobody else here");
    carol.enter("/logout");
    carol.wait_screen("[not signed in]");
    carol.enter("/login carol");
    carol.wait_screen("carol> ");
    for person in [alice, bob, carol] {
        person.enter("/quit");
        assert_eq!(person.end(), 0);
        person.check_sane();
    }
}

#[test]
fn what_is_being_typed_survives_what_comes_in() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let alice = on_terminal(&registry, "alice");
    bob.says("@alice first");
    alice.wait_screen("first");
    alice.enter("/query bob");
    alice.wait_screen("[@bob] alice> ");
    alice.type_("half a li");
    alice.wait_screen("half a li");
    for number in 0..20 {
        bob.send(&format!("@alice coming in {number}"));
    }
    alice.wait_screen("coming in 19");
    alice.wait_until("the half line at the prompt", |screen| last_line(screen).ends_with("[@bob] alice> half a li"));
    alice.resize(15, 60);
    alice.resize(40, 120);
    bob.says("@alice after the change of size");
    alice.wait_screen("after the change of size");
    alice.type_("ne\r");
    bob.hears("@alice", "alice", "half a line");
    let shown = alice.screen().matches("coming in 19").count();
    assert_eq!(shown, 1, "{}", alice.screen());
}

#[test]
fn a_paste_is_one_message_and_keys_do_what_people_expect() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let alice = on_terminal(&registry, "alice");
    alice.enter("/query bob");
    alice.wait_screen("[@bob] alice> ");
    alice.type_("\x1b[200~one\ntwo\nthree\x1b[201~");
    alice.type_("\r");
    bob.hears("@alice", "alice", "one\ntwo\nthree");
    alice.wait_screen("✓");
    // A completed command, an earlier line, a line taken back.
    alice.type_("/whoa");
    alice.type_("\t");
    alice.wait_screen("/whoami");
    alice.type_("\x03");
    alice.enter("a line to find again");
    bob.hears("@alice", "alice", "a line to find again");
    alice.type_("\x1b[A");
    alice.wait_until("the earlier line", |screen| last_line(screen).ends_with("> a line to find again"));
    alice.type_(" twice\r");
    bob.hears("@alice", "alice", "a line to find again twice");
    alice.type_("\x12to find");
    alice.wait_until("the search", |screen| screen.contents().contains("a line to find again"));
    alice.type_("\r");
    bob.hears("@alice", "alice", "a line to find again twice");
}

#[test]
fn text_from_others_cannot_draw_on_the_screen() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let alice = on_terminal(&registry, "alice");
    bob.says("@alice before");
    alice.wait_screen("before");
    bob.says("@alice \u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}31m \u{202e}drow");
    bob.says("@alice innocent\n14:00 <carol> forged");
    bob.says("@alice innocent\r14:00 <carol> forged");
    bob.says("@alice the end");
    alice.wait_screen("the end");
    let screen = alice.screen();
    assert!(screen.contains("before"), "the screen was not cleared: {screen}");
    assert!(screen.contains("␛[2J"), "the sequence is shown: {screen}");
    let forged = screen.lines().any(|line| line.trim_start().starts_with("14:00 <carol>"));
    assert!(!forged, "no line begins like one of carol's: {screen}");
    let is_red = |screen: &vt100::Screen| {
        let (rows, columns) = screen.size();
        (0..rows.get()).any(|row| {
            (0..columns.get()).any(|column| {
                let cell = screen.cell(row, column);
                cell.is_some_and(|cell| cell.contents() == "r" && cell.fgcolor() == vt100::Color::Idx(1))
            })
        })
    };
    assert!(!alice.look(is_red), "bob cannot choose colours");
}

#[test]
fn colour_is_there_when_wanted_and_only_then() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    for (name, flags, wanted) in
        [("anna", &["--color", "always"][..], true), ("berta", &["--color", "never"], false), ("cora", &[], true)]
    {
        let launch = Launch::new(&registry, name).with(|launch| {
            launch.extra.extend(flags.iter().map(|&flag| flag.to_owned()));
        });
        let person = TermPeer::launch(launch, 24, 80);
        person.wait_screen(&format!("{name}> "));
        bob.says(&format!("@{name} hello"));
        person.wait_screen("hello");
        let has_colour = person.look(|screen| {
            let (rows, columns) = screen.size();
            (0..rows.get()).any(|row| {
                (0..columns.get()).any(|column| {
                    screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default || cell.dim())
                })
            })
        });
        assert_eq!(has_colour, wanted, "{name}");
    }
}

#[test]
fn plain_works_without_a_terminal() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let launch = Launch::new(&registry, "alice").with(|launch| launch.extra.push("--plain".to_owned()));
    let mut command = std::process::Command::new(tests::programs::program("peer"));
    command.args(launch.arguments()).envs(launch.environment());
    let mut alice = tests::programs::Process::start("alice", command, registry.transcript());
    alice.write_line("@bob hello from a pipe");
    bob.hears("@alice", "alice", "hello from a pipe");
    bob.says("@alice hello to a pipe \u{1b}[31m");
    let deadline = std::time::Instant::now() + tests::DEADLINE;
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("hello to a pipe")) {
        match alice.line(deadline) {
            Ok(line) => lines.push(line),
            Err(error) => registry.transcript().fail(&format!("waited for the message: {error}")),
        }
    }
    assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
    alice.close_stdin();
    assert_eq!(alice.end(), tests::Ended::Exit(0));
}

/// Somebody new at a terminal, signed in.
#[track_caller]
pub(crate) fn on_terminal(registry: &Registry, name: &str) -> TermPeer {
    let peer = TermPeer::launch(Launch::new(registry, name), 24, 80);
    peer.wait_screen(&format!("{name}> "));
    peer
}

fn last_line(screen: &vt100::Screen) -> String {
    screen.contents().trim_end().lines().last().unwrap_or_default().to_owned()
}
