//! What can go wrong with a log, and how a person is told: what failed, why, and what to do next. Every part of the
//! log returns a [`Fault`]; only `Log` turns it into the error that leaves this floor.

use std::path::Path;

use common::wire::codec::DecodeError;
use rusqlite::ErrorCode;

use super::super::files::FileError;
use crate::ports::DiskError;

#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// Says for itself what failed.
    File(FileError),
    ReadOnly,
    /// The file is not, or not any more, what this program wrote.
    Damaged,
    /// A SQLite file of another program.
    Foreign,
    /// Written by a newer version of this program.
    Newer,
    OtherAccount,
    /// The journal is there and the log it belongs to is not.
    JournalAlone,
    /// Somebody else reads it for longer than we wait.
    Busy,
    /// The node asks for what would break the log: its mistake, and nothing was written.
    Refused(&'static str),
}

/// What was being done, for the beginning of the sentence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Open,
    Read,
    Write,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
                Self::Damaged
            }
            error => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
                _ => Self::Sqlite(error),
            },
        }
    }
}

/// Everything was whole when it was written.
impl From<DecodeError> for Fault {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl Fault {
    /// Whether something written before may be lost, though the next writing out goes well.
    pub(super) fn leaves_doubt(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure),
            Self::File(_) => true,
            _ => false,
        }
    }

    pub(super) fn told(&self, deed: Deed, path: &Path) -> DiskError {
        if let Self::File(error) = self {
            return DiskError { text: error.to_string() };
        }
        let deed = match deed {
            Deed::Open => "open",
            Deed::Read => "read",
            Deed::Write => "write",
        };
        DiskError { text: format!("Can't {deed} {}: {}", path.display(), self.reason()) }
    }

    fn reason(&self) -> String {
        let reason = match self {
            Self::Sqlite(error) => return sqlite_reason(error),
            Self::File(error) => return error.to_string(),
            Self::ReadOnly => NOT_YOURS,
            Self::Damaged => {
                "the log is damaged. It was left as it is. Quit, and put a copy in its place; or move it away \
                 together with the files whose names begin like it, and what you and others said is gone from here."
            }
            Self::Foreign => {
                "it is not a log of this program. It was left as it is. Move it away, or choose another folder."
            }
            Self::Newer => "it was written by a newer version of this program. Use that one; nothing was changed.",
            Self::OtherAccount => {
                "it is the log of another account. It was left as it is. Put the right one in its place."
            }
            Self::JournalAlone => {
                "only its journal is there (the file ending in -wal), which holds the newest lines. Put the log back \
                 beside it, or move the journal away; nothing was changed."
            }
            Self::Busy => IN_USE,
            Self::Refused(reason) => return format!("{reason}. Nothing was written."),
        };
        reason.to_owned()
    }
}

fn sqlite_reason(error: &rusqlite::Error) -> String {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full. Free some space and try again.",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => NOT_YOURS,
        Some(ErrorCode::CannotOpen) => "it cannot be opened. Look at the permissions of the file and its folder.",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => IN_USE,
        Some(ErrorCode::OutOfMemory) => "there is no memory left. Close some programs.",
        Some(ErrorCode::SystemIoFailure) => {
            return format!("the disk reports an error ({error}). Look after the disk and keep a copy of the folder.");
        }
        _ => return format!("{error}."),
    };
    reason.to_owned()
}

const IN_USE: &str = "another program is using it. Close that one.";
const NOT_YOURS: &str = "it is not yours to write. Mend its permissions, or choose another folder with --data-dir.";
