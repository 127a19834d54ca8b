//! How many password checks run at once, and how many wait. They take whole cores: more of them at once would only
//! make everybody slower, and a queue without end would keep people waiting for nothing. Handshakes take turns as well:
//! when thousands come back at once, whoever does anything else would get one core's thousandth. Of those at the door whose
//! ranks are equal whoever came last is next: all programs that come back can wait and try again, a person who just
//! pressed Enter is among the last, and a handshake that was begun is ended before another begins.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::door::Rank;

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    at_once: u32,
    queue: u32,
    order: Order,
    // Guards what is below; never held during a check.
    state: Mutex<State>,
}

/// Whose turn is next among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

#[derive(Debug, Default)]
struct State {
    running: u32,
    // In the order of their turns; each is told when its own comes, and gone when there are no turns any more.
    waiting: BTreeMap<(Rank, u64), Sender<()>>,
    waited: u64,
    is_closed: bool,
}

/// The right to check one password, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    permits: &'a Permits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPermit {
    Busy {
        retry_after: u32,
    },
    /// No turn came in time.
    Late,
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
        Self { order: Order::NewestFirst, ..Self::new(at_the_door(), u32::MAX) }
    }

    /// Waits for a turn until `deadline`, unless too many wait already. Without one, the length of the queue is the limit.
    pub(super) fn acquire(&self, rank: Rank, deadline: Option<Instant>) -> Result<Permit<'_>, NoPermit> {
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
        let (tell, told) = bounded(1);
        state.waited += 1;
        let place = match self.order {
            Order::OldestFirst => (rank, state.waited),
            Order::NewestFirst => (rank, u64::MAX - state.waited),
        };
        state.waiting.insert(place, tell);
        drop(state);
        let word = match deadline {
            None => told.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => told.recv_deadline(deadline),
        };
        match word {
            Ok(()) => Ok(Permit { permits: self }),
            Err(RecvTimeoutError::Disconnected) => Err(NoPermit::Closed),
            Err(RecvTimeoutError::Timeout) => {
                self.state().waiting.remove(&place);
                // Its turn may have come in the last moment.
                told.try_recv().map(|()| Permit { permits: self }).map_err(|_| NoPermit::Late)
            }
        }
    }

    /// Nobody gets a permit any more, and who waits is sent away.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
    }

    fn give_back(&self) {
        let mut state = self.state();
        match state.waiting.pop_first() {
            // It is handed over: nobody who comes meanwhile gets in between.
            Some((_, tell)) => drop(tell.try_send(())),
            None => state.running -= 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many strangers are served at once: no core is idle while one waits.
pub(super) fn at_the_door() -> u32 {
    cores().saturating_add(1)
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
        let first = permits.acquire(Rank::default(), None).unwrap();
        assert_eq!(permits.acquire(Rank::default(), None).unwrap_err(), NoPermit::Busy { retry_after: 1 });
        drop(first);
        assert!(permits.acquire(Rank::default(), None).is_ok());
    }

    #[test]
    fn at_the_door_nobody_is_sent_away_for_the_length_of_the_queue() {
        let permits = std::sync::Arc::new(Permits::of_handshakes());
        let held: Vec<Permit<'_>> = (0..=cores()).map(|_| permits.acquire(Rank::default(), None).unwrap()).collect();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let permits = std::sync::Arc::clone(&permits);
                common::thread::spawn("waiter", move || permits.acquire(Rank::default(), None).map(drop)).unwrap()
            })
            .collect();
        drop(held);
        assert!(waiters.into_iter().all(|waiter| waiter.join() == Ok(())));
    }

    #[test]
    fn whoever_waits_too_long_goes_and_leaves_nothing() {
        let permits = Permits::new(1, 8);
        let held = permits.acquire(Rank::default(), None).unwrap();
        let soon = Instant::now() + std::time::Duration::from_millis(20);
        assert_eq!(permits.acquire(Rank::default(), Some(soon)).unwrap_err(), NoPermit::Late);
        assert!(permits.state().waiting.is_empty());
        drop(held);
        assert!(permits.acquire(Rank::default(), Some(Instant::now())).is_ok(), "nobody was handed it");
    }

    #[test]
    fn the_first_in_line_is_next_but_at_the_door_the_last() {
        for (permits, expected) in [(Permits::new(1, 8), [0, 1, 2]), (one_at_the_door(), [2, 1, 0])] {
            let permits = std::sync::Arc::new(permits);
            let held = permits.acquire(Rank::default(), None).unwrap();
            let (sender, turns) = crossbeam_channel::unbounded();
            let mut waiters = Vec::new();
            for number in 0..3 {
                let (waiting, sender) = (std::sync::Arc::clone(&permits), sender.clone());
                let body = move || {
                    let _permit = waiting.acquire(Rank::default(), None).unwrap();
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

    #[test]
    fn a_known_source_goes_first_then_who_came_with_fewer_others() {
        let permits = std::sync::Arc::new(one_at_the_door());
        let held = permits.acquire(Rank::default(), None).unwrap();
        let (sender, turns) = crossbeam_channel::unbounded();
        let ranks = [Rank::of(true, 3), Rank::of(false, 1), Rank::of(false, 0), Rank::of(false, 1)];
        let mut waiters = Vec::new();
        for (number, rank) in ranks.into_iter().enumerate() {
            let (waiting, sender) = (std::sync::Arc::clone(&permits), sender.clone());
            let body = move || {
                let _permit = waiting.acquire(rank, None).unwrap();
                sender.send(number).unwrap();
            };
            waiters.push(common::thread::spawn("waiter", body).unwrap());
            while permits.state().waiting.len() <= number {
                std::thread::yield_now();
            }
        }
        drop(held);
        assert_eq!(turns.iter().take(4).collect::<Vec<_>>(), [0, 2, 3, 1]);
    }

    fn one_at_the_door() -> Permits {
        Permits { at_once: 1, ..Permits::of_handshakes() }
    }

    #[test]
    fn closing_sends_away_who_waits() {
        let permits = std::sync::Arc::new(Permits::new(1, 8));
        let _first = permits.acquire(Rank::default(), None).unwrap();
        let waiting = std::sync::Arc::clone(&permits);
        let waiter = common::thread::spawn("waiter", move || waiting.acquire(Rank::default(), None).err()).unwrap();
        permits.close();
        assert_eq!(waiter.join(), Some(NoPermit::Closed));
    }
}
