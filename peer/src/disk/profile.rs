//! A profile: the data folder of one running program. Holds the lock that keeps a second program out, knows where
//! everything in the folder lies, and remembers which registries showed which root key. `main` opens it; vault and
//! worker work inside it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::ids::{RealmId, RootKey};
use common::names::UserName;

use super::files;
use super::realms::Realms;
use crate::ports::DiskError;

/// A data folder that is ours. Clones share the lock, which is held until the last of them is gone.
#[derive(Debug, Clone)]
pub struct Profile {
    folder: Arc<Path>,
    // Closing the file gives the lock back.
    _lock: Arc<File>,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// `pid` is the process that holds the lock; `None` if it has not said so yet.
    #[error("Another program uses this data folder{}. Quit it, or choose another folder with --data-dir.", process(.pid))]
    Held { pid: Option<u32> },
    /// In the words a person is told.
    #[error("{0}")]
    Unusable(String),
}

/// The registry used last from `data_dir`, for a program that has not taken the folder yet; `None` if none was, or the
/// file does not say (opening the profile tells why).
pub fn last_registry(data_dir: &Path) -> Option<String> {
    Realms::read(&data_dir.join("realms")).ok()?.last().map(str::to_owned)
}

impl Profile {
    /// Makes the folder if it is missing, and takes it for this process.
    pub fn open(data_dir: &Path) -> Result<Self, ProfileError> {
        let unusable = |error: files::FileError| ProfileError::Unusable(error.to_string());
        files::create_folder(data_dir).map_err(unusable)?;
        let path = data_dir.join("lock");
        let mut lock = files::open_private(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // What cannot be read is only a name less in the message.
                let _ = lock.read_to_string(&mut pid);
                return Err(ProfileError::Held { pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(files::failed("lock", &path)(error))),
        }
        let sign = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        sign(&mut lock).map_err(|error| unusable(files::failed("write", &path)(error)))?;
        Ok(Self { folder: data_dir.into(), _lock: Arc::new(lock) })
    }

    /// The root key by which `registry` ("HOST:PORT") is known.
    pub fn pinned(&self, registry: &str) -> Result<Option<RootKey>, DiskError> {
        Ok(Realms::read(&self.realms())?.root(registry))
    }

    /// Keeps the root key of a registry and that it was used last. Refuses another key for one that is known.
    pub fn pin(&self, registry: &str, root: RootKey) -> Result<(), DiskError> {
        let mut realms = Realms::read(&self.realms())?;
        if realms.last() == Some(registry) && realms.root(registry) == Some(root) {
            return Ok(());
        }
        realms.use_now(registry, root)?;
        realms.write(&self.realms())
    }

    /// The port that was listened on last.
    pub fn last_port(&self) -> Option<u16> {
        // Whatever else stands there is no port: then any is as good.
        let content = files::read_bounded(&self.port(), PORT_BYTES_MAX).ok()??;
        str::from_utf8(&content).ok()?.trim().parse().ok()
    }

    /// Keeps the port for the next time: others look for this peer where it was.
    pub fn keep_port(&self, port: u16) {
        if self.last_port() != Some(port)
            && let Err(error) = files::write_private(&self.port(), format!("{port}\n").as_bytes())
        {
            // Only finding each other without a registry depends on it.
            tracing::warn!(%error, "the port was not kept");
        }
    }

    /// Where everything of one account lies.
    pub(super) fn account(&self, realm: &RealmId, user: &UserName) -> PathBuf {
        self.folder.join("accounts").join(realm.fingerprint()).join(user.as_str())
    }

    fn port(&self) -> PathBuf {
        self.folder.join("port")
    }

    fn realms(&self) -> PathBuf {
        self.folder.join("realms")
    }
}

/// Five digits and the end of the line, with room for a hand that edits it.
const PORT_BYTES_MAX: u64 = 64;

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_program_at_a_time_and_the_second_learns_who() {
        let folder = tempfile::tempdir().unwrap();
        let first = Profile::open(folder.path()).unwrap();
        let second = first.clone();
        drop(first);
        let error = Profile::open(folder.path()).unwrap_err();
        assert!(matches!(error, ProfileError::Held { pid: Some(pid) } if pid == std::process::id()), "{error}");
        drop(second);
        Profile::open(folder.path()).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_new_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data");
        let profile = Profile::open(&data).unwrap();
        profile.pin("localhost:15600", RootKey([1; 32])).unwrap();
        assert_eq!(files::tests::mode(&data), 0o700);
        assert_eq!(["lock", "realms"].map(|name| files::tests::mode(&data.join(name))), [0o600; 2]);
    }

    #[test]
    fn a_file_in_the_way_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"").unwrap();
        let error = Profile::open(&path).unwrap_err();
        assert!(matches!(&error, ProfileError::Unusable(text) if text.contains("a file is where")), "{error}");
    }

    #[test]
    fn realms_are_remembered_and_never_changed() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::open(folder.path()).unwrap();
        assert_eq!(last_registry(folder.path()), None);
        profile.pin("home:15600", RootKey([1; 32])).unwrap();
        profile.pin("work:15600", RootKey([2; 32])).unwrap();
        profile.pin("home:15600", RootKey([1; 32])).unwrap();
        let error = profile.pin("work:15600", RootKey([3; 32])).unwrap_err();
        assert!(error.text.contains("another root key"), "{error}");
        profile.pin("two words", RootKey([4; 32])).unwrap_err();
        drop(profile);
        let profile = Profile::open(folder.path()).unwrap();
        assert_eq!(profile.pinned("work:15600").unwrap(), Some(RootKey([2; 32])));
        assert_eq!(profile.pinned("else:15600").unwrap(), None);
        assert_eq!(last_registry(folder.path()).as_deref(), Some("home:15600"));
    }

    #[test]
    fn the_port_is_remembered_and_nonsense_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::open(folder.path()).unwrap();
        assert_eq!(profile.last_port(), None);
        profile.keep_port(41_000);
        profile.keep_port(41_001);
        assert_eq!(profile.last_port(), Some(41_001));
        for nonsense in ["", "65536\n", "\u{ff}"] {
            fs::write(profile.port(), nonsense).unwrap();
            assert_eq!(profile.last_port(), None, "{nonsense:?}");
        }
    }

    #[test]
    fn unreadable_realms_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::open(folder.path()).unwrap();
        for content in [&b"home:15600 00ff\n"[..], b"home:15600\n", b"\xff\xfe"] {
            fs::write(profile.realms(), content).unwrap();
            profile.pinned("home:15600").unwrap_err();
            assert_eq!(last_registry(folder.path()), None);
            profile.pin("home:15600", RootKey([1; 32])).unwrap_err();
            assert_eq!(fs::read(profile.realms()).unwrap(), content);
        }
    }
}
