//! The tables `words` and `indexed`: finding what was said. The index follows the log by rows, a chunk at a time; it is
//! written when the disk has nothing else to do, and caught up with before a search is answered. Newest first by row:
//! what a person looks for is rarely old, and ranking would have to read everything.

use std::collections::VecDeque;

use common::ids::IdentityKey;
use common::message::event::{Content, KIND_ACTION, KIND_DELETE, KIND_EDIT, KIND_TEXT, WireEvent};
use common::wire::bounded::Blob;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::fault::{Deed, Fault};
use super::pages::{self, select_shown};
use super::rows::{self, column};
use super::words::{self, Asked};
use super::{Log, changes};
use crate::ports::{Answer, DiskError, FOUND_MAX, FoundEvent, SearchFor, StoredEvent};

/// A search that goes on.
#[derive(Debug)]
pub(in crate::disk) struct Search {
    wanted: SearchFor,
    /// Rows found so far, the oldest in front.
    found: VecDeque<i64>,
    /// What is older than this row was not looked at.
    below: i64,
    /// `None` if there is nothing to look for.
    asked: Option<Asked>,
    /// To the index; made when the search begins, from the words that are in it by then.
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

    pub(in crate::disk) fn begin_search(wanted: SearchFor) -> Search {
        let asked = Asked::of(&wanted.words).filter(|_| wanted.authors.as_ref().is_none_or(|some| !some.is_empty()));
        Search { wanted, found: VecDeque::new(), below: i64::MAX, asked, question: None }
    }

    /// Looks at the next matches of the index; what is in it by now is all that is looked at.
    pub(in crate::disk) fn search_chunk(&self, search: &mut Search) -> Result<Progress, DiskError> {
        search_chunk(&self.connection, search).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// The answer of a search that is done.
    pub(in crate::disk) fn found(&self, search: &Search) -> Result<Answer, DiskError> {
        let read = |row: &i64| found(&self.connection, *row, search.wanted.context);
        let read = || {
            // By itself each of these many statements would lock the file and let it go.
            let _one_look = self.connection.unchecked_transaction()?;
            let found: Vec<FoundEvent> = search.found.iter().map(read).collect::<Result<_, Fault>>()?;
            let mut changes = Vec::new();
            for FoundEvent { before, event, after } in &found {
                for events in [before, std::slice::from_ref(event), after] {
                    changes.extend(changes::about(&self.connection, events)?);
                }
            }
            Ok(Answer::Found { found, changes })
        };
        read().map_err(|fault: Fault| fault.told(Deed::Read, &self.path))
    }
}

/// The one place where what an event says enters the index or leaves it: a changed text takes the place of what its
/// row had, and `None` takes the row out.
fn index(connection: &Connection, row: i64, said: Option<&Said>) -> Result<(), Fault> {
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
    text: String,
    author: IdentityKey,
    /// The conversation's row.
    conversation: i64,
}

fn index_chunk(connection: &mut Connection) -> Result<Progress, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from: i64 = transaction.query_row("SELECT row FROM indexed", [], |row| row.get(0))?;
    let mut last = from;
    let mut taken = 0;
    {
        let mut statement =
            transaction.prepare_cached("SELECT row, kind FROM events WHERE row > ?1 ORDER BY row LIMIT ?2")?;
        let mut found = statement.query((from, CHUNK_ROWS))?;
        while let Some(row) = found.next()? {
            (last, taken) = (row.get(0)?, taken + 1);
            match row.get(1)? {
                KIND_TEXT | KIND_ACTION => take_in(&transaction, last)?,
                // What it is about has another text now, or none; if it is still to come, it is found changed then.
                KIND_EDIT | KIND_DELETE => {
                    let target: Option<i64> =
                        transaction.prepare_cached(TARGET)?.query_row([last], |row| row.get(0)).optional()?;
                    target.map_or(Ok(()), |target| take_in(&transaction, target))?;
                }
                _ => {}
            }
        }
    }
    if taken > 0 {
        transaction.execute("UPDATE indexed SET row = ?1", [last])?;
    }
    transaction.commit()?;
    Ok(if taken < CHUNK_ROWS { Progress::Done } else { Progress::More })
}

/// Has the index say of a message what the message says by now.
fn take_in(connection: &Connection, row: i64) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(select_shown!("events.row = ?1"))?;
    let event = statement.query_row([row], |row| Ok(pages::shown(row))).optional()?;
    let Some((_, event)) = event.transpose()? else { return Ok(()) };
    let conversation = rows::conversation_row(connection, &event.conversation)?.ok_or(Fault::Damaged)?;
    let text = text_of(connection, conversation, &event)?;
    index(connection, row, text.map(|text| Said { text, author: event.author, conversation }).as_ref())
}

/// What a message says by now: the newest text its author gave it, and nothing once they deleted it. This has to be the
/// rule by which the node shows it.
pub(super) fn text_of(
    connection: &Connection,
    conversation: i64,
    event: &StoredEvent,
) -> Result<Option<String>, Fault> {
    let content = |wire: &WireEvent| wire.claim().ok()?.content().ok();
    let Some(Content::Text(text) | Content::Action(text)) = content(&event.wire) else { return Ok(None) };
    let mut statement = connection.prepare_cached(CHANGED)?;
    let parameters = params![conversation, event.id.as_bytes(), event.author.as_bytes()];
    let Some((kind, bytes)) =
        statement.query_row(parameters, |row| Ok((row.get::<_, u8>(0)?, row.get(1)?))).optional()?
    else {
        return Ok(Some(text));
    };
    let bytes = Blob::new(bytes).map_err(|_| Fault::Damaged)?;
    match content(&WireEvent { bytes, signature: None }) {
        Some(Content::Edit { text, .. }) if kind == KIND_EDIT => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn question(connection: &Connection, asked: &Asked, wanted: &SearchFor) -> Result<String, Fault> {
    let known = asked.begun().map(|begun| beginning_with(connection, &begun)).transpose()?.flatten();
    let mut question = asked.question(known.as_deref());
    if let Some(id) = &wanted.conversation {
        // No row is that of a conversation that the log does not know.
        let row = rows::conversation_row(connection, id)?.unwrap_or(0);
        question.push_str(&format!(" AND place : {}", place_of_conversation(row)));
    }
    if let Some(authors) = &wanted.authors {
        let places: Vec<String> = authors.iter().map(place_of_author).collect();
        question.push_str(&format!(" AND place : ({})", places.join(" OR ")));
    }
    Ok(question)
}

/// The words of the index that begin so, unless there are too many: each is found in a moment, however often it was said.
fn beginning_with(connection: &Connection, begun: &str) -> Result<Option<Vec<String>>, Fault> {
    connection
        .execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, words, instance)", [])?;
    let mut statement = connection
        .prepare_cached("SELECT term FROM temp.vocabulary WHERE term >= ?1 AND term < ?2 ORDER BY term LIMIT 1")?;
    let (mut from, end) = (begun.to_owned(), format!("{begun}{}", char::MAX));
    let mut known = Vec::new();
    while let Some(word) = statement.query_row([&from, &end], |row| row.get::<_, String>(0)).optional()? {
        if known.len() == BEGINNINGS_MAX {
            return Ok(None);
        }
        // What comes next after this word: nothing less is of a word.
        from = format!("{word}\u{1}");
        known.push(word);
    }
    Ok(Some(known))
}

fn search_chunk(connection: &Connection, search: &mut Search) -> Result<Progress, Fault> {
    let Some(asked) = &search.asked else { return Ok(Progress::Done) };
    let question: &String = match &mut search.question {
        Some(question) => question,
        none => none.insert(question(connection, asked, &search.wanted)?),
    };
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

/// The message that an edit or a deletion is about, whose ever it is.
const TARGET: &str = "
    SELECT events.row FROM changes JOIN events ON events.id = changes.target
    WHERE changes.event = ?1 AND events.conversation = changes.conversation AND events.kind IN (1, 2)";

/// A deletion by the author, or else their newest edit.
const CHANGED: &str = "
    SELECT events.kind, events.bytes
    FROM changes JOIN events ON events.row = changes.event JOIN chains ON chains.row = events.chain
    WHERE changes.conversation = ?1 AND changes.target = ?2 AND chains.author = ?3 AND events.kind IN (5, 6)
    ORDER BY events.kind DESC, events.lamport DESC, events.at DESC, events.id DESC LIMIT 1";

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

/// Looking a word up takes a twentieth of a millisecond; with this many it is still faster to read all of them whole.
const BEGINNINGS_MAX: usize = 32;

/// Matches looked at before a commit gets its turn, where many are too old or too new.
const CANDIDATES: u32 = 5000;
