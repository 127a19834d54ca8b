//! Frames and batches: whatever the pieces in which bytes arrive, they mean the same, and nothing is made up.

use super::Choices;
use crate::message::peer::PeerMessage;
use crate::wire::batch::{self, Batch};
use crate::wire::codec;
use crate::wire::frame::{BadFrameLength, FrameDecoder, write_frame};

/// The limit, the sizes of the pieces, then the bytes of a connection.
pub fn fuzz_frames(data: &[u8]) {
    let mut choices = Choices::new(data);
    let frame_bytes_max = choices.below(1 << 16) + 1;
    let (sizes, bytes) = (choices.piece(), choices.rest());
    let at_once = frames(&[bytes], frame_bytes_max, false);
    let pieces = split(bytes, sizes);
    assert_eq!(frames(&pieces, frame_bytes_max, false), at_once, "pieces are pushed");
    assert_eq!(frames(&pieces, frame_bytes_max, true), at_once, "pieces are read");
    let mut again = Vec::new();
    at_once.0.iter().for_each(|frame| write_frame(frame, &mut again));
    assert!(bytes.starts_with(&again), "frames are what came in");
    assert!(at_once.0.iter().all(|frame| (1..=frame_bytes_max).contains(&frame.len())));
}

/// One byte says whether the rest is an opened plaintext or the values inside of one.
pub fn fuzz_batches(data: &[u8]) {
    let mut choices = Choices::new(data);
    let is_plaintext = choices.flag();
    let bytes = choices.rest();
    let mut plaintext = bytes.to_vec();
    if !is_plaintext {
        let mut batch = Batch::default();
        if bytes.is_empty() || !batch.push_encoded(bytes) {
            return;
        }
        batch.take_padded(&mut plaintext);
    }
    let Ok(values) = batch::read::<PeerMessage>(&plaintext) else { return };
    assert!(!values.is_empty(), "a batch has a value");
    let (mut batch, mut again) = (Batch::default(), Vec::new());
    let fits = values.iter().all(|value| batch.push_encoded(&codec::encode(value)));
    // Fields left out are written as nil: a batch at its limit may not fit any more.
    if fits {
        batch.take_padded(&mut again);
        assert_eq!(batch::read::<PeerMessage>(&again), Ok(values));
    }
}

fn split<'a>(mut bytes: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().chain([&0]).cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((usize::from(*size) + 1).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Every frame, and what ended the stream.
fn frames(pieces: &[&[u8]], frame_bytes_max: usize, reads: bool) -> (Vec<Vec<u8>>, Option<BadFrameLength>) {
    let mut decoder = FrameDecoder::new(frame_bytes_max);
    let mut frames = Vec::new();
    for piece in pieces {
        let mut piece = *piece;
        while !piece.is_empty() {
            if reads {
                decoder.fill(&mut piece).expect("memory can be read");
            } else {
                decoder.push(std::mem::take(&mut piece));
            }
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(bad) => return (frames, Some(bad)),
                }
            }
        }
    }
    (frames, None)
}
