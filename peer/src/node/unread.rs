//! What others said and I did not read: counted here while the program runs, kept in the log between runs. A line is
//! read when it comes into the current conversation, when its conversation becomes the current one, and when a
//! catching-up told it.

use std::collections::BTreeMap;

use common::ids::{ConversationId, EventId};
use common::time::UnixMillis;

use super::account::Account;
use super::context::Context;
use super::inquiries::Asking;
use crate::api::{CaughtUp, Event, UnreadMark};
use crate::ports::{Inquiry, StoredEvent, UnreadEvents, Write};

/// Unread lines by conversation, and the mark before those that were unread when I last came to it.
#[derive(Debug, Default)]
pub(super) struct UnreadLines {
    by_conversation: BTreeMap<ConversationId, Unread>,
    /// The log has told what was unread from before.
    loaded: bool,
    mark: Option<(ConversationId, UnreadMark)>,
}

/// Unread lines of one conversation.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    mark: UnreadMark,
    /// Some came before this run of the program: they were never on this screen.
    from_before: bool,
}

/// What was unread when a catching-up began.
#[derive(Debug)]
pub(super) struct CatchingUp {
    before: BTreeMap<ConversationId, Unread>,
}

impl Account {
    /// Asks the log for what is unread from before.
    pub(super) fn ask_unread(&mut self, cx: &mut Context) {
        self.inquire(cx, Inquiry::Unread { conversation: None, lines: 0 }, Asking::UnreadBefore);
    }

    /// A line of somebody else is told.
    pub(super) fn line_told(&mut self, cx: &Context, id: ConversationId, event: EventId, at: UnixMillis) {
        if self.current_conversation() == Some(id) {
            return self.write_lazily(cx, Write::Read { conversation: id, up_to: None });
        }
        let fresh = || Unread { mark: UnreadMark { first: event, since: at, count: 0 }, from_before: false };
        let unread = self.unread.by_conversation.entry(id).or_insert_with(fresh);
        unread.mark.count = unread.mark.count.saturating_add(1);
    }

    /// Another conversation is the current one: what is unread in it counts as read, and is shown if it never was.
    pub(super) fn current_changed(&mut self, cx: &mut Context) {
        // What was read in the one before shall not be taken for more than that.
        self.write_lazily_kept(cx);
        self.unread.mark = None;
        let Some(id) = self.current_conversation() else { return };
        let unread = self.unread.by_conversation.remove(&id);
        if let Some(unread) = &unread {
            self.unread.mark = Some((id, unread.mark.clone()));
        }
        if !self.unread.loaded || unread.as_ref().is_some_and(|unread| unread.from_before) {
            let inquiry = Inquiry::Unread { conversation: Some(id), lines: BACKLOG_LINES };
            return self.inquire(cx, inquiry, Asking::Backlog);
        }
        if unread.is_some() {
            self.write_lazily(cx, Write::Read { conversation: id, up_to: None });
        }
    }

    /// The mark before the lines of a conversation that are or were unread.
    pub(super) fn unread_mark(&self, id: ConversationId) -> Option<UnreadMark> {
        let unread = self.unread.by_conversation.get(&id).map(|unread| unread.mark.clone());
        let passed = self.unread.mark.as_ref().filter(|(marked, _)| *marked == id);
        unread.or_else(|| passed.map(|(_, mark)| mark.clone()))
    }

    /// What was unread from before this run.
    pub(super) fn unread_before(&mut self, cx: &mut Context, unread: Vec<UnreadEvents>) {
        self.unread.loaded = true;
        for unread in unread {
            let Some(conversation) = self.conversations.get(&unread.conversation) else { continue };
            let target = conversation.target();
            if self.current.as_ref() == Some(&target) {
                // Its lines are on their way already.
                continue;
            }
            let live = self.unread.by_conversation.get(&unread.conversation).map_or(0, |live| live.mark.count);
            let mark = mark_of(&unread, live);
            self.unread.by_conversation.insert(unread.conversation, Unread { mark, from_before: true });
            cx.tell(Event::Unread { conversation: target, count: unread.count, mentions: unread.mentions });
        }
    }

    /// The unread lines of the conversation that became the current one.
    pub(super) fn backlog(&mut self, cx: &mut Context, unread: Vec<UnreadEvents>, changes: &[StoredEvent]) {
        for unread in unread {
            let id = unread.conversation;
            let Some(conversation) = self.conversations.get(&id) else { continue };
            let target = conversation.target();
            let mark = mark_of(&unread, 0);
            if self.current.as_ref() == Some(&target) {
                self.unread.mark = Some((id, mark.clone()));
            }
            let items = self.messages_shown(unread.newest, changes);
            cx.tell(Event::Backlog { conversation: target, mark, items });
            self.write_lazily(cx, Write::Read { conversation: id, up_to: Some(unread.up_to) });
        }
    }

    pub(super) fn catch_up(&mut self, cx: &mut Context, re: Option<String>) {
        cx.wait(re);
        // What was read meanwhile is read before the log is asked.
        self.write_lazily_kept(cx);
        let before = std::mem::take(&mut self.unread.by_conversation);
        let inquiry = Inquiry::Unread { conversation: None, lines: CATCH_UP_LINES };
        self.inquire(cx, inquiry, Asking::CatchUp(CatchingUp { before }));
    }

    pub(super) fn caught_up(&mut self, cx: &mut Context, mut unread: Vec<UnreadEvents>, changes: &[StoredEvent]) {
        // The answer to what was unread from before may have come after the question: all of that is told here.
        self.unread.by_conversation.retain(|_, unread| !unread.from_before);
        let read = unread
            .iter()
            .map(|unread| Write::Read { conversation: unread.conversation, up_to: Some(unread.up_to) })
            .collect();
        let mentioning = unread.iter_mut().flat_map(|unread| std::mem::take(&mut unread.mentioning));
        let mut mentioning: Vec<StoredEvent> = mentioning.collect();
        mentioning.sort_by_key(|event| event.at);
        let mentions = self.messages_shown(mentioning, changes);
        let unread = unread.into_iter();
        let mut conversations: Vec<CaughtUp> = unread.filter_map(|unread| self.caught_up_in(unread, changes)).collect();
        // A target sorts people before rooms.
        conversations.sort_by(|one, other| one.conversation.cmp(&other.conversation));
        self.commit(cx, read, Vec::new());
        cx.finish(Event::CaughtUp { mentions, conversations });
    }

    /// The log could not be read: what was unread still is.
    pub(super) fn not_caught_up(&mut self, CatchingUp { before }: CatchingUp) {
        for (id, old) in before {
            let since = self.unread.by_conversation.remove(&id).map_or(0, |since| since.mark.count);
            let count = old.mark.count.saturating_add(since);
            let mark = UnreadMark { count, ..old.mark };
            self.unread.by_conversation.insert(id, Unread { mark, ..old });
        }
    }

    fn caught_up_in(&self, unread: UnreadEvents, changes: &[StoredEvent]) -> Option<CaughtUp> {
        let conversation = self.conversations.get(&unread.conversation)?;
        let name = |author| self.author_name(conversation, author);
        Some(CaughtUp {
            conversation: conversation.target(),
            count: unread.count,
            mentions: unread.mentions,
            from: unread.authors.iter().filter_map(|(author, _)| name(author)).collect(),
            items: self.messages_shown(unread.newest, changes),
        })
    }

    fn current_conversation(&self) -> Option<ConversationId> {
        self.conversation_of(self.current.as_ref()?).ok()
    }
}

fn mark_of(unread: &UnreadEvents, live: u32) -> UnreadMark {
    UnreadMark { first: unread.first.id, since: unread.first.at, count: unread.count.saturating_add(live) }
}

/// What a screen or two hold; `/history` shows more.
const BACKLOG_LINES: u32 = 100;

/// Enough to see what it is about.
const CATCH_UP_LINES: u32 = 5;
