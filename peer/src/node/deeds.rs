//! What others did to messages, as it comes in: told with what the message said before, if whoever did it may. That is
//! read from the log before the deed is written to it. One that overtook its message is told behind it.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{ConversationId, EventId, IdentityKey};
use common::message::event::{Content, Event as ChainEvent};
use common::names::UserName;
use common::time::UnixMillis;

use super::account::Account;
use super::changes::{Message, fold};
use super::context::Context;
use super::reads::Read;
use crate::api::{Act, ChangeShown, Event, Target};
use crate::ports::{DiskJob, Output, StoredEvent, Wanted};

#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// Came in since the last commit.
    fresh: Heard,
    /// Of messages that are still to come; after a restart only histories know of them.
    early: BTreeMap<EventId, Vec<Deed>>,
    early_count: usize,
}

/// Deeds of which it is read what their messages said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    deeds: Vec<Deed>,
    /// Messages that the disk may not find yet.
    said: BTreeMap<EventId, Known>,
}

/// One edit, deletion or reaction of somebody else.
#[derive(Debug)]
struct Deed {
    conversation: ConversationId,
    author: IdentityKey,
    from: UserName,
    event: EventId,
    at: UnixMillis,
    late: bool,
    target: EventId,
    content: Content,
}

/// What has to be known of a message to tell a change of it.
#[derive(Debug, Clone)]
struct Known {
    conversation: ConversationId,
    author: IdentityKey,
    text: String,
    deleted: bool,
}

impl Account {
    /// An edit, deletion or reaction has come in.
    pub(super) fn deed_came(&mut self, from: &UserName, event: &ChainEvent, id: EventId, content: Content, late: bool) {
        let Some(target) = content.target().copied() else { return };
        let (conversation, author, from) = (event.conversation, event.author, from.clone());
        self.deeds.fresh.deeds.push(Deed {
            conversation,
            author,
            from,
            event: id,
            at: event.at,
            late,
            target,
            content,
        });
    }

    /// A message has come in: what was done to it before, to be told behind it.
    pub(super) fn message_came(&mut self, id: EventId, event: &ChainEvent, text: &str) -> Vec<ChangeShown> {
        let (conversation, author) = (event.conversation, event.author);
        let mut known = Known { conversation, author, text: text.to_owned(), deleted: false };
        let reads = self.disk.reads.values_mut().filter_map(|read| match read {
            Read::Changed(heard) => Some(&mut **heard),
            _ => None,
        });
        for heard in reads.filter(|heard| heard.deeds.iter().any(|deed| deed.target == id)) {
            heard.said.insert(id, known.clone());
        }
        self.deeds.fresh.said.insert(id, known.clone());
        let early = self.deeds.early.remove(&id).unwrap_or_default();
        self.deeds.early_count -= early.len();
        let Some(target) = self.conversations.get(&conversation).map(|known| known.target()) else { return Vec::new() };
        early.iter().filter_map(|deed| deed.told(&target, &mut known)).collect()
    }

    /// Asks what the messages said to which something was done since the last time. To be called before that is written.
    pub(super) fn read_deeds(&mut self, cx: &mut Context) {
        let heard = std::mem::take(&mut self.deeds.fresh);
        if !heard.deeds.is_empty() {
            self.read_heard(cx, heard);
        }
    }

    pub(super) fn read_heard(&mut self, cx: &mut Context, heard: Heard) {
        let targets = heard.deeds.iter().map(|deed| deed.target);
        let ids: BTreeSet<EventId> = targets.filter(|id| !heard.said.contains_key(id)).collect();
        let ticket = cx.number();
        self.disk.reads.insert(ticket, Read::Changed(Box::new(heard)));
        let wanted = Wanted::Ids(ids.into_iter().collect());
        cx.out.push_back(Output::Disk(DiskJob::ReadEvents { ticket, wanted }));
    }

    /// Tells those deeds that count.
    pub(super) fn tell_deeds(
        &mut self,
        cx: &mut Context,
        heard: Heard,
        events: Vec<StoredEvent>,
        changes: &[StoredEvent],
    ) {
        let Heard { deeds, said } = heard;
        let read = fold(events, changes).into_iter().map(|message| {
            let Message { event, text, deleted, .. } = message;
            (event.id, Known { conversation: event.conversation, author: event.author, text, deleted })
        });
        let mut known: BTreeMap<EventId, Known> = said.into_iter().chain(read).collect();
        for deed in deeds {
            let Some(conversation) = self.conversations.get(&deed.conversation) else { continue };
            if let Some(known) = known.get_mut(&deed.target) {
                let told = deed.told(&conversation.target(), known);
                told.into_iter().for_each(|change| cx.tell(Event::Changed(change)));
            } else if self.deeds.early_count < EARLY_MAX {
                self.deeds.early_count += 1;
                self.deeds.early.entry(deed.target).or_default().push(deed);
            }
        }
    }
}

impl Deed {
    /// The deed as it is told, if it counts; the message is changed then.
    fn told(&self, conversation: &Target, known: &mut Known) -> Option<ChangeShown> {
        let may_change = self.author == known.author;
        if known.deleted || self.conversation != known.conversation {
            return None;
        }
        let before = known.text.clone();
        let act = match &self.content {
            Content::Edit { text, .. } if may_change => {
                known.text.clone_from(text);
                Act::Edited { text: text.clone() }
            }
            Content::Delete { .. } if may_change => {
                known.deleted = true;
                Act::Deleted
            }
            Content::Reaction { word, .. } => Act::Reacted { word: word.clone() },
            _ => return None,
        };
        let Self { event, at, late, target: id, .. } = *self;
        let (conversation, from) = (conversation.clone(), self.from.clone());
        Some(ChangeShown { conversation, id, before, event, from, act, at, own: false, late })
    }
}

/// More than overtakes anything in an honest room; what is beyond is not told, and histories still know it.
const EARLY_MAX: usize = 256;
