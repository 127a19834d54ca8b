//! Tables `entry`, `transfer`, `rotation` and `standing`: the signed log of each room's owner, and what follows from it for owners
//! and for those who were removed.

use common::ids::{EntryId, IdentityKey, RoomId};
use common::message::moderation::Reign;
use common::message::room::{LogEntry, NO_ENTRY};
use common::names::UserName;
use common::secure::sign::Signed;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, SqliteStore, damaged, signed};
use crate::store::{Effect, Logs, Standing, StoreError};

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
        effect: &Effect,
    ) -> Result<bool, StoreError> {
        let (room, entry, effect) = (*room, entry.to_bytes(), effect.clone());
        self.writer.write(move |connection| {
            let insert = "INSERT INTO entry (room, number, signed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            let added = connection.prepare_cached(insert)?.execute(params![room.as_bytes(), index, entry])?;
            if added == 1 {
                follow(connection, &room, index, &effect)?;
            }
            Ok(added == 1)
        })
    }

    fn standing(&self, room: &RoomId, user: &UserName) -> Result<Standing, StoreError> {
        self.read(|connection| standing(connection, room, user))
    }
}

fn follow(connection: &Connection, room: &RoomId, index: u32, effect: &Effect) -> Result<(), Fault> {
    let run = |statement: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), Fault> {
        connection.prepare_cached(statement)?.execute(values)?;
        Ok(())
    };
    let room = room.as_bytes();
    match effect {
        Effect::Nothing => Ok(()),
        Effect::Topic(topic) => run("UPDATE room SET topic = ?2 WHERE id = ?1", &[room, &topic.as_str()]),
        Effect::Ended { user, is_banned } => {
            let user = user.as_str();
            run(
                "INSERT INTO standing (room, account, ended, banned) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET ended = excluded.ended, banned = max(banned, excluded.banned)",
                &[room, &user, &index, is_banned],
            )?;
            run(
                "UPDATE member SET removed = ?3
                 WHERE room = ?1 AND account = ?2 AND parted IS NULL AND removed IS NULL",
                &[room, &user, &index],
            )?;
            run("UPDATE invite SET open = 0 WHERE room = ?1 AND account = ?2", &[room, &user])
        }
        Effect::Unbanned { user } => run(
            "UPDATE standing SET ended = ?3, banned = 0 WHERE room = ?1 AND account = ?2 AND banned = 1",
            &[room, &user.as_str(), &index],
        ),
        Effect::Owned { user, identity } => {
            run("UPDATE room SET keeper = ?2 WHERE id = ?1", &[room, &user.as_str()])?;
            run(
                "INSERT INTO transfer (room, number, identity) VALUES (?1, ?2, ?3)",
                &[room, &index, identity.as_bytes()],
            )
        }
        Effect::Rotated { key } => {
            run("INSERT INTO rotation (room, number, key) VALUES (?1, ?2, ?3)", &[room, &index, key.as_bytes()])
        }
        Effect::Closed => {
            run("UPDATE room SET closed = 1 WHERE id = ?1", &[room])?;
            run(
                "UPDATE member SET removed = ?2 WHERE room = ?1 AND parted IS NULL AND removed IS NULL",
                &[room, &index],
            )
        }
    }
}

pub(super) fn standing(connection: &Connection, room: &RoomId, user: &UserName) -> Result<Standing, Fault> {
    let query = "SELECT ended, banned FROM standing WHERE room = ?1 AND account = ?2";
    let row = connection.prepare_cached(query)?.query_row(params![room.as_bytes(), user.as_str()], |row| {
        Ok(Standing { ended: row.get(0)?, is_banned: row.get(1)? })
    });
    Ok(row.optional()?.unwrap_or_default())
}

/// Whose word counted in a room after its founder's first key, and from which entries on.
pub(super) fn reigns(connection: &Connection, room: &RoomId, founder: &IdentityKey) -> Result<Vec<Reign>, Fault> {
    let query = "SELECT number, identity, NULL FROM transfer WHERE room = ?1
                 UNION ALL SELECT number, NULL, key FROM rotation WHERE room = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([room.as_bytes()])?;
    let (mut found, mut owner) = (Vec::new(), *founder);
    let key = |bytes: Vec<u8>| IdentityKey::from_slice(&bytes).ok_or_else(|| damaged("an owner's key"));
    while let Some(row) = rows.next()? {
        let identity = row.get::<_, Option<Vec<u8>>>(1)?.map(key).transpose()?;
        owner = identity.unwrap_or(owner);
        let key = row.get::<_, Option<Vec<u8>>>(2)?.map(key).transpose()?;
        found.push(Reign { from: row.get(0)?, identity: owner, key: key.unwrap_or(owner) });
    }
    Ok(found)
}
