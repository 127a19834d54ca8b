//! The program itself: what it prints, how it ends, and what survives a restart.

#![expect(clippy::disallowed_methods, reason = "programs, files and deadlines are what is tested here")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::message::registry::{News, Reply};
use registry::store::folder;
use support::running::{Running, command, output};
use support::{PATIENCE, dial_at, person};

#[test]
fn accounts_and_the_realm_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let first = Running::start(home.path());
    let realm = first.realm.clone();
    let alice = person("alice").of(folder::realm_of(home.path()).unwrap());
    let mut line = dial_at(first.address, &alice);
    assert!(matches!(line.ask(alice.sign_up()), Ok(Reply::SignedIn { .. })));
    let stopping = common::thread::spawn("stopping", move || first.stop()).unwrap();
    assert_eq!(line.hear(), News::Closing);
    assert_eq!(line.next(), None);
    drop(line);
    assert!(stopping.join() < Duration::from_secs(5));

    let second = Running::start(home.path());
    assert_eq!(second.realm, realm);
    let mut line = dial_at(second.address, &alice);
    assert!(matches!(line.ask(alice.resume()), Ok(Reply::SignedIn { .. })), "no password, no bcrypt");
    let printed = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["fingerprint", "--data-dir"])
        .arg(home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim(), realm);
}

#[test]
fn a_second_registry_on_a_folder_or_a_port_says_so_and_ends() {
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(home.path());
    let (code, told) = output(&mut command(home.path()));
    assert_eq!(code, Some(1));
    assert!(told.contains(&format!("in use by process {}", running.child.id())), "{told}");

    let other = tempfile::tempdir().unwrap();
    let (code, told) = output(command(other.path()).args(["--listen", &running.address.to_string()]));
    assert_eq!(code, Some(1));
    assert!(told.contains("the port is in use"), "{told}");
    assert_eq!(told.lines().filter(|line| !line.contains("INFO")).count(), 1, "{told}");
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_nearest() {
    let home = tempfile::tempdir().unwrap();
    for (set, hint) in
        [("limits.sesions=3", "limits.sessions"), ("passwords.bcrypt_cost=3", "'4'"), ("nonsense", "KEY=VALUE")]
    {
        let (code, told) = output(command(home.path()).args(["--set", set]));
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(hint), "{told}");
    }
    let (code, _) = output(command(home.path()).arg("--listen=nowhere"));
    assert_eq!(code, Some(2));
    let (code, told) = output(command(home.path()).args(["--config", "/no/such/file.toml"]));
    assert_eq!((code, told.contains("/no/such/file.toml")), (Some(2), true));
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_of_one_line() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let (code, told) = output(&mut command(&file.join("registry")));
    assert_eq!(code, Some(1));
    assert!(told.starts_with("Cannot use the data folder") && told.lines().count() == 1, "{told}");
    assert_eq!(told.matches("(os error").count(), 1, "the reason is said once: {told}");

    std::fs::create_dir(home.path().join("data")).unwrap();
    let data = home.path().join("data");
    Running::start(&data).stop();
    std::fs::write(data.join("registry.db"), vec![7; 9000]).unwrap();
    let (code, told) = output(&mut command(&data));
    assert_eq!((code, told.contains("is damaged")), (Some(1), true), "{told}");
    assert_eq!(std::fs::read(data.join("registry.db")).unwrap(), vec![7; 9000]);
    std::fs::write(data.join("registry.db"), b"").unwrap();
    let (code, told) = output(&mut command(&data));
    assert_eq!((code, told.contains("is empty")), (Some(1), true), "{told}");
    assert_eq!(std::fs::read(data.join("registry.db")).unwrap(), b"");
}

#[test]
fn a_reader_of_stdout_that_is_gone_is_no_reason_to_stop() {
    let home = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = command(home.path())
        .args(["--json", "--listen", &port.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ready on") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let running = Running { child, address: port, realm: String::new() };
    let socket = std::net::TcpStream::connect_timeout(&running.address, PATIENCE).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut &socket, b"P2C\x00").unwrap();
    let mut answer = [0; 4];
    (&socket).read_exact(&mut answer).unwrap();
    assert_eq!(answer, common::wire::PREAMBLE);
    assert!(running.stop() < Duration::from_secs(5));
}
