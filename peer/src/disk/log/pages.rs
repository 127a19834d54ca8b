//! Reading events of more than one chain: the one form of row that searches, unread lines and exports share.

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::time::UnixMillis;
use rusqlite::{Params, Row};

use super::fault::{Deed, Fault};
use super::rows::{self, column};
use super::{ChainName, Log, changes, events};
use crate::ports::{Answer, DiskError, StoredEvent};

/// Texts and actions with the names of their chain and conversation; what follows says which, and in what order.
macro_rules! select_shown {
    ($rest:literal) => {
        concat!(
            "SELECT events.number, events.id, events.lamport, events.at, events.kind, events.late, events.signature,
                    events.bytes, chains.author, chains.chain, conversations.id, events.row, chains.own
             FROM events CROSS JOIN chains ON chains.row = events.chain
             CROSS JOIN conversations ON conversations.row = events.conversation
             WHERE kind IN (1, 2) AND ",
            $rest
        )
    };
}
pub(super) use select_shown;

/// How far a copy of the log has come.
#[derive(Debug, Clone)]
pub(in crate::disk) struct Page {
    /// The row of one conversation, or everything.
    conversation: Option<i64>,
    not_before: i64,
    /// The last row that was read, and the last there is to read: what arrives meanwhile is not waited for.
    last: i64,
    end: i64,
}

/// Row and event of a row that begins as `select_shown` says.
pub(super) fn shown(row: &Row<'_>) -> Result<(i64, StoredEvent), Fault> {
    let (author, chain) = (IdentityKey(row.get(8)?), ChainId(row.get(9)?));
    let name = ChainName { conversation: ConversationId(row.get(10)?), author, chain };
    Ok((row.get(11)?, events::stored(row, &name)?))
}

/// All that a statement of `select_shown` finds.
pub(super) fn read(
    connection: &rusqlite::Connection,
    select: &str,
    parameters: impl Params,
) -> Result<Vec<StoredEvent>, Fault> {
    let mut statement = connection.prepare_cached(select)?;
    let mut found = statement.query(parameters)?;
    let mut events = Vec::new();
    while let Some(row) = found.next()? {
        events.push(shown(row)?.1);
    }
    Ok(events)
}

impl Page {
    /// Whether everything was read.
    pub(in crate::disk) fn is_last(&self) -> bool {
        self.last >= self.end
    }
}

impl Log {
    /// Where a copy of everything, or of one conversation, begins and ends.
    pub(in crate::disk) fn first_page(
        &self,
        conversation: Option<ConversationId>,
        not_before: Option<UnixMillis>,
    ) -> Result<Page, DiskError> {
        let begin = || -> Result<Page, Fault> {
            let end = self.connection.query_row("SELECT coalesce(max(row), 0) FROM events", [], |row| row.get(0))?;
            let known = conversation.map(|id| rows::conversation_row(&self.connection, &id)).transpose()?;
            let not_before = column(not_before.unwrap_or_default().0);
            // No row is that of a conversation that the log does not know.
            let conversation = known.map(|row| row.unwrap_or(0));
            Ok(Page { conversation, not_before, last: 0, end })
        };
        begin().map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// The next events of a copy, in order of arrival.
    pub(in crate::disk) fn next_page(&self, page: &mut Page) -> Result<Answer, DiskError> {
        let read = || {
            let events = self.read_page(page)?;
            Ok(Answer::ExportPage { changes: changes::about(&self.connection, &events)?, events })
        };
        let read: Result<_, Fault> = { read }();
        read.map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    fn read_page(&self, page: &mut Page) -> Result<Vec<StoredEvent>, Fault> {
        let until = page.end.min(page.last.saturating_add(PAGE_ROWS_MAX));
        let select = match page.conversation {
            None => EVERYTHING,
            Some(_) => ONE_CONVERSATION,
        };
        let mut statement = self.connection.prepare_cached(select)?;
        let conversation = page.conversation.unwrap_or(0);
        let mut found = statement.query((page.last, until, page.not_before, conversation))?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            let (row, event) = shown(row)?;
            page.last = row;
            bytes += event.wire.bytes.len();
            events.push(event);
            if bytes >= PAGE_BYTES_MAX {
                return Ok(events);
            }
        }
        page.last = until;
        Ok(events)
    }
}

const EVERYTHING: &str =
    select_shown!("events.row > ?1 AND events.row <= ?2 AND events.at >= ?3 AND ?4 = 0 ORDER BY events.row");

const ONE_CONVERSATION: &str = select_shown!(
    "events.row > ?1 AND events.row <= ?2 AND events.at >= ?3 AND events.conversation = ?4 ORDER BY events.row"
);

/// A page takes a few milliseconds, for which a commit may have to wait: this many rows are looked at, and this many
/// bytes of what was said are handed over.
const PAGE_ROWS_MAX: i64 = 2000;
const PAGE_BYTES_MAX: usize = 256 * 1024;
