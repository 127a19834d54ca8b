//! The column `told` of the table `chains`: up to which number its messages were shown. What lies behind it, a program
//! had stored, and died before it had shown it.

use common::ids::{ChainId, ConversationId, IdentityKey};
use rusqlite::{Connection, params};

use super::ChainName;
use super::changes;
use super::events::{self, stored};
use super::fault::Fault;
use super::rows::column;
use crate::ports::StoredEvent;

/// What was shown stays shown.
pub(super) fn write(connection: &Connection, name: &ChainName, number: u64) -> Result<(), Fault> {
    let Some(chain) = events::find(connection, name)? else { return Ok(()) };
    let mut statement = connection.prepare_cached("UPDATE chains SET told = max(told, ?2) WHERE row = ?1")?;
    statement.execute(params![chain.row, column(number)])?;
    Ok(())
}

/// Messages that are not known to have been shown, in order of arrival, and what is about them.
pub(super) fn load(connection: &Connection) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), Fault> {
    let mut statement = connection.prepare_cached(UNTOLD)?;
    let mut found = statement.query([UNTOLD_MAX])?;
    let mut untold = Vec::new();
    while let Some(row) = found.next()? {
        let conversation = ConversationId(row.get(10)?);
        let name = ChainName { conversation, author: IdentityKey(row.get(8)?), chain: ChainId(row.get(9)?) };
        untold.push(stored(row, &name)?);
    }
    untold.reverse();
    let changes = changes::about(connection, &untold)?;
    Ok((untold, changes))
}

/// Of each chain only what lies behind its mark is looked at, by the index over chain and number. What is behind a hole
/// comes again with what fills it.
pub(super) const UNTOLD: &str = "
    SELECT events.number, events.id, events.lamport, at, kind, late, signature, bytes, author, chains.chain,
           conversations.id
    FROM chains CROSS JOIN events ON events.chain = chains.row AND events.number > chains.told
        AND events.number <= chains.number
    JOIN conversations ON conversations.row = chains.conversation
    WHERE events.kind IN (1, 2) ORDER BY events.row DESC LIMIT ?1";

/// More than a front-end and the queue to it hold back, and few enough for memory; the history has all.
const UNTOLD_MAX: u32 = 12_000;
