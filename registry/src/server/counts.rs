//! What was refused or cut, and why: every limit counts here, so that an operator can see which one bites.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One counter per reason; they only grow.
        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $($(#[$doc])* pub(super) $name: Count,)+
        }

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(write!(f, concat!(stringify!($name), "={} "), self.$name.read())?;)+
                Ok(())
            }
        }
    };
}

counts! {
    accepted,
    /// No session left, or no thread for one.
    refused_full,
    /// Too many of all who have not signed in.
    refused_strangers,
    /// Too many of one source.
    refused_source,
    /// Not in time: first frame, sign-in, or dead silence.
    late,
    /// Bytes that are not the protocol.
    misbehaved,
    /// Did not take what was sent.
    slow,
    /// Password checks that found the queue full.
    busy,
    /// Our own fault.
    panicked,
}

/// A number that any thread may raise.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
