//! The tables `words` and `indexed`: finding what was said. The index follows the log by rows, a chunk at a time; it is
//! written when the disk has nothing else to do, and caught up with before a search is answered. Newest first by row:
//! what a person looks for is rarely old, and ranking would have to read everything.

use std::collections::VecDeque;

use common::ids::IdentityKey;
use common::message::event::{Content, WireEvent};
use common::wire::bounded::Blob;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::fault::{Deed, Fault};
use super::pages::{self, select_shown};
use super::rows::{self, column};
use super::{Log, words};
use crate::ports::{DiskError, FOUND_MAX, FoundEvent, SearchFor};

/// A search that goes on.
#[derive(Debug)]
pub(in crate::disk) struct Search {
    wanted: SearchFor,
    /// Rows found so far, the oldest in front.
    found: VecDeque<i64>,
    /// What is older than this row was not looked at.
    below: i64,
    /// To the index; `None` if there is nothing to look for.
    question: Option<String>,
}

/// What became of a chunk of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Progress {
    More,
    Done,
}

impl Log {
    /// Takes the next events into the index.
    pub(in crate::disk) fn index_chunk(&mut self) -> Result<Progress, DiskError> {
        index_chunk(&mut self.connection).map_err(|fault| fault.told(Deed::Write, &self.path))
    }

    pub(in crate::disk) fn begin_search(&self, wanted: SearchFor) -> Result<Search, DiskError> {
        let question = question(&self.connection, &wanted).map_err(|fault| fault.told(Deed::Read, &self.path))?;
        Ok(Search { wanted, found: VecDeque::new(), below: i64::MAX, question })
    }

    /// Looks at the next matches of the index; what is in it by now is all that is looked at.
    pub(in crate::disk) fn search_chunk(&self, search: &mut Search) -> Result<Progress, DiskError> {
        search_chunk(&self.connection, search).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// The answer of a search that is done.
    pub(in crate::disk) fn found(&self, search: &Search) -> Result<Vec<FoundEvent>, DiskError> {
        let read = |row: &i64| found(&self.connection, *row, search.wanted.context);
        let all: Result<Vec<_>, Fault> = search.found.iter().map(read).collect();
        all.map_err(|fault| fault.told(Deed::Read, &self.path))
    }
}

/// The one place where what an event says enters the index or leaves it: a changed text takes the place of what its
/// row had, and `None` takes the row out.
pub(super) fn index(connection: &Connection, row: i64, said: Option<&Said>) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([row])?;
    if let Some(said) = said {
        let place = format!("{} {}", place_of_conversation(said.conversation), place_of_author(&said.author));
        connection.prepare_cached("INSERT INTO words (rowid, text, place) VALUES (?1, ?2, ?3)")?.execute(params![
            row,
            words::separated(&said.text),
            place
        ])?;
    }
    Ok(())
}

/// A text, whose and where.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) author: IdentityKey,
    /// The conversation's row.
    pub(super) conversation: i64,
}

fn index_chunk(connection: &mut Connection) -> Result<Progress, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from: i64 = transaction.query_row("SELECT row FROM indexed", [], |row| row.get(0))?;
    let mut last = from;
    let mut taken = 0;
    {
        let mut statement = transaction.prepare_cached(
            "SELECT events.row, events.kind, events.conversation, author, bytes FROM events
             CROSS JOIN chains ON chains.row = events.chain WHERE events.row > ?1 ORDER BY events.row LIMIT ?2",
        )?;
        let mut found = statement.query((from, CHUNK_ROWS))?;
        while let Some(row) = found.next()? {
            (last, taken) = (row.get(0)?, taken + 1);
            let author = IdentityKey(row.get(3)?);
            if let (1 | 2, Some(text)) = (row.get::<_, u8>(1)?, text_of(row.get(4)?)) {
                index(&transaction, last, Some(&Said { text, author, conversation: row.get(2)? }))?;
            }
        }
    }
    if taken > 0 {
        transaction.execute("UPDATE indexed SET row = ?1", [last])?;
    }
    transaction.commit()?;
    Ok(if taken < CHUNK_ROWS { Progress::Done } else { Progress::More })
}

/// What an event says, if it says something. Its bytes were checked before they were stored.
pub(super) fn text_of(bytes: Vec<u8>) -> Option<String> {
    let wire = WireEvent { bytes: Blob::new(bytes).ok()?, signature: None };
    match wire.claim().ok()?.content().ok()? {
        Content::Text(text) | Content::Action(text) => Some(text),
        _ => None,
    }
}

fn question(connection: &Connection, wanted: &SearchFor) -> Result<Option<String>, Fault> {
    let Some(mut question) = words::question(&wanted.words) else { return Ok(None) };
    if let Some(id) = &wanted.conversation {
        let Some(row) = rows::conversation_row(connection, id)? else { return Ok(None) };
        question.push_str(&format!(" AND place : {}", place_of_conversation(row)));
    }
    if let Some(authors) = &wanted.authors {
        if authors.is_empty() {
            return Ok(None);
        }
        let places: Vec<String> = authors.iter().map(place_of_author).collect();
        question.push_str(&format!(" AND place : ({})", places.join(" OR ")));
    }
    Ok(Some(question))
}

fn search_chunk(connection: &Connection, search: &mut Search) -> Result<Progress, Fault> {
    let Some(question) = &search.question else { return Ok(Progress::Done) };
    let after = column(search.wanted.after.map_or(0, |after| after.0));
    let before = column(search.wanted.before.map_or(u64::MAX, |before| before.0));
    let mut statement = connection.prepare_cached(
        "SELECT words.rowid, events.at FROM words CROSS JOIN events ON events.row = words.rowid
         WHERE words MATCH ?1 AND words.rowid < ?2 ORDER BY words.rowid DESC LIMIT ?3",
    )?;
    let mut matches = statement.query(params![question, search.below, CANDIDATES])?;
    let mut looked_at = 0;
    while let Some(row) = matches.next()? {
        (search.below, looked_at) = (row.get(0)?, looked_at + 1);
        if (after..before).contains(&row.get(1)?) {
            search.found.push_front(search.below);
            if search.found.len() == FOUND_MAX {
                return Ok(Progress::Done);
            }
        }
    }
    Ok(if looked_at < CANDIDATES { Progress::Done } else { Progress::More })
}

fn found(connection: &Connection, row: i64, context: u32) -> Result<FoundEvent, Fault> {
    let mut statement = connection.prepare_cached(select_shown!("events.row = ?1"))?;
    let event = statement.query_row([row], |row| Ok(pages::shown(row))).optional()?;
    let (_, event) = event.ok_or(Fault::Damaged)??;
    if context == 0 {
        return Ok(FoundEvent { before: Vec::new(), event, after: Vec::new() });
    }
    let conversation = rows::conversation_row(connection, &event.conversation)?.ok_or(Fault::Damaged)?;
    let parameters = (conversation, row, context);
    let mut before = pages::read(connection, BEFORE, parameters)?;
    before.reverse();
    Ok(FoundEvent { before, event, after: pages::read(connection, AFTER, parameters)? })
}

const BEFORE: &str = select_shown!("events.conversation = ?1 AND events.row < ?2 ORDER BY events.row DESC LIMIT ?3");
const AFTER: &str = select_shown!("events.conversation = ?1 AND events.row > ?2 ORDER BY events.row LIMIT ?3");

/// Words of letters and digits alone, which the index takes as they are.
fn place_of_conversation(row: i64) -> String {
    format!("c{row}")
}

/// Half of the key: enough to tell people apart, and nobody is trusted for it.
fn place_of_author(author: &IdentityKey) -> String {
    author.as_bytes().iter().take(16).fold("a".to_owned(), |place, byte| place + &format!("{byte:02x}"))
}

/// Events taken in at once: some ten milliseconds, for which a commit may have to wait.
const CHUNK_ROWS: u32 = 500;

/// Matches looked at before a commit gets its turn, where many are too old or too new.
const CANDIDATES: u32 = 5000;
