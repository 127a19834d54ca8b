//! Another key, signed by the one before: what people see of it, and that no kill in the middle of it locks anybody out.

use std::time::Duration;

use common::message::peer::PeerMessage;
use common::message::registry::{Reply, Request};
use common::secret::Secret;
use common::secure::certificate::Credentials;
use common::secure::identity::KEYS_BYTES;
use tests::programs::password_of;
use tests::wire::{PeerLink, Person, RegistryLink};
use tests::{JsonPeer, Registry, TermPeer};

#[test]
fn everybody_is_told_and_goes_on() {
    let registry = Registry::start(&[]);
    let [alice, bob, mut carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    for peer in [&bob, &carol] {
        peer.says("@alice hello");
    }
    let digits = bob.must("/verify alice", "safety_number").text("digits").to_owned();
    bob.must(&format!("/verify alice {digits}"), "verified");
    let before = alice.must("/fingerprint", "fingerprint").text("identity").to_owned();
    carol.kill9();

    let rotated = alice.must("/rotate", "rotated");
    let key = rotated.text("key").to_owned();
    assert_ne!(key, before);
    assert_eq!(alice.must("/fingerprint", "fingerprint").text("identity"), key);
    let told = bob.wait("the notice", |event| event.is("key_rotated"));
    assert_eq!((told.text("user"), told.text("old"), told.text("new")), ("alice", before.as_str(), key.as_str()));
    assert!(told.flag("verified"), "{told}");
    let whois = bob.must("/whois alice", "whois");
    assert!(!whois.flag("verified") && !whois.flag("blocked") && whois.text("identity") == key, "{whois}");
    let others = bob.must("/verify alice", "safety_number").text("digits").to_owned();
    assert_ne!(others, digits);
    assert_eq!(alice.must("/verify bob", "safety_number").text("digits"), others);
    alice.says("@bob with the new one");
    bob.hears("@alice", "alice", "with the new one");
    bob.says("@alice as before");
    alice.hears("@bob", "bob", "as before");

    alice.must("@carol while you were away", "message");
    carol.restart();
    carol.wait("the notice", |event| event.is("key_rotated"));
    carol.hears("@alice", "alice", "while you were away");
    for peer in [&alice, &bob, &carol] {
        let is_blocked = peer.so_far().iter().any(|event| event.is("key_changed"));
        peer.transcript().check(!is_blocked, "nobody is blocked");
    }
    // The old keys are gone, the password is the same, and there is an end to it.
    let mut alice = alice;
    alice.kill9();
    alice.restart();
    for _ in 0..4 {
        alice.must("/rotate", "rotated");
    }
    alice.refused("/rotate", "not_permitted");
    alice.says("@bob six keys later");
    bob.hears("@alice", "alice", "six keys later");
}

#[test]
fn a_program_killed_at_any_moment_of_it_goes_on() {
    let registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    bob.says("@alice hello");
    // Stretching the password twice takes some hundred milliseconds; then comes the registry, then the disk.
    for (round, millis) in [150, 350, 450, 600, 900].into_iter().enumerate() {
        alice.send("/rotate");
        let _ = crossbeam_channel::after(Duration::from_millis(millis)).recv();
        alice.kill9();
        alice.restart();
        let text = format!("after {round} kills");
        alice.says(&format!("@bob {text}"));
        bob.hears("@alice", "alice", &text);
        bob.says(&format!("@alice {text} and back"));
        alice.hears("@bob", "bob", &format!("{text} and back"));
    }
    let is_blocked = bob.so_far().iter().any(|event| event.is("key_changed"));
    bob.transcript().check(!is_blocked, "nobody is blocked");
}

#[test]
fn at_a_prompt_the_word_is_typed_again() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    alice.kill9();
    let launch = alice.launch.again().with(|launch| launch.password = None);
    let on_terminal = TermPeer::launch(launch, 40, 100);
    on_terminal.wait_screen("Password of alice");
    on_terminal.enter(&password_of("alice"));
    on_terminal.wait_screen("alice> ");
    on_terminal.enter("/rotate");
    on_terminal.wait_screen("Type rotate to do it");
    on_terminal.enter("no");
    on_terminal.wait_screen("your key stays");
    on_terminal.enter("/rotate");
    on_terminal.enter("rotate");
    on_terminal.wait_screen("Password of this account");
    on_terminal.enter(&password_of("alice"));
    on_terminal.wait_screen("from now on");
    on_terminal.enter("/quit");
    assert_eq!(on_terminal.end(), 0);
}

/// Alice is a script here: first with one key, then with the next, then as somebody who has only the first.
#[test]
fn whoever_has_only_the_old_key_is_turned_away() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let first = Person::new("alice");
    let mut link = RegistryLink::sign_up(registry.address(), &first);
    let old = link.credentials.clone().expect("signed up");
    let device = link.lookup("bob").credentials.certificate.claim().expect("the registry's").device;
    let address = bob.listen().to_owned();
    let dial = |person: &Person, credentials: &Credentials| PeerLink::dial(&address, device, person, credentials);
    assert!(dial(&first, &old).is_some());
    bob.must("/verify alice", "safety_number");

    let next = |of: &Person, byte: u8| {
        let keys = of.keys.succeeded_by(&Secret::new([byte; KEYS_BYTES])).expect("one of few");
        Person { keys, ..Person::new("alice") }
    };
    let second = next(&first, 70);
    let mut anew = RegistryLink::connect(registry.address(), &second);
    let statement = second.statement(anew.realm());
    let reply = anew.ask(Request::Rotate { statement: statement.clone() });
    let Ok(Reply::SignedIn { certificate, .. }) = reply else { panic!("the new key is taken: {reply:?}") };
    let new = Credentials { statement, certificate: certificate.clone() };
    assert!(dial(&second, &new).is_some());
    bob.wait("the notice", |event| event.is("key_rotated"));

    // The certificate of before has not expired. It gets nobody in, and stops nothing.
    let mut refused = dial(&first, &old).expect("the handshake itself holds");
    let heard = refused.hear(Duration::from_secs(1));
    assert!(heard.iter().all(|message| matches!(message, PeerMessage::Bye)), "nothing is said to them: {heard:?}");
    let told = bob.wait("being told", |event| event.is("error"));
    assert_eq!(told.text("code"), "key_blocked");
    // Neither do steps that nobody signed, those of somebody else, or ones that lead elsewhere.
    let mallory = next(&Person::new("mallory"), 71);
    for person in [next(&first, 72), next(&second, 73), mallory] {
        let forged = Credentials { statement: person.statement(link.realm()), certificate: certificate.clone() };
        assert!(dial(&person, &forged).is_none());
    }
    let whois = bob.must("/whois alice", "whois");
    assert!(!whois.flag("blocked"), "{whois}");
    assert_eq!(whois.text("identity"), second.keys.key().to_string());
}
