//! Attacks on both programs at a size that a test can play, with the outcome on each side; `scripts/abuse.sh` plays the
//! same at full size. Times are deadlines here, never a claim about speed.

use std::time::{Duration, Instant};

use common::limits::{FIRST_FRAME_TIMEOUT, SIGN_IN_TIMEOUT};
use common::message::registry::{Code, Reply, Request};
use common::wire::PREAMBLE;
use tests::abuse::{Crowd, Guesses, Manner, Workers, source, time_answers};
use tests::wire::{PeerLink, Person, RegistryLink, connect_from};
use tests::{Ended, JsonPeer, Launch, Registry};

#[test]
fn guesses_from_one_source_and_from_many_meet_their_limits_and_the_owner_gets_in() {
    let extra = ["--set", "limits.password_failures_hour=30", "--set", "limits.unauthenticated_per_source=100"];
    let registry = Registry::start(&extra);
    let alice = Person::new("alice");
    drop(RegistryLink::sign_up(registry.address(), &alice));
    let resumes = || {
        let resumed =
            RegistryLink::connect(registry.address(), &alice).ask(Request::Resume { user: alice.name.clone() });
        assert!(matches!(resumed, Ok(Reply::SignedIn { .. })), "{resumed:?}");
    };
    let guess = |sources, first_source, count| {
        let guessed = Guesses { registry: registry.address(), account: &alice, sources, first_source }.run(count);
        resumes();
        guessed
    };
    let one = guess(1, 0, 200);
    assert!((5..=7).contains(&one.checked), "five, and then a pause that grows: {one:?}");
    let many = guess(20, 100, 400);
    assert_eq!(one.checked + many.checked, 30, "thirty within an hour, from wherever: {many:?}");
    assert_eq!(many.checked + many.throttled, 400);
}

#[test]
fn a_refusal_is_the_same_whether_the_account_exists_or_not() {
    let registry = Registry::start(&["--set", "limits.password_failures=3"]);
    let [known, unknown] = ["known", "ghost"].map(Person::new);
    drop(RegistryLink::sign_up(registry.address(), &known));
    let [of_known, of_unknown] = time_answers(registry.address(), &known, &unknown, 20);
    for ((_, one), (_, other)) in of_known.iter().zip(&of_unknown) {
        // The seconds to wait may differ by one.
        let [one, other] =
            [one, other].map(|refusal| (refusal.code, refusal.text.as_str().replace(char::is_numeric, "")));
        assert_eq!(one, other);
    }
    assert!(of_known.iter().any(|(_, refusal)| refusal.code == Code::Credentials));
    assert!(of_known.iter().any(|(_, refusal)| refusal.code == Code::Throttled));
}

#[test]
fn crowds_that_never_sign_in_are_thrown_out_in_time_and_nobody_notices() {
    let registry = Registry::start(&["--set", "limits.unauthenticated_per_source=16"]);
    let people = Workers::sign_up(registry.address(), 10);
    let workers = Workers::start(registry.address(), people, Duration::from_millis(50));
    let manners = [Manner::Silent, Manner::Dribbling, Manner::DribblingLater];
    let crowd = Crowd::stand(registry.address(), &manners, 300, 60, SIGN_IN_TIMEOUT + SLACK);
    let worked = workers.stop();
    let transcript = registry.transcript();
    transcript.check(crowd.left == 0, &format!("{} connections are still open", crowd.left));
    for (manner, deadline) in [
        (Manner::Silent, FIRST_FRAME_TIMEOUT),
        (Manner::Dribbling, FIRST_FRAME_TIMEOUT),
        (Manner::DribblingLater, SIGN_IN_TIMEOUT),
    ] {
        let longest = crowd.longest(manner);
        transcript.check(longest < deadline + SLACK, &format!("{manner:?}: one was open for {longest:?}"));
    }
    // Each of them panics at an answer that does not come or is a refusal.
    transcript.check(worked.answers.len() >= 100, &format!("only {} answers", worked.answers.len()));
}

#[test]
fn whoever_fills_the_house_makes_room_for_a_newcomer() {
    let registry = Registry::start(&["--set", "limits.unauthenticated=50"]);
    let crowd: Vec<_> = (0..50).map(|_| connect_from(source(1), registry.address()).unwrap()).collect();
    let begun = Instant::now();
    let mut alice = RegistryLink::sign_up(registry.address(), &Person::new("alice"));
    assert_eq!(alice.ask(Request::Ping), Ok(Reply::Done));
    assert!(begun.elapsed() < FIRST_FRAME_TIMEOUT + SLACK);
    drop(crowd);
}

#[test]
fn a_flood_of_tiny_frames_ends_and_holds_nobody_up() {
    let limits = ["limits.requests_per_second=10", "limits.requests_at_once=100"];
    let registry = Registry::start(&limits.map(|limit| ["--set", limit]).concat());
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let mut mallory = RegistryLink::sign_up(registry.address(), &Person::new("mallory"));
    for id in 0..2000 {
        mallory.sealed.send(&common::message::registry::ToRegistry { id, request: Request::Ping });
    }
    // Some tenths of a second for each of 25 refusals.
    registry.transcript().check(mallory.sealed.is_closed_within(Duration::from_secs(10) + SLACK), "a flood was let be");
    assert_eq!(alice.must("/who", "online").texts("users")[..2], ["alice", "bob"]);
    alice.says("@bob anything?");
    bob.hears("@alice", "alice", "anything?");
}

#[test]
fn a_flood_of_invitations_is_slowed_down() {
    let registry = Registry::start(&["--set", "limits.invites_per_owner_hour=3"]);
    let [mallory, bob] = JsonPeer::start_all(&registry, ["mallory", "bob"]);
    for number in 0..3 {
        mallory.must(&format!("/create #trap-{number} --private"), "created");
        let answer = mallory.ask("/invite bob");
        registry.transcript().check(!answer.is("error"), &format!("the first few are let through: {answer}"));
        bob.wait("an invitation", |event| event.is("invited"));
    }
    mallory.must("/create #trap-3 --private", "created");
    let refusal = mallory.refused("/invite bob", "throttled");
    assert!(refusal.number("retry_after").is_some_and(|seconds| (1..=3600).contains(&seconds)), "{refusal}");
    bob.must("/who", "online");
}

#[test]
fn whoever_waits_as_long_as_told_is_served() {
    let limits = ["limits.requests_per_second=20", "limits.requests_at_once=100", "limits.password_failures=1"];
    let registry = Registry::start(&limits.map(|limit| ["--set", limit]).concat());
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let asked = (0..200).map(|_| alice.ask("/who")).find(|answer| answer.is("error")).unwrap();
    registry.transcript().check(asked.text("code") == "throttled", &format!("that was a lot: {asked}"));
    bob.must("/who", "online");
    wait(asked.number("retry_after").unwrap());
    alice.must("/who", "online");

    // A password is tried by somebody who has no device of hers.
    let carol = Person::new("carol");
    drop(RegistryLink::sign_up(registry.address(), &carol));
    let thief = Person::new("thief");
    let guess = |auth| {
        let mut link = RegistryLink::connect(registry.address(), &thief);
        let statement = thief.keys.statement(link.realm(), carol.name.clone());
        link.ask(Request::SignIn { auth, statement }).unwrap_err()
    };
    assert_eq!(guess(thief.auth).code, Code::Credentials);
    let refusal = guess(carol.auth);
    assert_eq!(refusal.code, Code::Throttled, "also the right one has to wait");
    wait(refusal.retry_after.unwrap().into());
    assert_eq!(guess(carol.auth).code, Code::NotPermitted, "right, from a second device");
}

#[test]
fn strangers_at_a_peers_door_keep_no_friend_out() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let mut crowd: Vec<_> = (0..40).map(|_| connect_from(source(1), &bob.listen()).unwrap()).collect();
    for stranger in &mut crowd {
        let _ = std::io::Write::write_all(stranger, &PREAMBLE);
    }
    let carol = Person::new("carol");
    let mut at_carol = RegistryLink::sign_up(registry.address(), &carol);
    let device = at_carol.lookup("bob").credentials.certificate.claim().unwrap().device;
    let credentials = at_carol.credentials.clone().unwrap();
    let link = PeerLink::dial(&bob.listen(), device, &carol, &credentials);
    registry.transcript().check(link.is_some(), "a crowd that says nothing kept somebody with a certificate out");
}

#[test]
fn a_token_lets_a_program_in_where_sign_up_is_closed() {
    let registry = Registry::start(&["--set", "sign_up=closed"]);
    let refused = JsonPeer::launch(Launch::new(&registry, "alice"));
    assert_eq!(refused.wait("a refusal", |event| event.is("error")).text("code"), "not_permitted");
    assert_eq!(refused.end(), Ended::Exit(7));
    let token = registry.order(&["user", "add", "alice"]);
    let with = |token: &str| {
        Launch::new(&registry, "alice").with(|launch| {
            launch.password = Some(format!("correct horse\n{token}"));
            launch.extra.push("--token".to_owned());
        })
    };
    let malformed = JsonPeer::launch(with("no token at all"));
    assert_eq!(malformed.wait("a refusal", |event| event.is("error")).text("code"), "bad_password");
    let alice = JsonPeer::launch(with(token.trim()));
    alice.wait("being signed in", |event| event.is("signed_in"));
    let again = JsonPeer::launch(with(token.trim()));
    assert_eq!(again.wait("a refusal", |event| event.is("error")).text("code"), "not_permitted");
}

#[test]
fn somebody_suspended_hears_why_and_is_back_when_resumed() {
    let registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    registry.order(&["user", "suspend", "alice"]);
    let told = alice.wait("the reason", |event| event.is("error"));
    assert_eq!(told.text("code"), "not_permitted");
    assert_eq!(bob.must("/who", "online").texts("users"), ["bob"]);
    alice.quit();
    let outside = JsonPeer::launch(alice.launch.again());
    outside.wait("a refusal", |event| event.is("error") && event.text("code") == "not_permitted");
    assert_eq!(outside.end(), Ended::Exit(7));
    registry.order(&["user", "resume", "alice"]);
    alice.restart();
    bob.says("@alice welcome back");
    alice.hears("@bob", "bob", "welcome back");
}

/// Exactly as long as somebody was told to.
fn wait(seconds: u64) {
    let _ = crossbeam_channel::after(Duration::from_secs(seconds)).recv();
}

/// A machine under load is late.
const SLACK: Duration = Duration::from_secs(5);
