//! Between columns and the numbers and ids of the node. The table files call it; it knows no table but the one of
//! conversations, whose rows all others name.

use common::ids::ConversationId;
use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;

/// A number as a column holds it. What is beyond the largest is cut: only a liar's claim is ever that high, and it
/// stays the highest there is.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(column: i64) -> Result<u64, Fault> {
    u64::try_from(column).map_err(|_| Fault::Damaged)
}

/// The row of a conversation, if the log knows it.
pub(super) fn conversation_row(connection: &Connection, id: &ConversationId) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT row FROM conversations WHERE id = ?1")?;
    Ok(statement.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
}
