//! Table `member`: the signed join of everybody who is or was in a room, the part of those who left, and what ended the
//! membership of those who were removed.

use common::ids::RoomId;
use common::message::event::WireEvent;
use common::message::room::Invite;
use common::names::UserName;
use common::secure::sign::Signed;
use common::wire::codec;
use rusqlite::{Connection, Params, Row, params};

use super::{Fault, SqliteStore, damaged, entries, invites};
use crate::store::{Joining, Member, Members, StoreError, judge_join};

impl Members for SqliteStore {
    fn member(&self, room: &RoomId, user: &UserName) -> Result<Option<Member>, StoreError> {
        self.read(|connection| find(connection, room, user))
    }

    fn members(&self, room: &RoomId, after: Option<&UserName>, limit: u32) -> Result<Vec<Member>, StoreError> {
        let query = "SELECT account, joined, parted, removed FROM member
                     WHERE room = ?1 AND account > ?2 ORDER BY account LIMIT ?3";
        let after = after.map_or("", UserName::as_str);
        self.read(|connection| list(connection, query, params![room.as_bytes(), after, limit], member))
    }

    fn present(&self, room: &RoomId) -> Result<Vec<UserName>, StoreError> {
        let query = "SELECT account FROM member WHERE room = ?1 AND parted IS NULL AND removed IS NULL
                     ORDER BY account";
        self.read(|connection| list(connection, query, params![room.as_bytes()], name))
    }

    fn memberships(&self, user: &UserName, after: Option<&RoomId>, limit: u32) -> Result<Vec<RoomId>, StoreError> {
        let query = "SELECT room FROM member WHERE account = ?1 AND parted IS NULL AND removed IS NULL AND room > ?2
                     ORDER BY room LIMIT ?3";
        let after = after.map_or(&[][..], |after| after.as_bytes());
        let id = |row: &Row<'_>| RoomId::from_slice(&row.get::<_, Vec<u8>>(0)?).ok_or_else(|| damaged("a room's id"));
        self.read(|connection| list(connection, query, params![user.as_str(), after, limit], id))
    }

    fn companions(&self, user: &UserName) -> Result<Vec<UserName>, StoreError> {
        let query = "SELECT DISTINCT other.account FROM member AS mine
                     JOIN member AS other ON other.room = mine.room
                     WHERE mine.account = ?1 AND mine.parted IS NULL AND mine.removed IS NULL
                         AND other.parted IS NULL AND other.removed IS NULL AND other.account <> ?1
                     ORDER BY other.account";
        self.read(|connection| list(connection, query, params![user.as_str()], name))
    }

    fn join(&self, room: &RoomId, member: &Member, invite: Option<&Signed<Invite>>) -> Result<Joining, StoreError> {
        let (room, member, invite) = (*room, member.clone(), invite.cloned());
        self.writer.write(move |connection| {
            let present_count: u32 = connection
                .prepare_cached("SELECT count(*) FROM member WHERE room = ?1 AND parted IS NULL AND removed IS NULL")?
                .query_row([room.as_bytes()], |row| row.get(0))?;
            let kept = find(connection, &room, &member.user)?;
            let standing = entries::standing(connection, &room, &member.user)?;
            let joining = judge_join(kept.as_ref(), standing, present_count as usize, &member.join)?;
            if matches!(joining, Joining::Entered | Joining::Renewed) {
                put(connection, &room, &member)?;
            }
            if let (Joining::Entered, Some(invite)) = (joining, &invite) {
                invites::put(connection, &room, &member.user, invite, false)?;
            }
            Ok(joining)
        })
    }

    fn part(&self, room: &RoomId, user: &UserName, part: &WireEvent) -> Result<bool, StoreError> {
        let (room, user, part) = (*room, user.clone(), codec::encode(part));
        self.writer.write(move |connection| {
            let update = "UPDATE member SET parted = ?3
                          WHERE room = ?1 AND account = ?2 AND parted IS NULL AND removed IS NULL";
            let changed = connection.prepare_cached(update)?.execute(params![room.as_bytes(), user.as_str(), part])?;
            Ok(changed == 1)
        })
    }
}

pub(super) fn put(connection: &Connection, room: &RoomId, member: &Member) -> Result<(), Fault> {
    let part = member.part.as_ref().map(codec::encode);
    let row = params![room.as_bytes(), member.user.as_str(), codec::encode(&member.join), part];
    let insert = "INSERT INTO member (room, account, joined, parted) VALUES (?1, ?2, ?3, ?4)
                  ON CONFLICT DO UPDATE SET joined = excluded.joined, parted = excluded.parted, removed = NULL";
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}

fn find(connection: &Connection, room: &RoomId, user: &UserName) -> Result<Option<Member>, Fault> {
    let query = "SELECT account, joined, parted, removed FROM member WHERE room = ?1 AND account = ?2";
    Ok(list(connection, query, params![room.as_bytes(), user.as_str()], member)?.pop())
}

fn list<T>(
    connection: &Connection,
    query: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn name(row: &Row<'_>) -> Result<UserName, Fault> {
    UserName::parse(&row.get::<_, String>(0)?).map_err(damaged)
}

fn member(row: &Row<'_>) -> Result<Member, Fault> {
    let event = |bytes: Vec<u8>| codec::decode::<WireEvent>(&bytes).map_err(damaged);
    let part = row.get::<_, Option<Vec<u8>>>(2)?.map(event).transpose()?;
    Ok(Member { user: name(row)?, join: event(row.get(1)?)?, part, removed: row.get(3)? })
}
