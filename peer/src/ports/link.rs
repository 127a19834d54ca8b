//! Links to other peers, as the node sees them: authenticated before the node hears of them.

use std::net::SocketAddr;
use std::sync::Arc;

use common::ids::RootKey;
use common::message::peer::PeerMessage;
use common::secure::certificate::{Credentials, Person};
use common::secure::identity::Keys;

/// A link, numbered by the engine; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// An attempt to reach somebody, numbered by the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Which end opened a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Dialed,
    Answered,
}

/// Who we are on links: needed to dial and to answer.
#[derive(Debug, Clone)]
pub struct LocalIdentity {
    pub keys: Keys,
    pub credentials: Credentials,
    /// Whose certificates count.
    pub root: RootKey,
}

#[derive(Debug)]
pub enum LinkInput {
    /// Both ends have proven who they are.
    Up { link: LinkId, person: Person, credentials: Box<Credentials>, direction: Direction, address: SocketAddr },
    /// Everything that one read brought, in order.
    Received { link: LinkId, messages: Vec<PeerMessage> },
    /// The link is gone; `clean` if the other end said `Bye`.
    Down { link: LinkId, clean: bool, reason: String },
    /// No address of an attempt led to a link, with what each said, in words. A successful one is an `Up`.
    DialFailed { dial: DialId, tried: Vec<(SocketAddr, String)> },
}

#[derive(Debug)]
pub enum LinkOutput {
    /// Dials and answers are made as this person from now on; as nobody with `None`.
    Identity(Option<Box<LocalIdentity>>),
    /// Tries all addresses at once.
    Dial {
        dial: DialId,
        person: Box<Person>,
        addresses: Vec<SocketAddr>,
    },
    Send {
        link: LinkId,
        message: PeerMessage,
    },
    /// The same for what goes out on several links, one after the other: it is made into bytes once.
    SendShared {
        link: LinkId,
        message: Arc<PeerMessage>,
    },
    /// Sends what is queued and `Bye`, then closes.
    Close {
        link: LinkId,
    },
    /// The other end broke the protocol: closes at once.
    Cut {
        link: LinkId,
        reason: String,
    },
}
