//! The one owner of what is written: takes events, lets the screen turn them into rows, and writes these above the
//! prompt or, without a line editor, straight out. Runs until the engine ended; then it makes `main` leave the editor.

#![expect(clippy::disallowed_methods, reason = "the printer is where events get their time and lines their deadline")]

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use common::time::{Monotonic, Now, UnixMillis};
use crossbeam_channel::{Receiver, Sender, after, never, select};

use super::gate::Pass;
use super::prompt::Status;
use super::screen::{Row, Screen};
use crate::api::{Event, Exit, Refusal, Told, Written};
use crate::frontend::ENGINE_LOST;
use crate::frontend::sanitize::Safe;
use crate::frontend::settings::{Color, ENTRIES, entry};
use crate::frontend::signals::Waker;
use crate::frontend::terminal;

/// What `main` tells the printer.
#[derive(Debug)]
pub(super) enum Local {
    /// A text is about to be sent under this mark.
    Said {
        re: String,
        text: String,
    },
    /// Rows to be shown as they are.
    Show {
        rows: Vec<String>,
        is_help: bool,
    },
    Refuse(Refusal),
    /// The question of trust is answered.
    TrustAnswered,
    Set {
        key: Option<String>,
        value: Option<String>,
    },
}

/// Where rows go.
pub(super) enum Paper {
    /// Above the prompt of the line editor.
    Editor(Box<EditorPaper>),
    /// Answers to standard output, everything else to standard error.
    Streams {
        /// Nobody reads standard output any more; told once.
        gone: Option<Sender<()>>,
    },
}

pub(super) struct EditorPaper {
    pub(super) print: Box<dyn FnMut(String) -> bool + Send>,
    pub(super) pass: Pass,
    pub(super) waker: Waker,
    /// Disconnects when `main` has dropped the editor.
    pub(super) left: Receiver<()>,
}

pub(super) struct Printer {
    pub(super) events: Receiver<Told>,
    pub(super) locals: Receiver<Local>,
    pub(super) screen: Screen,
    pub(super) paper: Paper,
    /// Holds the newest status only.
    pub(super) status: (Sender<Arc<Status>>, Receiver<Arc<Status>>),
    /// Dropped when the engine ended.
    pub(super) ended: Option<Sender<()>>,
    /// What `--color auto` means here.
    pub(super) color_auto: bool,
    pub(super) started: Instant,
    pub(super) pending: Vec<Row>,
    /// Events taken, and what the engine knows of those that are written.
    pub(super) taken: u64,
    pub(super) written: Arc<Written>,
}

impl Printer {
    /// Runs until the engine ended and everything is written; the exit code.
    pub(super) fn run(mut self) -> Exit {
        let mut told_status = Arc::new(Status::default());
        let exit = loop {
            let ended = self.wait();
            let now = self.now();
            self.screen.look.columns = terminal::columns();
            let rows = self.screen.rows(now);
            self.pending.extend(rows);
            if *told_status != self.screen.status {
                told_status = Arc::new(self.screen.status.clone());
                self.tell_status(&told_status);
            }
            if let Some(exit) = ended {
                break exit;
            }
            self.print();
            self.say_what_is_written();
        };
        // From here on nobody needs to wait for the engine: not a password prompt, not the editor.
        self.ended = None;
        self.leave_editor();
        self.print();
        exit
    }

    /// Waits for something to happen and takes all that has queued; the exit code if it was the end.
    fn wait(&mut self) -> Option<Exit> {
        let due = self.screen.due_in(self.now()).map_or_else(never, after);
        let no_events = never();
        // What cannot be shown yet is kept, but not without end: then the engine pauses what it can.
        let events = if self.pending.len() > PENDING_ROWS_MAX { &no_events } else { &self.events };
        let (no_gate, no_editor) = (never(), never());
        let (opened, left) = match &self.paper {
            Paper::Editor(editor) => (&editor.pass.opened, &editor.left),
            Paper::Streams { .. } => (&no_gate, &no_editor),
        };
        let mut told = None;
        select! {
            recv(events) -> event => told = Some(event),
            recv(self.locals) -> local => match local {
                Ok(local) => self.local(local),
                Err(_) => self.locals = never(),
            },
            recv(opened) -> _ => {},
            recv(left) -> _ => {
                if let Paper::Editor(_) = self.paper {
                    self.paper = Paper::Streams { gone: None };
                }
            },
            recv(due) -> _ => {},
        }
        // What `main` said before a command comes before the answer to that command.
        while let Ok(local) = self.locals.try_recv() {
            self.local(local);
        }
        let mut taken = 0;
        while let Some(next) = told {
            match next {
                Ok(Told { event: Event::Bye { reason, exit }, .. }) => return Some(self.bye(&reason, exit)),
                Ok(next) => self.screen.take(next, self.now()),
                Err(_) => {
                    self.screen.refuse(&Refusal::new(crate::api::Code::Internal, ENGINE_LOST));
                    return Some(Exit::Failed);
                }
            }
            taken += 1;
            self.taken += 1;
            // Disconnection is for the next round: `try_recv` says it only when nothing is left.
            told = if taken < BATCH_EVENTS { self.events.try_recv().ok().map(Ok) } else { None };
        }
        None
    }

    /// An end that was asked for needs no words.
    fn bye(&mut self, reason: &str, exit: Exit) -> Exit {
        let now = self.now();
        self.screen.flush(now);
        if !matches!(exit, Exit::Done | Exit::Interrupted | Exit::Terminated) && !reason.is_empty() {
            self.screen.say([Safe::line(&format!("The program ends: {reason}"))], false);
        }
        exit
    }

    fn local(&mut self, local: Local) {
        match local {
            Local::Said { re, text } => self.screen.said(re, text),
            Local::Show { rows, is_help } => {
                let theme = self.screen.look.theme;
                let row = |row: &String| if is_help { super::render::help(theme, row) } else { Safe::line(row) };
                self.screen.say(rows.iter().map(row).collect::<Vec<_>>(), true);
            }
            Local::Refuse(refusal) => self.screen.refuse(&refusal),
            Local::TrustAnswered => self.screen.status.question = 0,
            Local::Set { key, value } => self.set(key, value),
        }
    }

    fn set(&mut self, key: Option<String>, value: Option<String>) {
        let settings = &mut self.screen.settings;
        let told = match (key, value) {
            (None, _) => Ok(ENTRIES.iter().collect()),
            (Some(key), None) => entry(&key).map(|entry| vec![entry]),
            (Some(key), Some(value)) => settings.set(&key, &value).and_then(|()| entry(&key)).map(|entry| vec![entry]),
        };
        match told {
            Ok(entries) => {
                let row = |entry: &&crate::frontend::settings::Entry| {
                    let values = entry.values.join(", ");
                    format!("  {:<11} {:<9} {} ({values})", entry.key, settings.value(entry), entry.means)
                };
                let rows: Vec<Safe> = entries.iter().map(row).map(|row| Safe::line(&row)).collect();
                self.screen.say(rows, true);
            }
            Err(text) => self.screen.refuse(&Refusal::new(crate::api::Code::Usage, &text)),
        }
        self.screen.look.theme.color = match self.screen.settings.color {
            Color::Auto => self.color_auto,
            Color::Always => !self.screen.look.theme.words,
            Color::Never => false,
        };
    }

    /// Writes what is pending, if it can be written now.
    fn print(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match &mut self.paper {
            Paper::Editor(editor) => {
                if !editor.pass.is_open() {
                    return;
                }
                // Several lines per call, so that they do not flicker.
                let text: String = self.pending.iter().map(|row| format!("{}\n", row.text.as_str())).collect();
                let EditorPaper { print, pass, .. } = &mut **editor;
                let mut printed = false;
                let handed = pass.hand_over(|| printed = print(text));
                if handed && printed {
                    self.pending.clear();
                }
            }
            Paper::Streams { gone } => {
                let written = write_rows(&self.pending);
                self.pending.clear();
                if written.is_err() {
                    self.written.lost();
                    drop(gone.take());
                }
            }
        }
    }

    /// Whatever was taken is written unless something is held back.
    fn say_what_is_written(&self) {
        if !self.written.is_lost() && self.pending.is_empty() && self.screen.due_in(self.now()).is_none() {
            self.written.reached(self.taken);
        }
    }

    /// Raises the signal that the editor takes for Ctrl-C until `main` has left it.
    fn leave_editor(&mut self) {
        let Paper::Editor(editor) = &self.paper else { return };
        loop {
            editor.waker.wake();
            if editor.left.recv_timeout(WAKE_EVERY) == Err(crossbeam_channel::RecvTimeoutError::Disconnected) {
                break;
            }
        }
        self.paper = Paper::Streams { gone: None };
    }

    /// The newest status replaces one that was not read yet.
    fn tell_status(&self, status: &Arc<Status>) {
        let (sender, receiver) = &self.status;
        let _ = receiver.try_recv();
        let _ = sender.try_send(Arc::clone(status));
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Now { monotonic: Monotonic(millis(self.started.elapsed())), wall: UnixMillis(millis(wall)) }
    }
}

fn write_rows(rows: &[Row]) -> io::Result<()> {
    let (mut out, mut errors) = (io::stdout().lock(), io::stderr().lock());
    for run in rows.chunk_by(|one, other| one.is_data == other.is_data) {
        let text: String = run.iter().map(|row| format!("{}\n", row.text.as_str())).collect();
        if run[0].is_data {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        } else {
            // Nobody reading errors is no reason to stop.
            let _ = errors.write_all(text.as_bytes());
        }
    }
    Ok(())
}

/// Events taken before what they led to is written.
const BATCH_EVENTS: usize = 512;

/// Rows kept while nothing can be written: a password is typed, or history searched.
const PENDING_ROWS_MAX: usize = 10_000;

/// The editor may be just about to read when it is woken.
const WAKE_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::repl::gate::gate;
    use crate::frontend::repl::hints::Hints;
    use crate::frontend::repl::render::Look;
    use crate::frontend::repl::theme::Theme;
    use crate::frontend::sample;
    use crate::frontend::settings::Settings;
    use crate::frontend::signals::Signals;
    use crossbeam_channel::bounded;
    use jiff::tz::TimeZone;

    /// A printer at an editor that is played by the test, and what it printed.
    fn printer(
        events: Receiver<Told>,
        signals: &Signals,
        left: Receiver<()>,
    ) -> (Printer, super::super::gate::Gate, Receiver<String>) {
        let (gate, pass) = gate();
        let (sheet, printed) = bounded(16);
        let print = Box::new(move |text: String| sheet.send(text).is_ok());
        let paper = Paper::Editor(Box::new(EditorPaper { print, pass, waker: signals.waker(), left }));
        let theme = Theme { color: false, words: false };
        let look = Look { theme, me: None, current: None, columns: None, zone: TimeZone::UTC, words: Vec::new() };
        let screen = Screen::new(look, Settings::default(), Hints::new(false, true));
        let printer = Printer {
            events,
            locals: never(),
            screen,
            paper,
            status: bounded(1),
            ended: Some(bounded(0).0),
            color_auto: false,
            started: Instant::now(),
            pending: Vec::new(),
            taken: 0,
            written: Arc::default(),
        };
        (printer, gate, printed)
    }

    #[test]
    fn lines_wait_for_the_prompt_and_come_at_once() {
        let signals = Signals::watch().unwrap();
        let (events, taken) = bounded(16);
        let (leaving, left) = bounded(0);
        let (printer, gate, printed) = printer(taken, &signals, left);
        let thread = common::thread::spawn("printer", move || printer.run()).unwrap();
        for text in ["one", "two"] {
            let message = Event::Message(sample::message("#dev", "bob", text));
            events.send(Told { re: None, event: message }).unwrap();
        }
        while !events.is_empty() {
            std::thread::yield_now();
        }
        let early = printed.is_empty();
        gate.open();
        let text = printed.recv_timeout(Duration::from_secs(10));
        gate.close();
        // Everything ends before anything is asserted: a failing test must not wait for its own thread.
        drop(leaving);
        events.send(Told { re: None, event: Event::Bye { reason: String::new(), exit: Exit::Done } }).unwrap();
        assert_eq!(thread.join(), Exit::Done);
        assert!(early, "printed before a prompt was drawn");
        let text = text.expect("waited for both lines above the prompt");
        assert!(text.contains("<bob> one") && text.contains("<bob> two") && text.ends_with('\n'), "{text}");
    }

    #[test]
    fn an_engine_that_vanished_wakes_main_and_fails() {
        let signals = Signals::watch().unwrap();
        let (events, taken) = bounded(1);
        let (leaving, left) = bounded::<()>(0);
        let (mut printer, _gate, _printed) = printer(taken, &signals, left);
        let (ending, ended) = bounded::<()>(0);
        printer.ended = Some(ending);
        let thread = common::thread::spawn("printer", move || printer.run()).unwrap();
        drop(events);
        let told = ended.recv_timeout(Duration::from_secs(10));
        let waits = !thread.is_finished();
        drop(leaving);
        assert_eq!(thread.join(), Exit::Failed);
        assert_eq!(told, Err(crossbeam_channel::RecvTimeoutError::Disconnected), "waited for the end to be told");
        assert!(waits, "the printer waits for main to leave the editor");
    }
}
