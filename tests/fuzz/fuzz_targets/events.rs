//! Runs of signed events and their bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_events(data));
