//! The order in which events are taken in: what somebody answered comes before the answer, whoever's link is faster.
//! An event waits for what it names as seen, but not for long; events of one author never change their order.

use common::ids::{ConversationId, EventId, IdentityKey};
use common::message::event::{Content, Event as ChainEvent, WireEvent};
use common::message::room::History;
use common::names::UserName;
use common::time::Monotonic;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation};
use super::outgoing::After;
use crate::api::{Changes, Event, MessageKind, MessageShown};
use crate::ports::{StoredEvent, Write};

/// An event that is checked and not taken in.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) event: ChainEvent,
    pub(super) id: EventId,
    pub(super) wire: WireEvent,
    pub(super) content: Content,
    pub(super) from: UserName,
    pub(super) late: bool,
    /// It waits no longer than this.
    pub(super) until: Monotonic,
}

impl Account {
    /// Takes in what waits for nothing any more, the earliest by Lamport's clock first.
    pub(super) fn release(&mut self, cx: &mut Context, id: ConversationId) {
        let mut writes = Vec::new();
        let mut after: Vec<After> = Vec::new();
        while let Some(key) = self.next_ready(cx.now.monotonic, id) {
            let (number, is_message) = self.take_in(cx, id, key, &mut writes);
            let (author, chain) = key;
            let shown = if is_message { number } else { 0 };
            match after.last_mut() {
                Some(After::Received { author: by, chain: of, number: last, told, shown: message, .. })
                    if (*by, *of) == key =>
                {
                    (*last, *told, *message) = (number, cx.told, shown.max(*message));
                }
                _ => after.push(After::Received { conversation: id, author, chain, number, told: cx.told, shown }),
            }
        }
        if !after.is_empty() {
            self.read_deeds(cx);
            self.commit(cx, writes, after);
            self.repair.went_on();
        }
        let waits = self.conversations.get(&id).is_some_and(|conversation| !conversation.held_back.is_empty());
        if waits {
            self.held_back.insert(id);
        } else {
            self.held_back.remove(&id);
        }
    }

    /// Gives up waiting where it took too long.
    pub(super) fn release_overdue(&mut self, cx: &mut Context) {
        for id in self.held_back.clone() {
            self.release(cx, id);
        }
    }

    pub(super) fn next_overdue(&self) -> Option<Monotonic> {
        let conversations = self.held_back.iter().filter_map(|id| self.conversations.get(id));
        conversations.flat_map(Conversation::fronts).map(|(_, front)| front.until).min()
    }

    /// The chain whose next event may be taken in, and comes before those of others.
    fn next_ready(&self, now: Monotonic, id: ConversationId) -> Option<ChainKey> {
        let conversation = self.conversations.get(&id)?;
        let ready = conversation.fronts().filter(|(key, front)| {
            let crowded = conversation.theirs[key].waiting.len() > WAITING_MAX;
            crowded || front.until <= now || conversation.may_follow(&front.event, &self.me)
        });
        ready.min_by_key(|((author, _), front)| (front.event.lamport, *author)).map(|(key, _)| key)
    }

    /// Takes in the next event of a chain; returns its number, and whether it is a message.
    fn take_in(&mut self, cx: &mut Context, id: ConversationId, key: ChainKey, writes: &mut Vec<Write>) -> (u64, bool) {
        let conversation = self.conversations.get_mut(&id).expect("only a known conversation has something ready");
        let held = conversation.theirs.get_mut(&key).expect("only a known chain has something ready");
        let arrived = held.waiting.pop_front().expect("only what waits is ready");
        let number = arrived.event.number;
        let is_message = matches!(arrived.content, Content::Text(_) | Content::Action(_));
        (held.received, held.last) = (number, Some(arrived.id));
        held.lamport = held.lamport.max(arrived.event.lamport);
        let is_known = held.again.as_ref().is_some_and(|again| again.contains(&number));
        if held.again.as_ref().is_some_and(|again| number >= *again.end()) {
            held.again = None;
        }
        if held.borrowed_from.is_some_and(|borrowed| number + 1 >= borrowed && held.again.is_some()) {
            held.borrowed_from = None;
            let (author, chain) = key;
            writes.push(Write::Borrowed { conversation: id, author, chain, from: None });
        }
        if held.waiting.is_empty() {
            conversation.held_back.remove(&key);
        }
        if !is_known {
            self.take_in_new(cx, id, arrived, writes);
        }
        (number, is_message)
    }

    fn take_in_new(&mut self, cx: &mut Context, id: ConversationId, arrived: Arrived, writes: &mut Vec<Write>) {
        let Arrived { event, id: event_id, wire, content, from, late, .. } = arrived;
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.seen(&event);
        }
        if !matches!(content, Content::Join(_) | Content::Part(_) | Content::Unknown) {
            self.owe_receipt(cx, id, &event);
        }
        let stored = StoredEvent::of(&event, event_id, wire.clone(), late);
        writes.push(Write::Event { event: Box::new(stored), recipients: None });
        let mut show = |text, kind| self.show(cx, id, &from, &event, event_id, (text, kind, late));
        match content {
            Content::Text(text) => show(text, MessageKind::Text),
            Content::Action(text) => show(text, MessageKind::Action),
            Content::Join(_) => self.member_joined(cx, id, &wire, true, writes),
            Content::Part(reason) => self.member_parted(cx, id, &event, &wire, &reason, writes),
            content @ (Content::Edit { .. } | Content::Delete { .. } | Content::Reaction { .. }) => {
                self.deed_came(&from, &event, event_id, content, late);
            }
            Content::Unknown => {}
        }
    }

    pub(super) fn show(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        from: &UserName,
        event: &ChainEvent,
        event_id: EventId,
        (text, kind, late): (String, MessageKind, bool),
    ) {
        self.about_to_speak(cx, id, from, event.author);
        let Some(conversation) = self.conversations.get(&id) else { return };
        let target = conversation.target();
        if conversation.room().is_none() {
            self.last_heard = Some(from.clone());
        }
        let overtook = self.message_came(event_id, event, &text);
        if !self.was_shown_early(event_id) {
            cx.tell(Event::Message(MessageShown {
                conversation: target,
                id: event_id,
                from: from.clone(),
                text,
                kind,
                at: event.at,
                own: false,
                late,
                changes: Changes::default(),
            }));
        }
        self.line_told(cx, id, event_id, event.at);
        overtook.into_iter().for_each(|change| cx.tell(Event::Changed(change)));
    }
}

impl Conversation {
    /// The next event of every chain in which something waits.
    fn fronts(&self) -> impl Iterator<Item = (ChainKey, &Arrived)> {
        self.held_back.iter().filter_map(|key| Some((*key, self.theirs.get(key)?.waiting.front()?)))
    }

    /// Whether everything that an event names as seen is here, or will never come.
    pub(super) fn may_follow(&self, event: &ChainEvent, me: &IdentityKey) -> bool {
        let begins_late = self.room().is_some_and(|room| room.genesis.history == History::Joined);
        event.parents.iter().all(|parent| {
            let key = (parent.author, parent.chain);
            let is_own_chain = key == (event.author, event.chain);
            is_own_chain || self.has_parent(parent, me) || (begins_late && !self.theirs.contains_key(&key))
        })
    }
}

/// Events of one chain that wait at a time; with more, the first is not waited for any longer.
const WAITING_MAX: usize = 1024;
