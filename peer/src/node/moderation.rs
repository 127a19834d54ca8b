//! What the owner of a room decides: each command becomes the next entry of the room's log, first at the registry, which
//! keeps two programs of one owner from signing the same number, then here and with everybody who is linked.

use common::ids::{ConversationId, IdentityKey};
use common::limits::CUTS_MAX;
use common::message::registry::{Code, PersonRecord, Refusal, Request};
use common::message::room::{Act, Cut, LogEntry, Removal};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;
use common::wire::bounded::{List, Text};

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::{ChainKey, Conversation};
use super::forks::is_branch;
use super::people;
use crate::api::{BanShown, Event};

/// What is to become of somebody in a room.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Kick {
        reason: String,
    },
    Ban {
        reason: String,
    },
    Unban,
    /// The room is theirs.
    Own,
}

impl Account {
    /// A command about somebody in a room of mine.
    pub(super) fn moderate(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        room: Option<RoomName>,
        user: UserName,
        decision: Decision,
    ) {
        let meant = self.room_meant(room).and_then(|(_, id)| self.decides(id, decision.verb()).map(|()| id));
        let id = match meant {
            Ok(id) => id,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        if user == self.user {
            let text = "That is you. /owner NAME gives the room to somebody else, /part leaves it, /close ends it.";
            return cx.refuse(re, Refusal::new(Code::Usage, text));
        }
        match self.concerned(id, &user, &decision) {
            Some(identity) => {
                cx.wait(re);
                self.decide_on(cx, id, identity, user, decision);
            }
            None => {
                let call = Call::LookUpToModerate { user: user.clone(), room: id, decision };
                self.begin_call(cx, re, Request::Lookup { user }, call);
            }
        }
    }

    /// Whom a decision is about, by what is known of the room: a member, or somebody who is banned.
    fn concerned(&self, id: ConversationId, user: &UserName, decision: &Decision) -> Option<IdentityKey> {
        let room = self.room(id)?;
        if matches!(decision, Decision::Unban) {
            let banned = room.moderation.bans().find(|(_, standing)| standing.user == *user);
            return banned.map(|(identity, _)| *identity);
        }
        let mut members = room.members.iter().filter(|(_, member)| member.is_current());
        members.find(|(_, member)| member.user == *user).map(|(identity, _)| *identity)
    }

    /// They have an account and are not in the room: only a ban is for such people.
    pub(super) fn found_to_moderate(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        user: &UserName,
        record: &PersonRecord,
        decision: Decision,
    ) {
        let Some(name) = self.room(id).map(|room| room.genesis.name.clone()) else { return };
        match decision {
            Decision::Ban { .. } => match people::vouched(cx, &self.root, user, &record.credentials) {
                Ok(person) => self.decide_on(cx, id, person.identity, user.clone(), decision),
                Err(refusal) => cx.fail(refusal),
            },
            Decision::Unban => {
                let text = format!("{user} is not banned from {name}. /bans lists who is.");
                cx.fail(Refusal::new(Code::Usage, &text));
            }
            Decision::Kick { .. } | Decision::Own => {
                let text = format!("{user} is not in {name}. /names lists who is.");
                cx.fail(Refusal::new(Code::NotMember, &text));
            }
        }
    }

    fn decide_on(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        identity: IdentityKey,
        user: UserName,
        decision: Decision,
    ) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let removal = |user, reason: &str| {
            let (cut, reason) = (conversation.cut(&identity), Text::cut(reason));
            Removal { identity, user, cut, reason }
        };
        let act = match decision {
            Decision::Kick { reason } => Act::Remove(removal(user, &reason)),
            Decision::Ban { reason } => Act::Ban(removal(user, &reason)),
            Decision::Unban => Act::Unban { identity, user },
            Decision::Own => {
                let is_banned = conversation.room().and_then(|room| room.moderation.standing(&identity));
                if is_banned.is_some_and(|standing| standing.ban.is_some()) {
                    let text = format!("{user} is banned there. /unban {user} first.");
                    return cx.fail(Refusal::new(Code::Banned, &text));
                }
                Act::Transfer { identity, user }
            }
        };
        self.decide(cx, id, act);
    }

    pub(super) fn close_room(&mut self, cx: &mut Context, re: Option<String>, room: Option<RoomName>) {
        let meant = self.room_meant(room).and_then(|(_, id)| self.decides(id, "close").map(|()| id));
        match meant {
            Ok(id) => {
                cx.wait(re);
                self.decide(cx, id, Act::Close { reason: Text::default() });
            }
            Err(refusal) => cx.refuse(re, refusal),
        }
    }

    pub(super) fn bans(&self, cx: &mut Context, re: Option<String>, room: Option<RoomName>) {
        let meant =
            self.room_meant(room).and_then(|(name, id)| self.decides(id, "see the bans of").map(|()| (name, id)));
        let (conversation, id) = match meant {
            Ok(meant) => meant,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let known = self.room(id).into_iter().flat_map(|room| room.moderation.bans());
        let mut bans: Vec<_> = known
            .filter_map(|(_, standing)| Some(BanShown { user: standing.user.clone(), text: standing.ban.clone()? }))
            .collect();
        bans.sort_by(|one, other| one.user.cmp(&other.user));
        cx.answer(re, Event::Bans { conversation, bans });
    }

    /// Whether I may decide anything in a room; `what` I want to do, before the room's name.
    pub(super) fn decides(&self, id: ConversationId, what: &str) -> Result<(), Refusal> {
        let Some(room) = self.room(id) else { return Ok(()) };
        let (name, owner) = (&room.genesis.name, room.moderation.owner_name());
        self.may_go_on(id)?;
        let present = room.moderation.owners().now();
        if present.identity == self.me && present.key == self.keys.key() {
            return Ok(());
        }
        if present.identity == self.me {
            let text = format!("{name} has not heard of your new key yet. Try again in a moment.");
            return Err(Refusal::new(Code::Busy, &text));
        }
        let text = format!("Only the owner may {what} {name}. Owner: {owner}.");
        Err(Refusal::new(Code::NotPermitted, &text))
    }

    /// Nothing is said or decided where the owner told different people different things.
    pub(super) fn may_go_on(&self, id: ConversationId) -> Result<(), Refusal> {
        let Some(room) = self.room(id).filter(|_| self.is_frozen(id)) else { return Ok(()) };
        let (name, owner) = (&room.genesis.name, room.moderation.owner_name());
        let text = format!(
            "{name} is frozen: its owner {owner} signed two decisions under one number. What was said stays readable; \
             /create another room to go on."
        );
        Err(Refusal::new(Code::NotPermitted, &text))
    }

    /// Signs the next entry and offers it to the registry; the running command ends with the answer.
    pub(super) fn decide(&mut self, cx: &mut Context, id: ConversationId, act: Act) {
        if let Some(entry) = self.sign_entry(cx, id, act) {
            self.ask(cx, Request::AddEntry { entry: entry.clone() }, Call::AddEntry { entry: Box::new(entry) });
        }
    }

    pub(super) fn sign_entry(&self, cx: &Context, id: ConversationId, act: Act) -> Option<Signed<LogEntry>> {
        let room = self.room(id)?;
        let (index, previous) = (room.head() + 1, room.moderation.last());
        let entry = LogEntry { room: room.id, index, previous, at: cx.now.wall, act };
        Some(Signed::sign(&entry, self.keys.identity_signer()))
    }

    /// The registry took my entry: so do I, and whoever is linked. What to tell of it.
    pub(super) fn entry_added(&mut self, cx: &mut Context, signed: Signed<LogEntry>) -> Option<Event> {
        let entry = signed.claim().ok()?;
        let id = ConversationId::from(entry.room);
        let linked = self.links.iter().filter(|(_, live)| live.conversations.contains_key(&id));
        let linked: Vec<_> = linked.map(|(link, _)| link).collect();
        let mut writes = Vec::new();
        let told = self.entry_received(cx, entry.room, signed, &mut writes);
        self.commit(cx, writes, Vec::new());
        for link in linked {
            self.send_newer_entries(cx, link, id, entry.index - 1);
        }
        told
    }
}

impl Decision {
    /// What the owner alone may do, before the room's name.
    fn verb(&self) -> &'static str {
        match self {
            Self::Kick { .. } => "remove people from",
            Self::Ban { .. } => "ban people from",
            Self::Unban => "lift bans from",
            Self::Own => "give away",
        }
    }
}

impl Conversation {
    /// What is held of somebody here, chain by chain: what counts if they are removed now.
    fn cut(&self, identity: &IdentityKey) -> List<Cut, CUTS_MAX> {
        let is_theirs = |key: &ChainKey| key.0 == *identity && !is_branch(&key.1);
        let theirs = self.theirs.iter().filter(|(key, held)| is_theirs(key) && held.received > 0);
        let mut cut: Vec<_> =
            theirs.map(|(key, held)| Cut { chain: key.1, number: held.received.min(self.limit(key)) }).collect();
        // Of more chains than fit, the longest.
        cut.sort_by_key(|cut| std::cmp::Reverse(cut.number));
        List::cut(cut)
    }
}
