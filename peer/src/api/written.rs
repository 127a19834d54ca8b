//! How far a front-end has got with writing out what it was told. The front-end counts, the engine reads when it happens
//! to be awake: a line that is written wakes nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by a front-end and its engine.
#[derive(Debug, Default)]
pub struct Written {
    events: AtomicU64,
    is_lost: AtomicBool,
}

impl Written {
    /// The first `events` events, counted from the start of the program, are with whoever reads them.
    pub fn reached(&self, events: u64) {
        self.events.store(events, Ordering::Release);
    }

    /// Nobody reads any more: what is told from now on is not written.
    pub fn lost(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}
