//! The faces of the program: `json` for programs, `repl` for people. Each turns lines into `api` commands and `api`
//! events into what is read, and sees nothing else of the peer; `main` picks one and hands it its [`Wires`].

pub mod commands;
pub(crate) mod harmless;
pub mod json;
pub mod password;
pub mod repl;
pub mod sanitize;
pub mod settings;
pub mod signals;
pub mod stdin;
pub mod terminal;
pub(crate) mod transcript;

#[cfg(test)]
mod sample;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::queue::{Receiver, Sender};

use crate::api::{Asked, Command, Told, Written};

/// A front-end's two ends of the engine. Sending may block: the engine works commands off one after the other.
/// Events must be taken promptly: the engine waits for nobody, and pauses what it can when they queue up.
pub struct Wires {
    pub commands: Sender<Asked>,
    pub events: Receiver<Told>,
    /// The front-end keeps it up to date: what it had not written is told again by the next run.
    pub written: Arc<Written>,
}

/// What stays in a front-end to be told besides an exit code, when the engine ended without a word.
const ENGINE_LOST: &str = "The program has a fault and must end. What you sent is kept; please start it again.";

/// Waiting for acknowledgements when the input is at its end: there is nobody to get impatient.
const PATIENCE_AT_END_MS: u32 = 5000;

/// Waiting for acknowledgements after `/quit`: somebody looks at the screen.
const PATIENCE_AT_QUIT_MS: u32 = 1000;

/// Runs what a face does on `main`. If that panics, the engine is told to end before the panic goes on: the printer,
/// which is joined on the way out, waits for that.
fn on_main<T>(signals: &signals::Signals, face: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(face)).inspect_err(|_| signals.stop_engine())
}

/// Asks the engine to end. If it already did, that is what was wanted.
fn quit(commands: &Sender<Asked>, re: Option<String>, patience_ms: u32) {
    let _ = commands.send(Asked { re, command: Command::Quit { patience_ms } });
}
