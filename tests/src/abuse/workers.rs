//! People who work: each asks the registry something, again and again, and notes how long the answer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::message::registry::{Reply, Request};
use common::thread::{Handle, spawn};

use super::{pause, source};
use crate::wire::{Person, RegistryLink};

/// Running people; they stop when told to.
pub struct Workers {
    // Told before the threads are joined.
    stop: Arc<AtomicBool>,
    threads: Vec<Handle<Vec<Duration>>>,
}

/// What people got done.
#[derive(Debug)]
pub struct Worked {
    /// Of every answer. One that did not come, or was a refusal, is a panic.
    pub answers: Vec<Duration>,
    pub people: usize,
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
        let people = self.threads.len();
        let answers = self.threads.into_iter().flat_map(Handle::join).collect();
        Worked { answers, people }
    }
}

fn work(
    registry: &str,
    person: &Person,
    number: usize,
    mut link: RegistryLink,
    stop: &AtomicBool,
    every: Duration,
) -> Vec<Duration> {
    // Each at an address and a time of their own, as people are.
    let from = source(SOURCES_OF_WORKERS + number);
    let mut times = Vec::new();
    for round in number.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        // Now and then they come anew, by the key of their device.
        if round % ROUNDS_PER_CONNECTION == 0 {
            drop(link);
            link = RegistryLink::connect_from(from, registry, person);
            let resumed = link.ask(Request::Resume { user: person.name.clone() });
            assert!(matches!(resumed, Ok(Reply::SignedIn { .. })), "{} comes back: {resumed:?}", person.name);
        }
        let request = match round % 3 {
            0 => Request::Ping,
            1 => Request::Lookup { user: person.name.clone() },
            _ => Request::Who { pattern: None, after: None },
        };
        let begun = Instant::now();
        let answer = link.ask(request);
        assert!(answer.is_ok(), "{} was refused: {answer:?}", person.name);
        times.push(begun.elapsed());
        pause(every);
    }
    times
}

/// Away from the sources of others.
const SOURCES_OF_WORKERS: usize = 50_000;
const ROUNDS_PER_CONNECTION: usize = 50;
