//! What two peers say to each other once their link is sealed. One enum for both directions; the node builds and
//! takes all of it except `Ping` and `Pong`, which the link threads answer themselves.

use serde::{Deserialize, Serialize};

use super::event::WireEvent;
use super::receipt::Receipts;
use super::room::{Genesis, LogEntry};
use crate::ids::{ChainId, ConversationId, EntryId, EventId, IdentityKey, RoomId};
use crate::limits::{ENTRIES_PER_PAGE, EVENTS_PER_MESSAGE_MAX, HOLDINGS_MAX, REASON_BYTES_MAX};
use crate::secure::certificate::Credentials;
use crate::secure::sign::Signed;
use crate::wire::bounded::{List, Text};

/// The first thing each end says. The answerer's carries its credentials; the dialler's were in the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The program's version, for people; decides nothing.
    pub version: Text<32>,
    /// Additions to this protocol that the sender understands; unknown ones are ignored.
    pub capabilities: List<Text<32>, 32>,
    pub credentials: Option<Credentials>,
}

/// Any message after that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    Hello(Box<Hello>),
    /// I am in this room: here is its genesis and my membership. A member answers with its own and a `Have`;
    /// anybody else says nothing.
    RoomHello {
        room: RoomId,
        genesis: Box<Signed<Genesis>>,
        join: WireEvent,
    },
    /// What I hold of this conversation, on disk: an acknowledgement to each author, the request for everything of
    /// the receiver's after it, and the offer of everything else up to it.
    Have(Have),
    /// I lack this; you said that you hold it. Answered with one `Events`, which is empty if there is nothing to serve.
    Want(Want),
    /// The newest join of whoever's chain was wanted from number 1 in this room, and the newest part, if there is one:
    /// comes before the answer, for somebody who was not told of that member.
    Member {
        room: RoomId,
        join: WireEvent,
        part: Option<WireEvent>,
    },
    /// Consecutive events of one chain, ending in a signed one: the sender's own, what was wanted, or what is passed on
    /// in a large room.
    Events(Events),
    /// What others, or I, have of an author's: to be handed on to that author.
    Receipts(Receipts),
    /// Of this chain you are not served what lies up to and including `number`: it is from before you came.
    Skip {
        conversation: ConversationId,
        chain: ChainId,
        number: u64,
    },
    /// Entries of a room owner's log, consecutive.
    RoomLog {
        room: RoomId,
        entries: List<Signed<LogEntry>, ENTRIES_PER_PAGE>,
    },
    /// I lack entries of this room's log from number `from` on, and you named some of them as known.
    WantLog {
        room: RoomId,
        from: u32,
    },
    /// I am away (with a word), or back.
    Status {
        away: Option<Text<REASON_BYTES_MAX>>,
    },
    Ping,
    Pong,
    /// I close this link on purpose.
    Bye,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    pub conversation: ConversationId,
    /// Entries of the room owner's log that I know; 0 in a conversation of two.
    pub head: u32,
    /// The last of them, if there is one: two people who name different ones were told different things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
    pub holdings: List<Holding, HOLDINGS_MAX>,
}

/// Of this author's chain I hold 1 to `number` without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub author: IdentityKey,
    pub chain: ChainId,
    pub number: u64,
    /// The event there, if it is known: two holders who name different ones were told different things.
    pub last: Option<EventId>,
}

/// A request for a chain from number `from` on, whoever is its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    pub conversation: ConversationId,
    pub author: IdentityKey,
    pub chain: ChainId,
    /// 1 asks for the beginning, or for where the history open to the asker begins.
    pub from: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    pub conversation: ConversationId,
    /// The author sends these much later than they were written.
    pub late: bool,
    pub events: List<WireEvent, EVENTS_PER_MESSAGE_MAX>,
}
