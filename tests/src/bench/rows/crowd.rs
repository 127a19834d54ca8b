//! Rows about a registry with many sessions.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::secure::handshake::Handshake;
use common::secure::identity::DeviceSecret;
use common::thread::{Handle, spawn_small};

use super::super::child::{cpu_time, files_max, resident_kib};
use super::super::contenders::{ALL, Server};
use super::super::contestant::{Candidate, each};
use super::super::figures::Column;
use super::super::fleet::{self, Fleet};
use super::super::limits::connected;
use super::super::plan::Plan;

pub(super) const SESSIONS: &[Column] =
    &[Column::cost("memory", "memory a session", "KiB"), Column::rate("held", "sessions held", "")];
pub(super) const SIGN_INS: &[Column] = &[Column::rate("rate", "sign-ins", "/s")];
pub(super) const IDLE: &[Column] = &[Column::cost("share", "of a core", "%")];

/// Memory that each session adds.
pub(super) fn sessions(plan: &Plan) -> Vec<Candidate> {
    // As many as a registry takes: past some 16,000 threads the kernel has no more mappings for a process.
    let count = plan.number(15_000, 40).min(files_max().saturating_sub(200));
    let few = plan.number(1000, 20);
    let ours = Candidate::ours("p2p-chat", move |_| {
        let mut fleet = Fleet::start(count);
        Ok(each(move || {
            let pid = fleet.pid();
            let before = resident_kib(pid)?;
            let mut links = fleet.sign_in_all(0..fleet.accounts)?;
            // What they do every half minute is part of being idle.
            fleet::ping(&mut links)?;
            let grown = resident_kib(pid)? - before;
            let held = links.len() as f64;
            fleet.registry.restart();
            Ok(vec![("memory", grown / held), ("held", held)])
        }))
    });
    let limit = Candidate::limit("a thread with its socket", move |_| {
        Ok(each(move || {
            let before = resident_kib(std::process::id())?;
            let threads: Vec<Waiting> = (0..few).map(|_| Waiting::start()).collect::<io::Result<_>>()?;
            let grown = resident_kib(std::process::id())? - before;
            Ok(vec![("memory", grown / threads.len() as f64)])
        }))
    });
    let contenders = ALL.into_iter().map(|one| {
        one.candidate(move |server| {
            let mut rounds = 0;
            Ok(each(move || {
                rounds += 1;
                let pid = server.running.pid();
                let before = resident_kib(pid)?;
                let held = connect_all(&server, rounds, few)?;
                let grown = resident_kib(pid)? - before;
                Ok(vec![("memory", grown / held.len() as f64)])
            }))
        })
    });
    [limit, ours].into_iter().chain(contenders).collect()
}

/// A thread that waits at a socket: both end when it is dropped.
struct Waiting {
    near: TcpStream,
    thread: Option<Handle>,
}

impl Waiting {
    fn start() -> io::Result<Self> {
        let [near, far] = connected()?;
        let wait = move || {
            let _ = io::Read::read(&mut &far, &mut [0; 1]);
        };
        Ok(Self { near, thread: Some(spawn_small("waiting", STACK_BYTES, wait)?) })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.near.shutdown(std::net::Shutdown::Both);
        self.thread = None;
    }
}

pub(super) fn sign_ins(plan: &Plan) -> Vec<Candidate> {
    let count = plan.number(2000, 20);
    let ours = Candidate::ours("p2p-chat", move |_| {
        let fleet = Fleet::start(count);
        Ok(each(move || {
            let begun = Instant::now();
            let links = fleet.sign_in_all(0..fleet.accounts)?;
            Ok(vec![("rate", links.len() as f64 / begun.elapsed().as_secs_f64())])
        }))
    });
    let limit = Candidate::limit("the handshake, both ends, all cores", move |_| {
        Ok(each(move || {
            let cores = std::thread::available_parallelism()?.get();
            let begun = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..cores {
                    scope.spawn(|| (0..count / cores).for_each(shake));
                }
            });
            Ok(vec![("rate", count as f64 / begun.elapsed().as_secs_f64())])
        }))
    });
    let contenders = ALL.into_iter().map(|one| {
        one.candidate(move |server| {
            let mut rounds = 0;
            Ok(each(move || {
                rounds += 1;
                let begun = Instant::now();
                let held = connect_all(&server, rounds, count)?;
                Ok(vec![("rate", held.len() as f64 / begun.elapsed().as_secs_f64())])
            }))
        })
    });
    [limit, ours].into_iter().chain(contenders).collect()
}

/// Many at a time: some servers look at newcomers only now and then.
fn connect_all(server: &Server, round: usize, count: usize) -> io::Result<Vec<TcpStream>> {
    let share = count.div_ceil(AT_ONCE).max(1);
    let numbers: Vec<usize> = (0..count).collect();
    std::thread::scope(|scope| {
        let connect = |some: &[usize]| {
            let some = some.to_vec();
            let one = move |number: usize| server.connect(&format!("r{round}n{number}"));
            scope.spawn(move || some.into_iter().map(one).collect::<io::Result<Vec<_>>>())
        };
        let threads: Vec<_> = numbers.chunks(share).map(connect).collect();
        let mut all = Vec::with_capacity(count);
        for thread in threads {
            all.extend(thread.join().map_err(|_| io::Error::other("it panicked"))??);
        }
        Ok(all)
    })
}

/// Noise XX in memory.
fn shake(_: usize) {
    let (registry, device) = (DeviceSecret::from_bytes([3; 32]), DeviceSecret::from_bytes([5; 32]));
    let (mut dialer, mut answerer) = (Handshake::registry_dialer(&device), Handshake::registry_answerer(&registry));
    let fits = "two ends of one handshake fit";
    answerer.read(&dialer.write(&[]).expect(fits)).expect(fits);
    dialer.read(&answerer.write(&[]).expect(fits)).expect(fits);
    answerer.read(&dialer.write(&[]).expect(fits)).expect(fits);
    drop((dialer.finish().expect(fits), answerer.finish().expect(fits)));
}

/// Sessions that only say that they are there.
pub(super) fn idle(plan: &Plan) -> Vec<Candidate> {
    let (count, seconds) = (plan.number(1000, 20), plan.number(30, 1) as u64);
    vec![Candidate::ours("p2p-chat", move |_| {
        let mut fleet = Fleet::start(count);
        let mut links = fleet.sign_in_all(0..count)?;
        Ok(each(move || {
            let pid = fleet.pid();
            let (begun, before) = (Instant::now(), cpu_time(pid)?);
            // Every session pings once in half a minute; here a part of them in each second.
            let share = links.len().div_ceil(PING_EVERY_S).max(1);
            for (second, some) in links.chunks_mut(share).take(usize::try_from(seconds).unwrap_or(1)).enumerate() {
                fleet::ping(some)?;
                let _ = crossbeam_channel::at(begun + Duration::from_secs(second as u64 + 1)).recv();
            }
            let spent = cpu_time(pid)?.saturating_sub(before);
            Ok(vec![("share", 100.0 * spent.as_secs_f64() / begun.elapsed().as_secs_f64())])
        }))
    })]
}

/// The stack that a session of the registry has.
const STACK_BYTES: usize = 256 * 1024;
const PING_EVERY_S: usize = 30;
/// Clients of a contender that connect at the same time.
const AT_ONCE: usize = 200;
