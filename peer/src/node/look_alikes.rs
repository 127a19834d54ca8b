//! Names that a reader may take for others: one warning when such a person first speaks.

use std::collections::BTreeSet;

use common::ids::{ConversationId, IdentityKey};
use common::message::event::Event as ChainEvent;
use common::names::UserName;

use super::account::Account;
use super::context::Context;
use super::conversation::Conversation;
use crate::api::Event;

/// Pairs that were warned of in this run: the second of two need not be told of as well.
#[derive(Debug, Default)]
pub(super) struct LookAlikes {
    told: BTreeSet<(UserName, UserName)>,
}

impl Account {
    /// Somebody's words are about to be shown.
    pub(super) fn about_to_speak(&mut self, cx: &mut Context, id: ConversationId, from: &UserName, event: &ChainEvent) {
        // Names are compared once for each person, not for each of their lines.
        let like = self.are_first_words(id, event).then(|| self.look_alike_of(id, from)).flatten();
        let Some(like) = like else { return };
        let told = &mut self.look_alikes.told;
        if !told.contains(&(like.clone(), from.clone())) && told.insert((from.clone(), like.clone())) {
            cx.tell(Event::LookAlike { user: from.clone(), like });
        }
    }

    /// Somebody known here by a name like this one: myself, whoever I met, a member of the same room.
    fn look_alike_of(&self, id: ConversationId, from: &UserName) -> Option<UserName> {
        let met = self.people.iter().filter(|(_, contact)| contact.pin.is_some()).map(|(user, _)| user);
        let room = self.conversations.get(&id).and_then(|conversation| conversation.room());
        let members = room.into_iter().flat_map(|room| room.others(&self.me)).map(|(_, member)| &member.user);
        let mut known = std::iter::once(&self.user).chain(met).chain(members);
        known.find(|known| known.looks_like(from)).cloned()
    }

    /// Nothing but a join of theirs was here before, in any conversation.
    fn are_first_words(&self, id: ConversationId, event: &ChainEvent) -> bool {
        let said = |conversation: &Conversation| {
            let joins = u64::from(conversation.room().is_some());
            let this = (conversation.id == id).then_some(event.chain);
            let first = |chain| u64::from(this == Some(chain));
            conversation.theirs_by(&event.author).any(|(chain, number)| number > joins + first(chain))
        };
        !self.conversations.values().any(said)
    }
}

impl Conversation {
    /// What is held of each chain of somebody.
    fn theirs_by(&self, author: &IdentityKey) -> impl Iterator<Item = (common::ids::ChainId, u64)> {
        let theirs = self.theirs.iter().filter(move |((by, _), _)| by == author);
        theirs.map(|((_, chain), held)| (*chain, held.received))
    }
}
