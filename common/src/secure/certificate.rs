//! What peers show each other: the device statement signed by the person, and the registry's certificate over it.
//! [`verify`] is the only place where the two are checked.

use serde::{Deserialize, Serialize};

use super::identity::{DeviceStatement, check_statement};
use super::sign::{SignError, Signable, Signed};
use crate::ids::{DeviceKey, EventKey, IdentityKey, RealmId, RootKey};
use crate::limits::{CERTIFICATE_LIFETIME, CLOCK_SKEW_MAX};
use crate::names::UserName;
use crate::time::UnixMillis;

/// The registry says: in my realm this name belongs to this identity, which speaks through this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub user: UserName,
    pub identity: IdentityKey,
    pub device: DeviceKey,
    pub event: EventKey,
    pub issued: UnixMillis,
    pub expires: UnixMillis,
}

impl Signable for Certificate {
    const CONTEXT: &'static str = "p2p-chat certificate v1";
}

/// Both halves, as they travel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub statement: Signed<DeviceStatement>,
    pub certificate: Signed<Certificate>,
}

/// Somebody whose credentials were checked. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: UserName,
    pub identity: IdentityKey,
    /// What speaks for the identity now.
    pub key: IdentityKey,
    pub device: DeviceKey,
    /// What their events may be signed with, the present one first.
    pub events: Vec<EventKey>,
    pub expires: UnixMillis,
}

/// Why credentials are not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("the device statement: {0}")]
    Statement(SignError),
    #[error("the certificate: {0}")]
    Certificate(SignError),
    #[error("statement and certificate do not name the same person and keys")]
    Mismatch,
    #[error("they belong to another realm")]
    Realm,
    #[error("the certificate is not valid now")]
    Time,
}

/// Issues a certificate for a statement that the registry has checked and enrolled.
pub fn issue(statement: &DeviceStatement, now: UnixMillis, root: &ed25519_dalek::SigningKey) -> Signed<Certificate> {
    let certificate = Certificate {
        user: statement.user.clone(),
        identity: statement.identity,
        device: statement.device,
        event: statement.event,
        issued: now,
        expires: now.plus(CERTIFICATE_LIFETIME),
    };
    Signed::sign(&certificate, root)
}

/// The person behind `credentials`, if the newest key of the identity signed the statement, the realm's root the certificate, both say
/// the same, and the certificate is valid at `now` give or take [`CLOCK_SKEW_MAX`].
pub fn verify(credentials: &Credentials, root: &RootKey, now: UnixMillis) -> Result<Person, CredentialsError> {
    let certificate = credentials.certificate.verify(root.as_bytes()).map_err(CredentialsError::Certificate)?;
    let statement = check_statement(&credentials.statement).map_err(CredentialsError::Statement)?;
    if statement.realm != RealmId::of(root) {
        return Err(CredentialsError::Realm);
    }
    let stated = (&statement.user, statement.identity, statement.device, statement.event);
    if stated != (&certificate.user, certificate.identity, certificate.device, certificate.event) {
        return Err(CredentialsError::Mismatch);
    }
    let begins = certificate.issued.minus(CLOCK_SKEW_MAX);
    if now < begins || now > certificate.expires.plus(CLOCK_SKEW_MAX) {
        return Err(CredentialsError::Time);
    }
    Ok(Person {
        key: statement.key(),
        events: statement.event_keys(),
        user: certificate.user,
        identity: certificate.identity,
        device: certificate.device,
        expires: certificate.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::secure::identity::{KEYS_BYTES, Keys};
    use ed25519_dalek::SigningKey;

    fn keys(byte: u8) -> Keys {
        Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))
    }

    fn root() -> (SigningKey, RootKey) {
        let key = SigningKey::from_bytes(&[42; 32]);
        let public = RootKey(key.verifying_key().to_bytes());
        (key, public)
    }

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn credentials(keys: &Keys, name: &str) -> Credentials {
        let (key, public) = root();
        let statement = keys.statement(RealmId::of(&public), UserName::parse(name).unwrap());
        let certificate = issue(&statement.claim().unwrap(), NOW, &key);
        Credentials { statement, certificate }
    }

    #[test]
    fn honest_credentials_are_believed_for_their_lifetime() {
        let good = credentials(&keys(1), "alice");
        assert_eq!(verify(&good, &root().1, NOW).unwrap().user.as_str(), "alice");
        let late = NOW.plus(CERTIFICATE_LIFETIME).plus(CLOCK_SKEW_MAX).plus(std::time::Duration::from_secs(1));
        assert_eq!(verify(&good, &root().1, late), Err(CredentialsError::Time));
        assert_eq!(verify(&good, &root().1, UnixMillis(0)), Err(CredentialsError::Time));
    }

    #[test]
    fn each_wrong_part_is_refused() {
        let alice = credentials(&keys(1), "alice");
        let mallory = credentials(&keys(2), "mallory");
        let other_root = RootKey(SigningKey::from_bytes(&[43; 32]).verifying_key().to_bytes());
        assert!(matches!(verify(&alice, &other_root, NOW), Err(CredentialsError::Certificate(_))));
        let spliced = Credentials { statement: mallory.statement, certificate: alice.certificate };
        assert_eq!(verify(&spliced, &root().1, NOW), Err(CredentialsError::Mismatch));
        let (key, _) = root();
        let foreign = keys(1).statement(RealmId([0; 32]), UserName::parse("alice").unwrap());
        let certificate = issue(&foreign.claim().unwrap(), NOW, &key);
        assert_eq!(
            verify(&Credentials { statement: foreign, certificate }, &root().1, NOW),
            Err(CredentialsError::Realm)
        );
    }
}
