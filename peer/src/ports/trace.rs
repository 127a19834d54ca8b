//! The way of a message, as the log remembers it: not per event, but per run of events that took a step together.

use std::net::SocketAddr;

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::time::UnixMillis;

/// Events `first` to `last` of a chain took a step at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    pub conversation: ConversationId,
    pub author: IdentityKey,
    pub chain: ChainId,
    pub first: u64,
    pub last: u64,
    pub step: Step,
    /// Who is at the other end of the step.
    pub party: IdentityKey,
    /// By our clock.
    pub at: UnixMillis,
    /// The address of the link.
    pub route: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Went out on a link.
    Sent,
    /// Left in the recipient's mailbox.
    Mailed,
    /// On the recipient's disk.
    Delivered,
    /// Came in from `party`, who need not be the author.
    Received,
    /// Lay in my mailbox.
    Fetched,
}

/// Runs that follow on each other by the same way within this time, in milliseconds, are one, with the time of the
/// first: a burst is a row, not a thousand, and no step is told much earlier than it was.
pub const ONE_RUN_WITHIN_MS: u64 = 10;

impl StepRun {
    /// Whether `next` goes on where this run ends.
    pub fn goes_on_in(&self, next: &Self) -> bool {
        let same = |run: &Self| (run.conversation, run.author, run.chain, run.step, run.party, run.route);
        same(self) == same(next)
            && self.last.checked_add(1) == Some(next.first)
            && next.at.0.abs_diff(self.at.0) < ONE_RUN_WITHIN_MS
    }
}
