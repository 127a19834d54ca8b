//! The table `steps`: when runs of events were sent, delivered and received, and by which way. For `/trace` only:
//! nothing depends on it, and the oldest go when there are many.

use std::net::SocketAddr;

use common::ids::IdentityKey;
use common::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::ChainName;
use super::events;
use super::fault::Fault;
use super::receipts;
use super::rows::{self, column};
use crate::ports::{ONE_RUN_WITHIN_MS, Step, StepRun};

/// Notes a run; one that goes on where the newest of its kind ends makes that longer. A chain that is not there has
/// nothing to be noted of.
pub(super) fn write(connection: &Connection, run: &StepRun) -> Result<(), Fault> {
    let name = ChainName { conversation: run.conversation, author: run.author, chain: run.chain };
    let Some(chain) = events::find(connection, &name)? else { return Ok(()) };
    let route = run.route.map(|route| route.to_string());
    let (first, last, at) = (column(run.first), column(run.last), column(run.at.0));
    let mut longer = connection.prepare_cached(
        "UPDATE steps SET last = ?5 WHERE row = (
             SELECT row FROM steps WHERE chain = ?1 AND step = ?2 AND party = ?3 ORDER BY row DESC LIMIT 1)
         AND last = ?4 - 1 AND route IS ?6 AND abs(at - ?7) < ?8",
    )?;
    let within = column(ONE_RUN_WITHIN_MS);
    let party = run.party.as_bytes();
    if longer.execute(params![chain.row, code(run.step), party, first, last, route, at, within])? > 0 {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO steps (chain, step, party, first, last, at, route) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let row = statement.insert(params![chain.row, code(run.step), party, first, last, at, route])?;
    if row % PRUNE_EVERY == 0 {
        connection.prepare_cached("DELETE FROM steps WHERE row <= ?1")?.execute([row - ROWS_MAX])?;
    }
    Ok(())
}

/// The recipients of event `number` if it is mine, and its steps, oldest first.
pub(super) fn read(
    connection: &Connection,
    name: &ChainName,
    number: u64,
) -> Result<(Vec<IdentityKey>, Vec<StepRun>), Fault> {
    let Some(chain) = events::find(connection, name)? else { return Ok(Default::default()) };
    let mut statement = connection.prepare_cached(
        "SELECT first, last, step, party, at, route FROM steps
         WHERE chain = ?1 AND last >= ?2 AND first <= ?2 ORDER BY at, row LIMIT ?3",
    )?;
    let mut found = statement.query(params![chain.row, column(number), STEPS_MAX])?;
    let mut steps = Vec::new();
    while let Some(row) = found.next()? {
        let route: Option<String> = row.get(5)?;
        steps.push(StepRun {
            conversation: name.conversation,
            author: name.author,
            chain: name.chain,
            first: rows::number(row.get(0)?)?,
            last: rows::number(row.get(1)?)?,
            step: step(row.get(2)?).ok_or(Fault::Damaged)?,
            party: IdentityKey(row.get(3)?),
            at: UnixMillis(rows::number(row.get(4)?)?),
            route: route.and_then(|route| route.parse::<SocketAddr>().ok()),
        });
    }
    Ok((recipients(connection, chain.row, number)?, steps))
}

fn recipients(connection: &Connection, chain: i64, number: u64) -> Result<Vec<IdentityKey>, Fault> {
    let identities: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT identities FROM recipients WHERE chain = ?1 AND since <= ?2 ORDER BY since DESC LIMIT 1",
        )?
        .query_row(params![chain, column(number)], |row| row.get(0))
        .optional()?;
    receipts::identities(&identities.unwrap_or_default())
}

fn code(step: Step) -> i64 {
    match step {
        Step::Sent => 1,
        Step::Mailed => 2,
        Step::Delivered => 3,
        Step::Received => 4,
        Step::Fetched => 5,
    }
}

fn step(code: i64) -> Option<Step> {
    let steps = [Step::Sent, Step::Mailed, Step::Delivered, Step::Received, Step::Fetched];
    steps.into_iter().find(|step| self::code(*step) == code)
}

/// Some weeks of a busy person, and a few megabytes.
const ROWS_MAX: i64 = 100_000;
const PRUNE_EVERY: i64 = 1_000;

/// A few for each member of the largest room.
const STEPS_MAX: i64 = 4096;

const _: () = assert!(STEPS_MAX >= common::limits::MEMBERS_MAX as i64 * 8);
