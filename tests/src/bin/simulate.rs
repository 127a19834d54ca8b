//! Plays many simulated worlds on all cores and says which of them break a promise, or plays one again and tells it.
//! Run by `scripts/simulate.sh`.

#![expect(clippy::disallowed_methods, reason = "arguments, cores and the time it took")]

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use common::limits::MEMBERS_MAX;
use common::thread;
use crossbeam_channel::Sender;
use tests::world::crowd::{self, crowd};
use tests::world::{Journal, outcome};

/// What is asked of the program.
enum Wish {
    Many {
        seeds: u64,
        from: u64,
        failures_max: usize,
    },
    One {
        seed: u64,
    },
    /// One large room after the other, of so many members each.
    Rooms {
        sizes: Vec<usize>,
        seed: u64,
    },
}

fn main() -> ExitCode {
    let done = match wish(std::env::args().skip(1)) {
        Some(Wish::Many { seeds, from, failures_max }) => many(seeds, from, failures_max),
        Some(Wish::One { seed }) => one(seed),
        Some(Wish::Rooms { sizes, seed }) => rooms(&sizes, seed),
        None => writeln!(io::stderr(), "{USAGE}").map(|()| ExitCode::from(2)),
    };
    done.unwrap_or(ExitCode::FAILURE)
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
    let (mut numbers, mut failures_max) = (Vec::new(), FAILURES_MAX);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--replay" => return Some(Wish::One { seed: arguments.next()?.parse().ok()? }),
            "--rooms" => {
                let sizes = arguments.by_ref().map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?;
                let within = sizes.iter().all(|size| (2..=MEMBERS_MAX).contains(size));
                return within.then_some(Wish::Rooms { sizes, seed: 1 });
            }
            "--failures" => failures_max = arguments.next()?.parse().ok()?,
            number => numbers.push(number.parse().ok()?),
        }
    }
    match numbers[..] {
        [] => Some(Wish::Many { seeds: SEEDS, from: 0, failures_max }),
        [seeds] => Some(Wish::Many { seeds, from: 0, failures_max }),
        [seeds, from] => Some(Wish::Many { seeds, from, failures_max }),
        _ => None,
    }
}

/// Every core takes the next seed until all are played, or enough have failed.
fn many(seeds: u64, from: u64, failures_max: usize) -> io::Result<ExitCode> {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(from));
    let end = from.saturating_add(seeds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // As many as play: whoever finds something waits until it is told.
    let (found, findings) = crossbeam_channel::bounded(cores);
    let mut players = Vec::new();
    for core in 0..cores {
        let (next, found) = (Arc::clone(&next), found.clone());
        players.push(thread::spawn(&format!("worlds-{core}"), move || plays(&next, end, &found))?);
    }
    drop(found);
    let (mut played, mut failed) = (0u64, Vec::new());
    let mut out = io::stdout();
    for (seed, wrong) in findings {
        played += 1;
        if let Some(wrong) = wrong {
            writeln!(out, "seed {seed}: {wrong}")?;
            failed.push(seed);
            if failed.len() >= failures_max {
                next.store(end, Ordering::Relaxed);
            }
        } else if played.is_multiple_of(TELL_EVERY) {
            writeln!(out, "{played} worlds, {:.0} a second", rate(played, begun))?;
        }
    }
    players.into_iter().for_each(thread::Handle::join);
    failed.sort_unstable();
    let rate = rate(played, begun);
    writeln!(out, "{played} worlds in {:.1} s, {rate:.0} a second: {} failed", seconds(begun), failed.len())?;
    match failed.first() {
        Some(seed) => {
            writeln!(out, "again, told: scripts/simulate.sh --replay {seed}")?;
            Ok(ExitCode::FAILURE)
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

fn plays(next: &AtomicU64, end: u64, found: &Sender<(u64, Option<String>)>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || found.send((seed, outcome(seed, Journal::default()))).is_err() {
            return;
        }
    }
}

fn one(seed: u64) -> io::Result<ExitCode> {
    let journal = Journal::kept();
    let wrong = outcome(seed, journal.clone());
    let mut out = io::stdout();
    writeln!(out, "{}\n", journal.text())?;
    match wrong {
        Some(wrong) => writeln!(out, "seed {seed}: {wrong}").map(|()| ExitCode::FAILURE),
        None => writeln!(out, "seed {seed}: everything holds").map(|()| ExitCode::SUCCESS),
    }
}

/// Plays large rooms and tells what they took; of all the usual sizes a report and a picture are kept.
fn rooms(sizes: &[usize], seed: u64) -> io::Result<ExitCode> {
    let mut out = io::stdout();
    for members in if sizes.is_empty() { &ROOM_SIZES[..] } else { sizes } {
        let begun = Instant::now();
        match crowd(*members, seed) {
            Ok(room) => {
                writeln!(out, "{members} members, {:.1} s to simulate", seconds(begun))?;
                for (name, value) in &room.figures {
                    writeln!(out, "    {name:<28} {value:>12.1}")?;
                }
                crowd::keep(&[room])?;
            }
            Err(wrong) => {
                writeln!(out, "{members} members: {wrong}")?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "for reading only")]
fn rate(played: u64, begun: Instant) -> f64 {
    played as f64 / seconds(begun).max(0.001)
}

fn seconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

const USAGE: &str =
    "simulate [--failures COUNT] [SEEDS [FROM]], or simulate --replay SEED, or simulate --rooms [MEMBERS]...";
/// From a handful, in which each is linked with each, to the largest.
const ROOM_SIZES: [usize; 6] = [10, 20, 50, 100, 200, MEMBERS_MAX];
const SEEDS: u64 = 1000;
/// More of them rarely say more.
const FAILURES_MAX: usize = 10;
const TELL_EVERY: u64 = 1000;
