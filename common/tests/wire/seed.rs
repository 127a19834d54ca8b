//! Leaves the samples as seeds for fuzzers, where `FUZZ_SEEDS` names a folder: what is said honestly is the best start.

#![expect(clippy::disallowed_methods, reason = "a folder named by whoever makes seeds is written to")]

use common::fuzz::message_kind;
use common::ids;

/// Writes the bytes of a value of kind `T` as the input of `fuzz_messages` that leads to it.
pub(crate) fn leave<T>(bytes: &[u8]) {
    let (Some(folder), Some(kind)) = (std::env::var_os("FUZZ_SEEDS"), message_kind::<T>()) else { return };
    let name: String = ids::hash("seed", &[bytes])[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let path = std::path::Path::new(&folder).join(format!("seed-{kind:02}-{name}"));
    std::fs::write(path, [&[kind], bytes].concat()).unwrap();
}
