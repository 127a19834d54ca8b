//! What the registry is asked for: each request under way has its call, and the answer goes on from there.

use common::ids::{ConversationId, RoomId};
use common::message::registry::{Invitation, RoomSummary};
use common::message::room::{Invite, LogEntry};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;

use super::mail::Letter;
use super::moderation::Decision;
use crate::api::{MessageKind, NewRoom};

/// What a request was for.
#[derive(Debug)]
pub(super) enum Call {
    Resume,
    /// The account, of a registry that has lost it.
    Reclaim,
    /// Other keys of the account.
    Rotate,
    Renew,
    /// Nothing follows from the answer.
    Routine,
    /// Whether the connection is alive.
    Ping,
    /// A membership that the registry does not have.
    Present {
        room: ConversationId,
    },
    /// A room that it has lost, and each entry of the log of one.
    BringBack {
        room: ConversationId,
    },
    BringEntry {
        room: ConversationId,
        number: u32,
    },
    /// In which rooms it has me; the page after `after`.
    Memberships {
        after: Option<RoomId>,
        pages: u32,
    },
    /// A leave that the registry may not have heard of.
    PartAgain,
    /// With which key I go on in a room of mine.
    SignAnew {
        room: ConversationId,
        entry: Box<Signed<LogEntry>>,
    },
    Watch,
    SeeInvites,
    LookUpToDial {
        user: UserName,
    },
    /// Only to know where they can be found without a registry.
    LookUpToRemember {
        user: UserName,
    },
    MembersOf {
        room: ConversationId,
        announce: bool,
        place: PagePlace,
    },
    LogOf {
        room: ConversationId,
        from: u32,
    },
    /// What came for me.
    Mail,
    LookUpToMail {
        user: UserName,
    },
    PutMail {
        letter: Box<Letter>,
    },

    /// Whose invitation it is.
    LogOfInvitation {
        invitation: Box<Invitation>,
    },

    // From here on a command waits for the answer.
    Who {
        pattern: Option<String>,
        users: Vec<UserName>,
    },
    WhoIs {
        user: UserName,
    },
    LookUpToExplain {
        user: UserName,
    },
    LookUpToSay {
        user: UserName,
        text: String,
        kind: MessageKind,
    },
    LookUpToQuery {
        user: UserName,
        text: Option<String>,
    },
    LookUpToVerify {
        user: UserName,
        digits: Option<String>,
    },
    LookUpToInvite {
        user: UserName,
        room: ConversationId,
    },
    LookUpToModerate {
        user: UserName,
        room: ConversationId,
        decision: Decision,
    },
    Rooms {
        pattern: Option<String>,
        rooms: Vec<RoomSummary>,
    },
    FindToCreate(Box<NewRoom>),
    Create {
        room: ConversationId,
        topic: Option<String>,
    },
    FindToJoin {
        room: RoomName,
        invited: bool,
    },
    /// What the owner decided so far, for somebody who is about to join.
    LogToJoin {
        room: ConversationId,
        invite: Option<Box<Signed<Invite>>>,
        invited: bool,
    },
    Join {
        room: ConversationId,
    },
    JoinMembers {
        room: ConversationId,
        place: PagePlace,
    },
    JoinLog {
        room: ConversationId,
    },
    Part {
        room: ConversationId,
    },
    AddEntry {
        entry: Box<Signed<LogEntry>>,
    },
    /// The topic a room is made with; then it is entered.
    FirstTopic {
        room: ConversationId,
        entry: Box<Signed<LogEntry>>,
    },
    Invite {
        room: ConversationId,
        user: UserName,
    },
    Invites,
    InvitesToDecline {
        room: RoomName,
    },
    Decline {
        room: RoomName,
    },
    ChangePassword,
}

/// Where in a list of people a page is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct PagePlace {
    pub(super) after: Option<UserName>,
    pub(super) pages: u32,
}

impl PagePlace {
    /// The place behind a page that ends with `last`, unless the list has gone on for too long: of a room's people only
    /// so many are remembered.
    pub(super) fn behind(&self, last: &UserName) -> Option<Self> {
        (self.pages < PAGES_MAX).then(|| Self { after: Some(last.clone()), pages: self.pages + 1 })
    }
}

/// Four thousand people who are in a room or were.
pub(super) const PAGES_MAX: u32 = 256;

impl Call {
    pub(super) fn is_command(&self) -> bool {
        !matches!(
            self,
            Self::Resume
                | Self::Reclaim
                | Self::Rotate
                | Self::SignAnew { .. }
                | Self::Renew
                | Self::Routine
                | Self::Ping
                | Self::Present { .. }
                | Self::BringBack { .. }
                | Self::BringEntry { .. }
                | Self::Memberships { .. }
                | Self::PartAgain
                | Self::Watch
                | Self::SeeInvites
                | Self::LookUpToDial { .. }
                | Self::LookUpToRemember { .. }
                | Self::MembersOf { .. }
                | Self::LogOf { .. }
                | Self::LogOfInvitation { .. }
                | Self::Mail
                | Self::LookUpToMail { .. }
                | Self::PutMail { .. }
        )
    }
}
