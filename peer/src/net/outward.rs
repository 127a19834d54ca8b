//! The sending half of a link: its cipher, its socket, and what the socket has not taken. The engine writes through it
//! without ever waiting, the link's writer waits; whoever seals writes next, so that frames go out in their order.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use common::secure::seal::Sealer;
use common::wire::batch::Batch;
use socket2::SockRef;

/// See the module.
pub(super) struct Outward {
    stream: Arc<TcpStream>,
    // Guards cipher and unsent frames. The writer holds it while it writes; the engine only tries.
    state: Mutex<State>,
    /// Bytes handed to the writer that are not with the system yet: while there are any, the engine has to queue
    /// behind them.
    queued_bytes: AtomicUsize,
    /// The engine wrote since the writer last asked.
    is_used: AtomicBool,
}

struct State {
    sealer: Sealer,
    batch: Batch,
    plaintext: Vec<u8>,
    /// Sealed; what comes first goes first.
    frames: Vec<u8>,
}

/// What became of a write that does not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it is with the system, or the link is at its end and nothing matters any more.
    Whole,
    /// It is sealed; the writer has to be woken for the rest.
    Partly,
    /// Others are before it, and it is not sealed.
    Not,
}

impl Outward {
    pub(super) fn new(stream: Arc<TcpStream>, sealer: Sealer) -> Self {
        let state = State { sealer, batch: Batch::default(), plaintext: Vec::new(), frames: Vec::new() };
        Self { stream, state: Mutex::new(state), queued_bytes: AtomicUsize::new(0), is_used: AtomicBool::new(false) }
    }

    /// So many bytes are about to be handed to the writer.
    pub(super) fn queue(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Acquire)
    }

    /// Whether the engine wrote since this was last asked.
    pub(super) fn was_used(&self) -> bool {
        self.is_used.swap(false, Ordering::AcqRel)
    }

    /// Seals and writes what the socket takes at once, if nothing waits before it.
    pub(super) fn try_write(&self, pieces: &[Vec<u8>]) -> Taken {
        if self.queued_bytes() > 0 {
            return Taken::Not;
        }
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Taken::Not,
        };
        if !state.frames.is_empty() {
            return Taken::Not;
        }
        self.is_used.store(true, Ordering::Release);
        state.seal(pieces);
        let mut sent = 0;
        while sent < state.frames.len() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match SockRef::from(&*self.stream).send_with_flags(&state.frames[sent..], flags) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.frames.drain(..sent);
                    return Taken::Partly;
                }
                Err(_) => {
                    // The reader sees the end and says so.
                    let _ = self.stream.shutdown(Shutdown::Both);
                    break;
                }
            }
        }
        state.done();
        Taken::Whole
    }

    /// Seals and writes all of it, behind what the socket did not take before. Of the bytes, `queued` were counted.
    pub(super) fn write(&self, pieces: &[Vec<u8>], queued: usize) -> io::Result<()> {
        let mut state = self.state();
        state.seal(pieces);
        let written = (&mut &*self.stream).write_all(&state.frames);
        state.done();
        self.queued_bytes.fetch_sub(queued, Ordering::AcqRel);
        written
    }

    /// Nothing follows: the far end reads what is left and then the end.
    pub(super) fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts the pieces into as few frames as they fit.
    fn seal(&mut self, pieces: &[Vec<u8>]) {
        for piece in pieces {
            if !self.batch.push_encoded(piece) {
                self.seal_batch();
                let fits = self.batch.push_encoded(piece);
                debug_assert!(fits, "a piece fits an empty batch");
            }
        }
        if !self.batch.is_empty() {
            self.seal_batch();
        }
    }

    fn seal_batch(&mut self) {
        self.batch.take_padded(&mut self.plaintext);
        self.sealer.seal(&self.plaintext, &mut self.frames);
    }

    /// Everything is out; memory that a burst took goes back.
    fn done(&mut self) {
        self.frames.clear();
        self.frames.shrink_to(KEPT_BYTES_MAX);
    }
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outward").field("queued_bytes", &self.queued_bytes()).finish_non_exhaustive()
    }
}

/// A few frames of ordinary size.
const KEPT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Established;
    use crate::net::tests::pair;
    use common::secure::seal::Opener;
    use common::wire::frame::FrameDecoder;
    use common::wire::{batch, codec};

    fn ends() -> (Outward, TcpStream, Opener) {
        let [Established { stream, sealer, .. }, Established { stream: far, opener, .. }] = pair();
        let far = far.try_clone().unwrap();
        (Outward::new(stream, sealer), far, opener)
    }

    /// Everything that comes until the end, in order.
    fn read(mut far: TcpStream, mut opener: Opener) -> Vec<String> {
        let mut decoder = FrameDecoder::new(common::limits::FRAME_BYTES_MAX);
        let mut heard = Vec::new();
        while decoder.fill(&mut far).unwrap() > 0 {
            while let Some(frame) = decoder.next_frame().unwrap() {
                heard.extend(batch::read::<String>(opener.open(frame).unwrap()).unwrap());
            }
        }
        heard
    }

    #[test]
    fn what_the_socket_does_not_take_goes_before_what_is_said_later() {
        let (outward, far, opener) = ends();
        let said = |number: usize| format!("{number} {}", "x".repeat(40_000));
        let mut numbers = 0..;
        // Nobody reads: one of these does not fit the socket's buffers any more.
        let stuck = numbers.by_ref().find(|number| {
            let taken = outward.try_write(&[codec::encode(&said(*number))]);
            assert_ne!(taken, Taken::Not, "nothing waits");
            taken == Taken::Partly
        });
        let stuck = stuck.unwrap();
        assert_eq!(outward.try_write(&[codec::encode(&said(0))]), Taken::Not, "it would overtake");
        let reader = common::thread::spawn("far end", move || read(far, opener)).unwrap();
        let last = codec::encode(&said(stuck + 1));
        outward.queue(last.len());
        outward.write(std::slice::from_ref(&last), last.len()).unwrap();
        assert_eq!(outward.try_write(&[codec::encode(&said(stuck + 2))]), Taken::Whole, "the way is free again");
        outward.end();
        assert_eq!(reader.join(), (0..=stuck + 2).map(said).collect::<Vec<_>>());
    }
}
