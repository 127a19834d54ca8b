//! How a long history feels: fills the log of a real peer with messages of one other person and measures the program
//! on it. Run by `scripts/history_bench.sh` in release; takes the numbers of messages as its arguments.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::event::{Content, Event, WireEvent};
use common::names::UserName;
use common::time::UnixMillis;
use common::wire::bounded::Blob;
use common::wire::codec;
use crossbeam_channel::{Receiver, bounded};
use peer::disk::{Profile, worker};
use peer::ports::{DiskJob, DiskReply, StoredEvent, Survives, Write};
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
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    bob.says("@alice the first line");
    alice.hears("@bob", "bob", "the first line");
    alice.quit();
    bob.quit();
    let filled = Instant::now();
    fill(&alice.launch, &registry, count);
    told(&format!("--- {count} messages, written in {:.1} s", filled.elapsed().as_secs_f64()))?;
    starts(&alice.launch, "start to signed_in")?;
    let (alice, _) = start(&alice.launch);
    let caught_up = timed(&alice, "/search the-first-search");
    told(&format!("{:<36} {:>9.1} ms", "first search, all to be indexed", millis(caught_up)))?;
    alice.quit();
    starts(&alice.launch, "start to signed_in, indexed")?;
    let (alice, _) = start(&alice.launch);
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

/// Goes on with Bob's chain where he left it. Nothing is signed: what is in a log was checked before it came there.
fn fill(launch: &Launch, registry: &Registry, count: u64) {
    let profile = Profile::open(&launch.data_dir()).expect("the profile is free");
    let root = profile.pinned(registry.address()).expect("it can be read").expect("the registry is known");
    let ((jobs, to_do), (done, replies)) = (bounded(4), bounded(64));
    let thread = worker::start(profile, to_do, done).expect("a thread");
    let user = UserName::parse(&launch.name).expect("a good name");
    let open = DiskJob::Open { realm: common::ids::RealmId::of(&root), user, fresh_chain: ChainId([0; 16]) };
    jobs.send(open).expect("the disk works");
    let DiskReply::Opened(log) = reply(&replies) else { panic!("the log does not open") };
    let conversation = log.conversations.first().expect("one conversation");
    let theirs = conversation.theirs.first().expect("one chain");
    let (id, author, chain, from) = (conversation.id, theirs.author, theirs.chain, theirs.number);
    for first in (0..count).step_by(COMMIT_EVENTS) {
        let numbers = first..count.min(first + COMMIT_EVENTS as u64);
        let mut writes: Vec<Write> = numbers.map(|number| line(id, author, chain, from + 1 + number)).collect();
        writes.push(Write::Told { conversation: id, author, chain, number: from + first + COMMIT_EVENTS as u64 });
        jobs.send(DiskJob::Commit { ticket: first, writes, survives: Survives::Machine }).expect("the disk works");
        let committed = reply(&replies);
        assert!(matches!(committed, DiskReply::Committed { .. }), "{committed:?}");
    }
    jobs.send(DiskJob::Close).expect("the disk works");
    drop(jobs);
    drop(thread);
}

fn reply(replies: &Receiver<DiskReply>) -> DiskReply {
    replies.recv_timeout(PATIENCE).expect("the disk answers")
}

fn line(conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64) -> Write {
    let (kind, body) = Content::Text(text(number)).encode().expect("a short text");
    let at = UnixMillis(1_700_000_000_000 + number * 1000);
    let previous = common::message::event::NO_EVENT;
    let event = Event {
        conversation,
        author,
        chain,
        number,
        previous,
        parents: Default::default(),
        head: 0,
        lamport: number,
        at,
        kind,
        body,
    };
    let bytes = Blob::new(codec::encode(&event)).expect("a short event");
    let wire = WireEvent { bytes, signature: None };
    let id = wire.id();
    let event = StoredEvent { conversation, author, chain, number, id, lamport: number, at, kind, late: false, wire };
    Write::Event { event: Box::new(event), recipients: None }
}

/// Ordinary lines: a few words that are in every tenth, many that are rare, some of another script.
fn text(number: u64) -> String {
    let word = |salt: u64| {
        let drawn = (number.wrapping_mul(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 20_000;
        format!("w{drawn}")
    };
    let common = match number % 10 {
        0 => "the release is green",
        1 => "東京で会いましょう",
        2 => "relay is down again, alice",
        _ => "and so on",
    };
    let rare = if number.is_multiple_of(10_007) { " needle" } else { "" };
    format!("{} {} {common} {} {} line {number}{rare}", word(3), word(5), word(7), word(11))
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
const COMMIT_EVENTS: usize = 1000;
/// A million lines are indexed at their leisure.
const PATIENCE: Duration = Duration::from_secs(900);
