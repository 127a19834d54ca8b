//! The table `read`: up to where each conversation was read, and what came after that from others.

use std::collections::{BTreeMap, VecDeque};

use common::ids::{ConversationId, IdentityKey};
use common::names::UserName;
use rusqlite::{Connection, params};

use super::fault::{Deed, Fault};
use super::pages::{self, select_shown};
use super::rows::{self, column};
use super::{Log, changes, search};
use crate::ports::{Answer, DiskError, MENTIONS_MAX, StoredEvent, UNREAD_COUNTED_MAX, UnreadEvents};

/// What was read stays read.
pub(super) fn write_read(connection: &Connection, id: &ConversationId, up_to: Option<u64>) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO read (conversation, row)
         SELECT row, coalesce(?2, (SELECT events.row FROM events WHERE conversation = conversations.row
                                   AND kind IN (1, 2) ORDER BY events.row DESC LIMIT 1), 0)
         FROM conversations WHERE id = ?1
         ON CONFLICT DO UPDATE SET row = max(row, excluded.row)",
    )?;
    statement.execute(params![id.as_bytes(), up_to.map(column)])?;
    Ok(())
}

impl Log {
    /// What `me` did not read, of one conversation or of all, each with the newest `lines`.
    pub(in crate::disk) fn unread(
        &self,
        me: &UserName,
        conversation: Option<ConversationId>,
        lines: u32,
    ) -> Result<Answer, DiskError> {
        let read = || {
            let unread = read_unread(&self.connection, me, conversation, lines)?;
            let mut changes = Vec::new();
            for events in unread.iter().flat_map(|unread| [&unread.mentioning, &unread.newest]) {
                changes.extend(changes::about(&self.connection, events)?);
            }
            Ok(Answer::Unread { unread, changes })
        };
        read().map_err(|fault: Fault| fault.told(Deed::Read, &self.path))
    }
}

fn read_unread(
    connection: &Connection,
    me: &UserName,
    conversation: Option<ConversationId>,
    lines: u32,
) -> Result<Vec<UnreadEvents>, Fault> {
    let rows: Vec<i64> = match conversation {
        Some(id) => rows::conversation_row(connection, &id)?.into_iter().collect(),
        None => {
            let mut statement = connection.prepare_cached("SELECT row FROM conversations ORDER BY row")?;
            let rows: Result<_, _> = statement.query_map([], |row| row.get(0))?.collect();
            rows?
        }
    };
    let mut unread = Vec::new();
    for row in rows {
        unread.extend(of_conversation(connection, me, row, lines)?);
    }
    Ok(unread)
}

fn of_conversation(
    connection: &Connection,
    me: &UserName,
    conversation: i64,
    lines: u32,
) -> Result<Option<UnreadEvents>, Fault> {
    let mut statement = connection.prepare_cached(UNREAD)?;
    let mut found = statement.query((conversation, UNREAD_COUNTED_MAX))?;
    let mut first: Option<StoredEvent> = None;
    let (mut count, mut mentions, mut up_to) = (0, 0, 0);
    let mut mentioning = VecDeque::new();
    let mut authors: BTreeMap<IdentityKey, u32> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let (row, event) = pages::shown(row)?;
        (count, up_to) = (count + 1, row);
        *authors.entry(event.author).or_default() += 1;
        let text = search::text_of(connection, conversation, &event)?;
        first.get_or_insert_with(|| event.clone());
        if text.is_some_and(|text| me.is_said_in(&text)) {
            mentions += 1;
            mentioning.push_back(event);
            if mentioning.len() > MENTIONS_MAX {
                mentioning.pop_front();
            }
        }
    }
    let Some(first) = first else { return Ok(None) };
    if count == UNREAD_COUNTED_MAX {
        up_to = connection.prepare_cached(NEWEST_ROW)?.query_row([conversation], |row| row.get(0))?;
    }
    let mut newest = if lines == 0 { Vec::new() } else { pages::read(connection, NEWEST, (conversation, lines))? };
    newest.reverse();
    Ok(Some(UnreadEvents {
        conversation: first.conversation,
        count,
        mentions,
        mentioning: mentioning.into(),
        authors: authors.into_iter().collect(),
        first,
        newest,
        up_to: rows::number(up_to)?,
    }))
}

const UNREAD: &str = select_shown!(
    "events.conversation = ?1 AND chains.own = 0
     AND events.row > coalesce((SELECT row FROM read WHERE conversation = ?1), 0) ORDER BY events.row LIMIT ?2"
);

const NEWEST: &str = select_shown!(
    "events.conversation = ?1 AND chains.own = 0
     AND events.row > coalesce((SELECT row FROM read WHERE conversation = ?1), 0) ORDER BY events.row DESC LIMIT ?2"
);

const NEWEST_ROW: &str = "SELECT row FROM events WHERE conversation = ?1 AND kind IN (1, 2) ORDER BY row DESC LIMIT 1";
