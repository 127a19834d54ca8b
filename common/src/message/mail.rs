//! What an item of a mailbox says, once it is opened. It stands on its own: whoever reads it may never have met the
//! sender, and checks all of it as on a link.

use serde::{Deserialize, Serialize};

use super::event::WireEvent;
use super::peer::Have;
use crate::limits::EVENTS_PER_MESSAGE_MAX;
use crate::secure::certificate::Credentials;
use crate::wire::bounded::List;

/// A run of the sender's events for one conversation, or none, and what the sender holds of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Whose mail this is.
    pub credentials: Credentials,
    /// Which conversation it belongs to, and what the sender holds of the recipient's chains there: an acknowledgement.
    pub have: Have,
    /// The sender's membership, in a room.
    pub join: Option<WireEvent>,
    /// Of the chain of `events` the recipient is not served 1 to this number; 0 is nothing left out.
    pub skipped: u64,
    /// Consecutive events of one chain of the sender, ending in a signed one.
    pub events: List<WireEvent, EVENTS_PER_MESSAGE_MAX>,
    /// Mail of the recipient's came that begins after a hole: whatever `have` does not name is wanted again.
    pub again: bool,
}
