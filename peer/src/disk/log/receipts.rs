//! The tables `recipients`, `acknowledged` and `mailed`: for whom my events are, who has them, and whose mailbox. Acknowledgements are
//! cumulative, and the recipients rarely change from one event to the next; so nothing is written per event, and what
//! is pending follows from both tables without looking at what is not.

use std::collections::BTreeMap;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use super::rows::{self, column};
use crate::ports::{MailedRun, Pending};

/// How far my chain has come to its recipients.
#[derive(Debug)]
pub(super) struct Receipts {
    pub(super) acked: Vec<(IdentityKey, u64)>,
    pub(super) pending: Vec<Pending>,
    pub(super) mailed: Vec<(IdentityKey, Vec<MailedRun>)>,
}

/// My event `number` is for `recipients`. Events come in the order of their numbers.
pub(super) fn write_recipients(
    connection: &Connection,
    chain: i64,
    number: i64,
    recipients: &[IdentityKey],
) -> Result<(), Fault> {
    let mut recipients = recipients.to_vec();
    recipients.sort_unstable();
    recipients.dedup();
    let identities: Vec<u8> = recipients.iter().flat_map(|identity| identity.0).collect();
    let before: Option<Vec<u8>> = connection
        .prepare_cached("SELECT identities FROM recipients WHERE chain = ?1 ORDER BY since DESC LIMIT 1")?
        .query_row([chain], |row| row.get(0))
        .optional()?;
    if before.as_ref() != Some(&identities) {
        connection
            .prepare_cached("INSERT INTO recipients (chain, since, identities) VALUES (?1, ?2, ?3)")?
            .execute(params![chain, number, identities])?;
    }
    Ok(())
}

/// Nobody can hold more of my chain than there is; a claim about a chain that is not mine is nothing to keep.
pub(super) fn write_acknowledged(
    connection: &Connection,
    conversation: &ConversationId,
    chain: &ChainId,
    recipient: &IdentityKey,
    number: u64,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO acknowledged (chain, recipient, number)
         SELECT chains.row, ?3, min(?4, chains.number) FROM chains JOIN conversations ON conversation = conversations.row
         WHERE id = ?1 AND chain = ?2 AND own = 1
         ON CONFLICT DO UPDATE SET number = max(number, excluded.number)",
    )?;
    statement.execute(params![conversation.as_bytes(), chain.as_bytes(), recipient.as_bytes(), column(number)])?;
    Ok(())
}

/// What was left in a mailbox, all of it anew: there are few rows, and old ones go.
pub(super) fn write_mailed(
    connection: &Connection,
    conversation: &ConversationId,
    chain: &ChainId,
    recipient: &IdentityKey,
    runs: &[MailedRun],
) -> Result<(), Fault> {
    let row: Option<i64> = connection
        .prepare_cached(
            "SELECT chains.row FROM chains JOIN conversations ON conversation = conversations.row
             WHERE id = ?1 AND chain = ?2 AND own = 1",
        )?
        .query_row(params![conversation.as_bytes(), chain.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(row) = row else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM mailed WHERE chain = ?1 AND recipient = ?2")?
        .execute(params![row, recipient.as_bytes()])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO mailed (chain, recipient, number, at) VALUES (?1, ?2, ?3, ?4)")?;
    for run in runs {
        insert.execute(params![row, recipient.as_bytes(), column(run.number), column(run.at.0)])?;
    }
    Ok(())
}

/// Who has acknowledged how much of my chain, and the events that not every recipient has.
pub(super) fn load(connection: &Connection, chain: i64, head: u64) -> Result<Receipts, Fault> {
    let acknowledged = load_acknowledged(connection, chain)?;
    let runs = load_runs(connection, chain)?;
    let mut pending = Vec::new();
    for (index, (since, recipients)) in runs.iter().enumerate() {
        let end = runs.get(index + 1).map_or(head, |(next, _)| next - 1);
        let held_by_all = recipients.iter().map(|identity| acknowledged.get(identity).copied().unwrap_or(0)).min();
        // An event for nobody waits for nobody.
        let Some(held_by_all) = held_by_all else { continue };
        for (number, id) in load_ids(connection, chain, (*since).max(held_by_all + 1), end)? {
            pending.push(Pending { number, id, recipients: recipients.clone() });
        }
    }
    let mailed = load_mailed(connection, chain)?;
    Ok(Receipts { acked: acknowledged.into_iter().collect(), pending, mailed })
}

fn load_acknowledged(connection: &Connection, chain: i64) -> Result<BTreeMap<IdentityKey, u64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT recipient, number FROM acknowledged WHERE chain = ?1")?;
    let mut found = statement.query([chain])?;
    let mut acknowledged = BTreeMap::new();
    while let Some(row) = found.next()? {
        acknowledged.insert(IdentityKey(row.get(0)?), rows::number(row.get(1)?)?);
    }
    Ok(acknowledged)
}

fn load_mailed(connection: &Connection, chain: i64) -> Result<Vec<(IdentityKey, Vec<MailedRun>)>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT recipient, number, at FROM mailed WHERE chain = ?1 ORDER BY recipient, number")?;
    let mut found = statement.query([chain])?;
    let mut mailed: Vec<(IdentityKey, Vec<MailedRun>)> = Vec::new();
    while let Some(row) = found.next()? {
        let recipient = IdentityKey(row.get(0)?);
        let run = MailedRun { number: rows::number(row.get(1)?)?, at: UnixMillis(rows::number(row.get(2)?)?) };
        match mailed.last_mut().filter(|(last, _)| *last == recipient) {
            Some((_, runs)) => runs.push(run),
            None => mailed.push((recipient, vec![run])),
        }
    }
    Ok(mailed)
}

/// From which number on my events are for whom, ascending.
fn load_runs(connection: &Connection, chain: i64) -> Result<Vec<(u64, Vec<IdentityKey>)>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT since, identities FROM recipients WHERE chain = ?1 ORDER BY since")?;
    let mut found = statement.query([chain])?;
    let mut runs = Vec::new();
    while let Some(row) = found.next()? {
        let recipients: Vec<u8> = row.get(1)?;
        runs.push((rows::number(row.get(0)?)?, identities(&recipients)?));
    }
    Ok(runs)
}

/// The recipients in a column.
pub(super) fn identities(column: &[u8]) -> Result<Vec<IdentityKey>, Fault> {
    let (keys, rest) = column.as_chunks::<{ IdentityKey::LENGTH }>();
    if rest.is_empty() { Ok(keys.iter().copied().map(IdentityKey).collect()) } else { Err(Fault::Damaged) }
}

fn load_ids(connection: &Connection, chain: i64, first: u64, end: u64) -> Result<Vec<(u64, EventId)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number, id FROM events WHERE chain = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number",
    )?;
    let mut found = statement.query(params![chain, column(first), column(end)])?;
    let mut ids = Vec::new();
    while let Some(row) = found.next()? {
        ids.push((rows::number(row.get(0)?)?, EventId(row.get(1)?)));
    }
    Ok(ids)
}
