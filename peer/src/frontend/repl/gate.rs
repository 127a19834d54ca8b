//! When the printer may use the line editor's external printer. It writes straight to the terminal whenever the editor
//! is not reading, which would garble a prompt that is just being drawn or a line that is just being erased; so it is
//! used only between the editor's first drawing of the prompt and its leaving, which `main` says here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Main's side. Everything is called on `main`, from hooks of the editor.
pub(super) struct Gate {
    shared: Arc<Shared>,
    opened: Sender<()>,
}

/// The printer's side.
pub(super) struct Pass {
    shared: Arc<Shared>,
    /// Ready when it is worth to look at [`Pass::is_open`] again.
    pub(super) opened: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The editor reads, and its prompt is drawn.
    open: AtomicBool,
    /// No prompt is drawn, and none will be before `main` closes the gate: text may go straight to the terminal.
    between: AtomicBool,
    /// The printer is about to hand text over, or in the middle of it.
    printing: AtomicBool,
    /// Text was handed over, and the editor has not redrawn its prompt since: it holds one text only.
    full: AtomicBool,
}

/// Both sides, closed.
pub(super) fn gate() -> (Gate, Pass) {
    let shared = Arc::new(Shared::default());
    // One notice is enough: it says "look again".
    let (opened, receiver) = bounded(1);
    (Gate { shared: Arc::clone(&shared), opened }, Pass { shared, opened: receiver })
}

impl Gate {
    /// The editor draws its prompt.
    pub(super) fn open(&self) {
        self.shared.open.store(true, SeqCst);
        self.shared.full.store(false, SeqCst);
        let _ = self.opened.try_send(());
    }

    /// `main` waits between two prompts.
    pub(super) fn open_between(&self) {
        self.shared.between.store(true, SeqCst);
        let _ = self.opened.try_send(());
    }

    /// The editor is about to leave, or to be entered. Waits for text that is just being handed over, but not for long: the printer may
    /// wait for the editor in turn, and then the text stays with the editor until it reads again.
    pub(super) fn close(&self) {
        self.shared.open.store(false, SeqCst);
        self.shared.between.store(false, SeqCst);
        for _ in 0..HAND_OVER_TRIES {
            if !self.shared.printing.load(SeqCst) {
                return;
            }
            thread::park_timeout(HAND_OVER_PAUSE);
        }
    }
}

impl Pass {
    pub(super) fn is_open(&self) -> bool {
        let open = self.shared.open.load(SeqCst) || self.shared.between.load(SeqCst);
        open && !self.shared.full.load(SeqCst)
    }

    /// Hands text over if the gate is still open; whether it did.
    pub(super) fn hand_over(&self, print: impl FnOnce()) -> bool {
        self.shared.printing.store(true, SeqCst);
        // Read after `printing` is set: either `close` sees that, or this sees that it is closed.
        let open = self.is_open();
        if open {
            self.shared.full.store(self.shared.open.load(SeqCst), SeqCst);
            print();
        }
        self.shared.printing.store(false, SeqCst);
        open
    }
}

/// Together 50 ms: handing over takes microseconds.
const HAND_OVER_TRIES: u32 = 50;
const HAND_OVER_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_per_drawing_and_none_while_closed() {
        let (gate, pass) = gate();
        let mut printed = 0;
        assert!(!pass.hand_over(|| printed += 1), "closed at first");
        gate.open();
        assert!(pass.opened.try_recv().is_ok());
        assert!(pass.hand_over(|| printed += 1));
        assert!(!pass.hand_over(|| printed += 1), "the editor holds one");
        gate.open();
        assert!(pass.hand_over(|| printed += 1));
        gate.open();
        gate.close();
        assert!(!pass.hand_over(|| printed += 1));
        gate.open_between();
        assert!(pass.hand_over(|| printed += 1) && pass.hand_over(|| printed += 1), "straight to the terminal");
        gate.close();
        assert!(!pass.hand_over(|| printed += 1));
        assert_eq!(printed, 4);
    }
}
