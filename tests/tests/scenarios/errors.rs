//! What goes wrong is said in one line with the code and exit code that scripts rely on, and nothing else is disturbed.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tests::programs::{Process, registry_command};
use tests::{Ended, JsonPeer, Launch, Registry, Transcript};

#[test]
fn sign_ins_that_are_refused_end_the_program() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let wrong_password = alice.launch.again().with(|launch| launch.password = Some("not the right one".into()));
    let nobody = Launch::new(&registry, "nobody-known").again();
    let taken = Launch::new(&registry, "alice");
    assert_eq!(alice.quit(), Ended::Exit(0));
    for (launch, code, exit) in
        [(wrong_password, "credentials", 3), (nobody, "credentials", 3), (taken, "name_taken", 3)]
    {
        ends(JsonPeer::launch(launch), code, exit);
    }
    // The account is as it was.
    let mut alice = alice;
    alice.restart();
}

#[test]
fn names_that_cannot_be_are_wrong_usage() {
    let registry = Registry::start(&[]);
    for name in ["a", "two words", "-dash", "system", "аlice", "x123456789012345678901234567"] {
        let launch = Launch::new(&registry, "somebody").with(|launch| launch.name = name.to_owned());
        ends(JsonPeer::launch(launch), "bad_name", 2);
    }
}

#[test]
fn lines_that_cannot_be_are_refused_and_nothing_is_sent() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("/query bob hello");
    assert!(alice.refused("/mgs bob hi", "unknown_command").text("text").contains("/msg"));
    alice.refused("/op bob", "unknown_command");
    alice.refused(" /msg bob guarded", "usage");
    alice.refused("/msg", "usage");
    alice.refused("/msg nobody-known hi", "no_such_user");
    alice.refused("@nobody-known hi", "no_such_user");
    alice.refused("/whois nobody-known", "no_such_user");
    alice.refused("/invite bob #nowhere", "not_member");
    alice.refused("/switch #nowhere", "not_member");
    alice.send("{\"id\":\"broken\"");
    alice.wait("the broken line being refused", |event| event.is("error") && event.text("code") == "usage");
    alice.says("@bob still fine");
    bob.hears("@alice", "alice", "still fine");
    let texts: Vec<String> =
        bob.so_far().iter().filter_map(|event| super::one_to_one::text_of(event, "alice")).collect();
    assert_eq!(texts, ["hello", "still fine"]);
}

#[test]
fn a_registry_that_is_not_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    ends(JsonPeer::launch(Launch::alone(&closed, "alice")), "unreachable", 4);
    ends(JsonPeer::launch(Launch::alone("no-such-host.invalid:15600", "alice")), "unreachable", 4);
    // Something else listens there.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let stranger = common::thread::spawn("stranger", move || {
        let (mut stream, _) = other.accept().unwrap();
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    ends(JsonPeer::launch(Launch::alone(&address, "alice")), "unreachable", 4);
    drop(stranger);
}

#[test]
fn an_unknown_registry_is_not_trusted_unasked() {
    let registry = Registry::start(&[]);
    let launch = Launch::new(&registry, "alice").with(|launch| launch.extra.clear());
    let alice = JsonPeer::launch(launch);
    assert_eq!(alice.wait("a refusal", |event| event.is("error")).text("code"), "realm_unknown");
    assert!(matches!(alice.end(), Ended::Exit(3 | 4)));
}

#[test]
fn another_registry_in_the_old_ones_place_is_refused() {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    assert_eq!(alice.quit(), Ended::Exit(0));
    registry.stop();
    fs::remove_dir_all(registry.data_dir()).unwrap();
    registry.restart();
    let again = JsonPeer::launch(alice.launch.again());
    assert_eq!(again.wait("a refusal", |event| event.is("error")).text("code"), "realm_changed");
    assert!(matches!(again.end(), Ended::Exit(3 | 4)));
}

#[test]
fn a_port_in_use_is_said_before_anything_else_happens() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let listen = alice.listen();
    let bob = JsonPeer::launch(Launch::new(&registry, "bob").with(|launch| launch.listen.clone_from(&listen)));
    assert_eq!(bob.end(), Ended::Exit(1));
    let seen = bob.seen();
    assert!(seen.iter().any(|event| event.is("error") && event.text("text").contains(&listen)), "{seen:?}");
    assert!(!seen.iter().any(|event| event.is("signed_in")), "{seen:?}");
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
}

#[test]
fn two_programs_cannot_share_a_profile() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let second = JsonPeer::launch(alice.launch.again());
    assert_eq!(second.end(), Ended::Exit(1));
    let seen = second.seen();
    let pid = alice.pid().to_string();
    assert!(seen.iter().any(|event| event.is("error") && event.text("text").contains(&pid)), "{pid} in {seen:?}");
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
}

#[test]
fn folders_and_databases_that_cannot_be_used_are_left_as_they_are() {
    let registry = Registry::start(&[]);
    let file_instead = Launch::new(&registry, "alice");
    fs::write(file_instead.data_dir(), "not a folder").unwrap();
    ends(JsonPeer::launch(file_instead.clone()), "storage", 74);
    assert_eq!(fs::read_to_string(file_instead.data_dir()).unwrap(), "not a folder");

    let mut alice = JsonPeer::start(&registry, "alice");
    assert_eq!(alice.quit(), Ended::Exit(0));
    let database = find(&alice.launch.data_dir(), "messages.db");
    let whole = fs::read(&database).unwrap();
    let broken = [b"this is no database".repeat(300), whole[5700..].to_vec()].concat();
    fs::write(&database, &broken).unwrap();
    let seen = ends(JsonPeer::launch(alice.launch.again()), "storage", 74);
    assert!(seen.contains("messages.db"), "it names the file: {seen}");
    assert!(fs::read(&database).unwrap() == broken, "the broken file is left for whoever can mend it");
    fs::write(&database, &whole).unwrap();
    alice.restart();
}

#[test]
fn the_registry_says_what_it_cannot_use() {
    let transcript = Transcript::default();
    let folder = tempfile::TempDir::new().unwrap();
    let in_use = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = in_use.local_addr().unwrap().to_string();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let data = folder.path().join("data");
    let cases: [(&std::path::Path, &[&str], i32, &str); 6] = [
        (&data, &["--listen", &address], 1, &address),
        (&file, &["--listen", "127.0.0.1:0"], 1, "file"),
        (&data, &["--set", "limits.sesions=3"], 2, "limits.sessions"),
        (&data, &["--set", "passwords.bcrypt_cost=99"], 2, "passwords.bcrypt_cost"),
        (&data, &["--config", "/nowhere/at/all.toml"], 2, "/nowhere/at/all.toml"),
        (&data, &["--no-such-flag"], 2, "--no-such-flag"),
    ];
    for (data_dir, arguments, exit, word) in cases {
        let mut command = registry_command(data_dir);
        command.args(arguments);
        let mut process = Process::start("registry", command, &transcript);
        assert_eq!(process.end(), Ended::Exit(exit), "{arguments:?}\n{}", transcript.text());
        drop(process);
        transcript.check(transcript.text().contains(word), &format!("{arguments:?} should be told of {word}"));
    }
}

#[test]
fn two_registries_cannot_share_a_folder() {
    let registry = Registry::start(&[]);
    let mut command = registry_command(&registry.data_dir());
    command.args(["--listen", "127.0.0.1:0"]);
    let mut second = Process::start("second", command, registry.transcript());
    assert_eq!(second.end(), Ended::Exit(1));
    JsonPeer::start(&registry, "alice");
}

#[test]
fn a_registry_with_a_broken_database_refuses_to_start() {
    let mut registry = Registry::start(&[]);
    JsonPeer::start(&registry, "alice");
    registry.stop();
    let database = find(&registry.data_dir(), ".db");
    let broken = b"this is no database".repeat(500);
    fs::write(&database, &broken).unwrap();
    let mut second = Process::start("second", registry_command(&registry.data_dir()), registry.transcript());
    assert_eq!(second.end(), Ended::Exit(1));
    assert!(fs::read(&database).unwrap() == broken, "the broken file is left for whoever can mend it");
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    alice.must("/create #dev", "created");
    for folder in [alice.launch.data_dir(), registry.data_dir()] {
        let open = everything_below(&folder).into_iter().find(|path| {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            mode & Permissions::from_mode(0o077).mode() != 0
        });
        registry.transcript().check(open.is_none(), &format!("others can read {open:?}"));
    }
}

/// The program ends with one error of this code and this exit code, and says goodbye; the error's text.
#[track_caller]
pub(super) fn ends(peer: JsonPeer, code: &str, exit: i32) -> String {
    let ended = peer.end();
    let seen = peer.seen();
    let errors: Vec<_> = seen.iter().filter(|event| event.is("error")).collect();
    let told = format!("{ended:?} with {seen:?}");
    peer.transcript().check(ended == Ended::Exit(exit), &format!("exit {exit} was expected, not {told}"));
    peer.transcript().check(errors.len() == 1, &format!("one error was expected, not {told}"));
    peer.transcript().check(errors[0].text("code") == code, &format!("{code} was expected, not {told}"));
    let text = errors[0].text("text").to_owned();
    peer.transcript().check(!text.is_empty() && !text.contains('\n'), &format!("one line was expected, not {text}"));
    peer.transcript().check(seen.last().is_some_and(|event| event.is("bye")), &format!("no goodbye in {told}"));
    text
}

#[track_caller]
pub(super) fn find(folder: &std::path::Path, end: &str) -> std::path::PathBuf {
    let found = everything_below(folder).into_iter().find(|path| path.to_string_lossy().ends_with(end));
    found.unwrap_or_else(|| panic!("no *{end} below {}", folder.display()))
}

fn everything_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        found.extend(if path.is_dir() { everything_below(&path) } else { vec![path] });
    }
    found
}
