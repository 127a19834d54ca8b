//! Fixed-length byte strings that name things: keys, hashes, chains. Each has its own type, so that one is never
//! taken for another; on the wire each is MessagePack `bin` of exactly its length.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::names::UserName;

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident, $length:expr) => {
        bytes_id!($(#[$doc])* $name, $length);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                write_hex(&self.0[..4], f)?;
                f.write_str("…)")
            }
        }
    };
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $length:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The id, if `bytes` has exactly its length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The id written as lower-case hexadecimal digits, if `text` is that.
            pub fn from_hex(text: &str) -> Option<Self> {
                from_hex(text).and_then(|bytes| Self::from_slice(&bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(ExactBytes::<$length>).map(Self)
            }
        }
    };
}

public_id!(
    /// A person's identity key `A`, the first one of the account, or a key that followed it: Ed25519 public keys.
    IdentityKey,
    32
);
public_id!(
    /// A device's Noise static key `D`: an X25519 public key.
    DeviceKey,
    32
);
public_id!(
    /// A device's event-signing key `S`: an Ed25519 public key.
    EventKey,
    32
);
public_id!(
    /// A registry's root key `R`: an Ed25519 public key.
    RootKey,
    32
);
public_id!(
    /// One registry and everything it vouches for: SHA-256 of its root key.
    RealmId,
    32
);
public_id!(
    /// An Ed25519 signature (RFC 8032).
    Signature,
    64
);
public_id!(
    /// A conversation: for two people a hash of the realm and both names, for a room its [`RoomId`]'s bytes.
    ConversationId,
    32
);
public_id!(
    /// A room: SHA-256 of its signed genesis.
    RoomId,
    32
);
public_id!(
    /// An event: SHA-256 of its signed bytes.
    EventId,
    32
);
public_id!(
    /// One entry of a room owner's log: SHA-256 of its signed bytes.
    EntryId,
    32
);
public_id!(
    /// One run of an author's numbers: random, minted with the author's database.
    ChainId,
    16
);
public_id!(
    /// The public half of a prekey: an X25519 key that mail is sealed to.
    MailKey,
    32
);
bytes_id!(
    /// What, together with an account's keys, makes the private half of one prekey. Destroying it destroys that.
    MailSalt,
    32
);
bytes_id!(
    /// What the registry is told instead of a password; see [`crate::secure::password`].
    AuthKey,
    32
);

bytes_id!(
    /// What lets one name sign up, once, by its operator's word; see [`crate::secure::token`].
    SignUpToken,
    16
);

impl fmt::Debug for SignUpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignUpToken(…)")
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(…)")
    }
}

impl fmt::Debug for MailSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailSalt(…)")
    }
}

impl RealmId {
    /// The realm whose registry has this root key.
    pub fn of(root: &RootKey) -> Self {
        Self(hash("p2p-chat realm v1", &[root.as_bytes()]))
    }

    /// What people compare and put behind `host:port#`: the first 128 bits, as 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.to_string()[..FINGERPRINT_DIGITS].to_owned()
    }
}

impl ConversationId {
    /// The conversation of two people. Both names count, not their keys: it survives an accepted change of key.
    pub fn direct(realm: &RealmId, one: &UserName, other: &UserName) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let parts = [realm.as_bytes().as_slice(), first.as_str().as_bytes(), b"\0", second.as_str().as_bytes()];
        Self(hash("p2p-chat direct conversation v1", &parts))
    }
}

impl From<RoomId> for ConversationId {
    fn from(room: RoomId) -> Self {
        Self(room.0)
    }
}

impl From<ConversationId> for RoomId {
    fn from(conversation: ConversationId) -> Self {
        Self(conversation.0)
    }
}

/// SHA-256 over `context, 0x00, parts…`: the one way this project turns bytes into an id.
pub fn hash(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(context.as_bytes());
    sha.update([0]);
    for part in parts {
        sha.update(part);
    }
    sha.finalize().into()
}

/// Digits of a realm's fingerprint; 128 bits cannot be found a second time.
pub const FINGERPRINT_DIGITS: usize = 32;

/// Lower-case digits, written at once: every line that a program reads has two ids in it.
fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; 2 * Signature::LENGTH];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    f.write_str(std::str::from_utf8(&digits[..2 * bytes.len()]).expect("digits are ASCII"))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    digits.chunks(2).map(byte).collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

struct ExactBytes<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for ExactBytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes of binary")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_conversation_is_the_same_from_both_ends() {
        let realm = RealmId([7; 32]);
        let [alice, bob] = ["alice", "bob"].map(|name| UserName::parse(name).unwrap());
        assert_eq!(ConversationId::direct(&realm, &alice, &bob), ConversationId::direct(&realm, &bob, &alice));
        let carol = UserName::parse("carol").unwrap();
        assert_ne!(ConversationId::direct(&realm, &alice, &bob), ConversationId::direct(&realm, &alice, &carol));
    }

    const HEX: &str = "a50fa5a5a5a5a5a5a5a5a5a5a5a5a5a5";

    #[test]
    fn hex_round_trips_and_refuses_nonsense() {
        let mut id = ChainId([0xa5; 16]);
        id.0[1] = 0x0f;
        assert_eq!((id.to_string().as_str(), format!("{id:?}").as_str()), (HEX, "ChainId(a50fa5a5…)"));
        assert_eq!(Signature([0xff; 64]).to_string(), "ff".repeat(64));
        assert_eq!(ChainId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ChainId::from_hex("a5"), None);
        assert_eq!(ChainId::from_hex("zz"), None);
    }
}
