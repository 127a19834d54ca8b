//! A member that lies: an honest node whose outgoing events are left out, said twice or said differently to somebody
//! on their way. Everything it says is signed with its own keys.

use std::collections::BTreeMap;

use common::ids::{ChainId, ConversationId, EventId};
use common::message::event::{Content, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::message::receipt::Receipt;
use common::secure::sign::Signed;
use common::wire::bounded::List;

use super::World;
use super::host::Who;

/// What somebody said differently to whom. Once begun, a fork goes on: what follows is tied to it.
#[derive(Debug, Default)]
pub(super) struct Lies {
    forks: BTreeMap<(Who, ConversationId, ChainId), BTreeMap<u64, WireEvent>>,
    /// Nothing new is made up; the forks there are stay.
    has_ceased: bool,
}

impl World {
    /// From now on somebody lies.
    pub fn lies(&mut self, who: Who) {
        self.hosts[who.0].lies.get_or_insert_default();
        let name = self.hosts[who.0].name.clone();
        self.journal.note(self.now, || format!("{name} begins to LIE"));
    }

    /// From now on somebody adds receipts to those that they hand on: of everybody, signed by themselves.
    pub fn forges_receipts(&mut self, who: Who) {
        self.hosts[who.0].forges_receipts = true;
    }

    pub(super) fn with_forged_receipts(&self, who: Who, message: PeerMessage) -> PeerMessage {
        let PeerMessage::Receipts(mut receipts) = message else { return message };
        let claim = receipts.receipts.first().and_then(|receipt| receipt.claim().ok());
        if let Some(claim) = claim.filter(|_| self.hosts[who.0].forges_receipts) {
            let of = |host: &super::Host| {
                let receipt = Receipt { member: host.identity_key(), ..claim };
                Signed::sign(&receipt, self.hosts[who.0].keys.event_signer())
            };
            receipts.receipts = List::cut(self.hosts.iter().map(of).chain(receipts.receipts).collect());
        }
        PeerMessage::Receipts(receipts)
    }

    /// Nobody makes up anything new.
    pub(super) fn lies_cease(&mut self) {
        self.hosts.iter_mut().filter_map(|host| host.lies.as_mut()).for_each(|lies| lies.has_ceased = true);
    }

    /// What a message of `who` is by the time it leaves: itself, unless they lie.
    pub(super) fn twisted(&mut self, who: Who, reader: Who, message: PeerMessage) -> Vec<PeerMessage> {
        let (Some(lies), PeerMessage::Events(events)) = (&self.hosts[who.0].lies, &message) else {
            return vec![message];
        };
        let ceased = lies.has_ceased;
        let drawn = if ceased { 100 } else { self.random.below(100) };
        if drawn < OMITS {
            self.note_lie(who, reader, "omits events");
            return Vec::new();
        }
        let mut kept = events.events.iter().cloned().collect::<Vec<_>>();
        if drawn < OMITS + OMITS_ONE && kept.len() > 1 {
            self.note_lie(who, reader, "omits one event");
            kept.remove(self.random.below(kept.len()));
        }
        let forks = drawn >= 100 - FORKS;
        let told = kept.into_iter().map(|event| self.forked(who, reader, event, forks)).collect();
        let Events { conversation, late, .. } = *events;
        let events = List::new(told).expect("not more than there were");
        let message = PeerMessage::Events(Events { conversation, late, events });
        if (OMITS + OMITS_ONE..OMITS + OMITS_ONE + REPEATS).contains(&drawn) {
            self.note_lie(who, reader, "repeats events");
            return vec![message.clone(), message];
        }
        vec![message]
    }

    /// An event as `reader` is to see it.
    fn forked(&mut self, who: Who, reader: Who, wire: WireEvent, begin: bool) -> WireEvent {
        let host = &mut self.hosts[who.0];
        let Ok(mut event) = wire.claim() else { return wire };
        if event.author != host.keys.identity() {
            return wire;
        }
        let Some(lies) = &mut host.lies else { return wire };
        let key = (reader, event.conversation, event.chain);
        let fork = lies.forks.get(&key);
        if let Some(known) = fork.and_then(|fork| fork.get(&event.number)) {
            return known.clone();
        }
        let before: Option<EventId> = fork.and_then(|fork| fork.get(&(event.number - 1))).map(WireEvent::id);
        let text = match event.content() {
            Ok(Content::Text(text)) if begin && fork.is_none() => Some(text),
            _ => None,
        };
        if before.is_none() && text.is_none() {
            return wire;
        }
        if let Some(before) = before {
            event.previous = before;
        }
        let lie = text.map(|text| (format!("{text}-not"), text));
        if let Some((lie, _)) = &lie {
            (event.kind, event.body) = Content::Text(lie.clone()).encode().expect("a short text");
        }
        let told = event.sign(host.keys.event_signer());
        lies.forks.entry(key).or_default().insert(event.number, told.clone());
        if let Some((lie, text)) = lie {
            self.model.forked(&text, lie);
            self.note_lie(who, reader, "forks");
        }
        told
    }

    fn note_lie(&self, who: Who, reader: Who, what: &str) {
        let (name, reader) = (&self.hosts[who.0].name, &self.hosts[reader.0].name);
        self.journal.note(self.now, || format!("{name} LIES to {reader}: {what}"));
    }
}

// How often, of 100 messages with events.
const OMITS: usize = 12;
const OMITS_ONE: usize = 10;
const REPEATS: usize = 10;
const FORKS: usize = 25;
