//! A person's keys: the identity `A`, and per device a Noise static `D` and an event-signing key `S`.
//! `A`, or the newest of its successors, says in a device statement which `D` and `S` speak for it.

use std::cmp::Ordering;

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use super::rotation::{self, Lineage, Rotations};
use super::sign::{SignError, Signable, Signed};
use crate::ids::{DeviceKey, EventKey, IdentityKey, MailKey, MailSalt, RealmId};
use crate::names::UserName;
use crate::secret::Secret;
use crate::wire::bounded::List;

/// Every private key of one account on one device.
#[derive(Clone)]
pub struct Keys {
    /// The first of all.
    identity: IdentityKey,
    rotations: Rotations,
    key: SigningKey,
    device: DeviceSecret,
    event: SigningKey,
}

/// The private half of a device's Noise static key.
#[derive(Clone)]
pub struct DeviceSecret(StaticSecret);

/// The private half of a prekey.
#[derive(Clone)]
pub struct MailSecret(StaticSecret);

/// `A`, by its newest key, says: in this realm, under this name, device `number` speaks for me with these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatement {
    pub realm: RealmId,
    pub user: UserName,
    pub identity: IdentityKey,
    pub device: DeviceKey,
    pub event: EventKey,
    /// Counts the devices of an account from 1.
    pub number: u32,
    /// How the key that signed this came to speak for `identity`.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub rotations: Rotations,
}

impl Signable for DeviceStatement {
    const CONTEXT: &'static str = "p2p-chat device statement v1";
}

impl DeviceStatement {
    /// The key that speaks for the identity by this statement.
    pub fn key(&self) -> IdentityKey {
        rotation::newest(&self.identity, &self.rotations)
    }

    /// What events may be signed with, the present one first.
    pub fn event_keys(&self) -> Vec<EventKey> {
        let former = self.rotations.iter().rev().map(|step| step.event);
        std::iter::once(self.event).chain(former).collect()
    }

    /// How the keys that this one shows stand to those that a `known` one of the same name showed. Both were checked.
    pub fn against(&self, known: &Self) -> Lineage {
        let is_prefix = |short: &Self, long: &Self| long.rotations.starts_with(&short.rotations);
        let spoke_through = |step: usize| known.rotations.get(step).is_some_and(|step| step.event == self.event);
        match self.rotations.len().cmp(&known.rotations.len()) {
            _ if self.identity != known.identity => Lineage::Foreign,
            Ordering::Equal if self.rotations == known.rotations => Lineage::Same,
            Ordering::Greater if is_prefix(known, self) => Lineage::Newer,
            Ordering::Less if is_prefix(self, known) && spoke_through(self.rotations.len()) => Lineage::Older,
            _ => Lineage::Foreign,
        }
    }
}

impl Keys {
    /// Keys of a new identity, from 96 random bytes.
    pub fn from_seed(seed: &Secret<[u8; KEYS_BYTES]>) -> Self {
        let part = |index: usize| -> [u8; 32] {
            seed.expose()[index * 32..(index + 1) * 32].try_into().expect("a third of the seed is 32 bytes")
        };
        let key = SigningKey::from_bytes(&part(0));
        Self {
            identity: IdentityKey(key.verifying_key().to_bytes()),
            rotations: Rotations::default(),
            key,
            device: DeviceSecret(StaticSecret::from(part(1))),
            event: SigningKey::from_bytes(&part(2)),
        }
    }

    /// Keys that speak for an identity which had others before, as they were kept.
    pub fn restore(
        seed: &Secret<[u8; KEYS_BYTES]>,
        identity: IdentityKey,
        rotations: Rotations,
    ) -> Result<Self, SignError> {
        let keys = Self { identity, ..Self::from_seed(seed) };
        if rotation::check(&identity, &rotations)? != IdentityKey(keys.key.verifying_key().to_bytes()) {
            return Err(SignError::Key);
        }
        Ok(Self { rotations, ..keys })
    }

    /// All-new keys of the same identity, by the word of these; `None` if it had as many as one may.
    pub fn succeeded_by(&self, seed: &Secret<[u8; KEYS_BYTES]>) -> Option<Self> {
        let keys = Self::from_seed(seed);
        let rotations = rotation::extend(&self.identity, &self.rotations, &self.key, self.event(), keys.key())?;
        Some(Self { identity: self.identity, rotations, ..keys })
    }

    /// Whether these are keys that `other`, of the same identity, was succeeded by.
    pub fn succeed(&self, other: &Self) -> bool {
        let is_longer = self.rotations.len() > other.rotations.len();
        self.identity == other.identity && is_longer && self.rotations.starts_with(&other.rotations)
    }

    /// The seed these keys came from, to be sealed on disk.
    pub fn to_seed(&self) -> Secret<[u8; KEYS_BYTES]> {
        let mut seed = [0; KEYS_BYTES];
        seed[..32].copy_from_slice(self.key.as_bytes());
        seed[32..64].copy_from_slice(self.device.0.as_bytes());
        seed[64..].copy_from_slice(self.event.as_bytes());
        let secret = Secret::new(seed);
        seed.zeroize();
        secret
    }

    /// Whose keys these are: the first of them all.
    pub fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// The one that speaks for it now.
    pub fn key(&self) -> IdentityKey {
        rotation::newest(&self.identity, &self.rotations)
    }

    pub fn rotations(&self) -> &Rotations {
        &self.rotations
    }

    pub fn device(&self) -> DeviceKey {
        self.device.public()
    }

    pub fn event(&self) -> EventKey {
        EventKey(self.event.verifying_key().to_bytes())
    }

    /// What events of this identity may be signed with, the present one first.
    pub fn events(&self) -> Vec<EventKey> {
        let former = self.rotations.iter().rev().map(|step| step.event);
        std::iter::once(self.event()).chain(former).collect()
    }

    /// Signs rooms and invitations.
    pub fn identity_signer(&self) -> &SigningKey {
        &self.key
    }

    /// Signs events.
    pub fn event_signer(&self) -> &SigningKey {
        &self.event
    }

    pub fn device_secret(&self) -> &DeviceSecret {
        &self.device
    }

    /// The private half of the prekey with this salt. Neither the keys nor the salt alone are any use for it, so the
    /// salt may lie in a database, and with the salt goes the prekey.
    pub fn mail_secret(&self, salt: &MailSalt) -> MailSecret {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(salt.as_bytes()), self.to_seed().expose())
            .expand(MAIL_SECRET_INFO, &mut key)
            .expect("32 bytes can always be derived");
        let secret = MailSecret(StaticSecret::from(key));
        key.zeroize();
        secret
    }

    /// The statement by which the identity vouches for this device, the only one of the account.
    pub fn statement(&self, realm: RealmId, user: UserName) -> Signed<DeviceStatement> {
        let statement = DeviceStatement {
            realm,
            user,
            identity: self.identity(),
            device: self.device(),
            event: self.event(),
            number: 1,
            rotations: self.rotations.clone(),
        };
        Signed::sign(&statement, &self.key)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({:?})", self.identity())
    }
}

impl DeviceSecret {
    /// A secret from 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    pub fn public(&self) -> DeviceKey {
        DeviceKey(PublicKey::from(&self.0).to_bytes())
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceSecret(…)")
    }
}

impl MailSecret {
    pub fn public(&self) -> MailKey {
        MailKey(PublicKey::from(&self.0).to_bytes())
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for MailSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailSecret(…)")
    }
}

/// The statement, if the identity it names signed it, or the newest of the keys that it proves to have followed.
pub fn check_statement(signed: &Signed<DeviceStatement>) -> Result<DeviceStatement, SignError> {
    let claim = signed.claim()?;
    signed.verify(rotation::check(&claim.identity, &claim.rotations)?.as_bytes())
}

/// Three private keys of 32 bytes.
pub const KEYS_BYTES: usize = 96;

const MAIL_SECRET_INFO: &[u8] = b"p2p-chat prekey secret v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_seed() {
        let keys = Keys::from_seed(&Secret::new([9; KEYS_BYTES]));
        let again = Keys::from_seed(&keys.to_seed());
        assert_eq!((keys.identity(), keys.device(), keys.event()), (again.identity(), again.device(), again.event()));
    }

    #[test]
    fn keys_that_followed_others_survive_their_parts() {
        let first = Keys::from_seed(&Secret::new([9; KEYS_BYTES]));
        let second = first.succeeded_by(&Secret::new([8; KEYS_BYTES])).unwrap();
        let again = Keys::restore(&second.to_seed(), second.identity(), second.rotations().clone()).unwrap();
        assert_eq!((again.identity(), again.key(), again.device()), (first.identity(), second.key(), second.device()));
        assert!(Keys::restore(&first.to_seed(), second.identity(), second.rotations().clone()).is_err());
        assert!(second.succeed(&first) && !first.succeed(&second) && !first.succeed(&first));
    }

    #[test]
    fn the_longest_statement_fits_its_limit_and_holds() {
        let mut keys = Keys::from_seed(&Secret::new([9; KEYS_BYTES]));
        for byte in 10.. {
            match keys.succeeded_by(&Secret::new([byte; KEYS_BYTES])) {
                Some(next) => keys = next,
                None => break,
            }
        }
        assert_eq!(keys.rotations().len(), crate::limits::ROTATIONS_MAX);
        let signed = keys.statement(RealmId([0; 32]), UserName::parse(&"a".repeat(24)).unwrap());
        assert_eq!(check_statement(&signed).unwrap().key(), keys.key());
        let mut claim = signed.claim().unwrap();
        claim.rotations = List::default();
        assert!(check_statement(&Signed::sign(&claim, keys.identity_signer())).is_err(), "nothing proves the key");
    }

    #[test]
    fn a_statement_signed_by_another_identity_is_refused() {
        let [alice, mallory] = [1, 2].map(|byte| Keys::from_seed(&Secret::new([byte; KEYS_BYTES])));
        let mut claim = alice.statement(RealmId([0; 32]), UserName::parse("alice").unwrap()).claim().unwrap();
        claim.device = mallory.device();
        assert_eq!(check_statement(&Signed::sign(&claim, mallory.identity_signer())), Err(SignError::Forged));
    }
}
