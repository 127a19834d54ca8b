//! A link after its handshake, as two halves that belong to two threads: one seals, one opens. Both count frames, so
//! a dropped, repeated or reordered frame does not open and ends the link.

use std::sync::Arc;

use snow::StatelessTransportState;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::{FRAME_BYTES_MAX, SEAL_BYTES};
use crate::wire::batch::Batch;

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

    /// The same for a batch in which there may be secrets: its plaintext is in memory no more.
    pub fn seal_secrets(&mut self, batch: &mut Batch, out: &mut Vec<u8>) {
        let mut plaintext = Zeroizing::new(Vec::new());
        batch.take_padded(&mut plaintext);
        batch.wipe();
        self.seal(&plaintext, out);
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

    /// Empties the buffer of what it held; worth it where there may have been secrets.
    pub fn wipe(&mut self) {
        self.plaintext.zeroize();
    }

    /// Gives the buffer back; worth it for a connection that is mostly silent.
    pub fn shrink(&mut self) {
        self.wipe();
        self.plaintext = Vec::new();
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::handshake::Handshake;
    use crate::secure::identity::DeviceSecret;
    use crate::wire::memory_holds;

    #[test]
    fn an_opened_frame_stays_in_memory_until_it_is_wiped() {
        let [peer, registry] = [1, 2].map(|byte| DeviceSecret::from_bytes([byte; 32]));
        let (mut near, mut far) = (Handshake::registry_dialer(&peer), Handshake::registry_answerer(&registry));
        far.read(&near.write(&[]).unwrap()).unwrap();
        near.read(&far.write(&[]).unwrap()).unwrap();
        far.read(&near.write(&[]).unwrap()).unwrap();
        let ((mut sealer, _), (_, mut opener)) = (near.finish().unwrap(), far.finish().unwrap());
        let mut batch = Batch::default();
        assert!(batch.push_encoded(PASSWORD));
        let mut frame = Vec::new();
        sealer.seal_secrets(&mut batch, &mut frame);
        assert!(batch.is_empty() && !memory_holds(&frame, PASSWORD));
        opener.open(&frame[2..]).unwrap();
        assert!(memory_holds(&opener.plaintext, PASSWORD));
        opener.wipe();
        assert!(!memory_holds(&opener.plaintext, PASSWORD));
    }

    const PASSWORD: &[u8] = b"correct horse battery staple";
}
