//! Signed objects. A signature covers `context, 0x00, bytes`, with one context per kind of object, so that no
//! signature can be taken for one over something else. The signed bytes are kept and carried as they were.

#[cfg(feature = "fuzz")]
mod remembered;

use std::marker::PhantomData;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::{self, Signature};
use crate::limits::SIGNED_BYTES_MAX;
use crate::wire::bounded::Blob;
use crate::wire::codec::{self, DecodeError};

/// A kind of object that somebody signs.
pub trait Signable: Serialize + DeserializeOwned {
    /// What keeps this kind's signatures and ids apart from all others.
    const CONTEXT: &'static str;
}

/// An object with the exact bytes that were signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<T: Signable> {
    bytes: Blob<SIGNED_BYTES_MAX>,
    signature: Signature,
    #[serde(skip)]
    kind: PhantomData<T>,
}

/// A signed object that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("the signature does not fit")]
    Forged,
    #[error("the key is not a valid point")]
    Key,
    #[error(transparent)]
    Value(#[from] DecodeError),
}

impl<T: Signable> Signed<T> {
    /// Encodes and signs `value`. Every kind of object stays under `SIGNED_BYTES_MAX` by the limits of its fields.
    pub fn sign(value: &T, key: &SigningKey) -> Self {
        let bytes = codec::encode(value);
        let signature = sign_bytes(T::CONTEXT, &bytes, key);
        let bytes = Blob::new(bytes).expect("the fields of a signable object are bounded");
        Self { bytes, signature, kind: PhantomData }
    }

    /// The object, if `key` signed it.
    pub fn verify(&self, key: &[u8; 32]) -> Result<T, SignError> {
        verify_bytes(T::CONTEXT, &self.bytes, &self.signature, key)?;
        self.claim()
    }

    /// What the object says before anything was checked: to find out whose signature it should carry, or for an
    /// object that was verified before it was stored.
    pub fn claim(&self) -> Result<T, SignError> {
        Ok(codec::decode(&self.bytes)?)
    }

    /// SHA-256 over the context and the signed bytes: the object's name for ever.
    pub fn id(&self) -> [u8; 32] {
        ids::hash(T::CONTEXT, &[&self.bytes])
    }

    /// Both parts as one value, for a column of a database.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The reverse of [`Signed::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes)
    }
}

impl<T: Signable> std::fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed<{}>({} bytes)", T::CONTEXT, self.bytes.len())
    }
}

/// A signature over `context, 0x00, bytes`.
pub fn sign_bytes(context: &str, bytes: &[u8], key: &SigningKey) -> Signature {
    let covered = covered(context, bytes);
    #[cfg(feature = "fuzz")]
    return remembered::sign(covered, key);
    #[cfg(not(feature = "fuzz"))]
    sign(&covered, key)
}

/// Whether `key` made `signature`. Strict: one message and key have one valid signature (RFC 8032, 5.1.7, and no
/// keys of small order), so that ids and signatures cannot be varied by others.
pub fn verify_bytes(context: &str, bytes: &[u8], signature: &Signature, key: &[u8; 32]) -> Result<(), SignError> {
    let covered = covered(context, bytes);
    #[cfg(feature = "fuzz")]
    return remembered::verify(covered, signature, key);
    #[cfg(not(feature = "fuzz"))]
    verify(&covered, signature, key)
}

fn sign(covered: &[u8], key: &SigningKey) -> Signature {
    Signature(key.sign(covered).to_bytes())
}

fn verify(covered: &[u8], signature: &Signature, key: &[u8; 32]) -> Result<(), SignError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignError::Key)?;
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    key.verify_strict(covered, &signature).map_err(|_| SignError::Forged)
}

fn covered(context: &str, bytes: &[u8]) -> Vec<u8> {
    [context.as_bytes(), &[0], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);
    impl Signable for Note {
        const CONTEXT: &'static str = "test note";
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order(String);
    impl Signable for Order {
        const CONTEXT: &'static str = "test order";
    }

    #[test]
    fn a_signature_holds_for_one_key_one_kind_one_text() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let other = SigningKey::from_bytes(&[2; 32]);
        let note = Signed::sign(&Note("pay bob".into()), &key);
        assert_eq!(note.verify(key.verifying_key().as_bytes()), Ok(Note("pay bob".into())));
        assert_eq!(note.verify(other.verifying_key().as_bytes()), Err(SignError::Forged));
        let order: Signed<Order> = codec::decode(&codec::encode(&note)).unwrap();
        assert_eq!(order.verify(key.verifying_key().as_bytes()), Err(SignError::Forged));
        assert_ne!(order.id(), note.id());
    }
}
