//! What survives a restart: accounts with their device, rooms, members, owners' logs, invitations, and sealed mail.
//! Small traits, one per subject; every back end passes the suite in `contract`. A method that changes something
//! returns once the change is on disk, unless it says otherwise. Decides nothing about rights.

pub mod backup;
mod contract;
pub mod folder;
pub mod memory;
pub mod sqlite;

use common::ids::{DeviceKey, EntryId, IdentityKey, RoomId};
use common::limits::{MAIL_BYTES_MAX, MEMBERS_MAX, TOPIC_BYTES_MAX};
use common::message::event::{Event, WireEvent};
use common::message::moderation::Owners;
use common::message::registry::RoomSummary;
use common::message::room::{Genesis, Invite, LogEntry};
use common::names::{RoomName, UserName};
use common::secure::identity::DeviceStatement;
use common::secure::mail::Prekey;
use common::secure::rotation::Lineage;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::{Blob, Text};

/// Everything the service keeps.
pub trait Store: Accounts + Oversight + Rooms + Members + Logs + Invites + Mailboxes + Send + Sync {}
impl<T: Accounts + Oversight + Rooms + Members + Logs + Invites + Mailboxes + Send + Sync> Store for T {}

/// Who has an account, and which device speaks for it.
pub trait Accounts {
    fn account(&self, user: &UserName) -> Result<Option<Account>, StoreError>;
    fn user_of_identity(&self, identity: &IdentityKey) -> Result<Option<UserName>, StoreError>;
    /// Adds an account with its first device, unless its name or one of its keys is in use.
    fn create_account(&self, account: &Account, now: UnixMillis) -> Result<Creation, StoreError>;
    /// Puts the keys of `account` in place of those that it had by `before`, and drops what mail was sealed to under those.
    fn replace_keys(&self, before: &Signed<DeviceStatement>, account: &Account) -> Result<Replacement, StoreError>;
    fn set_password(&self, user: &UserName, password: &str) -> Result<(), StoreError>;
    /// What the dearest of all password hashes costs, if there is one.
    fn dearest_hash(&self) -> Result<Option<u32>, StoreError>;
    /// Does not wait for the disk: at worst a time is a little old after a crash.
    fn set_last_seen(&self, user: &UserName, at: UnixMillis);
}

/// What the operator decides about accounts, and may know of them.
pub trait Oversight {
    fn is_suspended(&self, user: &UserName) -> Result<bool, StoreError>;
    /// `false`: there is no such account.
    fn set_suspended(&self, user: &UserName, is_suspended: bool) -> Result<bool, StoreError>;
    /// Keeps a token for `user` in place of the one before, and drops all that have expired at `now`.
    fn put_token(&self, user: &UserName, token: &StoredToken, now: UnixMillis) -> Result<(), StoreError>;
    fn token(&self, user: &UserName) -> Result<Option<StoredToken>, StoreError>;
    /// Uses the token with this digest up: makes `account`, or puts it in the place of the one with its name. What
    /// another identity of that name had (memberships, invitations, mail) goes with it.
    fn redeem(&self, account: &Account, digest: &TokenDigest, now: UnixMillis) -> Result<Redemption, StoreError>;
    /// By name, after `after`.
    fn accounts(&self, after: Option<&UserName>, limit: u32) -> Result<Vec<AccountSummary>, StoreError>;
    fn totals(&self) -> Result<Totals, StoreError>;
}

/// Which rooms exist. A name is handed out once, for ever.
pub trait Rooms {
    fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError>;
    fn room_named(&self, name: &RoomName) -> Result<Option<Room>, StoreError>;
    /// Adds a room, with its founder as the first member or with nobody in it; a founder has at most `rooms_max`.
    fn create_room(&self, room: &Room, founder: Option<&Member>, rooms_max: u32) -> Result<RoomCreation, StoreError>;
    /// Public rooms and those `caller` is in, by name, whose name contains `pattern`, after `after`.
    fn rooms(
        &self,
        caller: &UserName,
        pattern: &str,
        after: Option<&RoomName>,
        limit: u32,
    ) -> Result<Vec<RoomSummary>, StoreError>;
}

/// Who is in a room, and who left it.
pub trait Members {
    fn member(&self, room: &RoomId, user: &UserName) -> Result<Option<Member>, StoreError>;
    /// By name, after `after`; those who left are among them.
    fn members(&self, room: &RoomId, after: Option<&UserName>, limit: u32) -> Result<Vec<Member>, StoreError>;
    /// Those who are in the room now.
    fn present(&self, room: &RoomId) -> Result<Vec<UserName>, StoreError>;
    /// The rooms that `user` is in now, by id, after `after`.
    fn memberships(&self, user: &UserName, after: Option<&RoomId>, limit: u32) -> Result<Vec<RoomId>, StoreError>;
    /// Everybody who is in a room together with `user`, each once, without `user`.
    fn companions(&self, user: &UserName) -> Result<Vec<UserName>, StoreError>;
    /// Lets `member` in as [`judge_join`] decides by what the log says then; with `invite`, it is used up by that.
    fn join(&self, room: &RoomId, member: &Member, invite: Option<&Signed<Invite>>) -> Result<Joining, StoreError>;
    /// Marks a member as having left; `false` if there is nobody to leave.
    fn part(&self, room: &RoomId, user: &UserName, part: &WireEvent) -> Result<bool, StoreError>;
}

/// The signed log of a room's owner, and what it says of people.
pub trait Logs {
    /// How many entries there are, and the id of the last.
    fn log_head(&self, room: &RoomId) -> Result<(u32, EntryId), StoreError>;
    fn entries(&self, room: &RoomId, from: u32, limit: u32) -> Result<Vec<Signed<LogEntry>>, StoreError>;
    /// Adds entry `index` together with its effect; `false` if that index is taken.
    fn add_entry(
        &self,
        room: &RoomId,
        index: u32,
        entry: &Signed<LogEntry>,
        effect: &Effect,
    ) -> Result<bool, StoreError>;
    /// What the log says of `user`; nothing unless they were removed or banned once.
    fn standing(&self, room: &RoomId, user: &UserName) -> Result<Standing, StoreError>;
}

/// Invitations, the latest per room and person, with what became of it.
pub trait Invites {
    fn invite(&self, room: &RoomId, user: &UserName) -> Result<Option<StoredInvite>, StoreError>;
    /// Keeps an open invitation in place of the one before; `false` if the room has `invites_max` open ones that
    /// have not expired at `now`.
    fn put_invite(
        &self,
        room: &RoomId,
        user: &UserName,
        invite: &Signed<Invite>,
        invites_max: u32,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;
    /// Open invitations of `user` that have not expired at `now`, soonest to expire last.
    fn invites_of(
        &self,
        user: &UserName,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<(RoomId, Signed<Invite>)>, StoreError>;
    /// Closes an open invitation; `false` if there was none.
    fn decline(&self, room: &RoomId, user: &UserName) -> Result<bool, StoreError>;
}

/// Sealed items for people who are away, and what they are sealed to.
pub trait Mailboxes {
    fn prekey(&self, user: &UserName) -> Result<Option<Signed<Prekey>>, StoreError>;
    /// Keeps it in place of the one before.
    fn put_prekey(&self, user: &UserName, prekey: &Signed<Prekey>) -> Result<(), StoreError>;
    /// Drops every item, whoever's, that was kept before `limits.since`; then keeps this one if it still fits.
    fn put_mail(&self, mail: &NewMail, limits: &BoxLimits) -> Result<Posting, StoreError>;
    /// Items of `user` with ids above `after` kept at `since` or later, oldest first, at most `count_max`: as many as
    /// `bytes_max` holds, and at least one if there is one.
    fn mail(&self, user: &UserName, after: u64, since: UnixMillis, most: Page) -> Result<Vec<StoredMail>, StoreError>;
    /// Drops items of `user`; others' are none of theirs.
    fn drop_mail(&self, user: &UserName, ids: &[u64]) -> Result<(), StoreError>;
    /// Drops every item kept before `since`.
    fn sweep_mail(&self, since: UnixMillis) -> Result<(), StoreError>;
}

/// An item to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    pub to: UserName,
    pub from: UserName,
    pub at: UnixMillis,
    pub item: Blob<MAIL_BYTES_MAX>,
}

/// What a mailbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxLimits {
    /// Items in one mailbox.
    pub items: u32,
    /// Items in one mailbox from one sender.
    pub items_per_sender: u32,
    /// Items from one sender in all mailboxes together.
    pub items_from_sender: u32,
    /// What was kept before that has expired.
    pub since: UnixMillis,
}

/// How much is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub count_max: usize,
    pub bytes_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Never given to another item, also after this one was dropped.
    pub id: u64,
    pub item: Blob<MAIL_BYTES_MAX>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    Kept,
    BoxFull,
    /// The sender has as many in this box as one may.
    ShareFull,
    /// The sender has as many in all boxes as one may.
    SenderFull,
}

/// An account with its enrolled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub statement: Signed<DeviceStatement>,
    /// What `statement` says; it was checked before it was stored.
    pub claim: DeviceStatement,
    /// bcrypt's text form; empty where it was lost and is set anew by the enrolled device.
    pub password: String,
    pub last_seen: Option<UnixMillis>,
}

impl Account {
    pub fn user(&self) -> &UserName {
        &self.claim.user
    }

    pub fn device(&self) -> DeviceKey {
        self.claim.device
    }

    /// Whether this is what its device says, or what one said that it had under a key before.
    pub fn says_or_said(&self, claim: &DeviceStatement) -> bool {
        let is_before = claim.against(&self.claim) == Lineage::Older;
        *claim == self.claim || is_before && (claim.realm, &claim.user) == (self.claim.realm, &self.claim.user)
    }

    pub fn has_password(&self) -> bool {
        !self.password.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    Created,
    NameTaken,
    /// The identity or the device belongs to another account.
    KeyTaken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    Replaced,
    /// It has other keys than those, or there is no such account.
    Outdated,
    /// The device belongs to another account.
    KeyTaken,
}

/// What is kept of a token: enough to know it by.
pub type TokenDigest = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredToken {
    pub digest: TokenDigest,
    pub expires: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redemption {
    Created,
    Replaced,
    /// The identity or the device belongs to another account.
    KeyTaken,
    /// It was used, has expired, or never was.
    NoToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    pub user: UserName,
    pub last_seen: Option<UnixMillis>,
    pub is_suspended: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub accounts: u64,
    pub rooms: u64,
    pub mail: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub id: RoomId,
    pub signed: Signed<Genesis>,
    /// What `signed` says; it was checked before it was stored.
    pub genesis: Genesis,
    pub topic: Text<TOPIC_BYTES_MAX>,
    /// Who owns it now.
    pub owner: UserName,
    /// By which keys it was owned when.
    pub owners: Owners,
    /// Nobody is in it any more, nor ever will be.
    pub is_closed: bool,
}

impl Room {
    /// One that begins now.
    pub fn new(id: RoomId, signed: Signed<Genesis>, genesis: Genesis) -> Self {
        let (owner, owners) = (genesis.owner_name.clone(), Owners::new(&genesis));
        Self { id, signed, genesis, topic: Text::default(), owner, owners, is_closed: false }
    }
}

/// What an entry changes besides the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It is about somebody without an account here.
    Nothing,
    Topic(Text<TOPIC_BYTES_MAX>),
    /// Their membership and their invitation end; when banned, they cannot come back.
    Ended {
        user: UserName,
        is_banned: bool,
    },
    Unbanned {
        user: UserName,
    },
    Owned {
        user: UserName,
        identity: IdentityKey,
    },
    /// The owner's word is signed with another key from now on.
    Rotated {
        key: IdentityKey,
    },
    /// Every membership ends.
    Closed,
}

/// What a room's log says of one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Joins and invitations made before this entry was known have ended.
    pub ended: u32,
    pub is_banned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomCreation {
    Created,
    NameTaken,
    TooMany,
}

/// What a member signed: the join, and the part once they left; and the entry of the log that ended it, if one did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user: UserName,
    pub join: WireEvent,
    pub part: Option<WireEvent>,
    pub removed: Option<u32>,
}

impl Member {
    /// Somebody who enters.
    pub fn new(user: UserName, join: WireEvent) -> Self {
        Self { user, join, part: None, removed: None }
    }

    pub fn is_present(&self) -> bool {
        self.part.is_none() && self.removed.is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// Was not in the room, and is now.
    Entered,
    /// Was in the room, with an older join.
    Renewed,
    /// This join is the one kept, or an older one of somebody who is in the room.
    Already,
    /// Left, or was removed, after this join was signed.
    Stale,
    /// Is banned.
    Banned,
    /// The room has as many members as it may.
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvite {
    pub invite: Signed<Invite>,
    pub is_open: bool,
}

/// The disk or what is on it is at fault; whoever asked is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(String),
    #[error("the database holds something that cannot be read: {0}")]
    Damaged(String),
    #[error("the database is closed")]
    Closed,
}

/// What a join does to what is kept. The newer of two joins counts: the higher Lamport number, or, from a new chain
/// (a person who lost their database counts from 1 again), the later signature.
/// What the owner decided meanwhile comes first.
pub fn judge_join(
    kept: Option<&Member>,
    standing: Standing,
    present_count: usize,
    join: &WireEvent,
) -> Result<Joining, StoreError> {
    if standing.is_banned {
        return Ok(Joining::Banned);
    }
    if claim(join)?.head < standing.ended {
        return Ok(Joining::Stale);
    }
    let Some(kept) = kept else {
        return Ok(if present_count < MEMBERS_MAX { Joining::Entered } else { Joining::Full });
    };
    if kept.join == *join {
        return Ok(if kept.is_present() { Joining::Already } else { Joining::Stale });
    }
    let last = kept.part.as_ref().unwrap_or(&kept.join);
    let is_newer = claim(join)?.stamp().supersedes(&claim(last)?.stamp());
    Ok(match (kept.is_present(), is_newer) {
        (true, true) => Joining::Renewed,
        (true, false) => Joining::Already,
        (false, false) => Joining::Stale,
        (false, true) if present_count < MEMBERS_MAX => Joining::Entered,
        (false, true) => Joining::Full,
    })
}

fn claim(event: &WireEvent) -> Result<Event, StoreError> {
    event.claim().map_err(|error| StoreError::Damaged(error.to_string()))
}
