//! People to shake hands with, for the tests of this floor.

#![expect(clippy::disallowed_methods, reason = "both ends of a link are made here")]

use std::net::{TcpListener, TcpStream};

use common::ids::{self, IdentityKey, RealmId, RootKey};
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{self, Credentials, Person};
use common::secure::identity::{self, KEYS_BYTES, Keys};

use super::Established;
use super::establish::{answered, dialed, wall_clock};
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

/// Both ends of a link between two people.
pub(super) fn pair() -> [Established; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (made, answers) = crossbeam_channel::bounded(1);
    let answering = move || {
        let (stream, _) = listener.accept().unwrap();
        made.send(answered(std::sync::Arc::new(stream), &identity("bob")).unwrap()).unwrap();
    };
    let answering = common::thread::spawn("bob", answering).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    let ours = dialed(stream, &identity("alice"), &person("bob")).unwrap();
    answering.join();
    [ours, answers.recv().unwrap()]
}

fn keys_of(name: &str) -> Keys {
    let mut seed = [0; KEYS_BYTES];
    for (index, part) in seed.chunks_mut(32).enumerate() {
        part.copy_from_slice(&ids::hash("keys of a test", &[name.as_bytes(), &index.to_be_bytes()]));
    }
    Keys::from_seed(&Secret::new(seed))
}
