//! The peer's flags and configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peer::fuzz::fuzz_config(data));
