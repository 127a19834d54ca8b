//! Rooms: who may make one, enter, leave, look, write the owner's log and invite. Checks every signature before it
//! keeps a copy; the members check them again, so nothing here can make anybody a member.

use std::sync::Arc;

use common::ids::{EntryId, IdentityKey, RealmId, RoomId};
use common::limits::{
    ENTRIES_PER_PAGE, LOG_ENTRIES_MAX, MEMBERS_PER_PAGE, NAMES_PER_PAGE, ROOMS_PER_PAGE, SIGNED_BYTES_MAX,
};
use common::message::event::{Content, WireEvent};
use common::message::moderation::makes_sense;
use common::message::registry::{Code, Invitation, RoomSummary};
use common::message::room::{self, Act, Genesis, Invite, LogEntry};
use common::names::{RoomName, UserName};
use common::secure::identity::check_statement;
use common::secure::rotation;
use common::secure::sign::Signed;
use common::time::UnixMillis;

use crate::refusal::Failure;
use crate::store::{Account, Effect, Joining, Member, Room, RoomCreation, Store};

/// See the module.
pub struct Rooms {
    store: Arc<dyn Store>,
    realm: RealmId,
    rooms_per_account: u32,
}

/// What entering a room changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub member: Member,
    /// The others in the room have not heard of it.
    pub is_news: bool,
}

impl Rooms {
    pub fn new(store: Arc<dyn Store>, realm: RealmId, rooms_per_account: u32) -> Self {
        Self { store, realm, rooms_per_account }
    }

    /// Makes a room with its owner in it. Repeated with the same genesis it succeeds. One that was lost here is brought
    /// back by whoever was in it: empty, until the owner's log says who may enter.
    pub fn create(&self, caller: &Account, signed: &Signed<Genesis>, join: &WireEvent) -> Result<(), Failure> {
        let (id, genesis) = room::check_genesis(signed).map_err(|_| usage(BAD_GENESIS))?;
        if genesis.realm != self.realm || signed.to_bytes().len() > GENESIS_BYTES_MAX {
            return Err(usage(BAD_GENESIS));
        }
        let room = Room::new(id, signed.clone(), genesis);
        let is_founder = (room.genesis.owner, &room.genesis.owner_name) == (caller.claim.identity, caller.user());
        let founder = match check_join(&room, caller, join) {
            Ok(_) if is_founder => Some(Member::new(caller.user().clone(), join.clone())),
            checked => self.check_brought(&room, caller, join, checked).map(|()| None)?,
        };
        match self.store.create_room(&room, founder.as_ref(), self.rooms_per_account)? {
            RoomCreation::Created => Ok(()),
            RoomCreation::NameTaken => {
                let is_same = self.store.room_named(&room.genesis.name)?.is_some_and(|kept| kept.id == id);
                if is_same { Ok(()) } else { Err(room_exists(&room.genesis.name)) }
            }
            RoomCreation::TooMany => {
                let most = self.rooms_per_account;
                Err(Failure::new(
                    Code::NotPermitted,
                    &format!("You own {most} rooms, as many as one may. Use one of them."),
                ))
            }
        }
    }

    /// Public rooms and the caller's own whose name contains `pattern`; and whether there are more.
    pub fn list(
        &self,
        caller: &UserName,
        pattern: &str,
        after: Option<&RoomName>,
    ) -> Result<(Vec<RoomSummary>, bool), Failure> {
        let mut rooms = self.store.rooms(caller, pattern, after, one_more(ROOMS_PER_PAGE))?;
        let more = rooms.len() > ROOMS_PER_PAGE;
        rooms.truncate(ROOMS_PER_PAGE);
        Ok((rooms, more))
    }

    /// One room, for somebody about to enter, with the invitation that lets them.
    pub fn find(&self, caller: &UserName, name: &RoomName, now: UnixMillis) -> Result<FoundRoom, Failure> {
        let room = self.store.room_named(name)?.ok_or_else(|| no_such_room(name.as_str()))?;
        if room.is_closed {
            return Err(closed(&room));
        }
        if self.store.standing(&room.id, caller)?.is_banned {
            return Err(banned(&room));
        }
        let invite = self.open_invite(&room.id, caller, now)?;
        if room.genesis.private && invite.is_none() && !self.is_present(&room.id, caller)? && !is_owner(&room, caller) {
            return Err(not_invited(&room));
        }
        Ok((room.signed, invite))
    }

    /// Lets the caller in, if the join proves it and a private room's invitation still holds here and now.
    pub fn join(&self, caller: &Account, join: &WireEvent, now: UnixMillis) -> Result<(Room, Entry), Failure> {
        let id = RoomId::from(join.claim().map_err(|_| usage(BAD_JOIN))?.conversation);
        let room = self.room(&id)?;
        if room.is_closed {
            return Err(closed(&room));
        }
        let invite = check_join(&room, caller, join)?;
        let is_free = !room.genesis.private || is_owner(&room, caller.user()) || self.is_present(&id, caller.user())?;
        if !is_free {
            self.check_invite(&room, caller.user(), invite.as_ref(), now)?;
        }
        let member = Member::new(caller.user().clone(), join.clone());
        let is_news = match self.store.join(&id, &member, invite.as_ref())? {
            Joining::Entered | Joining::Renewed => true,
            Joining::Already => false,
            Joining::Stale => return Err(Failure::new(Code::NotPermitted, STALE_JOIN)),
            Joining::Banned => return Err(banned(&room)),
            Joining::Full => return Err(full(&room)),
        };
        Ok((room, Entry { member, is_news }))
    }

    /// The caller leaves. `None` if they had left by the same word already.
    pub fn part(&self, caller: &Account, part: &WireEvent) -> Result<Option<(Room, Member)>, Failure> {
        let id = RoomId::from(part.claim().map_err(|_| usage(BAD_PART))?.conversation);
        let room = self.room(&id)?;
        let member = self.store.member(&id, caller.user())?.filter(|member| member.removed.is_none());
        let member = member.ok_or_else(|| not_member(&room))?;
        if let Some(kept) = &member.part {
            return if kept == part { Ok(None) } else { Err(not_member(&room)) };
        }
        check_part(caller, &member, part)?;
        if !self.store.part(&id, caller.user(), part)? {
            return Err(not_member(&room));
        }
        Ok(Some((room, Member { part: Some(part.clone()), ..member })))
    }

    /// A page of members and of people who left, for somebody who may know them; and whether there are more.
    pub fn members(
        &self,
        caller: &UserName,
        id: &RoomId,
        after: Option<&UserName>,
    ) -> Result<(Vec<Member>, bool), Failure> {
        let room = self.room(id)?;
        if room.genesis.private && !self.is_present(id, caller)? {
            return Err(not_member(&room));
        }
        let mut members = self.store.members(id, after, one_more(MEMBERS_PER_PAGE))?;
        let more = members.len() > MEMBERS_PER_PAGE;
        members.truncate(MEMBERS_PER_PAGE);
        Ok((members, more))
    }

    /// A page of the rooms that somebody is in; and whether there are more.
    pub fn memberships(&self, caller: &UserName, after: Option<&RoomId>) -> Result<(Vec<RoomId>, bool), Failure> {
        let mut rooms = self.store.memberships(caller, after, one_more(NAMES_PER_PAGE))?;
        let more = rooms.len() > NAMES_PER_PAGE;
        rooms.truncate(NAMES_PER_PAGE);
        Ok((rooms, more))
    }

    /// Those in the room now.
    pub fn present(&self, id: &RoomId) -> Result<Vec<UserName>, Failure> {
        Ok(self.store.present(id)?)
    }

    /// The owner's log from entry `from`, for somebody who is or may be a member; and whether there is more.
    pub fn log(
        &self,
        caller: &UserName,
        id: &RoomId,
        from: u32,
        now: UnixMillis,
    ) -> Result<(Vec<Signed<LogEntry>>, bool), Failure> {
        let room = self.room(id)?;
        let may_read = !room.genesis.private
            || is_owner(&room, caller)
            || self.is_present(id, caller)?
            || self.open_invite(id, caller, now)?.is_some();
        if !may_read {
            // Whoever was removed may read why, and nothing that came after.
            let removed = self.store.member(id, caller)?.and_then(|member| member.removed);
            return removed.map_or_else(|| Err(not_invited(&room)), |last| self.page(id, from, last));
        }
        self.page(id, from, u32::MAX)
    }

    // Entries up to number `last`, and whether there are more of them.
    fn page(&self, id: &RoomId, from: u32, last: u32) -> Result<(Vec<Signed<LogEntry>>, bool), Failure> {
        let open = last.saturating_sub(from).saturating_add(u32::from(last >= from));
        let mut entries = self.store.entries(id, from, one_more(ENTRIES_PER_PAGE).min(open))?;
        let more = entries.len() > ENTRIES_PER_PAGE;
        entries.truncate(ENTRIES_PER_PAGE);
        Ok((entries, more))
    }

    /// Adds to the owner's log. Those who are to hear of it, if the entry is new: also whom it removes. The owner writes
    /// it; any member may bring what a registry with an older copy has lost, and anybody while there are none.
    pub fn add_entry(&self, caller: &Account, signed: &Signed<LogEntry>) -> Result<Vec<UserName>, Failure> {
        let claim = signed.claim().map_err(|_| usage(BAD_ENTRY))?;
        let room = self.room(&claim.room)?;
        if self.store.entries(&room.id, claim.index, 1)?.first() == Some(signed) {
            return Ok(Vec::new());
        }
        let is_signed_by_owner = room::verify_entry(&room.owners.now(), signed).is_ok();
        let may_bring = self.is_present(&room.id, caller.user())? || self.store.present(&room.id)?.is_empty();
        if !(is_signed_by_owner && may_bring) {
            self.check_owner(caller, &room)?;
        }
        let (head, previous): (u32, EntryId) = self.store.log_head(&room.id)?;
        if head >= LOG_ENTRIES_MAX {
            return Err(Failure::new(Code::TooLarge, LOG_FULL));
        }
        let owner = room.owners.now();
        let entry = room::check_entry(room.id, &owner, signed, head, previous).map_err(|_| usage(BAD_ENTRY))?;
        let told = self.store.present(&room.id)?;
        let effect = self.effect(&room, entry.act)?;
        if room.is_closed || !self.store.add_entry(&room.id, entry.index, signed, &effect)? {
            return Err(usage(BAD_ENTRY));
        }
        Ok(told)
    }

    // What an act means for those who have an account here; an error if it makes no sense.
    fn effect(&self, room: &Room, act: Act) -> Result<Effect, Failure> {
        let user_of = |identity: &IdentityKey| self.store.user_of_identity(identity);
        let whom = match &act {
            Act::Remove(removal) | Act::Ban(removal) => user_of(&removal.identity)?,
            Act::Unban { identity, .. } | Act::Transfer { identity, .. } => user_of(identity)?,
            Act::Topic { .. } | Act::Rotate { .. } | Act::Close { .. } => None,
        };
        let is_banned = match &whom {
            Some(user) => self.store.standing(&room.id, user)?.is_banned,
            None => false,
        };
        if !makes_sense(&act, &room.owners.now().identity, |_| is_banned) {
            return Err(usage(BAD_ENTRY));
        }
        Ok(match (act, whom) {
            (Act::Topic { text }, _) => Effect::Topic(text),
            (Act::Rotate { rotations }, _) => {
                Effect::Rotated { key: rotation::newest(&room.owners.now().identity, &rotations) }
            }
            (Act::Close { .. }, _) => Effect::Closed,
            (Act::Remove(_), Some(user)) => Effect::Ended { user, is_banned: false },
            (Act::Ban(_), Some(user)) => Effect::Ended { user, is_banned: true },
            (Act::Unban { .. }, Some(user)) => Effect::Unbanned { user },
            (Act::Transfer { identity, .. }, Some(user)) => Effect::Owned { user, identity },
            (Act::Transfer { .. }, None) => return Err(Failure::new(Code::NoSuchUser, NO_SUCH_USER)),
            (Act::Remove(_) | Act::Ban(_) | Act::Unban { .. }, None) => Effect::Nothing,
        })
    }

    /// Keeps the owner's invitation. Whom it is for.
    pub fn invite(
        &self,
        caller: &Account,
        signed: &Signed<Invite>,
        now: UnixMillis,
    ) -> Result<(UserName, Invitation), Failure> {
        let claim = signed.claim().map_err(|_| usage(BAD_INVITE))?;
        let room = self.room(&claim.room)?;
        self.check_owner(caller, &room)?;
        if !room.genesis.private {
            return Err(usage(&format!("{} is public: anyone can /join it.", room.genesis.name)));
        }
        let owner = room.owners.at(claim.head).filter(|owner| *owner == room.owners.now());
        let is_signed = owner.is_some_and(|owner| signed.verify(owner.key.as_bytes()).is_ok());
        if !is_signed || room.is_closed || claim.expires < now || too_long(signed) {
            return Err(usage(BAD_INVITE));
        }
        let invitee = self.user_of(&claim.invitee)?;
        let standing = self.store.standing(&room.id, &invitee)?;
        if standing.is_banned {
            let text = format!("{invitee} is banned from {0}. /unban {invitee} first.", room.genesis.name);
            return Err(Failure::new(Code::Banned, &text));
        }
        if claim.head < standing.ended {
            return Err(usage(BAD_INVITE));
        }
        if self.is_present(&room.id, &invitee)? {
            return Err(usage(&format!("{invitee} is in {} already. There is nothing to do.", room.genesis.name)));
        }
        if !self.store.put_invite(&room.id, &invitee, signed, INVITES_PER_ROOM_MAX, now)? {
            return Err(Failure::new(Code::TooLarge, INVITES_FULL));
        }
        Ok((invitee, Invitation { genesis: room.signed, invite: signed.clone() }))
    }

    /// Invitations of the caller that hold.
    pub fn invites(&self, caller: &UserName, now: UnixMillis) -> Result<Vec<Invitation>, Failure> {
        let most = u32::try_from(ENTRIES_PER_PAGE).unwrap_or(u32::MAX);
        let mut invitations = Vec::new();
        for (room, invite) in self.store.invites_of(caller, now, most)? {
            let genesis = self.room(&room)?.signed;
            invitations.push(Invitation { genesis, invite });
        }
        Ok(invitations)
    }

    /// The caller does not want to come.
    pub fn decline(&self, caller: &UserName, id: &RoomId) -> Result<(), Failure> {
        let room = self.room(id)?;
        if self.store.decline(id, caller)? { Ok(()) } else { Err(not_invited(&room)) }
    }

    fn room(&self, id: &RoomId) -> Result<Room, Failure> {
        self.store.room(id)?.ok_or_else(|| no_such_room("with that id"))
    }

    fn is_present(&self, id: &RoomId, user: &UserName) -> Result<bool, Failure> {
        Ok(self.store.member(id, user)?.is_some_and(|member| member.is_present()))
    }

    fn user_of(&self, identity: &IdentityKey) -> Result<UserName, Failure> {
        self.store.user_of_identity(identity)?.ok_or_else(|| Failure::new(Code::NoSuchUser, NO_SUCH_USER))
    }

    fn open_invite(&self, id: &RoomId, user: &UserName, now: UnixMillis) -> Result<Option<Signed<Invite>>, Failure> {
        let kept = self.store.invite(id, user)?.filter(|kept| kept.is_open);
        let holds = |invite: &Signed<Invite>| invite.claim().is_ok_and(|claim| claim.expires >= now);
        Ok(kept.map(|kept| kept.invite).filter(holds))
    }

    // The invitation in the join is the owner's and for this person; here it must also be unused, not declined and
    // not expired. One we never saw counts if it is newer than the one we know.
    fn check_invite(
        &self,
        room: &Room,
        user: &UserName,
        carried: Option<&Signed<Invite>>,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        let carried = carried.ok_or_else(|| not_invited(room))?;
        let claim = carried.claim().map_err(|_| not_invited(room))?;
        let is_usable = match self.store.invite(&room.id, user)? {
            None => true,
            Some(kept) if kept.invite == *carried => kept.is_open,
            Some(kept) => kept.invite.claim().is_ok_and(|kept| claim.at > kept.at),
        };
        if is_usable && claim.expires >= now { Ok(()) } else { Err(not_invited(room)) }
    }

    // The founder has an account here, with the key that signed the genesis; and whoever brings the room back has a join of
    // it that holds, or would with entries that are to come.
    fn check_brought<T>(
        &self,
        room: &Room,
        caller: &Account,
        join: &WireEvent,
        checked: Result<T, Failure>,
    ) -> Result<(), Failure> {
        let founder = self.store.user_of_identity(&room.genesis.owner)?;
        if founder.as_ref() != Some(&room.genesis.owner_name) {
            return Err(no_founder(room));
        }
        let known = room::check_join(room.id, &room.genesis, &room.owners, join);
        let is_own = join.claim().is_ok_and(|event| event.author == caller.claim.identity);
        if is_own && known == Err(room::RoomError::Ahead) { Ok(()) } else { checked.map(drop) }
    }

    fn check_owner(&self, caller: &Account, room: &Room) -> Result<(), Failure> {
        if room.owners.now().identity == caller.claim.identity {
            return Ok(());
        }
        let (name, owner) = (&room.genesis.name, &room.owner);
        Err(Failure::new(Code::NotPermitted, &format!("Only the owner of {name} may do that. Ask {owner}.")))
    }
}

/// A room's genesis and, where there is one, the invitation of whoever asked.
pub type FoundRoom = (Signed<Genesis>, Option<Signed<Invite>>);

// The join is the caller's own, under the keys we know them by. The invitation in it, checked where one is needed.
fn check_join(room: &Room, caller: &Account, join: &WireEvent) -> Result<Option<Signed<Invite>>, Failure> {
    let membership = room::check_join(room.id, &room.genesis, &room.owners, join).map_err(|error| match error {
        room::RoomError::NotInvited => Failure::new(Code::NotInvited, INVITE_DOES_NOT_HOLD),
        _ => usage(BAD_JOIN),
    })?;
    if !caller.says_or_said(&membership.statement) || join.bytes.len() > JOIN_BYTES_MAX {
        return Err(usage(BAD_JOIN));
    }
    let Ok(Content::Join(body)) = membership.event.content() else { return Err(usage(BAD_JOIN)) };
    Ok(body.invite.filter(|_| membership.invited.is_some()))
}

fn check_part(caller: &Account, member: &Member, part: &WireEvent) -> Result<(), Failure> {
    let join = member.join.claim().ok();
    let key = join.as_ref().and_then(|join| match join.content() {
        Ok(Content::Join(body)) => check_statement(&body.statement).ok().map(|statement| statement.event),
        _ => None,
    });
    let (Some(join), Some(key)) = (join, key) else { return Err(usage(BAD_PART)) };
    // By the keys of the join, or by some that followed them.
    let mut keys = caller.claim.event_keys().into_iter().chain([key]);
    let event = keys.find_map(|key| part.verify(&key).ok()).ok_or_else(|| usage(BAD_PART))?;
    let is_part = matches!(event.content(), Ok(Content::Part(_)));
    let is_own = event.author == caller.claim.identity && event.conversation == join.conversation;
    let follows = event.chain != join.chain || event.number > join.number;
    if is_part && is_own && follows && part.bytes.len() <= PART_BYTES_MAX { Ok(()) } else { Err(usage(BAD_PART)) }
}

fn is_owner(room: &Room, user: &UserName) -> bool {
    room.owner == *user
}

// Fields that this version does not know could fill what is signed; copies of it have to fit a page.
fn too_long(signed: &Signed<Invite>) -> bool {
    signed.to_bytes().len() > INVITE_BYTES_MAX
}

fn one_more(page: usize) -> u32 {
    u32::try_from(page + 1).unwrap_or(u32::MAX)
}

fn usage(text: &str) -> Failure {
    Failure::new(Code::Usage, text)
}

fn no_such_room(name: &str) -> Failure {
    Failure::new(Code::NoSuchRoom, &format!("There is no room {name}. /rooms lists all, /create makes one."))
}

fn room_exists(name: &RoomName) -> Failure {
    Failure::new(Code::RoomExists, &format!("The name {name} is taken. /join it, or choose another name."))
}

fn no_founder(room: &Room) -> Failure {
    let (name, founder) = (&room.genesis.name, &room.genesis.owner_name);
    let text =
        format!("{name} is {founder}'s, who has no account here. It can be brought back once {founder} has one.");
    Failure::new(Code::NoSuchRoom, &text)
}

fn not_invited(room: &Room) -> Failure {
    // Whose room it is, is for those in it.
    let name = &room.genesis.name;
    let text = format!("{name} is private and you have no invitation that holds. Ask its owner for one.");
    Failure::new(Code::NotInvited, &text)
}

fn not_member(room: &Room) -> Failure {
    let name = &room.genesis.name;
    Failure::new(Code::NotMember, &format!("You are not in {name}. Enter it first: /join {name}."))
}

fn closed(room: &Room) -> Failure {
    let text = format!("{} was closed by its owner. /rooms lists what there is, /create makes one.", room.genesis.name);
    Failure::new(Code::NoSuchRoom, &text)
}

fn banned(room: &Room) -> Failure {
    let (name, owner) = (&room.genesis.name, &room.owner);
    Failure::new(Code::Banned, &format!("You are banned from {name}. Only its owner can change that: /msg {owner} …"))
}

fn full(room: &Room) -> Failure {
    let name = &room.genesis.name;
    let text = format!("{name} is full: a room has at most {} members. Try again later.", common::limits::MEMBERS_MAX);
    Failure::new(Code::TooLarge, &text)
}

const BAD_GENESIS: &str =
    "That room was not made in this realm, or not by you. Nothing was created: try /create again.";
const BAD_JOIN: &str = "The join does not hold together or is not yours. You were not let in: try /join again.";
const BAD_PART: &str = "That is no leave of yours from that room. Nothing was changed: try /part again.";
const BAD_ENTRY: &str = "That does not follow the room's log as it is here. Nothing was changed: try again.";
const BAD_INVITE: &str = "That invitation is not signed by you, or has expired. Nobody was invited: try /invite again.";
const STALE_JOIN: &str = "You left, or were removed, after that join was signed. You were not let in: try /join again.";
const NO_SUCH_USER: &str = "There is no such person here. Check the name: /who lists who is online.";
const INVITE_DOES_NOT_HOLD: &str = "That invitation does not let you in. Ask the room's owner for a new one.";
const LOG_FULL: &str = "The room's log is full. Nothing was changed; /create a new room to go on.";
const INVITES_FULL: &str = "Too many invitations of this room are open. Wait until some are taken or expire.";

/// What one owner may invite at a time: four times a full room.
const INVITES_PER_ROOM_MAX: u32 = 256;
/// An invitation as kept: twice the largest honest one.
const INVITE_BYTES_MAX: usize = 640;
/// The largest genesis, with its signature.
const GENESIS_BYTES_MAX: usize = SIGNED_BYTES_MAX + 128;
/// A statement with all its rotations, an invitation and the event around them.
const JOIN_BYTES_MAX: usize = 2 * SIGNED_BYTES_MAX + 512;
/// A reason and the event around it.
const PART_BYTES_MAX: usize = 768;

// A page of members fits a frame, and so does one of invitations.
const _: () = assert!(MEMBERS_PER_PAGE * (JOIN_BYTES_MAX + PART_BYTES_MAX + 384) <= common::limits::BATCH_BYTES_MAX);
const _: () =
    assert!(ENTRIES_PER_PAGE * (GENESIS_BYTES_MAX + INVITE_BYTES_MAX + 64) <= common::limits::BATCH_BYTES_MAX);
