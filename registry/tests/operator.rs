//! What an operator does with a registry, running or not: let people in, keep them out, look, and take a copy.

#![expect(clippy::disallowed_methods, reason = "programs and files are what is tested here")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::message::registry::{Code, News, Reply, Request};
use common::secure::token;
use registry::store::folder;
use support::running::{Running, command, logged, stranger};
use support::{Person, dial_at, person};

/// Exit code, stdout and stderr of an order.
fn order(home: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(words).arg("--data-dir").arg(home).env("XDG_CONFIG_HOME", home).stdin(Stdio::null());
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

#[track_caller]
fn obeyed(home: &Path, words: &[&str]) -> String {
    let (code, out, err) = order(home, words);
    assert_eq!(code, Some(0), "{words:?}: {out}{err}");
    out
}

#[track_caller]
fn failed(home: &Path, words: &[&str], reason: &str) {
    let (code, out, err) = order(home, words);
    assert_eq!(code, Some(1), "{words:?}: {out}{err}");
    assert!(err.contains(reason) && err.lines().count() == 1, "{words:?}: {err}");
}

fn with_token(who: &Person, token: &str) -> Request {
    let token = token::parse(token.trim()).expect("a token was printed");
    let statement = who.keys.statement(who.realm, who.name.clone());
    Request::SignUp { auth: who.auth(1), statement, token: Some(*token.expose()) }
}

fn here(home: &Path, name: &str) -> Person {
    person(name).of(folder::realm_of(home).unwrap())
}

#[test]
fn a_token_lets_its_name_in_once_where_sign_up_is_closed() {
    let home = tempfile::tempdir().unwrap();
    for rule in ["sign_up=token", "sign_up=closed"] {
        let running = Running::with(home.path(), &["--set", rule]);
        let name = rule.replace("sign_up=", "by-");
        let guest = here(home.path(), &name);
        let mut line = dial_at(running.address, &guest);
        assert_eq!(line.refused(guest.sign_up()), Code::NotPermitted);
        let token = obeyed(home.path(), &["user", "add", &name]);
        let other = here(home.path(), "somebody-else");
        assert_eq!(dial_at(running.address, &other).refused(with_token(&other, &token)), Code::NotPermitted);
        assert_eq!(line.refused(guest.sign_up()), Code::NameTaken, "it is kept for whoever has the token");
        assert!(matches!(line.ask(with_token(&guest, &token)), Ok(Reply::SignedIn { .. })));
        failed(home.path(), &["user", "add", &name], "There is an account");
        drop(running);
    }
}

#[test]
fn a_reset_begins_a_name_anew_and_its_token_works_while_the_registry_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path());
    let alice = here(home.path(), "alice");
    assert!(dial_at(running.address, &alice).ask(alice.sign_up()).is_ok());
    running.stop();
    failed(home.path(), &["user", "reset", "ghost"], "There is no account ghost");
    let token = obeyed(home.path(), &["user", "reset", "alice"]);
    let running = Running::start(home.path());
    let mut anew = here(home.path(), "alice-anew");
    anew.name = alice.name.clone();
    assert_eq!(dial_at(running.address, &anew).refused(anew.sign_up()), Code::NameTaken);
    assert!(dial_at(running.address, &anew).ask(with_token(&anew, &token)).is_ok());
    assert_eq!(dial_at(running.address, &alice).refused(alice.resume()), Code::Credentials, "the old device is out");
    assert_eq!(dial_at(running.address, &anew).refused(with_token(&anew, &token)), Code::NotPermitted, "used up");
    assert!(dial_at(running.address, &anew).ask(anew.resume()).is_ok());
}

#[test]
fn who_is_suspended_is_out_at_once_and_stays_out_over_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path());
    let [alice, bob] = ["alice", "bob"].map(|name| here(home.path(), name));
    let mut at_alice = dial_at(running.address, &alice);
    assert!(at_alice.ask(alice.sign_up()).is_ok());
    let mut at_bob = dial_at(running.address, &bob);
    assert!(at_bob.ask(bob.sign_up()).is_ok());
    obeyed(home.path(), &["user", "suspend", "alice"]);
    assert_eq!(at_alice.hear(), News::Closing);
    assert_eq!(at_alice.next(), None);
    assert_eq!(at_bob.ask(Request::Ping), Ok(Reply::Done));
    let refused = |running: &Running| {
        let mut line = dial_at(running.address, &alice);
        // Only who has shown the password or the device hears of the suspension.
        assert_eq!(line.refused(alice.sign_in(9)), Code::Credentials);
        assert_eq!(line.refused(alice.sign_in(1)), Code::NotPermitted);
        assert_eq!(line.refused(alice.resume()), Code::NotPermitted);
    };
    refused(&running);
    let listed = obeyed(home.path(), &["user", "list"]);
    assert!(listed.starts_with("alice\tsuspended\t") && listed.contains("\nbob\tonline\t-\n"), "{listed}");
    running.stop();
    assert!(obeyed(home.path(), &["user", "list"]).contains("bob\toffline\t"));
    let running = Running::start(home.path());
    refused(&running);
    obeyed(home.path(), &["user", "resume", "alice"]);
    assert!(dial_at(running.address, &alice).ask(alice.resume()).is_ok());
    failed(home.path(), &["user", "suspend", "ghost"], "There is no account ghost");
    let (code, _, err) = order(home.path(), &["user", "suspend", "No Name"]);
    assert_eq!((code, err.contains("no name an account can have")), (Some(2), true), "{err}");
}

#[test]
fn counts_are_told_while_it_runs_and_that_it_does_not_when_it_does_not() {
    let home = tempfile::tempdir().unwrap();
    failed(home.path(), &["stats"], "There is no registry in");
    let running = Running::start(home.path());
    let alice = here(home.path(), "alice");
    let mut line = dial_at(running.address, &alice);
    assert!(line.ask(alice.sign_up()).is_ok());
    let _silent = stranger(&running);
    // Connections are let in in their order.
    let _later = dial_at(running.address, &here(home.path(), "bob"));
    let mode = std::fs::metadata(home.path().join("registry.control")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let told = obeyed(home.path(), &["stats"]);
    for line in ["online=1", "strangers=2", "accounts=1", "signed_in=1", "throttled=0"] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
    let json = obeyed(home.path(), &["stats", "--json"]);
    assert!(
        json.starts_with(r#"{"type":"stats","running":true,"up_s":"#) && json.contains(r#","online":1,"#),
        "{json}"
    );
    running.stop();
    failed(home.path(), &["stats"], "is not running");
    let (code, json, _) = order(home.path(), &["stats", "--json"]);
    assert_eq!((code, json.as_str()), (Some(1), "{\"type\":\"stats\",\"running\":false}\n"));
}

#[test]
fn a_backup_of_a_running_registry_is_that_registry_again() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(&home.path().join("data"));
    let alice = here(&home.path().join("data"), "alice");
    assert!(dial_at(running.address, &alice).ask(alice.sign_up()).is_ok());
    let file = home.path().join("backup.tar");
    let data = home.path().join("data");
    obeyed(&data, &["backup", file.to_str().unwrap()]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    failed(&data, &["backup", file.to_str().unwrap()], "exists already");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    failed(&data, &["backup", "/no/such/folder/file"], "Cannot write");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let realm = running.realm.clone();
    running.stop();

    let restored = home.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::set_permissions(&restored, PermissionsExt::from_mode(0o700)).unwrap();
    let unpacked = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&restored).status().unwrap();
    assert!(unpacked.success());
    obeyed(&restored, &["check"]);
    let running = Running::start(&restored);
    assert_eq!(running.realm, realm);
    assert!(dial_at(running.address, &alice).ask(alice.resume()).is_ok());
}

#[test]
fn what_is_not_whole_is_told_and_not_touched() {
    let home = tempfile::tempdir().unwrap();
    failed(home.path(), &["check"], "There is no registry in");
    let running = Running::start(home.path());
    let alice = here(home.path(), "alice");
    assert!(dial_at(running.address, &alice).ask(alice.sign_up()).is_ok());
    assert!(obeyed(home.path(), &["check"]).contains("is whole: 1 accounts, 0 rooms"), "while it runs");
    running.stop();
    obeyed(home.path(), &["check"]);

    let database = home.path().join("registry.db");
    let whole = std::fs::read(&database).unwrap();
    let mut broken = whole.clone();
    let middle = broken.len() / 2 / 4096 * 4096;
    broken[middle..middle + 4096].fill(0xa5);
    std::fs::write(&database, &broken).unwrap();
    failed(home.path(), &["check"], "is not whole");
    failed(home.path(), &["backup", home.path().join("copy").to_str().unwrap()], "is not whole");
    assert!(!home.path().join("copy").exists(), "no copy of what is broken");
    assert_eq!(std::fs::read(&database).unwrap(), broken);
    std::fs::write(&database, &whole).unwrap();
    let keys = home.path().join("realm.keys");
    let kept = std::fs::read(&keys).unwrap();
    std::fs::write(&keys, b"half").unwrap();
    failed(home.path(), &["check"], "is damaged");
    let mut other = kept.clone();
    *other.last_mut().unwrap() ^= 1;
    other[40] ^= 1;
    std::fs::write(&keys, &other).unwrap();
    failed(home.path(), &["check"], "another realm");
    std::fs::write(&keys, &kept).unwrap();
    obeyed(home.path(), &["check"]);
}

#[test]
fn the_log_holds_no_names_unless_it_is_asked_to_and_secrets_never() {
    let home = tempfile::tempdir().unwrap();
    for (level, may_name) in [("--quiet", false), ("", false), ("-vv", true)] {
        let mut registry = command(home.path());
        registry.args(["--json", "--listen", "127.0.0.1:0", "--set", "passwords.bcrypt_cost=4"]);
        registry.args(Some(level).filter(|level| !level.is_empty()));
        let told = logged(registry, |address| {
            let alice = here(home.path(), &format!("alice-{}", level.len()));
            let mut line = dial_at(address, &alice);
            assert!(line.ask(alice.sign_up()).is_ok());
            assert!(line.ask(Request::SignOut).is_ok());
            assert_eq!(line.refused(alice.sign_in(9)), Code::Credentials);
            assert!(line.ask(alice.resume()).is_ok());
            obeyed(home.path(), &["user", "suspend", alice.name.as_str()]);
            (alice.name.to_string(), obeyed(home.path(), &["user", "reset", alice.name.as_str()]))
        });
        let (log, (name, token)) = told;
        assert!(!log.contains(token.trim()) && !log.contains(&token.trim().replace('-', "")), "{log}");
        for secret in ["[1, 1, 1", "AQEBAQEB", "01010101", "$2b$"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        assert_eq!(log.contains(&name), may_name, "at '{level}': {log}");
        assert!(may_name || !log.contains(" source="), "at '{level}': {log}");
        assert_eq!(log.contains("signed_in="), level != "--quiet", "all counts are told at the end: {log}");
    }
}
