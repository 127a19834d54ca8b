//! The registry's configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry::config::fuzz_config(data));
