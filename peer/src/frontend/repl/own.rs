//! My own messages on the screen. A line is held for a moment, so that the usual case shows once, with its `✓`;
//! what changes later is told in a line of its own. A mark never says more than is known.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use common::ids::EventId;
use common::time::Monotonic;

use super::render::Mark;
use crate::api::{Act, ChangeShown, Delivery, DeliveryState, MessageShown, Target};
use crate::frontend::sanitize::Safe;

/// Held and shown messages of mine.
#[derive(Debug, Default)]
pub(super) struct Own {
    held: VecDeque<Held>,
    /// Shown with an incomplete mark, by id, with the beginning of their text; the oldest is forgotten first.
    open: HashMap<EventId, (Target, Safe)>,
    order: VecDeque<EventId>,
    /// Came further since the last [`Own::moved`].
    moved: Vec<(Moved, Target, Safe)>,
}

/// What became of a message after it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Delivered,
    /// Left in the mailbox of somebody who is away.
    Left,
    /// Not fetched from there in its time.
    Expired,
    /// I was removed from the room first.
    Refused,
}

/// What I said, or did to what was said.
#[derive(Debug)]
pub(super) enum Mine {
    Said(MessageShown),
    Did(ChangeShown),
}

impl Mine {
    fn id(&self) -> EventId {
        match self {
            Self::Said(shown) => shown.id,
            Self::Did(change) => change.event,
        }
    }

    fn conversation(&self) -> &Target {
        match self {
            Self::Said(shown) => &shown.conversation,
            Self::Did(change) => &change.conversation,
        }
    }

    /// By which it is known again later.
    fn beginning(&self) -> Safe {
        let text = match self {
            Self::Said(shown) => shown.text.clone(),
            Self::Did(ChangeShown { act: Act::Edited { text }, .. }) => text.clone(),
            Self::Did(ChangeShown { act: Act::Deleted, .. }) => "a message deleted".to_owned(),
            Self::Did(ChangeShown { act: Act::Reacted { word }, .. }) if word.is_empty() => {
                "a reaction taken back".to_owned()
            }
            Self::Did(ChangeShown { act: Act::Reacted { word }, before, .. }) => format!("{word} to {before}"),
        };
        Safe::beginning(&text, BEGINNING_COLUMNS)
    }
}

#[derive(Debug)]
struct Held {
    mine: Mine,
    until: Monotonic,
    mark: Mark,
    settled: bool,
}

impl Own {
    /// Takes what was just accepted.
    pub(super) fn hold(&mut self, mine: Mine, now: Monotonic) {
        self.held.push_back(Held { mine, until: now.plus(HOLD), mark: Mark::Accepted, settled: false });
    }

    /// Notes how far a message got.
    pub(super) fn deliver(&mut self, delivery: &Delivery) {
        let complete = delivery.state == DeliveryState::Delivered && delivery.done >= delivery.of;
        // In a room some are always away: what lies in whose mailbox is not worth a line each.
        let alone = matches!(delivery.conversation, Target::Person(_));
        if let Some(held) = self.held.iter_mut().find(|held| held.mine.id() == delivery.id) {
            // What was delivered to one stays delivered to them, whatever is told of another.
            if delivery.done > 0 {
                held.mark = Mark::Delivered { done: delivery.done, of: delivery.of };
            }
            if alone && delivery.state == DeliveryState::Mailbox {
                held.mark = Mark::Mailbox;
            }
            held.settled |= complete || alone;
            return;
        }
        if complete && let Some((target, text)) = self.open.remove(&delivery.id) {
            return self.moved.push((Moved::Delivered, target, text));
        }
        let moved = match delivery.state {
            DeliveryState::Refused => {
                let refused = self.open.remove(&delivery.id);
                return self.moved.extend(refused.map(|(target, text)| (Moved::Refused, target, text)));
            }
            DeliveryState::Mailbox => Moved::Left,
            DeliveryState::Expired => Moved::Expired,
            DeliveryState::Queued | DeliveryState::Delivered => return,
        };
        if let Some((target, text)) = self.open.get(&delivery.id).filter(|_| alone) {
            self.moved.push((moved, target.clone(), text.clone()));
        }
    }

    /// The messages to be shown now: settled or held long enough, in their order; all of them if something else is
    /// about to be shown.
    pub(super) fn release(&mut self, now: Monotonic, all: bool) -> Vec<(Mine, Mark)> {
        let mut released = Vec::new();
        while self.held.front().is_some_and(|held| all || held.settled || held.until <= now) {
            let Some(held) = self.held.pop_front() else { break };
            if !is_complete(held.mark) {
                self.remember(&held.mine);
            }
            released.push((held.mine, held.mark));
        }
        released
    }

    /// When the next message is due.
    pub(super) fn due(&self) -> Option<Monotonic> {
        self.held.front().map(|held| held.until)
    }

    /// What came further after it was shown: for each conversation the newest text, and how many there were.
    pub(super) fn moved(&mut self) -> Vec<(Moved, Target, Safe, usize)> {
        let mut grouped: Vec<(Moved, Target, Safe, usize)> = Vec::new();
        for (moved, target, text) in self.moved.drain(..) {
            match grouped.iter_mut().find(|(way, known, ..)| *way == moved && *known == target) {
                Some((_, _, newest, count)) => (*newest, *count) = (text, *count + 1),
                None => grouped.push((moved, target, text, 1)),
            }
        }
        grouped
    }

    fn remember(&mut self, mine: &Mine) {
        self.open.insert(mine.id(), (mine.conversation().clone(), mine.beginning()));
        self.order.push_back(mine.id());
        while self.order.len() > OPEN_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.open.remove(&oldest);
            }
        }
    }
}

fn is_complete(mark: Mark) -> bool {
    matches!(mark, Mark::Delivered { done, of } if done >= of)
}

/// Longer than a delivery on one network takes, shorter than anybody waits for.
const HOLD: Duration = Duration::from_millis(200);

/// Enough of a text to know it again.
const BEGINNING_COLUMNS: usize = 32;

/// Messages whose later delivery is told; of older ones `/history` tells nothing either.
const OPEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::sample;

    fn at(millis: u64) -> Monotonic {
        Monotonic(millis)
    }

    #[test]
    fn the_usual_case_shows_once_and_delivered() {
        let mut own = Own::default();
        own.hold(Mine::Said(sample::message("@bob", "alice", "hi")), at(0));
        assert!(own.release(at(1), false).is_empty());
        own.deliver(&sample::delivery("@bob", "bob", DeliveryState::Delivered, 1, 1));
        assert_eq!(own.release(at(2), false)[0].1, Mark::Delivered { done: 1, of: 1 });
        assert!(own.moved().is_empty());
    }

    #[test]
    fn what_comes_later_is_told_later() {
        let mut own = Own::default();
        own.hold(Mine::Said(sample::message("#dev", "alice", "hi")), at(0));
        own.deliver(&sample::delivery("#dev", "bob", DeliveryState::Delivered, 1, 2));
        own.deliver(&sample::delivery("#dev", "carol", DeliveryState::Queued, 1, 2));
        assert_eq!(own.due(), Some(at(200)));
        assert_eq!(own.release(at(200), false)[0].1, Mark::Delivered { done: 1, of: 2 });
        assert!(own.moved().is_empty());
        own.deliver(&sample::delivery("#dev", "carol", DeliveryState::Mailbox, 1, 2));
        assert!(own.moved().is_empty(), "in a room there is always somebody away");
        own.deliver(&sample::delivery("#dev", "carol", DeliveryState::Delivered, 2, 2));
        assert_eq!(own.moved(), vec![(Moved::Delivered, sample::target("#dev"), Safe::line("hi"), 1)]);
        own.deliver(&sample::delivery("#dev", "carol", DeliveryState::Delivered, 2, 2));
        assert!(own.moved().is_empty(), "told once");
    }

    #[test]
    fn what_is_left_in_a_mailbox_is_told_and_still_becomes_delivered() {
        let mut own = Own::default();
        own.hold(Mine::Said(sample::message("@bob", "alice", "hi")), at(0));
        own.deliver(&sample::delivery("@bob", "bob", DeliveryState::Queued, 0, 1));
        assert_eq!(own.release(at(1), false)[0].1, Mark::Accepted);
        for (state, moved) in [
            (DeliveryState::Mailbox, Moved::Left),
            (DeliveryState::Expired, Moved::Expired),
            (DeliveryState::Mailbox, Moved::Left),
            (DeliveryState::Delivered, Moved::Delivered),
        ] {
            own.deliver(&sample::delivery("@bob", "bob", state, u32::from(state == DeliveryState::Delivered), 1));
            assert_eq!(own.moved(), vec![(moved, sample::target("@bob"), Safe::line("hi"), 1)]);
        }
        own.hold(Mine::Said(sample::message("@bob", "alice", "hi")), at(9));
        own.deliver(&sample::delivery("@bob", "bob", DeliveryState::Mailbox, 0, 1));
        assert_eq!(own.release(at(10), false)[0].1, Mark::Mailbox, "left at once");
    }

    #[test]
    fn nothing_overtakes_a_held_line() {
        let mut own = Own::default();
        own.hold(Mine::Said(sample::message("@bob", "alice", "hi")), at(0));
        assert_eq!(own.release(at(1), true)[0].1, Mark::Accepted);
    }
}
