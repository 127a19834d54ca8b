//! What the programs leave lying about: files for their owner alone, no core dumps, and no password or message in any
//! log, however much is logged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::programs::{password_of, registry_command};
use tests::{Ended, JsonPeer, Launch, Registry, TermPeer};

#[test]
fn nothing_secret_is_logged_or_left_readable() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let (data_dir, errors) = (folder.join("registry"), folder.join("errors"));
    let mut plain = registry_command(&data_dir);
    plain.args(["--listen", "127.0.0.1:0", "-vv"]);
    let mut command = Command::new("sh");
    command.args(["-c", INTO_A_FILE]).arg(errors.join("registry")).arg(plain.get_program()).args(plain.get_args());
    std::fs::create_dir(&errors).unwrap();
    let mut registry = Registry::from_command(command);
    let loud = |name: &str| {
        let errors = errors.join(name).to_str().unwrap().to_owned();
        Launch::new(&registry, name).with(|launch| {
            launch.variables = vec![("P2P_CHAT_LOG", "trace".into())];
            launch.through = ["sh", "-c", INTO_A_FILE, &errors].map(str::to_owned).to_vec();
        })
    };
    let [alice, bob] = ["alice", "bob"].map(|name| JsonPeer::launch(loud(name)));
    [&alice, &bob].iter().for_each(|peer| peer.signed_in());
    let carol = TermPeer::launch(loud("carol"), 30, 100);
    carol.wait_screen("carol> ");
    alice.must("/create #dev --topic TOPIC-OF-THE-DAY", "created");
    bob.must("/join #dev", "joined");
    alice.says("#dev TEXT-IN-A-ROOM");
    bob.says("@alice TEXT-TO-ONE");
    alice.hears("@bob", "bob", "TEXT-TO-ONE");
    carol.enter("@alice TEXT-FROM-A-TERMINAL");
    alice.hears("@carol", "carol", "TEXT-FROM-A-TERMINAL");
    std::fs::write(bob.launch.folder().join("password"), format!("{}\n{NEW}\n", password_of("bob"))).unwrap();
    bob.must("/passwd", "password_changed");
    bob.kill9();
    alice.must("@bob TEXT-BY-MAIL", "message");
    alice.wait("it in the mailbox", |event| event.is("delivery") && event.text("state") == "mailbox");

    check_core_size(alice.pid());
    check_core_size(registry.process().pid());
    let folders = [alice.launch.data_dir(), bob.launch.data_dir(), carol.launch.data_dir(), data_dir.clone()];
    let found: Vec<PathBuf> = folders.iter().flat_map(|folder| below(folder)).collect();
    for path in &found {
        let metadata = std::fs::metadata(path).unwrap();
        let (mode, expected) = (metadata.permissions().mode() & 0o777, if metadata.is_dir() { 0o700 } else { 0o600 });
        registry.transcript().check(mode == expected, &format!("{} has mode {mode:o}", path.display()));
    }
    let has = |ending: &str| found.iter().any(|path| path.to_string_lossy().ends_with(ending));
    for ending in ["keys", "-wal", "-shm", "lock", "history", "peer.log", "realms"] {
        registry.transcript().check(has(ending), &format!("there is a file {ending}: {found:?}"));
    }

    carol.enter("/quit");
    assert_eq!(carol.end(), 0);
    assert_eq!(alice.quit(), Ended::Exit(0));
    let log = std::fs::read(carol.launch.data_dir().join("peer.log")).unwrap();
    let errors = ["registry", "alice", "bob"].map(|name| std::fs::read(errors.join(name)).unwrap()).concat();
    assert!(errors.len() > 1000 && !log.is_empty(), "something is logged at all: {} bytes", errors.len());
    let passwords = ["correct horse", NEW];
    let texts = ["TEXT-", "TOPIC-OF"];
    for word in passwords.into_iter().chain(texts) {
        check(&registry, word, "standard error", &errors);
        check(&registry, word, "carol's log", &log);
    }
    // Rooms and their topics are the registry's to know; what is said in them is not.
    for file in below(&data_dir).iter().filter(|path| path.is_file()) {
        let content = std::fs::read(file).unwrap();
        passwords
            .iter()
            .chain(&["TEXT-"])
            .for_each(|word| check(&registry, word, &file.display().to_string(), &content));
    }
    for file in folders[..3].iter().flat_map(|folder| below(folder)).filter(|path| path.is_file()) {
        let content = std::fs::read(&file).unwrap();
        passwords.iter().for_each(|word| check(&registry, word, &file.display().to_string(), &content));
    }
}

/// Neither the soft nor the hard limit lets a core be dumped.
#[track_caller]
fn check_core_size(pid: u32) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}

/// A folder and everything in it.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[track_caller]
fn check(registry: &Registry, word: &str, place: &str, content: &[u8]) {
    let found = content.windows(word.len()).any(|window| window == word.as_bytes());
    registry.transcript().check(!found, &format!("'{word}' stands in {place}"));
}

/// Runs a program with its standard error in a file of its own.
const INTO_A_FILE: &str = "exec \"$@\" 2>\"$0\"";
const NEW: &str = "an even better horse";
