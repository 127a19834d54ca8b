//! How many password checks run at once, and how many wait. They take whole cores: more of them at once would only
//! make everybody slower, and a queue without end would keep people waiting for nothing. Handshakes take turns as well:
//! when thousands come back at once, whoever does anything else would get one core's thousandth. Of those at the door
//! whoever came last is next: all programs that come back can wait and try again, a person who just pressed Enter is
//! among the last, and a handshake that was begun is ended before another begins.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    at_once: u32,
    queue: u32,
    order: Order,
    // Guards what is below; never held during a check.
    state: Mutex<State>,
}

/// Whose turn is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

#[derive(Debug, Default)]
struct State {
    running: u32,
    // In the order they came.
    waiting: VecDeque<Arc<Waiter>>,
    is_closed: bool,
}

/// Somebody who waits; told once, with the permit handed over or the word that there are none any more.
#[derive(Debug, Default)]
struct Waiter {
    told: Mutex<Option<Result<(), NoPermit>>>,
    news: Condvar,
}

/// The right to check one password, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    permits: &'a Permits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPermit {
    Busy { retry_after: u32 },
    Closed,
}

impl Permits {
    /// `at_once` 0: one core is left for everything else.
    pub(super) fn new(at_once: u32, queue: u32) -> Self {
        let at_once = if at_once == 0 { cores().saturating_sub(1).max(1) } else { at_once };
        Self { at_once, queue, order: Order::OldestFirst, state: Mutex::default() }
    }

    /// For handshakes: no core is idle while one waits, and everybody at the door may wait.
    pub(super) fn of_handshakes() -> Self {
        Self { order: Order::NewestFirst, ..Self::new(cores().saturating_add(1), u32::MAX) }
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) fn acquire(&self) -> Result<Permit<'_>, NoPermit> {
        let mut state = self.state();
        if state.is_closed {
            return Err(NoPermit::Closed);
        }
        if state.running < self.at_once {
            state.running += 1;
            return Ok(Permit { permits: self });
        }
        if state.waiting.len() >= self.queue as usize {
            return Err(NoPermit::Busy { retry_after: self.queue.div_ceil(self.at_once * CHECKS_PER_SECOND) + 1 });
        }
        let waiter = Arc::new(Waiter::default());
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        waiter.wait().map(|()| Permit { permits: self })
    }

    /// Nobody gets a permit any more, and who waits is sent away.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.drain(..).for_each(|waiter| waiter.tell(Err(NoPermit::Closed)));
    }

    fn give_back(&self) {
        let mut state = self.state();
        let next = match self.order {
            Order::OldestFirst => state.waiting.pop_front(),
            Order::NewestFirst => state.waiting.pop_back(),
        };
        match next {
            // It is handed over: nobody who comes meanwhile gets in between.
            Some(waiter) => waiter.tell(Ok(())),
            None => state.running -= 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn wait(&self) -> Result<(), NoPermit> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(word) = *told {
                return word;
            }
            told = self.news.wait(told).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn tell(&self, word: Result<(), NoPermit>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
        self.news.notify_one();
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.permits.give_back();
    }
}

/// About as many as one core does at cost 12.
const CHECKS_PER_SECOND: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_queue_one_is_told_when_to_come_back() {
        let permits = Permits::new(1, 0);
        let first = permits.acquire().unwrap();
        assert_eq!(permits.acquire().unwrap_err(), NoPermit::Busy { retry_after: 1 });
        drop(first);
        assert!(permits.acquire().is_ok());
    }

    #[test]
    fn at_the_door_nobody_is_sent_away_for_the_length_of_the_queue() {
        let permits = std::sync::Arc::new(Permits::of_handshakes());
        let held: Vec<Permit<'_>> = (0..=cores()).map(|_| permits.acquire().unwrap()).collect();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let permits = std::sync::Arc::clone(&permits);
                common::thread::spawn("waiter", move || permits.acquire().map(drop)).unwrap()
            })
            .collect();
        drop(held);
        assert!(waiters.into_iter().all(|waiter| waiter.join() == Ok(())));
    }

    #[test]
    fn the_first_in_line_is_next_but_at_the_door_the_last() {
        for (permits, expected) in [(Permits::new(1, 8), [0, 1, 2]), (one_at_the_door(), [2, 1, 0])] {
            let permits = std::sync::Arc::new(permits);
            let held = permits.acquire().unwrap();
            let (sender, turns) = crossbeam_channel::unbounded();
            let mut waiters = Vec::new();
            for number in 0..3 {
                let (waiting, sender) = (std::sync::Arc::clone(&permits), sender.clone());
                let body = move || {
                    let _permit = waiting.acquire().unwrap();
                    sender.send(number).unwrap();
                };
                waiters.push(common::thread::spawn("waiter", body).unwrap());
                while permits.state().waiting.len() <= number {
                    std::thread::yield_now();
                }
            }
            drop(held);
            assert_eq!(turns.iter().take(3).collect::<Vec<_>>(), expected);
        }
    }

    fn one_at_the_door() -> Permits {
        Permits { at_once: 1, ..Permits::of_handshakes() }
    }

    #[test]
    fn closing_sends_away_who_waits() {
        let permits = std::sync::Arc::new(Permits::new(1, 8));
        let _first = permits.acquire().unwrap();
        let waiting = std::sync::Arc::clone(&permits);
        let waiter = common::thread::spawn("waiter", move || waiting.acquire().err()).unwrap();
        permits.close();
        assert_eq!(waiter.join(), Some(NoPermit::Closed));
    }
}
