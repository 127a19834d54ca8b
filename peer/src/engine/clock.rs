//! The only clock of a peer's decisions.

#![expect(clippy::disallowed_methods, reason = "the engine reads the clock for the node")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::time::{Monotonic, Now, UnixMillis};

/// Counts from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: Monotonic(millis(self.start.elapsed())), wall: UnixMillis(millis(wall)) }
    }

    /// The moment the node means by `at`; rounded up, so that it is due when it is reached.
    pub(super) fn instant(&self, at: Monotonic) -> Instant {
        // A century is as good as never, and does not overflow.
        self.start + Duration::from_millis(at.0.saturating_add(1).min(CENTURY_MILLIS))
    }

    pub(super) fn after(duration: Duration) -> Instant {
        Instant::now() + duration
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const CENTURY_MILLIS: u64 = 100 * 365 * 24 * 3600 * 1000;
