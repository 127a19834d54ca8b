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
use super::outgoing::After;
use crate::api::Event;
use crate::ports::{StoredEvent, Write};

#[derive(Debug, Default)]
pub(super) struct Writing {
    /// Messages that are stored already, told and not known to be written, oldest first.
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
    /// The last message among them, to be marked; or 0, which marks nothing and comes after the marks before it.
    shown: u64,
    until: Monotonic,
}

impl Writing {
    /// A message that is stored was just told.
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
            self.written(message.conversation, message.chain, message.number);
        }
    }

    fn written(&mut self, conversation: ConversationId, chain: ChainKey, number: u64) {
        let known = self.written.entry((conversation, chain)).or_default();
        *known = number.max(*known);
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
    /// What an earlier run had stored and not written is told first of all, and acknowledged after that.
    pub(super) fn tell_untold(&mut self, cx: &mut Context, events: Vec<StoredEvent>, changes: &[StoredEvent]) {
        let mut unmarked = BTreeMap::new();
        for event in events {
            let (conversation, chain, number) = (event.conversation, (event.author, event.chain), event.number);
            for message in self.messages_shown(vec![StoredEvent { late: true, ..event }], changes) {
                if !message.own {
                    self.about_to_speak(cx, conversation, &message.from, chain.0);
                }
                cx.tell(Event::Message(message));
            }
            if chain.0 == self.me {
                self.writing.told(cx, conversation, chain, number);
            }
            let (first, last) = unmarked.entry((conversation, chain)).or_insert((number, number));
            (*first, *last) = (number.min(*first), number.max(*last));
        }
        for ((conversation, chain), (first, last)) in unmarked {
            let known = self.conversations.get_mut(&conversation);
            let Some(held) = known.and_then(|known| known.theirs.get_mut(&chain)) else { continue };
            held.stored = first - 1;
            let number = held.received;
            self.acknowledge_when_written(cx, conversation, chain, number, (cx.told, last));
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
        (told, shown): (u64, u64),
    ) {
        let until = cx.now.monotonic.plus(ACKNOWLEDGED_WITHIN);
        self.writing.held_back.push_back(HeldBack { conversation, chain, number, told, shown, until });
        self.writing.look_soon(cx.now.monotonic);
    }

    /// Marks what is stored and written, and acknowledges what is marked or has waited long enough.
    pub(super) fn mark_written(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        self.writing.advance(cx.written);
        let mut shown = Vec::new();
        while let Some(held) = self.writing.held_back.pop_front_if(|held| held.told <= cx.written) {
            self.writing.written(held.conversation, held.chain, held.shown);
            let (author, chain) = held.chain;
            shown.push(After::Shown { conversation: held.conversation, author, chain, number: held.number });
        }
        let marks = self.writing.marks();
        if !marks.is_empty() {
            self.writing.pause = MARKED_EVERY;
            self.commit(cx, marks, shown);
        }
        let is_over = |held: &mut HeldBack| held.until <= now || cx.output_lost;
        while let Some(due) = self.writing.held_back.pop_front_if(is_over) {
            let HeldBack { conversation, chain, number, told: place, shown, .. } = due;
            self.stored(conversation, chain.0, chain.1, number);
            if !cx.output_lost {
                self.writing.told.push_back(ToldMessage { place, conversation, chain, number: shown });
            }
        }
        let next = (!self.writing.told.is_empty()).then(|| now.plus(self.writing.pause));
        let held = self.writing.held_back.front();
        let held = held.map(|held| held.until.min(now.plus(self.writing.pause.min(HELD_BACK_PAUSE_MAX))));
        self.writing.look_at = next.into_iter().chain(held).min();
    }

    /// The log is about to be closed. A front-end writes what it was told before it ends, if anybody reads it at all.
    pub(super) fn mark_all_written(&mut self, cx: &mut Context) {
        let written = if cx.output_lost { cx.written } else { u64::MAX };
        self.writing.advance(written);
        for held in std::mem::take(&mut self.writing.held_back) {
            let (author, chain) = held.chain;
            if held.told <= written {
                self.writing.written(held.conversation, held.chain, held.shown);
            }
            self.stored(held.conversation, author, chain, held.number);
        }
        // What is on its way to the disk gets there before these marks.
        for after in self.disk.under_way() {
            if let After::Received { conversation, author, chain, told, shown, .. } = *after
                && told <= written
            {
                self.writing.written(conversation, (author, chain), shown);
            }
        }
        let marks = self.writing.marks();
        self.commit(cx, marks, Vec::new());
    }
}

/// A front-end takes a fraction of this to write a line.
const LOOK_AFTER: Duration = Duration::from_millis(1);
/// What a flood writes in this time is marked together.
const MARKED_EVERY: Duration = Duration::from_millis(5);
/// One that shows nothing, because a password is typed, is looked at less often.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// As seldom where an acknowledgement waits.
const HELD_BACK_PAUSE_MAX: Duration = Duration::from_millis(4);
/// Nobody's check mark waits longer for a screen that stands still.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(250);
