//! What a person or a program types.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peer::fuzz::fuzz_command_line(data));
