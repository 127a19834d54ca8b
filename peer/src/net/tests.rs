//! People to shake hands with, for the tests of this floor.

use common::ids::{self, IdentityKey, RealmId, RootKey};
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{self, Credentials, Person};
use common::secure::identity::{self, KEYS_BYTES, Keys};

use super::establish::wall_clock;
use crate::ports::LocalIdentity;

/// Somebody of the one realm there is, with keys that follow from the name.
pub(super) fn identity(name: &str) -> LocalIdentity {
    let (keys, realm) = (keys_of(name), keys_of("the registry"));
    let IdentityKey(root) = realm.identity();
    let root = RootKey(root);
    let statement = keys.statement(RealmId::of(&root), UserName::parse(name).unwrap());
    let claimed = identity::check_statement(&statement).unwrap();
    let certificate = certificate::issue(&claimed, wall_clock(), realm.identity_signer());
    LocalIdentity { keys, credentials: Credentials { statement, certificate }, root }
}

pub(super) fn person(name: &str) -> Person {
    let LocalIdentity { credentials, root, .. } = identity(name);
    certificate::verify(&credentials, &root, wall_clock()).unwrap()
}

fn keys_of(name: &str) -> Keys {
    let mut seed = [0; KEYS_BYTES];
    for (index, part) in seed.chunks_mut(32).enumerate() {
        part.copy_from_slice(&ids::hash("keys of a test", &[name.as_bytes(), &index.to_be_bytes()]));
    }
    Keys::from_seed(&Secret::new(seed))
}
