//! How many requests one session may make: a budget that fills again with time. Before the sign-in it is small, after
//! it large enough for whoever comes back to many rooms and a full mailbox. Whoever does not wait when told to is cut.

use common::time::Monotonic;

/// What an operator may set. Looking something up costs one, a change five; see [`crate::service::price`].
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

impl Budget {
    pub(super) fn new(limits: RateLimits, now: Monotonic) -> Self {
        let most = limits.requests_before_sign_in;
        Self { limits, most, left: milli(most), filled: now }
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
        self.filled = now;
        let price = milli(price.min(self.most));
        if self.left >= price {
            self.left -= price;
            return Spent::Paid;
        }
        self.left -= milli(1);
        if self.left < -milli(self.most.min(DEBT_MAX)) {
            return Spent::Flood;
        }
        let lacking = price - self.left;
        let per_second = milli(self.limits.requests_per_second);
        let seconds = lacking.div_euclid(per_second) + i64::from(lacking.rem_euclid(per_second) > 0);
        Spent::Refused { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) }
    }
}

fn milli(amount: u32) -> i64 {
    i64::from(amount) * 1000
}

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
