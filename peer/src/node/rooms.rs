//! Entering, leaving and keeping rooms: what the user's room commands do, step by step with the registry. Membership
//! itself is folded in `members`.

use std::time::Duration;

use common::ids::{ConversationId, IdentityKey, RoomId};
use common::limits::REASON_BYTES_MAX;
use common::message::event::{Content, Join, WireEvent};
use common::message::registry::{Code, MemberRecord, Refusal, Request};
use common::message::room::{Act, Genesis, Invite, LogEntry, check_genesis, check_join};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;
use common::wire::bounded::Text;

use super::account::{Account, Joining};
use super::calls::{Call, PagePlace};
use super::conduct::goes_on;
use super::context::Context;
use super::conversation::{Conversation, Kind, Room};
use super::outgoing::After;
use super::people;
use crate::api::{Event, MemberShown, NewRoom, RoomChange, Target};
use crate::ports::Write;

impl Account {
    pub(super) fn create(&mut self, cx: &mut Context, re: Option<String>, new: NewRoom) {
        if let Some(Err(refusal)) = new.topic.as_deref().map(topic_text) {
            return cx.refuse(re, refusal);
        }
        if self.open_room(&new.name).is_ok() {
            // The registry may have lost it, and would hand the name out again.
            return cx.refuse(re, exists(&new.name));
        }
        self.begin_call(cx, re, Request::FindRoom { name: new.name.clone() }, Call::FindToCreate(Box::new(new)));
    }

    pub(super) fn room_exists(&self, cx: &mut Context, room: &RoomName) {
        cx.fail(exists(room));
    }

    /// The name is free: the room begins on my disk, then at the registry.
    pub(super) fn create_free(&mut self, cx: &mut Context, new: NewRoom) {
        let NewRoom { name, private, history, topic } = new;
        let genesis = Genesis {
            realm: self.realm,
            name,
            owner: self.me,
            owner_name: self.user.clone(),
            private,
            history,
            nonce: cx.chain_id(),
            at: cx.now.wall,
            rotations: self.keys.rotations().clone(),
        };
        let signed = Signed::sign(&genesis, self.keys.identity_signer());
        let Ok((room, genesis)) = check_genesis(&signed) else { return };
        let id = ConversationId::from(room);
        let kind = Kind::Room(Box::new(Room::new(room, genesis, signed.clone())));
        self.conversations.insert(id, Conversation::new(id, kind));
        let Some((join, writes, own)) = self.sign_join(cx, id, None) else { return };
        let request = Box::new(Request::CreateRoom { genesis: Box::new(signed), join });
        let call = Box::new(Call::Create { room: id, topic });
        self.commit(cx, writes, vec![own, After::Ask { request, call }]);
    }

    pub(super) fn created(&mut self, cx: &mut Context, id: ConversationId, topic: Option<String>) {
        let Some(room) = self.room(id) else { return };
        let (conversation, user) = (room.genesis.name.clone(), self.user.clone());
        let (mark, by) = (cx.mark(), user.clone());
        let text = topic.clone().unwrap_or_default();
        cx.answer(mark, Event::Room { conversation, change: RoomChange::Created, user, by, text });
        match topic.and_then(|text| self.sign_entry(cx, id, Act::Topic { text: Text::cut(&text) })) {
            Some(entry) => {
                let request = Request::AddEntry { entry: entry.clone() };
                self.ask(cx, request, Call::FirstTopic { room: id, entry: Box::new(entry) });
            }
            None => self.entered(cx, id),
        }
    }

    pub(super) fn join(&mut self, cx: &mut Context, re: Option<String>, room: RoomName, invited: bool) {
        if let Ok(id) = self.open_room(&room)
            && !self.registry.presenting.is_refused(id)
        {
            self.set_current(cx, Some(Target::Room(room)));
            if let Some(entering) = self.joining.iter().find(|joining| joining.room == id) {
                // Asked twice: the second is told with the first, once a restart would find me in.
                let Joining { number, until, stored, ref waiting, .. } = *entering;
                let waiting = waiting.clone();
                return self.joining.push(Joining { room: id, re, number, waiting, until, stored });
            }
            return self.tell_joined(cx, id, re);
        }
        let call = Call::FindToJoin { room: room.clone(), invited };
        self.begin_call(cx, re, Request::FindRoom { name: room }, call);
    }

    /// The registry's copy of a room I want to enter.
    pub(super) fn room_found(
        &mut self,
        cx: &mut Context,
        name: &RoomName,
        signed: Signed<Genesis>,
        invite: Option<Signed<Invite>>,
        invited: bool,
    ) {
        let checked = check_genesis(&signed).ok().filter(|(_, genesis)| genesis.name == *name);
        let Some((room, genesis)) = checked.filter(|(_, genesis)| genesis.realm == self.realm) else {
            let text = format!("What the registry says about {name} does not hold. Ask its operator.");
            return cx.fail(Refusal::new(Code::Internal, &text));
        };
        if !self.may_be(&genesis.owner_name, &genesis.owner) {
            let owner = &genesis.owner_name;
            let text =
                format!("{name} is said to be {owner}'s, but not with the key that {owner} has. It was not entered.");
            return cx.fail(Refusal::new(Code::KeyBlocked, &text));
        }
        let id = ConversationId::from(room);
        if self.rooms.get(name).is_some_and(|known| *known != id) {
            let text = format!("{name} is another room now than the one you knew by that name. It was not entered.");
            return cx.fail(Refusal::new(Code::NotPermitted, &text));
        }
        self.know_room(cx, room, genesis, signed);
        self.ask_log_to_join(cx, id, invite.map(Box::new), invited);
    }

    /// A room that I am not in, or not yet: its log is kept from now on.
    pub(super) fn know_room(&mut self, cx: &mut Context, room: RoomId, genesis: Genesis, signed: Signed<Genesis>) {
        let mut writes = Vec::new();
        self.conversations.entry(room.into()).or_insert_with(|| {
            writes.push(Write::Room { room, genesis: signed.clone(), joined: false });
            Conversation::new(room.into(), Kind::Room(Box::new(Room::new(room, genesis, signed))))
        });
        self.commit(cx, writes, Vec::new());
    }

    /// A join names the entries of the owner's log that one knows: they come first.
    fn ask_log_to_join(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        invite: Option<Box<Signed<Invite>>>,
        invited: bool,
    ) {
        let from = self.room(id).map_or(0, Room::head) + 1;
        self.ask(cx, Request::Log { room: id.into(), from }, Call::LogToJoin { room: id, invite, invited });
    }

    pub(super) fn log_to_join(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        invite: Option<Box<Signed<Invite>>>,
        invited: bool,
        entries: Vec<Signed<LogEntry>>,
        more: bool,
    ) {
        let before = self.room(id).map_or(0, Room::head);
        self.entries_received(cx, id.into(), entries, false);
        let Some(room) = self.room(id) else { return };
        if more && room.head() > before {
            return self.ask_log_to_join(cx, id, invite, invited);
        }
        let (name, owner) = (&room.genesis.name, room.moderation.owner_name());
        if room.moderation.standing(&self.me).is_some_and(|standing| standing.ban.is_some()) {
            return cx.fail(banned(name, owner));
        }
        let is_owner = room.moderation.owner() == self.me;
        let needs_invite = room.genesis.private && !is_owner;
        let is_refused = self.registry.presenting.is_refused(id);
        let before = room.members.get(&self.me).filter(|mine| mine.is_current() && !is_refused);
        if let (Some(mine), None) = (before, &invite) {
            // An earlier attempt whose answer was lost: the registry may have let me in with this very join.
            let request = Request::JoinRoom { join: mine.join.clone() };
            return self.ask(cx, request, Call::Join { room: id });
        }
        let holds = |invite: &Signed<Invite>| {
            let owner = invite.claim().ok().and_then(|claim| room.moderation.owners().at(claim.head));
            owner.is_some_and(|owner| invite.verify(owner.key.as_bytes()).is_ok())
        };
        let invite = invite.map(|invite| *invite).filter(holds);
        if (needs_invite || invited) && invite.is_none() && !is_owner {
            return cx.fail(not_invited(name, owner));
        }
        let Some((join, writes, own)) = self.sign_join(cx, id, invite.filter(|_| needs_invite)) else { return };
        let (request, call) = (Box::new(Request::JoinRoom { join }), Box::new(Call::Join { room: id }));
        self.commit(cx, writes, vec![own, After::Ask { request, call }]);
    }

    /// A join of mine as the next event of my chain, with everything the disk has to keep of it.
    fn sign_join(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        invite: Option<Signed<Invite>>,
    ) -> Option<(WireEvent, Vec<Write>, After)> {
        let statement = self.credentials.statement.clone();
        self.leave_what_was_cut(cx, id);
        let appended = self.append(cx, id, &Content::Join(Box::new(Join { statement, invite })))?;
        let (me, join) = (self.me, appended.wire.clone());
        let own = After::Own { conversation: id, chain: self.chain, number: appended.number, re: None, tell: None };
        let room = self.conversations.get_mut(&id)?.room_mut()?;
        let membership = check_join(room.id, &room.genesis, room.moderation.owners(), &join).ok()?;
        let part = room.members.remove(&me).and_then(|member| member.part);
        room.put_member(membership, join.clone(), part.clone(), false);
        self.links.hello_again(&id);
        let writes = vec![
            Write::Room { room: room.id, genesis: room.signed.clone(), joined: false },
            appended.into_write(),
            Write::Member { room: room.id, identity: me, join: join.clone(), part: part.map(|(_, part)| part) },
        ];
        Some((join, writes, own))
    }

    /// The registry let me in: who else is here, and what has the owner decided?
    pub(super) fn admitted(&mut self, cx: &mut Context, id: ConversationId) {
        let call = Call::JoinMembers { room: id, place: PagePlace::default() };
        self.ask(cx, Request::Members { room: id.into(), after: None }, call);
    }

    pub(super) fn join_members(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        place: &PagePlace,
        members: &[MemberRecord],
        more: bool,
    ) {
        if !goes_on(place.after.as_ref(), members.iter().map(|record| &record.user)) {
            return self.replied_unexpectedly(cx, Call::JoinMembers { room: id, place: place.clone() });
        }
        for record in members {
            self.member_record(cx, id, record, false);
        }
        match members.last().filter(|_| more).and_then(|last| place.behind(&last.user)) {
            Some(place) => {
                let request = Request::Members { room: id.into(), after: place.after.clone() };
                self.ask(cx, request, Call::JoinMembers { room: id, place });
            }
            None => {
                let from = self.room(id).map_or(0, Room::head) + 1;
                self.ask(cx, Request::Log { room: id.into(), from }, Call::JoinLog { room: id });
            }
        }
    }

    pub(super) fn join_log(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        entries: Vec<Signed<LogEntry>>,
        more: bool,
    ) {
        let before = self.room(id).map_or(0, Room::head);
        self.entries_received(cx, id.into(), entries, false);
        let head = self.room(id).map_or(0, Room::head);
        if more && head > before {
            return self.ask(cx, Request::Log { room: id.into(), from: head + 1 }, Call::JoinLog { room: id });
        }
        self.entered(cx, id);
    }

    /// I am in: the command ends here, and is answered when those who are there know it too.
    pub(super) fn entered(&mut self, cx: &mut Context, id: ConversationId) {
        let (chain, me) = (self.chain, self.me);
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let number = conversation.own.get(&chain).map_or(0, |log| log.number);
        let Some(room) = conversation.room_mut() else { return };
        if !room.is_member(&me) {
            // The owner was faster than the rest of my entering.
            let refusal = put_out_before(room, &me);
            self.leave_quietly(cx, id);
            return cx.fail(refusal);
        }
        room.joined = true;
        let (name, write) =
            (room.genesis.name.clone(), Write::Room { room: room.id, genesis: room.signed.clone(), joined: true });
        let others: Vec<_> = room.others(&me).map(|(identity, member)| (*identity, member.user.clone())).collect();
        self.rooms.insert(name.clone(), id);
        self.commit(cx, vec![write], vec![After::Entered { conversation: id }]);
        self.refresh_overlay(cx);
        // What came on a link where I had shown myself before I was in was passed over.
        self.links.hello_again(&id);
        let mut waiting = std::collections::BTreeSet::new();
        for (identity, user) in others {
            let is_wanted = self.overlay.wants(&id, &identity);
            let contact = self.people.entry(&user);
            if contact.is_online() && is_wanted {
                waiting.insert(identity);
            }
            match contact.link {
                Some(link) => self.say_hello(cx, link, id),
                None if is_wanted => self.dial_now(cx, &user),
                None => {}
            }
        }
        self.set_current(cx, Some(Target::Room(name)));
        self.tell_roster(cx);
        let until = cx.now.monotonic.plus(JOIN_KNOWN_WITHIN);
        let re = cx.done();
        self.joining.push(Joining { room: id, re, number, waiting, until, stored: false });
    }

    /// I am not in a room any more, or not yet.
    pub(super) fn leave_quietly(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(room) = self.conversations.get_mut(&id).and_then(Conversation::room_mut) else { return };
        room.joined = false;
        let write = Write::Room { room: room.id, genesis: room.signed.clone(), joined: false };
        let target = Target::Room(room.genesis.name.clone());
        self.commit(cx, vec![write], Vec::new());
        if self.current.as_ref() == Some(&target) {
            self.set_current(cx, None);
        }
    }

    pub(super) fn part(&mut self, cx: &mut Context, re: Option<String>, room: Option<RoomName>) {
        let (_, id) = match self.room_meant(room) {
            Ok(meant) => meant,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        if !self.needs_registry(cx, &re, "Can't leave the room now") {
            return;
        }
        self.tell_joins(cx, |join| join.room == id);
        let reason = Text::<REASON_BYTES_MAX>::default().into_string();
        let Some(appended) = self.append(cx, id, &Content::Part(reason)) else { return };
        cx.wait(re);
        let (part, parted, number) = (appended.wire.clone(), appended.stamp, appended.number);
        let mut writes = vec![appended.into_write()];
        let me = self.me;
        if let Some(room) = self.conversations.get_mut(&id).and_then(Conversation::room_mut)
            && let Some(member) = room.members.get_mut(&me)
        {
            member.part = Some((parted, part.clone()));
            let join = member.join.clone();
            room.version += 1;
            writes.push(Write::Member { room: room.id, identity: me, join, part: Some(part.clone()) });
            writes.push(Write::Room { room: room.id, genesis: room.signed.clone(), joined: false });
        }
        let own = After::Own { conversation: id, chain: self.chain, number, re: None, tell: None };
        let request = Box::new(Request::PartRoom { part });
        self.commit(cx, writes, vec![own, After::Ask { request, call: Box::new(Call::Part { room: id }) }]);
    }

    /// The same word again, to a registry that may have missed it or lost it since.
    pub(super) fn repeat_part(&mut self, cx: &mut Context, id: ConversationId) {
        let mine = self.room(id).filter(|room| !room.joined).and_then(|room| room.members.get(&self.me));
        if let Some((_, part)) = mine.filter(|mine| !mine.is_current()).and_then(|mine| mine.part.as_ref()) {
            let request = Request::PartRoom { part: part.clone() };
            self.ask(cx, request, Call::PartAgain);
        }
    }

    /// I have left, whatever the registry thinks: the others have my word for it.
    pub(super) fn parted(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(room) = self.room(id) else { return };
        let (conversation, user) = (room.genesis.name.clone(), self.user.clone());
        self.leave_quietly(cx, id);
        self.watch(cx);
        let (change, by, text) = (RoomChange::Parted, user.clone(), String::new());
        cx.finish(Event::Room { conversation, change, user, by, text });
    }

    pub(super) fn names(&self, cx: &mut Context, re: Option<String>, room: Option<RoomName>) {
        let (conversation, id) = match self.room_meant(room) {
            Ok(meant) => meant,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let Some(room) = self.room(id) else { return };
        let current = room.members.iter().filter(|(_, member)| member.is_current());
        let mut members: Vec<_> = current
            .map(|(identity, member)| {
                let contact = self.people.get(&member.user);
                let online = *identity == self.me || contact.is_some_and(people::Contact::is_online);
                MemberShown { user: member.user.clone(), online, owner: *identity == room.moderation.owner() }
            })
            .collect();
        members.sort_by(|one, other| one.user.cmp(&other.user));
        cx.answer(re, Event::Members { conversation, members });
    }

    pub(super) fn topic(&mut self, cx: &mut Context, re: Option<String>, room: Option<RoomName>, text: Option<String>) {
        let (name, id) = match self.room_meant(room) {
            Ok(meant) => meant,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let Some(room) = self.room(id) else { return };
        let Some(text) = text else {
            return cx.answer(re, Event::TopicShown { conversation: name, text: room.moderation.topic().to_owned() });
        };
        if let Err(refusal) = self.decides(id, "change the topic of").and_then(|()| topic_text(&text).map(drop)) {
            return cx.refuse(re, refusal);
        }
        cx.wait(re);
        self.decide(cx, id, Act::Topic { text: Text::cut(&text) });
    }

    /// One page of who belongs to a room of mine, after signing in.
    pub(super) fn members_page(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        announce: bool,
        place: &PagePlace,
        members: &[MemberRecord],
        more: bool,
    ) {
        if !goes_on(place.after.as_ref(), members.iter().map(|record| &record.user)) {
            return self.registry_misbehaved(cx, "its lists go round in circles");
        }
        for record in members {
            self.member_record(cx, id, record, announce);
        }
        self.look_for_me(cx, id, place, members, more);
        match members.last().filter(|_| more).and_then(|last| place.behind(&last.user)) {
            Some(place) => {
                let request = Request::Members { room: id.into(), after: place.after.clone() };
                self.ask(cx, request, Call::MembersOf { room: id, announce, place });
            }
            None => self.reach_members(cx, id),
        }
        self.tell_roster(cx);
    }

    pub(super) fn room(&self, id: ConversationId) -> Option<&Room> {
        self.conversations.get(&id).and_then(Conversation::room)
    }
}

fn topic_text(text: &str) -> Result<Text<{ common::limits::TOPIC_BYTES_MAX }>, Refusal> {
    Text::new(text).map_err(|error| {
        let text = format!("That topic has {} bytes; at most {} are kept. Make it shorter.", error.length, error.max);
        Refusal::new(Code::TooLarge, &text)
    })
}

fn exists(room: &RoomName) -> Refusal {
    let text = format!("There is a room {room} already. /join {room} enters it; another name is free to take.");
    Refusal::new(Code::RoomExists, &text)
}

/// The owner decided against me while I was on the way in.
fn put_out_before(room: &Room, me: &IdentityKey) -> Refusal {
    let (name, owner) = (&room.genesis.name, room.moderation.owner_name());
    if room.moderation.standing(me).is_some_and(|standing| standing.ban.is_some()) {
        return banned(name, owner);
    }
    let text = format!("You were put out of {name} before you were in. Ask its owner why: /msg {owner} …");
    Refusal::new(Code::NotPermitted, &text)
}

fn banned(room: &RoomName, owner: &UserName) -> Refusal {
    let text = format!("You are banned from {room}. Only its owner can change that: /msg {owner} …");
    Refusal::new(Code::Banned, &text)
}

fn not_invited(room: &RoomName, owner: &UserName) -> Refusal {
    let text = format!("{room} is private and you are not invited. Ask its owner: /msg {owner} …");
    Refusal::new(Code::NotInvited, &text)
}

/// Those who are online learn of a join within this time, or are told to have.
const JOIN_KNOWN_WITHIN: Duration = Duration::from_secs(2);
