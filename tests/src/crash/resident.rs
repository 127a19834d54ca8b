//! One person of the house: their program, life after life, and what of their log has been read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::ledger::{Kept, Logged, Violation};
use super::log;
use crate::programs::{Ended, Launch, Process, Transcript};

pub(super) struct Resident {
    pub(super) launch: Launch,
    pub(super) process: Process,
    pub(super) stage: Stage,
    /// Lines said and not answered.
    pub(super) unanswered: usize,
    /// The mark of something else that was asked and not answered.
    pub(super) asking: Option<String>,
    /// Everything the program said, for whoever reads the evidence.
    told: BufWriter<File>,
    /// The last row read from the log.
    row: i64,
}

/// How far a life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    SignedIn,
    Stopped,
}

impl Resident {
    /// Somebody new, who reaches the registry at `address`.
    pub(super) fn move_in(registry: &str, transcript: &Transcript, folder: &Path, name: &str) -> Self {
        let launch = Launch::alone(registry, name).below(folder);
        let launch = launch.with(|launch| launch.transcript = transcript.clone());
        let told = BufWriter::new(File::create(launch.folder().join("told")).expect("a file for what is told"));
        let process = Process::start(name, launch.json_command(), &launch.transcript);
        let launch = launch.again();
        Self { launch, process, stage: Stage::Starting, unanswered: 0, asking: None, told, row: 0 }
    }

    /// A new life after the end of the last.
    pub(super) fn start(&mut self) {
        self.note("(started)");
        self.process = Process::start(&self.launch.name, self.launch.json_command(), &self.launch.transcript);
        self.stage = Stage::Starting;
        self.unanswered = 0;
        self.asking = None;
    }

    /// The life is over: nothing more comes.
    pub(super) fn stopped(&mut self) -> Ended {
        let ended = self.process.end();
        self.note(&format!("({ended:?})"));
        self.stage = Stage::Stopped;
        ended
    }

    pub(super) fn note(&mut self, line: &str) {
        writeln!(self.told, "{line}").expect("the evidence can be written");
    }

    pub(super) fn say(&mut self, text: &str) {
        self.note(&format!("> {text}"));
        self.process.write_line(text);
    }

    /// What the log has gained since it was last read; the program is dead.
    pub(super) fn read_log(&mut self) -> Kept<Vec<Logged>> {
        let Some(path) = self.log() else { return Ok(Vec::new()) };
        let (rows, last) = log::read(&path, self.row)?;
        self.row = last;
        Ok(rows)
    }

    /// All of the log, after every page of it was found whole.
    pub(super) fn read_whole_log(&self) -> Kept<Vec<Logged>> {
        let path = self.log().ok_or_else(|| Violation(format!("{} has no log", self.launch.name)))?;
        log::check(&path)?;
        Ok(log::read(&path, 0)?.0)
    }

    /// Moves everything of this person to where it outlives the run.
    pub(super) fn keep(&mut self, folder: &Path) {
        // Evidence that cannot be kept must not hide what it is evidence of.
        let _ = self.told.flush();
        let _ = std::fs::rename(self.launch.folder(), folder.join(&self.launch.name));
    }

    fn log(&self) -> Option<PathBuf> {
        log::find(&self.launch.data_dir(), &self.launch.name)
    }
}
