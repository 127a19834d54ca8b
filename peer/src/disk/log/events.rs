//! The tables `chains` and `events`: what was said. A chain's row says up to where it is held without holes; it only
//! ever advances, and an event that is there never changes.

use std::sync::LazyLock;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey, Signature};
use common::message::event::{KIND_ACTION, KIND_TEXT, NO_EVENT, WireEvent};
use common::time::UnixMillis;
use common::wire::bounded::Blob;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::changes;
use super::fault::Fault;
use super::receipts::{self, Receipts};
use super::rows::{self, column};
use super::{ChainName, ChainRead};
use crate::ports::{OwnChain, StoredEvent, TheirChain};

/// A chain's row before a change.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) row: i64,
    conversation: i64,
    number: i64,
    own: bool,
}

/// The chains of one conversation.
#[derive(Debug, Default)]
pub(super) struct LoadedChains {
    pub(super) own: Vec<OwnChain>,
    pub(super) theirs: Vec<TheirChain>,
    pub(super) lamport: u64,
}

/// Appends events in one transaction. Those of one chain mostly come one after the other: its row is looked up before
/// the first and moved forward behind the last, the statements that write them stay at hand, and where nothing can be in
/// the way, many go into one of them.
pub(super) struct Appending<'c, 'w> {
    connection: &'c Connection,
    open: Option<Open>,
    insert: Option<CachedStatement<'c>>,
    insert_many: Option<CachedStatement<'c>>,
    /// The last of the open chain, whose places are free for certain: not written yet.
    gathered: Vec<&'w StoredEvent>,
}

/// A chain that is being appended to.
#[derive(Debug)]
struct Open {
    name: ChainName,
    chain: Chain,
    /// Held without holes up to here, and the event there, as the row will say.
    number: i64,
    last: Option<EventId>,
    lamport: i64,
    /// Nothing behind `number` is held.
    is_end: bool,
    /// For whom the last event of mine was.
    recipients: Option<Vec<IdentityKey>>,
}

impl<'c, 'w> Appending<'c, 'w> {
    pub(super) fn begin(connection: &'c Connection) -> Self {
        Self { connection, open: None, insert: None, insert_many: None, gathered: Vec::new() }
    }

    /// Appends an event. My own come with their recipients and only right after the one before: a hole in my own chain
    /// could never be mended.
    pub(super) fn write(&mut self, event: &'w StoredEvent, recipients: Option<&[IdentityKey]>) -> Result<(), Fault> {
        let name = ChainName { conversation: event.conversation, author: event.author, chain: event.chain };
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.end()?;
            self.open = Some(Open::find(self.connection, name, recipients.is_some())?);
        }
        let open = self.open.as_mut().expect("it was opened a moment ago");
        open.check(event, recipients.is_some())?;
        if open.is_next(event) {
            self.gathered.push(event);
        } else {
            self.write_gathered()?;
            if !self.insert(event)? {
                let open = self.open.as_ref().expect("it is open until the end");
                return refuse_another(self.connection, &open.chain, event);
            }
        }
        let open = self.open.as_mut().expect("it is open until the end");
        open.written(self.connection, event, recipients)?;
        if self.gathered.len() == MANY { self.write_gathered() } else { Ok(()) }
    }

    /// Moves the chain's row forward. Has to come before anything else reads or changes it, and before the commit.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.write_gathered()?;
        match self.open.take() {
            Some(open) => advance(self.connection, &open.chain, open.number, open.last, open.lamport),
            None => Ok(()),
        }
    }

    fn write_gathered(&mut self) -> Result<(), Fault> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.len() < MANY {
            return gathered.into_iter().try_for_each(|event| self.insert(event).map(drop));
        }
        let chain = &self.open.as_ref().expect("what is gathered is of the open chain").chain;
        let insert = at_hand(&mut self.insert_many, self.connection, &INSERT_MANY)?;
        for (place, event) in gathered.iter().enumerate() {
            bind(insert, chain, event, place)?;
        }
        insert.raw_execute()?;
        // Rows are given out one after the other.
        let first = self.connection.last_insert_rowid() + 1 - gathered.len() as i64;
        let mut rows = (first..).zip(gathered);
        rows.try_for_each(|(row, event)| changes::note(self.connection, chain.conversation, row, event))
    }

    /// Whether the event's place was free.
    fn insert(&mut self, event: &StoredEvent) -> Result<bool, Fault> {
        let chain = &self.open.as_ref().expect("it is open until the end").chain;
        let insert = at_hand(&mut self.insert, self.connection, INSERT)?;
        bind(insert, chain, event, 0)?;
        let is_free = insert.raw_execute()? == 1;
        if is_free {
            changes::note(self.connection, chain.conversation, self.connection.last_insert_rowid(), event)?;
        }
        Ok(is_free)
    }
}

impl Open {
    fn find(connection: &Connection, name: ChainName, own: bool) -> Result<Self, Fault> {
        let chain = chain(connection, &name, own)?;
        let number = chain.number;
        let mut statement =
            connection.prepare_cached("SELECT 1 FROM events WHERE chain = ?1 AND number > ?2 LIMIT 1")?;
        let is_end = !statement.exists(params![chain.row, number])?;
        Ok(Self { name, chain, number, last: None, lamport: 0, is_end, recipients: None })
    }

    /// Whether the event may be in this chain.
    fn check(&self, event: &StoredEvent, own: bool) -> Result<(), Fault> {
        let number = column(event.number);
        if number == 0 || self.chain.own != own {
            return Err(Fault::Refused("an event does not belong into its chain"));
        }
        if self.chain.own && number > self.number.saturating_add(1) {
            return Err(Fault::Refused("the line before it in this conversation is not on the disk"));
        }
        Ok(())
    }

    /// Whether it goes on where the chain ends: then its place is free.
    fn is_next(&self, event: &StoredEvent) -> bool {
        self.is_end && column(event.number) == self.number.saturating_add(1)
    }

    /// The event is among what is held.
    fn written(
        &mut self,
        connection: &Connection,
        event: &StoredEvent,
        recipients: Option<&[IdentityKey]>,
    ) -> Result<(), Fault> {
        let number = column(event.number);
        if let Some(recipients) = recipients
            && self.recipients.as_deref() != Some(recipients)
        {
            receipts::write_recipients(connection, self.chain.row, number, recipients)?;
            self.recipients = Some(recipients.to_vec());
        }
        self.lamport = self.lamport.max(column(event.lamport));
        if number != self.number.saturating_add(1) {
            self.is_end = false;
        } else if self.is_end {
            (self.number, self.last) = (number, Some(event.id));
        } else {
            (self.number, self.last) = held_from(connection, self.chain.row, number, Some(event.id))?;
        }
        Ok(())
    }
}

/// Takes others' chain for held up to `number`.
pub(super) fn skip(connection: &Connection, name: &ChainName, number: u64) -> Result<(), Fault> {
    let chain = chain(connection, name, false)?;
    let number = column(number);
    if chain.own {
        return Err(Fault::Refused("none of my own events can be skipped"));
    }
    if number <= chain.number {
        return Ok(());
    }
    let (head, last) = held_from(connection, chain.row, number, None)?;
    advance(connection, &chain, head, last, 0)
}

/// Has others' chain begin with number `from`, on the word of a third; with `None` its author agrees.
pub(super) fn borrow(connection: &Connection, name: &ChainName, from: Option<u64>) -> Result<(), Fault> {
    if let Some(from) = from {
        skip(connection, name, from.saturating_sub(1))?;
    }
    let chain = chain(connection, name, false)?;
    let mut statement = connection.prepare_cached("UPDATE chains SET borrowed = ?2 WHERE row = ?1")?;
    statement.execute(params![chain.row, from.map(column)])?;
    Ok(())
}

/// Consecutive events of one chain.
pub(super) fn read_chain(connection: &Connection, read: &ChainRead) -> Result<Vec<StoredEvent>, Fault> {
    let Some(chain) = find(connection, &read.name)? else { return Ok(Vec::new()) };
    let Some(first) = first_to_read(connection, chain.row, read)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT number, id, lamport, at, kind, late, signature, bytes FROM events
         WHERE chain = ?1 AND number >= ?2 ORDER BY number",
    )?;
    let mut found = statement.query(params![chain.row, first])?;
    let (mut events, mut bytes, mut expected) = (Vec::new(), 0, rows::number(first)?);
    while let Some(row) = found.next()? {
        let event = stored(row, &read.name)?;
        bytes += event.wire.bytes.len() + event.wire.signature.as_ref().map_or(0, |_| Signature::LENGTH);
        // What comes after a hole would not hold together with what comes before it.
        if event.number != expected || (bytes > read.bytes_max && !events.is_empty()) {
            break;
        }
        expected += 1;
        events.push(event);
    }
    Ok(events)
}

/// The newest events that are shown, oldest first.
pub(super) fn read_history(
    connection: &Connection,
    conversation: ConversationId,
    count: u32,
    since: Option<UnixMillis>,
) -> Result<Vec<StoredEvent>, Fault> {
    let Some(row) = rows::conversation_row(connection, &conversation)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(HISTORY)?;
    let mut found = statement.query(params![row, count, column(since.unwrap_or_default().0)])?;
    let mut events = Vec::new();
    while let Some(row) = found.next()? {
        let name = ChainName { conversation, author: IdentityKey(row.get(8)?), chain: ChainId(row.get(9)?) };
        events.push(stored(row, &name)?);
    }
    events.reverse();
    Ok(events)
}

/// Where every chain of a conversation stands. No event's bytes are read.
pub(super) fn load(connection: &Connection, conversation: i64) -> Result<LoadedChains, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT row, author, chain, own, number, last, lamport, borrowed, told > 0 FROM chains
         WHERE conversation = ?1 ORDER BY row",
    )?;
    let mut found = statement.query([conversation])?;
    let mut chains = LoadedChains::default();
    while let Some(row) = found.next()? {
        let (author, chain) = (IdentityKey(row.get(1)?), ChainId(row.get(2)?));
        let number = rows::number(row.get(4)?)?;
        let last = row.get::<_, Option<[u8; 32]>>(5)?.map(EventId);
        chains.lamport = chains.lamport.max(rows::number(row.get(6)?)?);
        if row.get(3)? {
            let Receipts { acked, pending, mailed } = receipts::load(connection, row.get(0)?, number)?;
            chains.own.push(OwnChain { chain, number, last: last.ok_or(Fault::Damaged)?, acked, mailed, pending });
        } else {
            // Before the first event there is nothing to be skipped.
            let last = if number == 0 { Some(NO_EVENT) } else { last };
            let borrowed_from = row.get::<_, Option<i64>>(7)?.map(rows::number).transpose()?;
            chains.theirs.push(TheirChain { author, chain, number, last, borrowed_from, is_told: row.get(8)? });
        }
    }
    Ok(chains)
}

/// The chain's row; made, and mine or not as `own` says, if there is none.
fn chain(connection: &Connection, name: &ChainName, own: bool) -> Result<Chain, Fault> {
    if let Some(chain) = find(connection, name)? {
        return Ok(chain);
    }
    let conversation = rows::conversation_row(connection, &name.conversation)?;
    let conversation = conversation.ok_or(Fault::Refused("the log does not know this conversation"))?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO chains (conversation, author, chain, own, number, last, lamport)
         VALUES (?1, ?2, ?3, ?4, 0, NULL, 0)",
    )?;
    let row = statement.insert(params![conversation, name.author.as_bytes(), name.chain.as_bytes(), own])?;
    Ok(Chain { row, conversation, number: 0, own })
}

pub(super) fn find(connection: &Connection, name: &ChainName) -> Result<Option<Chain>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT chains.row, conversation, number, own FROM chains JOIN conversations ON conversation = conversations.row
         WHERE id = ?1 AND author = ?2 AND chain = ?3",
    )?;
    let parameters = [name.conversation.as_bytes().as_slice(), name.author.as_bytes(), name.chain.as_bytes()];
    let chain = statement.query_row(parameters, |row| {
        Ok(Chain { row: row.get(0)?, conversation: row.get(1)?, number: row.get(2)?, own: row.get(3)? })
    });
    Ok(chain.optional()?)
}

/// A statement that is compiled once.
fn at_hand<'s, 'c>(
    statement: &'s mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> Result<&'s mut CachedStatement<'c>, Fault> {
    Ok(match statement {
        Some(statement) => statement,
        none => none.insert(connection.prepare_cached(sql)?),
    })
}

/// Binds the event to the row `place` of an insert.
fn bind(insert: &mut CachedStatement<'_>, chain: &Chain, event: &StoredEvent, place: usize) -> Result<(), Fault> {
    if place == 0 {
        insert.raw_bind_parameter(1, chain.conversation)?;
        insert.raw_bind_parameter(2, chain.row)?;
    }
    let first = 3 + place * COLUMNS;
    insert.raw_bind_parameter(first, column(event.number))?;
    insert.raw_bind_parameter(first + 1, event.id.as_bytes())?;
    insert.raw_bind_parameter(first + 2, column(event.lamport))?;
    insert.raw_bind_parameter(first + 3, column(event.at.0))?;
    insert.raw_bind_parameter(first + 4, event.kind)?;
    insert.raw_bind_parameter(first + 5, event.late)?;
    insert.raw_bind_parameter(first + 6, event.wire.signature.as_ref().map(Signature::as_bytes))?;
    insert.raw_bind_parameter(first + 7, &*event.wire.bytes)?;
    Ok(())
}

fn refuse_another(connection: &Connection, chain: &Chain, event: &StoredEvent) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM events WHERE chain = ?1 AND number = ?2")?;
    let known = statement.query_row(params![chain.row, column(event.number)], |row| row.get(0))?;
    if EventId(known) == event.id {
        return Ok(());
    }
    Err(Fault::Refused("an author signed two different events of the same number"))
}

/// How far the chain is held, `number` being held and `last` the event there: events after it may have come before.
fn held_from(
    connection: &Connection,
    chain: i64,
    mut number: i64,
    mut last: Option<EventId>,
) -> Result<(i64, Option<EventId>), Fault> {
    let mut statement =
        connection.prepare_cached("SELECT number, id FROM events WHERE chain = ?1 AND number > ?2 ORDER BY number")?;
    let mut found = statement.query(params![chain, number])?;
    while let Some(row) = found.next()? {
        if row.get::<_, i64>(0)? != number + 1 {
            break;
        }
        number += 1;
        last = Some(EventId(row.get(1)?));
    }
    Ok((number, last))
}

fn advance(
    connection: &Connection,
    chain: &Chain,
    head: i64,
    last: Option<EventId>,
    lamport: i64,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "UPDATE chains SET last = iif(?2 > number, ?3, last), number = max(number, ?2), lamport = max(lamport, ?4)
         WHERE row = ?1",
    )?;
    statement.execute(params![chain.row, head, last.as_ref().map(EventId::as_bytes), lamport])?;
    Ok(())
}

fn first_to_read(connection: &Connection, chain: i64, read: &ChainRead) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number FROM events WHERE chain = ?1 AND number >= ?2 AND at >= ?3 ORDER BY number LIMIT 1",
    )?;
    let not_before = column(read.not_before.unwrap_or_default().0);
    Ok(statement.query_row(params![chain, column(read.from), not_before], |row| row.get(0)).optional()?)
}

/// The event in a row that begins with number, id, lamport, at, kind, late, signature, bytes.
pub(super) fn stored(row: &Row<'_>, name: &ChainName) -> Result<StoredEvent, Fault> {
    let bytes = Blob::new(row.get(7)?).map_err(|_| Fault::Damaged)?;
    let signature = row.get::<_, Option<[u8; Signature::LENGTH]>>(6)?.map(Signature);
    Ok(StoredEvent {
        conversation: name.conversation,
        author: name.author,
        chain: name.chain,
        number: rows::number(row.get(0)?)?,
        id: EventId(row.get(1)?),
        lamport: rows::number(row.get(2)?)?,
        at: UnixMillis(rows::number(row.get(3)?)?),
        kind: row.get(4)?,
        late: row.get(5)?,
        wire: WireEvent { bytes, signature },
    })
}

const INSERT: &str = "
    INSERT INTO events (conversation, chain, number, id, lamport, at, kind, late, signature, bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (chain, number) DO NOTHING";

/// A row takes fewer steps where others come with it.
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| {
    let row = |place: usize| {
        let columns: Vec<String> = (0..COLUMNS).map(|column| format!("?{}", 3 + place * COLUMNS + column)).collect();
        format!("(?1, ?2, {})", columns.join(", "))
    };
    let rows: Vec<String> = (0..MANY).map(row).collect();
    let columns = "conversation, chain, number, id, lamport, at, kind, late, signature, bytes";
    format!("INSERT INTO events ({columns}) VALUES {}", rows.join(", "))
});

/// Rows of one statement; SQLite takes some thousand parameters.
const MANY: usize = 16;
/// Of an event, besides its conversation and chain.
const COLUMNS: usize = 8;

/// The kinds stand as in the index `events_shown`, or it would not be used.
pub(super) const HISTORY: &str = "
    SELECT newest.number, id, newest.lamport, at, kind, late, signature, bytes, author, chains.chain
    FROM (SELECT * FROM events WHERE conversation = ?1 AND kind IN (1, 2) AND at >= ?3
          ORDER BY row DESC LIMIT ?2) AS newest
    JOIN chains ON chains.row = newest.chain ORDER BY newest.row DESC";

const _: () = assert!(KIND_TEXT == 1 && KIND_ACTION == 2);
