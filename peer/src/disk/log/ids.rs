//! The tables `ids` and `ids_kept`: finding an event by its id. Ids come in no order: kept one by one, each would cost a
//! page of its own, which is most of what a commit would write. So the table follows the log by rows, many at a time,
//! when the disk has nothing else to do or somebody looks; what it has not reached is looked through.

use common::ids::{ConversationId, EventId};
use common::message::event::{KIND_DELETE, KIND_EDIT, KIND_REACTION};
use rusqlite::{Connection, params};

use super::changes;
use super::fault::Fault;
use super::search::Progress;
use crate::ports::StoredEvent;

/// Takes the next rows in.
pub(super) fn follow(connection: &Connection) -> Result<Progress, Fault> {
    let (kept, newest) = progress(connection)?;
    let last = newest.min(kept.saturating_add(CHUNK_ROWS));
    if kept < last {
        connection.prepare_cached(TAKE_IN)?.execute((kept, last))?;
        connection.prepare_cached("UPDATE ids_kept SET row = ?1")?.execute([last])?;
    }
    Ok(if last < newest { Progress::More } else { Progress::Done })
}

/// Follows so far that little is left to be looked through. Where that cannot be written, there is more of it.
pub(super) fn keep_near(connection: &Connection) -> Result<(), Fault> {
    loop {
        let (kept, newest) = progress(connection)?;
        if newest - kept <= LOOKED_THROUGH_MAX {
            return Ok(());
        }
        let transaction = connection.unchecked_transaction()?;
        if let Err(fault) = follow(&transaction).and_then(|_| Ok(transaction.commit()?)) {
            tracing::warn!(?fault, "the index of ids could not be written");
            return Ok(());
        }
    }
}

/// Events whose ids are between two, both included: as many as it takes to see that there are several.
pub(super) fn between(connection: &Connection, first: &EventId, last: &EventId) -> Result<Vec<StoredEvent>, Fault> {
    let mut events = Vec::new();
    for select in [KEPT, NOT_KEPT] {
        let mut statement = connection.prepare_cached(select)?;
        let mut found = statement.query(params![first.as_bytes(), last.as_bytes()])?;
        while let Some(row) = found.next()? {
            events.push(changes::named(row, ConversationId(row.get(10)?))?);
        }
    }
    events.truncate(SEVERAL);
    Ok(events)
}

/// The rows up to which ids are kept, and of the newest event.
fn progress(connection: &Connection) -> Result<(i64, i64), Fault> {
    let mut statement =
        connection.prepare_cached("SELECT row, coalesce((SELECT max(row) FROM events), 0) FROM ids_kept")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// In the order of the ids: those that share a page come one after the other.
const TAKE_IN: &str = "
    INSERT OR IGNORE INTO ids (id, event)
    SELECT id, row FROM events WHERE row > ?1 AND row <= ?2 ORDER BY id";

macro_rules! select_named {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT events.number, events.id, events.lamport, at, kind, late, signature, bytes, author, chains.chain,
                    conversations.id
             FROM ",
            $from,
            " CROSS JOIN chains ON chains.row = events.chain
             CROSS JOIN conversations ON conversations.row = events.conversation
             WHERE kind IN (1, 2, 5, 6, 7) AND ",
            $rest
        )
    };
}

pub(super) const KEPT: &str = select_named!(
    "ids CROSS JOIN events ON events.row = ids.event",
    "ids.id BETWEEN ?1 AND ?2 ORDER BY ids.id LIMIT 2"
);

pub(super) const NOT_KEPT: &str = select_named!(
    "events",
    "events.row > (SELECT row FROM ids_kept WHERE one = 1) AND events.id BETWEEN ?1 AND ?2 LIMIT 2"
);

const SEVERAL: usize = 2;
/// Taken in at once: they are sorted in memory, and a commit may have to wait for them.
const CHUNK_ROWS: i64 = 4096;
/// Some hundred kilobytes, looked through in less than a millisecond.
const LOOKED_THROUGH_MAX: i64 = 1024;

const _: () = assert!(KIND_EDIT == 5 && KIND_DELETE == 6 && KIND_REACTION == 7);
