//! Items of a mailbox.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_mail(data));
