//! A connection after its handshake: values in, values out, and bytes that are none for those who want to send some.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::limits::FRAME_BYTES_MAX;
use common::secure::handshake::Handshake;
use common::secure::seal::{Opener, Sealer};
use common::wire::batch;
use common::wire::frame::FrameDecoder;
use common::wire::stream::{ReadError, read_frame, write_all};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::programs::DEADLINE;

/// Both halves of a sealed link that carries `T`, and its socket.
pub struct Sealed<T> {
    pub stream: TcpStream,
    sealer: Sealer,
    opener: Opener,
    decoder: FrameDecoder,
    // Frames that have come and were not opened yet.
    unopened: VecDeque<Vec<u8>>,
    waiting: VecDeque<T>,
}

impl<T: DeserializeOwned> Sealed<T> {
    pub fn new(stream: TcpStream, handshake: Handshake, mut decoder: FrameDecoder) -> Self {
        let (sealer, opener) = handshake.finish().expect("the handshake is complete");
        decoder.set_frame_bytes_max(FRAME_BYTES_MAX);
        Self { stream, sealer, opener, decoder, unopened: VecDeque::new(), waiting: VecDeque::new() }
    }

    /// Sends one value in a frame of its own; a far side that has closed does not get it.
    pub fn send(&mut self, value: &impl Serialize) {
        self.send_plaintext(&batch::single(value).expect("one value of ours fits a frame"));
    }

    /// The same; whether the far side still takes it.
    pub fn try_send(&mut self, value: &impl Serialize) -> bool {
        let mut frame = Vec::new();
        self.sealer.seal(&batch::single(value).expect("one value of ours fits a frame"), &mut frame);
        write_all(&self.stream, &frame, Instant::now() + DEADLINE).is_ok()
    }

    /// Seals whatever this is.
    pub fn send_plaintext(&mut self, plaintext: &[u8]) {
        let mut frame = Vec::new();
        self.sealer.seal(plaintext, &mut frame);
        self.send_bytes(&frame);
    }

    /// Sends bytes past the seal.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = write_all(&self.stream, bytes, Instant::now() + DEADLINE);
    }

    /// Waits for the next frame, with the patience that was set last, and keeps it as it is: opening it is for later.
    pub fn receive(&mut self) -> io::Result<()> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                self.unopened.push_back(frame.to_vec());
                return Ok(());
            }
            if self.decoder.fill(&mut self.stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next value that comes in time; `None` once the far side has closed.
    pub fn next(&mut self, patience: Duration) -> Result<Option<T>, Late> {
        let deadline = Instant::now() + patience;
        while self.waiting.is_empty() {
            let frame = match self.unopened.pop_front() {
                Some(frame) => Ok(frame),
                None => read_frame(&self.stream, &mut self.decoder, deadline),
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(ReadError::Late) => return Err(Late),
                Err(_) => return Ok(None),
            };
            let plaintext = self.opener.open(&frame).expect("what the programs send is sealed well");
            self.waiting.extend(batch::read::<T>(plaintext).expect("what the programs send can be read"));
        }
        Ok(self.waiting.pop_front())
    }

    /// Whether the far side closes within `patience`, whatever it says before.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(Late) => return false,
            }
        }
    }
}

/// Nothing came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;
