//! Authors who sign two events for one place of a chain, and tell different people different things: found when two of
//! those people compare what they hold. Nobody's word is enough for it; the other event itself is asked for.

use common::ids::{ConversationId, EventId};
use common::message::event::{self, Position, WireEvent};
use common::message::peer::Holding;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation};
use super::reads::Read;
use super::repair::Claim;
use crate::api::Event;
use crate::ports::{DiskJob, LinkId, Output, StoredEvent};

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
        let run = event::verify_run(events, at, &author.key);
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
