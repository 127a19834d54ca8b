//! What nobody can do to a registry over real sockets: fill it, wear it out, guess passwords, find out who has an
//! account. Those inside are served throughout, and whoever is told to wait gets in after that.

#![expect(clippy::disallowed_methods, reason = "deadlines are measured here")]

mod support;

use std::time::{Duration, Instant};

use common::message::registry::{Code, FromRegistry, Refusal, Reply, Request};
use crossbeam_channel::never;
use registry::server::Server;
use support::{Line, Person, closed_after, connect, dial, person, settings, signed_up, start};

#[test]
fn a_crowd_of_strangers_makes_room_for_a_newcomer() {
    let mut settings = settings();
    settings.door.unauthenticated = 3;
    settings.timing.first_frame = Duration::from_secs(60);
    settings.timing.sign_in = Duration::from_secs(60);
    let server = start(&settings);
    let crowd = [connect(&server), connect(&server), connect(&server)];
    let began = Instant::now();
    let mut alice = signed_up(&server, &person("alice"));
    assert!(closed_after(&crowd[0], began) < Duration::from_secs(30), "the oldest goes, long before its deadline");
    let mut bob = signed_up(&server, &person("bob"));
    assert_eq!([alice.ask(Request::Ping), bob.ask(Request::Ping)], [Ok(Reply::Done), Ok(Reply::Done)]);
    crowd[2].set_nonblocking(true).unwrap();
    assert!(std::io::Read::read(&mut &crowd[2], &mut [0; 1]).is_err(), "who signed in makes room again");
    server.stop();
}

#[test]
fn a_full_house_puts_strangers_out_and_nobody_else() {
    let mut settings = settings();
    settings.door.sessions = 3;
    let server = start(&settings);
    let mut alice = signed_up(&server, &person("alice"));
    let strangers = [connect(&server), connect(&server)];
    let mut bob = signed_up(&server, &person("bob"));
    closed_after(&strangers[0], Instant::now());
    let mut carol = signed_up(&server, &person("carol"));
    closed_after(&strangers[1], Instant::now());
    assert!(closed_after(&connect(&server), Instant::now()) < Duration::from_secs(2), "refused at once");
    for line in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(line.ask(Request::Ping), Ok(Reply::Done));
    }
    server.stop();
}

// Each of them so much at once, and so much a second.
fn two_who_may_ask(at_once: u32, per_second: u32) -> (Server, Line, Line) {
    let mut settings = settings();
    settings.rates.requests_at_once = at_once;
    settings.rates.requests_per_second = per_second;
    let server = start(&settings);
    let [one, other] = ["alice", "bob"].map(|name| signed_up(&server, &person(name)));
    (server, one, other)
}

#[test]
fn requests_beyond_the_budget_are_refused_until_it_has_filled_again() {
    let (server, mut line, mut other) = two_who_may_ask(100, 10);
    line.send(&vec![Request::Ping; 120]);
    let answers: Vec<FromRegistry> = (0..120).map(|_| line.next().unwrap()).collect();
    let done = answers.iter().filter(|answer| matches!(answer, FromRegistry::Reply { .. })).count();
    assert!((95..120).contains(&done), "{done} of 120");
    let Some(FromRegistry::Refused { refusal, .. }) = answers.last() else { panic!("the last is over the limit") };
    wait_as_told(refusal);
    assert_eq!(line.ask(Request::Ping), Ok(Reply::Done));
    assert_eq!(other.ask(Request::Ping), Ok(Reply::Done), "a budget is one session's own");
    server.stop();
}

#[test]
fn whoever_asks_on_when_told_to_wait_is_made_to_and_nobody_else() {
    let (server, mut line, mut other) = two_who_may_ask(30, 1);
    line.send(&vec![Request::Ping; 34]);
    (0..34).for_each(|_| drop(line.next().unwrap()));
    let began = Instant::now();
    line.send(&[Request::Ping]);
    assert_eq!(other.ask(Request::Ping), Ok(Reply::Done));
    let took_other = began.elapsed();
    assert!(matches!(line.next(), Some(FromRegistry::Refused { .. })));
    // Some seconds were named, of which a tenth is spent at rest.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(300) && took > took_other, "{took:?}, the other {took_other:?}");
    server.stop();
}

#[test]
fn a_flood_of_tiny_frames_is_cut_and_holds_nobody_up() {
    let mut settings = settings();
    settings.rates.requests_per_second = 100;
    settings.rates.requests_at_once = 30;
    settings.rates.requests_before_sign_in = 30;
    let server = start(&settings);
    let [mut alice, mut flood] = ["alice", "mallory"].map(|name| signed_up(&server, &person(name)));
    let began = Instant::now();
    while flood.try_send(&[Request::Ping]) {
        assert!(began.elapsed() < support::PATIENCE, "it goes on and on");
    }
    assert_eq!(alice.ask(Request::Ping), Ok(Reply::Done));
    let mut stranger = dial(&server, &person("eve"));
    while stranger.try_send(&[Request::Ping]) {
        assert!(began.elapsed() < 2 * support::PATIENCE, "it goes on and on");
    }
    assert_eq!(alice.ask(Request::Ping), Ok(Reply::Done));
    server.stop();
}

#[test]
fn a_refused_password_tells_nothing_about_the_account() {
    let mut settings = settings();
    settings.service.accounts.throttle.password_failures_hour = 7;
    let server = start(&settings);
    let [alice, nobody] = ["alice", "ghost"].map(person);
    drop(signed_up(&server, &alice));
    let told = |who: &Person| -> Vec<(Code, String)> {
        let mut line = dial(&server, who);
        let asked = (0..12).map(|_| line.ask(who.sign_in(9)).unwrap_err());
        asked.map(|refusal| (refusal.code, refusal.text.as_str().replace(char::is_numeric, ""))).collect()
    };
    let (known, unknown) = (told(&alice), told(&nobody));
    assert_eq!(known, unknown);
    let codes: Vec<Code> = known.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes[..5], [Code::Credentials; 5]);
    assert_eq!(codes[5..], [Code::Throttled; 7]);
    server.stop();
}

#[test]
fn an_enrolled_device_gets_in_while_its_password_is_guessed() {
    let mut settings = settings();
    settings.door.unauthenticated_per_source = 200;
    let server = start(&settings);
    let alice = person("alice");
    drop(signed_up(&server, &alice));
    let (mut guesses, mut refused) = (0, 0);
    // A person of that name with other keys, as somebody who guesses has.
    let mut thief = person("thief");
    thief.name = alice.name.clone();
    for _ in 0..100 {
        // Whoever asks on is made to wait, and comes anew instead.
        let refusal = dial(&server, &thief).ask(thief.sign_in(9)).unwrap_err();
        guesses += 1;
        refused += usize::from(refusal.code == Code::Throttled);
        let mut owner = dial(&server, &alice);
        assert!(matches!(owner.ask(alice.resume()), Ok(Reply::SignedIn { .. })), "after {guesses} guesses");
    }
    assert!(refused >= guesses - 30, "{refused} of {guesses} were refused unseen");
    server.stop();
}

#[test]
fn no_more_memory_means_no_newcomers_and_nothing_for_those_inside() {
    let mut settings = settings();
    settings.door.memory_mib = 1;
    let server = start(&settings);
    assert!(
        closed_after(&connect(&server), Instant::now()) < Duration::from_secs(2),
        "this process has more than that"
    );
    server.stop();
}

#[test]
fn half_a_frame_and_a_byte_now_and_then_is_silence_also_of_somebody_signed_in() {
    let mut settings = settings();
    settings.timing.dead_after = Duration::from_millis(500);
    let server = start(&settings);
    let line = signed_up(&server, &person("mallory"));
    line.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let began = Instant::now();
    let write = |byte: &[u8]| std::io::Write::write_all(&mut &line.socket, byte).is_ok();
    assert!(write(&[1, 16]));
    while write(&[7]) && !matches!(std::io::Read::read(&mut &line.socket, &mut [0; 8]), Ok(0)) {
        assert!(began.elapsed() < support::PATIENCE, "still open");
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    server.stop();
}

// Nothing else to wait for: the budget fills with time.
fn wait_as_told(refusal: &Refusal) {
    assert_eq!(refusal.code, Code::Throttled);
    let seconds = refusal.retry_after.expect("a throttled request says for how long");
    let _: Result<(), _> = never().recv_timeout(Duration::from_secs(seconds.into()));
}

#[test]
fn whoever_waits_for_a_throttled_password_as_long_as_told_gets_in() {
    let mut settings = settings();
    settings.service.accounts.throttle.password_failures = 2;
    settings.timing.sign_in = Duration::from_secs(60);
    let server = start(&settings);
    let alice = person("alice");
    drop(signed_up(&server, &alice));
    let mut line: Line = dial(&server, &alice);
    for _ in 0..2 {
        assert_eq!(line.refused(alice.sign_in(9)), Code::Credentials);
    }
    let refusal = line.ask(alice.sign_in(1)).unwrap_err();
    wait_as_told(&refusal);
    assert!(matches!(line.ask(alice.sign_in(1)), Ok(Reply::SignedIn { .. })));
    server.stop();
}
