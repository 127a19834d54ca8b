//! A running registry: on a free port of loopback, in a folder of its own, with limits that leave tests alone.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use super::build::program;
use super::event::Event;
use super::process::{DEADLINE, Ended, Process};
use super::transcript::Transcript;

pub struct Registry {
    process: Process,
    folder: Arc<TempDir>,
    extra: Vec<String>,
    address: String,
    fingerprint: String,
}

impl Registry {
    /// Starts one in a new folder, with `extra` arguments.
    #[track_caller]
    pub fn start(extra: &[&str]) -> Self {
        Self::start_below(&std::env::temp_dir(), extra)
    }

    /// The same on a data folder that `prepare` has filled before.
    #[track_caller]
    pub fn start_prepared(extra: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = Arc::new(TempDir::new().expect("a temporary folder"));
        prepare(&folder.path().join("registry"));
        let extra = extra.iter().map(|&word| word.to_owned()).collect();
        Self::run(folder, "127.0.0.1:0", extra, &Transcript::default())
    }

    /// The same with its folder below `root`.
    #[track_caller]
    pub fn start_below(root: &Path, extra: &[&str]) -> Self {
        let folder = Arc::new(TempDir::new_in(root).expect("a temporary folder"));
        let extra = extra.iter().map(|&word| word.to_owned()).collect();
        Self::run(folder, "127.0.0.1:0", extra, &Transcript::default())
    }

    #[track_caller]
    fn run(folder: Arc<TempDir>, listen: &str, extra: Vec<String>, transcript: &Transcript) -> Self {
        let mut command = command(&folder.path().join("registry"));
        command.args(["--listen", listen]).args(&extra);
        Self::ready(command, folder, extra, transcript)
    }

    /// The same by another program, which is given its path and its arguments; it cannot be restarted.
    #[track_caller]
    pub fn start_through(through: &[&str], extra: &[&str]) -> Self {
        let folder = Arc::new(TempDir::new().expect("a temporary folder"));
        let mut plain = command(&folder.path().join("registry"));
        plain.args(["--listen", "127.0.0.1:0"]).args(extra);
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(plain.get_program()).args(plain.get_args());
        Self::ready(command, folder, Vec::new(), &Transcript::default())
    }

    /// One that is started in a way of its own; it cannot be restarted.
    #[track_caller]
    pub fn from_command(command: Command) -> Self {
        let folder = Arc::new(TempDir::new().expect("a temporary folder"));
        Self::ready(command, folder, Vec::new(), &Transcript::default())
    }

    #[track_caller]
    fn ready(command: Command, folder: Arc<TempDir>, extra: Vec<String>, transcript: &Transcript) -> Self {
        let process = Process::start("registry", command, transcript);
        let line = process.line(Instant::now() + DEADLINE).ok();
        let ready = line.as_deref().and_then(Event::parse).filter(|event| event.is("ready"));
        let Some(ready) = ready else { transcript.fail(&format!("waited for the registry to be ready, got {line:?}")) };
        let (address, fingerprint) = (ready.text("listen").to_owned(), ready.text("realm").to_owned());
        Self { process, folder, extra, address, fingerprint }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("registry")
    }

    pub fn transcript(&self) -> &Transcript {
        &self.process.transcript
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it with -9; its folder stays.
    pub fn kill(&mut self) {
        self.process.kill9();
    }

    /// Starts it again on the same port and folder.
    #[track_caller]
    pub fn restart(&mut self) {
        if self.process.is_running() {
            self.kill();
        }
        let transcript = self.process.transcript.clone();
        *self = Self::run(Arc::clone(&self.folder), &self.address, self.extra.clone(), &transcript);
    }

    /// What an operator is told by `registry WORDS` on this one.
    #[track_caller]
    pub fn order(&self, words: &[&str]) -> String {
        let mut command = Command::new(program("registry"));
        command.args(words).arg("--data-dir").arg(self.data_dir()).env("XDG_CONFIG_HOME", self.data_dir());
        let done = command.output().expect("the program runs");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("it writes UTF-8")
    }

    /// Stops it in the polite way; its exit code.
    pub fn stop(&mut self) -> Ended {
        self.process.signal(libc::SIGTERM);
        self.process.end()
    }
}

/// `registry` with the settings of every test, on `data_dir`.
pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(program("registry"));
    command.arg("--json").arg("--data-dir").arg(data_dir);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command
}

/// Everybody in a test comes from one address, and bcrypt's cost is not what is tested.
const SETTINGS: [&str; 7] = [
    "passwords.bcrypt_cost=4",
    "limits.signups_per_source_hour=100000",
    "limits.signups_hour=100000",
    "limits.sessions_per_source=1000",
    "limits.unauthenticated_per_source=1000",
    "limits.password_failures_hour=1000",
    "limits.password_failures_per_source_hour=1000",
];
