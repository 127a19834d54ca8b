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

/// Whether these bytes are anywhere in the memory of a buffer, also behind its end.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the process's own memory is looked at as a file")]
pub(crate) fn memory_holds(buffer: &Vec<u8>, bytes: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut whole = vec![0; buffer.capacity()];
    memory.read_exact_at(&mut whole, u64::try_from(buffer.as_ptr().addr()).unwrap()).unwrap();
    whole.windows(bytes.len()).any(|window| window == bytes)
}
