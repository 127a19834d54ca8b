//! One file with everything of a registry, taken while it runs or not: a tar archive with the database as it is at one
//! moment and the realm's keys. Unpacked into a folder (`tar -xf FILE -C DIR`) it is that registry again.

#![expect(
    clippy::disallowed_methods,
    reason = "the archive and the copy that goes into it are files of the operator's"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::folder::{self, DATABASE_FILE, FolderError, KEY_FILE, Parts};
use super::sqlite::inspect;

pub use super::sqlite::inspect::{Fault, Whole};

/// Why there is no backup, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("The database {path} is not whole: {fault}. Restore it from a backup; nothing was changed.")]
    Damaged { path: String, fault: Fault },
    #[error("{path} exists already and was left as it is. Name a file that does not.")]
    Exists { path: String },
    #[error("Cannot write {path}: {reason}. No backup was made: name a file in a folder with free space.")]
    Unwritten { path: String, reason: io::Error },
}

/// Checks the keys and the database in `data_dir`.
pub fn check(data_dir: &Path) -> Result<Whole, BackupError> {
    let Parts { realm, database, .. } = folder::parts_of(data_dir)?;
    inspect::check(&database, &realm).map_err(|fault| damaged(&database, fault))
}

/// Writes the archive to `to`, and only if all of it is whole.
pub fn write(data_dir: &Path, to: &Path) -> Result<Whole, BackupError> {
    let Parts { realm, database, keys } = folder::parts_of(data_dir)?;
    let unwritten = |reason| BackupError::Unwritten { path: shown(to), reason };
    // Made first and empty: from now on the name is ours, and nobody takes it for a backup.
    create(to).map_err(|reason| match reason.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists { path: shown(to) },
        _ => unwritten(reason),
    })?;
    let mut drafts = Drafts { of: to.to_owned(), is_kept: false };
    let copy = drafts.path("database");
    create(&copy).map_err(unwritten)?;
    inspect::copy(&database, &copy).map_err(|fault| damaged(&database, fault))?;
    let whole = inspect::check(&copy, &realm).map_err(|fault| damaged(&database, fault))?;
    let archive = drafts.path("archive");
    let packed = || -> io::Result<()> {
        let mut file = create(&archive)?;
        entry(&mut file, DATABASE_FILE, &copy)?;
        entry(&mut file, KEY_FILE, &keys)?;
        // Two empty blocks are the end.
        file.write_all(&[0; 2 * BLOCK])?;
        file.sync_all()?;
        fs::rename(&archive, to)
    };
    packed().map_err(unwritten)?;
    drafts.is_kept = true;
    Ok(whole)
}

/// Files on the way to the archive, removed when dropped; and the archive itself, if it did not come about.
struct Drafts {
    of: PathBuf,
    is_kept: bool,
}

impl Drafts {
    fn path(&self, what: &str) -> PathBuf {
        let mut name = self.of.clone().into_os_string();
        name.push(format!(".{what}.part"));
        name.into()
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        for what in ["database", "database.part-journal", "archive"] {
            let _ = fs::remove_file(self.path(what));
        }
        if !self.is_kept {
            let _ = fs::remove_file(&self.of);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

// One file in the form of POSIX.1-1988 ("ustar").
fn entry(archive: &mut File, name: &str, from: &Path) -> io::Result<()> {
    let mut content = File::open(from)?;
    let bytes = content.metadata()?.len();
    let mut header = [0u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.write_all(&header)?;
    let written = io::copy(&mut content, archive)?;
    if written != bytes {
        return Err(io::Error::other("it changed while it was read"));
    }
    let rest = usize::try_from(bytes % BLOCK as u64).unwrap_or(0);
    archive.write_all(&[0; BLOCK][..(BLOCK - rest) % BLOCK])
}

fn damaged(path: &Path, fault: Fault) -> BackupError {
    BackupError::Damaged { path: shown(path), fault }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What tar counts in.
const BLOCK: usize = 512;
