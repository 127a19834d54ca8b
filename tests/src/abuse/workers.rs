//! People who work: each asks the registry something, again and again, and notes how long the answer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::message::registry::{Reply, Request};
use common::thread::{Handle, spawn};

use super::turns::Timed;
use super::{pause, source};
use crate::wire::{Person, RegistryLink};

/// Running people; they stop when told to.
pub struct Workers {
    // Told before the threads are joined.
    stop: Arc<AtomicBool>,
    threads: Vec<Handle<Worked>>,
}

/// What people got done. What did not come, or was a refusal, is a panic.
#[derive(Debug, Default)]
pub struct Worked {
    /// From a request to its answer.
    pub answers: Vec<Timed>,
    /// From the first byte of a connection to being signed in by the key of the device.
    pub returns: Vec<Timed>,
}

impl Workers {
    /// Lets as many people with accounts of their own sign in by device key and begin.
    pub fn start(registry: &str, links: Vec<(Person, RegistryLink)>, every: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |(number, (person, link)): (usize, (Person, RegistryLink))| {
            let (stop, registry) = (Arc::clone(&stop), registry.to_owned());
            let body = move || work(&registry, &person, number, link, &stop, every);
            spawn(&format!("worker {number}"), body).expect("a thread")
        };
        let threads = links.into_iter().enumerate().map(begin).collect();
        Self { stop, threads }
    }

    /// As many people as that with a new account each, signed in.
    pub fn sign_up(registry: &str, count: usize) -> Vec<(Person, RegistryLink)> {
        let sign_up = |number: usize| {
            let person = Person::new(&format!("worker-{number}"));
            let link = RegistryLink::sign_up(registry, &person);
            (person, link)
        };
        (0..count).map(sign_up).collect()
    }

    pub fn stop(self) -> Worked {
        self.stop.store(true, Ordering::Release);
        let mut all = Worked::default();
        for one in self.threads.into_iter().map(Handle::join) {
            all.answers.extend(one.answers);
            all.returns.extend(one.returns);
        }
        all
    }
}

fn work(
    registry: &str,
    person: &Person,
    number: usize,
    mut link: RegistryLink,
    stop: &AtomicBool,
    every: Duration,
) -> Worked {
    // Each at an address and a time of their own, as people are.
    let from = source(SOURCES_OF_WORKERS + number);
    let mut worked = Worked::default();
    for round in number.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        // Now and then they come anew, by the key of their device.
        if round % ROUNDS_PER_CONNECTION == 0 {
            drop(link);
            let begun = Instant::now();
            link = RegistryLink::connect_from(from, registry, person);
            let resumed = link.ask(Request::Resume { user: person.name.clone() });
            assert!(matches!(resumed, Ok(Reply::SignedIn { .. })), "{} comes back: {resumed:?}", person.name);
            worked.returns.push(Timed::since(begun));
        }
        let request = match round % 3 {
            0 => Request::Ping,
            1 => Request::Lookup { user: person.name.clone() },
            _ => Request::Who { pattern: None, after: None },
        };
        let begun = Instant::now();
        let answer = link.ask(request);
        assert!(answer.is_ok(), "{} was refused: {answer:?}", person.name);
        worked.answers.push(Timed::since(begun));
        pause(every);
    }
    worked
}

/// Away from the sources of others.
const SOURCES_OF_WORKERS: usize = 50_000;
const ROUNDS_PER_CONNECTION: usize = 50;
