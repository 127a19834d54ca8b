//! Frames out of bytes that arrive in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_frames(data));
