//! A copy of what was said, in a file of the user's own choice: made anew, private, whole or not there at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::files::{self, FileError};
use super::log::Page;
use crate::ports::DiskError;

/// A copy that is being written. Dropped before it is finished, it takes its file with it.
#[derive(Debug)]
pub(super) struct Export {
    ticket: u64,
    path: PathBuf,
    file: File,
    pub(super) page: Page,
    is_whole: bool,
}

impl Export {
    /// Makes the file; one that is there already stays as it is.
    pub(super) fn begin(ticket: u64, path: &str, page: Page) -> Result<Self, DiskError> {
        let path = expanded(path);
        if files::exists(&path).map_err(FileError::elsewhere)? {
            return Err(already_there(&path));
        }
        let file = files::create_private(&path).map_err(FileError::elsewhere)?;
        Ok(Self { ticket, path, file, page, is_whole: false })
    }

    pub(super) fn is_of(&self, ticket: u64) -> bool {
        self.ticket == ticket
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), DiskError> {
        self.file.write_all(text.as_bytes()).map_err(|error| files::failed("write", &self.path)(error).elsewhere())
    }

    /// Everything is written: its path, once it is on the disk.
    pub(super) fn finish(mut self) -> Result<String, DiskError> {
        self.file.sync_all().map_err(|error| files::failed("write", &self.path)(error).elsewhere())?;
        files::sync_parent(&self.path).map_err(FileError::elsewhere)?;
        self.is_whole = true;
        Ok(self.path.display().to_string())
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if !self.is_whole
            && let Err(error) = files::remove(&self.path)
        {
            tracing::warn!(%error, "half a copy was left behind");
        }
    }
}

/// `~` is the user's own folder, and a bare name means the current one.
fn expanded(path: &str) -> PathBuf {
    let below_home = path.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let path = below_home.unwrap_or_else(|| Path::new(path).to_owned());
    std::path::absolute(&path).unwrap_or(path)
}

fn already_there(path: &Path) -> DiskError {
    let text = format!("{} is there already, and nothing is written over. Name another file.", path.display());
    DiskError { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_begin_at_home() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(expanded("~/chat.txt"), home.join("chat.txt"));
        assert!(expanded("chat.txt").is_absolute());
        assert_eq!(expanded("/tmp/~/x"), Path::new("/tmp/~/x"));
    }
}
