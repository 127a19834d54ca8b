//! Table `token`, and what else an operator decides about the tables of others.

use common::names::UserName;
use common::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, SqliteStore, accounts, damaged};
use crate::store::{Account, AccountSummary, Oversight, Redemption, StoreError, StoredToken, TokenDigest, Totals};

impl Oversight for SqliteStore {
    fn is_suspended(&self, user: &UserName) -> Result<bool, StoreError> {
        self.read(|connection| {
            let query = "SELECT 1 FROM account WHERE name = ?1 AND suspended = 1";
            Ok(connection.prepare_cached(query)?.exists([user.as_str()])?)
        })
    }

    fn set_suspended(&self, user: &UserName, is_suspended: bool) -> Result<bool, StoreError> {
        let user = user.clone();
        self.writer.write(move |connection| {
            let update = "UPDATE account SET suspended = ?2 WHERE name = ?1";
            Ok(connection.prepare_cached(update)?.execute(params![user.as_str(), is_suspended])? == 1)
        })
    }

    fn put_token(&self, user: &UserName, token: &StoredToken, now: UnixMillis) -> Result<(), StoreError> {
        let (user, token) = (user.clone(), *token);
        self.writer.write(move |connection| {
            connection.prepare_cached("DELETE FROM token WHERE expires < ?1")?.execute([now.0.cast_signed()])?;
            let insert = "INSERT INTO token (name, digest, expires) VALUES (?1, ?2, ?3)
                          ON CONFLICT DO UPDATE SET digest = excluded.digest, expires = excluded.expires";
            let row = params![user.as_str(), token.digest, token.expires.0.cast_signed()];
            connection.prepare_cached(insert)?.execute(row)?;
            Ok(())
        })
    }

    fn token(&self, user: &UserName) -> Result<Option<StoredToken>, StoreError> {
        self.read(|connection| kept_token(connection, user))
    }

    fn redeem(&self, account: &Account, digest: &TokenDigest, now: UnixMillis) -> Result<Redemption, StoreError> {
        let (account, digest) = (account.clone(), *digest);
        self.writer.write(move |connection| {
            let user = account.user();
            let holds = |kept: StoredToken| kept.digest == digest && kept.expires >= now;
            if !kept_token(connection, user)?.is_some_and(holds) {
                return Ok(Redemption::NoToken);
            }
            if accounts::is_key_taken(connection, &account.claim)? {
                return Ok(Redemption::KeyTaken);
            }
            connection.prepare_cached("DELETE FROM token WHERE name = ?1")?.execute([user.as_str()])?;
            let query = "SELECT identity FROM account WHERE name = ?1";
            let before: Option<Vec<u8>> =
                connection.prepare_cached(query)?.query_row([user.as_str()], |row| row.get(0)).optional()?;
            let Some(identity) = before else {
                accounts::insert(connection, &account, now)?;
                return Ok(Redemption::Created);
            };
            if identity != account.claim.identity.as_bytes() {
                forget(connection, user)?;
            }
            accounts::replace(connection, &account)?;
            Ok(Redemption::Replaced)
        })
    }

    fn accounts(&self, after: Option<&UserName>, limit: u32) -> Result<Vec<AccountSummary>, StoreError> {
        self.read(|connection| {
            let query = "SELECT name, last_seen, suspended FROM account WHERE name > ?1 ORDER BY name LIMIT ?2";
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query(params![after.map_or("", UserName::as_str), limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let last_seen: Option<i64> = row.get(1)?;
                found.push(AccountSummary {
                    user: UserName::parse(&name).map_err(damaged)?,
                    last_seen: last_seen.map(|millis| UnixMillis(millis.cast_unsigned())),
                    is_suspended: row.get(2)?,
                });
            }
            Ok(found)
        })
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|connection| {
            let query =
                "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM room), (SELECT count(*) FROM mail)";
            let totals = connection.prepare_cached(query)?.query_row([], |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                Ok(Totals { accounts: count(0)?, rooms: count(1)?, mail: count(2)? })
            })?;
            Ok(totals)
        })
    }
}

fn kept_token(connection: &Connection, user: &UserName) -> Result<Option<StoredToken>, Fault> {
    let query = "SELECT digest, expires FROM token WHERE name = ?1";
    let kept = connection.prepare_cached(query)?.query_row([user.as_str()], |row| {
        let expires: i64 = row.get(1)?;
        Ok(StoredToken { digest: row.get(0)?, expires: UnixMillis(expires.cast_unsigned()) })
    });
    Ok(kept.optional()?)
}

// Whoever comes under this name now is somebody else: what was the other's, or sealed to them, is nobody's.
fn forget(connection: &Connection, user: &UserName) -> Result<(), Fault> {
    for delete in [
        "DELETE FROM member WHERE account = ?1",
        "DELETE FROM invite WHERE account = ?1",
        "DELETE FROM prekey WHERE account = ?1",
        "DELETE FROM mail WHERE account = ?1",
    ] {
        connection.prepare_cached(delete)?.execute([user.as_str()])?;
    }
    Ok(())
}
