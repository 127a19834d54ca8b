//! What became of a message after it was said: each act as it is told, and their sum as a history shows it.

use common::ids::EventId;
use common::names::UserName;
use common::time::UnixMillis;

use super::Target;

/// One act upon a message. It counts: whoever did it may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeShown {
    pub conversation: Target,
    /// The message.
    pub id: EventId,
    /// What the message said until then.
    pub before: String,
    /// The act itself; deliveries of it carry this id.
    pub event: EventId,
    pub from: UserName,
    pub act: Act,
    pub at: UnixMillis,
    pub own: bool,
    pub late: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Edited {
        text: String,
    },
    Deleted,
    /// An empty word takes back what was said before.
    Reacted {
        word: String,
    },
}

/// The sum of the acts upon one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The text is not the first one.
    pub edited: bool,
    /// The text is no longer shown.
    pub deleted: bool,
    /// Each word, and who said it.
    pub reactions: Vec<(String, Vec<UserName>)>,
}
