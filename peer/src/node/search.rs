//! `/search`: from the names a person typed to keys and ids the log knows, and back.

use std::collections::BTreeSet;

use common::ids::{ConversationId, IdentityKey};
use common::names::UserName;

use super::account::Account;
use super::commands::not_member;
use super::context::Context;
use super::inquiries::Asking;
use crate::api::{Around, FoundShown, Refusal, Search, Target};
use crate::ports::{FoundEvent, Inquiry, SearchFor, StoredEvent};

impl Account {
    pub(super) fn search(&mut self, cx: &mut Context, re: Option<String>, search: Search) {
        let Search { words, from, target, before, after, context } = search;
        let conversation = match target.map(|target| self.conversation_of(&target)).transpose() {
            Ok(conversation) => conversation,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let authors = from.map(|user| self.keys_of(&user).into_iter().collect());
        let context = context.unwrap_or(0).min(CONTEXT_MAX);
        cx.wait(re);
        let wanted = SearchFor { words: words.clone(), conversation, authors, before, after, context };
        self.inquire(cx, Inquiry::Search(wanted), Asking::Search { words, with_context: context > 0 });
    }

    pub(super) fn found_shown(
        &self,
        found: FoundEvent,
        changes: &[StoredEvent],
        with_context: bool,
    ) -> Option<FoundShown> {
        let FoundEvent { before, event, after } = found;
        let message = self.messages_shown(vec![event], changes).pop()?;
        let around = with_context.then(|| Around {
            before: self.messages_shown(before, changes),
            after: self.messages_shown(after, changes),
        });
        Some(FoundShown { message, around })
    }

    /// The conversation that a target names. With a person there is always one, if only an empty one.
    pub(super) fn conversation_of(&self, target: &Target) -> Result<ConversationId, Refusal> {
        match target {
            Target::Person(user) => Ok(self.direct_id(user)),
            Target::Room(room) => self.rooms.get(room).copied().ok_or_else(|| not_member(room)),
        }
    }

    /// Every key that somebody of this name is known to have written with.
    fn keys_of(&self, user: &UserName) -> BTreeSet<IdentityKey> {
        if *user == self.user {
            return BTreeSet::from([self.me]);
        }
        let rooms = self.conversations.values().filter_map(|conversation| conversation.room());
        let members = rooms.flat_map(|room| &room.members).filter(|(_, member)| member.user == *user);
        members.map(|(identity, _)| *identity).chain(self.identity_of(user)).collect()
    }
}

/// More than this around every line found is a history; `/history` shows it.
const CONTEXT_MAX: u32 = 10;
