//! What the virtual disk finds: single messages by what names them, what is about them, and the steps they took.

use std::collections::BTreeMap;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::message::event::{Content, KIND_ACTION, KIND_TEXT};
use peer::ports::{StepRun, StoredEvent, Wanted};

use super::Log;

impl Log {
    pub(super) fn wanted(&self, wanted: &Wanted) -> Vec<StoredEvent> {
        let everything = || self.conversations.values().flat_map(|kept| kept.in_order());
        match wanted {
            Wanted::Ids(ids) => {
                everything().filter(|event| ids.contains(&event.id) && is_named(event)).cloned().collect()
            }
            Wanted::Between { first, last } => {
                let between = |event: &&StoredEvent| (first..=last).contains(&&event.id) && is_named(event);
                everything().filter(between).take(2).cloned().collect()
            }
            Wanted::Newest { conversation, author, back } => {
                let Some(kept) = self.conversations.get(conversation) else { return Vec::new() };
                let theirs =
                    |event: &&StoredEvent| author.is_none_or(|author| event.author == author) && is_said(event);
                let back = usize::try_from(*back).unwrap_or(usize::MAX);
                kept.in_order().rev().filter(theirs).nth(back).cloned().into_iter().collect()
            }
        }
    }

    /// Of each author the newest change of each kind, for each of these messages.
    pub(super) fn about(&self, events: &[StoredEvent]) -> Vec<StoredEvent> {
        let mut newest: BTreeMap<(EventId, IdentityKey, u8), &StoredEvent> = BTreeMap::new();
        for event in self.conversations.values().flat_map(|kept| kept.in_order()) {
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
