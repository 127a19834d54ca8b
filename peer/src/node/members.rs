//! Who belongs to a room: folded from what members and owners signed, whoever brought it and in whatever order.

use common::ids::{ConversationId, IdentityKey, RoomId};
use common::limits::MEMBERS_MAX;
use common::message::event::{Content, Event as ChainEvent, WireEvent};
use common::message::peer::PeerMessage;
use common::message::registry::MemberRecord;
use common::message::room::{self, Genesis, Membership, RoomError};
use common::names::UserName;
use common::secure::rotation::Lineage;
use common::secure::sign::Signed;

use super::account::{Account, Joining};
use super::context::Context;
use super::conversation::Member;
use super::receive::Misbehaved;
use crate::api::{Event, RoomChange};
use crate::ports::{LinkId, LinkOutput, Output, Write};

impl Account {
    /// Shows my membership on a link, once, and what I hold of the room.
    pub(super) fn say_hello(&mut self, cx: &mut Context, link: LinkId, id: ConversationId) {
        let Some(room) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return };
        let Some(mine) = room.members.get(&self.me) else { return };
        let Some(live) = self.links.get_mut(link) else { return };
        let told = live.conversations.entry(id).or_default();
        if !std::mem::replace(&mut told.hello_sent, true) {
            let genesis = Box::new(room.signed.clone());
            let message = PeerMessage::RoomHello { room: room.id, genesis, join: mine.join.clone() };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
        self.links.whole_haves.insert((link, id));
    }

    /// Somebody shows a membership. In a room of mine that is checked and answered; any other is none of my business.
    pub(super) fn room_hello(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        room: RoomId,
        genesis: &Signed<Genesis>,
        join: WireEvent,
    ) -> Result<(), Misbehaved> {
        let Some(person) = self.links.get(link).map(|link| link.person.clone()) else { return Ok(()) };
        let id = ConversationId::from(room);
        let Some(known) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else {
            return Ok(());
        };
        // Before this they may have passed over what was sent: what they hold now is what counts.
        if let Some(told) = self.links.get_mut(link).and_then(|link| link.conversations.get_mut(&id)) {
            told.begin_again();
        }
        if !known.joined {
            if known.moderation.is_closed() {
                self.send_newer_entries(cx, link, id, join.claim().map_or(0, |join| join.head));
            }
            return Ok(());
        }
        if RoomId(genesis.id()) != room {
            return Err("a room under another's id");
        }
        let membership = match room::check_join(room, &known.genesis, known.moderation.owners(), &join) {
            Ok(membership) => membership,
            Err(RoomError::Ahead) => {
                self.keep_early(id, &person.identity, &join);
                self.want_log(cx, link, id);
                return Ok(());
            }
            // Perhaps an invitation that ran out: no crime, but no way in.
            Err(RoomError::NotInvited) => return Ok(()),
            Err(_) => return Err("a join that does not hold"),
        };
        if membership.event.author != person.identity || membership.statement.user != person.user {
            return Err("somebody else's join");
        }
        let mut writes = Vec::new();
        self.member_joined(cx, id, &join, true, &mut writes);
        self.commit(cx, writes, Vec::new());
        let room = self.conversations.get(&id).and_then(|conversation| conversation.room());
        if room.is_some_and(|room| room.is_member(&person.identity)) {
            self.say_hello(cx, link, id);
        } else if room.is_some_and(|room| room.ended_by(&person.identity).is_some()) {
            // Removed, perhaps without having heard of it: all there is for them is why.
            self.send_newer_entries(cx, link, id, membership.event.head);
        } else {
            // Left meanwhile: what they said before that is still taken, but nothing is shown to them.
            self.links.haves.insert((link, id));
        }
        Ok(())
    }

    /// Takes in a join, if it holds and is newer than what is known. With `announce` the user is told.
    pub(super) fn member_joined(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        join: &WireEvent,
        announce: bool,
        writes: &mut Vec<Write>,
    ) {
        let Some(room) = self.conversations.get_mut(&id).and_then(|conversation| conversation.room_mut()) else {
            return;
        };
        let author = join.claim().map(|join| join.author);
        if author.is_ok_and(|author| room.members.get(&author).is_some_and(|known| known.join == *join)) {
            // Checked before, however it came.
            return;
        }
        let membership = match room::check_join(room.id, &room.genesis, room.moderation.owners(), join) {
            Ok(membership) => membership,
            Err(RoomError::Ahead) => {
                let author = join.claim().map(|join| join.author);
                return author.into_iter().for_each(|author| room.keep_early(author, join.clone()));
            }
            Err(_) => return,
        };
        self.take_membership(cx, id, membership, join, announce, writes);
    }

    /// The same for one that was checked.
    fn take_membership(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        membership: Membership,
        join: &WireEvent,
        announce: bool,
        writes: &mut Vec<Write>,
    ) {
        let me = self.me;
        let identity = membership.event.author;
        // Anybody can sign a join under any name: it is theirs only with the key that was seen under it.
        let stands_aside = !self.may_be(&membership.statement.user, &identity);
        let shown = &membership.statement;
        let pinned = self.people.get(&shown.user).and_then(|contact| contact.statement_of(&identity));
        if pinned.is_some_and(|pinned| shown.against(&pinned) == Lineage::Foreign) {
            // A key that they gave up has signed for yet another one.
            return;
        }
        let Some(room) = self.conversations.get_mut(&id).and_then(|conversation| conversation.room_mut()) else {
            return;
        };
        let known = room.members.get(&identity);
        if known.is_some_and(|known| !membership.event.stamp().supersedes(&known.joined)) {
            return;
        }
        let lineage = known.map_or(Lineage::Same, |known| membership.statement.against(&known.statement));
        if matches!(lineage, Lineage::Older | Lineage::Foreign) {
            return;
        }
        let was_member = known.is_some_and(Member::is_current);
        if known.is_none() && room.members.len() >= KNOWN_MEMBERS_MAX {
            let left = room.members.iter().find(|(_, member)| !member.is_current());
            let Some(left) = left.map(|(identity, _)| *identity) else { return };
            room.members.remove(&left);
        }
        let user = membership.statement.user.clone();
        let part = room.members.remove(&identity).and_then(|known| known.part);
        writes.push(Write::Member {
            room: room.id,
            identity,
            join: join.clone(),
            part: part.as_ref().map(|(_, part)| part.clone()),
        });
        room.put_member(membership, join.clone(), part, stands_aside);
        let news = room.is_member(&identity) && !was_member && announce && room.joined && identity != me;
        if news {
            let conversation = room.genesis.name.clone();
            let (change, by, text) = (RoomChange::Joined, user.clone(), String::new());
            cx.tell(Event::Room { conversation, change, user: user.clone(), by, text });
            self.people.presence_may_have_changed(cx, &user, true);
            self.tell_roster(cx);
            // The others may not hear of them from the registry.
            self.haves_at = self.haves_at.min(cx.now.monotonic.plus(NEWCOMER_OFFERED_WITHIN));
            match self.people.entry(&user).link {
                // Their hello may have come before I was in myself.
                Some(link) => self.say_hello(cx, link, id),
                None => self.dial_soon(cx, &user, NEWCOMER_DIALS_WITHIN),
            }
        }
    }

    /// Takes in a checked part.
    pub(super) fn member_parted(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        event: &ChainEvent,
        wire: &WireEvent,
        reason: &str,
        writes: &mut Vec<Write>,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let Some(room) = conversation.room_mut() else { return };
        let (room_id, name, joined) = (room.id, room.genesis.name.clone(), room.joined);
        let Some(member) = room.members.get_mut(&event.author) else { return };
        if member.part.as_ref().is_some_and(|(parted, _)| !event.stamp().supersedes(parted)) {
            return;
        }
        let was_member = member.is_current();
        room.version += 1;
        member.part = Some((event.stamp(), wire.clone()));
        let user = member.user.clone();
        let left = was_member && !member.is_current();
        let (join, part) = (member.join.clone(), Some(wire.clone()));
        writes.push(Write::Member { room: room_id, identity: event.author, join, part });
        if left {
            // What they did not get any more, nobody waits for.
            conversation.forget_recipient(&event.author);
            if joined {
                let (change, by, text) = (RoomChange::Parted, user.clone(), reason.to_owned());
                cx.tell(Event::Room { conversation: name, change, user, by, text });
            }
            if joined && event.author == self.me {
                // I left, and my log is a copy from before that. The registry may not have heard of it then.
                self.leave_quietly(cx, id);
                self.repeat_part(cx, id);
            }
        }
    }

    /// Takes in the registry's copy of what a member signed.
    pub(super) fn member_record(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        record: &MemberRecord,
        announce: bool,
    ) {
        let is_theirs = |user: &UserName, _: &IdentityKey| *user == record.user;
        let is_taken = self.member_shown(cx, id, (&record.join, record.part.as_ref()), is_theirs, announce);
        if is_taken && record.user != self.user {
            let tell = announce && self.registry.begun;
            self.listed_by_registry(cx, &record.user, record.online, tell);
        }
    }

    /// Takes in what a member signed about it, whoever kept it. `false` if it does not hold, or not yet.
    pub(super) fn member_shown(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        (join, part): (&WireEvent, Option<&WireEvent>),
        is_theirs: impl Fn(&UserName, &IdentityKey) -> bool,
        announce: bool,
    ) -> bool {
        let Some(room) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return false };
        let Ok(author) = join.claim().map(|join| join.author) else { return false };
        let mut writes = Vec::new();
        let key = if let Some(known) = room.members.get(&author).filter(|known| known.join == *join) {
            // A crowd is listed often, and checked once.
            is_theirs(&known.user, &author).then_some(known.statement.event)
        } else {
            match room::check_join(room.id, &room.genesis, room.moderation.owners(), join) {
                Ok(membership) if is_theirs(&membership.statement.user, &author) => {
                    let key = membership.statement.event;
                    self.take_membership(cx, id, membership, join, announce, &mut writes);
                    Some(key)
                }
                Err(RoomError::Ahead) => {
                    self.member_joined(cx, id, join, announce, &mut writes);
                    None
                }
                _ => None,
            }
        };
        let Some(key) = key else { return false };
        if let Some(wire) = part
            && let Ok(event) = wire.verify(&key)
            && (event.author, event.conversation) == (author, id)
            && let Ok(Content::Part(reason)) = event.content()
        {
            self.member_parted(cx, id, &event, wire, &reason, &mut writes);
        }
        if !writes.is_empty() {
            self.commit(cx, writes, Vec::new());
        }
        true
    }

    /// A member holds my join now; when all that are there do, I am told to be in.
    pub(super) fn join_acknowledged(&mut self, cx: &mut Context, id: ConversationId, identity: &IdentityKey) {
        let log = self.conversations.get(&id).and_then(|conversation| conversation.own.get(&self.chain));
        let acked = log.and_then(|log| log.acked.get(identity)).copied().unwrap_or(0);
        for joining in self.joining.iter_mut().filter(|joining| joining.room == id && joining.number <= acked) {
            joining.waiting.remove(identity);
        }
        self.joins_told(cx);
    }

    /// Tells the joins that nobody has to be waited for any more.
    pub(super) fn joins_told(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        self.tell_joins(cx, |join| join.stored && (join.waiting.is_empty() || join.until <= now));
    }

    /// That I am in a room is on the disk.
    pub(super) fn join_stored(&mut self, cx: &mut Context, id: ConversationId) {
        self.joining.iter_mut().filter(|join| join.room == id).for_each(|join| join.stored = true);
        self.joins_told(cx);
    }

    /// Tells the joins that are `due`, whoever knows of them.
    pub(super) fn tell_joins(&mut self, cx: &mut Context, due: impl Fn(&Joining) -> bool) {
        let (told, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.joining).into_iter().partition(due);
        self.joining = waiting;
        for joining in told {
            self.tell_joined(cx, joining.room, joining.re);
        }
    }

    pub(super) fn tell_joined(&self, cx: &mut Context, id: ConversationId, re: Option<String>) {
        let Some(room) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return };
        let (conversation, user) = (room.genesis.name.clone(), self.user.clone());
        let (change, by, text) = (RoomChange::Joined, user.clone(), String::new());
        cx.answer(re, Event::Room { conversation, change, user, by, text });
    }
}

/// Members now and before: a room of the largest size whose every member was replaced three times.
const KNOWN_MEMBERS_MAX: usize = 4 * MEMBERS_MAX;
/// Time for what they say first to be on the disk.
const NEWCOMER_OFFERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
/// Whoever enters dials; if they do not, we do.
const NEWCOMER_DIALS_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);
