//! Tables `account` and `device`: an account and its enrolled device are one thing to everybody above.

use common::ids::IdentityKey;
use common::names::UserName;
use common::secure::identity::DeviceStatement;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, SqliteStore, damaged, signed};
use crate::store::{Account, Accounts, Creation, Replacement, StoreError};

impl Accounts for SqliteStore {
    fn account(&self, user: &UserName) -> Result<Option<Account>, StoreError> {
        self.read(|connection| {
            let query = "SELECT device.statement, account.password, account.last_seen
                         FROM account JOIN device ON device.account = account.name
                         WHERE account.name = ?1 ORDER BY device.number LIMIT 1";
            let row: Option<(Vec<u8>, String, Option<i64>)> = connection
                .prepare_cached(query)?
                .query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((statement, password, last_seen)) = row else { return Ok(None) };
            let (statement, claim) = signed::<DeviceStatement>(&statement)?;
            let last_seen = last_seen.map(|millis| UnixMillis(millis.cast_unsigned()));
            Ok(Some(Account { statement, claim, password, last_seen }))
        })
    }

    fn user_of_identity(&self, identity: &IdentityKey) -> Result<Option<UserName>, StoreError> {
        self.read(|connection| {
            let name: Option<String> = connection
                .prepare_cached("SELECT name FROM account WHERE identity = ?1")?
                .query_row([identity.as_bytes()], |row| row.get(0))
                .optional()?;
            name.map(|name| UserName::parse(&name).map_err(damaged)).transpose()
        })
    }

    fn create_account(&self, account: &Account, now: UnixMillis) -> Result<Creation, StoreError> {
        let account = account.clone();
        self.writer.write(move |connection| {
            let claim = &account.claim;
            if connection.prepare_cached("SELECT 1 FROM account WHERE name = ?1")?.exists([claim.user.as_str()])? {
                return Ok(Creation::NameTaken);
            }
            if is_key_taken(connection, claim)? {
                return Ok(Creation::KeyTaken);
            }
            insert(connection, &account, now)?;
            Ok(Creation::Created)
        })
    }

    fn replace_keys(&self, before: &Signed<DeviceStatement>, account: &Account) -> Result<Replacement, StoreError> {
        let (before, account) = (before.to_bytes(), account.clone());
        self.writer.write(move |connection| {
            let claim = &account.claim;
            if is_key_taken(connection, claim)? {
                return Ok(Replacement::KeyTaken);
            }
            let delete = "DELETE FROM device WHERE account = ?1 AND statement = ?2";
            if connection.prepare_cached(delete)?.execute(params![claim.user.as_str(), before])? == 0 {
                return Ok(Replacement::Outdated);
            }
            enrol(connection, &account)?;
            connection.prepare_cached("DELETE FROM prekey WHERE account = ?1")?.execute([claim.user.as_str()])?;
            Ok(Replacement::Replaced)
        })
    }

    fn set_password(&self, user: &UserName, password: &str) -> Result<(), StoreError> {
        let (user, password) = (user.clone(), password.to_owned());
        self.writer.write(move |connection| {
            let update = "UPDATE account SET password = ?2 WHERE name = ?1";
            connection.prepare_cached(update)?.execute(params![user.as_str(), password])?;
            Ok(())
        })
    }

    fn dearest_hash(&self) -> Result<Option<u32>, StoreError> {
        self.read(|connection| {
            // `$2b$COST$…`, two digits.
            let query = "SELECT max(substr(password, 5, 2)) FROM account";
            let cost: Option<String> = connection.prepare_cached(query)?.query_row([], |row| row.get(0))?;
            Ok(cost.and_then(|cost| cost.parse().ok()))
        })
    }

    fn set_last_seen(&self, user: &UserName, at: UnixMillis) {
        let user = user.clone();
        self.writer.write_later(move |connection| {
            let update = "UPDATE account SET last_seen = ?2 WHERE name = ?1";
            connection.prepare_cached(update)?.execute(params![user.as_str(), at.0.cast_signed()])?;
            Ok(())
        });
    }
}

/// Whether the identity or the device is somebody's of another name.
pub(super) fn is_key_taken(connection: &Connection, claim: &DeviceStatement) -> Result<bool, Fault> {
    let has = |query: &str, value: &[u8]| connection.prepare_cached(query)?.exists(params![value, claim.user.as_str()]);
    Ok(has("SELECT 1 FROM account WHERE identity = ?1 AND name <> ?2", claim.identity.as_bytes())?
        || has("SELECT 1 FROM device WHERE key = ?1 AND account <> ?2", claim.device.as_bytes())?)
}

/// Other keys and another password under a name that exists.
pub(super) fn replace(connection: &Connection, account: &Account) -> Result<(), Fault> {
    let claim = &account.claim;
    connection.prepare_cached("DELETE FROM device WHERE account = ?1")?.execute([claim.user.as_str()])?;
    let update = "UPDATE account SET identity = ?2, password = ?3 WHERE name = ?1";
    let row = params![claim.user.as_str(), claim.identity.as_bytes(), account.password];
    connection.prepare_cached(update)?.execute(row)?;
    enrol(connection, account)
}

pub(super) fn insert(connection: &Connection, account: &Account, now: UnixMillis) -> Result<(), Fault> {
    let claim = &account.claim;
    let row = params![claim.user.as_str(), claim.identity.as_bytes(), account.password, now.0.cast_signed()];
    let insert = "INSERT INTO account (name, identity, password, created) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(insert)?.execute(row)?;
    enrol(connection, account)
}

fn enrol(connection: &Connection, account: &Account) -> Result<(), Fault> {
    let claim = &account.claim;
    let row = params![claim.device.as_bytes(), claim.user.as_str(), claim.number, account.statement.to_bytes()];
    let insert = "INSERT INTO device (key, account, number, statement) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(insert)?.execute(row)?;
    Ok(())
}
