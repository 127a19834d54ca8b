//! Whether a log is the one that was used last. Others may hold lines of mine that an older copy lacks, or that a machine
//! lost with its power: new ones go into a new chain then, so that no number ever means two things. `Log::open` asks
//! before anything is said. The log itself says in which file it was opened, and since which start of the machine. A
//! small file beside it, there only while the log is closed, says when the log was last changed in any way: a time that
//! no program can set, so that a copy put in its place, even with a file of that kind of its own, differs from it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use common::ids::ChainId;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::super::files;
use super::fault::Fault;
use super::{account, with_suffix};

/// What is to be seen of a log before it is opened.
#[derive(Debug)]
pub(super) struct Origin {
    place: Place,
    /// When the file was last changed.
    changed: String,
    /// The same as the last one to close it saw it; `None` if nobody did since it was opened.
    closed: Option<Vec<u8>>,
}

/// Where a log is open, as its table `opened` says.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    boot: Option<String>,
    inode: i64,
    born: Option<i64>,
}

/// What became of a log since it was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The machine stopped while it was open: what was not written out may be gone.
    Interrupted,
    /// It is a copy, or was changed behind our back.
    Copied,
}

impl Origin {
    /// To be called before SQLite sees the file.
    pub(super) fn look(path: &Path) -> Result<Self, Fault> {
        let metadata = fs::metadata(path).map_err(files::failed("read", path))?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let boot = fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned());
        Ok(Self {
            place: Place {
                boot,
                // Its bits matter, not its value.
                inode: metadata.ino().cast_signed(),
                born: born.and_then(|born| i64::try_from(born.as_nanos()).ok()),
            },
            changed: changed(&metadata),
            closed: files::read_bounded(&word(path), WORD_BYTES_MAX)?,
        })
    }

    /// Finds out what became of the log, gives it its new chain if it needs one, and keeps where it is open now.
    pub(super) fn settle(&self, connection: &mut Connection, fresh_chain: &ChainId) -> Result<Change, Fault> {
        let opened = load(connection)?;
        let change = self.change(opened.as_ref());
        if change == Change::None && opened.as_ref() == Some(&self.place) {
            return Ok(change);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if change != Change::None {
            account::write_chain(&transaction, fresh_chain)?;
        }
        write(&transaction, &self.place)?;
        transaction.commit()?;
        Ok(change)
    }

    fn change(&self, opened: Option<&Place>) -> Change {
        match (&self.closed, opened) {
            (Some(closed), _) if closed == self.changed.as_bytes() => Change::None,
            (Some(_), _) => Change::Copied,
            // New, or closed by a program that left no word.
            (None, None) => Change::None,
            (None, Some(opened)) if (opened.inode, opened.born) != (self.place.inode, self.place.born) => {
                Change::Copied
            }
            (None, Some(opened)) if opened.boot.is_none() || opened.boot != self.place.boot => Change::Interrupted,
            (None, Some(_)) => Change::None,
        }
    }

    /// The log is in use: from now on nobody has closed it.
    pub(super) fn take_word_away(&self, path: &Path) -> Result<(), Fault> {
        Ok(files::remove(&word(path))?)
    }

    /// The log is closed, and nothing touches its file any more.
    pub(super) fn leave_word(path: &Path) -> Result<(), Fault> {
        let metadata = fs::metadata(path).map_err(files::failed("read", path))?;
        Ok(files::write_private(&word(path), changed(&metadata).as_bytes())?)
    }
}

fn changed(metadata: &fs::Metadata) -> String {
    format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec())
}

fn word(path: &Path) -> PathBuf {
    with_suffix(path, ".closed")
}

fn load(connection: &Connection) -> Result<Option<Place>, Fault> {
    let place = connection.query_row("SELECT boot, inode, born FROM opened", [], |row| {
        Ok(Place { boot: row.get(0)?, inode: row.get(1)?, born: row.get(2)? })
    });
    Ok(place.optional()?)
}

fn write(connection: &Connection, Place { boot, inode, born }: &Place) -> Result<(), Fault> {
    connection.execute(
        "INSERT INTO opened (one, boot, inode, born) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET boot = ?1, inode = ?2, born = ?3",
        params![boot, inode, born],
    )?;
    Ok(())
}

/// Linux's random name for its present run. Where there is none, every unclean end counts as the machine's.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// More than seconds and nanoseconds ever take.
const WORD_BYTES_MAX: u64 = 64;
