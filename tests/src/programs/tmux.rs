//! `cat FILE` in a terminal emulator that people use, and what that did to it. Nobody needs to sit before it: tmux is one
//! without a window, and tells all of its state.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::DEADLINE;

/// What an emulator shows and is, once a file has been written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its title, and its modes: what is hidden, which screen, where it scrolls, what keys and mouse send.
    pub title: String,
    pub modes: String,
    /// What it was told to put there; empty if nothing.
    pub clipboard: String,
    /// Column and row of the cursor.
    pub cursor: (usize, usize),
    /// Row by row, a colour or another attribute as the sequence that makes it.
    pub rows: Vec<String>,
}

/// Shows `file` on an empty screen of that size. An error says that there is no tmux.
pub fn look_at(file: &Path, columns: usize, rows: usize) -> io::Result<Looked> {
    let tmux = Tmux { folder: TempDir::new()? };
    let [done, script] = ["done", "script"].map(|name| tmux.folder.path().join(name));
    // Whoever typed `cat` sits before the terminal on and on.
    std::fs::write(&script, format!("cat '{}'\n: > '{}'\nexec cat\n", file.display(), done.display()))?;
    let (columns, rows) = (columns.to_string(), rows.to_string());
    let script = script.display().to_string();
    let clipboard = ["set-option", "-s", "set-clipboard", "on", ";"];
    let session = ["new-session", "-d", "-x", &columns, "-y", &rows, "sh", &script];
    tmux.tell(&[clipboard.as_slice(), &session].concat())?;
    let deadline = Instant::now() + DEADLINE;
    while !done.exists() {
        assert!(Instant::now() < deadline, "cat did not end in {DEADLINE:?}");
        let _ = crossbeam_channel::after(LOOK_AGAIN).recv();
    }
    tmux.at_rest(deadline)
}

/// A server of its own, without anybody's settings.
struct Tmux {
    folder: TempDir,
}

impl Tmux {
    /// What it is once two looks in a row see the same: what `cat` has written arrives a little later.
    fn at_rest(&self, deadline: Instant) -> io::Result<Looked> {
        let mut before = self.look()?;
        loop {
            let _ = crossbeam_channel::after(LOOK_AGAIN).recv();
            let now = self.look()?;
            if before == now {
                return Ok(now);
            }
            assert!(Instant::now() < deadline, "its screen does not come to rest");
            before = now;
        }
    }

    fn look(&self) -> io::Result<Looked> {
        let state = self.tell(&["display-message", "-p", STATE])?;
        let mut fields = state.trim_end_matches('\n').split('\t').map(str::to_owned);
        let mut field = || fields.next().unwrap_or_default();
        let (modes, column, row, title) = (field(), field(), field(), field());
        let cursor = (column.parse().map_err(io::Error::other)?, row.parse().map_err(io::Error::other)?);
        let clipboard = self.tell(&["list-buffers", "-F", "#{buffer_sample}"])?;
        let rows = self.tell(&["capture-pane", "-e", "-p"])?.lines().map(str::to_owned).collect();
        Ok(Looked { title, modes, clipboard, cursor, rows })
    }

    fn tell(&self, words: &[&str]) -> io::Result<String> {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").args(["-u", "-f", "/dev/null", "-S"]).arg(self.folder.path().join("socket"));
        let done = command.args(words).output()?;
        assert!(done.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let socket = self.folder.path().join("socket");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}

/// Tabs between its parts; the title, which may hold one, last.
const STATE: &str = "#{alternate_on} #{cursor_flag} #{insert_flag} #{keypad_flag} #{keypad_cursor_flag} \
                     #{mouse_any_flag} #{origin_flag} #{wrap_flag} #{scroll_region_upper}-#{scroll_region_lower}\t#{cursor_x}\t#{cursor_y}\t#{pane_title}";
const LOOK_AGAIN: Duration = Duration::from_millis(50);
