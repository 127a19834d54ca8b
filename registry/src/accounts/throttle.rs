//! How often a password may be tried, an account be made and somebody be invited. In memory and bounded: past its limit
//! the oldest entry goes. An attempt is charged before its password is checked, so that many at once count as many.
//! Whoever is told to wait may come after that: what is said is the longest of all waits.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use common::ids::IdentityKey;
use common::names::UserName;
use common::time::Monotonic;

/// See the module.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: ThrottleLimits,
    pairs: Bounded<(UserName, Source), Failures>,
    accounts: Bounded<UserName, Window>,
    sources: Bounded<Source, Window>,
    // Of people who are signed in: what others guess from outside is not held against them.
    changes: Bounded<UserName, Window>,
    sign_ups: Bounded<Source, Window>,
    // Of all sources together.
    sign_ups_all: Window,
    invites: Bounded<UserName, Window>,
    invites_to_one: Bounded<(UserName, IdentityKey), Window>,
}

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Wrong passwords per account and source before a growing delay.
    pub password_failures: u32,
    /// Wrong passwords per account and hour from everywhere.
    pub password_failures_hour: u32,
    /// Wrong passwords per source and hour for whatever accounts: trying one password with many names is no better.
    pub password_failures_per_source_hour: u32,
    pub sign_ups_per_source_hour: u32,
    pub sign_ups_hour: u32,
    /// Invitations of one owner, into whatever rooms.
    pub invites_per_owner_hour: u32,
    /// Those of one owner to one person.
    pub invites_to_one_hour: u32,
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
    pub(super) fn new(limits: ThrottleLimits) -> Self {
        Self {
            limits,
            pairs: Bounded::default(),
            accounts: Bounded::default(),
            sources: Bounded::default(),
            changes: Bounded::default(),
            sign_ups: Bounded::default(),
            sign_ups_all: Window::default(),
            invites: Bounded::default(),
            invites_to_one: Bounded::default(),
        }
    }

    /// Charges one password attempt, or says how long to wait.
    pub(super) fn attempt(&mut self, user: &UserName, source: Source, now: Monotonic) -> Result<(), Wait> {
        let limits = self.limits;
        let pair = (user.clone(), source);
        let failures = self.pairs.map.get(&pair).copied().filter(|kept| now.since(kept.last) < FORGET_AFTER);
        let count = failures.map_or(0, |kept| kept.count);
        let pause = failures.filter(|kept| kept.count >= limits.password_failures).map(|kept| {
            let until = kept.last.plus(delay(kept.count - limits.password_failures));
            if now < until { wait(until, now) } else { Wait(0) }
        });
        let waits = [
            pause.unwrap_or(Wait(0)),
            self.accounts.wait(user, limits.password_failures_hour, now),
            self.sources.wait(&source, limits.password_failures_per_source_hour, now),
        ];
        longest(waits)?;
        self.accounts.entry(user.clone()).charge(now);
        self.sources.entry(source).charge(now);
        *self.pairs.entry(pair) = Failures { count: count.saturating_add(1), last: now };
        Ok(())
    }

    /// The attempt was right: nothing is held against this person any more, and this one not against its source.
    pub(super) fn succeeded(&mut self, user: &UserName, source: Source) {
        self.pairs.map.remove(&(user.clone(), source));
        self.accounts.map.remove(user);
        self.sources.take_back(&source);
    }

    /// The attempt was never checked.
    pub(super) fn take_back_attempt(&mut self, user: &UserName, source: Source) {
        self.pairs.take_back(&(user.clone(), source));
        self.accounts.take_back(user);
        self.sources.take_back(&source);
    }

    /// Charges one change of password, or says how long to wait.
    pub(super) fn change(&mut self, user: &UserName, now: Monotonic) -> Result<(), Wait> {
        longest([self.changes.wait(user, self.limits.password_failures_hour, now)])?;
        self.changes.entry(user.clone()).charge(now);
        Ok(())
    }

    /// The change was right, or never checked.
    pub(super) fn take_back_change(&mut self, user: &UserName) {
        self.changes.take_back(user);
    }

    /// Charges one sign-up, or says how long to wait.
    pub(super) fn sign_up(&mut self, source: Source, now: Monotonic) -> Result<(), Wait> {
        let own = self.sign_ups.wait(&source, self.limits.sign_ups_per_source_hour, now);
        longest([own, self.sign_ups_all.wait(self.limits.sign_ups_hour, now)])?;
        self.sign_ups.entry(source).charge(now);
        self.sign_ups_all.charge(now);
        Ok(())
    }

    /// The sign-up made no account.
    pub(super) fn take_back_sign_up(&mut self, source: Source) {
        self.sign_ups.take_back(&source);
        self.sign_ups_all.take_back();
    }

    /// Charges one invitation, or says how long to wait.
    pub(super) fn invite(&mut self, owner: &UserName, invitee: IdentityKey, now: Monotonic) -> Result<(), Wait> {
        let pair = (owner.clone(), invitee);
        let of_owner = self.invites.wait(owner, self.limits.invites_per_owner_hour, now);
        longest([of_owner, self.invites_to_one.wait(&pair, self.limits.invites_to_one_hour, now)])?;
        self.invites.entry(owner.clone()).charge(now);
        self.invites_to_one.entry(pair).charge(now);
        Ok(())
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
    /// Nothing, while fewer than `most` are charged within an hour; else until the oldest of them is that old.
    fn wait(&mut self, most: u32, now: Monotonic) -> Wait {
        while self.times.front().is_some_and(|first| now.since(*first) >= HOUR) {
            self.times.pop_front();
        }
        if self.times.len() < most as usize {
            return Wait(0);
        }
        let oldest = self.times.front().copied().unwrap_or(now);
        wait(oldest.plus(HOUR), now)
    }

    fn charge(&mut self, now: Monotonic) {
        self.times.push_back(now);
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

impl<K: Eq + Hash + Clone> Bounded<K, Window> {
    // Who was never charged waits only where nothing at all is allowed.
    fn wait(&mut self, key: &K, most: u32, now: Monotonic) -> Wait {
        self.map.get_mut(key).map_or_else(|| Window::default().wait(most, now), |kept| kept.wait(most, now))
    }
}

fn longest<const N: usize>(waits: [Wait; N]) -> Result<(), Wait> {
    let Wait(seconds) = waits.into_iter().max_by_key(|wait| wait.0).unwrap_or(Wait(0));
    if seconds == 0 { Ok(()) } else { Err(Wait(seconds)) }
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

    fn throttle(password_failures: u32, password_failures_hour: u32, sign_ups_per_source_hour: u32) -> Throttle {
        Throttle::new(ThrottleLimits {
            password_failures,
            password_failures_hour,
            password_failures_per_source_hour: 1_000_000,
            sign_ups_per_source_hour,
            sign_ups_hour: 4,
            invites_per_owner_hour: 3,
            invites_to_one_hour: 2,
        })
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1000)
    }

    #[test]
    fn five_failures_are_free_then_the_delay_doubles() {
        let mut throttle = throttle(5, 30, 30);
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
        let mut throttle = throttle(5, 30, 30);
        for number in 0..30 {
            assert_eq!(throttle.attempt(&alice(), source(number), at(60 * u64::from(number))), Ok(()));
        }
        assert_eq!(throttle.attempt(&alice(), source(99), at(1800)), Err(Wait(1800)));
        assert_eq!(throttle.attempt(&alice(), source(99), at(3600)), Ok(()));
    }

    #[test]
    fn one_source_tries_many_names_no_oftener_than_one() {
        let mut throttle = throttle(5, 30, 30);
        throttle.limits.password_failures_per_source_hour = 7;
        let name = |number: u32| UserName::parse(&format!("u{number}")).unwrap();
        for number in 0..7 {
            assert_eq!(throttle.attempt(&name(number), source(1), at(0)), Ok(()));
        }
        assert_eq!(throttle.attempt(&name(7), source(1), at(600)), Err(Wait(3000)));
        assert_eq!(throttle.attempt(&name(7), source(2), at(600)), Ok(()));
        throttle.succeeded(&name(0), source(1));
        assert_eq!(throttle.attempt(&name(7), source(1), at(600)), Ok(()), "who was right is not counted");
    }

    #[test]
    fn whoever_waits_as_long_as_told_gets_in() {
        for seed in 0..200u64 {
            let mut throttle = throttle(2, 3 + u32::try_from(seed % 5).unwrap(), 30);
            throttle.limits.password_failures_per_source_hour = 4 + u32::try_from(seed % 7).unwrap();
            let mut now = 0;
            for step in 0..40 {
                now += (seed * 31 + step * 17) % 400;
                if let Err(Wait(seconds)) = throttle.attempt(&alice(), source(1), at(now)) {
                    now += u64::from(seconds);
                    assert_eq!(throttle.attempt(&alice(), source(1), at(now)), Ok(()), "seed {seed}, step {step}");
                }
            }
        }
    }

    #[test]
    fn invitations_of_one_owner_have_a_pace() {
        let mut throttle = throttle(5, 30, 30);
        let [one, other] = [1, 2].map(|byte| IdentityKey([byte; 32]));
        assert_eq!([0, 1].map(|second| throttle.invite(&alice(), one, at(second))), [Ok(()); 2]);
        assert_eq!(throttle.invite(&alice(), one, at(2)), Err(Wait(3598)), "enough for one person");
        assert_eq!(throttle.invite(&alice(), other, at(60)), Ok(()));
        assert_eq!(throttle.invite(&alice(), other, at(100)), Err(Wait(3500)), "enough for one owner");
        assert_eq!(throttle.invite(&alice(), one, at(3600)), Ok(()));
    }

    #[test]
    fn guesses_from_outside_keep_nobody_from_changing_a_password() {
        let mut throttle = throttle(1, 2, 30);
        while throttle.attempt(&alice(), source(9), at(0)).is_ok() {}
        assert_eq!([0, 1].map(|second| throttle.change(&alice(), at(second))), [Ok(()); 2]);
        assert_eq!(throttle.change(&alice(), at(2)), Err(Wait(3598)));
        throttle.take_back_change(&alice());
        assert_eq!(throttle.change(&alice(), at(2)), Ok(()));
    }

    #[test]
    fn success_and_attempts_never_checked_leave_nothing_behind() {
        let mut throttle = throttle(1, 2, 30);
        throttle.attempt(&alice(), source(1), at(0)).unwrap();
        throttle.take_back_attempt(&alice(), source(1));
        assert!(throttle.pairs.map.is_empty() && throttle.accounts.map.is_empty() && throttle.sources.map.is_empty());
        throttle.attempt(&alice(), source(1), at(0)).unwrap();
        throttle.succeeded(&alice(), source(1));
        assert_eq!(throttle.attempt(&alice(), source(1), at(0)), Ok(()));
        assert!(throttle.attempt(&alice(), source(1), at(0)).is_err());
    }

    #[test]
    fn sign_ups_count_per_household() {
        let mut throttle = throttle(5, 30, 2);
        let v6 = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(throttle.sign_up(v6("2001:db8::1"), at(0)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8::2"), at(0)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8::3"), at(1)), Err(Wait(3599)));
        assert_eq!(throttle.sign_up(v6("2001:db8:0:1::3"), at(1)), Ok(()));
        throttle.take_back_sign_up(v6("2001:db8::9"));
        throttle.take_back_sign_up(v6("2001:db8:0:1::3"));
        assert_eq!(throttle.sign_ups.map.len(), 1, "no empty entry stays behind");
        assert_eq!(throttle.sign_up(v6("2001:db8::3"), at(1)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8:0:2::1"), at(1)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8:0:3::1"), at(1)), Ok(()));
        assert_eq!(throttle.sign_up(v6("2001:db8:0:4::1"), at(1)), Err(Wait(3599)), "all sources have a limit, too");
        assert_eq!(Source::of("::ffff:192.0.2.1".parse().unwrap()), source(1));
    }

    #[test]
    fn a_table_never_outgrows_its_limit() {
        let mut throttle = throttle(5, 30, 30);
        for number in 0..(ENTRIES_MAX as u64 * 3) {
            let user = UserName::parse(&format!("u{number}")).unwrap();
            throttle.attempt(&user, source(1), at(number)).unwrap();
            assert!(throttle.pairs.map.len() <= ENTRIES_MAX);
        }
    }
}
