//! The line editor, on `main`: prompt, history, completion, keys. It draws only its own line; everything above is the
//! printer's. What it knows of the world comes as a [`Status`] from the printer.

#![expect(clippy::disallowed_methods, reason = "two Ctrl-C count as one wish only within two seconds")]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, select};
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, ColorMode, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, ExternalPrinter, Helper, KeyCode,
    KeyEvent, Modifiers, Movement, RepeatCount,
};

use super::complete;
use super::gate::Gate;
use super::printer::Local;
use super::prompt::{Status, rows};
use super::reader::{Next, Reader, SIGN_IN_PATIENCE_MS, is_own_message};
use crate::api::{Exit, Refusal};
use crate::frontend::commands::{self, Line};
use crate::frontend::sanitize::{Paint, Safe};
use crate::frontend::terminal::{self, Quiet};
use crate::frontend::{PATIENCE_AT_QUIT_MS, quit};

/// The editor with its terminal; dropping it gives the terminal back.
pub(super) struct Terminal {
    editor: Editor<Hooks, FileHistory>,
    gate: Arc<Gate>,
    history: PathBuf,
}

/// What the editor calls back while it reads. All on `main`.
struct Hooks {
    gate: Arc<Gate>,
    updates: Receiver<Arc<Status>>,
    status: RefCell<Arc<Status>>,
    /// The line is accepted: drawing it a last time does not open the gate again.
    leaving: Cell<bool>,
    color: bool,
}

impl Terminal {
    pub(super) fn new(
        gate: Gate,
        updates: Receiver<Arc<Status>>,
        history: PathBuf,
        color: bool,
    ) -> rustyline::Result<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)?
            .history_ignore_dups(true)?
            .auto_add_history(false)
            .completion_type(CompletionType::Circular)
            .bell_style(BellStyle::None)
            // Without it the hooks are not called; they decide about colour themselves.
            .color_mode(ColorMode::Enabled)
            .build();
        let gate = Arc::new(gate);
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Hooks {
            gate: Arc::clone(&gate),
            updates,
            status: RefCell::default(),
            leaving: Cell::new(false),
            color,
        }));
        let leave = |wish| EventHandler::Conditional(Box::new(LeaveKey { gate: Arc::clone(&gate), wish }));
        editor.bind_sequence(KeyEvent::ctrl('C'), leave(Cmd::Interrupt));
        editor.bind_sequence(KeyEvent::ctrl('D'), leave(Cmd::EndOfFile));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        // A first run has none, and an unreadable one is no reason not to talk.
        let _ = editor.load_history(&history);
        Ok(Self { editor, gate, history })
    }

    /// What prints above the prompt.
    pub(super) fn external_printer(&mut self) -> rustyline::Result<Box<dyn FnMut(String) -> bool + Send>> {
        let mut printer = self.editor.create_external_printer()?;
        Ok(Box::new(move |text| printer.print(text).is_ok()))
    }

    /// Reads lines and acts on them until there is nothing more to read. `Some` if the person interrupted.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, signs_in: bool, enters_room: bool) -> Option<Exit> {
        let mut interrupted: Option<Instant> = None;
        if signs_in {
            let _quiet = Quiet::begin();
            // There is no command whose answer to wait for; the name in the prompt will do.
            self.settle(reader, u64::MAX, SIGN_IN_PATIENCE_MS);
            let status = self.hooks().update();
            if enters_room && status.me.is_some() && status.current.is_none() {
                // The room in the prompt is told of last.
                self.settle(reader, u64::MAX, SIGN_IN_PATIENCE_MS);
            }
        }
        while !reader.has_ended() {
            let prompt = self.hooks().begin();
            match self.editor.readline(&prompt) {
                Ok(line) => {
                    interrupted = None;
                    // What is typed ahead shows at the next prompt, not here.
                    let _quiet = Quiet::begin();
                    match self.line(&prompt, &line, reader) {
                        Next::Leave => return None,
                        Next::Settle { patience_ms } => self.settle(reader, reader.awaited, patience_ms),
                        Next::Read | Next::Clear => {}
                    }
                }
                Err(ReadlineError::Interrupted) if reader.has_ended() => return None,
                Err(ReadlineError::Interrupted) => {
                    if interrupted.is_some_and(|before| before.elapsed() < TWICE_WITHIN) {
                        quit(&reader.commands, None, 0);
                        return Some(Exit::Interrupted);
                    }
                    interrupted = Some(Instant::now());
                    let text = "Ctrl-C again, Ctrl-D or /quit leaves. What waits is kept and sent next time.";
                    reader.local(Local::Show { rows: vec![text.to_owned()], is_help: true });
                }
                Err(ReadlineError::Eof) => {
                    quit(&reader.commands, None, PATIENCE_AT_QUIT_MS);
                    return None;
                }
                Err(ReadlineError::Signal(_)) => {}
                // The terminal has gone away.
                Err(_) => {
                    quit(&reader.commands, None, 0);
                    return None;
                }
            }
        }
        None
    }

    fn line(&mut self, prompt: &str, line: &str, reader: &mut Reader<'_>) -> Next {
        let question = self.hooks().update().question;
        let parsed = commands::parse(line);
        self.remember(line, &parsed);
        // The screen shows my messages in its own form, with their mark; an empty line is nothing to keep.
        let is_asked = question > reader.answered || reader.confirming.is_some();
        let own = !is_asked && (is_own_message(&parsed) || matches!(parsed, Ok(Line::Empty)));
        if own {
            erase(prompt, line);
        }
        let next = reader.line(line, question);
        if next == Next::Clear {
            write_control("\x1b[H\x1b[2J");
        }
        next
    }

    /// Waits a moment for the answer to command `asked`, so that the next prompt is already the right one. A question
    /// ends it, and so does the change of what the prompt shows.
    fn settle(&self, reader: &Reader<'_>, asked: u64, patience_ms: u64) {
        self.gate.open_between();
        self.wait_for(reader, asked, patience_ms);
        self.gate.close();
    }

    fn wait_for(&self, reader: &Reader<'_>, asked: u64, patience_ms: u64) {
        let deadline = Instant::now() + Duration::from_millis(patience_ms);
        let before = self.hooks().update();
        let mut status = Arc::clone(&before);
        let settled = |status: &Status| {
            let prompt_differs = (&status.me, &status.current) != (&before.me, &before.current);
            status.answered >= asked || status.question > reader.answered || prompt_differs
        };
        loop {
            // Once settled, what belongs to the same answer may still be on its way.
            let until = if settled(&status) { Instant::now() + SETTLED_WITHIN } else { deadline };
            select! {
                recv(self.hooks().updates) -> update => match update {
                    Ok(update) => {
                        self.hooks().status.replace(Arc::clone(&update));
                        status = update;
                    }
                    Err(_) => return,
                },
                recv(reader.ended) -> _ => return,
                recv(at(until)) -> _ => return,
            }
        }
    }

    /// Adds a line to the history, unless it might hold a password that was typed where none belongs.
    fn remember(&mut self, line: &str, parsed: &Result<Line, Refusal>) {
        let command = line.trim_start().strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
        let secretive = command.is_some_and(|word| {
            let word = word.to_ascii_lowercase();
            commands::nearest(&word, SECRETIVE).is_some()
        });
        let account = matches!(parsed, Ok(Line::Register { .. } | Line::LogIn(_) | Line::ChangePassword));
        if line.trim().is_empty() || (secretive && parsed.is_err() && !account) {
            return;
        }
        // A history that cannot be written is no reason not to talk.
        if self.editor.add_history_entry(line).unwrap_or(false) {
            let _ = self.editor.append_history(&self.history);
        }
    }

    fn hooks(&self) -> &Hooks {
        self.editor.helper().expect("the hooks are set at the start")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.gate.close();
    }
}

impl Hooks {
    /// A line is about to be read; its prompt.
    fn begin(&self) -> String {
        self.leaving.set(false);
        self.update().prompt(columns())
    }

    fn update(&self) -> Arc<Status> {
        if let Some(newest) = self.updates.try_iter().last() {
            self.status.replace(newest);
        }
        Arc::clone(&self.status.borrow())
    }
}

impl Highlighter for Hooks {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> std::borrow::Cow<'b, str> {
        if !default {
            return prompt.into();
        }
        if !self.leaving.get() {
            self.gate.open();
        }
        let shown = Safe::line(&self.update().in_place_of(prompt));
        let shown = if self.color { shown.painted(Paint::Bold) } else { shown };
        shown.as_str().to_owned().into()
    }
}

impl Validator for Hooks {
    fn validate(&self, _: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        self.leaving.set(true);
        self.gate.close();
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Hooks {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete::candidates(line, cursor, &self.update()))
    }
}

impl Hinter for Hooks {
    type Hint = String;
}

impl Helper for Hooks {}

/// Ctrl-C and Ctrl-D: on an empty line they leave the editor; else the one erases the line, the other a character.
struct LeaveKey {
    gate: Arc<Gate>,
    wish: Cmd,
}

impl ConditionalEventHandler for LeaveKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        if context.line().is_empty() {
            self.gate.close();
            return Some(self.wish.clone());
        }
        (self.wish == Cmd::Interrupt).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Removes a line that was typed, with its prompt. Nothing else was written since: the gate is closed.
fn erase(prompt: &str, line: &str) {
    let rows = rows(prompt, line, columns());
    write_control(&format!("\x1b[{rows}A\r\x1b[J"));
}

fn write_control(sequence: &str) {
    let mut out = io::stdout().lock();
    // A terminal that has gone away is noticed by reading from it.
    let _ = out.write_all(sequence.as_bytes()).and_then(|()| out.flush());
}

fn columns() -> usize {
    terminal::columns().unwrap_or(COLUMNS_UNKNOWN)
}

/// Commands near which a password may have been typed by mistake.
const SECRETIVE: [&str; 3] = ["register", "login", "passwd"];

const HISTORY_LINES: usize = 1000;

const TWICE_WITHIN: Duration = Duration::from_secs(2);

const SETTLED_WITHIN: Duration = Duration::from_millis(15);

const COLUMNS_UNKNOWN: usize = 80;
