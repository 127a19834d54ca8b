//! Both handshakes in both roles, and the first sealed frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_handshakes(data));
