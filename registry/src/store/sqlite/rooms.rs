//! Table `room`: which rooms exist, with a copy of their genesis and their present topic.

use common::ids::RoomId;
use common::limits::TOPIC_BYTES_MAX;
use common::message::registry::RoomSummary;
use common::message::room::Genesis;
use common::names::{RoomName, UserName};
use common::wire::bounded::Text;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{Fault, SqliteStore, damaged, members, signed};
use crate::store::{Member, Room, RoomCreation, Rooms, StoreError};

impl Rooms for SqliteStore {
    fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        self.read(|connection| find(connection, "SELECT id, genesis, topic FROM room WHERE id = ?1", room.as_bytes()))
    }

    fn room_named(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        let query = "SELECT id, genesis, topic FROM room WHERE name = ?1";
        self.read(|connection| find(connection, query, &name.as_str()))
    }

    fn create_room(&self, room: &Room, owner: &Member, rooms_max: u32) -> Result<RoomCreation, StoreError> {
        let (room, owner) = (room.clone(), owner.clone());
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
            members::put(connection, &room.id, &owner)?;
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
        let query = "SELECT name, private, owner, topic,
                         (SELECT count(*) FROM member WHERE room = room.id AND parted IS NULL),
                         EXISTS (SELECT 1 FROM member WHERE room = room.id AND account = ?1 AND parted IS NULL) AS mine
                     FROM room
                     WHERE (private = 0 OR mine) AND instr(name, ?2) > 0 AND name > ?3
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
    let row: Option<(Vec<u8>, Vec<u8>, String)> = connection
        .prepare_cached(query)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((id, genesis, topic)) = row else { return Ok(None) };
    let id = RoomId::from_slice(&id).ok_or_else(|| damaged("a room's id"))?;
    let (signed, genesis) = signed::<Genesis>(&genesis)?;
    Ok(Some(Room { id, signed, genesis, topic: Text::<TOPIC_BYTES_MAX>::cut(&topic) }))
}

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
