//! A person's keys: the identity `A`, and per device a Noise static `D` and an event-signing key `S`.
//! `A` says once, in a device statement, which `D` and `S` speak for it.

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use super::sign::{SignError, Signable, Signed};
use crate::ids::{DeviceKey, EventKey, IdentityKey, MailKey, MailSalt, RealmId};
use crate::names::UserName;
use crate::secret::Secret;

/// Every private key of one account on one device.
#[derive(Clone)]
pub struct Keys {
    identity: SigningKey,
    device: DeviceSecret,
    event: SigningKey,
}

/// The private half of a device's Noise static key.
#[derive(Clone)]
pub struct DeviceSecret(StaticSecret);

/// The private half of a prekey.
#[derive(Clone)]
pub struct MailSecret(StaticSecret);

/// `A` says: in this realm, under this name, device `number` speaks for me with these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatement {
    pub realm: RealmId,
    pub user: UserName,
    pub identity: IdentityKey,
    pub device: DeviceKey,
    pub event: EventKey,
    /// Counts the devices of an account from 1.
    pub number: u32,
}

impl Signable for DeviceStatement {
    const CONTEXT: &'static str = "p2p-chat device statement v1";
}

impl Keys {
    /// Keys from 96 random bytes.
    pub fn from_seed(seed: &Secret<[u8; KEYS_BYTES]>) -> Self {
        let part = |index: usize| -> [u8; 32] {
            seed.expose()[index * 32..(index + 1) * 32].try_into().expect("a third of the seed is 32 bytes")
        };
        Self {
            identity: SigningKey::from_bytes(&part(0)),
            device: DeviceSecret(StaticSecret::from(part(1))),
            event: SigningKey::from_bytes(&part(2)),
        }
    }

    /// The seed these keys came from, to be sealed on disk.
    pub fn to_seed(&self) -> Secret<[u8; KEYS_BYTES]> {
        let mut seed = [0; KEYS_BYTES];
        seed[..32].copy_from_slice(self.identity.as_bytes());
        seed[32..64].copy_from_slice(self.device.0.as_bytes());
        seed[64..].copy_from_slice(self.event.as_bytes());
        let secret = Secret::new(seed);
        seed.zeroize();
        secret
    }

    pub fn identity(&self) -> IdentityKey {
        IdentityKey(self.identity.verifying_key().to_bytes())
    }

    pub fn device(&self) -> DeviceKey {
        self.device.public()
    }

    pub fn event(&self) -> EventKey {
        EventKey(self.event.verifying_key().to_bytes())
    }

    /// Signs rooms and invitations.
    pub fn identity_signer(&self) -> &SigningKey {
        &self.identity
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

    /// The statement by which the identity vouches for this device, the account's first.
    pub fn statement(&self, realm: RealmId, user: UserName) -> Signed<DeviceStatement> {
        let statement = DeviceStatement {
            realm,
            user,
            identity: self.identity(),
            device: self.device(),
            event: self.event(),
            number: 1,
        };
        Signed::sign(&statement, &self.identity)
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

/// The statement, if the identity it names signed it.
pub fn check_statement(signed: &Signed<DeviceStatement>) -> Result<DeviceStatement, SignError> {
    let identity = signed.claim()?.identity;
    signed.verify(identity.as_bytes())
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
    fn a_statement_signed_by_another_identity_is_refused() {
        let [alice, mallory] = [1, 2].map(|byte| Keys::from_seed(&Secret::new([byte; KEYS_BYTES])));
        let mut claim = alice.statement(RealmId([0; 32]), UserName::parse("alice").unwrap()).claim().unwrap();
        claim.device = mallory.device();
        assert_eq!(check_statement(&Signed::sign(&claim, mallory.identity_signer())), Err(SignError::Forged));
    }
}
