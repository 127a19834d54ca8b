//! The signals that end the program, as a thread that turns them into `Quit`. Started by `main` before anything that
//! could need it; the REPL raises SIGINT on itself to leave its line editor, and says so here first.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::queue;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals as Iterator};

use super::quit;
use super::terminal::Modes;
use crate::api::{Asked, Command, Exit};

/// The running watch; dropping it ends the thread.
pub struct Signals {
    shared: Arc<Shared>,
    came: Receiver<()>,
    // Nothing is sent: it disconnects when the program has come to its end by itself.
    _running: Sender<()>,
    // Closed in `drop`, before the thread is joined.
    handle: Handle,
    _thread: common::thread::Handle,
}

#[derive(Default)]
struct Shared {
    /// The exit code of the first signal that came, or 0.
    exit: AtomicU8,
    commands: OnceLock<queue::Sender<Asked>>,
    /// The terminal as it was, for leaving at once.
    modes: OnceLock<Modes>,
    /// SIGINT is the program's own and means nothing.
    waking: AtomicBool,
    /// A password prompt is open: the next SIGINT may come from it.
    prompting: AtomicBool,
    prompt_left: PromptLeft,
}

/// A password prompt was left by its key. It raises a SIGINT of its own then, which nobody can tell from another.
struct PromptLeft {
    tell: Sender<()>,
    told: Receiver<()>,
}

impl Default for PromptLeft {
    fn default() -> Self {
        let (tell, told) = bounded(1);
        Self { tell, told }
    }
}

impl Signals {
    pub fn watch() -> io::Result<Self> {
        let shared = Arc::new(Shared { modes: OnceLock::from(Modes::remember()), ..Shared::default() });
        let mut signals = Iterator::new([SIGTERM, SIGHUP, SIGINT])?;
        let handle = signals.handle();
        // One notice is enough: it says that there was one.
        let (notice, came) = bounded(1);
        let seen = Arc::clone(&shared);
        let (running, ended) = bounded(0);
        let thread = common::thread::spawn("signals", move || {
            for signal in &mut signals {
                match seen.take(signal) {
                    Taken::Ignored => {}
                    Taken::First => {
                        let _ = notice.try_send(());
                        leave_after_grace(Arc::clone(&seen), ended.clone());
                        seen.ask_to_quit();
                    }
                    Taken::Again => seen.leave(),
                }
            }
        })?;
        Ok(Self { shared, came, _running: running, handle, _thread: thread })
    }

    /// From now on a signal asks the engine to quit at once.
    pub fn quit_through(&self, commands: &queue::Sender<Asked>) {
        // Set once per program: there is one engine.
        let _ = self.shared.commands.set(commands.clone());
        if self.exit().is_some() {
            quit(commands, None, 0);
        }
    }

    /// Asks the engine to quit if it still runs: whoever talked to it has ended.
    pub fn stop_engine(&self) {
        if let Some(commands) = self.shared.commands.get() {
            // It is not waited for here: an engine that ended has no inbox, and a full one is read while it ends.
            let _ = commands.try_send(Asked { re: None, command: Command::Quit { patience_ms: 0 } });
        }
    }

    /// The exit code, if a signal ended the program.
    pub fn exit(&self) -> Option<Exit> {
        match self.shared.exit.load(Ordering::SeqCst) {
            0 => None,
            INTERRUPTED => Some(Exit::Interrupted),
            _ => Some(Exit::Terminated),
        }
    }

    /// Becomes ready when a signal came.
    pub fn came(&self) -> &Receiver<()> {
        &self.came
    }

    /// What another thread needs to make `main` leave the line editor.
    pub fn waker(&self) -> Waker {
        Waker { shared: Arc::clone(&self.shared) }
    }

    /// A password prompt begins; Ctrl-C in it raises a SIGINT that is not for the program.
    pub fn prompting(&self, begins: bool) {
        // What an earlier prompt left behind.
        let _ = self.shared.prompt_left.told.try_recv();
        self.shared.prompting.store(begins, Ordering::SeqCst);
    }

    /// The prompt was left by Ctrl-C: its SIGINT came just before, or comes now.
    pub fn prompt_left(&self) {
        let _ = self.shared.prompt_left.tell.try_send(());
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Raises SIGINT, which the line editor takes for Ctrl-C.
pub struct Waker {
    shared: Arc<Shared>,
}

impl Waker {
    /// Once woken, SIGINT no longer interrupts: only for a program that is about to end.
    pub fn wake(&self) {
        self.shared.waking.store(true, Ordering::SeqCst);
        // It can only fail for a signal that does not exist.
        let _ = signal_hook::low_level::raise(SIGINT);
    }
}

impl Shared {
    /// Takes note of a signal.
    fn take(&self, signal: i32) -> Taken {
        if signal == SIGINT && (self.waking.load(Ordering::SeqCst) || self.comes_from_prompt()) {
            return Taken::Ignored;
        }
        let exit = if signal == SIGINT { INTERRUPTED } else { TERMINATED };
        match self.exit.compare_exchange(0, exit, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Taken::First,
            Err(_) => Taken::Again,
        }
    }

    /// The prompt says right after its SIGINT that it was left; it says nothing of one from outside.
    fn comes_from_prompt(&self) -> bool {
        self.prompting.swap(false, Ordering::SeqCst) && self.prompt_left.told.recv_timeout(PROMPT_LEFT_WITHIN).is_ok()
    }

    fn ask_to_quit(&self) {
        if let Some(commands) = self.commands.get() {
            quit(commands, None, 0);
        }
    }

    /// Ends the process here and now. Nothing is lost by it that was ever called sent: that is on the disk.
    fn leave(&self) {
        if let Some(modes) = self.modes.get() {
            modes.restore();
        }
        signal_hook::low_level::exit(self.exit.load(Ordering::SeqCst).into());
    }
}

/// What a signal means.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// It was the program's own.
    Ignored,
    First,
    /// Somebody is in a hurry.
    Again,
}

/// A program that cannot end by itself (nobody reads its output, say) ends all the same.
fn leave_after_grace(shared: Arc<Shared>, ended: Receiver<()>) {
    let grace = common::thread::spawn("grace", move || {
        if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            shared.leave();
        }
    });
    if let Ok(grace) = grace {
        // It ends with the program, one way or the other.
        grace.detach();
    }
}

/// Longer than a slow disk and a slow goodbye together.
const GRACE: Duration = Duration::from_secs(4);

/// Between the signal and the word of the prompt lie a few instructions; on a loaded machine, more.
const PROMPT_LEFT_WITHIN: Duration = Duration::from_millis(300);

const INTERRUPTED: u8 = Exit::Interrupted as u8;
const TERMINATED: u8 = Exit::Terminated as u8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_becomes_quit_and_its_exit_code() {
        let shared = Shared::default();
        let (commands, asked) = queue::bounded(4);
        shared.commands.set(commands).unwrap();
        shared.prompting.store(true, Ordering::SeqCst);
        shared.prompt_left.tell.send(()).unwrap();
        assert_eq!(shared.take(SIGINT), Taken::Ignored, "the one of a password prompt");
        assert_eq!(shared.take(SIGTERM), Taken::First);
        shared.ask_to_quit();
        assert!(matches!(asked.try_recv().unwrap().command, Command::Quit { patience_ms: 0 }));
        assert_eq!(shared.take(SIGINT), Taken::Again);
        assert_eq!(shared.exit.load(Ordering::SeqCst), TERMINATED, "the first one counts");
    }

    #[test]
    fn a_signal_from_outside_during_a_password_prompt_counts() {
        let shared = Shared::default();
        shared.prompting.store(true, Ordering::SeqCst);
        assert_eq!(shared.take(SIGINT), Taken::First);
        assert_eq!(shared.exit.load(Ordering::SeqCst), INTERRUPTED);
    }
}
