//! Every way out: the program ends within its deadline with the right code, the terminal is as it was found, and
//! nothing is left running.

use tests::{Ended, JsonPeer, Launch, Registry, TermPeer};

use super::terminal::on_terminal;

#[test]
fn every_way_out_leaves_the_terminal_as_it_was() {
    let registry = Registry::start(&[]);
    type Way<'a> = (&'a str, u32, &'a dyn Fn(&TermPeer));
    let ways: [Way; 7] = [
        ("quitter", 0, &|peer| peer.enter("/quit")),
        ("ender", 0, &|peer| peer.type_("\x04")),
        ("breaker", 130, &|peer| {
            peer.type_("\x03");
            peer.wait_until("how to quit", |screen| screen.contents().to_lowercase().contains("quit"));
            peer.type_("\x03");
        }),
        ("terminated", 143, &|peer| peer.signal(libc::SIGTERM)),
        ("hung-up", 143, &|peer| peer.signal(libc::SIGHUP)),
        ("half-typed", 143, &|peer| {
            peer.type_("half a li");
            peer.wait_screen("half a li");
            peer.signal(libc::SIGTERM);
        }),
        ("searcher", 143, &|peer| {
            peer.type_("\x12who");
            peer.wait_until("the search", |screen| screen.contents().contains("search"));
            peer.signal(libc::SIGTERM);
        }),
    ];
    for (name, code, leave) in ways {
        let peer = on_terminal(&registry, name);
        leave(&peer);
        let ended = peer.end();
        peer.transcript().check(ended == code, &format!("{name} ended with {ended} instead of {code}"));
        peer.check_sane();
    }
}

#[test]
fn a_terminal_is_left_sane_without_a_registry() {
    let mut registry = Registry::start(&[]);
    let alice = on_terminal(&registry, "alice");
    registry.kill();
    alice.wait_until("word of the registry", |screen| screen.contents().contains("registry"));
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    alice.check_sane();
    // Nor when nobody can be signed in at all.
    let bob = TermPeer::launch(Launch::new(&registry, "bob"), 24, 80);
    assert_eq!(bob.end(), 4);
    bob.check_sane();
}

#[test]
fn a_password_prompt_gives_the_echo_back() {
    let registry = Registry::start(&[]);
    let ways = [(Some("\x03"), None, 130), (None, Some(libc::SIGTERM), 143), (None, Some(libc::SIGINT), 130)];
    for (key, signal, exit) in ways {
        let launch = Launch::new(&registry, "alice").with(|launch| launch.password = None);
        let alice = TermPeer::launch(launch, 24, 80);
        alice.wait_screen("assword");
        key.into_iter().for_each(|key| alice.type_(key));
        signal.into_iter().for_each(|signal| alice.signal(signal));
        let code = alice.end();
        alice.transcript().check(code == exit, &format!("ended with {code}, not {exit}"));
        alice.check_sane();
    }
}

#[test]
fn an_engine_that_panics_leaves_the_terminal_sane() {
    let launch = Launch::alone("", "alice");
    let folder = launch.folder().as_os_str().to_owned();
    let program = env!("CARGO_BIN_EXE_panicking_engine").into();
    let alice = TermPeer::run(launch, program, vec![folder], 24, 80);
    alice.wait_screen("> ");
    alice.enter("/who");
    assert_eq!(alice.end(), 1);
    alice.wait_screen("fault");
    alice.check_sane();
}

#[test]
fn programs_on_pipes_end_with_the_code_of_what_ended_them() {
    let registry = Registry::start(&[]);
    for (name, signal, exit) in
        [("terminated", libc::SIGTERM, 143), ("hung-up", libc::SIGHUP, 143), ("interrupted", libc::SIGINT, 130)]
    {
        let peer = JsonPeer::start(&registry, name);
        peer.signal(signal);
        assert_eq!(peer.end(), Ended::Exit(exit), "{name}");
        assert!(peer.seen().last().is_some_and(|event| event.is("bye")), "{name} says goodbye");
    }
}

#[test]
fn a_registry_told_to_stop_says_so_and_exits() {
    let mut registry = Registry::start(&[]);
    let peers = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    let begun = std::time::Instant::now();
    assert_eq!(registry.stop(), Ended::Exit(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    for peer in peers {
        peer.wait("the registry being gone", |event| event.is("link") && event.text("state") != "online");
        assert_eq!(peer.quit(), Ended::Exit(0));
    }
}

#[test]
fn a_stopped_stubborn_session_does_not_hold_the_registry_up() {
    let mut registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    alice.signal(libc::SIGSTOP);
    assert_eq!(registry.stop(), Ended::Exit(0));
    alice.signal(libc::SIGCONT);
}

#[test]
fn output_that_nobody_reads_is_a_clean_end() {
    let registry = Registry::start(&[]);
    let launch = Launch::new(&registry, "alice");
    let mut command = launch.json_command();
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Its first line is read, then nothing any more.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut first).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "after {first}");
}

#[test]
#[expect(unsafe_code, reason = "std can only send SIGKILL; kill(2) takes two numbers and touches no memory")]
fn a_reader_that_stalls_holds_no_signal_up() {
    let registry = Registry::start(&[]);
    // Keeps its folder until the end.
    let launch = Launch::new(&registry, "alice");
    let mut child = launch
        .json_command()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Far more answers than a pipe holds, and the one who could read them keeps it open.
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, "/help\n".repeat(400).as_bytes()).unwrap();
    let stdout = child.stdout.take().unwrap();
    wait_until_full(&stdout);
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: the child was not waited for, so the id is its own.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    drop((stdin, stdout));
}

/// Waits until a pipe takes no more than a few bytes.
#[expect(unsafe_code, reason = "how much a pipe holds, only FIONREAD says")]
fn wait_until_full(pipe: &std::process::ChildStdout) {
    use std::os::fd::AsRawFd;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut held = 0;
    while held < PIPE_NEARLY_FULL {
        assert!(std::time::Instant::now() < deadline, "the pipe holds {held} bytes after 30 s");
        // SAFETY: FIONREAD writes one integer.
        unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut held) };
        std::thread::yield_now();
    }
}

/// Linux gives a pipe 64 KiB, in pages that are not all filled; of a megabyte the rest has to wait.
const PIPE_NEARLY_FULL: i32 = 40 * 1024;
