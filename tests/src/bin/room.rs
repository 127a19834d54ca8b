//! One large room of real peers on this machine: how long it takes to enter, until what is said is with the last member
//! and acknowledged by all, and to do without a fifth that is killed. Run by `scripts/room.sh` in release.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::fs;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use tests::{JsonPeer, Launch, Registry};

fn main() -> io::Result<()> {
    let peers = std::env::args().nth(1).map_or(PEERS, |count| count.parse().expect("a number of peers"));
    let registry = Registry::start(&[]);
    let begun = Instant::now();
    let names: Vec<String> = (0..peers).map(|number| format!("person{number}")).collect();
    let mut room: Vec<JsonPeer> = Vec::new();
    // Some at a time: each of them spends 64 MiB on its keys.
    for some in names.chunks(AT_ONCE) {
        let started: Vec<JsonPeer> = some.iter().map(|name| JsonPeer::launch(Launch::new(&registry, name))).collect();
        started.iter().for_each(JsonPeer::signed_in);
        room.extend(started);
    }
    told("all signed in after, s", begun.elapsed().as_secs_f64())?;
    let begun = Instant::now();
    room[0].must("/create #room", "created");
    room[1..].iter().for_each(|peer| drop(peer.must("/join #room", "joined")));
    told("all entered, one after the other, after, s", begun.elapsed().as_secs_f64())?;
    let all: Vec<&JsonPeer> = room.iter().collect();
    talk(&all, "calm", room.len())?;
    let links: Vec<f64> = room.iter().map(|peer| links_of(peer.pid())).collect::<io::Result<_>>()?;
    told("links of a peer, median", median(links.clone()))?;
    told("links of a peer, most", links.into_iter().fold(0.0, f64::max))?;
    let memory: Vec<f64> = room.iter().map(|peer| memory_mib(peer.pid())).collect::<io::Result<_>>()?;
    told("memory of a peer, median, MiB", median(memory))?;

    let (lost, left): (Vec<_>, Vec<_>) = room.iter().enumerate().partition(|(number, _)| number % 5 == 2);
    let (lost, left): (Vec<&JsonPeer>, Vec<&JsonPeer>) =
        (lost.into_iter().map(|(_, peer)| peer).collect(), left.into_iter().map(|(_, peer)| peer).collect());
    let begun = Instant::now();
    lost.iter().for_each(|peer| peer.kill9());
    let text = say(left[0], "without a fifth");
    left[1..].iter().for_each(|peer| heard(peer, left[0], &text));
    told("a fifth killed: the others have the next text after, ms", millis(begun))?;
    talk(&left, "without a fifth", room.len())?;
    let begun = Instant::now();
    let lost: Vec<JsonPeer> = lost.iter().map(|peer| JsonPeer::launch(peer.launch.again())).collect();
    lost.iter().for_each(|peer| heard(peer, left[0], &text));
    told("the fifth is back, keys and all, and has it after, s", begun.elapsed().as_secs_f64())?;
    Ok(())
}

/// Some of them say something; when the last has it, and when its author knows that all of `members` who are there have.
fn talk(peers: &[&JsonPeer], when: &str, members: usize) -> io::Result<()> {
    let (mut last, mut acknowledged) = (Vec::new(), Vec::new());
    for turn in 0..TEXTS {
        let author = peers[turn * peers.len() / TEXTS];
        let begun = Instant::now();
        let text = say(author, &format!("{when} {turn}"));
        let others = peers.iter().filter(|peer| peer.name() != author.name());
        others.for_each(|peer| heard(peer, author, &text));
        last.push(millis(begun));
        let own = author.wait("one's own text", |event| event.is("message") && event.text("text") == text);
        let done = u64::try_from(peers.len() - 1).expect("not so many");
        author.wait_for(PATIENCE, &format!("{done} acknowledgements"), |event| {
            event.is("delivery") && event.text("id") == own.text("id") && event.number("done") == Some(done)
        });
        acknowledged.push(millis(begun));
    }
    let worst = last.iter().copied().fold(0.0, f64::max);
    told(&format!("{when}: the last of {} has it after, median, ms", peers.len() - 1), median(last))?;
    told(&format!("{when}: the same, worst, ms"), worst)?;
    told(&format!("{when}: acknowledged by all of {members} who are there, median, ms"), median(acknowledged))
}

fn say(author: &JsonPeer, text: &str) -> String {
    author.send(&format!("#room {text}"));
    text.to_owned()
}

fn heard(peer: &JsonPeer, author: &JsonPeer, text: &str) {
    peer.wait_for(PATIENCE, &format!("'{text}'"), |event| {
        event.is_message("#room", author.name()) && event.text("text") == text
    });
}

/// Each link has a thread that reads.
fn links_of(pid: u32) -> io::Result<f64> {
    let mut links = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        if name.starts_with("link-") && name.trim_end().ends_with("-read") {
            links += 1.0;
        }
    }
    Ok(links)
}

fn memory_mib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(kib.unwrap_or_default() / 1024.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn told(what: &str, value: f64) -> io::Result<()> {
    writeln!(io::stdout(), "{what:<72} {value:>9.1}")
}

const PEERS: usize = 50;
const AT_ONCE: usize = 5;
const TEXTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(90);
