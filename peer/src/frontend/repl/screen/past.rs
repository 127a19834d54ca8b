//! Blocks of what was said before: a history, what was found, what was unread. Each names itself in a line of its own,
//! tells the days it spans, and leaves the clock column of the live lines as it was.

use std::collections::HashSet;

use common::ids::EventId;

use super::{Screen, Unread};
use crate::api::{Around, CaughtUp, FoundShown, MessageShown, Target, UnreadMark};
use crate::frontend::repl::render::{self, Mark};
use crate::frontend::repl::theme::Symbol;
use crate::frontend::sanitize::{Paint, Safe};

impl Screen {
    pub(super) fn history(&mut self, conversation: &Target, unread: Option<&UnreadMark>, items: &[MessageShown]) {
        if items.is_empty() {
            return self.say([Safe::line(&format!("Nothing was said with {conversation} yet."))], true);
        }
        self.title(&format!("-- the last {} of {conversation} --", items.len()));
        let mut unread = unread;
        self.block(Some(conversation), |screen| {
            for shown in items {
                if let Some(mark) = unread.take_if(|mark| mark.first == shown.id) {
                    screen.unread_line(mark, "");
                }
                screen.past_message(shown);
            }
        });
        self.title("-- end --");
    }

    /// What was unread when its conversation became the current one.
    pub(super) fn backlog(&mut self, conversation: &Target, mark: &UnreadMark, items: &[MessageShown]) {
        let all = usize::try_from(mark.count).is_ok_and(|count| count <= items.len());
        let remark = if all { String::new() } else { format!(", here the last {}", items.len()) };
        self.unread_line(mark, &remark);
        self.block(Some(conversation), |screen| items.iter().for_each(|shown| screen.past_message(shown)));
        self.title("-- end --");
    }

    pub(super) fn unread_from_before(&mut self, conversation: Target, count: u32, mentions: u32) {
        if !self.unread.values().any(|unread| unread.from_before) {
            self.title("Others wrote while you were away. /catchup shows what.");
        }
        let unread = self.unread.entry(conversation).or_default();
        *unread = Unread {
            messages: unread.messages.saturating_add(count),
            mentions: unread.mentions.saturating_add(mentions),
            from_before: true,
        };
        self.count_unread();
    }

    pub(super) fn caught_up(&mut self, mentions: &[MessageShown], conversations: &[CaughtUp]) {
        for caught_up in conversations {
            self.unread.remove(&caught_up.conversation);
        }
        self.count_unread();
        if conversations.is_empty() {
            return self.say([Safe::line("Nothing new.")], true);
        }
        let line = self.look.theme.symbol(Symbol::Day);
        if !mentions.is_empty() {
            self.title(&format!("{line} you were named {line}"));
            self.block(None, |screen| mentions.iter().for_each(|shown| screen.past_message(shown)));
        }
        for CaughtUp { conversation, count, from, items, .. } in conversations {
            let from: Vec<&str> = from.iter().take(NAMES_MAX + 1).map(|user| user.as_str()).collect();
            let from = match (conversation, from.len()) {
                (Target::Person(_), _) | (_, 0) => String::new(),
                (_, ..=NAMES_MAX) => format!(" from {}", from.join(", ")),
                _ => format!(" from {} and others", from[..NAMES_MAX].join(", ")),
            };
            let last =
                if items.len() < *count as usize { format!(", the last {}", items.len()) } else { String::new() };
            self.title(&format!("{line} {conversation}: {count} unread{from}{last} {line}"));
            self.block(Some(conversation), |screen| items.iter().for_each(|shown| screen.past_message(shown)));
        }
        self.title("-- all of it is read now --");
    }

    pub(super) fn found(&mut self, words: &[String], items: &[FoundShown]) {
        let looked_for = words.join(" ");
        if items.is_empty() {
            return self.say([Safe::line(&format!("Nothing found for \"{looked_for}\"."))], true);
        }
        self.title(&format!("-- {} found for \"{looked_for}\" --", items.len()));
        self.block(None, |screen| {
            // What stands around two of them is shown once.
            let mut shown: HashSet<EventId> = items.iter().map(|found| found.message.id).collect();
            for FoundShown { message, around } in items {
                let (before, after) = match around {
                    Some(Around { before, after }) => (before.as_slice(), after.as_slice()),
                    None => (&[][..], &[][..]),
                };
                before.iter().filter(|line| shown.insert(line.id)).for_each(|line| screen.line_around(line));
                screen.look.words = words.to_vec();
                screen.past_message(message);
                screen.look.words.clear();
                after.iter().filter(|line| shown.insert(line.id)).for_each(|line| screen.line_around(line));
            }
        });
        self.title("-- end --");
    }

    /// Shows lines of `conversation`, or of any with their tags, with their own days.
    fn block(&mut self, conversation: Option<&Target>, lines: impl FnOnce(&mut Self)) {
        let current = std::mem::replace(&mut self.look.current, conversation.cloned());
        // No day at all, so that the first line names its own.
        let day = self.day.replace(String::new());
        lines(self);
        self.look.current = current;
        (self.minute, self.day) = (None, day);
    }

    fn past_message(&mut self, shown: &MessageShown) {
        let stamp = self.stamp(shown.at);
        let mut rows = render::message(&self.look, shown, &stamp, "", Mark::None);
        self.refer(&mut rows, &shown.id);
        self.say(rows, true);
    }

    /// A line that was not looked for, and stands back.
    fn line_around(&mut self, shown: &MessageShown) {
        let color = std::mem::replace(&mut self.look.theme.color, false);
        let stamp = self.stamp(shown.at);
        let mut rows = render::message(&self.look, shown, &stamp, "", Mark::None);
        self.refer(&mut rows, &shown.id);
        self.look.theme.color = color;
        let theme = self.look.theme;
        self.say(rows.into_iter().map(|row| theme.paint(row, Paint::Dim)), true);
    }

    fn unread_line(&mut self, mark: &UnreadMark, remark: &str) {
        let line = self.look.theme.symbol(Symbol::Day);
        let since = render::local(&self.look, mark.since, "%a %H:%M");
        self.title(&format!("{line} {} unread since {since}{remark} {line}", mark.count));
    }

    fn title(&mut self, text: &str) {
        self.say([self.look.theme.dim(text)], true);
    }
}

/// Names in one line; who else wrote is seen in the lines below it.
const NAMES_MAX: usize = 3;
