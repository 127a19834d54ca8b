//! What the system lets a registry have comes to its end: descriptors, threads, addresses, memory. It refuses newcomers,
//! counts them, serves those inside, and takes newcomers again as soon as it can.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use common::message::registry::{Code, Reply, Request};
use common::wire::PREAMBLE;
use tests::abuse::source;
use tests::wire::{Person, Raw, RegistryLink, connect_from};
use tests::{JsonPeer, Registry};

#[test]
fn a_registry_that_loses_its_descriptors_waits_and_recovers() {
    let mut registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let pid = registry.process().pid();
    limit(pid, "--nofile=8:");
    let begun = Instant::now();
    let mut waiting = Raw::connect(registry.address()).send(&PREAMBLE);
    let is_closed = waiting.is_closed_within(Duration::from_secs(2));
    registry.transcript().check(!is_closed, "it was let in with no descriptor left");
    those_inside_do_not_notice(&alice, &bob);
    limit(pid, "--nofile=1024:");
    let tries_max = begun.elapsed().as_secs() * 20;
    there_is_room_again(&registry, &bob);
    let tries = counted(&registry, "refused_descriptors");
    assert!((1..=tries_max).contains(&tries), "{tries} tries: it waits between them and burns nothing");
}

#[test]
fn a_registry_that_gets_no_more_threads_refuses_and_recovers() {
    if !is_root() {
        // Whoever is somebody shares that limit with all of their own programs.
        writeln!(std::io::stderr().lock(), "no look at a limit of threads: that takes root").unwrap();
        return;
    }
    let mut registry = Registry::start_through(&["sh", "-c", AS_SOMEBODY, "sh"], &[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let dave = Person::new("dave");
    let at_dave = RegistryLink::sign_up(registry.address(), &dave);
    let pid = registry.process().pid();
    let threads = threads_when_inside_are(&registry, pid, 3);
    let may_have = |threads: usize| {
        let mut command = Command::new("setpriv");
        command.args(SOMEBODY).args(["prlimit", "--pid", &pid.to_string(), &format!("--nproc={threads}:")]);
        assert!(command.status().unwrap().success());
    };
    may_have(threads);
    for _ in 0..20 {
        assert!(Raw::connect(registry.address()).is_closed_within(SLACK), "nobody can serve it");
    }
    assert_eq!(counted(&registry, "refused_full"), 20);
    // One to shake hands, and none to check a password.
    drop(at_dave);
    assert_eq!(threads_when_inside_are(&registry, pid, 2), threads - 1);
    let eve = Person::new("eve");
    let mut at_eve = RegistryLink::connect(registry.address(), &eve);
    let statement = eve.statement(at_eve.realm());
    let refused = at_eve.ask(Request::SignUp { auth: eve.auth, statement, token: None }).unwrap_err();
    assert!(refused.code == Code::Busy && refused.retry_after.is_some(), "{refused:?}");
    drop(at_eve);
    let mut at_dave = loop {
        // Her thread may need a moment to end.
        if let Ok(link) = RegistryLink::try_connect(registry.address(), &dave) {
            break link;
        }
    };
    let came_in = at_dave.ask(Request::Resume { user: dave.name.clone() });
    assert!(matches!(came_in, Ok(Reply::SignedIn { .. })), "{came_in:?}");
    // The thread he came in by may end in time for the one he goes on in; if not, that is a refusal.
    if at_dave.try_ask(Request::Ping).is_err() {
        assert!(counted(&registry, "refused_full") > 20);
    }
    drop(at_dave);
    those_inside_do_not_notice(&alice, &bob);
    may_have(threads + 50);
    there_is_room_again(&registry, &bob);
}

#[test]
fn a_registry_with_few_addresses_refuses_and_recovers() {
    let mut registry = Registry::start_through(&["bash", "-c", "ulimit -v 500000; exec \"$@\"", "bash"], &[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let crowd = crowd(&registry, 900);
    becomes_too_much(&registry, &["refused_full", "evicted"]);
    those_inside_do_not_notice(&alice, &bob);
    assert!(registry.process().is_running());
    drop(crowd);
    there_is_room_again(&registry, &bob);
}

#[test]
fn a_registry_that_may_use_no_more_memory_refuses_and_recovers() {
    let used_mib = {
        let mut registry = Registry::start(&[]);
        drop(JsonPeer::start_all(&registry, ["alice", "bob"]));
        resident_kib(registry.process().pid()) / 1024
    };
    let limit = format!("limits.memory_mib={}", used_mib + 4);
    let mut registry = Registry::start(&["--set", &limit]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let crowd = crowd(&registry, 2000);
    becomes_too_much(&registry, &["refused_memory"]);
    those_inside_do_not_notice(&alice, &bob);
    let most = resident_kib(registry.process().pid()) / 1024;
    registry.transcript().check(most < used_mib + 12, &format!("{most} MiB where {limit} was set"));
    drop(crowd);
    // Those who go take a moment for it.
    let deadline = Instant::now() + 2 * SLACK;
    while RegistryLink::try_connect(registry.address(), &Person::new("eve")).is_err() {
        registry.transcript().check(Instant::now() < deadline, "there is never room again");
    }
    there_is_room_again(&registry, &bob);
}

/// How many threads it has as soon as so many sessions have one, and nobody is at the door.
#[track_caller]
fn threads_when_inside_are(registry: &Registry, pid: u32, sessions: usize) -> usize {
    let deadline = Instant::now() + SLACK;
    loop {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        // One that ends meanwhile has no name any more, and one that begins that of the one which started it.
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let names: Vec<String> = tasks.map(|task| name(task.unwrap())).collect();
        let count = |kind: &str| names.iter().filter(|name| name.starts_with(kind)).count();
        let is_whole = names.iter().collect::<HashSet<_>>().len() == names.len() && !names.iter().any(String::is_empty);
        if is_whole && count("session-") == sessions && [count("door-"), count("password")] == [0, 0] {
            return names.len();
        }
        registry.transcript().check(Instant::now() < deadline, &format!("waited for {sessions} inside: {names:?}"));
    }
}

fn those_inside_do_not_notice(alice: &JsonPeer, bob: &JsonPeer) {
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"]);
    alice.says("@bob a crowd is at the door");
    bob.hears("@alice", "alice", "a crowd is at the door");
}

fn there_is_room_again(registry: &Registry, bob: &JsonPeer) {
    let carol = JsonPeer::start(registry, "carol");
    carol.says("@bob there is room again");
    bob.hears("@carol", "carol", "there is room again");
}

/// Strangers who say nothing, from many addresses; those who are refused are soon closed.
fn crowd(registry: &Registry, count: usize) -> Vec<TcpStream> {
    (0..count).map(|number| connect_from(source(number / 100), registry.address()).unwrap()).collect()
}

/// Waits for one of these counts to move: whoever has connected has not been let in yet, or refused.
#[track_caller]
fn becomes_too_much(registry: &Registry, counts: &[&str]) {
    let deadline = Instant::now() + 2 * SLACK;
    while counts.iter().all(|name| counted(registry, name) == 0) {
        registry.transcript().check(Instant::now() < deadline, "everybody in the crowd was let in");
    }
}

/// What `registry stats` says of one of its counts.
#[track_caller]
fn counted(registry: &Registry, name: &str) -> u64 {
    let stats = registry.order(&["stats"]);
    let number = |line: &str| line.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    stats.lines().find_map(number).unwrap_or_else(|| panic!("no {name} in {stats}"))
}

/// The soft limit of a program that runs; what is behind it is not touched.
fn limit(pid: u32, limit: &str) {
    let done = Command::new("prlimit").args(["--pid", &pid.to_string(), limit]).status().unwrap();
    assert!(done.success(), "{limit}");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Runs a copy of the program, which may lie where only root looks, as a user who has nothing else running: threads are
/// counted per user, and root's are not. The fourth word is the data folder.
const AS_SOMEBODY: &str = r#"
    set -e
    around="$(dirname "$4")"
    cp "$1" "$around/program"
    mkdir "$4"
    chmod 755 "$around"
    chown 61234:61234 "$4"
    shift
    exec setpriv --reuid=61234 --regid=61234 --clear-groups "$around/program" "$@"
"#;
const SOMEBODY: [&str; 3] = ["--reuid=61234", "--regid=61234", "--clear-groups"];

/// A machine under load is late.
const SLACK: Duration = Duration::from_secs(5);
