//! From what the log keeps to what a person is shown: who said what, where. The one place for it, whatever asked.

use common::ids::IdentityKey;
use common::message::event::{Content, KIND_ACTION};
use common::names::UserName;

use super::account::Account;
use crate::api::{MessageKind, MessageShown};
use crate::ports::StoredEvent;

impl Account {
    /// The message that an event is; `None` if it is none, or its author or conversation are not known any more.
    pub(super) fn message_shown(&self, stored: &StoredEvent) -> Option<MessageShown> {
        let conversation = self.conversations.get(&stored.conversation)?;
        let member = || Some(conversation.room()?.members.get(&stored.author)?.user.clone());
        let (Content::Text(text) | Content::Action(text)) = stored.wire.claim().ok()?.content().ok()? else {
            return None;
        };
        Some(MessageShown {
            conversation: conversation.target(),
            id: stored.id,
            from: self.author_name(&stored.author).or_else(member)?,
            text,
            kind: if stored.kind == KIND_ACTION { MessageKind::Action } else { MessageKind::Text },
            at: stored.at,
            own: stored.author == self.me,
            late: stored.late,
        })
    }

    pub(super) fn messages_shown(&self, events: &[StoredEvent]) -> Vec<MessageShown> {
        events.iter().filter_map(|event| self.message_shown(event)).collect()
    }

    /// The name of myself or of anybody whose key is pinned.
    pub(super) fn author_name(&self, author: &IdentityKey) -> Option<UserName> {
        if *author == self.me { Some(self.user.clone()) } else { self.people.name_of(author).cloned() }
    }
}
