//! What a peer asks of its registry, what the registry answers, and what it tells unasked. A peer sends `ToRegistry`,
//! the registry sends `FromRegistry`; replies carry the number of their request and come in any order.

use serde::{Deserialize, Serialize};

use super::event::WireEvent;
use super::room::{Genesis, Invite, LogEntry};
use crate::ids::{AuthKey, RoomId, SignUpToken};
use crate::limits::{
    ADDRESSES_MAX, ENTRIES_PER_PAGE, ERROR_TEXT_BYTES_MAX, MAIL_BYTES_MAX, MAIL_ITEMS_PER_PAGE, MEMBERS_PER_PAGE,
    NAMES_PER_PAGE, ROOMS_PER_PAGE, TOPIC_BYTES_MAX, WATCHED_MAX,
};
use crate::names::{RoomName, UserName};
use crate::secure::certificate::{Certificate, Credentials};
use crate::secure::identity::DeviceStatement;
use crate::secure::mail::Prekey;
use crate::secure::sign::Signed;
use crate::time::UnixMillis;
use crate::wire::address::Address;
use crate::wire::bounded::{Blob, List, Text};

/// One request; `id` is the peer's own number for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToRegistry {
    pub id: u32,
    pub request: Request,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRegistry {
    Reply { id: u32, reply: Box<Reply> },
    Refused { id: u32, refusal: Refusal },
    News(Box<News>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    // Before signing in.
    /// A new account; signs in as well. Repeated with the same keys it succeeds.
    SignUp {
        auth: AuthKey,
        statement: Signed<DeviceStatement>,
        /// The operator's leave: for a registry that asks for it, and to begin anew under a name that exists.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<SignUpToken>,
    },
    /// By password; enrols the device of this connection if the account has none.
    SignIn {
        auth: AuthKey,
        statement: Signed<DeviceStatement>,
    },
    /// By the device key that this connection's handshake proved: no password, no bcrypt.
    Resume {
        user: UserName,
    },
    /// By new keys, which this connection proved the device of, and which the statement shows to follow those that the
    /// registry knows: they take their place. Repeated it signs in.
    Rotate {
        statement: Signed<DeviceStatement>,
    },
    /// An account that this registry certified and does not know any more, by the certificate. Without `auth` the
    /// account has no password until its device sets one.
    Reclaim {
        credentials: Box<Credentials>,
        auth: Option<AuthKey>,
    },

    // After.
    SignOut,
    ChangePassword {
        old: AuthKey,
        new: AuthKey,
    },
    /// A fresh certificate, before the present one expires.
    Renew,
    /// Where I listen; replaces what was announced before.
    Announce {
        addresses: List<Address, ADDRESSES_MAX>,
    },
    /// Tell me when these people come and go: my conversations. Replaces the list before.
    Watch {
        names: List<UserName, WATCHED_MAX>,
    },
    /// Who is online and has `pattern` in the name; the page after `after`.
    Who {
        pattern: Option<Text<32>>,
        after: Option<UserName>,
    },
    /// Credentials, presence and addresses of one person.
    Lookup {
        user: UserName,
    },
    /// Keeps the session alive.
    Ping,

    /// A new room of mine; or one that the registry has lost, which anybody who was in it brings back: with nobody in it,
    /// until its log is there again and they enter.
    CreateRoom {
        genesis: Box<Signed<Genesis>>,
        join: WireEvent,
    },
    /// Rooms whose name has `pattern` in it: public ones, and private ones I am a member of.
    Rooms {
        pattern: Option<Text<32>>,
        after: Option<RoomName>,
    },
    /// One room by name, for somebody about to join: public, mine, or one I am invited to.
    FindRoom {
        name: RoomName,
    },
    /// Enter; the join proves the right to.
    JoinRoom {
        join: WireEvent,
    },
    PartRoom {
        part: WireEvent,
    },
    /// Members of a room I am in, and who left it; the page after `after`.
    Members {
        room: RoomId,
        after: Option<UserName>,
    },
    /// The rooms that the registry has me in; the page after `after`.
    Memberships {
        after: Option<RoomId>,
    },
    /// The owner's log of a room I am in or may join, from entry `from`.
    Log {
        room: RoomId,
        from: u32,
    },
    /// The owner adds to the log, or a member brings what the owner signed.
    AddEntry {
        entry: Signed<LogEntry>,
    },
    /// The owner lets somebody in.
    Invite {
        invite: Signed<Invite>,
    },
    /// Invitations to me that still hold.
    Invites,
    Decline {
        room: RoomId,
    },

    /// What mail for me is to be sealed to from now on.
    PutPrekey {
        prekey: Signed<Prekey>,
    },
    /// Keeps a sealed item for somebody I share a conversation with.
    PutMail {
        to: UserName,
        item: Blob<MAIL_BYTES_MAX>,
    },
    /// My own mail with ids above `after`, oldest first.
    Mail {
        after: u64,
    },
    /// What was in these items is on my disk.
    DropMail {
        ids: List<u64, MAIL_ITEMS_PER_PAGE>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    /// To `SignUp`, `SignIn`, `Resume`, `Rotate`, `Reclaim` and `Renew`. `seen` is the address this connection comes from.
    SignedIn {
        certificate: Signed<Certificate>,
        seen: Address,
        /// The registry has lost the account's password: `ChangePassword` sets one, whatever `old` is.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lacks_password: bool,
    },
    /// To `Watch`: who of them is online now.
    Watching {
        online: List<UserName, WATCHED_MAX>,
    },
    Online {
        users: List<UserName, NAMES_PER_PAGE>,
        more: bool,
    },
    Person(Box<PersonRecord>),
    Rooms {
        rooms: List<RoomSummary, ROOMS_PER_PAGE>,
        more: bool,
    },
    Room {
        genesis: Box<Signed<Genesis>>,
        invite: Option<Signed<Invite>>,
    },
    Members {
        members: List<MemberRecord, MEMBERS_PER_PAGE>,
        more: bool,
    },
    Memberships {
        rooms: List<RoomId, NAMES_PER_PAGE>,
        more: bool,
    },
    Log {
        entries: List<Signed<LogEntry>, ENTRIES_PER_PAGE>,
        more: bool,
    },
    Invites {
        invites: List<Invitation, ENTRIES_PER_PAGE>,
    },
    Mail {
        items: List<MailItem, MAIL_ITEMS_PER_PAGE>,
        more: bool,
    },
}

/// What the registry tells a session unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// People who share a room or a conversation with me came or went.
    Presence {
        changes: List<PresenceChange, NAMES_PER_PAGE>,
    },
    /// Somebody entered or left a room I am in.
    Member {
        room: RoomId,
        member: Box<MemberRecord>,
    },
    Entry {
        entry: Box<Signed<LogEntry>>,
    },
    Invited(Box<Invitation>),
    /// Something new is in my mailbox.
    Mail,
    /// This session ends: a newer one of the same device has taken its place.
    Replaced,
    /// The registry stops; it will be back.
    Closing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange {
    pub user: UserName,
    pub online: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    pub credentials: Credentials,
    pub online: bool,
    /// Empty when offline.
    pub addresses: List<Address, ADDRESSES_MAX>,
    /// When the last session ended; `None` while online or if there was none.
    pub last_seen: Option<UnixMillis>,
    /// What mail for them is sealed to; `None` if they never said.
    pub prekey: Option<Signed<Prekey>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    pub name: RoomName,
    pub private: bool,
    pub members: u32,
    pub owner: UserName,
    pub topic: Text<TOPIC_BYTES_MAX>,
    pub joined: bool,
}

/// A copy of what the member signed; `part` is set once they left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    pub user: UserName,
    pub online: bool,
    pub join: WireEvent,
    pub part: Option<WireEvent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub genesis: Signed<Genesis>,
    pub invite: Signed<Invite>,
}

/// Something kept for me: see [`crate::secure::mail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailItem {
    /// Grows with every item that anybody leaves; never used twice.
    pub id: u64,
    pub item: Blob<MAIL_BYTES_MAX>,
}

/// What was asked cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: Code,
    /// One line for a person; may be empty.
    pub text: Text<ERROR_TEXT_BYTES_MAX>,
    /// Seconds after which trying again makes sense; with `throttled` and `busy`.
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub fn new(code: Code, text: &str) -> Self {
        Self { code, text: Text::cut(text), retry_after: None }
    }

    /// A refusal that passes with time.
    pub fn later(code: Code, text: &str, seconds: u32) -> Self {
        Self { code, text: Text::cut(text), retry_after: Some(seconds) }
    }
}

macro_rules! codes {
    ($($variant:ident = $text:literal,)+) => {
        /// Why not: the closed list that programs rely on, the same in `--json` and on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[serde(rename = $text)] $variant,)+
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

codes! {
    Usage = "usage",
    UnknownCommand = "unknown_command",
    BadName = "bad_name",
    BadPassword = "bad_password",
    NameTaken = "name_taken",
    Credentials = "credentials",
    NotSignedIn = "not_signed_in",
    AlreadySignedIn = "already_signed_in",
    Throttled = "throttled",
    Busy = "busy",
    NoSuchUser = "no_such_user",
    NoSuchRoom = "no_such_room",
    RoomExists = "room_exists",
    NotInvited = "not_invited",
    Banned = "banned",
    NotMember = "not_member",
    NotPermitted = "not_permitted",
    TooLarge = "too_large",
    KeyBlocked = "key_blocked",
    Unreachable = "unreachable",
    RealmChanged = "realm_changed",
    RealmUnknown = "realm_unknown",
    Storage = "storage",
    Internal = "internal",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
