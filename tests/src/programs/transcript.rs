//! What happened in one scenario, in order and from all its programs: every failure shows it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// Shared by everything in one scenario.
#[derive(Clone)]
pub struct Transcript {
    begun: Instant,
    kept: Arc<Mutex<Kept>>,
}

/// The newest lines, and how many there were before them.
#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    dropped: usize,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { begun: Instant::now(), kept: Arc::default() }
    }
}

impl Transcript {
    /// Notes one line: who, `<` for what it said, `>` for what it was told, `!` for its standard error.
    pub fn add(&self, who: &str, mark: char, text: &str) {
        let end = (0..=text.len().min(LINE_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let cut = if end < text.len() { "…" } else { "" };
        let millis = self.begun.elapsed().as_millis();
        let mut kept = self.kept();
        kept.lines.push_back(format!("{millis:>6} {who:>9} {mark} {}{cut}", &text[..end]));
        if kept.lines.len() > LINES_SHOWN {
            kept.lines.pop_front();
            kept.dropped += 1;
        }
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
        let kept = self.kept();
        let mut text = format!("--- what happened ({} earlier lines left out)\n", kept.dropped);
        for line in &kept.lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    // A scenario that failed while it held the lock still wants to be read.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

const LINE_BYTES_MAX: usize = 400;
const LINES_SHOWN: usize = 400;
