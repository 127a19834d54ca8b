//! What the virtual disk answers when it is asked about everything that was said. It looks through all of it, word by
//! word as a person would; an export is kept as text, and half of one is forgotten with its log.

use common::ids::{ConversationId, IdentityKey};
use common::message::event::Content;
use common::names::UserName;
use common::time::UnixMillis;
use peer::ports::{
    Answer, FOUND_MAX, FoundEvent, Inquiry, MENTIONS_MAX, SearchFor, StoredEvent, UNREAD_COUNTED_MAX, UnreadEvents,
};

use super::disk::Log;

/// A copy that is being written: what is still to come, and what is written.
#[derive(Debug, Default)]
pub(super) struct Copy {
    left: Vec<StoredEvent>,
    path: String,
    text: String,
}

/// The answer of a log of `me`.
pub(super) fn answer(log: &Log, me: &UserName, copy: &mut Copy, inquiry: Inquiry) -> Answer {
    match inquiry {
        Inquiry::Search(wanted) => {
            let found = search(log, &wanted);
            let events =
                |found: &FoundEvent| [&found.before, std::slice::from_ref(&found.event), &found.after].concat();
            Answer::Found { changes: log.about(&found.iter().flat_map(events).collect::<Vec<_>>()), found }
        }
        Inquiry::Unread { conversation, lines } => {
            let ids: Vec<ConversationId> = log.ids().filter(|id| conversation.is_none_or(|one| one == *id)).collect();
            let unread: Vec<UnreadEvents> = ids.iter().filter_map(|id| unread(log, me, id, lines)).collect();
            let events = |unread: &UnreadEvents| [&*unread.mentioning, &*unread.newest].concat();
            Answer::Unread { changes: log.about(&unread.iter().flat_map(events).collect::<Vec<_>>()), unread }
        }
        Inquiry::Export { path, conversation, not_before } => {
            let mut left: Vec<StoredEvent> = log.shown(conversation.as_ref()).cloned().collect();
            left.retain(|event| event.at >= not_before.unwrap_or_default());
            left.reverse();
            *copy = Copy { left, path, text: String::new() };
            next_page(log, copy)
        }
        Inquiry::ExportText { text } => {
            copy.text.push_str(&text);
            next_page(log, copy)
        }
    }
}

fn next_page(log: &Log, copy: &mut Copy) -> Answer {
    if copy.left.is_empty() {
        return Answer::Exported { path: copy.path.clone() };
    }
    let events: Vec<StoredEvent> = (0..PAGE_EVENTS).map_while(|_| copy.left.pop()).collect();
    Answer::ExportPage { changes: log.about(&events), events }
}

fn search(log: &Log, wanted: &SearchFor) -> Vec<FoundEvent> {
    let words: Vec<String> = wanted.words.iter().map(|word| word.to_lowercase()).collect();
    let is_in_time =
        |at: UnixMillis| wanted.after.is_none_or(|after| at >= after) && wanted.before.is_none_or(|before| at < before);
    let is_wanted = |event: &&StoredEvent| {
        let Some(text) = text(log, event).map(|text| text.to_lowercase()) else { return false };
        let author = wanted.authors.as_ref().is_none_or(|authors: &Vec<IdentityKey>| authors.contains(&event.author));
        author && is_in_time(event.at) && words.iter().all(|word| text.contains(word.as_str()))
    };
    let mut found: Vec<&StoredEvent> = log.shown(wanted.conversation.as_ref()).filter(is_wanted).collect();
    found.drain(..found.len().saturating_sub(FOUND_MAX));
    found.into_iter().map(|event| around(log, event, wanted.context)).collect()
}

fn around(log: &Log, event: &StoredEvent, context: u32) -> FoundEvent {
    let lines: Vec<&StoredEvent> = log.shown(Some(&event.conversation)).collect();
    let at = lines.iter().position(|line| line.id == event.id).expect("it was found there");
    let count = usize::try_from(context).expect("a few lines");
    let copied = |lines: &[&StoredEvent]| lines.iter().map(|line| (*line).clone()).collect();
    let (before, after) = (&lines[at.saturating_sub(count)..at], &lines[at + 1..(at + 1 + count).min(lines.len())]);
    FoundEvent { before: copied(before), event: event.clone(), after: copied(after) }
}

fn unread(log: &Log, me: &UserName, id: &ConversationId, lines: u32) -> Option<UnreadEvents> {
    let (events, up_to) = log.unread(id);
    let counted = events.len().min(usize::try_from(UNREAD_COUNTED_MAX).expect("not many"));
    let first = (*events.first()?).clone();
    let says_me = |event: &&&StoredEvent| text(log, event).is_some_and(|text| me.is_said_in(&text));
    let mentioning: Vec<StoredEvent> = events[..counted].iter().filter(says_me).map(|event| (*event).clone()).collect();
    let mut authors: Vec<(IdentityKey, u32)> = Vec::new();
    for event in &events[..counted] {
        match authors.iter_mut().find(|(author, _)| *author == event.author) {
            Some((_, count)) => *count += 1,
            None => authors.push((event.author, 1)),
        }
    }
    let newest = events.len().saturating_sub(usize::try_from(lines).expect("a few lines"));
    Some(UnreadEvents {
        conversation: *id,
        count: u32::try_from(counted).expect("not many"),
        mentions: u32::try_from(mentioning.len()).expect("not many"),
        mentioning: mentioning[mentioning.len().saturating_sub(MENTIONS_MAX)..].to_vec(),
        authors,
        first,
        newest: events[newest..].iter().map(|event| (*event).clone()).collect(),
        up_to,
    })
}

/// What a message says by now: the newest its author made of it; nothing once they deleted it.
fn text(log: &Log, event: &StoredEvent) -> Option<String> {
    let said = |event: &StoredEvent| event.wire.claim().ok()?.content().ok();
    let (Content::Text(mut text) | Content::Action(mut text)) = said(event)? else { return None };
    let changes = log.about(std::slice::from_ref(event));
    for change in changes.iter().filter(|change| change.author == event.author) {
        match said(change) {
            Some(Content::Delete { .. }) => return None,
            Some(Content::Edit { text: newest, .. }) => text = newest,
            _ => {}
        }
    }
    Some(text)
}

/// Few, so that small worlds have several pages.
const PAGE_EVENTS: usize = 3;
