//! A peer that talks JSON. Scenarios say what they ask and what they wait for; an event is taken by the first wait
//! that wants it, so that waits need not know in which order things come.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::event::Event;
use super::launch::Launch;
use super::process::{DEADLINE, Ended, Process};
use super::registry::Registry;
use super::transcript::Transcript;

pub struct JsonPeer {
    pub launch: Launch,
    process: RefCell<Process>,
    events: RefCell<Vec<Seen>>,
    asked: Cell<u32>,
}

struct Seen {
    event: Event,
    is_taken: bool,
}

impl JsonPeer {
    /// Starts a newcomer and waits until they are signed in.
    #[track_caller]
    pub fn start(registry: &Registry, name: &str) -> Self {
        let peer = Self::launch(Launch::new(registry, name));
        peer.signed_in();
        peer
    }

    /// Starts as many newcomers at the same time.
    #[track_caller]
    pub fn start_all<const N: usize>(registry: &Registry, names: [&str; N]) -> [Self; N] {
        let peers = names.map(|name| Self::launch(Launch::new(registry, name)));
        peers.iter().for_each(Self::signed_in);
        peers
    }

    /// Starts one and waits for nothing.
    pub fn launch(launch: Launch) -> Self {
        let process = Process::start(&launch.name, launch.json_command(), &launch.transcript);
        Self { launch, process: RefCell::new(process), events: RefCell::default(), asked: Cell::new(0) }
    }

    /// Starts the same profile again after its end, and waits until it is signed in.
    #[track_caller]
    pub fn restart(&mut self) {
        let again = Self::launch(self.launch.again());
        *self = again;
        self.signed_in();
    }

    /// Waits until it is signed in; what came before is no longer waited for.
    #[track_caller]
    pub fn signed_in(&self) {
        self.wait("being signed in", |event| event.is("signed_in"));
        self.events.borrow_mut().iter_mut().for_each(|seen| seen.is_taken = true);
    }

    pub fn name(&self) -> &str {
        &self.launch.name
    }

    pub fn transcript(&self) -> &Transcript {
        &self.launch.transcript
    }

    /// Sends a line and asks for no answer.
    pub fn send(&self, line: &str) {
        self.process.borrow_mut().write_line(line);
    }

    /// Sends a piece of a line.
    pub fn send_piece(&self, piece: &str) {
        self.process.borrow_mut().write(piece);
    }

    /// Sends a line with a mark and waits for the first event that carries it.
    #[track_caller]
    pub fn ask(&self, line: &str) -> Event {
        let mark = (self.asked.get() + 1).to_string();
        self.asked.set(self.asked.get() + 1);
        self.send(&serde_json::json!({"id": mark, "line": line}).to_string());
        self.wait(&format!("the answer to {line}"), |event| event.text("re") == mark)
    }

    /// Asks and expects an answer of this type.
    #[track_caller]
    pub fn must(&self, line: &str, kind: &str) -> Event {
        let answer = self.ask(line);
        self.transcript().check(answer.is(kind), &format!("{line} should be answered with {kind}, not {answer}"));
        answer
    }

    /// Asks and expects to be refused with this code.
    #[track_caller]
    pub fn refused(&self, line: &str, code: &str) -> Event {
        let answer = self.must(line, "error");
        let is_line = !answer.text("text").is_empty() && !answer.text("text").contains('\n');
        self.transcript()
            .check(answer.text("code") == code, &format!("{line} should be refused with {code}: {answer}"));
        self.transcript().check(is_line, &format!("a refusal has one line for a person: {answer}"));
        answer
    }

    /// The first event, of those that came or will come and that nobody took, that is wanted.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.wait_for(DEADLINE, what, wanted)
    }

    /// The same with a deadline of its own.
    #[track_caller]
    pub fn wait_for(&self, patience: Duration, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + patience;
        let mut looked_at = 0;
        loop {
            {
                let mut events = self.events.borrow_mut();
                if let Some(seen) = events[looked_at..].iter_mut().find(|seen| !seen.is_taken && wanted(&seen.event)) {
                    seen.is_taken = true;
                    return seen.event.clone();
                }
                looked_at = events.len();
            }
            let line = self.process.borrow().line(deadline);
            match line {
                Ok(line) => self.note(&line),
                Err(RecvTimeoutError::Timeout) => {
                    self.transcript().fail(&format!("{} waited {patience:?} for {what}", self.name()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.transcript().fail(&format!("{} ended while waiting for {what}", self.name()));
                }
            }
        }
    }

    /// Waits for a message of another person.
    #[track_caller]
    pub fn hears(&self, conversation: &str, from: &str, text: &str) -> Event {
        let what = format!("'{text}' of {from} in {conversation}");
        self.wait(&what, |event| event.is_message(conversation, from) && event.text("text") == text)
    }

    /// Says something and waits until as many people as there are have it on disk.
    #[track_caller]
    pub fn says(&self, line: &str) -> Event {
        let own = self.must(line, "message");
        let id = own.text("id").to_owned();
        self.wait(&format!("'{line}' being delivered"), |event| {
            event.is("delivery") && event.text("id") == id && event.number("done") == event.number("of")
        });
        own
    }

    /// Everything that has come so far, up to a question asked now and answered.
    #[track_caller]
    pub fn so_far(&self) -> Vec<Event> {
        self.ask("/whoami");
        self.seen()
    }

    /// Everything that was looked at so far.
    pub fn seen(&self) -> Vec<Event> {
        self.events.borrow().iter().map(|seen| seen.event.clone()).collect()
    }

    /// Where other peers reach this one.
    #[track_caller]
    pub fn listen(&self) -> String {
        if let Some(ready) = self.seen().iter().find(|event| event.is("ready")) {
            return ready.text("listen").to_owned();
        }
        self.wait("being ready", |event| event.is("ready")).text("listen").to_owned()
    }

    pub fn signal(&self, signal: i32) {
        self.process.borrow_mut().signal(signal);
    }

    pub fn pid(&self) -> u32 {
        self.process.borrow().pid()
    }

    /// Ends it as a crash would.
    pub fn kill9(&self) {
        self.process.borrow_mut().kill9();
    }

    pub fn close_stdin(&self) {
        self.process.borrow_mut().close_stdin();
    }

    /// Waits for the program's end, with the rest of what it said.
    #[track_caller]
    pub fn end(&self) -> Ended {
        let ended = self.process.borrow_mut().end();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.process.borrow().line(deadline);
            match line {
                Ok(line) => self.note(&line),
                Err(_) => return ended,
            }
        }
    }

    /// `/quit`; its exit code.
    #[track_caller]
    pub fn quit(&self) -> Ended {
        self.send("/quit");
        self.end()
    }

    #[track_caller]
    fn note(&self, line: &str) {
        let Some(event) = Event::parse(line) else {
            self.transcript().fail(&format!("{} said what is no event: {line}", self.name()));
        };
        self.events.borrow_mut().push(Seen { event, is_taken: false });
    }
}
