//! How often a password may be tried and an account be made. In memory and bounded: past its limit the oldest entry
//! goes. An attempt is charged before its password is checked, so that many at once count as many.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use common::names::UserName;
use common::time::Monotonic;

/// See the module.
#[derive(Debug)]
pub(super) struct Throttle {
    failures_max: u32,
    pairs: Bounded<(UserName, Source), Failures>,
    accounts: Bounded<UserName, Window>,
    accounts_max: usize,
    sign_ups: Bounded<Source, Window>,
    sign_ups_max: usize,
}

/// Where an attempt comes from: an IPv4 address, or the /64 that one household or machine has of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

/// Seconds until trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(pub(super) u32);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Monotonic,
}

// Times of the attempts of the last hour, at most as many as are allowed.
#[derive(Debug, Clone, Default)]
struct Window {
    times: VecDeque<Monotonic>,
}

impl Throttle {
    pub(super) fn new(failures_max: u32, failures_hour_max: u32, sign_ups_hour_max: u32) -> Self {
        Self {
            failures_max,
            pairs: Bounded::default(),
            accounts: Bounded::default(),
            accounts_max: failures_hour_max as usize,
            sign_ups: Bounded::default(),
            sign_ups_max: sign_ups_hour_max as usize,
        }
    }

    /// Charges one password attempt, or says how long to wait.
    pub(super) fn attempt(&mut self, user: &UserName, source: Source, now: Monotonic) -> Result<(), Wait> {
        let pair = (user.clone(), source);
        let failures = self.pairs.map.get(&pair).copied().filter(|kept| now.since(kept.last) < FORGET_AFTER);
        let count = failures.map_or(0, |kept| kept.count);
        if let Some(kept) = failures.filter(|kept| kept.count >= self.failures_max) {
            let until = kept.last.plus(delay(kept.count - self.failures_max));
            if now < until {
                return Err(wait(until, now));
            }
        }
        self.accounts.entry(user.clone()).charge(self.accounts_max, now)?;
        *self.pairs.entry(pair) = Failures { count: count.saturating_add(1), last: now };
        Ok(())
    }

    /// The attempt was right: nothing is held against this person any more.
    pub(super) fn succeeded(&mut self, user: &UserName, source: Source) {
        self.pairs.map.remove(&(user.clone(), source));
        self.accounts.map.remove(user);
    }

    /// The attempt was never checked.
    pub(super) fn take_back_attempt(&mut self, user: &UserName, source: Source) {
        self.pairs.take_back(&(user.clone(), source));
        self.accounts.take_back(user);
    }

    /// Charges one sign-up, or says how long to wait.
    pub(super) fn sign_up(&mut self, source: Source, now: Monotonic) -> Result<(), Wait> {
        let most = self.sign_ups_max;
        self.sign_ups.entry(source).charge(most, now)
    }

    /// The sign-up made no account.
    pub(super) fn take_back_sign_up(&mut self, source: Source) {
        self.sign_ups.take_back(&source);
    }
}

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        })
    }
}

impl Window {
    fn charge(&mut self, most: usize, now: Monotonic) -> Result<(), Wait> {
        while self.times.front().is_some_and(|first| now.since(*first) >= HOUR) {
            self.times.pop_front();
        }
        if self.times.len() >= most {
            let oldest = self.times.front().copied().unwrap_or(now);
            return Err(wait(oldest.plus(HOUR), now));
        }
        self.times.push_back(now);
        Ok(())
    }
}

/// What a table of the throttle keeps per key, and when it was last used.
trait Dated: Default {
    fn last(&self) -> Monotonic;
    /// Takes one charge back; whether any is left.
    fn take_back(&mut self) -> bool;
}

impl Default for Failures {
    fn default() -> Self {
        Self { count: 0, last: Monotonic(0) }
    }
}

impl Dated for Failures {
    fn last(&self) -> Monotonic {
        self.last
    }

    fn take_back(&mut self) -> bool {
        self.count = self.count.saturating_sub(1);
        self.count > 0
    }
}

impl Dated for Window {
    fn last(&self) -> Monotonic {
        self.times.back().copied().unwrap_or_default()
    }

    fn take_back(&mut self) -> bool {
        self.times.pop_back();
        !self.times.is_empty()
    }
}

#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { map: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone, V: Dated> Bounded<K, V> {
    fn entry(&mut self, key: K) -> &mut V {
        if self.map.len() >= ENTRIES_MAX && !self.map.contains_key(&key) {
            self.make_room();
        }
        self.map.entry(key).or_default()
    }

    // An entry that says nothing would push out one that does.
    fn take_back(&mut self, key: &K) {
        if self.map.get_mut(key).is_some_and(|kept| !kept.take_back()) {
            self.map.remove(key);
        }
    }

    // The older half goes at once, so that a full table is not searched at every attempt.
    fn make_room(&mut self) {
        let mut times: Vec<Monotonic> = self.map.values().map(Dated::last).collect();
        let middle = times.len() / 2;
        let (_, &mut median, _) = times.select_nth_unstable(middle);
        self.map.retain(|_, kept| kept.last() > median);
    }
}

fn delay(failures_over: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1 << failures_over.min(10)).min(FORGET_AFTER)
}

fn wait(until: Monotonic, now: Monotonic) -> Wait {
    let seconds = until.since(now).as_millis().div_ceil(1000).max(1);
    Wait(u32::try_from(seconds).unwrap_or(u32::MAX))
}

const HOUR: Duration = Duration::from_secs(3600);
/// Failures of one account and source are held against it this long after the last one.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// After the allowed failures; doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(15);
/// Entries per table: about a megabyte each when full of attackers.
const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> UserName {
        UserName::parse("alice").unwrap()
    }

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([192, 0, 2, last]))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1000)
    }

    #[test]
    fn five_failures_are_free_then_the_delay_doubles() {
        let mut throttle = Throttle::new(5, 30, 30);
        for _ in 0..5 {
            assert_eq!(throttle.attempt(&alice(), source(1), at(0)), Ok(()));
        }
        assert_eq!(throttle.attempt(&alice(), source(1), at(5)), Err(Wait(10)));
        assert_eq!(throttle.attempt(&alice(), source(1), at(15)), Ok(()));
        assert_eq!(throttle.attempt(&alice(), source(1), at(16)), Err(Wait(29)));
        assert_eq!(throttle.attempt(&alice(), source(2), at(16)), Ok(()), "another source is another matter");
        assert_eq!(throttle.attempt(&alice(), source(1), at(16 + 15 * 60)), Ok(()), "forgotten by now");
    }

    #[test]
    fn an_account_is_tried_thirty_times_an_hour_from_everywhere() {
        let mut throttle = Throttle::new(5, 30, 30);
        for number in 0..30 {
            assert_eq!(throttle.attempt(&alice(), source(number), at(60 * u64::from(number))), Ok(()));
        }
        assert_eq!(throttle.attempt(&alice(), source(99), at(1800)), Err(Wait(1800)));
        assert_eq!(throttle.attempt(&alice(), source(99), at(3600)), Ok(()));
    }

    #[test]
    fn success_and_attempts_never_checked_leave_nothing_behind() {
        let mut throttle = Throttle::new(1, 2, 30);
        throttle.attempt(&alice(), source(1), at(0)).unwrap();
        throttle.take_back_attempt(&alice(), source(1));
        assert!(throttle.pairs.map.is_empty() && throttle.accounts.map.is_empty());
        throttle.attempt(&alice(), source(1), at(0)).unwrap();
        throttle.succeeded(&alice(), source(1));
        assert_eq!(throttle.attempt(&alice(), source(1), at(0)), Ok(()));
        assert!(throttle.attempt(&alice(), source(1), at(0)).is_err());
    }

    #[test]
    fn sign_ups_count_per_household() {
        let mut throttle = Throttle::new(5, 30, 2);
        let v6 = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(throttle.sign_up(v6("2001:db8::1"), at(0)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8::2"), at(0)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8::3"), at(1)), Err(Wait(3599)));
        assert_eq!(throttle.sign_up(v6("2001:db8:0:1::3"), at(1)), Ok(()));
        throttle.take_back_sign_up(v6("2001:db8::9"));
        throttle.take_back_sign_up(v6("2001:db8:0:1::3"));
        assert_eq!(throttle.sign_ups.map.len(), 1, "no empty entry stays behind");
        assert_eq!(throttle.sign_up(v6("2001:db8::3"), at(1)), Ok(()));
        assert_eq!(Source::of("::ffff:192.0.2.1".parse().unwrap()), source(1));
    }

    #[test]
    fn a_table_never_outgrows_its_limit() {
        let mut throttle = Throttle::new(5, 30, 30);
        for number in 0..(ENTRIES_MAX as u64 * 3) {
            let user = UserName::parse(&format!("u{number}")).unwrap();
            throttle.attempt(&user, source(1), at(number)).unwrap();
            assert!(throttle.pairs.map.len() <= ENTRIES_MAX);
        }
    }
}
