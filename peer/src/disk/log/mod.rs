//! The log of one account: everything said, in a SQLite file of its own. The worker owns the one [`Log`] and its
//! connection. A log that is damaged, foreign or newer is refused as it stands and never replaced by an empty one.
//!
//! `schema` has the tables; `account`, `addresses`, `conversations`, `events`, `ids`, `changes`, `receipts`, `search`, `steps`,
//! `told` and `unread` each write and read a group of them. `origin` tells whether the log is the one that was used here last.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::ids::{ChainId, ConversationId, IdentityKey, RealmId};
use common::names::UserName;
use common::time::UnixMillis;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::events::Appending;
use self::fault::{Deed, Fault};
use self::origin::{Change, Origin};
use super::files;
use crate::ports::{DiskError, LoadedConversation, LoadedLog, StepRun, StoredEvent, Survives, Wanted, Write};

mod account;
mod addresses;
mod changes;
mod conversations;
mod events;
mod fault;
mod ids;
mod origin;
mod pages;
mod receipts;
mod rows;
mod schema;
mod search;
mod steps;
#[cfg(test)]
mod tests;
mod told;
mod unread;
mod words;

pub(super) use pages::Page;
pub(super) use search::{Progress, Search};

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    connection: Connection,
    path: PathBuf,
    /// SQLite's journal, to have what it holds written out without adding to it.
    journal: File,
    /// What SQLite does for each commit now.
    survives: Survives,
    /// The system failed to write something out. It may not try again, and say that all is well: what the journal
    /// holds is safe only once it is in the log itself.
    is_doubtful: bool,
}

/// A chain as the node names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Opens the log in an account's folder, or makes one. `fresh_chain` is for new events in a new log, and in one that
    /// may have lost what others hold.
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
            open_checked(&path, realm, user, fresh_chain)
        };
        let (connection, journal, loaded) = opened().map_err(|fault| fault.told(Deed::Open, &path))?;
        let log = Self { connection, path, journal, survives: Survives::Machine, is_doubtful: false };
        Ok((log, loaded))
    }

    /// Writes all of the commits or none of them; as safe as `survives` says when this returns.
    pub(super) fn commit<'a>(
        &mut self,
        commits: impl Iterator<Item = &'a [Write]>,
        survives: Survives,
    ) -> Result<(), DiskError> {
        let done = self.keep(commits.flatten(), survives);
        self.is_doubtful |= done.as_ref().is_err_and(Fault::leaves_doubt);
        done.map_err(|fault| fault.told(Deed::Write, &self.path))
    }

    fn keep<'a>(&mut self, writes: impl Iterator<Item = &'a Write>, survives: Survives) -> Result<(), Fault> {
        if self.is_doubtful {
            take_in_journal(&self.connection)?;
            self.is_doubtful = false;
        }
        let mut writes = writes.peekable();
        if writes.peek().is_none() {
            return Ok(self.journal.sync_data().map_err(files::failed("write", &self.path))?);
        }
        if self.survives != survives {
            self.connection.pragma_update(None, "synchronous", synchronous(survives))?;
            self.survives = survives;
        }
        commit(&self.connection, writes)
    }

    pub(super) fn read_chain(&self, read: &ChainRead) -> Result<Vec<StoredEvent>, DiskError> {
        events::read_chain(&self.connection, read).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// The messages, and what is about them.
    pub(super) fn read_history(
        &self,
        conversation: ConversationId,
        count: u32,
        since: Option<UnixMillis>,
    ) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), DiskError> {
        let read = || {
            let events = events::read_history(&self.connection, conversation, count, since)?;
            let changes = changes::about(&self.connection, &events)?;
            Ok((events, changes))
        };
        read().map_err(|fault: Fault| fault.told(Deed::Read, &self.path))
    }

    /// The messages that are wanted, and what is about them.
    pub(super) fn read_events(&self, wanted: &Wanted) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), DiskError> {
        let read = || {
            let events = changes::wanted(&self.connection, wanted)?;
            let changes = changes::about(&self.connection, &events)?;
            Ok((events, changes))
        };
        read().map_err(|fault: Fault| fault.told(Deed::Read, &self.path))
    }

    /// The recipients of an event of mine, and the steps of any event.
    pub(super) fn read_steps(
        &self,
        name: &ChainName,
        number: u64,
    ) -> Result<(Vec<IdentityKey>, Vec<StepRun>), DiskError> {
        steps::read(&self.connection, name, number).map_err(|fault| fault.told(Deed::Read, &self.path))
    }

    /// Moves what the journal holds into the log, closes it and leaves word of that. What fails here is tried again by
    /// the next `open`: the journal has everything.
    pub(super) fn close(self) {
        let Self { connection, path, .. } = self;
        let closed = || {
            take_in_journal(&connection)?;
            connection.close().map_err(|(_, error)| error)?;
            Origin::leave_word(&path)
        };
        if let Err(fault) = closed() {
            tracing::warn!(?fault, "the log was not closed well");
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
fn open_checked(
    path: &Path,
    realm: &RealmId,
    user: &UserName,
    fresh_chain: &ChainId,
) -> Result<(Connection, File, LoadedLog), Fault> {
    // SQLite takes an empty file for a new log, and deletes the journal that may hold everything.
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        return Err(Fault::Damaged);
    }
    let origin = Origin::look(path)?;
    let mut connection = connect(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    check(&connection)?;
    schema::migrate(&mut connection)?;
    let chain = account::load(&connection, realm, user)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    debug_assert_eq!(mode, "wal", "a file on a disk can have a journal of this kind");
    let mut loaded = load(&connection, chain)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let change = origin.settle(&mut connection, fresh_chain)?;
    if change != Change::None {
        loaded.chain = *fresh_chain;
    }
    loaded.is_copy = change == Change::Copied;
    // Before anything is said: after a loss of power the word must not be back, nor the journal's name be gone.
    origin.take_word_away(path)?;
    files::sync_parent(path)?;
    let journal = with_suffix(path, "-wal");
    let journal = File::open(&journal).map_err(files::failed("open", &journal))?;
    Ok((connection, journal, loaded))
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    // Neither made if missing nor taken for a URI; and only the `disk` thread uses it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", synchronous(Survives::Machine))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A destroyed prekey shall not lie about in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    // With the STAT4 that is compiled in, some statements would be compiled anew for each new value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "wal_autocheckpoint", JOURNAL_PAGES)?;
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
    let bytes: i64 =
        connection.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
            row.get(0)
        })?;
    if bytes <= CHECKED_WHOLE_BYTES_MAX {
        return schema::plain_tables(connection)?.iter().try_for_each(|table| found_good(connection, table));
    }
    schema::LOADED.iter().try_for_each(|table| found_good(connection, table))
}

/// Has SQLite look through a table and its indexes.
fn found_good(connection: &Connection, table: &str) -> Result<(), Fault> {
    let verdict: String = connection.query_row(&format!("PRAGMA quick_check({table})"), [], |row| row.get(0))?;
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
    let certificate = account::load_certificate(connection)?;
    let (pins, prekeys) = (account::load_pins(connection)?, account::load_prekeys(connection)?);
    let held = account::load_held(connection)?;
    let addresses = addresses::load(connection)?;
    // What is damaged among the events is told where it is asked for; a start needs none of them.
    let (untold, untold_changes) = told::load(connection).unwrap_or_else(|fault| {
        tracing::warn!(?fault, "what was not shown before cannot be read");
        Default::default()
    });
    let is_copy = false;
    Ok(LoadedLog { chain, is_copy, certificate, pins, held, addresses, prekeys, conversations, untold, untold_changes })
}

/// After every commit SQLite has written its journal, and with FULL the disk has it too.
fn synchronous(survives: Survives) -> &'static str {
    match survives {
        Survives::Program => "NORMAL",
        Survives::Machine => "FULL",
    }
}

/// Everything is in the log itself and on the disk when this returns.
fn take_in_journal(connection: &Connection) -> Result<(), Fault> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy { Err(Fault::Busy) } else { Ok(()) }
}

fn commit<'a>(connection: &Connection, mut writes: impl Iterator<Item = &'a Write>) -> Result<(), Fault> {
    // As statements at hand: a transaction of rusqlite's has both compiled each time.
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut appending = Appending::begin(connection);
    let written =
        writes.try_for_each(|write| perform(connection, &mut appending, write)).and_then(|()| appending.end());
    drop(appending);
    let done = written.and_then(|()| Ok(connection.prepare_cached("COMMIT")?.execute([]).map(drop)?));
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

/// One change; doing it twice is doing it once.
fn perform<'w>(connection: &Connection, appending: &mut Appending<'_, 'w>, write: &'w Write) -> Result<(), Fault> {
    if !matches!(write, Write::Event { .. }) {
        appending.end()?;
    }
    match write {
        Write::Conversation { id, with } => conversations::write_direct(connection, id, with),
        Write::Room { room, genesis, joined } => conversations::write_room(connection, *room, genesis, *joined),
        Write::OtherEntry { room, entry } => conversations::write_other_entry(connection, *room, entry),
        Write::Entry { room, index, entry } => conversations::write_entry(connection, *room, *index, entry),
        Write::Member { room, identity, join, part } => {
            conversations::write_member(connection, *room, identity, join, part.as_ref())
        }
        Write::Event { event, recipients } => appending.write(event, recipients.as_deref()),
        Write::Skip { conversation, author, chain, number } => {
            let name = ChainName { conversation: *conversation, author: *author, chain: *chain };
            events::skip(connection, &name, *number)
        }
        Write::Borrowed { conversation, author, chain, from } => {
            let name = ChainName { conversation: *conversation, author: *author, chain: *chain };
            events::borrow(connection, &name, *from)
        }
        Write::Acked { conversation, chain, recipient, number } => {
            receipts::write_acknowledged(connection, conversation, chain, recipient, *number)
        }
        Write::Told { conversation, author, chain, number } => {
            let name = ChainName { conversation: *conversation, author: *author, chain: *chain };
            told::write(connection, &name, *number)
        }
        Write::Step(run) => steps::write(connection, run),
        Write::Mailed { conversation, chain, recipient, runs } => {
            receipts::write_mailed(connection, conversation, chain, recipient, runs)
        }
        Write::Prekey(prekey) => account::write_prekey(connection, prekey),
        Write::ForgetPrekey { number } => account::forget_prekey(connection, *number),
        Write::Pin(pin) => account::write_pin(connection, pin),
        Write::Hold(held) => account::write_held(connection, held),
        Write::ForgetHeld { number } => account::forget_held(connection, *number),
        Write::Chain(chain) => account::write_chain(connection, chain),
        Write::Read { conversation, up_to } => unread::write_read(connection, conversation, *up_to),
        Write::Certificate(certificate) => account::write_certificate(connection, certificate),
        Write::Addresses { user, addresses } => addresses::write(connection, user, addresses),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Of a larger log only what is loaded is looked through at the start: reading everything would take a slow disk
/// seconds. What is damaged among its events is refused where it is read.
const CHECKED_WHOLE_BYTES_MAX: i64 = 8 * 1024 * 1024;

/// A backup that reads the log holds it for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The journal is taken into the log when it has so many pages, 16 MiB: that takes two fsyncs, for which commits wait.
/// Nothing is less safe for it, the journal has everything; after a kill there is more of it to be read.
const JOURNAL_PAGES: i64 = 4096;

/// All statements that are ever prepared.
const STATEMENTS_MAX: usize = 96;
