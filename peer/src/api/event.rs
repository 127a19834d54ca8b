//! What a front-end is told. Sent by the engine, in order; texts from others are still as they came and pass the
//! front-end's sanitiser before anybody sees them.

use std::net::SocketAddr;

use common::ids::EventId;
use common::message::registry::Refusal;
use common::names::{RoomName, UserName};
use common::time::UnixMillis;

use super::{ChangeShown, Changes, Target, TraceShown, WhyShown};

/// An event, and the mark of the command it answers, if it answers one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub re: Option<String>,
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Listening for peers.
    Ready {
        listen: SocketAddr,
    },
    Registered {
        user: UserName,
    },
    SignedIn {
        user: UserName,
    },
    SignedOut {
        user: UserName,
    },
    PasswordChanged,
    /// The link to the registry changed.
    RegistryLink {
        state: LinkState,
        registry: String,
    },
    /// A registry never seen before shows this fingerprint; nothing goes on until `Command::TrustRealm`.
    TrustAsked {
        registry: String,
        fingerprint: String,
    },

    Online {
        users: Vec<UserName>,
    },
    Presence {
        user: UserName,
        online: bool,
    },
    Person(Box<PersonShown>),
    /// Answer to `/whoami`; `user` is `None` when nobody is signed in.
    Myself {
        user: Option<UserName>,
        registry: String,
        listen: SocketAddr,
        away: Option<String>,
    },
    /// One's own identity key and the realm, for comparing.
    Fingerprints {
        user: UserName,
        identity: String,
        realm: String,
        registry: String,
    },
    /// I am away now, or back.
    AwaySet {
        text: Option<String>,
    },
    /// Somebody I am linked to is away now, or back.
    AwaySeen {
        user: UserName,
        text: Option<String>,
    },
    /// A person shows another identity key than before: nothing is sent to them or shown from them.
    KeyChanged {
        user: UserName,
        old: String,
        new: String,
        /// The key before was compared out of band.
        verified: bool,
    },
    /// A person shows another identity key than before, and the one before has signed it: all goes on.
    KeyRotated {
        user: UserName,
        old: String,
        new: String,
        /// The key before was compared out of band; this one was not.
        verified: bool,
    },
    /// My own key is another one from now on.
    Rotated {
        user: UserName,
        key: String,
    },
    /// The key counts now; so many messages that came with it were held and follow.
    KeyAccepted {
        user: UserName,
        key: String,
        held: u32,
    },
    /// The key before stays; so many messages that came with the other were thrown away.
    KeyRejected {
        user: UserName,
        key: String,
        dropped: u32,
    },
    /// What both compare: twelve groups of five digits.
    SafetyNumber {
        user: UserName,
        digits: String,
        verified: bool,
    },
    /// It was compared, and is the same.
    Verified {
        user: UserName,
        digits: String,
    },
    /// Somebody speaks for the first time whose name looks like that of somebody else.
    LookAlike {
        user: UserName,
        like: UserName,
    },

    Message(MessageShown),
    /// Somebody edited or deleted their message, or reacted to one.
    Changed(ChangeShown),
    Delivery(Delivery),
    /// So many events of `from` are known to exist and not here; 0 once they are.
    Gap {
        conversation: Target,
        from: UserName,
        missing: u64,
    },
    /// `user` signed different things for different people in the same place.
    Forked {
        conversation: Target,
        user: UserName,
    },
    /// Oldest first. Answer to `/history`.
    History {
        conversation: Target,
        /// Where what is or just was unread begins.
        unread: Option<UnreadMark>,
        items: Vec<MessageShown>,
    },
    /// Answer to `/trace`.
    Trace(TraceShown),
    /// Answer to `/why`.
    Why(WhyShown),

    /// Oldest first; of more than these the newest. Answer to `/search` for these words.
    Found {
        words: Vec<String>,
        items: Vec<FoundShown>,
    },
    /// Told after signing in, of every conversation with something unread from before.
    Unread {
        conversation: Target,
        count: u32,
        mentions: u32,
    },
    /// What was unread from before in a conversation that became the current one; the newest lines of it.
    Backlog {
        conversation: Target,
        mark: UnreadMark,
        items: Vec<MessageShown>,
    },
    /// Answer to `/catchup`: the lines with my name in them, then each conversation, people before rooms.
    CaughtUp {
        mentions: Vec<MessageShown>,
        conversations: Vec<CaughtUp>,
    },
    /// Answer to `/export`: so many messages are in this new file.
    Exported {
        path: String,
        count: u64,
    },

    Rooms {
        rooms: Vec<RoomShown>,
    },
    Members {
        conversation: RoomName,
        members: Vec<MemberShown>,
    },
    /// The answer to `/topic` without a text.
    TopicShown {
        conversation: RoomName,
        text: String,
    },
    /// A room changed, also by my own act. `by` differs from `user` where somebody else did it.
    Room {
        conversation: RoomName,
        change: RoomChange,
        user: UserName,
        by: UserName,
        text: String,
    },
    /// Answer to `/bans`.
    Bans {
        conversation: RoomName,
        bans: Vec<BanShown>,
    },
    /// The owner `by` signed two decisions under one number, in words: nothing goes on in that room.
    Frozen {
        conversation: RoomName,
        by: UserName,
        number: u32,
        entries: [String; 2],
    },
    Invited(InvitationShown),
    Invites {
        invites: Vec<InvitationShown>,
    },
    /// My invitation went out.
    InviteSent {
        conversation: RoomName,
        user: UserName,
    },
    Declined {
        conversation: RoomName,
    },

    /// The conversation that plain text goes to.
    Current {
        conversation: Option<Target>,
    },
    /// People and rooms that completion should know: those of my conversations and whoever was seen online.
    Roster {
        people: Vec<UserName>,
        rooms: Vec<RoomName>,
    },

    /// What was asked cannot be done.
    Refused(Refusal),
    /// The last event; the program ends with this code.
    Bye {
        reason: String,
        exit: Exit,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    Online,
    Offline,
    Retrying,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    Text,
    Action,
}

/// One message. `own`: mine, accepted and on my disk. `late`: written well before it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageShown {
    pub conversation: Target,
    pub id: EventId,
    pub from: UserName,
    pub text: String,
    pub kind: MessageKind,
    pub at: UnixMillis,
    pub own: bool,
    pub late: bool,
    pub changes: Changes,
}

/// A message that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundShown {
    pub message: MessageShown,
    /// `None` if it was not asked for.
    pub around: Option<Around>,
}

/// What was said in the same conversation right before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    pub before: Vec<MessageShown>,
    pub after: Vec<MessageShown>,
}

/// Where the unread lines of a conversation begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadMark {
    pub first: EventId,
    pub since: UnixMillis,
    pub count: u32,
}

/// What was unread in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    pub conversation: Target,
    pub count: u32,
    /// How many of them have my name in them.
    pub mentions: u32,
    pub from: Vec<UserName>,
    /// The newest, oldest first.
    pub items: Vec<MessageShown>,
}

/// The state of one of my messages for one recipient changed; `done` of `of` recipients have it on their disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub conversation: Target,
    pub id: EventId,
    pub state: DeliveryState,
    pub to: UserName,
    pub done: u32,
    pub of: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// No link could take it: it waits on my disk.
    Queued,
    /// It lies sealed in their mailbox at the registry.
    Mailbox,
    Delivered,
    /// It will never count: I was removed from the room before they had it.
    Refused,
    /// It lay in their mailbox until its time was up; it still waits on my disk, and is left there anew.
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonShown {
    pub user: UserName,
    pub online: bool,
    /// The identity key, the pinned one if they are known.
    pub identity: String,
    /// Compared out of band.
    pub verified: bool,
    /// Another key that they show since: the conversation is blocked.
    pub blocked_by: Option<String>,
    /// Address of the live link, if there is one.
    pub route: Option<SocketAddr>,
    pub last_seen: Option<UnixMillis>,
    pub away: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomShown {
    pub name: RoomName,
    pub private: bool,
    pub members: u32,
    pub owner: UserName,
    pub topic: String,
    pub joined: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberShown {
    pub user: UserName,
    pub online: bool,
    pub owner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomChange {
    Created,
    Joined,
    Parted,
    Topic,
    Kicked,
    Banned,
    Unbanned,
    /// The room is `user`'s now.
    Owner,
    /// Nobody is in it any more.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanShown {
    pub user: UserName,
    /// The reason given; may be empty.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationShown {
    pub conversation: RoomName,
    pub by: UserName,
    pub expires: UnixMillis,
}

/// Exit codes that programs rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    SignInRefused = 3,
    Unreachable = 4,
    NoSuchThing = 5,
    NotPermitted = 7,
    Disk = 74,
    Interrupted = 130,
    Terminated = 143,
}
