//! How to start a peer: flags, folder and password, the same for one on pipes and one on a terminal.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::build::program;
use super::registry::Registry;
use super::transcript::Transcript;

/// What a peer is started with. Cloned, it is the same profile again.
#[derive(Clone)]
pub struct Launch {
    pub name: String,
    /// `HOST:PORT[#FINGERPRINT]`; empty to name none.
    pub registry: String,
    /// Goes into a file for `--password-file`; without one the peer has no password to read.
    pub password: Option<String>,
    /// Signs in at start, under `name`.
    pub user: bool,
    /// Signs up first, where `user` is set.
    pub register: bool,
    pub listen: String,
    pub extra: Vec<String>,
    /// A program that starts this one, with its arguments.
    pub through: Vec<String>,
    /// More variables, over those of every test.
    pub variables: Vec<(&'static str, OsString)>,
    pub transcript: Transcript,
    folder: Arc<TempDir>,
}

impl Launch {
    /// Somebody new who signs up with a good password and trusts the registry at first sight.
    pub fn new(registry: &Registry, name: &str) -> Self {
        let mut launch = Self::alone(registry.address(), name);
        launch.transcript = registry.transcript().clone();
        launch
    }

    /// The same with an address of which nothing is known.
    pub fn alone(registry: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            registry: registry.to_owned(),
            password: Some(password_of(name)),
            user: true,
            register: true,
            listen: "127.0.0.1:0".to_owned(),
            extra: vec!["--trust-new-realm".to_owned()],
            through: Vec::new(),
            variables: Vec::new(),
            transcript: Transcript::default(),
            folder: Arc::new(TempDir::new().expect("a temporary folder")),
        }
    }

    /// The same person in the same folder, who has an account by now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { register: false, ..self.clone() }
    }

    /// The same somebody, nothing written yet, in a new folder below `root`.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        Self { folder: Arc::new(TempDir::new_in(root).expect("a temporary folder")), ..self }
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder around the data folder, for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Flags common to both faces.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--listen".into(), (&self.listen).into()];
        arguments.extend((!self.registry.is_empty()).then(|| self.registry.as_str().into()));
        arguments.extend(["--data-dir".into(), self.data_dir().into()]);
        if self.user {
            arguments.push(format!("--user={}", self.name).into());
        }
        if self.user && self.register {
            arguments.push("--register".into());
        }
        if let Some(password) = &self.password {
            let file = self.folder().join("password");
            std::fs::write(&file, format!("{password}\n")).expect("a file for the password");
            arguments.extend(["--password-file".into(), file.into()]);
        }
        arguments.extend(self.extra.iter().map(Into::into));
        arguments
    }

    /// What the program finds around it: nothing of whoever runs the tests.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let home = |name: &'static str| (name, self.folder().as_os_str().to_owned());
        let homes = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"].map(home);
        // A panic is told in the log, and the log of one on pipes is its standard error.
        let known = [("TZ", "UTC".into()), ("P2P_CHAT_LOG", "warn".into())];
        homes.into_iter().chain(known).chain(self.variables.iter().cloned()).collect()
    }

    /// `peer --json …`
    pub fn json_command(&self) -> Command {
        let peer = program("peer").into_os_string();
        let mut words = self.through.iter().map(OsString::from).chain([peer]);
        let mut command = Command::new(words.next().expect("the peer itself at least"));
        command.args(words).arg("--json").args(self.arguments());
        for name in UNWANTED {
            command.env_remove(name);
        }
        command.envs(self.environment());
        command
    }
}

/// The password of everybody with this name, in every test.
pub fn password_of(name: &str) -> String {
    format!("correct horse of {name}")
}

/// Variables that change what a peer does.
pub(super) const UNWANTED: [&str; 5] = ["NO_COLOR", "CLICOLOR_FORCE", "P2P_CHAT_DATA_DIR", "EDITOR", "PAGER"];
