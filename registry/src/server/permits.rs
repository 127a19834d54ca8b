//! How many password checks run at once, and how many wait. They take whole cores: more of them at once would only
//! make everybody slower, and a queue without end would keep people waiting for nothing. Handshakes take turns as well:
//! when thousands come back at once, whoever does anything else would get one core's thousandth.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    at_once: u32,
    queue: u32,
    // Guards the numbers below; never held during a check.
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: u32,
    waiting: u32,
    is_closed: bool,
}

/// The right to check one password, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    permits: &'a Permits,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPermit {
    Busy { retry_after: u32 },
    Closed,
}

impl Permits {
    /// `at_once` 0: one core is left for everything else.
    pub(super) fn new(at_once: u32, queue: u32) -> Self {
        let at_once = if at_once == 0 { cores().saturating_sub(1).max(1) } else { at_once };
        Self { at_once, queue, state: Mutex::default(), freed: Condvar::new() }
    }

    /// For handshakes: no core is idle while one waits, and everybody at the door may wait.
    pub(super) fn of_handshakes() -> Self {
        Self::new(cores().saturating_add(1), u32::MAX)
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) fn acquire(&self) -> Result<Permit<'_>, NoPermit> {
        let mut state = self.state();
        if state.running >= self.at_once {
            if state.waiting >= self.queue {
                return Err(NoPermit::Busy { retry_after: self.queue.div_ceil(self.at_once * CHECKS_PER_SECOND) + 1 });
            }
            state.waiting += 1;
            let full = |state: &mut State| state.running >= self.at_once && !state.is_closed;
            state = self.freed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        if state.is_closed {
            return Err(NoPermit::Closed);
        }
        state.running += 1;
        Ok(Permit { permits: self })
    }

    /// Nobody gets a permit any more, and who waits is sent away.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.freed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.permits.state().running -= 1;
        self.permits.freed.notify_one();
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
    fn closing_sends_away_who_waits() {
        let permits = std::sync::Arc::new(Permits::new(1, 8));
        let _first = permits.acquire().unwrap();
        let waiting = std::sync::Arc::clone(&permits);
        let waiter = common::thread::spawn("waiter", move || waiting.acquire().err()).unwrap();
        permits.close();
        assert_eq!(waiter.join(), Some(NoPermit::Closed));
    }
}
