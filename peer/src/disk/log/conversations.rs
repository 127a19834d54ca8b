//! The tables `conversations`, `rooms`, `entries` and `members`: with whom one talks, and what makes a room.

use common::ids::{ConversationId, IdentityKey, RoomId};
use common::message::event::WireEvent;
use common::message::room::{Genesis, LogEntry};
use common::names::UserName;
use common::secure::sign::Signed;
use common::wire::codec;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use super::rows;
use crate::ports::LoadedRoom;

/// A conversation as its row says it.
pub(super) struct Known {
    pub(super) row: i64,
    pub(super) id: ConversationId,
    pub(super) with: Option<UserName>,
}

pub(super) fn write_direct(connection: &Connection, id: &ConversationId, with: &UserName) -> Result<(), Fault> {
    let mut statement =
        connection.prepare_cached("INSERT INTO conversations (id, person) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    statement.execute(params![id.as_bytes(), with.as_str()])?;
    Ok(())
}

/// The genesis is the room's name and never changes; whether I am in it does.
pub(super) fn write_room(
    connection: &Connection,
    room: RoomId,
    genesis: &Signed<Genesis>,
    joined: bool,
) -> Result<(), Fault> {
    let id = ConversationId::from(room);
    connection
        .prepare_cached("INSERT INTO conversations (id) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([id.as_bytes()])?;
    connection
        .prepare_cached(
            "INSERT INTO rooms (conversation, genesis, joined) SELECT row, ?2, ?3 FROM conversations WHERE id = ?1
             ON CONFLICT DO UPDATE SET joined = ?3",
        )?
        .execute(params![id.as_bytes(), genesis.to_bytes(), joined])?;
    Ok(())
}

pub(super) fn write_entry(
    connection: &Connection,
    room: RoomId,
    index: u32,
    entry: &Signed<LogEntry>,
) -> Result<(), Fault> {
    let room = room_row(connection, room)?;
    let bytes = entry.to_bytes();
    let known: Option<Vec<u8>> = connection
        .prepare_cached("SELECT entry FROM entries WHERE room = ?1 AND place = ?2")?
        .query_row(params![room, index], |row| row.get(0))
        .optional()?;
    match known {
        Some(known) if known == bytes => Ok(()),
        Some(_) => Err(Fault::Refused("the owner of a room signed two different entries of the same number")),
        None => {
            connection
                .prepare_cached("INSERT INTO entries (room, place, entry) VALUES (?1, ?2, ?3)")?
                .execute(params![room, index, bytes])?;
            Ok(())
        }
    }
}

/// One is enough to know that the owner signs what suits them.
pub(super) fn write_other_entry(connection: &Connection, room: RoomId, entry: &Signed<LogEntry>) -> Result<(), Fault> {
    let room = room_row(connection, room)?;
    connection
        .prepare_cached("INSERT INTO other_entries (room, entry) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![room, entry.to_bytes()])?;
    Ok(())
}

pub(super) fn write_member(
    connection: &Connection,
    room: RoomId,
    identity: &IdentityKey,
    join: &WireEvent,
    part: Option<&WireEvent>,
) -> Result<(), Fault> {
    let room = room_row(connection, room)?;
    connection
        .prepare_cached(
            "INSERT INTO members (room, identity, joined, parted) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET joined = ?3, parted = ?4",
        )?
        .execute(params![room, identity.as_bytes(), codec::encode(join), part.map(codec::encode)])?;
    Ok(())
}

/// Every conversation, in the order they began.
pub(super) fn load(connection: &Connection) -> Result<Vec<Known>, Fault> {
    let mut statement = connection.prepare("SELECT row, id, person FROM conversations ORDER BY row")?;
    let mut found = statement.query([])?;
    let mut conversations = Vec::new();
    while let Some(row) = found.next()? {
        let with: Option<String> = row.get(2)?;
        let with = with.map(|name| UserName::parse(&name)).transpose().map_err(|_| Fault::Damaged)?;
        conversations.push(Known { row: row.get(0)?, id: ConversationId(row.get(1)?), with });
    }
    Ok(conversations)
}

pub(super) fn load_room(connection: &Connection, row: i64) -> Result<Option<LoadedRoom>, Fault> {
    let room: Option<(Vec<u8>, bool)> = connection
        .prepare_cached("SELECT genesis, joined FROM rooms WHERE conversation = ?1")?
        .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((genesis, joined)) = room else { return Ok(None) };
    let genesis = Signed::from_bytes(&genesis)?;
    let (entries, members) = (load_entries(connection, row)?, load_members(connection, row)?);
    let other: Option<Vec<u8>> = connection
        .prepare_cached("SELECT entry FROM other_entries WHERE room = ?1")?
        .query_row([row], |row| row.get(0))
        .optional()?;
    let other = other.map(|bytes| Signed::from_bytes(&bytes)).transpose()?;
    Ok(Some(LoadedRoom { genesis, joined, entries, other, members }))
}

fn load_entries(connection: &Connection, room: i64) -> Result<Vec<Signed<LogEntry>>, Fault> {
    let mut statement = connection.prepare_cached("SELECT entry FROM entries WHERE room = ?1 ORDER BY place")?;
    let mut found = statement.query([room])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        entries.push(Signed::from_bytes(&row.get::<_, Vec<u8>>(0)?)?);
    }
    Ok(entries)
}

fn load_members(connection: &Connection, room: i64) -> Result<Vec<(WireEvent, Option<WireEvent>)>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT joined, parted FROM members WHERE room = ?1 ORDER BY identity")?;
    let mut found = statement.query([room])?;
    let mut members = Vec::new();
    while let Some(row) = found.next()? {
        let part: Option<Vec<u8>> = row.get(1)?;
        let part = part.map(|part| codec::decode(&part)).transpose()?;
        members.push((codec::decode(&row.get::<_, Vec<u8>>(0)?)?, part));
    }
    Ok(members)
}

fn room_row(connection: &Connection, room: RoomId) -> Result<i64, Fault> {
    rows::conversation_row(connection, &room.into())?.ok_or(Fault::Refused("the log does not know this room"))
}
