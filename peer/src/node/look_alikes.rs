//! Names that a reader may take for others: one warning when such a person first speaks.

use std::collections::BTreeSet;

use common::ids::{ConversationId, IdentityKey};
use common::names::UserName;

use super::account::Account;
use super::context::Context;
use crate::api::Event;
use crate::ports::LoadedConversation;

#[derive(Debug, Default)]
pub(super) struct LookAlikes {
    /// Whose words were shown, in whatever conversation. What is not shown does not count: whoever sends something of
    /// that kind first would otherwise never be warned of.
    heard: BTreeSet<IdentityKey>,
    /// Pairs that were warned of in this run: the second of two need not be told of as well.
    told: BTreeSet<(UserName, UserName)>,
}

impl LookAlikes {
    /// The log knows of every chain whether something in it was shown.
    pub(super) fn load(conversations: &[LoadedConversation]) -> Self {
        let chains = conversations.iter().flat_map(|conversation| &conversation.theirs);
        Self { heard: chains.filter(|chain| chain.is_told).map(|chain| chain.author).collect(), told: BTreeSet::new() }
    }
}

impl Account {
    /// Somebody's words are about to be shown.
    pub(super) fn about_to_speak(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        from: &UserName,
        author: IdentityKey,
    ) {
        if self.look_alikes.heard.contains(&author) {
            return;
        }
        self.look_alikes.heard.insert(author);
        let Some(like) = self.look_alike_of(id, from) else { return };
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
}
