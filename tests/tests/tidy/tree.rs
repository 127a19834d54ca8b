//! What git knows of this working tree: paths and texts. Files that are not text or not there any more are left out.

#![expect(clippy::disallowed_methods, reason = "this test reads the sources")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every file that git tracks.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<File>,
}

pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Something against the rules.
#[derive(Clone)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    instead: String,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace");
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git runs");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let file = |path: &str| text(path).map(|text| File { path: path.to_owned(), text });
        let files: Vec<File> = listed.split('\0').filter(|path| !path.is_empty()).filter_map(file).collect();
        assert!(!files.is_empty(), "git lists no file under {}", root.display());
        Self { root: root.to_owned(), files }
    }

    /// Files whose path ends with `end`.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

impl File {
    /// Whether the file is `place` or lies below it.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Lines of code with their numbers from 1: comments and what is behind `//` left out.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), instead: instead.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}, {}", self.path, self.line, self.what, self.instead)
    }
}
