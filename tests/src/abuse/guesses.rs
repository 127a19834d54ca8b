//! Somebody who guesses the password of an account, from as many addresses as they like.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::ids::AuthKey;
use common::message::registry::{Code, Refusal, Request};

use super::source;
use crate::wire::{Person, RegistryLink};

/// Who guesses whose.
pub struct Guesses<'a> {
    pub registry: &'a str,
    /// The account; it need not exist.
    pub account: &'a Person,
    /// Sources they come from; the first is number `first_source`.
    pub sources: usize,
    pub first_source: usize,
}

/// What became of guesses.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Guessed {
    pub guesses: usize,
    /// Looked at, and found wrong.
    pub checked: usize,
    /// Told to wait.
    pub throttled: usize,
}

impl Guesses<'_> {
    /// Guesses `count` times, in turn from every source, on many connections at once: each of them is made to wait.
    pub fn run(&self, count: usize) -> Guessed {
        let connections = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..CONNECTIONS_AT_ONCE).map(|_| scope.spawn(|| self.work(&connections, count))).collect();
            let all = threads.into_iter().map(|thread| thread.join().expect("a guesser panicked"));
            all.fold(Guessed::default(), |sum, one| Guessed {
                guesses: sum.guesses + one.guesses,
                checked: sum.checked + one.checked,
                throttled: sum.throttled + one.throttled,
            })
        })
    }

    fn work(&self, connections: &AtomicUsize, count: usize) -> Guessed {
        let mut guessed = Guessed::default();
        loop {
            let turn = connections.fetch_add(1, Ordering::Relaxed);
            let first = turn * GUESSES_PER_CONNECTION;
            if first >= count {
                return guessed;
            }
            let mut link = self.connect(turn);
            for number in first..(first + GUESSES_PER_CONNECTION).min(count) {
                guessed.guesses += 1;
                match guess(&mut link, self.account, number).code {
                    Code::Credentials => guessed.checked += 1,
                    Code::Throttled | Code::Busy => guessed.throttled += 1,
                    other => panic!("a wrong password was answered with {other}"),
                }
            }
        }
    }

    fn connect(&self, turn: usize) -> RegistryLink {
        RegistryLink::connect_from(source(self.first_source + turn % self.sources), self.registry, self.account)
    }
}

/// Times of refusals, in turn for an account that exists and for one that does not, from the same address; and the
/// refusals themselves, which have to be the same.
pub fn time_answers(registry: &str, known: &Person, unknown: &Person, count: usize) -> [Vec<(Duration, Refusal)>; 2] {
    let mut answers = [Vec::new(), Vec::new()];
    let mut turn = 0;
    while answers[1].len() < count {
        let from = source(SOURCES_OF_TIMES + turn / CONNECTIONS_PER_SOURCE);
        // Each on a connection of its own: on one that was refused before, what takes time is the wait.
        let mut links = [known, unknown].map(|person| RegistryLink::connect_from(from, registry, person));
        // Now this one first, now the other, so that what drifts drifts for both.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let person = [known, unknown][which];
            let begun = Instant::now();
            let refusal = guess(&mut links[which], person, turn);
            answers[which].push((begun.elapsed(), refusal));
        }
        turn += 1;
    }
    answers
}

fn guess(link: &mut RegistryLink, account: &Person, number: usize) -> Refusal {
    let mut auth = AuthKey([0x77; 32]);
    auth.0[..8].copy_from_slice(&number.to_be_bytes());
    let statement = account.statement(link.realm());
    link.ask(Request::SignIn { auth, statement }).expect_err("a wrong password was accepted")
}

/// What a session may ask before somebody signs in on it is more than that.
const GUESSES_PER_CONNECTION: usize = 10;
/// Fewer than may come from one source.
const CONNECTIONS_AT_ONCE: usize = 60;
/// Away from the sources of others.
const SOURCES_OF_TIMES: usize = 40_000;
const CONNECTIONS_PER_SOURCE: usize = 20;
