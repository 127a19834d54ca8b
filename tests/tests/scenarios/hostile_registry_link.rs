//! The registry's door: garbage, halves, lies and silence at every stage. Whoever sends them is gone within the
//! deadline, and those inside notice nothing.

use std::process::Command;
use std::time::Duration;

use common::limits::{FIRST_FRAME_TIMEOUT, SIGN_IN_TIMEOUT};
use common::message::registry::{Request, ToRegistry};
use common::wire::PREAMBLE;
use common::wire::batch;
use tests::programs::program;
use tests::wire::{Person, Raw, RegistryLink};
use tests::{JsonPeer, Registry};

use super::hostile_peer_link::{cpu_ticks, resident_kib};

#[test]
fn bytes_that_are_no_protocol_end_the_connection() {
    let mut registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let address = registry.address().to_owned();
    let garbage: Vec<u8> = (0..5000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let preambled = |rest: &[u8]| [PREAMBLE.as_slice(), rest].concat();
    let stages: [(&str, Vec<u8>); 6] = [
        ("garbage", garbage.clone()),
        ("a line of text", b"GET / HTTP/1.1\r\nHost: registry\r\n\r\n".to_vec()),
        ("another version", [b"P2C\xff".as_slice(), &[0; 100]].concat()),
        ("a huge frame", preambled(&[0xff, 0xff, 1, 2, 3])),
        ("an empty frame", preambled(&[0, 0])),
        ("a frame above the handshake's limit", preambled(&[0x04, 0x01])),
    ];
    for (what, bytes) in &stages {
        let closed = Raw::connect(&address).send(bytes).is_closed_within(FIRST_FRAME_TIMEOUT + SLACK);
        registry.transcript().check(closed, &format!("after {what} the connection stayed open"));
    }
    // Any 32 bytes can be a first handshake message; what follows cannot be the third.
    let mut lucky =
        Raw::connect(&address).send(&preambled(&[&[0, 64], &garbage[..64], &[0, 64], &garbage[..64]].concat()));
    let closed = lucky.is_closed_within(FIRST_FRAME_TIMEOUT + SLACK);
    registry.transcript().check(closed, "after frames of garbage the connection stayed open");
    // In pieces it is as bad, and a byte now and then extends no deadline.
    let mut slow = Raw::connect(&address);
    let closed = slow.is_closed_in_spite_of(&preambled(&[3, 0]), PAUSE, SIGN_IN_TIMEOUT + SLACK);
    registry.transcript().check(closed, "a byte now and then kept the connection open");
    alice.says("@bob anything?");
    bob.hears("@alice", "alice", "anything?");
    assert!(registry.process().is_running());
}

#[test]
fn silence_ends_the_connection_at_every_stage() {
    let registry = Registry::start(&[]);
    let address = registry.address();
    let mallory = Person::new("mallory");
    let mut nothing = Raw::connect(address);
    let mut preamble_only = Raw::connect(address).send(&PREAMBLE);
    let mut half_a_frame = Raw::connect(address).send(&[PREAMBLE.as_slice(), &[0, 32, 1, 2, 3]].concat());
    let mut not_signed_in = RegistryLink::connect(address, &mallory);
    for (what, raw) in
        [("nothing", &mut nothing), ("the preamble", &mut preamble_only), ("half a frame", &mut half_a_frame)]
    {
        let closed = raw.is_closed_within(FIRST_FRAME_TIMEOUT + SLACK);
        registry.transcript().check(closed, &format!("after {what} and silence the connection stayed open"));
    }
    let closed = not_signed_in.sealed.is_closed_within(SIGN_IN_TIMEOUT + SLACK);
    registry.transcript().check(closed, "without a sign-in the connection stayed open");
}

#[test]
fn garbage_behind_a_good_handshake_ends_the_connection() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let mallory = Person::new("mallory");
    let request = ToRegistry { id: 1, request: Request::Ping };
    let plaintext = batch::single(&request).unwrap();
    let mut padding = plaintext.clone();
    *padding.last_mut().unwrap() = 1;
    let deep = [&[0, 250][..], &[0x91; 254]].concat();
    let stages: [(&str, Vec<u8>); 5] = [
        ("an empty plaintext", Vec::new()),
        ("no batch", vec![0xc1; 256]),
        ("a value nested deeply", deep),
        ("padding that is not zero", padding),
        ("a batch cut short", plaintext[..200].to_vec()),
    ];
    // Before signing in, and signed in.
    let mut links = vec![RegistryLink::connect(registry.address(), &mallory)];
    links.extend((0..stages.len()).map(|_| RegistryLink::connect(registry.address(), &mallory)));
    links[0].sealed.send_bytes(&[[0, 64].as_slice(), &[0xaa; 64]].concat());
    for (link, (_, plaintext)) in links[1..].iter_mut().zip(&stages) {
        link.sealed.send_plaintext(plaintext);
    }
    let names = std::iter::once("a frame that does not open").chain(stages.iter().map(|(what, _)| *what));
    for (link, what) in links.iter_mut().zip(names) {
        let closed = link.sealed.is_closed_within(AT_ONCE);
        registry.transcript().check(closed, &format!("after {what} the connection stayed open"));
    }
    for (what, plaintext) in &stages {
        let mut link = RegistryLink::sign_up(registry.address(), &mallory);
        link.sealed.send_plaintext(plaintext);
        let closed = link.sealed.is_closed_within(AT_ONCE);
        registry.transcript().check(closed, &format!("signed in and after {what} the connection stayed open"));
    }
    alice.says("@bob anything?");
    bob.hears("@alice", "alice", "anything?");
}

#[test]
fn a_crowd_of_connections_costs_neither_memory_nor_processor() {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let pid = registry.process().pid();
    let storm = |count: usize| {
        let crowd: Vec<Raw> = (0..count).map(|_| Raw::connect(registry.address()).send(&PREAMBLE)).collect();
        drop(crowd);
        (0..count).for_each(|_| drop(Raw::connect(registry.address())));
    };
    storm(300);
    let mut last = Raw::connect(registry.address());
    assert!(last.is_closed_within(FIRST_FRAME_TIMEOUT + SLACK));
    let before = resident_kib(pid);
    storm(300);
    let mut last = Raw::connect(registry.address());
    let ticks_before = cpu_ticks(pid);
    assert!(last.is_closed_within(FIRST_FRAME_TIMEOUT + SLACK));
    let ticks = cpu_ticks(pid) - ticks_before;
    let grown = resident_kib(pid).saturating_sub(before);
    registry.transcript().check(grown < 8 * 1024, &format!("the registry grew by {grown} KiB"));
    registry.transcript().check(ticks < 100, &format!("the registry burnt {ticks} hundredths of a second"));
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
}

#[test]
fn a_registry_out_of_descriptors_keeps_those_inside() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = Command::new("bash");
    let script = "ulimit -n 96; exec \"$@\"";
    command.args(["-c", script, "registry"]).arg(program("registry")).arg("--json");
    command.args(["--listen", "127.0.0.1:0", "--set", "passwords.bcrypt_cost=4"]);
    command.args(["--set", "limits.unauthenticated_per_source=1000", "--data-dir"]).arg(folder.path());
    let registry = Registry::from_command(command);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let crowd: Vec<Raw> = (0..200).map(|_| Raw::connect(registry.address()).send(&PREAMBLE)).collect();
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"]);
    alice.says("@bob a crowd is at the door");
    bob.hears("@alice", "alice", "a crowd is at the door");
    drop(crowd);
    // There is room again; the first tries may still come too early.
    let carol = JsonPeer::launch(tests::Launch::new(&registry, "carol").with(|launch| launch.user = false));
    let is_in =
        (0..50).any(|_| carol.ask("/register carol").is("registered") || carol.ask("/whoami").text("user") == "carol");
    registry.transcript().check(is_in, "carol never got in");
}

/// A machine under load is late.
const SLACK: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(400);
