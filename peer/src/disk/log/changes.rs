//! The table `changes`: which edits, deletions and reactions are about which message. Written with each such event;
//! whether one counts is the node's to say, which knows who may change what.

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::event::{Content, KIND_DELETE, KIND_EDIT, KIND_REACTION};
use rusqlite::{Connection, Row, params};

use super::events::stored;
use super::fault::Fault;
use super::{ChainName, ids, rows};
use crate::ports::{StoredEvent, Wanted};

/// Remembers what the event in row `event` is about, if it is about another one. The target may still be to come.
pub(super) fn note(connection: &Connection, conversation: i64, event: i64, stored: &StoredEvent) -> Result<(), Fault> {
    if !matches!(stored.kind, KIND_EDIT | KIND_DELETE | KIND_REACTION) {
        return Ok(());
    }
    let content = stored.wire.claim().and_then(|event| event.content()).ok();
    let Some(target) = content.as_ref().and_then(Content::target) else {
        return Err(Fault::Refused("a change of a message does not say which"));
    };
    let mut statement =
        connection.prepare_cached("INSERT INTO changes (event, conversation, target) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![event, conversation, target.as_bytes()])?;
    Ok(())
}

/// What is about these messages: of each author the newest of each kind, so that nobody can fill a reader's memory.
pub(super) fn about(connection: &Connection, events: &[StoredEvent]) -> Result<Vec<StoredEvent>, Fault> {
    let mut changes = Vec::new();
    let mut statement = connection.prepare_cached(ABOUT)?;
    for event in events {
        let Some(conversation) = rows::conversation_row(connection, &event.conversation)? else { continue };
        let mut found = statement.query(params![conversation, event.id.as_bytes()])?;
        while let Some(row) = found.next()? {
            changes.push(named(row, event.conversation)?);
        }
    }
    Ok(changes)
}

/// Single messages, oldest first.
pub(super) fn wanted(connection: &Connection, wanted: &Wanted) -> Result<Vec<StoredEvent>, Fault> {
    match wanted {
        Wanted::Ids(wanted) => {
            ids::keep_near(connection)?;
            let found: Result<Vec<_>, Fault> = wanted.iter().map(|id| ids::between(connection, id, id)).collect();
            Ok(found?.into_iter().flatten().collect())
        }
        Wanted::Between { first, last } => {
            ids::keep_near(connection)?;
            ids::between(connection, first, last)
        }
        Wanted::Newest { conversation, author, back } => {
            let Some(row) = rows::conversation_row(connection, conversation)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(NEWEST)?;
            let author = author.as_ref().map(IdentityKey::as_bytes);
            let mut found = statement.query(params![row, author, back])?;
            let event = found.next()?.map(|row| named(row, *conversation)).transpose()?;
            Ok(event.into_iter().collect())
        }
    }
}

/// An event whose row goes on with author and chain.
pub(super) fn named(row: &Row<'_>, conversation: ConversationId) -> Result<StoredEvent, Fault> {
    let name = ChainName { conversation, author: IdentityKey(row.get(8)?), chain: ChainId(row.get(9)?) };
    stored(row, &name)
}

/// Beside `max`, SQLite takes the other columns from the row that has it.
pub(super) const ABOUT: &str = "
    SELECT events.number, events.id, max(events.lamport), at, kind, late, signature, bytes, author, chains.chain
    FROM changes JOIN events ON events.row = changes.event JOIN chains ON chains.row = events.chain
    WHERE changes.conversation = ?1 AND changes.target = ?2 GROUP BY author, kind ORDER BY events.row";

pub(super) const NEWEST: &str = "
    SELECT events.number, events.id, events.lamport, at, kind, late, signature, bytes, author, chains.chain
    FROM events JOIN chains ON chains.row = events.chain
    WHERE events.conversation = ?1 AND kind IN (1, 2) AND (?2 IS NULL OR author = ?2)
    ORDER BY events.row DESC LIMIT 1 OFFSET ?3";
