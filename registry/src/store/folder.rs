//! The data folder: made private, locked for one registry at a time, and the home of the realm's keys.
//! Keys are made once and never replaced; a folder that lost them is refused, not given new ones.

#![expect(clippy::disallowed_methods, reason = "the data folder's files and the randomness of new keys live here")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use common::ids::{RealmId, RootKey};
use common::secure::identity::DeviceSecret;
use ed25519_dalek::SigningKey;

/// A data folder that this process holds.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    // Held for its lock, which ends with the file.
    _lock: File,
}

/// What makes this registry this registry: its root key `R`, and the Noise static its links use.
#[derive(Clone)]
pub struct RealmKeys {
    pub root: SigningKey,
    pub link: DeviceSecret,
}

/// Why a folder cannot be used, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("Cannot use the data folder {path}: {reason}. Make it writable, or name another with --data-dir.")]
    Unusable { path: String, reason: io::Error },
    #[error("The data folder {path} is in use by process {pid}. Stop that registry, or name another --data-dir.")]
    InUse { path: String, pid: String },
    #[error("There is no registry in {path}. Start one there first, or name its folder with --data-dir.")]
    Empty { path: String },
    #[error("The key file {path} is damaged. Restore it from a backup: without it nobody would know this registry.")]
    KeysDamaged { path: String },
    #[error(
        "The database {path} is missing or empty beside its journal (the file ending in -wal). Restore it from a backup, \
         or move the journal away; nothing was changed."
    )]
    JournalAlone { path: String },
    #[error(
        "The database {path} is empty. Restore it from a backup, or move it away to begin without accounts; nothing was \
         changed."
    )]
    Emptied { path: String },
    #[error("The key file {path} is missing beside its database. Restore it from a backup of this folder.")]
    KeysMissing { path: String },
}

impl Folder {
    /// Makes the folder if there is none, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |reason| FolderError::Unusable { path: shown(path), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock_path = path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(&lock_path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { path: shown(path), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where a running registry takes its operator's orders.
    pub fn control(&self) -> PathBuf {
        control_of(&self.path)
    }

    /// Where the database is; an empty file, private like the rest, if there was none.
    pub fn database(&self) -> Result<PathBuf, FolderError> {
        let path = self.path.join(DATABASE_FILE);
        let is_empty = |path: &Path| std::fs::metadata(path).map_or(true, |found| found.len() == 0);
        // SQLite would take the journal of a lost database for that of a new one, and discard it.
        if is_empty(&path) && !is_empty(&self.path.join(format!("{DATABASE_FILE}-wal"))) {
            return Err(FolderError::JournalAlone { path: shown(&path) });
        }
        if path.exists() && is_empty(&path) {
            return Err(FolderError::Emptied { path: shown(&path) });
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        opened.map_err(|reason| FolderError::Unusable { path: shown(&path), reason })?;
        Ok(path)
    }

    /// The realm's keys, made now if this folder is new.
    pub fn keys(&self) -> Result<RealmKeys, FolderError> {
        let path = self.path.join(KEY_FILE);
        let unusable = |reason| FolderError::Unusable { path: shown(&path), reason };
        if let Some(keys) = read_keys(&path)? {
            return Ok(keys);
        }
        if self.path.join(DATABASE_FILE).exists() {
            return Err(FolderError::KeysMissing { path: shown(&path) });
        }
        let mut seeds = [0; SEEDS_BYTES];
        getrandom::fill(&mut seeds).map_err(|error| unusable(io::Error::other(error.to_string())))?;
        self.write_new(&path, &[KEY_FILE_MARK, &seeds].concat()).map_err(unusable)?;
        Ok(RealmKeys::from_seeds(&seeds))
    }

    // Complete or not there: a crash half-way must not leave half a key.
    fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(&self.path)?.sync_all()
    }
}

impl RealmKeys {
    /// Keys from 64 random bytes.
    pub fn from_seeds(seeds: &[u8; SEEDS_BYTES]) -> Self {
        let half = |begin: usize| -> [u8; 32] { seeds[begin..begin + 32].try_into().expect("half of 64 bytes is 32") };
        Self { root: SigningKey::from_bytes(&half(0)), link: DeviceSecret::from_bytes(half(32)) }
    }

    pub fn root_key(&self) -> RootKey {
        RootKey(self.root.verifying_key().to_bytes())
    }

    pub fn realm(&self) -> RealmId {
        RealmId::of(&self.root_key())
    }
}

impl std::fmt::Debug for RealmKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RealmKeys({:?})", self.realm())
    }
}

/// Where orders to the registry in `path` go, if it runs.
pub fn control_of(path: &Path) -> PathBuf {
    path.join(CONTROL_FILE)
}

/// What makes a registry, where it is.
#[derive(Debug)]
pub struct Parts {
    pub realm: RealmId,
    pub database: PathBuf,
    pub keys: PathBuf,
}

/// The parts of the registry in `path`, which may be running. Nothing is made or changed.
pub fn parts_of(path: &Path) -> Result<Parts, FolderError> {
    let realm = realm_of(path)?;
    let database = path.join(DATABASE_FILE);
    match fs::metadata(&database) {
        Ok(found) if found.len() > 0 => Ok(Parts { realm, database, keys: path.join(KEY_FILE) }),
        _ => Err(FolderError::Emptied { path: shown(&database) }),
    }
}

/// The realm of the registry in `path`, which may be running.
pub fn realm_of(path: &Path) -> Result<RealmId, FolderError> {
    let keys = read_keys(&path.join(KEY_FILE))?;
    keys.map(|keys| keys.realm()).ok_or_else(|| FolderError::Empty { path: shown(path) })
}

fn read_keys(path: &Path) -> Result<Option<RealmKeys>, FolderError> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(reason) => return Err(FolderError::Unusable { path: shown(path), reason }),
    };
    let seeds = content.strip_prefix(KEY_FILE_MARK).and_then(|seeds| seeds.try_into().ok());
    let seeds: [u8; SEEDS_BYTES] = seeds.ok_or_else(|| FolderError::KeysDamaged { path: shown(path) })?;
    Ok(Some(RealmKeys::from_seeds(&seeds)))
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let read = lock.rewind().and_then(|()| lock.take(20).read_to_string(&mut pid));
    match (read, pid.trim()) {
        (Ok(_), pid) if !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A root seed and a link secret.
pub const SEEDS_BYTES: usize = 64;
pub(super) const KEY_FILE: &str = "realm.keys";
const KEY_FILE_MARK: &[u8] = b"p2p-chat realm keys v1\n";
const LOCK_FILE: &str = "registry.lock";
const CONTROL_FILE: &str = "registry.control";
pub(super) const DATABASE_FILE: &str = "registry.db";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_are_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/registry");
        let first = Folder::open(&path).unwrap().keys().unwrap().realm();
        assert_eq!(Folder::open(&path).unwrap().keys().unwrap().realm(), first);
        assert_eq!(realm_of(&path).unwrap(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let database = Folder::open(&path).unwrap().database().unwrap();
        assert_eq!((mode(&path), mode(&path.join(KEY_FILE)), mode(&database)), (0o700, 0o600, 0o600));
    }

    #[test]
    fn a_second_registry_is_told_who_holds_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let _first = Folder::open(root.path()).unwrap();
        let second = Folder::open(root.path()).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
    }

    #[test]
    fn the_journal_of_a_lost_database_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let database = folder.database().unwrap();
        let journal = root.path().join(format!("{DATABASE_FILE}-wal"));
        fs::write(&journal, b"pages").unwrap();
        assert!(matches!(folder.database(), Err(FolderError::JournalAlone { .. })), "empty");
        fs::remove_file(&database).unwrap();
        assert!(matches!(folder.database(), Err(FolderError::JournalAlone { .. })), "missing");
        assert_eq!(fs::read(&journal).unwrap(), b"pages");
        fs::remove_file(&journal).unwrap();
        fs::write(&database, b"").unwrap();
        assert!(matches!(folder.database(), Err(FolderError::Emptied { .. })), "never taken for a new one");
    }

    #[test]
    fn damaged_or_missing_keys_are_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        fs::write(root.path().join(KEY_FILE), b"half").unwrap();
        assert!(matches!(folder.keys(), Err(FolderError::KeysDamaged { .. })));
        fs::remove_file(root.path().join(KEY_FILE)).unwrap();
        folder.database().unwrap();
        assert!(matches!(folder.keys(), Err(FolderError::KeysMissing { .. })));
    }
}
