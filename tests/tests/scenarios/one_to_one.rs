//! Two people talk: what one says is on the other's screen, once, whole and in order.

use std::time::{Duration, Instant};

use common::limits::TEXT_BYTES_MAX;
use tests::{Ended, Event, JsonPeer, Registry};

#[test]
fn two_people_find_each_other_and_talk() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"]);
    let own = alice.says("/msg bob hi bob");
    assert_eq!((own.text("conversation"), own.text("from"), own.flag("own")), ("@bob", "alice", true));
    let heard = bob.hears("@alice", "alice", "hi bob");
    assert_eq!((heard.text("id"), heard.text("kind")), (own.text("id"), "text"));
    assert!(!heard.flag("own") && !heard.flag("late"), "{heard}");
    bob.says("/reply hi alice");
    alice.hears("@bob", "bob", "hi alice");

    // The current conversation, an action, a slash as text, another person for once.
    alice.send("/query bob");
    alice.says("to the one I talk to");
    bob.hears("@alice", "alice", "to the one I talk to");
    alice.says("/me waves");
    let waves = bob.hears("@alice", "alice", "waves");
    assert_eq!(waves.text("kind"), "action");
    alice.says("//etc/passwd is a path");
    bob.hears("@alice", "alice", "/etc/passwd is a path");
    alice.says("@bob once more");
    bob.hears("@alice", "alice", "once more");
    assert_eq!((alice.quit(), bob.quit()), (Ended::Exit(0), Ended::Exit(0)));
}

#[test]
fn what_is_known_about_people_can_be_asked() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    assert_eq!(alice.must("/whoami", "whoami").text("user"), "alice");
    let fingerprint = alice.must("/fingerprint", "fingerprint");
    assert!(fingerprint.to_string().contains(registry.fingerprint()), "{fingerprint}");
    bob.says("@alice hello");
    alice.hears("@bob", "bob", "hello");
    bob.ask("/away out for lunch");
    alice.wait("bob being away", |event| event.is("away") && event.text("user") == "bob");
    let whois = alice.must("/whois bob", "whois");
    assert!(whois.flag("online"), "{whois}");
    assert_eq!(whois.text("away"), "out for lunch");
    bob.ask("/back");
    alice.wait("bob being back", |event| event.is("away") && event.text("user") == "bob");
}

#[test]
fn a_message_on_a_warm_link_is_there_at_once() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("@bob first");
    bob.hears("@alice", "alice", "first");
    let mut times: Vec<Duration> = (0..20)
        .map(|number| {
            let begun = Instant::now();
            alice.send(&format!("@bob number {number}"));
            bob.hears("@alice", "alice", &format!("number {number}"));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    alice.transcript().check(median < AT_ONCE, &format!("half of the messages took {median:?} or more"));
}

#[test]
fn a_hundred_lines_pasted_at_once_arrive_in_order_and_once() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let lines: Vec<String> = (0..100).map(|number| format!("@bob pasted {number}")).collect();
    alice.send(&lines.join("\n"));
    bob.hears("@alice", "alice", "pasted 99");
    let texts: Vec<String> = bob.so_far().iter().filter_map(|event| text_of(event, "alice")).collect();
    let expected: Vec<String> = (0..100).map(|number| format!("pasted {number}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn long_texts_arrive_whole_and_longer_ones_are_refused() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    // An emoji lies across every boundary that somebody might cut at.
    let long = format!("x{}", "🦀".repeat(TEXT_BYTES_MAX / 4 - 1));
    alice.says(&format!("@bob {long}"));
    bob.hears("@alice", "alice", &long);
    let longest = "é".repeat(TEXT_BYTES_MAX / 2);
    alice.says(&format!("@bob {longest}"));
    bob.hears("@alice", "alice", &longest);
    alice.refused(&format!("@bob {longest}!"), "too_large");
    alice.says("@bob a\nb\tc \u{1b}[31m");
    let heard = bob.wait("the lines", |event| event.is_message("@alice", "alice"));
    assert_eq!(heard.text("text").lines().count(), 2, "{heard}");
}

#[test]
fn several_conversations_do_not_mix() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    bob.says("@alice yes from bob");
    alice.hears("@bob", "bob", "yes from bob");
    carol.says("@alice yes from carol");
    alice.hears("@carol", "carol", "yes from carol");
    alice.says("/reply YES");
    carol.hears("@alice", "alice", "YES");
    alice.says("@bob and you?");
    bob.hears("@alice", "alice", "and you?");
    let to_bob: Vec<String> = bob.so_far().iter().filter_map(|event| text_of(event, "alice")).collect();
    assert_eq!(to_bob, ["and you?"]);
    let history = alice.must("/history @bob", "history");
    let texts: Vec<String> = history.objects("items").iter().map(|item| item.text("text").to_owned()).collect();
    assert_eq!(texts, ["yes from bob", "and you?"]);
}

#[test]
fn a_line_may_come_in_pieces_and_two_at_once() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.send("@bob one\n@bob two");
    for piece in ["{\"id\":\"p\",", "\"line\":", "\"@bob thr", "ee\"}"] {
        alice.send_piece(piece);
    }
    alice.send("");
    alice.wait("the answer to the line in pieces", |event| event.text("re") == "p");
    for text in ["one", "two", "three"] {
        bob.hears("@alice", "alice", text);
    }
}

#[test]
fn the_end_of_input_finishes_what_was_asked() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.send("@bob the last word");
    alice.close_stdin();
    assert_eq!(alice.end(), Ended::Exit(0));
    bob.hears("@alice", "alice", "the last word");
    let seen = alice.seen();
    assert!(seen.iter().any(|event| event.is("delivery") && event.text("state") == "delivered"), "{seen:?}");
    assert!(seen.last().is_some_and(|event| event.is("bye")), "bye is the last line");
}

/// What `from` said, if this is a message of theirs.
pub(crate) fn text_of(event: &Event, from: &str) -> Option<String> {
    (event.is("message") && event.text("from") == from).then(|| event.text("text").to_owned())
}

/// Far above what a message takes (well under a millisecond) and far below what a person notices as waiting: two
/// cores run other tests beside this one.
const AT_ONCE: Duration = Duration::from_millis(100);
