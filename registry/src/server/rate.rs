//! How many requests one session may make: a budget that fills again with time. Before the sign-in it is small, after
//! it large enough for whoever comes back to many rooms and a full mailbox. Whoever asks for much is answered with
//! pauses, in which everybody else is, and the more of them there are, the longer those get; whoever does not wait when
//! told to is made to, and cut in the end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::time::Monotonic;

/// What an operator may set. Looking something up costs one to three, a change five; see [`crate::service::price`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    pub requests_per_second: u32,
    /// What a session may spend at once when it comes.
    pub requests_at_once: u32,
    /// What a session may spend until somebody signs in on it.
    pub requests_before_sign_in: u32,
}

/// One session's budget.
#[derive(Debug)]
pub(super) struct Budget {
    limits: RateLimits,
    most: u32,
    // Thousandths; below zero for what was asked in spite of a refusal.
    left: i64,
    filled: Monotonic,
    // Spent since the last pause or yield.
    unpaused: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    Paid,
    /// Not to be done; after so many seconds it can be.
    Refused {
        retry_after: u32,
    },
    /// Refused many times and still asking.
    Flood,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    None,
    /// None, but others go first.
    Yield,
    /// A while, and until a turn comes.
    For(Duration),
}

impl Budget {
    pub(super) fn new(limits: RateLimits, now: Monotonic) -> Self {
        let most = limits.requests_before_sign_in;
        Self { limits, most, left: milli(most), filled: now, unpaused: 0 }
    }

    /// Somebody signed in for the first time.
    pub(super) fn welcome(&mut self) {
        if self.most != self.limits.requests_at_once {
            self.most = self.limits.requests_at_once;
            self.left = milli(self.most);
        }
    }

    /// Takes the price of a request, if it is there. A refusal costs one, so that asking on is not free.
    pub(super) fn spend(&mut self, price: u32, now: Monotonic) -> Spent {
        let passed = i64::try_from(now.since(self.filled).as_millis()).unwrap_or(i64::MAX);
        let gained = passed.saturating_mul(self.limits.requests_per_second.into());
        self.left = self.left.saturating_add(gained).min(milli(self.most));
        // It lies ahead while somebody is made to wait.
        self.filled = self.filled.max(now);
        let units = price.min(self.most);
        let price = milli(units);
        if self.left >= price {
            self.left -= price;
            self.unpaused = self.unpaused.saturating_add(units);
            return Spent::Paid;
        }
        self.left -= milli(1);
        if self.left < -milli((self.most / 4).min(DEBT_MAX)) {
            return Spent::Flood;
        }
        let per_second = milli(self.limits.requests_per_second);
        // A tenth of the time is spent at rest.
        let (lacking, gained) = ((price - self.left) * 10, per_second * 9);
        let seconds = lacking.div_euclid(gained) + i64::from(lacking.rem_euclid(gained) > 0);
        Spent::Refused { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) }
    }

    /// What comes before the next request, after one that was paid.
    pub(super) fn pause(&mut self, turns: &Turns, now: Monotonic) -> Pause {
        if self.unpaused < UNPAUSED_MAX {
            return Pause::None;
        }
        self.unpaused = 0;
        if self.left < milli(self.most) / 30 * 29 { Pause::For(turns.take(now).max(PAUSE)) } else { Pause::Yield }
    }

    /// How long whoever was just told to wait for so many seconds is made to; that time gains them nothing.
    pub(super) fn rest(&mut self, retry_after: u32) -> Duration {
        let rest = (Duration::from_secs(retry_after.into()) / 10).min(REST_MAX);
        self.filled = self.filled.plus(rest);
        rest
    }
}

/// The turns that everybody who asks for much shares: together they get hardly more than a few of them would.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: Mutex<Monotonic>,
}

impl Turns {
    /// Takes the next one, and gives the time until then.
    fn take(&self, now: Monotonic) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now).min(now.plus(REST_MAX));
        *next = turn.plus(TURN);
        turn.since(now)
    }
}

fn milli(amount: u32) -> i64 {
    i64::from(amount) * 1000
}

/// Spent between two pauses by whoever has spent a thirtieth of what they may spend at once: more than comes in again, and
/// a hundredth of what one core could do meanwhile.
const UNPAUSED_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(30);
/// Between two turns: whoever asks for much gets all that a pause leaves while there are three of them.
const TURN: Duration = Duration::from_millis(10);
/// More would only hold a stop of the server up, or a person who means well.
const REST_MAX: Duration = Duration::from_secs(1);
/// Refusals in a row, about, before a session is cut: more than whoever asks without looking has under way.
const DEBT_MAX: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits =
        RateLimits { requests_per_second: 10, requests_at_once: 100, requests_before_sign_in: 20 };

    #[test]
    fn whoever_waits_as_long_as_told_is_served() {
        for price in [1, 5, 20] {
            let mut budget = Budget::new(LIMITS, Monotonic(0));
            budget.welcome();
            let mut now = 7;
            for _ in 0..50 {
                while budget.spend(price, Monotonic(now)) == Spent::Paid {}
                let Spent::Refused { retry_after } = budget.spend(price, Monotonic(now)) else {
                    panic!("not yet a flood")
                };
                // The refusal goes out before the rest.
                budget.rest(retry_after);
                now += u64::from(retry_after) * 1000;
                assert_eq!(budget.spend(price, Monotonic(now)), Spent::Paid, "price {price} at {now}");
            }
        }
    }

    #[test]
    fn whoever_asks_on_is_cut() {
        let mut budget = Budget::new(LIMITS, Monotonic(0));
        let paid = (0..).take_while(|_| budget.spend(1, Monotonic(0)) == Spent::Paid).count();
        assert_eq!(paid, 20, "a stranger has little");
        let refused = (0..).take_while(|_| budget.spend(1, Monotonic(0)) != Spent::Flood).count();
        assert!(refused <= 20, "{refused}");
    }

    #[test]
    fn time_at_rest_gains_nothing() {
        let mut budget = Budget::new(LIMITS, Monotonic(0));
        while budget.spend(1, Monotonic(0)) == Spent::Paid {}
        let begun = budget.left;
        let mut now = 0;
        // Each asks again as soon as it may.
        for _ in 0..4 {
            assert!(matches!(budget.spend(1, Monotonic(now)), Spent::Refused { .. }));
            now += u64::try_from(budget.rest(1).as_millis()).unwrap();
        }
        assert_eq!((now, budget.left), (400, begun - milli(4)));
    }

    #[test]
    fn whoever_asks_for_much_is_answered_with_pauses_and_others_are_not() {
        let mut budget = Budget::new(LIMITS, Monotonic(0));
        budget.welcome();
        let mut unpaused = Vec::new();
        let mut spent = 0;
        for _ in 0..60 {
            assert_eq!(budget.spend(1, Monotonic(0)), Spent::Paid);
            spent += 1;
            if matches!(budget.pause(&Turns::default(), Monotonic(0)), Pause::For(_)) {
                unpaused.push(std::mem::take(&mut spent));
            }
        }
        assert_eq!(unpaused, [8; 7]);
        // At the pace that it fills again with, there are none.
        let mut now = 1_000_000;
        for _ in 0..60 {
            assert_eq!(budget.spend(1, Monotonic(now)), Spent::Paid);
            assert!(!matches!(budget.pause(&Turns::default(), Monotonic(now)), Pause::For(_)));
            now += 100;
        }
    }

    #[test]
    fn many_who_ask_for_much_share_what_a_few_would_get() {
        let turns = Turns::default();
        let waits = |count: usize, at| (0..count).map(|_| turns.take(Monotonic(at)).as_millis()).collect::<Vec<_>>();
        assert_eq!(waits(4, 5000), [0, 10, 20, 30]);
        assert_eq!(waits(2, 5035), [5, 15], "those who waited go first");
        assert_eq!(waits(1, 9000), [0], "what nobody took is not saved up");
        // However many there are, none is forgotten.
        assert_eq!(waits(500, 9000).last(), Some(&1000));
    }

    #[test]
    fn signing_in_gives_more_and_only_once() {
        let mut budget = Budget::new(LIMITS, Monotonic(0));
        budget.welcome();
        for _ in 0..100 {
            assert_eq!(budget.spend(1, Monotonic(0)), Spent::Paid);
        }
        budget.welcome();
        assert_ne!(budget.spend(1, Monotonic(0)), Spent::Paid);
    }
}
