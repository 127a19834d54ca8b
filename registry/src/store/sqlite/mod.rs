//! The store on disk: SQLite with a write-ahead log. One thread writes (`writer`), a few connections read; a reader
//! is taken out of a channel, so no lock is held while the disk works. One file per table.

#![expect(clippy::disallowed_methods, reason = "SQLite is opened here")]

mod accounts;
mod entries;
pub(super) mod inspect;
mod invites;
mod mail;
mod members;
mod migrations;
mod oversight;
mod rooms;
mod writer;

use std::path::Path;
use std::time::Duration;

use common::ids::RealmId;
use common::secure::sign::{Signable, Signed};
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, OpenFlags};

use self::writer::Writer;
use super::StoreError;

/// See the module.
pub struct SqliteStore {
    readers: (Sender<Connection>, Receiver<Connection>),
    writer: Writer,
}

/// Why a database cannot be used, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("The database {path} is damaged ({detail}). Nothing was changed: restore it from a backup.")]
    Damaged { path: String, detail: String },
    #[error(
        "The database {path} was written by a newer registry (version {found}, this one knows {known}). \
         Install that version or a later one."
    )]
    Newer { path: String, found: u32, known: u32 },
    #[error("The database {path} belongs to another realm than the keys beside it. Restore both from one backup.")]
    Foreign { path: String },
    #[error("The database {path} cannot be opened: {detail}. Check the folder's permissions and free space.")]
    Unusable { path: String, detail: String },
}

impl SqliteStore {
    /// Opens or makes the database of `realm`, checks it and brings its tables up to date.
    pub fn open(path: &Path, realm: &RealmId) -> Result<Self, OpenError> {
        let failed = |error: rusqlite::Error| explain(path, &error);
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
        check(&connection)
            .map_err(failed)?
            .map_or(Ok(()), |detail| Err(OpenError::Damaged { path: path.display().to_string(), detail }))?;
        migrations::run(&mut connection).map_err(|error| match error {
            migrations::MigrationError::Newer { found, known } => {
                OpenError::Newer { path: path.display().to_string(), found, known }
            }
            migrations::MigrationError::Sql(error) => failed(error),
        })?;
        if !claim_realm(&connection, realm).map_err(failed)? {
            return Err(OpenError::Foreign { path: path.display().to_string() });
        }
        let readers = bounded(READERS);
        for _ in 0..READERS {
            let reader = connect(path, OpenFlags::empty()).map_err(failed)?;
            reader.pragma_update(None, "query_only", true).map_err(failed)?;
            reader.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(failed)?;
            readers.0.send(reader).expect("the channel has room for every reader");
        }
        let writer = Writer::start(connection)
            .map_err(|error| OpenError::Unusable { path: path.display().to_string(), detail: error.to_string() })?;
        Ok(Self { readers, writer })
    }

    /// Waits until everything handed over so far is on disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.writer.write(|_| Ok(()))
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let reader = self.readers.1.recv().map_err(|_| StoreError::Closed)?;
        let result = query(&reader);
        // There is room for every reader, so this cannot block; if it fails, the store is being dropped.
        let _ = self.readers.0.send(reader);
        result.map_err(StoreError::from)
    }
}

/// What can go wrong inside a query.
#[derive(Debug)]
enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(error) => Self::Database(error.to_string()),
            Fault::Store(error) => error,
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> Fault {
    Fault::Store(StoreError::Damaged(error.to_string()))
}

/// A signed object from its column, with what it says.
fn signed<T: Signable>(bytes: &[u8]) -> Result<(Signed<T>, T), Fault> {
    let signed = Signed::from_bytes(bytes).map_err(damaged)?;
    let claim = signed.claim().map_err(damaged)?;
    Ok((signed, claim))
}

fn connect(path: &Path, extra: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

// `None` if all is well.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    // The last line says what is wrong, those before it where.
    Ok(verdict.lines().next_back().filter(|line| *line != "ok").map(str::to_owned))
}

// The first to come names the realm; after that it has to be the same.
fn claim_realm(connection: &Connection, realm: &RealmId) -> rusqlite::Result<bool> {
    let insert = "INSERT INTO meta (key, value) VALUES ('realm', ?1) ON CONFLICT DO NOTHING";
    connection.execute(insert, [realm.as_bytes()])?;
    let kept: Vec<u8> = connection.query_row("SELECT value FROM meta WHERE key = 'realm'", [], |row| row.get(0))?;
    Ok(kept == realm.as_bytes())
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let (path, detail) = (path.display().to_string(), error.to_string());
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => OpenError::Damaged { path, detail },
        _ => OpenError::Unusable { path, detail },
    }
}

/// Reads are short; more readers than cores would only wait for each other.
const READERS: usize = 4;
/// The inner pages of every index; rows are in the system's cache, and ten thousand people rarely ask for the same ones.
const READER_CACHE_KIB: i64 = 256;
/// Only the writer locks, and briefly; a checkpoint of another connection may take a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: RealmId = RealmId([1; 32]);

    fn text(result: Result<SqliteStore, OpenError>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn a_damaged_database_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        let garbage = vec![7u8; 20_000];
        std::fs::write(&path, &garbage).unwrap();
        assert!(text(SqliteStore::open(&path, &REALM)).contains("damaged"));
        assert_eq!(std::fs::read(&path).unwrap(), garbage);
    }

    #[test]
    fn a_broken_page_inside_is_noticed_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        drop(SqliteStore::open(&path, &REALM).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xa5);
        std::fs::write(&path, &bytes).unwrap();
        let told = text(SqliteStore::open(&path, &REALM));
        assert!(told.contains("damaged") && told.lines().count() == 1, "{told}");
    }

    #[test]
    fn a_full_disk_is_an_error_that_loses_nothing_and_passes() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("registry.db"), &REALM).unwrap();
        let limit = |pages: u32| store.writer.write(move |c| Ok(c.pragma_update(None, "max_page_count", pages)?));
        let fill = |key: u32| {
            let insert = "INSERT INTO meta (key, value) VALUES (?1, zeroblob(3000))";
            store.writer.write(move |c| Ok(c.execute(insert, [key.to_string()])?))
        };
        let count = || {
            let query = "SELECT count(*) FROM meta WHERE key <> 'realm'";
            store.read(|c| Ok(c.query_row(query, [], |row| row.get::<_, u32>(0))?)).unwrap()
        };
        limit(30).unwrap();
        let full = (0..100).find(|key| fill(*key).is_err()).unwrap();
        assert!(full > 0);
        assert_eq!(count(), full, "everything that was answered is there, and nothing else");
        limit(1000).unwrap();
        assert_eq!(fill(full), Ok(1));
        assert_eq!(count(), full + 1);
    }

    #[test]
    fn a_newer_or_foreign_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        drop(SqliteStore::open(&path, &REALM).unwrap());
        assert!(text(SqliteStore::open(&path, &RealmId([2; 32]))).contains("another realm"));
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(text(SqliteStore::open(&path, &REALM)).contains("newer registry (version 99"));
    }
}
