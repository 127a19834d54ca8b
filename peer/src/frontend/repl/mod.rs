//! The face for people: lines typed at a prompt, coloured rows above it. `main` owns the line editor, `printer`
//! everything that is written. Without a terminal, or with `--plain`, the same lines in and the same rows out.

mod answers;
mod changes;
mod complete;
mod editor;
mod gate;
mod hints;
mod ladder;
mod own;
mod printer;
mod prompt;
mod reader;
mod render;
mod screen;
mod theme;

use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use jiff::tz::TimeZone;

use super::password::Passwords;
use super::settings::Settings;
use super::signals::Signals;
use super::stdin::{self, Typed};
use super::{PATIENCE_AT_END_MS, Wires, on_main, quit};
use crate::api::{Code, Exit, Refusal};
use editor::Terminal;
use gate::gate;
use hints::Hints;
use printer::{EditorPaper, Local, Paper, Printer};
use prompt::Status;
use reader::{Next, Reader};
use render::Look;
use screen::Screen;
use theme::Theme;

/// How the face shall look and behave.
pub struct Setup {
    pub settings: Settings,
    pub color: bool,
    /// Words instead of symbols.
    pub words: bool,
    /// Lines typed before, kept between runs.
    pub history: PathBuf,
    /// Nothing was ever kept here before.
    pub first_run: bool,
    /// Somebody signs in at start.
    pub signs_in: bool,
    /// And goes into a room.
    pub enters_room: bool,
}

/// Runs at a terminal until the engine ended; the exit code.
pub fn run_terminal(wires: Wires, setup: Setup, passwords: &Passwords, signals: &Signals) -> io::Result<Exit> {
    // One status: a newer one takes the place of one that was not read.
    let (status, updates) = bounded(1);
    let (gate, pass) = gate();
    let mut terminal =
        Terminal::new(gate, updates.clone(), setup.history.clone(), setup.color).map_err(io::Error::other)?;
    let print = terminal.external_printer().map_err(io::Error::other)?;
    let (leaving, left) = bounded(0);
    let paper = Paper::Editor(Box::new(EditorPaper { print, pass, waker: signals.waker(), left }));
    let (signs_in, enters_room) = (setup.signs_in, setup.enters_room);
    let (mut reader, printer) = start(wires, setup, passwords, signals, paper, (status, updates))?;
    let interrupted = on_main(signals, || terminal.read(&mut reader, signs_in, enters_room));
    // The terminal goes first: the printer may be waiting for it, and ends only when it is gone.
    drop(terminal);
    drop::<Sender<()>>(leaving);
    drop(reader);
    let exit = printer.join();
    let interrupted = interrupted.unwrap_or_else(|panic| resume_unwind(panic));
    Ok(signals.exit().or(interrupted).unwrap_or(exit))
}

/// Runs on streams until the engine ended; the exit code.
pub fn run_plain(wires: Wires, setup: Setup, passwords: &Passwords, signals: &Signals) -> io::Result<Exit> {
    let lines = stdin::lines(Some)?.into_channel();
    let (gone, output_gone) = bounded(0);
    let paper = Paper::Streams { gone: Some(gone) };
    let (status, updates) = bounded(1);
    let (mut reader, printer) = start(wires, setup, passwords, signals, paper, (status, updates.clone()))?;
    let output_gone = on_main(signals, || read_plain(&mut reader, &lines, &output_gone, &updates));
    drop(reader);
    let exit = printer.join();
    let output_gone = output_gone.unwrap_or_else(|panic| resume_unwind(panic));
    Ok(signals.exit().unwrap_or(if output_gone { Exit::Done } else { exit }))
}

/// Starts the printer; what `main` then does with lines.
fn start<'a>(
    wires: Wires,
    setup: Setup,
    passwords: &'a Passwords,
    signals: &'a Signals,
    paper: Paper,
    status: (Sender<Arc<Status>>, Receiver<Arc<Status>>),
) -> io::Result<(Reader<'a>, common::thread::Handle<Exit>)> {
    let look = Look {
        theme: Theme { color: setup.color, words: setup.words },
        me: None,
        current: None,
        columns: None,
        zone: TimeZone::system(),
        words: Vec::new(),
    };
    // `main` waits when the printer is behind.
    let (local, locals) = bounded(LOCALS_QUEUE);
    // Nothing is ever sent: it disconnects when the engine has ended.
    let (ending, ended) = bounded(0);
    let printer = Printer {
        events: wires.events.into_channel(),
        locals,
        screen: Screen::new(look, setup.settings, Hints::new(setup.first_run, setup.signs_in)),
        paper,
        status,
        ended: Some(ending),
        color_auto: setup.color,
        started: now(),
        pending: Vec::new(),
        taken: 0,
        written: wires.written,
    };
    let thread = common::thread::spawn("printer", move || printer.run())?;
    Ok((
        Reader {
            commands: wires.commands,
            locals: local,
            passwords,
            signals,
            ended,
            asked: 0,
            awaited: 0,
            answered: 0,
            confirming: None,
        },
        thread,
    ))
}

/// Reads until the engine ended; whether nobody reads the output any more, which is a clean end.
fn read_plain(
    reader: &mut Reader<'_>,
    lines: &Receiver<Typed>,
    output_gone: &Receiver<()>,
    updates: &Receiver<Arc<Status>>,
) -> bool {
    let (mut lines, mut output_gone) = (lines.clone(), output_gone.clone());
    let (mut is_gone, mut question) = (false, 0);
    let ended = reader.ended.clone();
    loop {
        select! {
            recv(lines) -> typed => match typed {
                Ok(Typed::Line(line)) => {
                    question = updates.try_iter().last().map_or(question, |status| status.question);
                    if reader.line(&line, question) == Next::Leave {
                        lines = never();
                    }
                }
                Ok(Typed::NotText) => reader.local(refused(Code::Usage, "A line was not UTF-8. It was not sent.")),
                Ok(Typed::TooLong) => reader.local(refused(Code::TooLarge, "A line was too long. It was not sent.")),
                Ok(Typed::End) | Err(_) => {
                    quit(&reader.commands, None, PATIENCE_AT_END_MS);
                    lines = never();
                }
            },
            recv(output_gone) -> _ => {
                is_gone = !reader.has_ended();
                quit(&reader.commands, None, 0);
                output_gone = never();
            },
            recv(ended) -> _ => return is_gone,
        }
    }
}

fn refused(code: Code, text: &str) -> Local {
    Local::Refuse(Refusal::new(code, text))
}

#[expect(clippy::disallowed_methods, reason = "the start of the printer's clock")]
fn now() -> Instant {
    Instant::now()
}

/// What `main` says before the printer has taken it.
const LOCALS_QUEUE: usize = 64;
