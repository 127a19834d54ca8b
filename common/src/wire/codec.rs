//! The one way values become bytes and bytes become values: MessagePack with named fields and named variants, so
//! that a newer writer may add fields. Decoding is strict: bounded depth, and every byte accounted for.

use std::io::Cursor;

use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::limits::DECODE_DEPTH_MAX;

/// Bytes from outside that are not what they should be. What exactly was wrong is for a log at `debug`, no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not a valid value: {0}")]
    Invalid(String),
    #[error("{0} bytes after the value")]
    Trailing(usize),
}

/// Appends `value` to `out`.
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let mut serializer = Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer).expect("wire types serialise, and writing to a vector cannot fail");
}

/// `value` as bytes of their own.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENCODED_BYTES);
    encode_into(value, &mut out);
    out
}

/// The same for a value in which there may be secrets: its bytes are wiped when they are dropped, and did not move before.
pub fn encode_secret<T: Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(SECRET_BYTES));
    encode_into(value, &mut out);
    out
}

/// The one value that `bytes` holds, all of it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, used) = decode_first(bytes)?;
    match bytes.len() - used {
        0 => Ok(value),
        rest => Err(DecodeError::Trailing(rest)),
    }
}

/// The first value in `bytes`, and how many bytes it took (never none).
pub(crate) fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let mut deserializer = Deserializer::new(Cursor::new(bytes));
    deserializer.set_max_depth(DECODE_DEPTH_MAX);
    let value = T::deserialize(&mut deserializer).map_err(|error| DecodeError::Invalid(error.to_string()))?;
    let used = usize::try_from(deserializer.position()).expect("a cursor over a slice stays within it");
    Ok((value, used))
}

/// A line of ordinary length with everything around it.
const ENCODED_BYTES: usize = 384;
/// Twice the largest request that carries a secret: two statements or certificates, and two keys.
const SECRET_BYTES: usize = 2 * (2 * crate::limits::SIGNED_BYTES_MAX + 256);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Ping,
        Say { text: String, number: u64 },
    }

    #[derive(Serialize)]
    enum Newer {
        Say { text: String, number: u64, added: Option<u8> },
    }

    #[test]
    fn newer_fields_are_ignored_and_unknown_variants_refused() {
        let bytes = encode(&Newer::Say { text: "hi".into(), number: 3, added: Some(1) });
        assert_eq!(decode::<Sample>(&bytes), Ok(Sample::Say { text: "hi".into(), number: 3 }));
        assert!(decode::<Sample>(&encode(&"Nothing")).is_err());
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut bytes = encode(&Sample::Ping);
        bytes.push(0);
        assert_eq!(decode::<Sample>(&bytes), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = vec![0x91; 60_000];
        assert!(decode::<Sample>(&deep).is_err());
    }

    proptest! {
        #[test]
        fn values_round_trip(text in ".{0,200}", number: u64) {
            let value = Sample::Say { text, number };
            prop_assert_eq!(decode::<Sample>(&encode(&value)), Ok(value));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode::<Sample>(&bytes);
        }
    }
}
