//! Looking into the files of a program that is dead. Nothing in them changes: whoever starts next finds them as the
//! crash left them.

use std::path::{Path, PathBuf};

use common::message::event::{Content, WireEvent};
use common::wire::bounded::Blob;
use rusqlite::{Connection, OpenFlags};

use super::ledger::{Kept, Logged, Violation};

/// The log of the account `user` in a data folder, once there is one.
pub(super) fn find(data_dir: &Path, user: &str) -> Option<PathBuf> {
    let realms = std::fs::read_dir(data_dir.join("accounts")).ok()?;
    let logs = realms.flatten().map(|realm| realm.path().join(user).join("messages.db"));
    logs.into_iter().find(|path| path.exists())
}

/// The texts in rows behind `after`, in order of arrival, and the last row there is.
pub(super) fn read(path: &Path, after: i64) -> Kept<(Vec<Logged>, i64)> {
    let connection = open(path)?;
    let read = || -> rusqlite::Result<Vec<Row>> {
        let mut statement = connection.prepare(TEXTS)?;
        let rows = statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        rows.collect()
    };
    let rows = read().map_err(broken(path))?;
    let last = rows.last().map_or(after, |(row, ..)| *row);
    let logged = rows.into_iter().map(|(row, id, own, bytes)| {
        let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Logged {
            id,
            text: text(bytes).ok_or_else(|| Violation(format!("{}: row {row} is no text", path.display())))?,
            own,
        })
    });
    Ok((logged.collect::<Kept<Vec<Logged>>>()?, last))
}

/// Everything SQLite can find wrong with a file.
pub(super) fn check(path: &Path) -> Kept<()> {
    let connection = open(path)?;
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(broken(path))?;
    if verdict == "ok" { Ok(()) } else { Err(Violation(format!("{} is corrupt: {verdict}", path.display()))) }
}

fn open(path: &Path) -> Kept<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(broken(path))
}

fn text(bytes: Vec<u8>) -> Option<String> {
    let event = WireEvent { bytes: Blob::new(bytes).ok()?, signature: None };
    match event.claim().ok()?.content().ok()? {
        Content::Text(text) => Some(text),
        _ => None,
    }
}

fn broken(path: &Path) -> impl FnOnce(rusqlite::Error) -> Violation {
    let path = path.display().to_string();
    move |error| Violation(format!("{path} cannot be read: {error}"))
}

/// Its number, the event's id, whether it is of the log's owner, and the event.
type Row = (i64, [u8; 32], bool, Vec<u8>);

const TEXTS: &str = "
    SELECT events.row, events.id, chains.own, events.bytes FROM events JOIN chains ON chains.row = events.chain
    WHERE events.kind = 1 AND events.row > ?1 ORDER BY events.row";
