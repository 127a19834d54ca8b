//! Table `room`: which rooms exist, with a copy of their genesis and their present topic.

use common::ids::RoomId;
use common::limits::TOPIC_BYTES_MAX;
use common::message::moderation::Owners;
use common::message::registry::RoomSummary;
use common::message::room::Genesis;
use common::names::{RoomName, UserName};
use common::wire::bounded::Text;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{Fault, SqliteStore, damaged, entries, members, signed};
use crate::store::{Member, Room, RoomCreation, Rooms, StoreError};

impl Rooms for SqliteStore {
    fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        self.read(|connection| find(connection, BY_ID, room.as_bytes()))
    }

    fn room_named(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        self.read(|connection| find(connection, BY_NAME, &name.as_str()))
    }

    fn create_room(&self, room: &Room, founder: Option<&Member>, rooms_max: u32) -> Result<RoomCreation, StoreError> {
        let (room, founder) = (room.clone(), founder.cloned());
        self.writer.write(move |connection| {
            let genesis = &room.genesis;
            if connection.prepare_cached("SELECT 1 FROM room WHERE name = ?1")?.exists([genesis.name.as_str()])? {
                return Ok(RoomCreation::NameTaken);
            }
            let owned: u32 = connection
                .prepare_cached("SELECT count(*) FROM room WHERE owner = ?1")?
                .query_row([genesis.owner_name.as_str()], |row| row.get(0))?;
            if owned >= rooms_max {
                return Ok(RoomCreation::TooMany);
            }
            let insert = "INSERT INTO room (id, name, owner, private, genesis, topic) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            connection.prepare_cached(insert)?.execute(params![
                room.id.as_bytes(),
                genesis.name.as_str(),
                genesis.owner_name.as_str(),
                genesis.private,
                room.signed.to_bytes(),
                room.topic.as_str(),
            ])?;
            if let Some(founder) = founder {
                members::put(connection, &room.id, &founder)?;
            }
            Ok(RoomCreation::Created)
        })
    }

    fn rooms(
        &self,
        caller: &UserName,
        pattern: &str,
        after: Option<&RoomName>,
        limit: u32,
    ) -> Result<Vec<RoomSummary>, StoreError> {
        let query = "SELECT name, private, coalesce(keeper, owner), topic,
                         (SELECT count(*) FROM member WHERE room = room.id AND parted IS NULL AND removed IS NULL),
                         EXISTS (SELECT 1 FROM member WHERE room = room.id AND account = ?1
                                 AND parted IS NULL AND removed IS NULL) AS mine
                     FROM room
                     WHERE closed = 0 AND (private = 0 OR mine) AND instr(name, ?2) > 0 AND name > ?3
                     ORDER BY name LIMIT ?4";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let after = after.map_or("", RoomName::as_str);
            let mut rows = statement.query(params![caller.as_str(), pattern, after, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(summary(row)?);
            }
            Ok(found)
        })
    }
}

fn find(connection: &Connection, query: &str, key: &dyn ToSql) -> Result<Option<Room>, Fault> {
    type Columns = (Vec<u8>, Vec<u8>, String, String, bool, u32);
    let columns = |row: &Row<'_>| -> rusqlite::Result<Columns> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    let row = connection.prepare_cached(query)?.query_row([key], columns).optional()?;
    let Some((id, genesis, topic, owner, is_closed, head)) = row else { return Ok(None) };
    let id = RoomId::from_slice(&id).ok_or_else(|| damaged("a room's id"))?;
    let (signed, genesis) = signed::<Genesis>(&genesis)?;
    let owners = Owners::after(&genesis, entries::reigns(connection, &id, &genesis.owner)?, head);
    let (topic, owner) = (Text::<TOPIC_BYTES_MAX>::cut(&topic), UserName::parse(&owner).map_err(damaged)?);
    Ok(Some(Room { id, signed, genesis, topic, owner, owners, is_closed }))
}

const BY_ID: &str = "
    SELECT id, genesis, topic, coalesce(keeper, owner), closed,
        (SELECT coalesce(max(number), 0) FROM entry WHERE room = room.id)
    FROM room WHERE id = ?1";
const BY_NAME: &str = "
    SELECT id, genesis, topic, coalesce(keeper, owner), closed,
        (SELECT coalesce(max(number), 0) FROM entry WHERE room = room.id)
    FROM room WHERE name = ?1";

fn summary(row: &Row<'_>) -> Result<RoomSummary, Fault> {
    let (name, owner, topic): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
    Ok(RoomSummary {
        name: RoomName::parse(&name).map_err(damaged)?,
        private: row.get(1)?,
        members: row.get(4)?,
        owner: UserName::parse(&owner).map_err(damaged)?,
        topic: Text::cut(&topic),
        joined: row.get(5)?,
    })
}
