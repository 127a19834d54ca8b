//! Somebody else at the address of the registry, with keys of their own: whoever knows the real one stops before the
//! third message of the handshake, and nothing of theirs has gone out by then.

use std::collections::BTreeSet;

use common::wire::PREAMBLE;
use tests::evil::Impostor;
use tests::{Ended, JsonPeer, Launch, Registry};

#[test]
fn an_impostor_at_the_pinned_address_is_shown_nothing() {
    let mut registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let fingerprint = registry.fingerprint().to_owned();
    assert_eq!(alice.quit(), Ended::Exit(0));
    registry.stop();
    let impostor = Impostor::at(registry.address());

    // A program that starts and knows the registry, and one that knows its fingerprint.
    let told = |launch: Launch| {
        let peer = JsonPeer::launch(launch);
        let refusal = peer.wait("the refusal", |event| event.is("error"));
        assert_eq!(refusal.text("code"), "realm_changed", "{refusal}");
        assert_eq!(peer.end(), Ended::Exit(4));
    };
    told(alice.launch.again());
    let with_fingerprint = format!("{}#{fingerprint}", registry.address());
    told(Launch::new(&registry, "carol").with(|launch| launch.registry.clone_from(&with_fingerprint)));

    // One that was running all the while: told once, and tried again.
    bob.wait("the changed realm", |event| event.is("error") && event.text("code") == "realm_changed");
    let calls =
        impostor.ear().hears("calls that were ended", |heard| heard.iter().filter(|call| call.is_closed).count() >= 5);
    let told = bob.so_far().iter().filter(|event| event.text("code") == "realm_changed").count();
    assert_eq!(told, 1, "once");

    // The preamble, and one frame of 32 bytes: an ephemeral key, another one in each call.
    let mut keys = BTreeSet::new();
    for call in calls.iter().filter(|call| call.is_closed) {
        assert_eq!(call.bytes.len(), PREAMBLE.len() + 2 + 32, "{call:?}");
        assert_eq!((&call.bytes[..4], &call.bytes[4..6]), (PREAMBLE.as_slice(), [0, 32].as_slice()));
        assert!(keys.insert(call.bytes[6..].to_vec()), "a key that is the same in two calls tells who calls");
    }
    drop(impostor);
    registry.restart();
    bob.wait("the registry", |event| event.is("link") && event.text("state") == "online");
}
