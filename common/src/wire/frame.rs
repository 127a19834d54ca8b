//! Frames out of a stream of bytes: `u16` big-endian length, then that many bytes.
//! The decoder keeps what has arrived, so a read that times out half-way loses nothing.

use std::io::{self, Read};

/// An incremental decoder; feed it from any reader and take whole frames out.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    // Bytes of `buffer` already given out.
    start: usize,
    frame_bytes_max: usize,
}

/// A frame that says it is longer than allowed here, or empty: the stream cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes where 1 to {max} are allowed")]
pub struct BadFrameLength {
    pub length: usize,
    pub max: usize,
}

impl FrameDecoder {
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, frame_bytes_max }
    }

    /// The limit changes when a handshake ends; bytes already here are kept.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Reads once from `reader`: how many bytes came, none at the end of the stream.
    pub fn fill(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        self.compact();
        let held = self.buffer.len();
        let wanted = self.missing().clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        if wanted == READ_BYTES_MIN {
            // While a connection waits, the room for what will come costs it nothing.
            let mut piece = [0; READ_BYTES_MIN];
            let result = reader.read(&mut piece);
            self.buffer.extend_from_slice(&piece[..*result.as_ref().unwrap_or(&0)]);
            return result;
        }
        self.buffer.resize(held + wanted, 0);
        let result = reader.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *result.as_ref().unwrap_or(&0));
        result
    }

    /// Adds bytes that were read elsewhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's content, if it has arrived.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, BadFrameLength> {
        let Some(length) = self.length()? else { return Ok(None) };
        let begin = self.start + LENGTH_BYTES;
        let Some(frame) = self.buffer.get(begin..begin + length) else { return Ok(None) };
        self.start = begin + length;
        Ok(Some(frame))
    }

    /// Bytes that have arrived and were not taken yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Gives the buffer back if nothing waits in it; worth it for a connection that is mostly silent.
    pub fn shrink(&mut self) {
        if self.pending().is_empty() {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }

    fn length(&self) -> Result<Option<usize>, BadFrameLength> {
        let Some(bytes) = self.pending().first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*bytes));
        if length == 0 || length > self.frame_bytes_max {
            return Err(BadFrameLength { length, max: self.frame_bytes_max });
        }
        Ok(Some(length))
    }

    fn missing(&self) -> usize {
        let wanted = self.length().ok().flatten().map_or(0, |length| length + LENGTH_BYTES);
        wanted.saturating_sub(self.pending().len())
    }

    // Between frames the memory goes back: a registry holds ten thousand of these.
    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > READ_BYTES_MIN {
            self.buffer = Vec::new();
        }
    }
}

/// `content` behind its length, appended to `out`.
pub fn write_frame(content: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(content.len()).expect("callers keep frames under FRAME_BYTES_MAX");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
}

const LENGTH_BYTES: usize = 2;
/// An idle connection's buffer stays small; a large frame is read in few calls.
const READ_BYTES_MIN: usize = 2048;
const READ_BYTES_MAX: usize = 65_537;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(decoder: &mut FrameDecoder) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| decoder.next_frame().unwrap().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn byte_by_byte_is_the_same_as_at_once() {
        let mut bytes = Vec::new();
        write_frame(b"one", &mut bytes);
        write_frame(b"two", &mut bytes);
        let mut decoder = FrameDecoder::new(100);
        let mut frames = Vec::new();
        for byte in &bytes {
            decoder.fill(&mut std::slice::from_ref(byte)).unwrap();
            frames.extend(drain(&mut decoder));
        }
        assert_eq!(frames, [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn empty_and_oversized_frames_are_refused_before_they_are_read() {
        for (bytes, length) in [([0, 0], 0), ([0, 101], 101), ([255, 255], 65_535)] {
            let mut decoder = FrameDecoder::new(100);
            decoder.push(&bytes);
            assert_eq!(decoder.next_frame(), Err(BadFrameLength { length, max: 100 }));
        }
    }

    #[test]
    fn only_an_empty_buffer_is_given_back() {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(&[0, 2, 7]);
        decoder.shrink();
        decoder.push(&[7, 0]);
        assert_eq!(drain(&mut decoder), [vec![7, 7]]);
        decoder.shrink();
        decoder.push(&[1, 8]);
        assert_eq!(drain(&mut decoder), [vec![8]]);
        decoder.shrink();
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..12),
            cuts in proptest::collection::vec(1usize..50, 1..40),
        ) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| write_frame(frame, &mut bytes));
            let mut decoder = FrameDecoder::new(300);
            let mut got = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                decoder.push(head);
                got.extend(drain(&mut decoder));
                rest = tail;
            }
            prop_assert_eq!(got, frames);
        }
    }
}
