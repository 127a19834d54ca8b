//! The `peer` program: reads what it was told to do, starts the engine, shows a face until the engine ended, and puts
//! the terminal back. Every way out passes through [`main`], so that destructors run.

#![expect(clippy::disallowed_methods, reason = "the log file of the REPL is opened here")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use clap::Parser;
use common::usage;
use common::visible::{self, LogLines};
use peer::api::{Asked, Code, Command, Exit, Refusal};
use peer::config::{Environment, Face, Flags, Plan, REGISTRY_DEFAULT};
use peer::engine::{self, EngineConfig, Startup};
use peer::frontend::password::{NoPassword, Passwords};
use peer::frontend::signals::Signals;
use peer::frontend::terminal::Modes;
use peer::frontend::{Wires, json, repl};

fn main() -> ExitCode {
    common::process::forbid_dumps();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return misused(error),
    };
    let is_json = flags.json;
    // Dropped last: the terminal is put back after everything that could have changed it.
    let _modes = Modes::remember();
    let code = match catch_unwind(AssertUnwindSafe(|| run(flags))) {
        Ok(Ok(code)) => code,
        Ok(Err(stop)) => stop.tell(is_json),
        Err(_) => Stop::Fault(anyhow::anyhow!("the program has a fault and must end")).tell(is_json),
    };
    ExitCode::from(code)
}

/// Tells of flags that cannot be, or of help.
fn misused(error: clap::Error) -> ExitCode {
    // Nobody to tell if even that cannot be written.
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let _ = write!(io::stderr(), "{}", usage::told(error));
    ExitCode::from(WRONG_USAGE)
}

/// Why the program ends before a face is shown.
enum Stop {
    Refused {
        refusal: Refusal,
        code: u8,
    },
    /// Ended from outside while it asked for a password.
    Ended(Exit),
    Fault(anyhow::Error),
}

impl Stop {
    /// Says why, as the face would; the exit code.
    fn tell(&self, is_json: bool) -> u8 {
        let (refusal, code) = match self {
            Self::Refused { refusal, code } => (refusal.clone(), *code),
            Self::Ended(exit) => return *exit as u8,
            Self::Fault(error) => (Refusal::new(Code::Internal, &format!("{error:#}")), Exit::Failed as u8),
        };
        // Nobody to tell if it cannot be written.
        let _ = if is_json {
            json::tell_failed_start(&refusal, &mut io::stdout())
        } else {
            writeln!(io::stderr(), "peer: {}", visible::line(refusal.text.as_str()))
        };
        code
    }

    fn usage(refusal: Refusal) -> Self {
        Self::Refused { refusal, code: WRONG_USAGE }
    }

    fn without_password(none: NoPassword, signals: &Signals, code: u8) -> Self {
        match none {
            NoPassword::Refused(refusal) => Self::Refused { refusal, code },
            NoPassword::Cancelled => Self::Ended(Exit::Interrupted),
            NoPassword::Ending => Self::Ended(signals.exit().unwrap_or(Exit::Interrupted)),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Fault(error)
    }
}

fn run(flags: Flags) -> Result<u8, Stop> {
    let plan = Plan::new(flags, &Environment::of_process()).map_err(Stop::usage)?;
    let signals = Signals::watch().context("cannot watch for signals")?;
    colored::control::set_override(true);
    let passwords = Passwords::from_flag(plan.password_file.as_deref(), plan.can_ask, &signals)
        .map_err(|none| Stop::without_password(none, &signals, WRONG_USAGE))?;
    let startup = startup(&plan, &passwords, &signals)?;
    let history = plan.data_dir.join("history");
    let join = if startup.is_some() { plan.join.clone() } else { Vec::new() };
    let setup = repl::Setup {
        settings: plan.settings,
        color: plan.color,
        words: plan.words,
        first_run: !history.exists(),
        history,
        signs_in: startup.is_some(),
        enters_room: !join.is_empty(),
    };
    let registry = plan.registry.clone().or_else(|| engine::last_registry(&plan.data_dir));
    let engine = engine::start(EngineConfig {
        registry: registry.unwrap_or_else(|| REGISTRY_DEFAULT.to_owned()),
        fingerprint: plan.fingerprint.clone(),
        listen: plan.listen,
        data_dir: plan.data_dir.clone(),
        trust_new_realm: plan.trust_new_realm,
        can_ask: plan.can_ask,
        startup,
    })
    .map_err(|error| Stop::Refused { refusal: error.refusal, code: error.exit as u8 })?;
    log(&plan);
    signals.quit_through(&engine.commands);
    for room in join {
        // It fails when the engine has ended already, and the face says why.
        let _ = engine.commands.send(Asked { re: None, command: Command::Join { room } });
    }
    let wires = Wires {
        commands: engine.commands.clone(),
        events: engine.events.clone(),
        written: Arc::clone(&engine.written),
    };
    let exit = match plan.face {
        Face::Json => json::run(wires, &passwords, &signals),
        Face::Plain => repl::run_plain(wires, setup, &passwords, &signals),
        Face::Terminal => repl::run_terminal(wires, setup, &passwords, &signals),
    };
    // A face that failed must not leave the engine behind.
    signals.stop_engine();
    let engine = engine.join();
    let exit = exit.context("cannot read or write")?;
    // The face has said so already.
    Ok(if engine.is_err() && exit == Exit::Done { Exit::Failed } else { exit } as u8)
}

/// Whom to sign in at start, with the password asked for or read now.
fn startup(plan: &Plan, passwords: &Passwords, signals: &Signals) -> Result<Option<Startup>, Stop> {
    let Some(user) = plan.user.clone() else { return Ok(None) };
    if matches!(passwords, Passwords::Nowhere) {
        let text = "--user needs a terminal to ask for the password, or --password-file FILE.";
        return Err(Stop::usage(Refusal::new(Code::Usage, text)));
    }
    let secrets = if plan.register {
        passwords.newcomer(user.as_str(), plan.by_token, signals, signals.came())
    } else {
        passwords.existing(user.as_str(), signals, signals.came()).map(|password| (password, None))
    };
    match secrets {
        Ok((password, token)) => Ok(Some(Startup { user, password, register: plan.register, token })),
        Err(none) => Err(Stop::without_password(none, signals, Exit::SignInRefused as u8)),
    }
}

/// Logs to a file where a person looks at the terminal, else to standard error. A panic is logged like any error: the
/// default message would be written across the prompt.
fn log(plan: &Plan) {
    let Some(level) = plan.log_level else { return silence_panics() };
    // A log that nobody reads any more is no reason to end.
    let builder = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).log_internal_errors(false);
    if plan.face == Face::Terminal {
        match log_file(&plan.data_dir) {
            Ok(file) => builder.with_writer(Mutex::new(LogLines::new(file))).init(),
            Err(_) => return silence_panics(),
        }
    } else {
        builder.with_writer(Mutex::new(LogLines::new(io::stderr()))).init();
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name(), "{panic}");
    }));
}

fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn log_file(data_dir: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(data_dir.join("peer.log"))
}

/// The exit code of flags and names that cannot be.
const WRONG_USAGE: u8 = 2;
