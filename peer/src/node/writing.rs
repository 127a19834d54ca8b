//! Which messages the front-end has written out. A program may be killed when it has stored a message and not shown it:
//! what was not written is told again by the next run, as late. A mark in the log says how far that is. An
//! acknowledgement waits a moment for the front-end, so that a message which its author knows to be here is mostly
//! marked: only the very last lines before a kill may come twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use common::ids::{ChainId, ConversationId};
use common::time::Monotonic;

use super::account::Account;
use super::context::Context;
use super::conversation::ChainKey;
use crate::api::Event;
use crate::ports::{StoredEvent, Write};

#[derive(Debug, Default)]
pub(super) struct Writing {
    /// Messages told and not known to be written, oldest first.
    told: VecDeque<ToldMessage>,
    /// Written, and not marked in the log: the highest number of each chain.
    written: BTreeMap<(ConversationId, ChainKey), u64>,
    /// Stored, and not acknowledged for want of a word of the front-end.
    held_back: VecDeque<HeldBack>,
    /// When the front-end is looked at next. It says nothing by itself.
    look_at: Option<Monotonic>,
    pause: Duration,
}

#[derive(Debug)]
struct ToldMessage {
    /// Events told so far, this one included.
    place: u64,
    conversation: ConversationId,
    chain: ChainKey,
    number: u64,
}

/// An acknowledgement that waits for the lines told up to `told`, but not beyond a time.
#[derive(Debug)]
struct HeldBack {
    conversation: ConversationId,
    chain: ChainKey,
    number: u64,
    told: u64,
    until: Monotonic,
}

impl Writing {
    /// A message was just told.
    pub(super) fn told(&mut self, cx: &Context, conversation: ConversationId, chain: ChainKey, number: u64) {
        self.told.push_back(ToldMessage { place: cx.told, conversation, chain, number });
        self.look_soon(cx.now.monotonic);
    }

    fn look_soon(&mut self, now: Monotonic) {
        if self.look_at.is_none() {
            self.pause = LOOK_AFTER;
            self.look_at = Some(now.plus(LOOK_AFTER));
        }
    }

    /// The front-end has written the first `events` of what it was told.
    fn advance(&mut self, events: u64) {
        while let Some(message) = self.told.pop_front_if(|message| message.place <= events) {
            let number = self.written.entry((message.conversation, message.chain)).or_default();
            *number = message.number.max(*number);
        }
    }

    fn marks(&mut self) -> Vec<Write> {
        let written = std::mem::take(&mut self.written).into_iter();
        let mark = |((conversation, (author, chain)), number)| Write::Told { conversation, author, chain, number };
        written.map(mark).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.look_at
    }
}

impl Account {
    /// What an earlier run had stored and not written is told first of all.
    pub(super) fn tell_untold(&mut self, cx: &mut Context, events: Vec<StoredEvent>, changes: &[StoredEvent]) {
        for event in events {
            let (conversation, chain, number) = (event.conversation, (event.author, event.chain), event.number);
            for message in self.messages_shown(vec![StoredEvent { late: true, ..event }], changes) {
                if !message.own {
                    self.about_to_speak(cx, conversation, &message.from, chain.0);
                }
                cx.tell(Event::Message(message));
            }
            self.writing.told(cx, conversation, chain, number);
        }
    }

    /// A line of mine is told.
    pub(super) fn own_told(&mut self, cx: &Context, conversation: ConversationId, chain: ChainId, number: u64) {
        self.writing.told(cx, conversation, (self.me, chain), number);
    }

    pub(super) fn writing_timer(&mut self, cx: &mut Context) {
        if self.writing.look_at.is_some_and(|at| at <= cx.now.monotonic) {
            self.writing.pause = (self.writing.pause * 2).min(PAUSE_MAX);
            self.mark_written(cx);
        }
    }

    /// Events of somebody else are on the disk.
    pub(super) fn acknowledge_when_written(
        &mut self,
        cx: &Context,
        conversation: ConversationId,
        chain: ChainKey,
        number: u64,
        told: u64,
    ) {
        let until = cx.now.monotonic.plus(ACKNOWLEDGED_WITHIN);
        self.writing.held_back.push_back(HeldBack { conversation, chain, number, told, until });
        self.writing.look_soon(cx.now.monotonic);
    }

    /// Marks what is written, and acknowledges what is marked or has waited long enough: the mark goes to the disk before
    /// the acknowledgement goes out.
    pub(super) fn mark_written(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        self.writing.advance(cx.written);
        let marks = self.writing.marks();
        if !marks.is_empty() {
            self.writing.pause = MARKED_EVERY;
            self.commit(cx, marks, Vec::new());
        }
        let written = if cx.output_lost { u64::MAX } else { cx.written };
        while let Some(due) = self.writing.held_back.pop_front_if(|held| held.told <= written || held.until <= now) {
            let (author, chain) = due.chain;
            self.stored(due.conversation, author, chain, due.number);
        }
        let next = (!self.writing.told.is_empty()).then(|| now.plus(self.writing.pause));
        let overdue = self.writing.held_back.front().map(|held| held.until.min(now.plus(LOOK_AFTER)));
        self.writing.look_at = next.into_iter().chain(overdue).min();
    }

    /// The log is about to be closed. A front-end writes what it was told before it ends, if anybody reads it at all.
    pub(super) fn mark_all_written(&mut self, cx: &mut Context) {
        self.writing.advance(if cx.output_lost { cx.written } else { u64::MAX });
        let marks = self.writing.marks();
        self.commit(cx, marks, Vec::new());
        for held in std::mem::take(&mut self.writing.held_back) {
            let (author, chain) = held.chain;
            self.stored(held.conversation, author, chain, held.number);
        }
    }
}

/// A front-end takes a fraction of this to write a line.
const LOOK_AFTER: Duration = Duration::from_millis(1);
/// What a flood writes in this time is marked together.
const MARKED_EVERY: Duration = Duration::from_millis(5);
/// One that shows nothing, because a password is typed, is looked at less often.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nobody's check mark waits longer for a slow screen.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(30);
