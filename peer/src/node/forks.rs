//! Authors who sign two events for one place of a chain, and tell different people different things: found when two of
//! those people compare what they hold. Nobody's word is enough for it; the other event itself is asked for, kept
//! and shown.

use common::ids::{self, ChainId, ConversationId, EventId};
use common::limits::EVENTS_BYTES_MAX;
use common::message::event::{Content, Event as ChainEvent, Position, WireEvent};
use common::message::peer::Holding;
use common::names::UserName;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation};
use super::held::Held;
use super::reads::Read;
use super::receive::verify_by;
use super::repair::Claim;
use crate::api::{Event, MessageKind};
use crate::ports::{DiskJob, LinkId, Output, StoredEvent, Write};

/// What others were told in places where we were told something else.
#[derive(Debug)]
pub(super) struct Branch {
    link: LinkId,
    conversation: ConversationId,
    key: ChainKey,
    events: Vec<WireEvent>,
}

impl Account {
    /// If they name another event where we hold `ours`, it is asked for.
    pub(super) fn suspect(&mut self, cx: &Context, link: LinkId, id: ConversationId, holding: &Holding, ours: EventId) {
        if holding.last.is_some_and(|theirs| theirs != ours) {
            let claim = Claim { number: holding.number, heard_at: cx.now.monotonic, ours: Some(ours) };
            self.note(link, id, (holding.author, holding.chain), claim);
        }
    }

    pub(super) fn compare_once(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, holding: &Holding) {
        let told = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id));
        if told.is_some_and(|told| told.compared.insert((holding.author, holding.chain))) {
            self.compare(cx, link, id, holding);
        }
    }

    /// Whether these are events that their author signed, the first in the place of `ours`.
    pub(super) fn proves_fork(
        &self,
        conversation: &Conversation,
        key: &ChainKey,
        (number, ours): (u64, EventId),
        events: &[WireEvent],
    ) -> bool {
        let Some(author) = self.author_of(conversation, &key.0) else { return false };
        let at = Position { conversation: conversation.id, author: key.0, chain: key.1, number, previous: None };
        let run = verify_by(&author.keys, events, at);
        run.is_ok_and(|run| run.first().is_some_and(|(id, _)| *id != ours))
    }

    /// Whether an author has signed two events for one place of a chain.
    pub(super) fn is_forked(&self, id: ConversationId, key: ChainKey) -> bool {
        self.forked.contains(&(id, key))
    }

    /// One author signed two events for one place: what each of us holds is kept, and that it is so is told.
    pub(super) fn fork_seen(&mut self, cx: &mut Context, id: ConversationId, key: ChainKey) {
        self.nothing_wanted(id, key);
        if !self.forked.insert((id, key)) {
            return;
        }
        if key.0 == self.me {
            // My log is a copy, and its numbers were given out before: nobody's fault, and dealt with elsewhere.
            return;
        }
        let Some(conversation) = self.conversations.get(&id) else { return };
        if let Some(user) = self.name_in(conversation, &key.0) {
            cx.tell(Event::Forked { conversation: conversation.target(), user });
        }
    }

    /// Events that others hold of a chain that forks: what we hold in their places is looked up.
    pub(super) fn branch_came(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        id: ConversationId,
        key: ChainKey,
        events: &[WireEvent],
    ) {
        let first = events.first().filter(|_| key.0 != self.me).and_then(|event| event.claim().ok());
        let Some(first) = first else { return };
        let ticket = cx.number();
        let branch = Branch { link, conversation: id, key, events: events.to_vec() };
        self.disk.reads.insert(ticket, Read::Branch(branch));
        let read = DiskJob::ReadChain {
            ticket,
            conversation: id,
            author: key.0,
            chain: key.1,
            from: first.number.saturating_sub(1).max(1),
            bytes_max: 2 * EVENTS_BYTES_MAX,
            not_before: None,
        };
        cx.out.push_back(Output::Disk(read));
    }

    /// What differs is kept beside what we hold, and shown; where it differs before that, too, that is asked for.
    pub(super) fn branch_compared(&mut self, cx: &mut Context, branch: Branch, ours: &[StoredEvent]) {
        let Branch { link, conversation: id, key, events } = branch;
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(author) = self.author_of(conversation, &key.0) else { return };
        let number = events.first().and_then(|event| event.claim().ok()).map_or(0, |event| event.number);
        let at = Position { conversation: id, author: key.0, chain: key.1, number, previous: None };
        let Ok(run) = verify_by(&author.keys, &events, at) else { return };
        let held = |number: u64| ours.iter().find(|event| event.number == number).map(|event| event.id);
        let mut writes = Vec::new();
        for ((event_id, event), wire) in run.iter().zip(&events) {
            if held(event.number) != Some(*event_id) {
                self.keep_branch(cx, &author.user, (*event_id, event), wire, &mut writes);
            }
        }
        let before = run.first().and_then(|(_, event)| Some((event, held(event.number.checked_sub(1)?)?)));
        if let Some((event, ours)) = before.filter(|(event, ours)| event.previous != *ours && !writes.is_empty()) {
            let claim = Claim { number: event.number - 1, heard_at: cx.now.monotonic, ours: Some(ours) };
            self.note(link, id, key, claim);
        }
        self.commit(cx, writes, Vec::new());
    }

    /// Each such event lies in a chain of its own, which nobody is told of.
    fn keep_branch(
        &mut self,
        cx: &mut Context,
        from: &UserName,
        (event_id, event): (EventId, &ChainEvent),
        wire: &WireEvent,
        writes: &mut Vec<Write>,
    ) {
        let (id, author, chain) = (event.conversation, event.author, branch_of(&event_id));
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let branches = conversation.theirs.keys().filter(|(by, chain)| *by == author && is_branch(chain));
        let counts = conversation.room().is_none_or(|room| room.counts(event, false));
        if !counts || branches.count() >= BRANCH_EVENTS_MAX || conversation.theirs.contains_key(&(author, chain)) {
            return;
        }
        conversation.theirs.insert((author, chain), Held::up_to(event.number, Some(event_id), event.lamport));
        if event.number > 1 {
            writes.push(Write::Skip { conversation: id, author, chain, number: event.number - 1 });
        }
        let stored = StoredEvent { chain, ..StoredEvent::of(event, event_id, wire.clone(), true) };
        writes.push(Write::Event { event: Box::new(stored), recipients: None });
        let (text, kind) = match event.content() {
            Ok(Content::Text(text)) => (text, MessageKind::Text),
            Ok(Content::Action(text)) => (text, MessageKind::Action),
            _ => return,
        };
        self.show(cx, id, from, event, event_id, (text, kind, true));
        self.writing.told(cx, id, (author, chain), event.number);
    }

    /// Looks whether the event that another holds at some number is the one that we have there.
    pub(super) fn compare(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, holding: &Holding) {
        let ticket = cx.number();
        let Holding { author, chain, number, .. } = *holding;
        self.disk.reads.insert(ticket, Read::Compare { link, conversation: id, holding: *holding });
        let read = DiskJob::ReadChain {
            ticket,
            conversation: id,
            author,
            chain,
            from: number,
            bytes_max: 1,
            not_before: None,
        };
        cx.out.push_back(Output::Disk(read));
    }

    pub(super) fn compared(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        id: ConversationId,
        holding: &Holding,
        events: &[StoredEvent],
    ) {
        let ours = events.first().filter(|event| event.number == holding.number).map(|event| event.id);
        let differs = ours.is_some_and(|ours| holding.last.is_some_and(|theirs| theirs != ours));
        match (holding.author == self.me, ours) {
            (true, _) if differs => self.disagreed(cx, link, id, holding),
            (true, _) => self.agreed(cx, link, id, holding, false),
            (false, Some(ours)) => self.suspect(cx, link, id, holding, ours),
            (false, None) => {}
        }
    }
}

/// The chain that one event of a branch is kept in.
fn branch_of(event: &EventId) -> ChainId {
    let [a, b, c, d, e, f, g, h, ..] = ids::hash("p2p-chat branch v1", &[event.as_bytes()]);
    let [p, q, r, s, t, u, v, w] = BRANCH_MARK;
    ChainId([p, q, r, s, t, u, v, w, a, b, c, d, e, f, g, h])
}

/// Whether a chain holds what is ours alone: nobody is told that it is here.
pub(super) fn is_branch(chain: &ChainId) -> bool {
    chain.as_bytes().starts_with(&BRANCH_MARK)
}

/// Chains are random; an author who begins one like this is told of no receipt.
const BRANCH_MARK: [u8; 8] = *b"branch\0\0";
/// Events of one author in one conversation that are kept besides what is held: enough to see what they do.
const BRANCH_EVENTS_MAX: usize = 32;
