//! Questions to the log that need more than one chain or one conversation: searching, what is unread, writing a copy
//! into a file. The disk answers each on its own ticket, some of them later than what was asked after them.

use common::ids::{ConversationId, IdentityKey};
use common::time::UnixMillis;

use super::StoredEvent;

#[derive(Debug)]
pub enum Inquiry {
    Search(SearchFor),
    /// What arrived and was not read, of one conversation or of all; with the newest `lines` of each.
    Unread {
        conversation: Option<ConversationId>,
        lines: u32,
    },
    /// Makes the file at `path`, which must not be there yet, and answers with the first page.
    Export {
        path: String,
        conversation: Option<ConversationId>,
        not_before: Option<UnixMillis>,
    },
    /// Appends a page's text to the file of the export with this ticket, and answers with the next page.
    ExportText {
        text: String,
    },
}

/// Each with what is about the messages in it, as in a [`super::DiskReply::HistoryRead`].
#[derive(Debug)]
pub enum Answer {
    /// Oldest first.
    Found { found: Vec<FoundEvent>, changes: Vec<StoredEvent> },
    /// Conversations with something unread.
    Unread { unread: Vec<UnreadEvents>, changes: Vec<StoredEvent> },
    /// The next events in order of arrival. There may be none in a page that is not the last.
    ExportPage { events: Vec<StoredEvent>, changes: Vec<StoredEvent> },
    /// The file is whole and on the disk.
    Exported { path: String },
}

/// Texts and actions with every word in what they say by now; of these the newest.
#[derive(Debug, Clone, Default)]
pub struct SearchFor {
    /// A word with spaces in it is looked for as it stands.
    pub words: Vec<String>,
    pub conversation: Option<ConversationId>,
    /// Any of these wrote it; nobody in particular if it is `None`.
    pub authors: Option<Vec<IdentityKey>>,
    pub before: Option<UnixMillis>,
    pub after: Option<UnixMillis>,
    /// How many lines of its conversation before and behind each.
    pub context: u32,
}

#[derive(Debug)]
pub struct FoundEvent {
    pub before: Vec<StoredEvent>,
    pub event: StoredEvent,
    pub after: Vec<StoredEvent>,
}

/// What others said in one conversation and I did not read. Counted up to [`UNREAD_COUNTED_MAX`].
#[derive(Debug)]
pub struct UnreadEvents {
    pub conversation: ConversationId,
    pub count: u32,
    /// How many of them have my name in what they say by now, and the newest of these.
    pub mentions: u32,
    pub mentioning: Vec<StoredEvent>,
    pub authors: Vec<(IdentityKey, u32)>,
    pub first: StoredEvent,
    /// Oldest first.
    pub newest: Vec<StoredEvent>,
    /// Where the last of them stands in the log's own order of arrival; for [`super::Write::Read`] alone.
    pub up_to: u64,
}

/// More unread lines than this nobody counts, and each is read once at the start of the program.
pub const UNREAD_COUNTED_MAX: u32 = 1000;

/// A search shows the newest of what it finds; another word finds less.
pub const FOUND_MAX: usize = 50;

/// Lines with my name in them that one conversation adds to a catching-up.
pub const MENTIONS_MAX: usize = 20;
