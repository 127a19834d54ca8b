//! What one sealed frame holds: `u16` payload length, values one after the other, zeros up to a padded size.
//! One seal per batch instead of one per value is worth several times the throughput. A batch that is wiped or dropped
//! leaves nothing of its values in memory.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroize;

use super::codec::{self, DecodeError};
use crate::limits::{BATCH_BYTES_MAX, PADDED_BYTES};

/// Collects values until they are sealed as one frame.
#[derive(Debug)]
pub struct Batch {
    // Two bytes kept for the length, then the values.
    plaintext: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { plaintext: vec![0; LENGTH_BYTES] }
    }
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.plaintext.len() == LENGTH_BYTES
    }

    /// Adds one already encoded value, or returns `false` and stays as it was if that would not fit any more.
    #[must_use]
    pub fn push_encoded(&mut self, value: &[u8]) -> bool {
        let fits = self.plaintext.len() - LENGTH_BYTES + value.len() <= BATCH_BYTES_MAX;
        if fits {
            make_room(&mut self.plaintext, value.len());
            self.plaintext.extend_from_slice(value);
        }
        fits
    }

    /// The padded plaintext; the batch is empty again and keeps its memory.
    pub fn take_padded(&mut self, out: &mut Vec<u8>) {
        let length = self.plaintext.len() - LENGTH_BYTES;
        let length = u16::try_from(length).expect("push_encoded keeps a batch under its limit");
        self.plaintext[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let size = padded(self.plaintext.len());
        out.clear();
        make_room(out, size);
        out.extend_from_slice(&self.plaintext);
        out.resize(size, 0);
        self.plaintext.truncate(LENGTH_BYTES);
    }

    /// Empties it, and its memory of everything that was in it since it was made.
    pub fn wipe(&mut self) {
        self.plaintext.zeroize();
        self.plaintext.resize(LENGTH_BYTES, 0);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

/// Room for `more` bytes. A buffer that grows moves: what it leaves comes back wiped.
fn make_room(buffer: &mut Vec<u8>, more: usize) -> Option<Vec<u8>> {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return None;
    }
    let mut larger = Vec::with_capacity(needed.max(2 * buffer.capacity()));
    larger.extend_from_slice(buffer);
    let mut left = std::mem::replace(buffer, larger);
    left.zeroize();
    Some(left)
}

/// The padded plaintext of one value, if it fits a frame.
pub fn single<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let mut batch = Batch::default();
    let mut out = Vec::new();
    batch.push_encoded(&codec::encode(value)).then(|| batch.take_padded(&mut out))?;
    Some(out)
}

/// The values in an opened plaintext: at least one, nothing but zeros behind them.
pub fn read<T: DeserializeOwned>(plaintext: &[u8]) -> Result<Vec<T>, BatchError> {
    // Most hold one, and room for more of them would be the largest thing that a silent connection keeps.
    let mut all = Vec::with_capacity(1);
    for value in values(plaintext)? {
        all.push(value?);
    }
    Ok(all)
}

/// The same one after the other, each decoded when it is asked for; the first that is none is the last.
pub fn values<T: DeserializeOwned>(plaintext: &[u8]) -> Result<Values<'_, T>, BatchError> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>().ok_or(BatchError::Length)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > rest.len() || plaintext.len() != padded(length + LENGTH_BYTES) {
        return Err(BatchError::Length);
    }
    let (payload, padding) = rest.split_at(length);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(BatchError::Padding);
    }
    Ok(Values { payload, values: PhantomData })
}

/// See [`values`].
#[derive(Debug)]
pub struct Values<'a, T> {
    payload: &'a [u8],
    values: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for Values<'_, T> {
    type Item = Result<T, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.payload.is_empty() {
            return None;
        }
        let decoded = codec::decode_first(self.payload);
        self.payload = decoded.as_ref().map_or(&[], |(_, used)| &self.payload[*used..]);
        Some(decoded.map(|(value, _)| value).map_err(BatchError::from))
    }
}

/// Why a plaintext is not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the payload's length is wrong")]
    Length,
    #[error("the padding is not zero")]
    Padding,
    #[error(transparent)]
    Value(#[from] DecodeError),
}

fn padded(length: usize) -> usize {
    PADDED_BYTES.into_iter().find(|&size| length <= size).expect("the largest size holds the largest batch")
}

const LENGTH_BYTES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::memory_holds;
    use proptest::prelude::*;

    fn batch_of(values: &[String]) -> Vec<u8> {
        let mut batch = Batch::default();
        for value in values {
            assert!(batch.push_encoded(&codec::encode(value)));
        }
        let mut out = Vec::new();
        batch.take_padded(&mut out);
        assert!(batch.is_empty());
        out
    }

    #[test]
    fn nothing_of_a_batch_stays_in_memory() {
        let mut batch = Batch::default();
        assert!(batch.push_encoded(PASSWORD));
        let mut out = Vec::new();
        batch.take_padded(&mut out);
        assert!(memory_holds(&batch.plaintext, PASSWORD), "it is empty, and its memory is not");
        batch.wipe();
        assert!(batch.is_empty() && !memory_holds(&batch.plaintext, PASSWORD));
        let left = make_room(&mut out, 100_000).unwrap();
        assert!(memory_holds(&out, PASSWORD) && !memory_holds(&left, PASSWORD), "a buffer that grew");
    }

    #[test]
    fn sizes_are_the_listed_ones() {
        for (text, size) in [(10, 256), (253, 1024), (5000, 16_384), (59_000, 60_000)] {
            assert_eq!(batch_of(&["x".repeat(text)]).len(), size);
        }
    }

    #[test]
    fn a_full_batch_refuses_more() {
        let mut batch = Batch::default();
        assert!(batch.push_encoded(&vec![0xc0; BATCH_BYTES_MAX]));
        assert!(!batch.push_encoded(&[0xc0]));
    }

    #[test]
    fn wrong_lengths_and_padding_are_refused() {
        let good = batch_of(&["hi".into()]);
        let mut dirty = good.clone();
        *dirty.last_mut().unwrap() = 1;
        assert_eq!(read::<String>(&dirty), Err(BatchError::Padding));
        assert_eq!(read::<String>(&good[..255]), Err(BatchError::Length));
        assert_eq!(read::<String>(&[0; 256]), Err(BatchError::Length), "an empty batch");
        assert_eq!(read::<String>(&[]), Err(BatchError::Length));
    }

    const PASSWORD: &[u8] = b"correct horse battery staple";

    proptest! {
        #[test]
        fn batches_round_trip(values in proptest::collection::vec(".{0,40}", 1..20)) {
            prop_assert_eq!(read::<String>(&batch_of(&values)), Ok(values));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read::<String>(&bytes);
        }
    }
}
