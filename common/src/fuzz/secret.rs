//! Handshakes, sealed frames, mail and credentials: whatever was changed on its way is not believed.

use std::sync::OnceLock;

use ed25519_dalek::SigningKey;

use super::Choices;
use crate::ids::{MailSalt, RealmId, RootKey};
use crate::names::UserName;
use crate::secret::Secret;
use crate::secure::certificate::{self, Credentials, Person};
use crate::secure::handshake::{Handshake, RegistryProof};
use crate::secure::identity::{DeviceSecret, KEYS_BYTES, Keys};
use crate::secure::mail::{self, Prekey};
use crate::secure::sign::Signed;
use crate::time::UnixMillis;
use crate::wire::codec;

/// Both kinds of handshake, in which one message is changed on its way, and one frame behind it.
pub fn fuzz_handshakes(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (is_registry, tampered) = (choices.flag(), choices.below(4));
    let [dialer, answerer] = [1, 2].map(|byte| DeviceSecret::from_bytes([byte; 32]));
    let mut sides = if is_registry {
        [Handshake::registry_dialer(&dialer), Handshake::registry_answerer(&answerer)]
    } else {
        [Handshake::peer_dialer(&dialer, answerer.public()), Handshake::peer_answerer(&answerer)]
    };
    let mut is_changed = false;
    for (number, said) in PAYLOADS.into_iter().enumerate() {
        let (sender, receiver) = (number % 2, (number + 1) % 2);
        let honest = sides[sender].write(said).expect("it is this side's turn");
        let message = if number == tampered { choices.changed(&honest) } else { honest.clone() };
        is_changed |= message != honest;
        let Ok(payload) = sides[receiver].read(&message) else {
            assert!(is_changed, "an honest message was refused");
            return;
        };
        // The first message is anybody's: whoever knows an answerer's key can make one, and a fuzzer that sees what a tag is
        // compared with can, too. What was changed there fails in the second.
        assert!(!is_changed || number == 0, "a changed message was believed");
        assert!(is_changed || payload == said);
    }
    let [dialer, answerer] = sides;
    assert_eq!(answerer.remote(), Some(DeviceSecret::from_bytes([1; 32]).public()));
    let (mut sealer, _) = dialer.finish().expect("three messages were exchanged");
    let (_, mut opener) = answerer.finish().expect("three messages were exchanged");
    let mut frame = Vec::new();
    sealer.seal(b"plain", &mut frame);
    let sealed = &frame[2..];
    let changed = choices.changed(sealed);
    assert!(opener.open(&changed).is_ok() == (changed == sealed), "a changed frame opened");
}

/// Changes to an item of a mailbox.
pub fn fuzz_mail(data: &[u8]) {
    static HONEST: OnceLock<(Keys, Vec<u8>)> = OnceLock::new();
    let salt = MailSalt([4; 32]);
    let (keys, item) = HONEST.get_or_init(|| {
        let keys = keys(2);
        let key = keys.mail_secret(&salt).public();
        let (at, expires) = (UnixMillis(0), UnixMillis(1));
        let prekey = Prekey { realm: realm(), user: name(), number: 3, key, at, expires };
        let item = mail::seal(b"hello", &keys.identity(), &prekey, Secret::new([9; 32])).expect("it is short");
        (keys, item)
    });
    let changed = Choices::new(data).changed(item);
    let _ = mail::prekey_number(&changed);
    let opened = mail::open(&changed, &keys.identity(), &keys.mail_secret(&salt));
    assert_eq!(opened.is_ok(), changed == *item, "changed mail opened");
}

/// Changes to a person's credentials, to a registry's proof, or to a prekey.
pub fn fuzz_credentials(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.below(3);
    let honest = Honest::get();
    match kind {
        0 => {
            let Ok(changed) = codec::decode::<Credentials>(&choices.changed(&honest.credentials)) else { return };
            if let Ok(person) = certificate::verify(&changed, &root().1, NOW) {
                assert_eq!(person, honest.person, "somebody else was believed");
            }
        }
        1 => {
            let Ok(changed) = codec::decode::<RegistryProof>(&choices.changed(&honest.proof)) else { return };
            let realm = changed.verify(DeviceSecret::from_bytes([5; 32]).public());
            assert!(realm.is_err() || changed.root == root().1, "another registry was believed");
        }
        _ => {
            let Ok(changed) = codec::decode::<Signed<Prekey>>(&choices.changed(&honest.prekey)) else { return };
            if let Ok(prekey) = changed.verify(honest.person.key.as_bytes()) {
                assert_eq!(codec::encode(&Some(prekey.number)), codec::encode(&Some(3)), "another prekey was believed");
            }
        }
    }
}

struct Honest {
    credentials: Vec<u8>,
    person: Person,
    proof: Vec<u8>,
    prekey: Vec<u8>,
}

impl Honest {
    fn get() -> &'static Self {
        static HONEST: OnceLock<Honest> = OnceLock::new();
        HONEST.get_or_init(|| {
            // An identity with its second key, so that there is a step from one to the other to be changed.
            let keys = keys(1).succeeded_by(&Secret::new([7; KEYS_BYTES])).expect("one step is allowed");
            let (root, public) = root();
            let statement = keys.statement(realm(), name());
            let certificate = certificate::issue(&statement.claim().expect("ours"), NOW, &root);
            let credentials = Credentials { statement, certificate };
            let (at, expires) = (NOW, UnixMillis(NOW.0 + 1));
            let key = keys.mail_secret(&MailSalt([4; 32])).public();
            let prekey = Prekey { realm: realm(), user: name(), number: 3, key, at, expires };
            Honest {
                person: certificate::verify(&credentials, &public, NOW).expect("honest credentials hold"),
                credentials: codec::encode(&credentials),
                proof: codec::encode(&RegistryProof::new(&root, &DeviceSecret::from_bytes([5; 32]), "1.0.0")),
                prekey: codec::encode(&Signed::sign(&prekey, keys.identity_signer())),
            }
        })
    }
}

fn keys(byte: u8) -> Keys {
    Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))
}

fn root() -> (SigningKey, RootKey) {
    let key = SigningKey::from_bytes(&[42; 32]);
    let public = RootKey(key.verifying_key().to_bytes());
    (key, public)
}

fn realm() -> RealmId {
    RealmId::of(&root().1)
}

fn name() -> UserName {
    UserName::parse("alice").expect("a good name")
}

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const PAYLOADS: [&[u8]; 3] = [b"", b"proof", b"hello"];

#[cfg(test)]
mod tests {
    /// Found by fuzzing: a first message made without the dialer, its tag read off the comparison. It may be taken; what
    /// is answered to it is no good to the dialer.
    #[test]
    fn a_first_message_of_anybodys_ends_with_the_second() {
        let found = b"2\0a\x05bc\0\x95d(i\xe6>\xe1\x11p:\xea\x9a0'y\xceC\xae~\xf4\x8e\xae?g-W\x17\x8b\xa8s\x8d\xfcfR\\N\xb4\xf6\xd2s;g\xe7\xa4\x1aV0z\x17\xcb+\xfb";
        super::fuzz_handshakes(found);
    }
}
