//! A room's genesis, log, invitations and joins.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| common::fuzz::fuzz_rooms(data));
