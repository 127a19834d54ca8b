//! People who are never online at the same time, as real programs: they talk all the same, and the registry that
//! carries it cannot read a word.

use std::path::Path;

use tests::{Ended, Event, JsonPeer, Launch, Registry, TermPeer};

#[test]
fn two_who_never_meet_talk_by_mail_that_the_registry_cannot_read() {
    let mut registry = Registry::start(&[]);
    let mut bob = JsonPeer::start(&registry, "bob");
    assert_eq!(bob.quit(), Ended::Exit(0));
    let mut alice = JsonPeer::start(&registry, "alice");
    for number in 1..=20 {
        alice.send(&format!("@bob secret plan {number}"));
    }
    // Right behind the last line: what was accepted is left in the mailbox before the program ends. After `/quit` it
    // would be given a second for that.
    alice.close_stdin();
    assert_eq!(alice.end(), Ended::Exit(0));
    let left = alice.seen().iter().filter(|event| is_told(event, "mailbox")).count();
    assert_eq!(left, 20, "{:?}", alice.seen());
    no_file_holds(&registry.data_dir(), "secret plan");
    registry.stop();
    no_file_holds(&registry.data_dir(), "secret plan");
    registry.restart();

    bob.restart();
    bob.hears("@alice", "alice", "secret plan 20");
    let events = bob.so_far();
    let heard: Vec<&Event> = events.iter().filter(|event| event.is_message("@alice", "alice")).collect();
    let texts: Vec<&str> = heard.iter().map(|event| event.text("text")).collect();
    let expected: Vec<String> = (1..=20).map(|number| format!("secret plan {number}")).collect();
    assert_eq!(texts, expected, "in order, once");
    assert!(heard.iter().all(|event| event.flag("late")), "{heard:?}");
    bob.must("@alice understood", "message");
    bob.wait("the answer in the mailbox", |event| is_told(event, "mailbox"));
    assert_eq!(bob.quit(), Ended::Exit(0));

    alice.restart();
    alice.hears("@bob", "bob", "understood");
    for number in 1..=20 {
        alice.wait(&format!("delivery {number}"), |event| is_told(event, "delivered"));
    }
    assert_eq!(alice.must("/history @bob 50", "history").items("items").len(), 21);
}

#[test]
fn who_was_away_has_everything_from_the_mailbox_and_from_those_who_are_there() {
    let registry = Registry::start(&[]);
    let [mut alice, mut bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.must("/create #dev", "created");
    for peer in [&bob, &carol] {
        peer.must("/join #dev", "joined");
    }
    alice.says("#dev before");
    assert_eq!(bob.quit(), Ended::Exit(0));
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    for number in 0..100 {
        alice.send(&format!("@bob to you {number}\n#dev to all {number}"));
    }
    carol.hears("#dev", "alice", "to all 99");
    assert_eq!(alice.quit(), Ended::Exit(0));
    bob.restart();
    bob.hears("@alice", "alice", "to you 99");
    bob.hears("#dev", "alice", "to all 99");
    let events = bob.so_far();
    for (conversation, what) in [("@alice", "to you"), ("#dev", "to all")] {
        let of = events.iter().filter(|event| event.is_message(conversation, "alice"));
        let texts: Vec<&str> = of.map(|event| event.text("text")).collect();
        let expected: Vec<String> = (0..100).map(|number| format!("{what} {number}")).collect();
        assert_eq!(texts, expected, "in order, once");
    }
    alice.restart();
    // With bob, the last one has it.
    for number in 0..200 {
        alice.wait(&format!("delivery {number} to bob"), |event| {
            is_told(event, "delivered") && event.text("to") == "bob" && event.number("done") == event.number("of")
        });
    }
}

#[test]
fn a_person_at_a_terminal_who_quits_right_after_writing_is_heard() {
    let registry = Registry::start(&[]);
    let mut bob = JsonPeer::start(&registry, "bob");
    assert_eq!(bob.quit(), Ended::Exit(0));
    let alice = TermPeer::launch(Launch::new(&registry, "alice"), 30, 100);
    alice.wait_screen("alice> ");
    alice.enter("@bob call me back");
    alice.wait_screen("↑");
    alice.enter("@bob before noon");
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    bob.restart();
    bob.hears("@alice", "alice", "call me back");
    bob.hears("@alice", "alice", "before noon");
}

#[test]
fn a_full_mailbox_is_said_once_and_its_limits_can_be_set() {
    let registry = Registry::start(&["--set", "limits.mailbox_items=2", "--set", "limits.mailbox_days=3"]);
    let bob = JsonPeer::start(&registry, "bob");
    assert_eq!(bob.quit(), Ended::Exit(0));
    let alice = JsonPeer::start(&registry, "alice");
    alice.must("@bob one", "message");
    alice.wait("the first in the mailbox", |event| is_told(event, "mailbox"));
    alice.must("@bob two", "message");
    let full = alice.wait("the mailbox being full", |event| event.is("error") && event.text("code") == "too_large");
    assert!(full.text("text").starts_with("The mailbox of bob is full"), "{full}");
}

fn is_told(event: &Event, state: &str) -> bool {
    event.is("delivery") && event.text("state") == state
}

fn no_file_holds(folder: &Path, words: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The socket for the operator's orders holds nothing.
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(words.len()).any(|window| window == words.as_bytes());
        assert!(!found, "{} holds {words:?}", path.display());
    }
}
