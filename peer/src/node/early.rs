//! A line that comes alone, from its author, is shown before its signature is checked: the check takes longer than all
//! the rest of its way. It came through the link that only they can write to, and names the event before it by its hash.
//! Only the showing comes early; everything else follows from the check, so that one which does not hold leaves nothing
//! behind but the word that it is withdrawn.

use common::ids::{EventId, IdentityKey};
use common::message::event::{COUNT_MAX, Content, Event as ChainEvent};
use common::message::peer::Events;
use common::message::registry::{Code, Refusal};
use common::names::UserName;
use common::wire::bounded::Text;

use super::account::Account;
use super::context::Context;
use super::conversation::{Conversation, Kind};
use super::links::Link;
use crate::api::{Changes, Event, MessageKind, MessageShown};
use crate::ports::{LinkId, Output};

/// What came and is shown, and awaits its check: the very next thing that is done.
#[derive(Debug)]
pub(super) struct Early {
    link: LinkId,
    user: UserName,
    events: Events,
    shown: Shown,
}

#[derive(Debug)]
pub(super) struct Shown {
    id: EventId,
    text: String,
}

impl Account {
    /// Shows the line that these events are, if they are one that can be shown already. They are given back if not.
    pub(super) fn show_early(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        user: &UserName,
        events: Events,
    ) -> Option<Events> {
        let Some(line) = self.early_line(link, &events) else { return Some(events) };
        let shown = Shown { id: line.id, text: line.text.clone() };
        cx.tell(Event::Message(line));
        cx.out.push_back(Output::Show);
        self.early = Some(Early { link, user: user.clone(), events, shown });
        None
    }

    /// Checks what was shown early, and takes it in. To be called before anything else happens to this account.
    pub(super) fn check_early(&mut self, cx: &mut Context) {
        let Some(Early { link, user, events, shown }) = self.early.take() else { return };
        self.shown_early = Some(shown);
        let taken = self.events_received(cx, link, &user, &events);
        if let Some(shown) = self.shown_early.take() {
            let text = format!(
                "Withdrawn: {user} did not say '{}'. It was shown before its signature was checked, and that does not \
                 hold. It is not kept.",
                Text::<QUOTED_BYTES>::cut(&shown.text).as_str()
            );
            cx.tell(Event::Refused(Refusal::new(Code::Credentials, &text)));
        }
        if let Err(reason) = taken {
            self.cut(cx, link, reason);
        }
    }

    /// Whether this message, which holds, is on the screen already.
    pub(super) fn was_shown_early(&mut self, id: EventId) -> bool {
        self.shown_early.take_if(|shown| shown.id == id).is_some()
    }

    /// One line, the next of somebody who has spoken before, where nothing else waits.
    fn early_line(&self, link: LinkId, events: &Events) -> Option<MessageShown> {
        let [wire] = &*events.events else { return None };
        let live =
            self.links.get(link).filter(|_| !self.disk.is_failing() && !self.links.passed_over.contains(&link))?;
        let conversation = self.conversations.get(&events.conversation)?;
        let event = wire.claim().ok()?;
        let id = wire.id();
        let is_forked = self.is_forked(events.conversation, (event.author, event.chain));
        if is_forked || event.lamport > COUNT_MAX || !conversation.expects(&event, live, &self.me) {
            return None;
        }
        let (text, kind) = match event.content().ok()? {
            Content::Text(text) => (text, MessageKind::Text),
            Content::Action(text) => (text, MessageKind::Action),
            _ => return None,
        };
        let (from, target) = (live.person.user.clone(), conversation.target());
        let (at, late, changes) = (event.at, events.late, Changes::default());
        Some(MessageShown { conversation: target, id, from, text, kind, at, own: false, late, changes })
    }
}

impl Conversation {
    /// Whether this is the next of a chain of whoever is at the other end, and waits for nothing.
    fn expects(&self, event: &ChainEvent, live: &Link, me: &IdentityKey) -> bool {
        let may_speak = match &self.kind {
            Kind::Direct { with } => *with == live.person.user,
            Kind::Room(room) => room.joined && room.is_member(&live.person.identity) && room.counts(event, false),
        };
        let is_theirs = (event.conversation, event.author) == (self.id, live.person.identity);
        let Some(held) = self.theirs.get(&(event.author, event.chain)) else { return false };
        let follows = held.received >= SPOKEN_BEFORE
            && event.number == held.received + 1
            && held.last == Some(event.previous)
            && held.is_plain();
        may_speak && follows && is_theirs && self.held_back.is_empty() && self.may_follow(event, me)
    }
}

/// Whose first words these may be is warned of before they are shown: a join, and the words themselves.
const SPOKEN_BEFORE: u64 = 2;
/// Enough to know it again.
const QUOTED_BYTES: usize = 60;
