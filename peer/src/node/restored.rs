//! An account whose log is older than what others hold of it: a copy put back, or a disk that lost its newest lines.
//! What is said from then on goes into a chain of its own, and what was lost is fetched from whoever has it.

use common::ids::{ChainId, ConversationId};
use common::message::event::{Content, NO_EVENT, Position, WireEvent};
use common::message::registry::{Code, Refusal};

use super::account::Account;
use super::context::Context;
use super::conversation::{OwnLog, Recent};
use super::outgoing::After;
use super::reads::Read;
use super::receive::{Misbehaved, Taken, verify_by};
use crate::api::{Changes, Event, MessageKind, MessageShown};
use crate::ports::{DiskJob, Output, StoredEvent, Write};

impl Account {
    /// Somebody holds numbers of my chain that my log has never given out, or other events under those it has: it is a
    /// restored copy. What I say from now on goes into a chain of its own, so that no number means two things.
    pub(super) fn begin_new_chain(&mut self, cx: &mut Context) {
        self.chain = cx.chain_id();
        self.chain_is_fresh = true;
        self.commit(cx, vec![Write::Chain(self.chain)], Vec::new());
        cx.tell(Event::Refused(is_a_copy()));
    }

    /// What was said in a chain whose numbers may mean something else by now reaches nobody in it: it is read, to be
    /// said again in the chain of its own.
    pub(super) fn say_again(&mut self, cx: &mut Context, id: ConversationId, chain: ChainId) {
        let log = self.conversations.get_mut(&id).and_then(|conversation| conversation.own.get_mut(&chain));
        let Some(log) = log.filter(|log| log.withdrawn_from.is_none() && chain != self.chain) else { return };
        // What was there when the program began is what the copy has in common with the others.
        let Some(from) = log.pending.range(log.before + 1..).next().map(|(number, _)| *number) else { return };
        // Nobody can be sent a part of a run without its end.
        let from = (log.before_run_of(from) + 1).max(log.before + 1);
        log.withdrawn_from = Some(from);
        self.read_again(cx, id, chain);
    }

    pub(super) fn read_again(&mut self, cx: &mut Context, id: ConversationId, chain: ChainId) {
        let log = self.conversations.get(&id).and_then(|conversation| conversation.own.get(&chain));
        let Some(from) = log.and_then(|log| log.withdrawn_from) else { return };
        let ticket = cx.number();
        self.disk.reads.insert(ticket, Read::SayAgain { conversation: id, chain });
        cx.out.push_back(Output::Disk(DiskJob::ReadChain {
            ticket,
            conversation: id,
            author: self.me,
            chain,
            from,
            bytes_max: usize::MAX,
            not_before: None,
        }));
    }

    /// Says again what somebody waits for in a chain that is given up.
    pub(super) fn said_before(&mut self, cx: &mut Context, id: ConversationId, chain: ChainId, events: &[StoredEvent]) {
        for stored in events {
            let log = self.conversations.get_mut(&id).and_then(|known| known.own.get_mut(&chain));
            if log.is_none_or(|log| log.pending.remove(&stored.number).is_none()) {
                continue;
            }
            let content = stored.wire.claim().and_then(|event| event.content());
            match content {
                Ok(Content::Text(text)) => self.say(cx, None, id, text, MessageKind::Text, Vec::new()),
                Ok(Content::Action(text)) => self.say(cx, None, id, text, MessageKind::Action, Vec::new()),
                Ok(content) => self.change_again(cx, id, content),
                Err(_) => {}
            }
        }
    }

    /// Events of mine that only others had: kept, and shown as mine.
    pub(super) fn take_own(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        chain: ChainId,
        events: &[WireEvent],
    ) -> Result<Taken, Misbehaved> {
        if chain == self.chain {
            return Ok(Taken::PassedOver);
        }
        let Some(conversation) = self.conversations.get_mut(&id) else { return Ok(Taken::PassedOver) };
        let target = conversation.target();
        let order = conversation.own.len();
        let log = conversation.own.entry(chain).or_insert_with(|| OwnLog::new(order));
        let previous = Some(if log.number == 0 { NO_EVENT } else { log.last });
        let first = events.first().and_then(|event| event.claim().ok()).map_or(0, |event| event.number);
        if first > log.number + 1 {
            return Ok(Taken::Hole);
        }
        let known = usize::try_from(log.number + 1 - first).unwrap_or(usize::MAX);
        let fresh = events.get(known.min(events.len())..).unwrap_or_default();
        let at = Position { conversation: id, author: self.me, chain, number: log.number + 1, previous };
        let keys = self.keys.events();
        let verified = match verify_by(&keys, fresh, at) {
            Ok(verified) => verified,
            Err(_) if verify_by(&keys, fresh, Position { previous: None, ..at }).is_ok() => {
                return Ok(Taken::Fork);
            }
            Err(_) => return Err("events of mine that do not hold"),
        };
        let (mut writes, mut after, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for ((event_id, event), wire) in verified.into_iter().zip(fresh) {
            log.number = event.number;
            log.before = event.number;
            log.last = event_id;
            log.remember(Recent { number: event.number, id: event_id, at: event.at, wire: wire.clone() });
            conversation.lamport = conversation.lamport.max(event.lamport);
            let said = match event.content() {
                Ok(Content::Text(text)) => Some((text, MessageKind::Text)),
                Ok(Content::Action(text)) => Some((text, MessageKind::Action)),
                Ok(Content::Part(reason)) => {
                    parts.push((event.clone(), wire, reason));
                    None
                }
                _ => None,
            };
            let tell = said.map(|(text, kind)| {
                Box::new(Event::Message(MessageShown {
                    conversation: target.clone(),
                    id: event_id,
                    from: self.user.clone(),
                    text,
                    kind,
                    at: event.at,
                    own: true,
                    late: true,
                    changes: Changes::default(),
                }))
            });
            let stored = StoredEvent::of(&event, event_id, wire.clone(), true);
            // Whoever lacks it is sent it, but nobody is waited for: who had it once is not known any more.
            writes.push(Write::Event { event: Box::new(stored), recipients: Some(Vec::new()) });
            after.push(After::Own { conversation: id, chain, number: event.number, re: None, tell });
        }
        for (event, wire, reason) in parts {
            self.member_parted(cx, id, &event, wire, &reason, &mut writes);
        }
        self.commit(cx, writes, after);
        Ok(Taken::Whole)
    }
}

/// What a person is told whose log may lack lines of theirs.
pub(super) fn is_a_copy() -> Refusal {
    let text = "Your log here was copied, or put back from a copy: others may hold lines of yours that are not in it. \
                They are fetched from whoever has them; what you write now is kept apart from those.";
    Refusal::new(Code::Storage, text)
}
