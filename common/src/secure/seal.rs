//! A link after its handshake, as two halves that belong to two threads: one seals, one opens. Both count frames, so
//! a dropped, repeated or reordered frame does not open and ends the link.

use std::sync::Arc;

use snow::StatelessTransportState;

use crate::limits::{FRAME_BYTES_MAX, SEAL_BYTES};

/// Seals what goes out.
pub struct Sealer {
    state: Arc<StatelessTransportState>,
    counter: u64,
}

/// Opens what comes in.
pub struct Opener {
    state: Arc<StatelessTransportState>,
    counter: u64,
    plaintext: Vec<u8>,
}

/// A frame that was not sealed by the other end of this link, or not as the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame does not open")]
pub struct NotSealed;

/// The two halves of a finished handshake.
pub(super) fn halves(state: StatelessTransportState) -> (Sealer, Opener) {
    let state = Arc::new(state);
    let sealer = Sealer { state: Arc::clone(&state), counter: 0 };
    (sealer, Opener { state, counter: 0, plaintext: Vec::new() })
}

impl Sealer {
    /// Appends the sealed `plaintext` to `out` as one frame with its length.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let length = plaintext.len() + SEAL_BYTES;
        let header = u16::try_from(length).expect("a padded batch and its tag fit a frame");
        out.extend_from_slice(&header.to_be_bytes());
        let begin = out.len();
        out.resize(begin + length, 0);
        self.state
            .write_message(self.counter, plaintext, &mut out[begin..])
            .expect("the buffer fits, and 2^64 frames are never reached");
        self.counter += 1;
    }
}

impl Opener {
    /// The plaintext of the next frame, valid until the next call.
    pub fn open(&mut self, frame: &[u8]) -> Result<&[u8], NotSealed> {
        let length = frame.len().checked_sub(SEAL_BYTES).ok_or(NotSealed)?;
        self.plaintext.resize(length.min(FRAME_BYTES_MAX), 0);
        self.state.read_message(self.counter, frame, &mut self.plaintext).map_err(|_| NotSealed)?;
        self.counter += 1;
        Ok(&self.plaintext)
    }

    /// Gives the buffer back; worth it for a connection that is mostly silent.
    pub fn shrink(&mut self) {
        self.plaintext = Vec::new();
    }
}
