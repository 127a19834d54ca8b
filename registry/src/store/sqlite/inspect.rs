//! Looking at a database without changing it, while a registry uses it or not: whether it is whole, and a copy of it as
//! it is at one moment.

#![expect(clippy::disallowed_methods, reason = "SQLite is opened here")]

use std::path::Path;

use common::ids::RealmId;
use common::secure::identity::{DeviceStatement, check_statement};
use common::secure::sign::Signed;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{BUSY_TIMEOUT, migrations};

/// What a database that is whole holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    pub accounts: u64,
    pub rooms: u64,
}

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("it cannot be read: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it holds something that refers to nothing in the table {0}")]
    Reference(String),
    #[error("it was written by a newer registry (version {found}, this one knows {known})")]
    Newer { found: u32, known: u32 },
    #[error("it belongs to another realm than the keys beside it")]
    Foreign,
    #[error("the keys of the account {0} do not hold")]
    Account(String),
}

/// Whether every page, reference and signature of the database of `realm` holds.
pub(crate) fn check(path: &Path, realm: &RealmId) -> Result<Whole, Fault> {
    let connection = open(path)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Fault::Damaged(verdict.lines().next_back().unwrap_or_default().to_owned()));
    }
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > migrations::known() {
        return Err(Fault::Newer { found, known: migrations::known() });
    }
    let dangling: Option<String> = connection.query_row("PRAGMA foreign_key_check", [], |row| row.get(0)).optional()?;
    if let Some(table) = dangling {
        return Err(Fault::Reference(table));
    }
    let kept: Option<Vec<u8>> =
        connection.query_row("SELECT value FROM meta WHERE key = 'realm'", [], |row| row.get(0)).optional()?;
    if kept.as_deref() != Some(realm.as_bytes()) {
        return Err(Fault::Foreign);
    }
    let accounts = check_accounts(&connection, realm)?;
    let rooms: i64 = connection.query_row("SELECT count(*) FROM room", [], |row| row.get(0))?;
    Ok(Whole { accounts, rooms: rooms.cast_unsigned() })
}

/// Writes the database as it is now to `to`, which is empty or not there.
pub(crate) fn copy(path: &Path, to: &Path) -> Result<(), Fault> {
    let connection = open(path)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

// A writer may be at work beside this; what is read is one moment's.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    // Reading a journal takes writing to the file beside it, so read-only would not do.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn check_accounts(connection: &Connection, realm: &RealmId) -> Result<u64, Fault> {
    let query = "SELECT account.name, account.identity, device.key, device.statement
                 FROM account LEFT JOIN device ON device.account = account.name";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (name, identity): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let (device, signed): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        let claim = signed.and_then(|signed| Signed::<DeviceStatement>::from_bytes(&signed).ok());
        let holds = claim.and_then(|signed| check_statement(&signed).ok()).is_some_and(|claim| {
            let names_both = claim.identity.as_bytes().as_slice() == identity
                && device.as_deref() == Some(claim.device.as_bytes().as_slice());
            names_both && claim.user.as_str() == name && claim.realm == *realm
        });
        if !holds {
            return Err(Fault::Account(name));
        }
        count += 1;
    }
    Ok(count)
}
