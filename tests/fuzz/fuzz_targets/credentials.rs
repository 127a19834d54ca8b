//! Certificates, device statements, a registry's proof, prekeys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_credentials(data));
