//! Changing a password, with the programs killed on the way: whatever happens, nobody is locked out.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::programs::password_of;
use tests::{DEADLINE, Ended, JsonPeer, Launch, Registry};

#[test]
fn a_changed_password_counts_and_the_old_one_does_not() {
    let registry = Registry::start(&[]);
    let mut alice = JsonPeer::start(&registry, "alice");
    passwords(&alice, "not the old one", NEW);
    alice.refused("/passwd", "credentials");
    assert_eq!(files(&alice), ["keys"], "nothing is left of that");
    alice.refused("/passwd", "credentials");
    passwords(&alice, &password_of("alice"), "short");
    alice.refused("/passwd", "bad_password");
    passwords(&alice, &password_of("alice"), NEW);
    alice.must("/passwd", "password_changed");
    assert_eq!(files(&alice), ["keys"]);
    alice.kill9();
    check(&alice, &password_of("alice"), false);
    alice.launch.password = Some(NEW.to_owned());
    alice.restart();
    // The registry, too: from elsewhere the new one is right, and the device is one too many.
    assert_eq!(elsewhere(&registry, NEW), Ended::Exit(7));
    assert_eq!(elsewhere(&registry, &password_of("alice")), Ended::Exit(3));
}

#[test]
fn a_program_killed_before_the_answer_opens_with_both() {
    let (mut registry, alice) = in_the_middle();
    alice.kill9();
    registry.process().signal(libc::SIGCONT);
    for password in [password_of("alice"), NEW.to_owned()] {
        check(&alice, &password, true);
    }
    // Whichever the registry knows by now, the next change settles it.
    settle(&registry, alice);
}

#[test]
fn a_registry_killed_before_it_changes_anything_leaves_both() {
    let (mut registry, alice) = in_the_middle();
    registry.kill();
    alice.wait("being told", |event| event.is("error") && event.text("code") == "unreachable");
    registry.restart();
    alice.wait("the registry being back", |event| event.is("link") && event.text("state") == "online");
    alice.kill9();
    for password in [password_of("alice"), NEW.to_owned()] {
        check(&alice, &password, true);
    }
    settle(&registry, alice);
}

#[test]
fn a_program_killed_at_any_moment_of_it_opens_with_one_of_the_two() {
    let registry = Registry::start(&[]);
    let mut alice = JsonPeer::start(&registry, "alice");
    let (mut old, mut new) = (password_of("alice"), NEW.to_owned());
    for round in 0..8 {
        passwords(&alice, &old, &new);
        alice.send("/passwd");
        // Two stretchings and a hash take some hundred milliseconds; the kill comes somewhere in between, or after.
        let _ = crossbeam_channel::after(Duration::from_millis(90 * round)).recv();
        alice.kill9();
        let opens = |password: &str| opens(&alice, password);
        let (with_old, with_new) = (opens(&old), opens(&new));
        registry.transcript().check(with_old || with_new, &format!("round {round} locked alice out"));
        if with_new {
            std::mem::swap(&mut old, &mut new);
        }
        alice.launch.password = Some(old.clone());
        alice.restart();
    }
}

/// The new keys lie beside the old ones, and the registry does not answer.
fn in_the_middle() -> (Registry, JsonPeer) {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    passwords(&alice, &password_of("alice"), NEW);
    registry.process().signal(libc::SIGSTOP);
    alice.send("/passwd");
    wait_for_file(&alice, "keys.new");
    (registry, alice)
}

/// Both passwords may open the keys; a further change, whichever it is asked for with, leaves one.
fn settle(registry: &Registry, mut alice: JsonPeer) {
    let last = "the last of all";
    for old in [NEW.to_owned(), password_of("alice")] {
        alice.launch.password = Some(old.clone());
        if !opens(&alice, &old) {
            continue;
        }
        alice.restart();
        passwords(&alice, &old, last);
        let is_changed = alice.ask("/passwd").is("password_changed");
        alice.kill9();
        if is_changed {
            check(&alice, last, true);
            check(&alice, &old, false);
            assert_eq!(files(&alice), ["keys"]);
            assert_eq!(elsewhere(registry, last), Ended::Exit(7));
            return;
        }
    }
    registry.transcript().fail("neither password changes it");
}

/// Writes the file that `/passwd` reads.
fn passwords(peer: &JsonPeer, old: &str, new: &str) {
    std::fs::write(peer.launch.folder().join("password"), format!("{old}\n{new}\n")).unwrap();
}

/// Whether the program starts with a password.
fn opens(peer: &JsonPeer, password: &str) -> bool {
    let launch = peer.launch.again().with(|launch| launch.password = Some(password.to_owned()));
    let again = JsonPeer::launch(launch);
    let answer = again.wait("the answer to a sign-in", |event| event.is("signed_in") || event.is("error"));
    again.kill9();
    answer.is("signed_in")
}

#[track_caller]
fn check(peer: &JsonPeer, password: &str, expected: bool) {
    let opens = opens(peer, password);
    peer.transcript().check(opens == expected, &format!("'{password}' opens: {opens}"));
}

/// How somebody with nothing but this password ends, on another machine.
fn elsewhere(registry: &Registry, password: &str) -> Ended {
    let launch = Launch::new(registry, "alice").again().with(|launch| launch.password = Some(password.to_owned()));
    JsonPeer::launch(launch).end()
}

fn keys_folder(peer: &JsonPeer) -> PathBuf {
    let accounts = peer.launch.data_dir().join("accounts");
    let realm = std::fs::read_dir(accounts).unwrap().next().unwrap().unwrap().path();
    realm.join(peer.name())
}

fn files(peer: &JsonPeer) -> Vec<String> {
    let names = std::fs::read_dir(keys_folder(peer)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut keys: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    keys.retain(|name| name.contains("keys"));
    keys.sort_unstable();
    keys
}

#[track_caller]
fn wait_for_file(peer: &JsonPeer, name: &str) {
    let (path, deadline) = (keys_folder(peer).join(name), Instant::now() + DEADLINE);
    while !path.exists() {
        peer.transcript().check(Instant::now() < deadline, &format!("waited for {name}"));
        let _ = crossbeam_channel::after(Duration::from_millis(5)).recv();
    }
}

const NEW: &str = "an even better horse";
