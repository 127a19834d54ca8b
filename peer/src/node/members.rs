//! Who belongs to a room: folded from what members and owners signed, whoever brought it and in whatever order.

use common::ids::{ConversationId, EntryId, IdentityKey, RoomId};
use common::limits::{ENTRIES_PER_PAGE, MEMBERS_MAX};
use common::message::event::{Content, Event as ChainEvent, WireEvent};
use common::message::peer::PeerMessage;
use common::message::registry::MemberRecord;
use common::message::room::{self, Act, Genesis, LogEntry, RoomError};
use common::secure::sign::Signed;
use common::wire::bounded::List;

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
            return Ok(());
        }
        if RoomId(genesis.id()) != room {
            return Err("a room under another's id");
        }
        let membership = match room::check_join(room, &known.genesis, &join) {
            Ok(membership) => membership,
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
        let me = self.me;
        let Some(known) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return };
        let Ok(membership) = room::check_join(known.id, &known.genesis, join) else { return };
        let identity = membership.event.author;
        // Anybody can sign a join under any name: it is theirs only with the key that was seen under it.
        let stands_aside = !self.may_be(&membership.statement.user, &identity);
        let Some(room) = self.conversations.get_mut(&id).and_then(|conversation| conversation.room_mut()) else {
            return;
        };
        let known = room.members.get(&identity);
        if known.is_some_and(|known| !membership.event.stamp().supersedes(&known.joined)) {
            return;
        }
        let was_member = known.is_some_and(Member::is_current);
        if known.is_none() && room.members.len() >= KNOWN_MEMBERS_MAX {
            let left = room.members.iter().find(|(_, member)| !member.is_current());
            let Some(left) = left.map(|(identity, _)| *identity) else { return };
            room.members.remove(&left);
        }
        let (user, key) = (membership.statement.user, membership.statement.event);
        let part = room.members.remove(&identity).and_then(|known| known.part);
        writes.push(Write::Member {
            room: room.id,
            identity,
            join: join.clone(),
            part: part.as_ref().map(|(_, part)| part.clone()),
        });
        let joined = membership.event.stamp();
        let member = Member { user: user.clone(), key, join: join.clone(), joined, part, stands_aside };
        let news = member.is_current() && !was_member && announce && room.joined && identity != me;
        room.members.insert(identity, member);
        if news {
            let conversation = room.genesis.name.clone();
            let (change, by, text) = (RoomChange::Joined, user.clone(), String::new());
            cx.tell(Event::Room { conversation, change, user: user.clone(), by, text });
            self.people.presence_may_have_changed(cx, &user, true);
            self.tell_roster(cx);
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
        member.part = Some((event.stamp(), wire.clone()));
        let user = member.user.clone();
        let left = was_member && !member.is_current();
        let (join, part) = (member.join.clone(), Some(wire.clone()));
        writes.push(Write::Member { room: room_id, identity: event.author, join, part });
        if left {
            // What they did not get any more, nobody waits for.
            for log in conversation.own.values_mut() {
                for pending in log.pending.values_mut() {
                    pending.recipients.retain(|recipient| *recipient != event.author);
                }
                log.forget_complete();
            }
            if joined {
                let (change, by, text) = (RoomChange::Parted, user.clone(), reason.to_owned());
                cx.tell(Event::Room { conversation: name, change, user, by, text });
            }
            if joined && event.author == self.me {
                // I left, and my log is a copy from before that. The registry may not have heard of it then.
                self.leave_quietly(cx, id);
                self.parting.insert(id);
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
        let Some(room) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return };
        let Ok(membership) = room::check_join(room.id, &room.genesis, &record.join) else { return };
        if membership.statement.user != record.user {
            return;
        }
        let mut writes = Vec::new();
        self.member_joined(cx, id, &record.join, announce, &mut writes);
        if let Some(wire) = &record.part
            && let Ok(event) = wire.verify(&membership.statement.event)
            && (event.author, event.conversation) == (membership.event.author, id)
            && let Ok(Content::Part(reason)) = event.content()
        {
            self.member_parted(cx, id, &event, wire, &reason, &mut writes);
        }
        if !writes.is_empty() {
            self.commit(cx, writes, Vec::new());
        }
        if record.user != self.user {
            let tell = announce && self.registry.begun;
            self.listed_by_registry(cx, &record.user, record.online, tell);
        }
    }

    /// Takes in consecutive entries of a room owner's log; what is known or does not follow is passed over.
    pub(super) fn entries_received(&mut self, cx: &mut Context, room: RoomId, entries: Vec<Signed<LogEntry>>) {
        let mut writes = Vec::new();
        for signed in entries {
            self.entry_received(cx, room, signed, true, &mut writes);
        }
        if !writes.is_empty() {
            self.commit(cx, writes, Vec::new());
        }
    }

    pub(super) fn entry_received(
        &mut self,
        cx: &mut Context,
        id: RoomId,
        signed: Signed<LogEntry>,
        announce: bool,
        writes: &mut Vec<Write>,
    ) {
        let conversation = self.conversations.get_mut(&ConversationId::from(id));
        let Some(room) = conversation.and_then(|conversation| conversation.room_mut()) else { return };
        let (head, last): (u32, EntryId) = (room.head(), room.last_entry());
        let Ok(entry) = room::check_entry(id, &room.genesis, &signed, head, last) else { return };
        room.apply(&entry, signed.clone());
        writes.push(Write::Entry { room: id, index: entry.index, entry: signed });
        if announce && room.joined {
            let Act::Topic { text } = &entry.act;
            let owner = room.genesis.owner_name.clone();
            let (conversation, text) = (room.genesis.name.clone(), text.as_str().to_owned());
            cx.tell(Event::Room { conversation, change: RoomChange::Topic, user: owner.clone(), by: owner, text });
        }
    }

    /// The far end knows less of the owner's log than I do.
    pub(super) fn send_newer_entries(&self, cx: &mut Context, link: LinkId, id: ConversationId, head: u32) {
        let Some(room) = self.conversations.get(&id).and_then(|conversation| conversation.room()) else { return };
        if !self.links.get(link).is_some_and(|link| room.is_member(&link.person.identity)) {
            return;
        }
        let known = usize::try_from(head).unwrap_or(usize::MAX);
        let newer = room.entries.get(known..).unwrap_or_default();
        if !newer.is_empty() {
            let entries = List::cut(newer.iter().take(ENTRIES_PER_PAGE).cloned().collect());
            let message = PeerMessage::RoomLog { room: room.id, entries };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
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
/// Whoever enters dials; if they do not, we do.
const NEWCOMER_DIALS_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);
