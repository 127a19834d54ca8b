//! The sending half of a connection. One mutex guards its cipher and its outbox, so that replies of the session thread
//! and news of a courier never interleave; writing under it never blocks. What does not fit waits in the outbox,
//! bounded; a client that does not take it in time is cut.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::secure::seal::Sealer;
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

    /// Seals one frame and sends it without waiting; `sealed` is room to do so in, and says nothing afterwards. With
    /// `is_last`, the connection's sending half ends after it.
    pub(super) fn send(&self, plaintext: &[u8], sealed: &mut Vec<u8>, is_last: bool) -> Sent {
        let mut state = self.state();
        if state.is_cut || state.is_last {
            return Sent::Never;
        }
        state.is_last = is_last;
        if state.outbox.is_empty() {
            sealed.clear();
            state.sealer.seal(plaintext, sealed);
            match self.write(sealed) {
                Ok(count) => state.outbox.extend_from_slice(&sealed[count..]),
                Err(_) => return self.cut_locked(&mut state),
            }
        } else {
            let State { sealer, outbox, .. } = &mut *state;
            sealer.seal(plaintext, outbox);
        }
        if state.outbox.len() - state.sent > OUTBOX_BYTES_MAX {
            self.cut_locked(&mut state);
            return Sent::Cut;
        }
        self.flush_locked(&mut state)
    }

    /// Sends one frame and waits until it is out, for at most `patience`.
    pub(super) fn send_and_wait(&self, plaintext: &[u8], patience: Duration) -> Sent {
        let deadline = Instant::now() + patience;
        let mut sent = self.send(plaintext, &mut Vec::new(), false);
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
        if !state.outbox.is_empty() {
            match self.write(&state.outbox[state.sent..]) {
                Ok(count) => state.sent += count,
                Err(_) => return self.cut_locked(state),
            }
            if state.sent < state.outbox.len() {
                return Sent::Partly;
            }
            // Its memory goes back: ten thousand of these are empty nearly always.
            state.outbox = Vec::new();
            state.sent = 0;
            self.drained.notify_all();
        }
        if state.is_last {
            // The client reads to the end and closes; the session thread notices that.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Sent::Whole
    }

    /// As many of the bytes as the operating system takes now.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match SockRef::from(&*self.socket).send_with_flags(&bytes[sent..], flags) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
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
/// How often a full socket is tried again; there is no poll without unsafe code.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(5);

const _: () = assert!(OUTBOX_BYTES_MAX > common::limits::FRAME_BYTES_MAX);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use common::limits::FRAME_BYTES_MAX;
    use common::secure::handshake::Handshake;
    use common::secure::identity::DeviceSecret;
    use common::secure::seal::Opener;
    use common::wire::frame::FrameDecoder;

    use super::*;

    fn halves() -> (Sealer, Opener) {
        let (one, other) = (DeviceSecret::from_bytes([1; 32]), DeviceSecret::from_bytes([2; 32]));
        let (mut dialer, mut answerer) = (Handshake::registry_dialer(&one), Handshake::registry_answerer(&other));
        answerer.read(&dialer.write(&[]).unwrap()).unwrap();
        dialer.read(&answerer.write(&[]).unwrap()).unwrap();
        answerer.read(&dialer.write(&[]).unwrap()).unwrap();
        (answerer.finish().unwrap().0, dialer.finish().unwrap().1)
    }

    fn connected() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nodelay(true).unwrap();
        let far = listener.accept().unwrap().0;
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (Arc::new(near), far)
    }

    fn plaintext(number: usize) -> Vec<u8> {
        vec![u8::try_from(number % 251).unwrap(); 16_000]
    }

    #[test]
    fn what_does_not_fit_waits_and_comes_whole_and_in_order() {
        let ((sealer, mut opener), (near, mut far)) = (halves(), connected());
        let (outbound, mut sealed) = (Outbound::new(near, sealer), Vec::new());
        let (mut decoder, mut sent, mut opened) = (FrameDecoder::new(FRAME_BYTES_MAX), 0, 0);
        for _ in 0..3 {
            // The outbox takes a few more once the socket is full.
            while outbound.send(&plaintext(sent), &mut sealed, false) == Sent::Whole {
                sent += 1;
            }
            assert_eq!(outbound.send(&plaintext(sent + 1), &mut sealed, false), Sent::Partly);
            sent += 2;
            while opened < sent {
                outbound.flush();
                assert!(decoder.fill(&mut far).unwrap() > 0, "something of it is always under way");
                while let Some(frame) = decoder.next_frame().unwrap() {
                    assert_eq!(opener.open(frame).unwrap(), plaintext(opened));
                    opened += 1;
                }
            }
        }
        assert!(outbound.state().outbox.capacity() == 0, "nothing is kept for later");
    }

    #[test]
    fn whoever_lets_too_much_wait_is_cut() {
        let ((sealer, _), (near, _far)) = (halves(), connected());
        let (outbound, mut sealed) = (Outbound::new(near, sealer), Vec::new());
        let most = (0..10_000).find(|&number| outbound.send(&plaintext(number), &mut sealed, false) == Sent::Cut);
        assert!(most.is_some());
        assert_eq!(outbound.send(&plaintext(0), &mut sealed, false), Sent::Never);
    }
}
