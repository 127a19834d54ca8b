//! A fuzzer has the same few signatures made and checked millions of times: here each is computed once. Both depend on
//! nothing but what is passed in, so nothing is checked less. The programs are built without it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use ed25519_dalek::SigningKey;

use super::SignError;
use crate::ids::Signature;

pub(super) fn sign(covered: Vec<u8>, key: &SigningKey) -> Signature {
    thread_local!(static MADE: RefCell<HashMap<([u8; 32], Vec<u8>), Signature>> = RefCell::default());
    let made = MADE.with_borrow(|made| made.get(&(key.to_bytes(), covered.clone())).copied());
    made.unwrap_or_else(|| {
        let signature = super::sign(&covered, key);
        MADE.with_borrow_mut(|made| remember(made, (key.to_bytes(), covered), signature));
        signature
    })
}

pub(super) fn verify(covered: Vec<u8>, signature: &Signature, key: &[u8; 32]) -> Result<(), SignError> {
    type Claim = (Vec<u8>, Signature, [u8; 32]);
    thread_local!(static CHECKED: RefCell<HashMap<Claim, Result<(), SignError>>> = RefCell::default());
    let claim = (covered, *signature, *key);
    let checked = CHECKED.with_borrow(|checked| checked.get(&claim).cloned());
    checked.unwrap_or_else(|| {
        let result = super::verify(&claim.0, signature, key);
        CHECKED.with_borrow_mut(|checked| remember(checked, claim, result.clone()));
        result
    })
}

fn remember<K: Eq + Hash, V>(known: &mut HashMap<K, V>, key: K, value: V) {
    if known.len() >= REMEMBERED_MAX {
        known.clear();
    }
    known.insert(key, value);
}

/// Some megabytes.
const REMEMBERED_MAX: usize = 1 << 14;
