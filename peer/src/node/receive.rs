//! What comes in on a link: checked, shown at once, stored, and only then acknowledged. Whoever breaks the protocol
//! is cut; what merely does not concern us is passed over.

use common::ids::{ChainId, ConversationId};
use common::message::event::{self, COUNT_MAX, Content, Event as ChainEvent, NO_EVENT, Position};
use common::message::peer::{Events, PeerMessage};
use common::names::UserName;
use common::secure::certificate::Person;

use super::account::Account;
use super::context::Context;
use super::conversation::{Conversation, Held, Kind};
use super::outgoing::After;
use crate::api::{Event, MessageKind, MessageShown};
use crate::ports::{LinkId, StoredEvent, Write};

/// Why a link is cut, for the log.
pub(super) type Misbehaved = &'static str;

impl Account {
    pub(super) fn link_message(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        message: PeerMessage,
    ) -> Result<(), Misbehaved> {
        let Some(user) = self.links.get(link).map(|link| link.person.user.clone()) else { return Ok(()) };
        match message {
            PeerMessage::Events(events) => self.events_received(cx, link, &user, events)?,
            PeerMessage::Have(have) => self.have_heard(cx, link, &have),
            PeerMessage::RoomHello { room, genesis, join } => self.room_hello(cx, link, room, &genesis, join)?,
            PeerMessage::RoomLog { room, entries } => self.entries_received(cx, room, entries.into_vec()),
            PeerMessage::Skip { conversation, chain, number } => {
                if number > COUNT_MAX {
                    return Err("a skip beyond all numbers");
                }
                self.skip_received(cx, link, conversation, chain, number);
            }
            PeerMessage::Status { away } => {
                self.status_heard(cx, &user, away.map(|away| away.into_string()));
            }
            PeerMessage::Hello(_) => return Err("a second hello"),
            PeerMessage::Ping | PeerMessage::Pong | PeerMessage::Bye => {}
        }
        Ok(())
    }

    fn events_received(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        user: &UserName,
        Events { conversation: id, late, events }: Events,
    ) -> Result<(), Misbehaved> {
        let Some(person) = self.links.get(link).map(|link| link.person.clone()) else { return Ok(()) };
        if self.disk.is_failing() || self.links.passed_over.contains(&link) {
            // What was passed over would be a hole before whatever follows it on this link.
            self.links.passed_over.insert(link);
            return Ok(());
        }
        if self.is_direct_with(link, id) {
            let mut writes = Vec::new();
            self.open_conversation(cx, user, &mut writes);
            if !writes.is_empty() {
                self.commit(cx, writes, Vec::new());
            }
        }
        let Some(conversation) = self.conversations.get_mut(&id) else { return Ok(()) };
        let open = match &conversation.kind {
            Kind::Direct { with } => with == user,
            Kind::Room(room) => room.joined && room.members.contains_key(&person.identity),
        };
        let is_room = conversation.room().is_some();
        let Some(first) = events.first().filter(|_| open) else { return Ok(()) };
        let first = first.claim().map_err(|_| "an event that is none")?;
        if first.author != person.identity || first.conversation != id {
            return Err("an event of somebody else");
        }
        let key = (person.identity, first.chain);
        let chains = conversation.theirs.keys().filter(|(author, _)| *author == person.identity).count();
        if chains >= CHAINS_PER_AUTHOR_MAX && !conversation.theirs.contains_key(&key) {
            return Err("more chains than databases anybody loses");
        }
        let held = conversation.theirs.entry(key).or_insert(Held { received: 0, stored: 0, last: Some(NO_EVENT) });
        if first.number > held.received + 1 {
            // Sent before my hello when I came back into the room; what I passed over is sent again after it.
            return if is_room { Ok(()) } else { Err("a hole in a chain") };
        }
        // What is held already is passed over; the rest must follow on it.
        let known = usize::try_from(held.received + 1 - first.number).unwrap_or(usize::MAX);
        let fresh = events.get(known.min(events.len())..).unwrap_or_default();
        let (author, chain, number, previous) = (person.identity, first.chain, held.received + 1, held.last);
        let position = Position { conversation: id, author, chain, number, previous };
        let checked = event::verify_run(fresh, position, &person.event).map_err(|_| "events that do not hold")?;
        let Some((last_id, last)) = checked.last() else { return Ok(()) };
        let contents: Result<Vec<_>, _> = checked.iter().map(|(_, event)| content(event, &person)).collect();
        let contents = contents?;
        (held.received, held.last) = (last.number, Some(*last_id));
        let number = last.number;
        let mut writes = Vec::new();
        for (((event_id, event), wire), content) in checked.into_iter().zip(fresh).zip(contents) {
            let conversation = self.conversations.get_mut(&id).expect("it was there a moment ago");
            conversation.lamport = conversation.lamport.max(event.lamport);
            let stored = StoredEvent::of(&event, event_id, wire.clone(), late);
            writes.push(Write::Event { event: Box::new(stored), recipients: None });
            match content {
                Content::Text(text) => self.show(cx, id, user, &event, event_id, (text, MessageKind::Text, late)),
                Content::Action(text) => self.show(cx, id, user, &event, event_id, (text, MessageKind::Action, late)),
                Content::Join(_) => self.member_joined(cx, id, wire, true, &mut writes),
                Content::Part(reason) => self.member_parted(cx, id, &event, wire, &reason, &mut writes),
                Content::Unknown => {}
            }
        }
        let after = After::Received { conversation: id, author: person.identity, chain, number };
        self.commit(cx, writes, vec![after]);
        if let Some(live) = self.links.get_mut(link) {
            live.used_at = cx.now.monotonic;
        }
        Ok(())
    }

    fn show(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        from: &UserName,
        event: &ChainEvent,
        event_id: common::ids::EventId,
        (text, kind, late): (String, MessageKind, bool),
    ) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        if matches!(conversation.kind, Kind::Direct { .. }) {
            self.last_heard = Some(from.clone());
        }
        cx.tell(Event::Message(MessageShown {
            conversation: conversation.target(),
            id: event_id,
            from: from.clone(),
            text,
            kind,
            at: event.at,
            own: false,
            late,
        }));
        self.line_told(cx, id, event_id, event.at);
    }

    /// The author does not serve us what lies before `number`.
    fn skip_received(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, chain: ChainId, number: u64) {
        let Some(author) = self.links.get(link).map(|link| link.person.identity) else { return };
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let chains = conversation.theirs.keys().filter(|(held, _)| *held == author).count();
        let open = conversation.room().is_some_and(|room| room.joined && room.members.contains_key(&author));
        if !open || chains >= CHAINS_PER_AUTHOR_MAX && !conversation.theirs.contains_key(&(author, chain)) {
            return;
        }
        let held = conversation.theirs.entry((author, chain)).or_insert(Held { received: 0, stored: 0, last: None });
        if number > held.received {
            (held.received, held.last) = (number, None);
            let after = After::Received { conversation: id, author, chain, number };
            self.commit(cx, vec![Write::Skip { conversation: id, author, chain, number }], vec![after]);
        }
    }

    /// The conversation with `user`, made if it is new.
    pub(super) fn open_direct(&mut self, user: &UserName, writes: &mut Vec<Write>) -> ConversationId {
        let id = self.direct_id(user);
        self.conversations.entry(id).or_insert_with(|| {
            writes.push(Write::Conversation { id, with: user.clone() });
            Conversation::direct(id, user.clone())
        });
        id
    }
}

/// What an event of `person` says. A join speaks for them alone.
fn content(event: &ChainEvent, person: &Person) -> Result<Content, Misbehaved> {
    let content = event.content().map_err(|_| "a body that is not of its kind")?;
    if let Content::Join(join) = &content {
        let statement = join.statement.claim().map_err(|_| "a join without a statement")?;
        if (&statement.user, statement.identity) != (&person.user, person.identity) {
            return Err("a join under another name");
        }
    }
    Ok(content)
}

/// A new chain begins with a new or restored database: this many in one conversation are an attack on our memory.
const CHAINS_PER_AUTHOR_MAX: usize = common::limits::HOLDINGS_MAX / 4;
