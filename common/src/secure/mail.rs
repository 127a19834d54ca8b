//! Mail for somebody who is away: sealed one way to a key that they left with the registry, so that neither it nor
//! anybody who steals its database can read a word. An item is the prekey's number and one Noise message (pattern N).
//!
//! Who wrote it is inside: the items themselves are anonymous, and say no more than their padded length.

use serde::{Deserialize, Serialize};
use snow::Builder;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};

use super::identity::MailSecret;
use super::seal::NotSealed;
use super::sign::Signable;
use crate::ids::{IdentityKey, MailKey, RealmId};
use crate::limits::{MAIL_BYTES_MAX, PADDED_BYTES, SEAL_BYTES};
use crate::names::UserName;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::wire::PREAMBLE;

/// `A` says: mail for me is sealed to this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prekey {
    pub realm: RealmId,
    pub user: UserName,
    /// Counts a person's prekeys, from 1.
    pub number: u32,
    pub key: MailKey,
    pub at: UnixMillis,
    pub expires: UnixMillis,
}

impl Signable for Prekey {
    const CONTEXT: &'static str = "p2p-chat prekey v1";
}

/// An item for `recipient` with `content` in it; `None` if that is too long. `seed` makes the ephemeral key: random, and
/// never used for anything else.
pub fn seal(content: &[u8], recipient: &IdentityKey, prekey: &Prekey, seed: Secret<[u8; 32]>) -> Option<Vec<u8>> {
    let plaintext = padded(content)?;
    let prologue = prologue(recipient, prekey.number);
    let mut handshake = Builder::with_resolver(params(), Box::new(Seeded(seed)))
        .prologue(&prologue)
        .and_then(|builder| builder.remote_public_key(prekey.key.as_bytes()))
        .and_then(Builder::build_initiator)
        .ok()?;
    let mut item = prekey.number.to_be_bytes().to_vec();
    item.resize(OVERHEAD_BYTES + plaintext.len(), 0);
    let length = handshake.write_message(&plaintext, &mut item[NUMBER_BYTES..]).ok()?;
    item.truncate(NUMBER_BYTES + length);
    Some(item)
}

/// The number of the prekey that an item says it is sealed to.
pub fn prekey_number(item: &[u8]) -> Option<u32> {
    item.first_chunk::<NUMBER_BYTES>().map(|number| u32::from_be_bytes(*number))
}

/// What is in an item sealed to this prekey of `recipient`.
pub fn open(item: &[u8], recipient: &IdentityKey, secret: &MailSecret) -> Result<Vec<u8>, NotSealed> {
    let (number, message) = item.split_first_chunk::<NUMBER_BYTES>().ok_or(NotSealed)?;
    let prologue = prologue(recipient, u32::from_be_bytes(*number));
    let mut handshake = Builder::new(params())
        .prologue(&prologue)
        .and_then(|builder| builder.local_private_key(secret.expose()))
        .and_then(Builder::build_responder)
        .map_err(|_| NotSealed)?;
    let mut plaintext = vec![0; message.len()];
    let length = handshake.read_message(message, &mut plaintext).map_err(|_| NotSealed)?;
    unpadded(&plaintext[..length]).map(<[u8]>::to_vec).ok_or(NotSealed)
}

fn params() -> snow::params::NoiseParams {
    MAIL_PATTERN.parse().expect("the pattern is a constant that snow knows")
}

/// Somebody else's item, or one for another key of the same person, does not open.
fn prologue(recipient: &IdentityKey, number: u32) -> Vec<u8> {
    [PREAMBLE.as_slice(), MAIL_PURPOSE.as_bytes(), recipient.as_bytes(), &number.to_be_bytes()].concat()
}

/// `u16` length, the content, zeros up to one of a few sizes.
fn padded(content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let size = padded_size(content.len() + LENGTH_BYTES)?;
    let mut plaintext = length.to_be_bytes().to_vec();
    plaintext.extend_from_slice(content);
    plaintext.resize(size, 0);
    Some(plaintext)
}

fn unpadded(plaintext: &[u8]) -> Option<&[u8]> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (content, padding) = rest.split_at_checked(length)?;
    let right_size = padded_size(length + LENGTH_BYTES) == Some(plaintext.len());
    (right_size && padding.iter().all(|byte| *byte == 0)).then_some(content)
}

fn padded_size(length: usize) -> Option<usize> {
    let (_, smaller) = PADDED_BYTES.split_last()?;
    smaller.iter().copied().chain([MAIL_BYTES_MAX - OVERHEAD_BYTES]).find(|size| length <= *size)
}

/// Everything as usual, but for randomness: that is the caller's, once.
struct Seeded(Secret<[u8; 32]>);

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// The one draw of pattern N: its ephemeral key. A second would repeat it, and fails instead.
struct Once(Option<Secret<[u8; 32]>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let seed = self.0.take().filter(|seed| seed.expose().len() == dest.len()).ok_or(snow::Error::Rng)?;
        dest.copy_from_slice(seed.expose());
        Ok(())
    }
}

/// Noise protocol name (Noise specification, section 8).
pub const MAIL_PATTERN: &str = "Noise_N_25519_ChaChaPoly_BLAKE2s";
/// What follows the preamble in the prologue, before the recipient's identity and the prekey's number.
pub const MAIL_PURPOSE: &str = "p2p-chat mail";

const NUMBER_BYTES: usize = 4;
const LENGTH_BYTES: usize = 2;
/// Number, ephemeral key and seal around the padded content.
const OVERHEAD_BYTES: usize = NUMBER_BYTES + MailKey::LENGTH + SEAL_BYTES;

const _: () = assert!(MAIL_BYTES_MAX - OVERHEAD_BYTES > PADDED_BYTES[PADDED_BYTES.len() - 2]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MailSalt;
    use crate::secure::identity::{KEYS_BYTES, Keys};
    use proptest::prelude::*;

    fn keys(byte: u8) -> Keys {
        Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))
    }

    fn secret(byte: u8) -> MailSecret {
        keys(2).mail_secret(&MailSalt([byte; 32]))
    }

    fn prekey(number: u32, secret: &MailSecret) -> Prekey {
        let user = UserName::parse("bob").unwrap();
        let (at, expires) = (UnixMillis(0), UnixMillis(1));
        Prekey { realm: RealmId([8; 32]), user, number, key: secret.public(), at, expires }
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        seal(content, &keys(2).identity(), &prekey(3, &secret(1)), Secret::new([9; 32])).unwrap()
    }

    #[test]
    fn an_item_opens_for_its_recipient_and_its_prekey_alone() {
        let (bob, item) = (keys(2).identity(), sealed(b"hello bob"));
        assert_eq!(prekey_number(&item), Some(3));
        assert_eq!(open(&item, &bob, &secret(1)).unwrap(), b"hello bob");
        assert_eq!(open(&item, &bob, &secret(2)), Err(NotSealed), "another prekey");
        assert_eq!(open(&item, &keys(1).identity(), &secret(1)), Err(NotSealed), "another person");
        let mut renumbered = item.clone();
        renumbered[3] = 4;
        assert_eq!(open(&renumbered, &bob, &secret(1)), Err(NotSealed), "another number");
        for index in [4, 40, item.len() - 1] {
            let mut changed = item.clone();
            changed[index] ^= 1;
            assert_eq!(open(&changed, &bob, &secret(1)), Err(NotSealed), "byte {index}");
        }
    }

    #[test]
    fn the_ephemeral_key_is_the_callers_randomness() {
        let again = |seed| seal(b"hi", &keys(2).identity(), &prekey(3, &secret(1)), Secret::new([seed; 32])).unwrap();
        assert_eq!(again(9), again(9));
        assert_ne!(again(9)[4..36], again(8)[4..36]);
    }

    #[test]
    fn sizes_are_few_and_the_largest_fits_its_limit() {
        for (length, size) in [(0, 256), (254, 256), (255, 1024), (20_000, MAIL_BYTES_MAX - OVERHEAD_BYTES)] {
            assert_eq!(sealed(&vec![7; length]).len(), size + OVERHEAD_BYTES);
        }
        let largest = MAIL_BYTES_MAX - OVERHEAD_BYTES - LENGTH_BYTES;
        assert_eq!(sealed(&vec![7; largest]).len(), MAIL_BYTES_MAX);
        let too_long = vec![7; largest + 1];
        assert!(seal(&too_long, &keys(2).identity(), &prekey(3, &secret(1)), Secret::new([9; 32])).is_none());
    }

    #[test]
    fn padding_is_checked() {
        let mut plaintext = padded(b"hi").unwrap();
        assert_eq!(unpadded(&plaintext), Some(b"hi".as_slice()));
        *plaintext.last_mut().unwrap() = 1;
        assert_eq!(unpadded(&plaintext), None);
        assert_eq!(unpadded(&[0, 2, 1, 2]), None, "not one of the sizes");
        assert_eq!(unpadded(&[0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = prekey_number(&bytes);
            prop_assert!(open(&bytes, &keys(2).identity(), &secret(1)).is_err());
        }
    }
}
