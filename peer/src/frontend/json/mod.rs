//! The face for programs: lines in, JSON objects out, on pipes. `main` reads, `printer` writes; an answer carries the
//! mark of its line. It asks nobody anything.

mod input;
mod messages;
mod object;
mod output;

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::queue::{self, Receiver, Sender};
use crossbeam_channel::TryRecvError;

use super::commands::{self, Line};
use super::password::{NoPassword, Passwords};
use super::signals::Signals;
use super::stdin::{self, Typed};
use super::{ENGINE_LOST, PATIENCE_AT_END_MS, PATIENCE_AT_QUIT_MS, Wires, on_main, quit};
use crate::api::{Asked, Code, Command, Event, Exit, Refusal, Told, Written};

pub(crate) use input::read as read_input;
pub(crate) use output::message_lines;

/// Runs until the engine ended; the exit code.
pub fn run(wires: Wires, passwords: &Passwords, signals: &Signals) -> io::Result<Exit> {
    let shortcut = Shortcut { commands: wires.commands.clone(), at_main: Arc::default() };
    let at_main = Arc::clone(&shortcut.at_main);
    let lines = stdin::lines(move |typed| shortcut.take(typed))?;
    let (events, written) = (wires.events, wires.written);
    // Answers of the front-end itself. `main` waits when the printer is behind: its reader is slow.
    let (answers, own_answers) = queue::bounded_at(events.bell(), ANSWERS_QUEUE);
    // Two notices at most: the output is gone, and the end.
    let (notice, notices) = queue::bounded_at(lines.bell(), 2);
    let printing = move || print(&events, &own_answers, &notice, &written, &mut io::stdout());
    let printer = common::thread::spawn("printer", printing)?;
    let reader = Reader { commands: wires.commands, answers, passwords, signals, at_main };
    let read = on_main(signals, || reader.read(&lines, &notices));
    // Without its answers the printer would wait for more of them.
    drop(reader);
    let exit = printer.join();
    read.unwrap_or_else(|panic| resume_unwind(panic));
    Ok(signals.exit().unwrap_or(exit))
}

/// Tells of a start that failed, in the same words as later errors.
pub fn tell_failed_start(refusal: &Refusal, out: &mut impl Write) -> io::Result<()> {
    let bye = Event::Bye { reason: refusal.text.as_str().to_owned(), exit: Exit::Failed };
    for event in [Event::Refused(refusal.clone()), bye] {
        out.write_all(output::line(&Told { re: None, event }).unwrap_or_default().as_bytes())?;
    }
    out.flush()
}

struct Reader<'a> {
    commands: Sender<Asked>,
    answers: Sender<String>,
    passwords: &'a Passwords,
    signals: &'a Signals,
    /// See [`Shortcut`].
    at_main: Arc<AtomicUsize>,
}

/// A line that only asks the engine for something goes to it from the thread that reads it: one wake-up less on the way
/// of every message.
struct Shortcut {
    commands: Sender<Asked>,
    /// Lines that `main` was handed and is not done with: whatever follows them queues behind.
    at_main: Arc<AtomicUsize>,
}

/// What the printer has to say to `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    /// Nobody reads the output any more.
    OutputGone,
    /// The engine ended.
    Ended,
}

impl Shortcut {
    /// Gives back what `main` has to deal with.
    fn take(&self, typed: Typed) -> Option<Typed> {
        let asked = match &typed {
            Typed::Line(line) if self.at_main.load(Ordering::Acquire) == 0 => asked(line),
            _ => None,
        };
        match asked {
            // It fails when the engine ended, and the printer says why.
            Some(asked) => _ = self.commands.send(asked),
            None => {
                self.at_main.fetch_add(1, Ordering::AcqRel);
                return Some(typed);
            }
        }
        None
    }
}

/// What a line asks the engine, if it does no more than that.
fn asked(line: &str) -> Option<Asked> {
    let input::Input { re, line } = input::read(line).ok()?;
    match commands::parse(&line) {
        Ok(Line::Ask(command)) => Some(Asked { re, command }),
        _ => None,
    }
}

impl Reader<'_> {
    fn read(&self, lines: &Receiver<Typed>, notices: &Receiver<Notice>) {
        let mut is_reading = true;
        loop {
            lines.bell().sleep(None, || notices.is_ready() || is_reading && lines.is_ready());
            match notices.try_recv() {
                Ok(Notice::OutputGone) => quit(&self.commands, None, 0),
                Ok(Notice::Ended) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            if !is_reading {
                continue;
            }
            match lines.try_recv() {
                Ok(Typed::Line(line)) => self.line(&line),
                Ok(Typed::NotText) => self.refuse(None, &Refusal::new(Code::Usage, "A line was not UTF-8.")),
                Ok(Typed::TooLong) => self.refuse(None, &Refusal::new(Code::TooLarge, "A line was too long.")),
                Ok(Typed::End) | Err(TryRecvError::Disconnected) => {
                    quit(&self.commands, None, PATIENCE_AT_END_MS);
                    is_reading = false;
                }
                Err(TryRecvError::Empty) => continue,
            }
            self.at_main.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn line(&self, line: &str) {
        let (re, line) = match input::read(line) {
            Ok(input) => (input.re, input.line),
            Err((re, refusal)) => return self.refuse(re, &refusal),
        };
        match commands::parse(&line) {
            Err(refusal) => self.refuse(re, &refusal),
            Ok(Line::Empty) => {}
            Ok(Line::Ask(command)) => self.ask(re, command),
            Ok(Line::AcceptKey { user, .. }) => self.ask(re, Command::AcceptKey { user }),
            Ok(Line::Quit) => quit(&self.commands, re, PATIENCE_AT_QUIT_MS),
            Ok(Line::Help(topic)) => self.help(re, topic.as_deref()),
            Ok(Line::Set { .. } | Line::Clear) => {
                self.refuse(
                    re,
                    &Refusal::new(Code::Usage, "That command is for a terminal; with --json it has no use."),
                );
            }
            Ok(account) => match self.with_password(account) {
                Ok(command) => self.ask(re, command),
                Err(NoPassword::Refused(refusal)) => self.refuse(re, &refusal),
                // Nobody is asked here, so nobody cancels.
                Err(NoPassword::Cancelled | NoPassword::Ending) => {}
            },
        }
    }

    fn with_password(&self, line: Line) -> Result<Command, NoPassword> {
        let ending = self.signals.came();
        Ok(match line {
            Line::Register { user, by_token } => {
                let (password, token) = self.passwords.newcomer(user.as_str(), by_token, self.signals, ending)?;
                Command::Register { user, password, token }
            }
            Line::LogIn(user) => {
                let password = self.passwords.existing(user.as_str(), self.signals, ending)?;
                Command::LogIn { user, password }
            }
            Line::Rotate { .. } => {
                Command::Rotate { password: self.passwords.existing("this account", self.signals, ending)? }
            }
            _ => {
                let (old, new) = self.passwords.change(self.signals, ending)?;
                Command::ChangePassword { old, new }
            }
        })
    }

    fn help(&self, re: Option<String>, topic: Option<&str>) {
        let rows: Vec<&commands::Row> = match topic {
            None => commands::TABLE.iter().collect(),
            Some(topic) => match commands::row(topic.strip_prefix('/').unwrap_or(topic)) {
                Some(row) => vec![row],
                None => {
                    let text = format!("There is no command '{topic}'. /help lists all.");
                    return self.refuse(re, &Refusal::new(Code::UnknownCommand, &text));
                }
            },
        };
        self.answer(output::help(re.as_deref(), &rows));
    }

    fn ask(&self, re: Option<String>, command: Command) {
        // It fails when the engine ended, and the printer says why.
        let _ = self.commands.send(Asked { re, command });
    }

    fn refuse(&self, re: Option<String>, refusal: &Refusal) {
        let told = Told { re, event: Event::Refused(refusal.clone()) };
        self.answer(output::line(&told).unwrap_or_default());
    }

    fn answer(&self, line: String) {
        // It fails when the printer ended, which it does last of all.
        let _ = self.answers.send(line);
    }
}

/// Writes what comes until the engine ended; the exit code. Nobody reading any more is a clean end.
fn print(
    events: &Receiver<Told>,
    answers: &Receiver<String>,
    notice: &Sender<Notice>,
    written: &Written,
    out: &mut impl Write,
) -> Exit {
    let mut output_gone = false;
    let mut taken = 0;
    // The engine's first word is `ready`, and that is the first line: no answer of ours overtakes it.
    let (mut is_ready, mut has_answers) = (false, true);
    let exit = loop {
        let (mut batch, mut ended) = (String::new(), None);
        events.bell().sleep(None, || events.is_ready() || is_ready && has_answers && answers.is_ready());
        match events.try_recv() {
            Err(TryRecvError::Empty) => {}
            told => {
                is_ready = true;
                taken += 1;
                take(told.ok(), &mut batch, &mut ended);
            }
        }
        if is_ready && ended.is_none() {
            match answers.try_recv() {
                Ok(answer) => batch.push_str(&answer),
                Err(error) => has_answers &= error != TryRecvError::Disconnected,
            }
        }
        // What has queued meanwhile goes out with the same write.
        while ended.is_none() && batch.len() < BATCH_BYTES {
            match events.try_recv() {
                Ok(told) => {
                    taken += 1;
                    take(Some(told), &mut batch, &mut ended);
                }
                Err(_) => break,
            }
        }
        if let Some((_, last_line)) = &mut ended {
            batch.extend(answers.try_iter());
            batch.push_str(last_line);
        }
        if !output_gone && out.write_all(batch.as_bytes()).and_then(|()| out.flush()).is_err() {
            output_gone = true;
            written.lost();
            let _ = notice.try_send(Notice::OutputGone);
        }
        if !output_gone {
            written.reached(taken);
        }
        if let Some((exit, _)) = ended {
            break exit;
        }
    };
    let _ = notice.try_send(Notice::Ended);
    if output_gone { Exit::Done } else { exit }
}

/// Adds one event to the batch; the end is kept apart, because `bye` is the last line. `None`: the engine is gone.
fn take(told: Option<Told>, batch: &mut String, ended: &mut Option<(Exit, String)>) {
    match told {
        Some(told) => {
            let line = output::line(&told).unwrap_or_default();
            match told.event {
                Event::Bye { exit, .. } => *ended = Some((exit, line)),
                _ => batch.push_str(&line),
            }
        }
        None => {
            let refusal = Refusal::new(Code::Internal, ENGINE_LOST);
            let mut lines = Vec::new();
            tell_failed_start(&refusal, &mut lines).expect("memory can be written to");
            *ended = Some((Exit::Failed, String::from_utf8(lines).expect("JSON is UTF-8")));
        }
    }
}

/// Answers of the front-end that wait for the printer.
const ANSWERS_QUEUE: usize = 64;

/// Written at once, so that a flood is not one write per line; a kill in the middle of it has the next run tell all of
/// it again.
const BATCH_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::sample;
    use std::time::Duration;

    fn told(event: Event) -> Told {
        Told { re: None, event }
    }

    fn printed(events: Vec<Event>, answers: Vec<String>) -> (Exit, String) {
        let (sender, events_out) = queue::bounded(100);
        events.into_iter().for_each(|event| sender.send(told(event)).unwrap());
        drop(sender);
        let (answer, answers_out) = queue::bounded(100);
        answers.into_iter().for_each(|line| answer.send(line).unwrap());
        let (notice, _notices) = queue::bounded(2);
        let (written, mut out) = (Written::default(), Vec::new());
        let exit = print(&events_out, &answers_out, &notice, &written, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn bye_is_the_last_line_even_behind_answers() {
        let bye = Event::Bye { reason: "quit".to_owned(), exit: Exit::SignInRefused };
        let (exit, text) = printed(vec![Event::PasswordChanged, bye], vec!["{\"type\":\"help\"}\n".to_owned()]);
        assert_eq!(exit, Exit::SignInRefused);
        let types: Vec<&str> = text.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
        assert_eq!(types.last(), Some(&"bye"));
        assert_eq!(types.len(), 3);
    }

    #[test]
    fn ready_is_the_first_line_even_before_answers() {
        // Which of two waiting queues is looked at first is chance.
        for _ in 0..50 {
            let ready = Event::Ready { listen: "127.0.0.1:1".parse().unwrap() };
            let bye = Event::Bye { reason: "quit".to_owned(), exit: Exit::Done };
            let (_, text) = printed(vec![ready, bye], vec!["{\"type\":\"help\"}\n".to_owned()]);
            assert!(text.starts_with("{\"type\":\"ready\""), "{text}");
        }
    }

    #[test]
    fn an_engine_that_vanished_is_told_and_fails() {
        let (exit, text) = printed(vec![Event::PasswordChanged], Vec::new());
        assert_eq!(exit, Exit::Failed);
        assert!(text.contains(r#""code":"internal""#) && text.lines().last().unwrap().contains("bye"));
    }

    #[test]
    fn a_closed_output_is_a_clean_end() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (events, events_out) = queue::bounded(4);
        let (notice, notices) = queue::bounded(2);
        let (_answer, answers) = queue::bounded::<String>(1);
        let written = Arc::new(Written::default());
        let seen = Arc::clone(&written);
        let printing = move || print(&events_out, &answers, &notice, &written, &mut Closed);
        let printer = common::thread::spawn("printer", printing);
        events.send(told(Event::PasswordChanged)).unwrap();
        let deadline = Duration::from_secs(10);
        assert_eq!(notices.recv_timeout(deadline), Ok(Notice::OutputGone), "waited for the printer's notice");
        events.send(told(Event::Bye { reason: String::new(), exit: Exit::Failed })).unwrap();
        assert_eq!(printer.unwrap().join(), Exit::Done);
        assert!(seen.is_lost() && seen.events() == 0, "nothing was written");
    }

    #[test]
    fn what_only_asks_is_asked_at_once_but_never_before_what_is_with_main() {
        let (commands, asked) = queue::bounded(10);
        let shortcut = Shortcut { commands, at_main: Arc::default() };
        let line = |text: &str| Typed::Line(text.to_owned());
        assert_eq!(shortcut.take(line(r#"{"id":"1","line":"@bob hi"}"#)), None);
        assert_eq!(shortcut.take(line("/who")), None);
        let taken: Vec<Option<String>> = asked.try_iter().map(|asked| asked.re).collect();
        assert_eq!(taken, [Some("1".to_owned()), None]);
        for text in ["/login alice", "/who", "/help", ""] {
            assert_eq!(shortcut.take(line(text)), Some(line(text)), "after /login all is main's");
        }
        shortcut.at_main.store(0, Ordering::Release);
        assert_eq!(shortcut.take(Typed::End), Some(Typed::End));
        assert_eq!(shortcut.at_main.load(Ordering::Acquire), 1);
        assert!(asked.try_recv().is_err());
    }

    #[test]
    fn lines_are_asked_or_answered_with_their_mark() {
        let (commands, asked) = queue::bounded(10);
        let (answers, answered) = queue::bounded(10);
        let signals = Signals::watch().unwrap();
        let passwords = &Passwords::Nowhere;
        let reader = Reader { commands, answers, passwords, signals: &signals, at_main: Arc::default() };
        for line in [
            r#"{"id":"1","line":"@bob hi"}"#,
            "",
            "/logout",
            r#"{"id":"2","line":"/kick bob"}"#,
            "/login alice",
            r#"{"id":"3","line":"/help join"}"#,
            "/clear",
            "{",
            r#"{"id":"4","line":"/quit"}"#,
        ] {
            reader.line(line);
        }
        let asked: Vec<String> = asked.try_iter().map(|asked| format!("{:?} {:?}", asked.re, asked.command)).collect();
        let answered: Vec<String> = answered.try_iter().collect();
        insta::assert_snapshot!(format!("{}\n{}", asked.join("\n"), answered.concat()));
        assert!(!sample::events().is_empty());
    }
}
