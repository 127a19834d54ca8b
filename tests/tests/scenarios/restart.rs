//! Programs that die and come back: nothing said is lost or told twice, and nobody is asked for a password.

use tests::wire::Proxy;
use tests::{Ended, Event, JsonPeer, Launch, Registry};

#[test]
fn a_peer_killed_and_restarted_hears_once_what_it_missed() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    alice.says("#dev before");
    alice.says("@bob before, to you");
    bob.kill9();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    for number in 0..10 {
        alice.must(&format!("#dev meanwhile {number}"), "message");
        alice.must(&format!("@bob to you {number}"), "message");
    }
    bob.restart();
    bob.hears("#dev", "alice", "meanwhile 9");
    bob.hears("@alice", "alice", "to you 9");
    let last = |event: &Event| event.is("delivery") && event.number("done") == event.number("of");
    alice.wait("everything being delivered", |event| last(event) && event.text("conversation") == "@bob");
    let events = bob.so_far();
    let texts = |conversation: &str| -> Vec<String> {
        let of = events.iter().filter(|event| event.is_message(conversation, "alice"));
        of.map(|event| event.text("text").to_owned()).collect()
    };
    let expected = |what: &str| -> Vec<String> { (0..10).map(|number| format!("{what} {number}")).collect() };
    assert_eq!(texts("#dev"), expected("meanwhile"), "once, in order, and nothing from before");
    assert_eq!(texts("@alice"), expected("to you"));
    let of_alice = |event: &&Event| event.is_message("#dev", "alice") || event.is_message("@alice", "alice");
    assert!(events.iter().filter(of_alice).all(|event| event.flag("late")), "all of it is marked as late");
    let history = bob.must("/history @alice", "history");
    assert_eq!(history.items("items").len(), 11, "everything is kept: {history}");
    bob.says("@alice I have it all");
    alice.hears("@bob", "bob", "I have it all");
}

/// Whoever reads bob's output is slow: he keeps and acknowledges lines that stand in a full pipe when he dies.
#[test]
fn what_was_kept_and_never_shown_is_told_late_by_the_next_run() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    assert_eq!(bob.quit(), Ended::Exit(0));
    let mut deaf = Deaf::start(&bob.launch.again());
    let texts: Vec<String> = (0..600).map(|number| format!("line {number} {}", "x".repeat(200))).collect();
    let last = texts.iter().map(|text| alice.must(&format!("@bob {text}"), "message")).last().expect("many lines");
    alice.wait("the last line on bob's disk", |event| {
        event.is("delivery") && event.text("id") == last.text("id") && event.text("state") == "delivered"
    });
    let shown = deaf.kill9();
    assert!(shown.len() < texts.len(), "a pipe holds less than that");
    bob.restart();
    bob.hears("@alice", "alice", texts.last().expect("many lines"));
    let retold: Vec<Event> = bob.so_far().into_iter().filter(|event| event.is_message("@alice", "alice")).collect();
    assert!(retold.iter().all(|event| event.flag("late")), "they come late");
    let retold: Vec<&str> = retold.iter().map(|event| event.text("text")).collect();
    let first = texts.iter().position(|text| text == retold[0]).expect("one of alice's lines");
    assert_eq!(retold, texts[first..], "in order, up to the last");
    assert!(first <= shown.len(), "nothing between what was shown and what is told now");
    // The mark follows in a moment: only the last lines may come twice.
    assert!(shown.len() - first < 100, "{} lines were shown, and {first} marked", shown.len());
    assert_eq!(bob.quit(), Ended::Exit(0));
    bob.restart();
    assert!(bob.so_far().iter().all(|event| !event.is("message")), "now they were shown");
}

/// A peer on pipes whose output nobody reads.
struct Deaf(std::process::Child);

impl Deaf {
    fn start(launch: &Launch) -> Self {
        let mut command = launch.json_command();
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        Self(command.spawn().expect("the peer starts"))
    }

    /// Ends it; the texts that were in the pipe.
    fn kill9(&mut self) -> Vec<String> {
        self.0.kill().expect("it runs");
        self.0.wait().expect("a child of ours");
        let output = std::io::read_to_string(self.0.stdout.take().expect("a pipe")).expect("text in the pipe");
        let events = output.lines().filter_map(Event::parse);
        events.filter(|event| event.is_message("@alice", "alice")).map(|event| event.text("text").to_owned()).collect()
    }
}

#[test]
fn what_waits_is_shown_waiting_and_survives_its_author() {
    let registry = Registry::start(&[]);
    let [mut alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("@bob first");
    assert_eq!(bob.quit(), Ended::Exit(0));
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    let own = alice.must("@bob are you there?", "message");
    alice.wait("the message waiting", |event| event.is("delivery") && event.text("state") == "queued");
    alice.kill9();
    bob.restart();
    alice.restart();
    let heard = bob.hears("@alice", "alice", "are you there?");
    assert_eq!(heard.text("id"), own.text("id"));
    assert!(heard.flag("late"), "it had to wait: {heard}");
    alice.wait("the message being delivered", |event| {
        event.is("delivery") && event.text("id") == own.text("id") && event.text("state") == "delivered"
    });
}

#[test]
fn the_registry_dies_and_people_keep_talking() {
    let mut registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    alice.says("#dev before");
    registry.kill();
    for peer in [&alice, &bob] {
        peer.wait("the registry being gone", |event| event.is("link") && event.text("state") != "online");
    }
    alice.says("@bob without a registry");
    bob.hears("@alice", "alice", "without a registry");
    bob.says("#dev also in the room");
    alice.hears("#dev", "bob", "also in the room");
    alice.refused("/who", "unreachable");

    registry.restart();
    for peer in [&alice, &bob] {
        peer.wait("the registry being back", |event| event.is("link") && event.text("state") == "online");
    }
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"]);
    assert_eq!(alice.must("/rooms", "rooms").objects("rooms")[0].text("name"), "#dev");
    bob.says("#dev and after");
    alice.hears("#dev", "bob", "and after");
    // A newcomer finds everything as it was.
    let carol = JsonPeer::start(&registry, "carol");
    carol.must("/join #dev", "joined");
    carol.says("#dev I am new");
    alice.hears("#dev", "carol", "I am new");
    let is_going = |event: &Event| event.is("presence") && event.text("user") == "bob" && !event.flag("online");
    let dropped = alice.so_far().iter().any(is_going);
    alice.transcript().check(!dropped, "bob never went");
}

#[test]
fn a_registry_killed_with_people_inside_locks_nobody_out() {
    let mut registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    registry.kill();
    alice.kill9();
    bob.kill9();
    registry.restart();
    alice.restart();
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
    assert_eq!(registry.stop(), Ended::Exit(0));
    registry.restart();
    alice.wait("the registry being back", |event| event.is("link") && event.text("state") == "online");
}

#[test]
fn a_cut_line_to_the_registry_is_mended_without_a_word_from_anybody() {
    let registry = Registry::start(&[]);
    let proxy = Proxy::start(registry.address());
    let launch = Launch::new(&registry, "alice").with(|launch| launch.registry = proxy.address().to_owned());
    let alice = JsonPeer::launch(launch);
    alice.signed_in();
    for _ in 0..3 {
        proxy.cut();
        alice.wait("the line being cut", |event| event.is("link") && event.text("state") != "online");
        alice.wait("the line being mended", |event| event.is("link") && event.text("state") == "online");
        assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
    }
}

#[test]
fn the_last_registry_is_found_again_without_naming_it() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    assert_eq!(alice.quit(), Ended::Exit(0));
    let again = alice.launch.again().with(|launch| {
        launch.extra.clear();
        launch.registry.clear();
    });
    let alice = JsonPeer::launch(again);
    alice.wait("being signed in", |event| event.is("signed_in"));
    assert_eq!(alice.must("/whoami", "whoami").text("registry"), registry.address());
}

#[test]
fn a_fingerprint_is_enough_and_a_wrong_one_too_little() {
    let registry = Registry::start(&[]);
    let with = |fingerprint: &str| {
        let address = format!("{}#{fingerprint}", registry.address());
        Launch::new(&registry, "alice").with(|launch| {
            launch.registry = address;
            launch.extra.clear();
        })
    };
    let wrong = JsonPeer::launch(with(&"0".repeat(registry.fingerprint().len())));
    assert_eq!(wrong.wait("a refusal", |event| event.is("error")).text("code"), "realm_changed");
    assert!(matches!(wrong.end(), Ended::Exit(3 | 4)));
    let right = JsonPeer::launch(with(registry.fingerprint()));
    right.wait("being signed in", |event| event.is("signed_in"));
}
