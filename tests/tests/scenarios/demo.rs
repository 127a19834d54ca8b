//! The demo, as somebody meets it who has just cloned the project: it works, it says so, and it leaves nothing behind.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use tests::programs::{Process, of_this_package, program, target_folder, workspace};
use tests::{Ended, Launch, TermPeer, Transcript};

#[test]
fn without_a_terminal_it_plays_its_story_and_leaves_nothing() {
    let launch = demo();
    let transcript = Transcript::default();
    let mut process = Process::start("demo", headless(&launch), &transcript);
    let ended = process.end();
    transcript.check(ended == Ended::Exit(0), &format!("the demo ended with {ended:?}"));
    drop(process);
    let told = transcript.text();
    transcript.check(told.contains("<alice>"), "it prints what was said");
    left_nothing(&launch);
}

#[test]
fn interrupted_it_leaves_nothing() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let launch = demo();
        let transcript = Transcript::default();
        let mut process = Process::start("demo", headless(&launch), &transcript);
        let deadline = std::time::Instant::now() + tests::DEADLINE;
        let first = process.line(deadline);
        transcript.check(first.is_ok(), "waited for the demo's first words");
        process.signal(signal);
        let ended = process.end();
        transcript.check(ended == Ended::Exit(code), &format!("interrupted, the demo ended with {ended:?}"));
        drop(process);
        left_nothing(&launch);
    }
}

#[test]
fn at_a_terminal_two_people_answer_until_one_leaves() {
    for leaving in ["/quit\r", "\x04"] {
        let launch = demo();
        let script = workspace().join("scripts/demo.sh").into_os_string();
        let you = TermPeer::run(launch.clone(), "bash".into(), vec![script], 30, 100);
        you.wait_screen("#lobby] ");
        you.enter("hello everybody");
        you.wait_screen("<bob> ");
        you.wait_screen("<carol> ");
        you.type_(leaving);
        assert_eq!(you.end(), 0);
        you.check_sane();
        left_nothing(&launch);
    }
}

/// Where the demo finds its tools and leaves its traces.
fn demo() -> Launch {
    // It builds the programs; here they are built before its time is taken.
    program("peer");
    Launch::alone("", "you").with(|launch| {
        let home = std::env::home_dir().expect("somebody runs these tests");
        let tool = |name: &'static str, folder: &str| {
            (name, std::env::var_os(name).unwrap_or_else(|| home.join(folder).into_os_string()))
        };
        let traces: OsString = launch.folder().join("traces").into();
        std::fs::create_dir_all(&traces).expect("a folder for its traces");
        launch.variables = vec![
            tool("CARGO_HOME", ".cargo"),
            tool("RUSTUP_HOME", ".rustup"),
            ("CARGO_TARGET_DIR", target_folder().into()),
            ("TMPDIR", traces),
        ];
    })
}

fn headless(launch: &Launch) -> Command {
    let mut command = Command::new("bash");
    for name in of_this_package() {
        command.env_remove(name);
    }
    command.arg(workspace().join("scripts/demo.sh")).arg("--headless").envs(launch.environment());
    command
}

/// No file in its temporary folder, and no process that names it.
#[track_caller]
fn left_nothing(launch: &Launch) {
    let traces = launch.folder().join("traces");
    let files: Vec<_> = std::fs::read_dir(&traces).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.is_empty(), "the demo left {files:?}");
    let running: Vec<String> = std::fs::read_dir("/proc").unwrap().filter_map(|entry| names(entry, &traces)).collect();
    assert!(running.is_empty(), "the demo left running {running:?}");
}

/// The command line of a process, if it names the folder.
fn names(entry: std::io::Result<std::fs::DirEntry>, folder: &Path) -> Option<String> {
    let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    line.contains(folder.to_str()?).then_some(line)
}
