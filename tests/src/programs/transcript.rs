//! What happened in one scenario, in order and from all its programs: every failure shows it.

use std::fmt::Write;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// Shared by everything in one scenario.
#[derive(Clone)]
pub struct Transcript {
    begun: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { begun: Instant::now(), lines: Arc::default() }
    }
}

impl Transcript {
    /// Notes one line: who, `<` for what it said, `>` for what it was told, `!` for its standard error.
    pub fn add(&self, who: &str, mark: char, text: &str) {
        let end = (0..=text.len().min(LINE_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let cut = if end < text.len() { "…" } else { "" };
        let millis = self.begun.elapsed().as_millis();
        self.lines().push(format!("{millis:>6} {who:>9} {mark} {}{cut}", &text[..end]));
    }

    /// Ends the scenario as failed.
    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        let place = Location::caller();
        panic!("{what}\n  at {place}\n{}", self.text());
    }

    /// Fails the scenario unless `holds`.
    #[track_caller]
    pub fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    pub fn text(&self) -> String {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(LINES_SHOWN);
        let mut text = format!("--- what happened ({skipped} earlier lines left out)\n");
        for line in &lines[skipped..] {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    // A scenario that failed while it held the lock still wants to be read.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

const LINE_BYTES_MAX: usize = 400;
const LINES_SHOWN: usize = 400;
