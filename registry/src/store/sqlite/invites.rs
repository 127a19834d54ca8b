//! Table `invite`: the latest invitation per room and person, and whether it is still open.

use common::ids::RoomId;
use common::message::room::Invite;
use common::names::UserName;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, SqliteStore, damaged, signed};
use crate::store::{Invites, StoreError, StoredInvite};

impl Invites for SqliteStore {
    fn invite(&self, room: &RoomId, user: &UserName) -> Result<Option<StoredInvite>, StoreError> {
        self.read(|connection| {
            let row: Option<(Vec<u8>, bool)> = connection
                .prepare_cached("SELECT signed, open FROM invite WHERE room = ?1 AND account = ?2")?
                .query_row(params![room.as_bytes(), user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((bytes, is_open)) = row else { return Ok(None) };
            Ok(Some(StoredInvite { invite: signed(&bytes)?.0, is_open }))
        })
    }

    fn put_invite(
        &self,
        room: &RoomId,
        user: &UserName,
        invite: &Signed<Invite>,
        invites_max: u32,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let (room, user, invite) = (*room, user.clone(), invite.clone());
        self.writer.write(move |connection| {
            let query = "SELECT count(*) FROM invite
                         WHERE room = ?1 AND account <> ?2 AND open = 1 AND expires >= ?3";
            let others: u32 = connection
                .prepare_cached(query)?
                .query_row(params![room.as_bytes(), user.as_str(), millis(now)], |row| row.get(0))?;
            if others >= invites_max {
                return Ok(false);
            }
            put(connection, &room, &user, &invite, true)?;
            Ok(true)
        })
    }

    fn invites_of(
        &self,
        user: &UserName,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<(RoomId, Signed<Invite>)>, StoreError> {
        self.read(|connection| {
            let query = "SELECT room, signed FROM invite WHERE account = ?1 AND open = 1 AND expires >= ?2
                         ORDER BY expires DESC, room LIMIT ?3";
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query(params![user.as_str(), millis(now), limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let room = RoomId::from_slice(&row.get::<_, Vec<u8>>(0)?).ok_or_else(|| damaged("a room's id"))?;
                found.push((room, signed(&row.get::<_, Vec<u8>>(1)?)?.0));
            }
            Ok(found)
        })
    }

    fn decline(&self, room: &RoomId, user: &UserName) -> Result<bool, StoreError> {
        let (room, user) = (*room, user.clone());
        self.writer.write(move |connection| {
            let update = "UPDATE invite SET open = 0 WHERE room = ?1 AND account = ?2 AND open = 1";
            let changed = connection.prepare_cached(update)?.execute(params![room.as_bytes(), user.as_str()])?;
            Ok(changed == 1)
        })
    }
}

pub(super) fn put(
    connection: &Connection,
    room: &RoomId,
    user: &UserName,
    invite: &Signed<Invite>,
    is_open: bool,
) -> Result<(), Fault> {
    let expires = invite.claim().map_err(damaged)?.expires;
    let insert = "INSERT INTO invite (room, account, signed, expires, open) VALUES (?1, ?2, ?3, ?4, ?5)
                  ON CONFLICT DO UPDATE SET signed = excluded.signed, expires = excluded.expires, open = excluded.open";
    let row = params![room.as_bytes(), user.as_str(), invite.to_bytes(), millis(expires), is_open];
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

// An expiry is whatever its signer wrote.
fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
