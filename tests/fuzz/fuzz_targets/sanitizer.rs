//! Text of others on its way to a screen, a file or a program.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peer::fuzz::fuzz_sanitizer(data));
