//! Private files and folders, written so that a crash leaves the old content or the new and never half of one.
//! Everything else on this floor that is not SQLite reads and writes through here.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::ports::DiskError;

/// A file that cannot be read or written, in the words a person is told.
#[derive(Debug, thiserror::Error)]
#[error("Can't {deed} {}: {}.{}", .path.display(), reason(.source), advice(.source))]
pub(super) struct FileError {
    deed: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// What failed and why, without the advice, which is about the folder of the profile.
    pub(super) fn elsewhere(self) -> DiskError {
        DiskError { text: format!("Can't {} {}: {}.", self.deed, self.path.display(), reason(&self.source)) }
    }
}

impl From<FileError> for DiskError {
    fn from(error: FileError) -> Self {
        Self { text: error.to_string() }
    }
}

/// Makes the folder and those above it that are missing, for the owner alone. One that is there stays as it is.
pub(super) fn create_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.create(path).map_err(failed("create", path))?;
    // The name of a new folder is safe only once the folder above it is on the disk.
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Opens a file for reading and writing and creates it if it is missing; its content stays.
pub(super) fn open_private(path: &Path) -> Result<File, FileError> {
    private().read(true).create(true).truncate(false).open(path).map_err(failed("open", path))
}

/// Makes a new file for writing; one that is there is an error.
pub(super) fn create_private(path: &Path) -> Result<File, FileError> {
    private().create_new(true).open(path).map_err(failed("make", path))
}

/// Replaces the file at `path`: beside it first, then renamed, and on the disk when this returns.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let beside = beside(path);
    let write = || {
        let mut file = private().create(true).truncate(true).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(failed("write", path))?;
    rename(&beside, path)
}

/// Renames over whatever is at `to`, and is on the disk when this returns.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(failed("write", to))?;
    sync_parent(to)
}

/// Removes the file, if it is there; gone from the disk when this returns.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// The content of a file, or `None` if there is none. What is longer than `bytes_max` is not read on: it is none of
/// ours, and the caller sees one byte too many.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mut content = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut content).map_err(failed("read", path))?;
    Ok(Some(content))
}

pub(super) fn exists(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(failed("read", path))
}

/// The names of the files in a folder, sorted.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, FileError> {
    let names = || -> io::Result<BTreeSet<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    names().map(Vec::from_iter).map_err(failed("read", folder))
}

/// Makes an I/O error say what was being done to which file.
pub(super) fn failed(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { deed, path, source }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().expect("files of a profile have names").to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// What was made, renamed or removed beside `path` is on the disk when this returns.
pub(super) fn sync_parent(path: &Path) -> Result<(), FileError> {
    sync_folder(path.parent().expect("files of a profile lie in a folder"))
}

fn sync_folder(folder: &Path) -> Result<(), FileError> {
    // `data` alone has the parent "", which is the current folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if cfg!(unix) {
        File::open(folder).and_then(|handle| handle.sync_all()).map_err(failed("write", folder))?;
    }
    Ok(())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::QuotaExceeded => "your share of the disk is used up".to_owned(),
        ErrorKind::PermissionDenied => "it is not yours to use".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the disk can only be read".to_owned(),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a file is where a folder should be".to_owned(),
        ErrorKind::IsADirectory => "a folder is where a file should be".to_owned(),
        _ => error.to_string(),
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " Free some space and try again.",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => " Choose another folder with --data-dir.",
        _ => "",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The permission bits of a file or folder.
    #[cfg(unix)]
    pub(in crate::disk) fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    #[test]
    #[cfg(unix)]
    fn what_is_made_here_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("one/two");
        create_folder(&deep).unwrap();
        write_private(&deep.join("three"), b"3").unwrap();
        assert_eq!([&deep, &folder.path().join("one")].map(|path| mode(path)), [0o700; 2]);
        assert_eq!(mode(&deep.join("three")), 0o600);
        assert_eq!(names_in(&deep).unwrap(), ["three"], "nothing is left beside it");
    }

    #[test]
    fn half_a_file_from_a_crash_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        write_private(&path, b"whole").unwrap();
        fs::write(beside(&path), b"ha").unwrap();
        assert_eq!(read_bounded(&path, 100).unwrap().unwrap(), b"whole");
        write_private(&path, b"newer").unwrap();
        assert_eq!(read_bounded(&path, 100).unwrap().unwrap(), b"newer");
    }

    #[test]
    fn errors_say_what_where_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain");
        write_private(&file, b"").unwrap();
        let text = create_folder(&file.join("below")).unwrap_err().to_string();
        assert!(text.starts_with("Can't create /") && text.ends_with("a file is where a folder should be."), "{text}");
        let full = failed("write", &file)(ErrorKind::StorageFull.into()).to_string();
        assert!(full.ends_with("the disk is full. Free some space and try again."), "{full}");
    }
}
