//! The registry over real sockets: people come, go and meet, and others send garbage.

#![expect(clippy::disallowed_methods, reason = "deadlines are measured here")]

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::limits::NAMES_PER_PAGE;
use common::message::registry::{Code, FromRegistry, News, Reply, Request};
use common::wire::bounded::List;
use common::wire::{PREAMBLE, stream};
use support::{Person, closed_after, connect, dial, person, settings, signed_up, start, user};

fn watch(names: &[&Person]) -> Request {
    Request::Watch { names: List::cut(names.iter().map(|person| person.name.clone()).collect()) }
}

fn who() -> Request {
    Request::Who { pattern: None, after: None }
}

#[test]
fn people_sign_up_find_each_other_and_hear_of_coming_and_going() {
    let server = start(&settings());
    let [alice, bob] = ["alice", "bob"].map(person);
    let mut at_alice = signed_up(&server, &alice);
    assert_eq!(at_alice.ask(watch(&[&bob])), Ok(Reply::Watching { online: List::default() }));
    let mut at_bob = signed_up(&server, &bob);
    let News::Presence { changes } = at_alice.hear() else { panic!("presence was awaited") };
    assert_eq!((changes[0].user.as_str(), changes[0].online), ("bob", true));
    at_bob
        .ask(Request::Announce {
            addresses: List::cut(vec![common::wire::address::Address("10.1.2.3:41000".parse().unwrap())]),
        })
        .unwrap();
    let Ok(Reply::Online { users, .. }) = at_alice.ask(who()) else { panic!("names were awaited") };
    assert_eq!(users.into_vec(), [user("alice"), user("bob")]);
    let Ok(Reply::Person(record)) = at_alice.ask(Request::Lookup { user: bob.name.clone() }) else { panic!("bob") };
    let addresses: Vec<String> = record.addresses.iter().map(|address| address.0.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:41000", "10.1.2.3:41000"]);
    drop(at_bob);
    let News::Presence { changes } = at_alice.hear() else { panic!("presence was awaited") };
    assert_eq!((changes[0].user.as_str(), changes[0].online), ("bob", false));
    server.stop();
}

#[test]
fn a_second_sign_in_takes_the_place_of_the_first() {
    let server = start(&settings());
    let alice = person("alice");
    let mut first = signed_up(&server, &alice);
    let mut second = dial(&server, &alice);
    assert!(matches!(second.ask(alice.resume()), Ok(Reply::SignedIn { .. })));
    assert_eq!(first.hear(), News::Replaced);
    assert_eq!(first.next(), None);
    assert!(matches!(second.ask(who()), Ok(Reply::Online { .. })));
    server.stop();
}

#[test]
fn another_device_of_the_account_is_refused_only_after_its_password() {
    let server = start(&settings());
    let alice = person("alice");
    drop(signed_up(&server, &alice));
    let mut elsewhere = person("alice-elsewhere");
    elsewhere.name = alice.name.clone();
    let mut line = dial(&server, &elsewhere);
    assert_eq!(line.refused(elsewhere.sign_in(2)), Code::Credentials);
    assert_eq!(line.refused(elsewhere.sign_in(1)), Code::NotPermitted);
    assert_eq!(line.refused(elsewhere.resume()), Code::Credentials);
    server.stop();
}

#[test]
fn many_requests_in_one_frame_are_answered_in_their_order() {
    let server = start(&settings());
    let alice = person("alice");
    let mut line = signed_up(&server, &alice);
    line.send(&vec![Request::Ping; 2000]);
    for id in 2..2002 {
        assert_eq!(line.next(), Some(FromRegistry::Reply { id, reply: Box::new(Reply::Done) }));
    }
    server.stop();
}

#[test]
fn presence_that_changes_often_is_told_once_and_true() {
    let server = start(&settings());
    let [alice, bob] = ["alice", "bob"].map(person);
    let mut at_alice = signed_up(&server, &alice);
    at_alice.ask(watch(&[&bob])).unwrap();
    let mut at_bob = signed_up(&server, &bob);
    for _ in 0..20 {
        at_bob.ask(Request::SignOut).unwrap();
        at_bob.ask(bob.resume()).unwrap();
    }
    at_bob.ask(Request::SignOut).unwrap();
    let mut heard = 0;
    loop {
        let News::Presence { changes } = at_alice.hear() else { panic!("presence was awaited") };
        heard += 1;
        if !changes[0].online {
            break;
        }
    }
    assert!(heard <= 10, "{heard} pieces of news for 41 changes");
    server.stop();
}

#[test]
fn a_change_is_told_at_once_to_whoever_was_told_nothing_lately() {
    let mut settings = settings();
    settings.timing.coalesce = Duration::from_secs(3600);
    let server = start(&settings);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(person);
    let mut at_alice = signed_up(&server, &alice);
    at_alice.ask(watch(&[&bob])).unwrap();
    let mut at_bob = signed_up(&server, &bob);
    let News::Presence { changes } = at_alice.hear() else { panic!("presence was awaited") };
    assert_eq!((changes[0].user.as_str(), changes[0].online), ("bob", true));
    at_bob.ask(watch(&[&carol])).unwrap();
    let _at_carol = signed_up(&server, &carol);
    let News::Presence { changes } = at_bob.hear() else { panic!("presence was awaited") };
    assert_eq!((changes[0].user.as_str(), changes[0].online), ("carol", true), "each rests for itself");
    server.stop();
}

#[test]
fn the_registry_says_good_bye_and_stops_in_time() {
    let server = start(&settings());
    let mut line = signed_up(&server, &person("alice"));
    let stranger = connect(&server);
    let began = Instant::now();
    let stopping = common::thread::spawn("stopping", move || server.stop()).unwrap();
    assert_eq!(line.hear(), News::Closing);
    assert_eq!(line.next(), None);
    closed_after(&stranger, began);
    stopping.join();
    assert!(began.elapsed() < Duration::from_secs(10), "with a client that stays: {:?}", began.elapsed());
}

#[test]
fn another_version_is_told_ours() {
    let server = start(&settings());
    let mut socket = connect(&server);
    socket.write_all(b"P2C\x09 and some more bytes").unwrap();
    let answer = stream::read_preamble(&socket, Instant::now() + support::PATIENCE).unwrap();
    assert_eq!(answer, PREAMBLE);
    socket.shutdown(Shutdown::Write).unwrap();
    closed_after(&socket, Instant::now());
    server.stop();
}

#[test]
fn silence_and_single_bytes_end_at_their_deadline() {
    let mut settings = settings();
    settings.timing.first_frame = Duration::from_millis(300);
    settings.timing.sign_in = Duration::from_millis(800);
    let server = start(&settings);
    let began = Instant::now();
    let silent = connect(&server);
    let mut half = connect(&server);
    half.write_all(&PREAMBLE[..3]).unwrap();
    let mut half_frame = connect(&server);
    half_frame.write_all(&[PREAMBLE.as_slice(), &[0, 200, 1, 2, 3]].concat()).unwrap();
    let unsigned = dial(&server, &person("alice"));
    for socket in [&silent, &half, &half_frame] {
        let after = closed_after(socket, began);
        assert!((Duration::from_millis(250)..Duration::from_millis(700)).contains(&after), "{after:?}");
    }
    let after = closed_after(&unsigned.socket, began);
    assert!((Duration::from_millis(700)..Duration::from_millis(2000)).contains(&after), "{after:?}");
    server.stop();
}

#[test]
fn a_byte_now_and_then_does_not_extend_a_deadline() {
    let mut settings = settings();
    settings.timing.first_frame = Duration::from_millis(300);
    settings.timing.sign_in = Duration::from_millis(600);
    let server = start(&settings);
    let began = Instant::now();
    let socket = connect(&server);
    let mut writer = &socket;
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    writer.write_all(&[PREAMBLE.as_slice(), &[1, 0]].concat()).unwrap();
    // Reading with a short timeout is the pause between two bytes; it ends when the registry closes.
    while writer.write_all(&[7]).is_ok() && !matches!(std::io::Read::read(&mut &socket, &mut [0; 8]), Ok(0)) {
        assert!(began.elapsed() < Duration::from_secs(3), "still open");
    }
    assert!(began.elapsed() >= Duration::from_millis(250));
    server.stop();
}

#[test]
fn garbage_at_every_stage_ends_that_connection_and_no_other() {
    let server = start(&settings());
    let alice = person("alice");
    let mut inside = signed_up(&server, &alice);
    let began = Instant::now();
    let cases: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 4096],
        b"P2C\x01\xff\xff",
        b"P2C\x01\x00\x00",
        // Any 64 bytes are a first message; the third has to be a key's.
        &[b"P2C\x01\x00\x40".as_slice(), &[0x55; 64], &[0, 64], &[0x55; 64]].concat(),
    ];
    for case in cases {
        let mut socket = connect(&server);
        let _ = socket.write_all(case);
        assert!(closed_after(&socket, began) < Duration::from_secs(2), "{case:?} stays open");
    }
    let mallory = person("mallory");
    for plaintext in [vec![0; 256], vec![0xff; 256], vec![0x91; 60_000], b"short".to_vec(), Vec::new()] {
        let mut line = dial(&server, &mallory);
        line.send_sealed(&plaintext);
        closed_after(&line.socket, began);
    }
    let mut unsealed = signed_up(&server, &mallory);
    unsealed.socket.write_all(&[[0, 64].as_slice(), &[9; 64]].concat()).unwrap();
    closed_after(&unsealed.socket, began);
    assert!(began.elapsed() < Duration::from_secs(3), "garbage waits for no deadline");
    assert!(matches!(inside.ask(who()), Ok(Reply::Online { .. })));
    server.stop();
}

#[test]
fn strangers_fill_their_own_places_only() {
    let mut settings = settings();
    settings.door.unauthenticated_per_source = 3;
    settings.door.sessions_per_source = 4;
    let server = start(&settings);
    let alice = person("alice");
    let mut line = signed_up(&server, &alice);
    let _silent = [connect(&server), connect(&server), connect(&server)];
    let refused = connect(&server);
    assert!(closed_after(&refused, Instant::now()) < Duration::from_secs(2), "at once, not at a deadline");
    assert_eq!(line.ask(Request::Ping), Ok(Reply::Done));
    server.stop();
}

#[test]
fn a_client_that_does_not_read_is_cut_and_holds_nobody_up() {
    let mut settings = settings();
    settings.timing.drain = Duration::from_millis(300);
    let server = start(&settings);
    let [alice, mallory] = ["alice", "mallory"].map(person);
    let mut at_alice = signed_up(&server, &alice);
    let mut deaf = signed_up(&server, &mallory);
    at_alice.ask(watch(&[&mallory])).unwrap();
    // Each answer is as large as a page gets here; the socket's buffers fill, then the outbox, then it is over.
    let plan = mallory.plan("#noise", false);
    deaf.ask(mallory.create(&plan)).unwrap();
    let asks = vec![Request::Members { room: plan.id, after: None }; 400];
    deaf.socket.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let began = Instant::now();
    let flood = common::thread::spawn("deaf", move || {
        while began.elapsed() < support::PATIENCE && deaf.try_send(&asks) {}
        deaf
    });
    let News::Presence { changes } = at_alice.hear() else { panic!("presence was awaited") };
    assert_eq!((changes[0].user.as_str(), changes[0].online), ("mallory", false));
    assert_eq!(at_alice.ask(Request::Ping), Ok(Reply::Done));
    drop(flood.unwrap().join());
    server.stop();
}

#[test]
fn wrong_passwords_are_slowed_down_but_the_enrolled_device_is_not() {
    let mut settings = settings();
    settings.service.accounts.throttle.password_failures = 3;
    let server = start(&settings);
    let alice = person("alice");
    drop(signed_up(&server, &alice));
    let mut line = dial(&server, &alice);
    for _ in 0..3 {
        assert_eq!(line.refused(alice.sign_in(9)), Code::Credentials);
    }
    let throttled = line.ask(alice.sign_in(1)).unwrap_err();
    assert_eq!(throttled.code, Code::Throttled);
    assert!(throttled.retry_after.is_some_and(|seconds| (1..=15).contains(&seconds)));
    assert!(matches!(line.ask(alice.resume()), Ok(Reply::SignedIn { .. })));
    server.stop();
}

#[test]
fn a_page_of_names_fits_a_frame() {
    // The names themselves are bounded by their type; the reply is what has to fit.
    let longest = List::cut((0..NAMES_PER_PAGE).map(|number| user(&format!("{number:0>24}"))).collect());
    let reply = FromRegistry::Reply { id: u32::MAX, reply: Box::new(Reply::Online { users: longest, more: true }) };
    assert!(common::wire::batch::single(&reply).is_some());
}
