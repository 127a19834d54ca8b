//! Table `entry`: the signed log of each room's owner.

use common::ids::{EntryId, RoomId};
use common::limits::TOPIC_BYTES_MAX;
use common::message::room::{LogEntry, NO_ENTRY};
use common::secure::sign::Signed;
use common::wire::bounded::Text;
use rusqlite::{OptionalExtension, params};

use super::{SqliteStore, signed};
use crate::store::{Logs, StoreError};

impl Logs for SqliteStore {
    fn log_head(&self, room: &RoomId) -> Result<(u32, EntryId), StoreError> {
        self.read(|connection| {
            let query = "SELECT number, signed FROM entry WHERE room = ?1 ORDER BY number DESC LIMIT 1";
            let row: Option<(u32, Vec<u8>)> = connection
                .prepare_cached(query)?
                .query_row([room.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((number, bytes)) = row else { return Ok((0, NO_ENTRY)) };
            let (entry, _) = signed::<LogEntry>(&bytes)?;
            Ok((number, EntryId(entry.id())))
        })
    }

    fn entries(&self, room: &RoomId, from: u32, limit: u32) -> Result<Vec<Signed<LogEntry>>, StoreError> {
        self.read(|connection| {
            let query = "SELECT signed FROM entry WHERE room = ?1 AND number >= ?2 ORDER BY number LIMIT ?3";
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query(params![room.as_bytes(), from, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(signed(&row.get::<_, Vec<u8>>(0)?)?.0);
            }
            Ok(found)
        })
    }

    fn add_entry(
        &self,
        room: &RoomId,
        index: u32,
        entry: &Signed<LogEntry>,
        topic: Option<&Text<TOPIC_BYTES_MAX>>,
    ) -> Result<bool, StoreError> {
        let (room, entry, topic) = (*room, entry.to_bytes(), topic.cloned());
        self.writer.write(move |connection| {
            let insert = "INSERT INTO entry (room, number, signed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            let added = connection.prepare_cached(insert)?.execute(params![room.as_bytes(), index, entry])?;
            if let (1, Some(topic)) = (added, &topic) {
                let update = "UPDATE room SET topic = ?2 WHERE id = ?1";
                connection.prepare_cached(update)?.execute(params![room.as_bytes(), topic.as_str()])?;
            }
            Ok(added == 1)
        })
    }
}
