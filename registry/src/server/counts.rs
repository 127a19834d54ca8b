//! What was refused or cut, and why: every limit counts here, so that an operator can see which one bites: in the log
//! now and then, and in `registry stats`.

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
                let lines = self.lines();
                f.write_str(&lines.join(" "))
            }
        }

        impl Counts {
            /// `name=number`, one each.
            pub(super) fn lines(&self) -> Vec<String> {
                vec![$(format!(concat!(stringify!($name), "={}"), self.$name.read()),)+]
            }
        }
    };
}

counts! {
    accepted,
    /// No session left, or no thread for one.
    refused_full,
    /// Too many of one source.
    refused_source,
    /// More memory in use than is allowed.
    refused_memory,
    /// No descriptor left to accept with.
    refused_descriptors,
    /// Strangers who had to make room for newcomers.
    evicted,
    /// Sign-ins, and certificates made anew.
    signed_in,
    /// A name and a password, or a name and a device, that do not go together.
    wrong_credentials,
    /// Told to wait: passwords, sign-ups, invitations.
    throttled,
    /// Told to wait: requests of a session.
    throttled_requests,
    /// Asked on and on in spite of that.
    flooded,
    /// Mailboxes, rooms and lists that were full.
    over_quota,
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
