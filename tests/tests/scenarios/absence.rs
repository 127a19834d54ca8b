//! Whoever is away, and comes back as if nothing had been: the registry, and programs that were stopped like those of
//! a machine that slept.

use std::time::Duration;

use tests::wire::Proxy;
use tests::{Ended, Event, JsonPeer, Launch, Registry};

#[test]
fn people_who_start_while_the_registry_is_down_talk_and_find_it_again() {
    let mut registry = Registry::start(&[]);
    let [mut alice, mut bob, mut carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    alice.says("#dev before");
    carol.says("@bob a conversation that only carol began");
    registry.kill();
    alice.kill9();
    assert_eq!(bob.quit(), Ended::Exit(0));
    assert_eq!(carol.quit(), Ended::Exit(0));
    for peer in [&mut alice, &mut bob, &mut carol] {
        peer.restart();
        let told = peer.seen();
        let first = told.iter().position(|event| event.is("link")).expect("the link is told of");
        let signed_in = told.iter().position(|event| event.is("signed_in")).expect("it is signed in");
        let is_right = told[first].text("state") == "offline" && first < signed_in;
        peer.transcript().check(is_right, "the registry is said to be offline, then the sign-in");
    }
    alice.says("#dev without a registry");
    bob.hears("#dev", "alice", "without a registry");
    bob.says("#dev heard");
    alice.hears("#dev", "bob", "heard");
    bob.says("@carol an answer");
    carol.hears("@bob", "bob", "an answer");
    alice.refused("/who", "unreachable");

    registry.restart();
    for peer in [&alice, &bob, &carol] {
        peer.wait("the registry being back", |event| event.is("link") && event.text("state") == "online");
    }
    for peer in [&alice, &bob] {
        assert_eq!(peer.must("/who", "online").texts("users"), ["alice", "bob", "carol"]);
        assert_eq!(peer.must("/rooms", "rooms").objects("rooms")[0].text("name"), "#dev");
    }
    bob.says("#dev and after");
    alice.hears("#dev", "bob", "and after");
    carol.must("/join #dev", "joined");
    carol.says("#dev I am new here");
    for peer in [&alice, &bob] {
        peer.hears("#dev", "carol", "I am new here");
    }
    [&alice, &bob, &carol].into_iter().for_each(nothing_came_twice);
}

#[test]
fn without_a_registry_only_those_it_knew_are_let_in() {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    assert_eq!(alice.quit(), Ended::Exit(0));
    registry.kill();
    let wrong = alice.launch.again().with(|launch| launch.password = Some("a guess of somebody".to_owned()));
    let wrong = JsonPeer::launch(wrong);
    assert_eq!(wrong.wait("a refusal", |event| event.is("error")).text("code"), "credentials");
    assert_eq!(wrong.end(), Ended::Exit(3));
    let newcomer = JsonPeer::launch(Launch::new(&registry, "bob"));
    assert_eq!(newcomer.wait("a refusal", |event| event.is("error")).text("code"), "unreachable");
    assert_eq!(newcomer.end(), Ended::Exit(4));
    let right = JsonPeer::launch(alice.launch.again());
    right.signed_in();
    assert_eq!(right.listen(), alice.listen(), "others look for it where it was");
}

#[test]
fn a_program_stopped_for_a_moment_makes_its_connections_anew() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    alice.says("#dev before");
    bob.signal(libc::SIGSTOP);
    alice.must("#dev you sleep", "message");
    bob.send("#dev I slept");
    // That time passes is what this is about: nothing else marks the end of a sleep.
    crossbeam_channel::after(SLEEP).recv().unwrap();
    bob.signal(libc::SIGCONT);
    let state = |state: &'static str| move |event: &Event| event.is("link") && event.text("state") == state;
    bob.wait_for(BACK_WITHIN, "its connection being given up", state("offline"));
    bob.wait_for(BACK_WITHIN, "another connection", state("online"));
    bob.hears("#dev", "alice", "you sleep");
    alice.hears("#dev", "bob", "I slept");
    alice.says("#dev and on");
    bob.says("#dev and on");
    [&alice, &bob].into_iter().for_each(nothing_came_twice);
    for (peer, other) in [(&alice, "bob"), (&bob, "alice")] {
        let went = |event: &Event| event.is("presence") && event.text("user") == other && !event.flag("online");
        assert_eq!(peer.must("/who", "online").texts("users"), ["alice", "bob"]);
        peer.transcript().check(!peer.seen().iter().any(went), "nobody had gone");
    }
}

#[test]
fn a_program_stopped_until_everybody_gave_it_up_is_back_in_seconds() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let proxy = Proxy::start(registry.address());
    let carol = Launch::new(&registry, "carol").with(|launch| launch.registry = proxy.address().to_owned());
    let carol = JsonPeer::launch(carol);
    carol.signed_in();
    alice.must("/create #dev", "created");
    for peer in [&bob, &carol] {
        peer.must("/join #dev", "joined");
    }
    alice.says("#dev before");
    alice.says("@bob before, to you");
    bob.signal(libc::SIGSTOP);
    alice.must("#dev you sleep", "message");
    alice.must("@bob do you sleep?", "message");
    bob.send("#dev I slept");
    bob.send("@alice I did");
    // Meanwhile somebody else's connection takes every byte and answers nothing: a ping finds that out.
    proxy.hush();
    for state in ["offline", "online"] {
        let link = |event: &Event| event.is("link") && event.text("state") == state;
        carol.wait_for(SILENCE_IS_FOUND_WITHIN, "a silent registry being left for another connection", link);
    }
    let goes = |event: &Event| event.is("presence") && event.text("user") == "bob" && !event.flag("online");
    alice.wait_for(GHOSTS_LEAVE_WITHIN, "bob going", goes);
    carol.wait_for(GHOSTS_LEAVE_WITHIN, "bob going", goes);
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "carol"]);
    carol.must("#dev he sleeps", "message");
    bob.signal(libc::SIGCONT);
    for peer in [&alice, &carol] {
        peer.wait_for(BACK_WITHIN, "bob being back", |event| {
            event.is("presence") && event.text("user") == "bob" && event.flag("online")
        });
    }
    bob.hears("#dev", "alice", "you sleep");
    bob.hears("#dev", "carol", "he sleeps");
    bob.hears("@alice", "alice", "do you sleep?");
    for peer in [&alice, &carol] {
        peer.hears("#dev", "bob", "I slept");
    }
    alice.hears("@bob", "bob", "I did");
    for peer in [&alice, &bob, &carol] {
        assert_eq!(peer.must("/who", "online").texts("users"), ["alice", "bob", "carol"]);
        peer.says("#dev and on");
    }
    [&alice, &bob, &carol].into_iter().for_each(nothing_came_twice);
}

#[track_caller]
fn nothing_came_twice(peer: &JsonPeer) {
    let mut ids: Vec<String> = peer.so_far().iter().filter(|event| event.is("message")).map(id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    peer.transcript().check(ids.len() == count, "a message came twice");
}

fn id(event: &Event) -> String {
    event.text("id").to_owned()
}

/// Longer than a beat may be late.
const SLEEP: Duration = Duration::from_secs(13);
/// After a sleep.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// A ping every thirty seconds, and fifteen for its answer.
const SILENCE_IS_FOUND_WITHIN: Duration = Duration::from_secs(60);
/// A session and a link that say nothing are given up after ninety and sixty seconds; some for a busy machine.
const GHOSTS_LEAVE_WITHIN: Duration = Duration::from_secs(110);
