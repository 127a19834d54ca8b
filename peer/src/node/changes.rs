//! Edits, deletions and reactions: which of them my user may make, and what all of them together make of a message. A
//! change that does not count is kept like any event, and passed over here.

use std::collections::BTreeMap;

use common::ids::{ConversationId, EventId, IdentityKey};
use common::limits::REACTION_BYTES_MAX;
use common::message::event::{Content, EDIT_BYTES_MAX, KIND_ACTION};
use common::message::registry::{Code, Refusal};
use common::names::UserName;

use super::account::Account;
use super::commands::{check_text, not_member};
use super::context::Context;
use super::conversation::{Conversation, Kind};
use super::people;
use super::references::Errand;
use crate::api::{Act, ChangeShown, Changes, Event, MessageKind, MessageShown, Reference};
use crate::ports::StoredEvent;

/// A text or action with everything that became of it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) event: StoredEvent,
    /// The newest; empty when deleted.
    pub(super) text: String,
    pub(super) edited: bool,
    pub(super) deleted: bool,
    pub(super) reactions: BTreeMap<String, Vec<IdentityKey>>,
}

impl Account {
    pub(super) fn edit(&mut self, cx: &mut Context, re: Option<String>, reference: Reference, text: String) {
        match check_text(&text) {
            Err(refusal) => cx.refuse(re, refusal),
            Ok(()) if text.len() > EDIT_BYTES_MAX => {
                let text = format!("That text has {} bytes; an edit holds at most {EDIT_BYTES_MAX}.", text.len());
                cx.refuse(re, Refusal::new(Code::TooLarge, &text));
            }
            Ok(()) => self.refer(cx, re, reference, Errand::Edit { text }),
        }
    }

    pub(super) fn react(&mut self, cx: &mut Context, re: Option<String>, reference: Reference, word: Option<String>) {
        let word = word.unwrap_or_default();
        if word.len() > REACTION_BYTES_MAX {
            let text = format!("A reaction is an emoji or a short word: at most {REACTION_BYTES_MAX} bytes.");
            return cx.refuse(re, Refusal::new(Code::TooLarge, &text));
        }
        self.refer(cx, re, reference, Errand::React { word });
    }

    /// Does to a message of an open conversation what a command asks for, if its user may do that.
    pub(super) fn change(&mut self, cx: &mut Context, re: Option<String>, message: Message, errand: Errand) {
        if let Err(refusal) = self.may_change(&message, &errand) {
            return cx.refuse(re, refusal);
        }
        let id = message.event.id;
        let (content, act) = match errand {
            Errand::Edit { text } => (Content::Edit { target: id, text: text.clone() }, Act::Edited { text }),
            Errand::Delete => (Content::Delete { target: id }, Act::Deleted),
            Errand::React { word } => (Content::Reaction { target: id, word: word.clone() }, Act::Reacted { word }),
            Errand::Trace => return,
        };
        self.put_change(cx, re, message.event.conversation, &content, (id, message.text, act));
    }

    /// A change of mine, made before in a chain that is given up.
    pub(super) fn change_again(&mut self, cx: &mut Context, conversation: ConversationId, content: Content) {
        let (id, act) = match &content {
            Content::Edit { target, text } => (*target, Act::Edited { text: text.clone() }),
            Content::Delete { target } => (*target, Act::Deleted),
            Content::Reaction { target, word } => (*target, Act::Reacted { word: word.clone() }),
            _ => return,
        };
        self.put_change(cx, None, conversation, &content, (id, String::new(), act));
    }

    fn put_change(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        conversation: ConversationId,
        content: &Content,
        (id, before, act): (EventId, String, Act),
    ) {
        let (target, from) = (self.conversations[&conversation].target(), self.user.clone());
        self.put(cx, re, conversation, content, Vec::new(), |appended| {
            Event::Changed(ChangeShown {
                conversation: target,
                id,
                before,
                event: appended.id,
                from,
                act,
                at: appended.stamp.at,
                own: true,
                late: false,
            })
        });
    }

    fn may_change(&self, message: &Message, errand: &Errand) -> Result<(), Refusal> {
        let usage = |text: &str| Refusal::new(Code::Usage, text);
        let Some(conversation) = self.conversations.get(&message.event.conversation) else {
            return Err(super::references::no_such_message());
        };
        match &conversation.kind {
            Kind::Room(room) if !room.joined => return Err(not_member(&room.genesis.name)),
            Kind::Direct { with } if self.people.get(with).is_some_and(people::Contact::is_blocked) => {
                return Err(people::key_blocked(with));
            }
            Kind::Room(_) | Kind::Direct { .. } => {}
        }
        match errand {
            Errand::Edit { .. } | Errand::Delete if message.event.author != self.me => {
                let text = "Only your own messages can be edited or deleted. /react says what you think of others'.";
                Err(Refusal::new(Code::NotPermitted, text))
            }
            _ if message.deleted => Err(usage("That message is deleted already.")),
            Errand::React { word } if word.is_empty() => {
                let has = message.reactions.values().any(|people| people.contains(&self.me));
                if has { Ok(()) } else { Err(usage("You did not react to that message.")) }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn history_read(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        events: Vec<StoredEvent>,
        changes: Vec<StoredEvent>,
    ) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let items = self.messages_shown(events, &changes);
        cx.finish(Event::History { conversation: conversation.target(), unread: self.unread_mark(id), items });
    }

    /// Messages of any conversations as front-ends are told them, after these changes; without those of whom or where
    /// nothing is known any more.
    pub(super) fn messages_shown(&self, events: Vec<StoredEvent>, changes: &[StoredEvent]) -> Vec<MessageShown> {
        let messages = fold(events, changes).into_iter();
        messages
            .filter_map(|message| self.as_shown(self.conversations.get(&message.event.conversation)?, message))
            .collect()
    }

    /// A message as front-ends are told it: its newest text, or none if it was deleted.
    pub(super) fn as_shown(&self, conversation: &Conversation, message: Message) -> Option<MessageShown> {
        let Message { event, text, edited, deleted, reactions } = message;
        if conversation.room().is_some_and(|room| !room.counts_kept(&event)) {
            return None;
        }
        let named = |identity: &IdentityKey| self.author_name(conversation, identity);
        let reactions = reactions.into_iter().map(|(word, people)| {
            let mut names: Vec<UserName> = people.iter().filter_map(named).collect();
            names.sort_unstable();
            (word, names)
        });
        Some(MessageShown {
            conversation: conversation.target(),
            id: event.id,
            from: named(&event.author)?,
            text,
            kind: if event.kind == KIND_ACTION { MessageKind::Action } else { MessageKind::Text },
            at: event.at,
            own: event.author == self.me,
            late: event.late,
            changes: Changes { edited, deleted, reactions: reactions.collect() },
        })
    }

    /// Whose key this is, by what is known in a conversation.
    pub(super) fn author_name(&self, conversation: &Conversation, identity: &IdentityKey) -> Option<UserName> {
        if *identity == self.me {
            return Some(self.user.clone());
        }
        let member = || Some(conversation.room()?.members.get(identity)?.user.clone());
        self.people.name_of(identity).cloned().or_else(member)
    }
}

/// Messages with what all changes together make of them. Of one person the newest change of a kind counts, by Lamport
/// number; edits and deletions only of the author's own; a deletion for good.
pub(super) fn fold(events: Vec<StoredEvent>, changes: &[StoredEvent]) -> Vec<Message> {
    let mut about: BTreeMap<EventId, Vec<(&StoredEvent, Content)>> = BTreeMap::new();
    for change in changes {
        let content = change.wire.claim().and_then(|event| event.content());
        if let Ok(content) = content
            && let Some(target) = content.target()
        {
            about.entry(*target).or_default().push((change, content));
        }
    }
    for acts in about.values_mut() {
        acts.sort_by_key(|(change, _)| (change.lamport, change.at, change.id));
    }
    let folded = events.into_iter().filter_map(|event| {
        let (Content::Text(text) | Content::Action(text)) = event.wire.claim().ok()?.content().ok()? else {
            return None;
        };
        let acts = about.get(&event.id).map(Vec::as_slice).unwrap_or_default();
        Some(changed(event, text, acts))
    });
    folded.collect()
}

/// One message after these acts, oldest first.
fn changed(event: StoredEvent, text: String, acts: &[(&StoredEvent, Content)]) -> Message {
    let mut words: BTreeMap<IdentityKey, &str> = BTreeMap::new();
    let mut message = Message { event, text, edited: false, deleted: false, reactions: BTreeMap::new() };
    for (change, content) in acts.iter().filter(|(change, _)| change.conversation == message.event.conversation) {
        let by_author = change.author == message.event.author;
        match content {
            Content::Edit { text, .. } if by_author => {
                message.text.clone_from(text);
                message.edited = true;
            }
            Content::Delete { .. } if by_author => message.deleted = true,
            Content::Reaction { word, .. } => {
                words.insert(change.author, word);
            }
            _ => {}
        }
    }
    if message.deleted {
        message.text.clear();
        return message;
    }
    for (author, word) in words.into_iter().filter(|(_, word)| !word.is_empty()) {
        message.reactions.entry(word.to_owned()).or_default().push(author);
    }
    message
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use common::ids::ChainId;
    use common::message::event::{Event as ChainEvent, NO_EVENT, WireEvent};
    use common::secret::Secret;
    use common::secure::identity::{KEYS_BYTES, Keys};
    use common::time::UnixMillis;

    /// One of the only chain of its author, numbered by its Lamport time.
    pub(in crate::node) fn event(author: u8, lamport: u64, content: &Content) -> StoredEvent {
        let (kind, body) = content.encode().unwrap();
        let event = ChainEvent {
            conversation: ConversationId([1; 32]),
            author: IdentityKey([author; 32]),
            chain: ChainId([author; 16]),
            number: lamport,
            previous: NO_EVENT,
            parents: Default::default(),
            head: 0,
            lamport,
            at: UnixMillis(lamport),
            kind,
            body,
        };
        let wire: WireEvent = event.sign(Keys::from_seed(&Secret::new([3; KEYS_BYTES])).event_signer());
        StoredEvent::of(&event, wire.id(), wire, false)
    }

    fn folded(changes: &[(u8, u64, Content)]) -> Message {
        let said = event(1, 1, &Content::Text("deploy is gren".to_owned()));
        let changes: Vec<_> = changes.iter().map(|(author, lamport, act)| event(*author, *lamport, act)).collect();
        fold(vec![said], &changes).pop().unwrap()
    }

    fn target() -> EventId {
        event(1, 1, &Content::Text("deploy is gren".to_owned())).id
    }

    fn edit(text: &str) -> Content {
        Content::Edit { target: target(), text: text.to_owned() }
    }

    fn react(word: &str) -> Content {
        Content::Reaction { target: target(), word: word.to_owned() }
    }

    #[test]
    fn the_authors_newest_edit_counts_in_whatever_order_it_came() {
        let message = folded(&[(1, 5, edit("deploy is green")), (1, 3, edit("older")), (2, 9, edit("forged"))]);
        assert_eq!((message.text.as_str(), message.edited, message.deleted), ("deploy is green", true, false));
        assert!(!folded(&[(2, 9, edit("forged"))]).edited);
    }

    #[test]
    fn a_deletion_is_final_and_the_authors_alone() {
        let delete = || Content::Delete { target: target() };
        let message = folded(&[(1, 2, delete()), (1, 3, edit("back again")), (3, 4, react("+1"))]);
        assert!(message.deleted && message.text.is_empty() && message.reactions.is_empty());
        assert!(!folded(&[(2, 2, delete())]).deleted);
    }

    #[test]
    fn everybody_has_one_reaction_and_may_take_it_back() {
        let acts =
            [(2, 2, react("+1")), (3, 2, react("+1")), (2, 3, react("wow")), (3, 5, react("")), (1, 4, react("+1"))];
        let message = folded(&acts);
        let person = |byte| IdentityKey([byte; 32]);
        let expected = [("+1".to_owned(), vec![person(1)]), ("wow".to_owned(), vec![person(2)])];
        assert_eq!(message.reactions.into_iter().collect::<Vec<_>>(), expected);
    }
}
