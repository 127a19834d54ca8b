//! How a long history feels: fills the log of a real peer with messages of one other person and measures the program
//! on it. Run by `scripts/history_bench.sh` in release; takes the numbers of messages as its arguments.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use tests::bench::history::long_log;
use tests::{JsonPeer, Launch, Registry};

fn main() -> io::Result<()> {
    let counts: Vec<u64> = std::env::args().skip(1).map(|count| count.parse().expect("a number of messages")).collect();
    for count in counts {
        measure(count)?;
    }
    Ok(())
}

fn measure(count: u64) -> io::Result<()> {
    let registry = Registry::start(&[]);
    let filled = Instant::now();
    let launch = long_log(&registry, count);
    told(&format!("--- {count} messages, written in {:.1} s", filled.elapsed().as_secs_f64()))?;
    starts(&launch, "start to signed_in")?;
    let (alice, _) = start(&launch);
    let caught_up = timed(&alice, "/search the-first-search");
    told(&format!("{:<36} {:>9.1} ms", "first search, all to be indexed", millis(caught_up)))?;
    alice.quit();
    starts(&launch, "start to signed_in, indexed")?;
    let (alice, _) = start(&launch);
    let commands = [
        "/search release",
        "/search needle",
        "/search 東京",
        "/search rel",
        "/search release from:bob in:@bob",
        "/search release before:2020-01-01",
        "/search release -C 3",
        "/history @bob 500",
        "/catchup",
    ];
    for command in commands {
        let best = (0..ASKED).map(|_| timed(&alice, command)).min().unwrap_or_default();
        told(&format!("{command:<36} {:>9.1} ms", millis(best)))?;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", alice.pid()))?;
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        told(line)?;
    }
    let log = size_of_logs(&alice.launch.data_dir())?;
    told(&format!("{:<36} {:>9.1} MiB", "log on disk", log as f64 / 1_048_576.0))?;
    alice.quit();
    Ok(())
}

fn starts(launch: &Launch, what: &str) -> io::Result<()> {
    let mut all = Vec::new();
    for _ in 0..STARTS {
        let (alice, took) = start(launch);
        all.push(format!("{:.0}", millis(took)));
        alice.quit();
    }
    told(&format!("{what:<36} {:>9} ms", all.join(" ")))
}

fn start(launch: &Launch) -> (JsonPeer, Duration) {
    let begun = Instant::now();
    let peer = JsonPeer::launch(launch.again());
    peer.wait_for(PATIENCE, "being signed in", |event| event.is("signed_in"));
    (peer, begun.elapsed())
}

fn timed(peer: &JsonPeer, line: &str) -> Duration {
    let begun = Instant::now();
    peer.send(line);
    peer.wait_for(PATIENCE, line, |event| event.is("found") || event.is("history") || event.is("catchup"));
    begun.elapsed()
}

fn size_of_logs(folder: &std::path::Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        bytes += if kind.is_dir() { size_of_logs(&path)? } else { std::fs::metadata(&path)?.len() };
    }
    Ok(bytes)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn told(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Each measured several times: the first finds cold caches.
const STARTS: usize = 3;
const ASKED: usize = 5;
/// A million lines are indexed at their leisure.
const PATIENCE: Duration = Duration::from_secs(900);
