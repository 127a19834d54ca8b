//! What is held of one chain of somebody else: up to where it is shown and stored, and what waits in between.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use common::ids::EventId;
use common::message::event::NO_EVENT;
use common::time::Monotonic;

use super::arrivals::Arrived;

/// What is held of somebody else's chain.
#[derive(Debug)]
pub(super) struct Held {
    /// Taken in; shown already.
    pub(super) received: u64,
    /// On the disk; acknowledged up to here.
    pub(super) stored: u64,
    /// `None` if the one before the next is not here.
    pub(super) last: Option<EventId>,
    /// The highest Lamport number in it.
    pub(super) lamport: u64,
    /// Checked and not taken in yet: what the first of them answers is not here.
    pub(super) waiting: VecDeque<Arrived>,
    /// When it last went forward.
    pub(super) moved_at: Monotonic,
    /// The first number held, if somebody else than the author said that it begins there: the author, who may know
    /// better, is not told that we hold any of it.
    pub(super) borrowed_from: Option<u64>,
    /// Taken in before, while the author goes through it again from an earlier beginning.
    pub(super) again: Option<RangeInclusive<u64>>,
}

impl Held {
    /// Nothing yet of a chain that begins with its first event.
    pub(super) fn new() -> Self {
        Self::up_to(0, Some(NO_EVENT), 0)
    }

    /// On the disk up to `number`.
    pub(super) fn up_to(number: u64, last: Option<EventId>, lamport: u64) -> Self {
        Self {
            received: number,
            stored: number,
            last,
            lamport,
            waiting: VecDeque::new(),
            moved_at: Monotonic(0),
            borrowed_from: None,
            again: None,
        }
    }

    /// The author's own telling of the chain begins at `number`. Whether that is no earlier than what another told us;
    /// else the author's word is followed from there.
    pub(super) fn author_begins(&mut self, number: u64) -> bool {
        let Some(borrowed) = self.borrowed_from.filter(|_| self.again.is_none()) else { return false };
        if number >= borrowed {
            self.borrowed_from = None;
            return true;
        }
        self.waiting.clear();
        self.again = Some(borrowed..=self.received);
        (self.received, self.last) = (number - 1, (number == 1).then_some(NO_EVENT));
        false
    }

    /// All that is held was told by its author, from the beginning and once.
    pub(super) fn is_plain(&self) -> bool {
        self.waiting.is_empty() && self.borrowed_from.is_none() && self.again.is_none()
    }

    /// What was checked, whether it is shown or waits: what comes next has to follow on it.
    pub(super) fn checked(&self) -> (u64, Option<EventId>) {
        match self.waiting.back() {
            Some(arrived) => (arrived.event.number, Some(arrived.id)),
            None => (self.received, self.last),
        }
    }
}
