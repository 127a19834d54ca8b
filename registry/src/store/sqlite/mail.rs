//! Tables `prekey` and `mail`: sealed items for people who are away. What is in them nobody here can read.

use common::names::UserName;
use common::secure::mail::Prekey;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::Blob;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, SqliteStore, damaged, signed};
use crate::store::{BoxLimits, Mailboxes, NewMail, Page, Posting, StoreError, StoredMail};

impl Mailboxes for SqliteStore {
    fn prekey(&self, user: &UserName) -> Result<Option<Signed<Prekey>>, StoreError> {
        self.read(|connection| {
            let bytes: Option<Vec<u8>> = connection
                .prepare_cached("SELECT signed FROM prekey WHERE account = ?1")?
                .query_row([user.as_str()], |row| row.get(0))
                .optional()?;
            Ok(bytes.map(|bytes| signed::<Prekey>(&bytes)).transpose()?.map(|(prekey, _)| prekey))
        })
    }

    fn put_prekey(&self, user: &UserName, prekey: &Signed<Prekey>) -> Result<(), StoreError> {
        let (user, prekey) = (user.clone(), prekey.to_bytes());
        self.writer.write(move |connection| {
            let insert = "INSERT INTO prekey (account, signed) VALUES (?1, ?2)
                          ON CONFLICT DO UPDATE SET signed = excluded.signed";
            connection.prepare_cached(insert)?.execute(params![user.as_str(), prekey])?;
            Ok(())
        })
    }

    fn put_mail(&self, mail: &NewMail, limits: &BoxLimits) -> Result<Posting, StoreError> {
        let (mail, limits) = (mail.clone(), *limits);
        self.writer.write(move |connection| {
            sweep(connection, limits.since)?;
            let (to, from) = (mail.to.as_str(), mail.from.as_str());
            let (all, senders): (u32, u32) = connection
                .prepare_cached("SELECT count(*), count(*) FILTER (WHERE sender = ?2) FROM mail WHERE account = ?1")?
                .query_row([to, from], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if all >= limits.items {
                return Ok(Posting::BoxFull);
            }
            if senders >= limits.items_per_sender {
                return Ok(Posting::ShareFull);
            }
            let query = "SELECT count(*) FROM mail WHERE sender = ?1";
            let everywhere: u32 = connection.prepare_cached(query)?.query_row([from], |row| row.get(0))?;
            if everywhere >= limits.items_from_sender {
                return Ok(Posting::SenderFull);
            }
            let insert = "INSERT INTO mail (account, sender, kept, item) VALUES (?1, ?2, ?3, ?4)";
            connection.prepare_cached(insert)?.execute(params![to, from, mail.at.0.cast_signed(), &*mail.item])?;
            Ok(Posting::Kept)
        })
    }

    fn mail(&self, user: &UserName, after: u64, since: UnixMillis, most: Page) -> Result<Vec<StoredMail>, StoreError> {
        self.read(|connection| {
            let query = "SELECT id, item FROM mail WHERE account = ?1 AND id > ?2 AND kept >= ?3 ORDER BY id";
            let mut statement = connection.prepare_cached(query)?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![user.as_str(), after, since.0.cast_signed()])?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let item = Blob::new(row.get(1)?).map_err(damaged)?;
                bytes += item.len();
                if found.len() >= most.count_max || (bytes > most.bytes_max && !found.is_empty()) {
                    break;
                }
                found.push(StoredMail { id: row.get::<_, i64>(0)?.cast_unsigned(), item });
            }
            Ok(found)
        })
    }

    fn drop_mail(&self, user: &UserName, ids: &[u64]) -> Result<(), StoreError> {
        let (user, ids) = (user.clone(), ids.to_vec());
        self.writer.write(move |connection| {
            let mut delete = connection.prepare_cached("DELETE FROM mail WHERE id = ?1 AND account = ?2")?;
            for id in ids {
                delete.execute(params![i64::try_from(id).unwrap_or(i64::MAX), user.as_str()])?;
            }
            Ok(())
        })
    }

    fn sweep_mail(&self, since: UnixMillis) -> Result<(), StoreError> {
        self.writer.write(move |connection| sweep(connection, since))
    }
}

fn sweep(connection: &Connection, since: UnixMillis) -> Result<(), Fault> {
    let delete = "DELETE FROM mail WHERE kept < ?1";
    connection.prepare_cached(delete)?.execute([i64::try_from(since.0).unwrap_or(i64::MAX)])?;
    Ok(())
}
