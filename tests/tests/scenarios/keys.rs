//! Keys that a person can handle: one that changed, one that was compared, a registry with another one, and accounts
//! that a registry has lost.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use common::thread::spawn;
use tests::programs::registry_command;
use tests::wire::Proxy;
use tests::{DEADLINE, Ended, JsonPeer, Launch, Registry, TermPeer};

#[test]
fn a_changed_key_stops_everything_until_the_user_decides() {
    let (registry, mut alice, bob) = with_another_bob();
    let own = bob.must("@alice it is me, really", "message");
    let changed = alice.wait("the warning", |event| event.is("key_changed"));
    assert_eq!(changed.text("user"), "bob");
    alice.refused("@bob who are you?", "key_blocked");
    alice.refused("/verify bob", "key_blocked");
    let whois = alice.must("/whois bob", "whois");
    assert!(whois.flag("blocked") && !whois.flag("verified"), "{whois}");
    assert_eq!((whois.text("identity"), whois.text("new_identity")), (changed.text("old"), changed.text("new")));
    assert_eq!(bob.must("/fingerprint", "fingerprint").text("identity"), changed.text("new"));
    let id = own.text("id").to_owned();
    bob.wait("the mailbox taking it", |event| {
        event.is("delivery") && event.text("id") == id && event.text("state") == "mailbox"
    });
    let heard = alice.so_far().iter().any(|event| event.is_message("@bob", "bob"));
    alice.transcript().check(!heard, "nothing of the other is shown");

    // The same after a crash, with the other one gone.
    bob.kill9();
    alice.kill9();
    alice.restart();
    alice.wait("the reminder", |event| event.is("key_changed"));
    alice.refused("@bob still?", "key_blocked");
    alice.refused("/accept-key carol", "usage");
    let accepted = alice.must("/accept-key bob", "key_accepted");
    assert_eq!((accepted.text("key"), accepted.number("held")), (changed.text("new"), Some(1)));
    alice.hears("@bob", "bob", "it is me, really");
    let mut bob = bob;
    bob.restart();
    alice.says("@bob welcome back");
    bob.hears("@alice", "alice", "welcome back");
    bob.says("@alice thank you");
    alice.hears("@bob", "bob", "thank you");
    let history = bob.must("/history @alice", "history").to_string();
    assert!(!history.contains("for the first bob only"), "what was said before is not for the new key: {history}");
    let whole = alice.must("/history @bob", "history").to_string();
    assert!(whole.contains("for the first bob only") && whole.contains("thank you"), "one conversation: {whole}");
    assert_eq!(registry.fingerprint().len(), 32);
}

/// Some of it lies in the mailbox, and some is sent once there is a link again.
#[test]
fn what_came_meanwhile_is_shown_once_and_in_order_or_never() {
    for accepts in [true, false] {
        let (mut registry, alice, bob) = with_another_bob();
        let say = |numbers: std::ops::RangeInclusive<u32>| -> Vec<String> {
            numbers.map(|number| bob.must(&format!("@alice line {number}"), "message").text("id").to_owned()).collect()
        };
        let mut ids = say(1..=3);
        for id in &ids {
            bob.wait("the mailbox taking it", |event| {
                event.is("delivery") && event.text("id") == id && event.text("state") == "mailbox"
            });
        }
        let shown_key = alice.wait("the warning", |event| event.is("key_changed")).text("new").to_owned();
        registry.kill();
        for peer in [&alice, &bob] {
            peer.wait("the registry gone", |event| event.is("link") && event.text("state") == "offline");
        }
        ids.extend(say(4..=6));
        if accepts {
            let accepted = alice.must("/accept-key bob", "key_accepted");
            assert_eq!(accepted.text("key"), shown_key);
            for id in &ids {
                bob.wait("it being on alice's disk", |event| {
                    event.is("delivery") && event.text("id") == id && event.text("state") == "delivered"
                });
            }
        } else {
            let rejected = alice.must("/reject-key bob", "key_rejected");
            assert_eq!(rejected.text("key"), shown_key);
            // He comes again and is turned away again.
            alice.wait("the warning", |event| event.is("key_changed") && event.text("new") == shown_key);
        }
        registry.restart();
        bob.wait("the registry back", |event| event.is("link") && event.text("state") == "online");
        alice.wait("the registry back", |event| event.is("link") && event.text("state") == "online");
        let lines: Vec<String> = (1..=6).filter(|_| accepts).map(|number| format!("line {number}")).collect();
        let events = alice.so_far();
        let shown: Vec<&str> = events
            .iter()
            .filter(|event| event.is_message("@bob", "bob") && event.text("text").starts_with("line"))
            .map(|event| event.text("text"))
            .collect();
        alice.transcript().check(shown == lines, &format!("{shown:?} were shown, accepted: {accepts}"));
        let acknowledged = bob.so_far().iter().any(|event| event.is("delivery") && event.text("state") == "delivered");
        assert_eq!(acknowledged, accepts);
        let history = alice.must("/history @bob", "history").to_string();
        assert_eq!(history.contains("line 1"), accepts, "{history}");
    }
}

#[test]
fn at_a_prompt_the_name_is_typed_again() {
    let (_registry, alice, bob) = with_another_bob();
    alice.kill9();
    let on_terminal = TermPeer::launch(alice.launch.again(), 40, 100);
    on_terminal.wait_screen("alice> ");
    bob.must("@alice it is me, really", "message");
    on_terminal.wait_screen("The key of bob changed.");
    on_terminal.enter("/accept-key bob");
    on_terminal.wait_screen("Type bob to accept it");
    on_terminal.enter("carol");
    on_terminal.wait_screen("nothing was accepted");
    on_terminal.enter("/accept-key bob");
    on_terminal.enter("bob");
    on_terminal.wait_screen("from now on");
    on_terminal.wait_screen("it is me, really");
    on_terminal.enter("@bob so it is");
    bob.hears("@alice", "alice", "so it is");
    on_terminal.enter("/quit");
    assert_eq!(on_terminal.end(), 0);
}

#[test]
fn digits_are_the_same_on_both_sides_and_mark() {
    let registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let digits = alice.must("/verify bob", "safety_number").text("digits").to_owned();
    assert_eq!(digits.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(bob.must("/verify alice", "safety_number").text("digits"), digits);
    assert!(!alice.must("/whois bob", "whois").flag("verified"));
    let first = digits.chars().next().unwrap();
    let wrong = digits.replacen(first, if first == '0' { "1" } else { "0" }, 1);
    assert!(alice.refused(&format!("/verify bob {wrong}"), "credentials").text("text").contains("DIFFER"));
    alice.refused("/verify bob 12345", "usage");
    alice.refused("/verify alice", "usage");
    assert!(!alice.must("/whois bob", "whois").flag("verified"), "nothing was marked");
    assert_eq!(alice.must(&format!("/verify bob {digits}"), "verified").text("digits"), digits);
    bob.must(&format!("/verify alice {}", digits.replace(' ', "")), "verified");
    alice.kill9();
    alice.restart();
    assert!(alice.must("/whois bob", "whois").flag("verified"), "the mark is kept");
}

#[test]
fn a_registry_that_lost_accounts_gives_them_back() {
    let (mut registry, alice, backup) = with_a_backup();
    let mut carol = JsonPeer::start(&registry, "carol");
    let dave = JsonPeer::start(&registry, "dave");
    carol.says("@alice before");
    let identity = alice.must("/whois carol", "whois").text("identity").to_owned();
    dave.kill9();
    put_back(&mut registry, &backup.path().join("copy"));
    for peer in [&alice, &carol] {
        peer.wait("being back by itself", |event| event.is("link") && event.text("state") == "online");
    }
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "carol"]);
    assert_eq!(alice.must("/whois carol", "whois").text("identity"), identity);
    carol.says("@alice as if nothing had been");
    alice.hears("@carol", "carol", "as if nothing had been");

    // The password is set anew when it is next at hand: then another device knows it, and is one too many.
    carol.kill9();
    carol.restart();
    carol.says("@alice again");
    let elsewhere = JsonPeer::launch(Launch::new(&registry, "carol").again());
    assert_eq!(elsewhere.end(), Ended::Exit(7));
    // Dave was not there; by the time he comes, somebody has his name.
    let other = Launch::new(&registry, "dave").with(|launch| launch.password = Some("not dave's own".to_owned()));
    let thief = JsonPeer::launch(other);
    thief.signed_in();
    let again = JsonPeer::launch(dave.launch.again());
    assert_eq!(again.wait("the refusal", |event| event.is("error")).text("code"), "name_taken");
    assert_eq!(again.end(), Ended::Exit(3));
    drop(thief);
}

#[test]
fn an_impostor_registry_is_shown_nothing() {
    let mut registry = Registry::start(&[]);
    let proxy = Proxy::start(registry.address());
    let address = proxy.address().to_owned();
    let alice = JsonPeer::launch(Launch::new(&registry, "alice").with(|launch| launch.registry = address.clone()));
    alice.signed_in();
    registry.kill();
    let folder = tempfile::tempdir().unwrap();
    let mut command = registry_command(&folder.path().join("impostor"));
    command.args(["--listen", "127.0.0.1:0"]);
    let impostor = Registry::from_command(command);
    drop(proxy);
    let listener = TcpListener::bind(&address).expect("the port of the proxy is free again");

    // The program that runs, and the same one started anew: each stops after what it sends to everybody.
    check_tapped(&listener, impostor.address(), &alice);
    alice.wait("the change being told", |event| event.is("error") && event.text("code") == "realm_changed");
    alice.kill9();
    let again = JsonPeer::launch(alice.launch.again());
    check_tapped(&listener, impostor.address(), &again);
    again.wait("the change being told", |event| event.is("error") && event.text("code") == "realm_changed");
    assert_eq!(again.end(), Ended::Exit(4));
}

#[test]
fn names_are_told_apart_by_eye_and_by_program() {
    let registry = Registry::start(&[]);
    let [alice, bob, fake] = JsonPeer::start_all(&registry, ["alice", "bob", "b0b"]);
    bob.says("@alice I am bob");
    alice.hears("@bob", "bob", "I am bob");
    fake.says("@alice I am bob, too");
    let alike = alice.wait("the warning", |event| event.is("look_alike"));
    assert_eq!((alike.text("user"), alike.text("like")), ("b0b", "bob"));
    fake.says("@alice really");
    alice.hears("@b0b", "b0b", "really");
    assert_eq!(alice.so_far().iter().filter(|event| event.is("look_alike")).count(), 1);
    for foreign in ["аlice", "ａlice", "alicé", "ali\u{200b}ce"] {
        alice.refused(&format!("/whois {foreign}"), "bad_name");
    }
}

/// Alice, and a copy of the registry from when there was nobody else.
fn with_a_backup() -> (Registry, JsonPeer, tempfile::TempDir) {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let backup = tempfile::tempdir().unwrap();
    registry.kill();
    copy(&registry.data_dir(), &backup.path().join("copy"));
    registry.restart();
    alice.wait("the registry being back", |event| event.is("link") && event.text("state") == "online");
    (registry, alice, backup)
}

/// Alice, and somebody who has the name of the bob she talked with, and keys of their own: the registry went back to
/// a time before bob.
fn with_another_bob() -> (Registry, JsonPeer, JsonPeer) {
    let (mut registry, alice, backup) = with_a_backup();
    let bob = JsonPeer::start(&registry, "bob");
    alice.says("@bob for the first bob only");
    bob.says("@alice hello");
    alice.hears("@bob", "bob", "hello");
    // What was acknowledged is on alice's disk with this.
    assert_eq!(alice.quit(), Ended::Exit(0));
    bob.kill9();
    put_back(&mut registry, &backup.path().join("copy"));
    let mut alice = alice;
    alice.restart();
    let other = JsonPeer::start(&registry, "bob");
    (registry, alice, other)
}

fn put_back(registry: &mut Registry, copied: &Path) {
    registry.kill();
    std::fs::remove_dir_all(registry.data_dir()).unwrap();
    copy(copied, &registry.data_dir());
    registry.restart();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            // What is neither is the way in for an operator.
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Lets one connection through to `target`: its client sends the preamble and the first handshake message, which holds
/// nothing but a fresh key, and hangs up.
#[track_caller]
fn check_tapped(listener: &TcpListener, target: &str, peer: &JsonPeer) {
    let (near, _) = listener.accept().unwrap();
    near.set_read_timeout(Some(DEADLINE)).unwrap();
    let far = TcpStream::connect(target).unwrap();
    let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let answers = spawn("tap", move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let (mut sent, mut buffer, mut near, mut far) = (Vec::new(), [0; 4096], near, far);
    while let Ok(count @ 1..) = near.read(&mut buffer) {
        sent.extend_from_slice(&buffer[..count]);
        let _ = far.write_all(&buffer[..count]);
    }
    let _ = far.shutdown(std::net::Shutdown::Both);
    drop(answers);
    let public = [common::wire::PREAMBLE.as_slice(), &[0, 32]].concat();
    let holds_only = sent.starts_with(&public) && sent.len() == public.len() + 32;
    peer.transcript().check(holds_only, &format!("{} sent {} bytes: {sent:?}", peer.name(), sent.len()));
}
