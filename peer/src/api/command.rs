//! What a front-end asks for. Sent by the front-end's thread, taken by the engine, one after the other: a later
//! command sees what an earlier one did.

use std::fmt;

use common::ids::SignUpToken;
use common::message::room::History;
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::time::UnixMillis;

use super::{MessageKind, MessageShown, Target};

/// A command, with the front-end's own mark for it, which comes back as [`super::Told::re`].
#[derive(Debug)]
pub struct Asked {
    pub re: Option<String>,
    pub command: Command,
}

/// Whom a text is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Named(Target),
    /// The current conversation.
    Current,
    /// Whoever last wrote me privately.
    LastHeard,
    /// Whomever I last wrote privately.
    LastSpoken,
}

/// What a room is made with, once and for all but for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    pub name: RoomName,
    pub private: bool,
    /// What somebody who joins is served.
    pub history: History,
    pub topic: Option<String>,
}

/// What names a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The last of the current conversation; with `back` 1 the one before it.
    Newest { back: u32 },
    /// The same among my own.
    Mine { back: u32 },
    /// The last that somebody said in the current conversation.
    By(UserName),
    /// Its id begins with these hexadecimal digits, in whatever conversation it is.
    Id(String),
}

/// Where a history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many milliseconds ago.
    Ago(u64),
    At(UnixMillis),
}

#[derive(Debug)]
pub enum Command {
    Register {
        user: UserName,
        password: Secret<String>,
        /// For a registry that asks newcomers for one, or to begin anew under one's name.
        token: Option<Secret<SignUpToken>>,
    },
    LogIn {
        user: UserName,
        password: Secret<String>,
    },
    LogOut,
    ChangePassword {
        old: Secret<String>,
        new: Secret<String>,
    },
    /// Another identity key for me, signed by the present one.
    Rotate {
        password: Secret<String>,
    },
    /// Answers [`super::Event::TrustAsked`].
    TrustRealm {
        accept: bool,
    },
    WhoAmI,
    Fingerprint,

    Who {
        pattern: Option<String>,
    },
    WhoIs {
        user: UserName,
    },
    /// The safety number of somebody and me, or whether it has these sixty digits.
    Verify {
        user: UserName,
        digits: Option<String>,
    },
    /// The other key that somebody shows is theirs.
    AcceptKey {
        user: UserName,
    },
    /// It is not.
    RejectKey {
        user: UserName,
    },
    Away {
        text: String,
    },
    Back,

    Say {
        to: To,
        text: String,
        kind: MessageKind,
    },
    /// Makes a conversation the current one, and says something there if there is a text.
    Query {
        target: Target,
        text: Option<String>,
    },
    /// The newest `count` messages of a conversation, of the current one without a target; with `since`, none that was
    /// written before.
    History {
        target: Option<Target>,
        count: u32,
        since: Option<Since>,
    },

    Search(Search),
    /// What others said since I last looked; after that it counts as read.
    CatchUp,
    Export(Export),

    /// Changes a message of mine.
    Edit {
        reference: Reference,
        text: String,
    },
    /// Takes a message of mine back.
    Delete {
        reference: Reference,
    },
    /// Says in a word what I think of a message; without one, takes that back.
    React {
        reference: Reference,
        word: Option<String>,
    },
    /// Where a message is.
    Trace {
        reference: Reference,
    },
    /// How, or why not, I am linked to somebody.
    Why {
        user: UserName,
    },

    Create(NewRoom),
    Rooms {
        pattern: Option<String>,
    },
    Join {
        room: RoomName,
    },
    /// Without a room, the current one; the same for the four below.
    Part {
        room: Option<RoomName>,
    },
    Names {
        room: Option<RoomName>,
    },
    /// Without a text, shows the topic; an empty text clears it.
    Topic {
        room: Option<RoomName>,
        text: Option<String>,
    },
    Invite {
        user: UserName,
        room: Option<RoomName>,
    },
    /// What the owner decides, from here to `Close`; without a room, in the current one. The reason may be empty.
    Kick {
        user: UserName,
        room: Option<RoomName>,
        reason: String,
    },
    /// They cannot come back until they are unbanned.
    Ban {
        user: UserName,
        room: Option<RoomName>,
        reason: String,
    },
    Unban {
        user: UserName,
        room: Option<RoomName>,
    },
    Bans {
        room: Option<RoomName>,
    },
    /// The room is theirs from now on.
    Own {
        user: UserName,
        room: Option<RoomName>,
    },
    /// For everybody, and for good.
    Close {
        room: Option<RoomName>,
    },
    Invites,
    Accept {
        room: RoomName,
    },
    Decline {
        room: RoomName,
    },

    /// Ends the program; what is under way gets up to `patience_ms` milliseconds to be acknowledged.
    Quit {
        patience_ms: u32,
    },
}

/// Texts with every one of these words in them; the last may be the beginning of one. The newest of them are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    pub words: Vec<String>,
    pub from: Option<UserName>,
    pub target: Option<Target>,
    pub before: Option<UnixMillis>,
    pub after: Option<UnixMillis>,
    /// Lines around each that was found; what `None` means is the front-end's decision.
    pub context: Option<u32>,
}

/// A copy of what was said, of one conversation or of all, in a new file.
#[derive(Debug, Clone)]
pub struct Export {
    pub path: String,
    pub target: Option<Target>,
    pub since: Option<UnixMillis>,
    pub typeset: Typeset,
}

/// How messages are written into a file: a pure function of the front-end that asks, which travels with the question,
/// because nobody below knows what a line looks like. It is given the message before the first, if there was one.
#[derive(Clone, Copy)]
pub struct Typeset(pub fn(Option<&MessageShown>, &[MessageShown]) -> String);

impl fmt::Debug for Typeset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typeset")
    }
}
