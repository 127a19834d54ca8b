//! The answers to "where is it" and "why not": the way of one message, and the state of one link.

use std::net::SocketAddr;

use common::ids::EventId;
use common::names::UserName;
use common::time::UnixMillis;

use super::Target;

/// The way of one message, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceShown {
    pub conversation: Target,
    pub id: EventId,
    pub from: UserName,
    /// When it was written, by its author's clock.
    pub at: UnixMillis,
    pub own: bool,
    pub steps: Vec<StepShown>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepShown {
    /// The recipient that the step leads to; `None` where it leads to me or my disk.
    pub to: Option<UserName>,
    pub state: StepState,
    /// By our clock, but for [`StepState::Written`]; `None` if it was not noted.
    pub at: Option<UnixMillis>,
    /// The address of the link.
    pub route: Option<SocketAddr>,
    /// Who brought it, for [`StepState::Received`].
    pub via: Option<Via>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// By its author.
    Written,
    /// On my disk, as my own.
    Accepted,
    /// Waits on my disk: no link has taken it.
    Queued,
    /// Went out on a link, and is not acknowledged.
    Sent,
    /// Left in the recipient's mailbox.
    Mailed,
    /// On the recipient's disk.
    Delivered,
    Received,
    /// On my disk, as somebody else's.
    Stored,
}

/// Who brought a message of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Its author, on the link between us.
    Author,
    /// Another member, who had it.
    Member(UserName),
    /// My mailbox at the registry.
    Mailbox,
}

/// The link with one person, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyShown {
    pub user: UserName,
    pub state: WhyState,
    /// The same in words, with all there is to say.
    pub text: String,
    /// Of the live link.
    pub address: Option<SocketAddr>,
    /// What each address answered to the last attempt.
    pub tried: Vec<Tried>,
    /// My messages that wait for them.
    pub waiting: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub address: String,
    pub error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyState {
    Linked,
    /// A link is being made.
    Dialing,
    /// Making one failed; it is tried again after a pause.
    Waiting,
    /// Not online, as far as anybody knows.
    Offline,
    /// Their key changed.
    Blocked,
    /// The registry cannot be asked where they are.
    RegistryAway,
    /// They are there, and there is nothing to say to them.
    Idle,
}
