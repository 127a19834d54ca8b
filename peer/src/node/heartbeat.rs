//! Noticing that this machine slept, or that its clock was set: then nobody knows which connections are still alive,
//! so each is made anew. The node asks here whenever it is called, and to be called every now and then.

use std::time::Duration;

use common::time::{Monotonic, Now};

use super::account::Account;
use super::context::Context;
use super::people::Dial;
use crate::ports::{LinkOutput, Output, RegistryOutput};

/// When the node was called last.
#[derive(Debug)]
pub(super) struct Heartbeat {
    last: Now,
}

impl Heartbeat {
    pub(super) fn new(now: Now) -> Self {
        Self { last: now }
    }

    /// When the node wants to be called although nothing happened.
    pub(super) fn next(&self) -> Monotonic {
        self.last.monotonic.plus(BEAT_EVERY)
    }

    /// Whether more time passed since the last call than should have, on either clock: where the one stands still in
    /// a suspended machine, the other jumps, and a stopped process finds both ahead.
    pub(super) fn beat(&mut self, now: Now) -> bool {
        let last = std::mem::replace(&mut self.last, now);
        let passed = now.monotonic.since(last.monotonic);
        let jumped = last.wall.plus(passed).0.abs_diff(now.wall.0);
        passed > BEAT_EVERY + LATE_AFTER || Duration::from_millis(jumped) > LATE_AFTER
    }
}

impl Account {
    /// Every connection may be dead without anybody having said so: they are closed and made anew at once.
    pub(super) fn woken(&mut self, cx: &mut Context) {
        cx.out.push_back(Output::Registry(RegistryOutput::Reconnect));
        self.registry_left(cx);
        for link in self.links.ids() {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
            self.link_lost(cx, link);
        }
        // Pauses and attempts from before mean nothing: the network may be another one.
        self.people.contacts_mut().for_each(|contact| contact.dial = Dial::Idle);
        self.reach_everybody(cx);
    }
}

/// Often enough to notice within two seconds, seldom enough to cost nothing.
const BEAT_EVERY: Duration = Duration::from_millis(1500);
/// A busy machine is late by less, and connections survive a shorter sleep.
const LATE_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::UnixMillis;

    const EPOCH: u64 = 1_800_000_000_000;

    fn now(monotonic: u64, wall: u64) -> Now {
        Now { monotonic: Monotonic(monotonic), wall: UnixMillis(EPOCH + wall) }
    }

    fn check(monotonic: u64, wall: u64, slept: bool) {
        let mut heartbeat = Heartbeat::new(now(50_000, 50_000));
        assert_eq!(heartbeat.beat(now(monotonic, wall)), slept, "{monotonic} and {wall}");
        assert!(!heartbeat.beat(now(monotonic + 1_500, wall + 1_500)), "it is noticed once");
    }

    #[test]
    fn a_sleep_shows_on_either_clock_and_once() {
        check(51_500, 51_500, false);
        // A loaded machine, and a clock that is being steered.
        check(61_000, 61_000, false);
        check(51_500, 60_000, false);
        // A stopped process.
        check(65_000, 65_000, true);
        // A suspended machine: its monotonic clock stood still.
        check(51_500, 3_600_000, true);
        // A clock set back by hand.
        check(51_500, 20_000, true);
    }
}
