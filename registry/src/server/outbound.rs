//! The sending half of a connection. One mutex guards its cipher and its outbox, so that replies of the session thread
//! and news of a courier never interleave; writing under it never blocks. What does not fit waits in the outbox,
//! bounded; a client that does not take it in time is cut.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::secure::seal::Sealer;
use common::wire::batch::Batch;
use socket2::SockRef;

/// See the module.
pub(super) struct Outbound {
    socket: Arc<TcpStream>,
    // Guards cipher and outbox; the one lock that is held across a (non-blocking) write.
    state: Mutex<State>,
    drained: Condvar,
}

struct State {
    sealer: Sealer,
    // Sealed frames; bytes before `sent` have gone out.
    outbox: Vec<u8>,
    sent: usize,
    // Nothing may follow what is in the outbox.
    is_last: bool,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it is with the operating system.
    Whole,
    /// Some of it waits: somebody has to call [`Outbound::flush`] again.
    Partly,
    /// It waited too long or was too much: the connection was cut just now.
    Cut,
    /// The connection had ended before.
    Never,
}

impl Outbound {
    pub(super) fn new(socket: Arc<TcpStream>, sealer: Sealer) -> Self {
        let state = State { sealer, outbox: Vec::new(), sent: 0, is_last: false, is_cut: false };
        Self { socket, state: Mutex::new(state), drained: Condvar::new() }
    }

    /// Sends one frame without waiting. With `is_last`, the connection's sending half ends after it.
    pub(super) fn send(&self, batch: &mut Batch, is_last: bool) -> Sent {
        let mut state = self.state();
        if state.is_cut || state.is_last {
            return Sent::Never;
        }
        let mut plaintext = Vec::new();
        batch.take_padded(&mut plaintext);
        let State { sealer, outbox, .. } = &mut *state;
        sealer.seal(&plaintext, outbox);
        state.is_last = is_last;
        if state.outbox.len() - state.sent > OUTBOX_BYTES_MAX {
            self.cut_locked(&mut state);
            return Sent::Cut;
        }
        self.flush_locked(&mut state)
    }

    /// Sends one frame and waits until it is out, for at most `patience`.
    pub(super) fn send_and_wait(&self, batch: &mut Batch, patience: Duration) -> Sent {
        let deadline = Instant::now() + patience;
        let mut sent = self.send(batch, false);
        while sent == Sent::Partly {
            let state = self.state();
            let woken = self.drained.wait_timeout(state, RETRY_AFTER);
            let (mut state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            sent = self.flush_locked(&mut state);
            if sent == Sent::Partly && Instant::now() >= deadline {
                self.cut_locked(&mut state);
                sent = Sent::Cut;
            }
        }
        sent
    }

    /// Tries once more to send what waits.
    pub(super) fn flush(&self) -> Sent {
        self.flush_locked(&mut self.state())
    }

    /// Ends the connection, whatever waits.
    pub(super) fn cut(&self) {
        self.cut_locked(&mut self.state());
    }

    fn flush_locked(&self, state: &mut State) -> Sent {
        if state.is_cut {
            return Sent::Never;
        }
        while state.sent < state.outbox.len() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match SockRef::from(&*self.socket).send_with_flags(&state.outbox[state.sent..], flags) {
                Ok(0) => return self.cut_locked(state),
                Ok(count) => state.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Partly,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.cut_locked(state),
            }
        }
        state.sent = 0;
        state.outbox.clear();
        state.outbox.shrink_to(KEPT_BYTES_MAX);
        if state.is_last {
            // The client reads to the end and closes; the session thread notices that.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        self.drained.notify_all();
        Sent::Whole
    }

    fn cut_locked(&self, state: &mut State) -> Sent {
        state.is_cut = true;
        state.outbox = Vec::new();
        state.sent = 0;
        let _ = self.socket.shutdown(Shutdown::Both);
        self.drained.notify_all();
        Sent::Never
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbound(…)")
    }
}

/// Sealed bytes that wait for a client: the largest reply and some news.
pub(super) const OUTBOX_BYTES_MAX: usize = 96 * 1024;
/// A short reply; times ten thousand sessions.
const KEPT_BYTES_MAX: usize = 512;
/// How often a full socket is tried again; there is no poll without unsafe code.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(5);

const _: () = assert!(OUTBOX_BYTES_MAX > common::limits::FRAME_BYTES_MAX);
