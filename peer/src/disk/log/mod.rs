//! The log of one account: everything said, in a SQLite file of its own. The worker owns the one [`Log`] and its
//! connection. A log that is damaged, foreign or newer is refused as it stands and never replaced by an empty one.
//!
//! `schema` has the tables; `account`, `conversations`, `events`, `receipts`, `search` and `unread` each write and read
//! a group of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::ids::{ChainId, ConversationId, IdentityKey, RealmId};
use common::names::UserName;
use common::time::UnixMillis;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use self::fault::{Deed, Fault};
use super::files;
use crate::ports::{DiskError, LoadedConversation, LoadedLog, StoredEvent, Write};

mod account;
mod conversations;
mod events;
mod fault;
mod pages;
mod receipts;
mod rows;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod unread;
mod words;

pub(super) use pages::Page;
pub(super) use search::{Progress, Search};

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    connection: Connection,
    path: PathBuf,
}

/// A chain as the node names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainName {
    pub(super) conversation: ConversationId,
    pub(super) author: IdentityKey,
    pub(super) chain: ChainId,
}

/// Which events of which chain to read; see [`crate::ports::DiskJob::ReadChain`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainRead {
    pub(super) name: ChainName,
    pub(super) from: u64,
    pub(super) bytes_max: usize,
    pub(super) not_before: Option<UnixMillis>,
}

impl Log {
    /// Opens the log in an account's folder, or makes one whose chain is `fresh_chain`.
    pub(super) fn open(
        folder: &Path,
        realm: &RealmId,
        user: &UserName,
        fresh_chain: &ChainId,
    ) -> Result<(Self, LoadedLog), DiskError> {
        let path = folder.join("messages.db");
        let opened = || {
            if !files::exists(&path)? {
                create(&path, realm, user, fresh_chain)?;
            }
            open_checked(&path, realm, user)
        };
        let (connection, loaded) = opened().map_err(|fault| fault.told(Deed::Open, &path))?;
        Ok((Self { connection, path }, loaded))
    }

    /// Writes all of the commits or none of them; on the disk when this returns.
    pub(super) fn commit<'a>(&mut self, commits: impl Iterator<Item = &'a [Write]>) -> Result<(), DiskError> {
        commit(&mut self.connection, commits).map_err(|fault| fault.told(Deed::Write, &self.path))
    }

    pub(super) fn read_chain(&self, read: &ChainRead) -> Result<Vec<StoredEvent>, DiskError> {
        events::read_chain(&self.connection, read).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    pub(super) fn read_history(&self, conversation: ConversationId, count: u32) -> Result<Vec<StoredEvent>, DiskError> {
        events::read_history(&self.connection, conversation, count).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// Moves what the journal holds into the log and closes it. What fails here is tried again by the next `open`:
    /// the journal has everything.
    pub(super) fn close(self) {
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the journal of the log was not taken in");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the log was not closed well");
        }
    }
}

/// Makes a whole empty log beside `path` and renames it: a log that is there is one that was whole once, so that an
/// empty file is never taken for a new one.
fn create(path: &Path, realm: &RealmId, user: &UserName, chain: &ChainId) -> Result<(), Fault> {
    if files::exists(&with_suffix(path, "-wal"))? {
        return Err(Fault::JournalAlone);
    }
    files::create_folder(path.parent().expect("a log lies in the folder of its account"))?;
    let beside = with_suffix(path, ".part");
    files::remove(&with_suffix(&beside, "-journal"))?;
    files::remove(&beside)?;
    files::open_private(&beside)?;
    let mut connection = connect(&beside)?;
    schema::migrate(&mut connection)?;
    account::create(&connection, realm, user, chain)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(files::rename(&beside, path)?)
}

/// Looks before it touches: until the log is found good, nothing in its file or its journal changes.
fn open_checked(path: &Path, realm: &RealmId, user: &UserName) -> Result<(Connection, LoadedLog), Fault> {
    // SQLite takes an empty file for a new log, and deletes the journal that may hold everything.
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        return Err(Fault::Damaged);
    }
    let mut connection = connect(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    check(&connection)?;
    schema::migrate(&mut connection)?;
    let chain = account::load(&connection, realm, user)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    debug_assert_eq!(mode, "wal", "a file on a disk can have a journal of this kind");
    let loaded = load(&connection, chain)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok((connection, loaded))
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    // Neither made if missing nor taken for a URI; and only the `disk` thread uses it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // With the STAT4 that is compiled in, some statements would be compiled anew for each new value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn check(connection: &Connection) -> Result<(), Fault> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != schema::APPLICATION_ID {
        return Err(Fault::Foreign);
    }
    if connection.is_readonly("main")? {
        return Err(Fault::ReadOnly);
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Fault::Damaged) }
}

fn load(connection: &Connection, chain: ChainId) -> Result<LoadedLog, Fault> {
    let mut conversations = Vec::new();
    for known in conversations::load(connection)? {
        let chains = events::load(connection, known.row)?;
        conversations.push(LoadedConversation {
            id: known.id,
            with: known.with,
            room: conversations::load_room(connection, known.row)?,
            lamport: chains.lamport,
            own: chains.own,
            theirs: chains.theirs,
        });
    }
    Ok(LoadedLog { chain, pins: account::load_pins(connection)?, conversations })
}

fn commit<'a>(connection: &mut Connection, commits: impl Iterator<Item = &'a [Write]>) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    commits.flatten().try_for_each(|write| perform(&transaction, write))?;
    Ok(transaction.commit()?)
}

/// One change; doing it twice is doing it once.
fn perform(connection: &Connection, write: &Write) -> Result<(), Fault> {
    match write {
        Write::Conversation { id, with } => conversations::write_direct(connection, id, with),
        Write::Room { room, genesis, joined } => conversations::write_room(connection, *room, genesis, *joined),
        Write::Entry { room, index, entry } => conversations::write_entry(connection, *room, *index, entry),
        Write::Member { room, identity, join, part } => {
            conversations::write_member(connection, *room, identity, join, part.as_ref())
        }
        Write::Event { event, recipients } => events::write(connection, event, recipients.as_deref()),
        Write::Skip { conversation, author, chain, number } => {
            let name = ChainName { conversation: *conversation, author: *author, chain: *chain };
            events::skip(connection, &name, *number)
        }
        Write::Acked { conversation, chain, recipient, number } => {
            receipts::write_acknowledged(connection, conversation, chain, recipient, *number)
        }
        Write::Pin(pin) => account::write_pin(connection, pin),
        Write::Chain(chain) => account::write_chain(connection, chain),
        Write::Read { conversation, up_to } => unread::write_read(connection, conversation, *up_to),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A backup that reads the log holds it for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// All statements that are ever prepared.
const STATEMENTS_MAX: usize = 64;
