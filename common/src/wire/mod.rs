//! Bytes on a connection: frames, the one codec, batches with padding, and text and lists that cannot grow.
//! The message and secure floors call it; nothing here knows what a message means.

pub mod address;
pub mod batch;
pub mod bounded;
pub mod codec;
pub mod frame;
pub mod stream;

/// First bytes of every connection: the protocol's mark and its version. Also part of every Noise prologue.
pub const PREAMBLE: [u8; 4] = [b'P', b'2', b'C', PROTOCOL_VERSION];

/// Goes up only for a break; additions are capabilities announced in `Hello`.
pub const PROTOCOL_VERSION: u8 = 1;
