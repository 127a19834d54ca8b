//! The codec on every kind of value that travels.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_messages(data));
