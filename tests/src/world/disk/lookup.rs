//! What the virtual disk finds: single messages by what names them, what is about them, and the steps they took.

use std::collections::BTreeMap;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::message::event::{Content, KIND_ACTION, KIND_TEXT};
use common::time::UnixMillis;
use peer::ports::{StepRun, StoredEvent, Wanted};

use super::Log;

impl Log {
    pub(in crate::world) fn ids(&self) -> impl Iterator<Item = ConversationId> {
        self.conversations.keys().copied()
    }

    /// Texts and actions of one conversation or all, in the order they were written.
    pub(in crate::world) fn shown(&self, conversation: Option<&ConversationId>) -> impl Iterator<Item = &StoredEvent> {
        self.in_order(conversation).filter(|event| is_said(event))
    }

    /// What others wrote in a conversation and was not read, and where the last of it stands.
    pub(in crate::world) fn unread(&self, conversation: &ConversationId) -> (Vec<&StoredEvent>, u64) {
        let read = self.read.get(conversation).copied().unwrap_or(0);
        let theirs = |(place, own, event): &(u64, bool, &StoredEvent)| !own && *place > read && is_said(event);
        let unread: Vec<_> = self.places(Some(conversation)).filter(theirs).collect();
        let up_to = unread.last().map_or(read, |(place, ..)| *place);
        (unread.into_iter().map(|(.., event)| event).collect(), up_to)
    }

    pub(super) fn newest(&self, conversation: &ConversationId, count: u32, since: UnixMillis) -> Vec<StoredEvent> {
        let shown = |event: &&StoredEvent| is_said(event) && event.at >= since;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let newest = self.in_order(Some(conversation)).rev().filter(shown).take(count);
        let mut events: Vec<_> = newest.cloned().collect();
        events.reverse();
        events
    }

    /// Messages that are not marked as shown.
    pub(super) fn untold(&self) -> Vec<StoredEvent> {
        let told = |event: &StoredEvent| {
            let chain = &self.conversations[&event.conversation].chains[&(event.author, event.chain)];
            event.number <= chain.told || event.number > chain.number
        };
        self.in_order(None).filter(|event| is_said(event) && !told(event)).cloned().collect()
    }

    /// Every event, in the order they were written.
    fn in_order(&self, wanted: Option<&ConversationId>) -> impl DoubleEndedIterator<Item = &StoredEvent> {
        self.places(wanted).map(|(.., event)| event)
    }

    /// With its place from 1 and whether it is my own.
    fn places(&self, wanted: Option<&ConversationId>) -> impl DoubleEndedIterator<Item = (u64, bool, &StoredEvent)> {
        let all = self.order.iter().enumerate();
        let all = all.filter(move |(_, (id, ..))| wanted.is_none_or(|wanted| wanted == id));
        all.map(|(before, (id, author, chain, number))| {
            let chain = &self.conversations[id].chains[&(*author, *chain)];
            (before as u64 + 1, chain.own, &chain.events[number])
        })
    }

    pub(super) fn wanted(&self, wanted: &Wanted) -> Vec<StoredEvent> {
        let everything = || self.in_order(None);
        match wanted {
            Wanted::Ids(ids) => {
                everything().filter(|event| ids.contains(&event.id) && is_named(event)).cloned().collect()
            }
            Wanted::Between { first, last } => {
                let between = |event: &&StoredEvent| (first..=last).contains(&&event.id) && is_named(event);
                everything().filter(between).take(2).cloned().collect()
            }
            Wanted::Newest { conversation, author, back } => {
                let theirs =
                    |event: &&StoredEvent| author.is_none_or(|author| event.author == author) && is_said(event);
                let back = usize::try_from(*back).unwrap_or(usize::MAX);
                self.in_order(Some(conversation)).rev().filter(theirs).nth(back).cloned().into_iter().collect()
            }
        }
    }

    /// Of each author the newest change of each kind, for each of these messages.
    pub(in crate::world) fn about(&self, events: &[StoredEvent]) -> Vec<StoredEvent> {
        let mut newest: BTreeMap<(EventId, IdentityKey, u8), &StoredEvent> = BTreeMap::new();
        for event in self.in_order(None) {
            let Some(target) = target(event) else { continue };
            let here = |known: &StoredEvent| known.id == target && known.conversation == event.conversation;
            if events.iter().any(here) {
                let known = newest.entry((target, event.author, event.kind)).or_insert(event);
                if event.lamport > known.lamport {
                    *known = event;
                }
            }
        }
        newest.into_values().cloned().collect()
    }

    /// For whom an event of mine is.
    pub(super) fn recipients(
        &self,
        conversation: &ConversationId,
        chain: &(IdentityKey, ChainId),
        number: u64,
    ) -> Vec<IdentityKey> {
        let chain = self.conversations.get(conversation).and_then(|kept| kept.chains.get(chain));
        chain.and_then(|chain| chain.recipients.get(&number)).cloned().unwrap_or_default()
    }

    /// What was read stays read.
    pub(super) fn note_read(&mut self, conversation: ConversationId, up_to: Option<u64>) {
        let all = self.order.len() as u64;
        let read = self.read.entry(conversation).or_default();
        *read = up_to.unwrap_or(all).max(*read);
    }

    pub(super) fn note(&mut self, run: StepRun) {
        let same = |known: &&mut StepRun| {
            (known.author, known.chain, known.step, known.party) == (run.author, run.chain, run.step, run.party)
        };
        match self.steps.iter_mut().rev().find(same).filter(|known| known.goes_on_in(&run)) {
            Some(known) => known.last = run.last,
            None => self.steps.push(run),
        }
    }
}

fn is_said(event: &StoredEvent) -> bool {
    matches!(event.kind, KIND_TEXT | KIND_ACTION)
}

fn is_named(event: &StoredEvent) -> bool {
    is_said(event) || target(event).is_some()
}

fn target(event: &StoredEvent) -> Option<EventId> {
    let content: Content = event.wire.claim().ok()?.content().ok()?;
    content.target().copied()
}
