//! The file that holds an account's keys: sealed under the password with XChaCha20-Poly1305, the key stretched by
//! Argon2id. Everything before the sealed part is its associated data, so none of it can be changed unseen; a hash
//! at the end tells a damaged file from a wrong password. Only the vault calls it; it touches no file.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use common::ids::{self, IdentityKey, RealmId};
use common::limits::ROTATIONS_MAX;
use common::names::{NAME_CHARS_MAX, UserName};
use common::secret::Secret;
use common::secure::identity::{KEYS_BYTES, Keys};
use common::secure::password;
use common::secure::rotation::Rotations;
use common::wire::codec;
use zeroize::Zeroize;

/// How dear each guess of a password is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
}

/// Why a file is not the sealed keys it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOurs {
    #[error("it does not hold sealed keys")]
    Foreign,
    #[error("it is damaged")]
    Damaged,
    #[error("it is from a newer version of this program")]
    Newer,
    #[error("it belongs to another account")]
    OtherAccount,
    #[error("it asks for more work than any file of ours")]
    Cost,
}

/// Seals `keys` for one account. `salt` and `nonce` are random and new for every file.
pub(super) fn seal(
    keys: &Keys,
    password: &Secret<String>,
    (realm, user): (&RealmId, &UserName),
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.push(if keys.rotations().is_empty() { VERSION } else { VERSION_OF_LATER_KEYS });
    file.extend_from_slice(realm.as_bytes());
    file.push(u8::try_from(user.as_str().len()).expect("a name has at most 24 bytes"));
    file.extend_from_slice(user.as_str().as_bytes());
    file.extend_from_slice(&cost.memory_kib.to_be_bytes());
    file.extend_from_slice(&cost.passes.to_be_bytes());
    file.extend_from_slice(&salt);
    file.extend_from_slice(&nonce);
    // Room for the tag too: a buffer that grew would leave the keys behind it in memory.
    let mut sealed = Vec::with_capacity(SEALED_BYTES_MAX);
    sealed.extend_from_slice(keys.to_seed().expose());
    if !keys.rotations().is_empty() {
        sealed.extend_from_slice(keys.identity().as_bytes());
        sealed.extend_from_slice(&codec::encode(keys.rotations()));
    }
    cipher(password, &salt, cost)
        .encrypt_in_place(&nonce.into(), &file, &mut sealed)
        .expect("a thousand bytes are within the limits of the cipher");
    file.extend_from_slice(&sealed);
    let hash = ids::hash(HASH_CONTEXT, &[&file]);
    file.extend_from_slice(&hash);
    file
}

/// The keys in `file`, or `None` if the password is not theirs.
pub(super) fn open(
    file: &[u8],
    password: &Secret<String>,
    (realm, user): (&RealmId, &UserName),
) -> Result<Option<Keys>, NotOurs> {
    let mut rest = file.strip_prefix(MAGIC).ok_or(NotOurs::Foreign)?;
    let [version] = take(&mut rest)?;
    if version != VERSION && version != VERSION_OF_LATER_KEYS {
        return Err(NotOurs::Newer);
    }
    let (body, hash) = file.split_last_chunk::<HASH_BYTES>().ok_or(NotOurs::Damaged)?;
    if ids::hash(HASH_CONTEXT, &[body]) != *hash {
        return Err(NotOurs::Damaged);
    }
    let owner = RealmId(take(&mut rest)?);
    let [length] = take(&mut rest)?;
    let name = rest.split_off(..usize::from(length)).ok_or(NotOurs::Damaged)?;
    if owner != *realm || name != user.as_str().as_bytes() {
        return Err(NotOurs::OtherAccount);
    }
    let cost = Cost { memory_kib: u32::from_be_bytes(take(&mut rest)?), passes: u32::from_be_bytes(take(&mut rest)?) };
    if !(KIB_MIN..=KIB_MAX).contains(&cost.memory_kib) || !(1..=PASSES_MAX).contains(&cost.passes) {
        return Err(NotOurs::Cost);
    }
    let (salt, nonce): ([u8; SALT_BYTES], [u8; NONCE_BYTES]) = (take(&mut rest)?, take(&mut rest)?);
    let header = &file[..file.len() - rest.len()];
    let sealed = rest.strip_suffix(hash).ok_or(NotOurs::Damaged)?;
    let sizes = if version == VERSION { SEALED_BYTES..=SEALED_BYTES } else { SEALED_BYTES..=SEALED_BYTES_MAX };
    if !sizes.contains(&sealed.len()) {
        return Err(NotOurs::Damaged);
    }
    let mut buffer = sealed.to_vec();
    if cipher(password, &salt, cost).decrypt_in_place(&nonce.into(), header, &mut buffer).is_err() {
        return Ok(None);
    }
    let buffer = Secret::new(buffer);
    let (seed, line) = buffer.expose().split_first_chunk::<KEYS_BYTES>().ok_or(NotOurs::Damaged)?;
    let mut seed = *seed;
    let secret = Secret::new(seed);
    seed.zeroize();
    let Some((identity, rotations)) = line.split_first_chunk() else { return Ok(Some(Keys::from_seed(&secret))) };
    let rotations: Rotations = codec::decode(rotations).map_err(|_| NotOurs::Damaged)?;
    Keys::restore(&secret, IdentityKey(*identity), rotations).map(Some).map_err(|_| NotOurs::Damaged)
}

fn cipher(password: &Secret<String>, salt: &[u8], cost: Cost) -> XChaCha20Poly1305 {
    let mut key = password::stretch(password, salt, cost.memory_kib, cost.passes);
    let cipher = XChaCha20Poly1305::new((&key).into());
    key.zeroize();
    cipher
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotOurs> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(NotOurs::Damaged)?;
    *rest = behind;
    Ok(*bytes)
}

impl Cost {
    /// What new files are sealed with.
    pub(super) const STRONG: Self = Self { memory_kib: password::ARGON2_KIB, passes: password::ARGON2_PASSES };
}

pub(super) const SALT_BYTES: usize = 16;
pub(super) const NONCE_BYTES: usize = 24;

/// The longest file there can be; what is longer is not ours.
pub(super) const FILE_BYTES_MAX: usize = MAGIC.len()
    + 1
    + RealmId::LENGTH
    + 1
    + NAME_CHARS_MAX
    + 8
    + SALT_BYTES
    + NONCE_BYTES
    + SEALED_BYTES_MAX
    + HASH_BYTES;

const MAGIC: &[u8] = b"P2C-KEYS";
/// The keys that an identity began with.
const VERSION: u8 = 1;
/// Keys that followed others: behind the seed lie the identity and the steps to them.
const VERSION_OF_LATER_KEYS: u8 = 2;
const HASH_CONTEXT: &str = "p2p-chat sealed keys v1";
const HASH_BYTES: usize = 32;
/// The seed and Poly1305's tag.
const SEALED_BYTES: usize = KEYS_BYTES + 16;
/// With an identity and rotations of 149 bytes.
const SEALED_BYTES_MAX: usize = SEALED_BYTES + IdentityKey::LENGTH + 1 + ROTATIONS_MAX * 149;

/// Argon2's own minimum with one lane.
const KIB_MIN: u32 = 8;
/// 1 GiB and 16 passes: some ten seconds of work, which a file made by somebody else cannot exceed.
const KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

const _: () = assert!(KIB_MIN <= Cost::STRONG.memory_kib && Cost::STRONG.memory_kib <= KIB_MAX);
const _: () = assert!(Cost::STRONG.passes <= PASSES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: RealmId = RealmId([7; 32]);

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn keys() -> Keys {
        Keys::from_seed(&Secret::new([5; KEYS_BYTES]))
    }

    fn sealed(cost: Cost) -> Vec<u8> {
        seal(&keys(), &secret("hunter2"), (&REALM, &name("alice")), cost, [1; SALT_BYTES], [2; NONCE_BYTES])
    }

    const CHEAP: Cost = Cost { memory_kib: KIB_MIN, passes: 1 };

    fn opened(file: &[u8], password: &str) -> Result<bool, NotOurs> {
        let keys = open(file, &secret(password), (&REALM, &name("alice")))?;
        Ok(keys.is_some_and(|keys| *keys.to_seed().expose() == [5; KEYS_BYTES]))
    }

    #[test]
    fn the_password_opens_and_no_other() {
        let file = sealed(Cost::STRONG);
        assert!(file.len() <= FILE_BYTES_MAX);
        assert_eq!(opened(&file, "hunter2"), Ok(true));
        assert_eq!(opened(&file, "hunter3"), Ok(false));
        assert!(!file.windows(8).any(|window| window == [5; 8]), "the seed is not in the clear");
    }

    #[test]
    fn keys_that_followed_others_come_back_with_all_their_steps() {
        let mut later = keys();
        while let Some(next) =
            later.succeeded_by(&Secret::new([u8::try_from(later.rotations().len()).unwrap() + 9; KEYS_BYTES]))
        {
            later = next;
        }
        let owner = (&REALM, &name("alice"));
        let file = seal(&later, &secret("hunter2"), owner, CHEAP, [1; SALT_BYTES], [2; NONCE_BYTES]);
        assert!(file.len() <= FILE_BYTES_MAX - (NAME_CHARS_MAX - "alice".len()), "{} bytes", file.len());
        let again = open(&file, &secret("hunter2"), owner).unwrap().unwrap();
        assert_eq!(again.to_seed().expose(), later.to_seed().expose());
        assert_eq!((again.identity(), again.rotations()), (keys().identity(), later.rotations()));
        assert!(open(&file, &secret("hunter3"), owner).unwrap().is_none());
    }

    #[test]
    fn any_changed_cut_or_added_byte_is_damage() {
        let file = sealed(CHEAP);
        for index in 0..file.len() {
            let mut changed = file.clone();
            changed[index] ^= 1;
            assert!(opened(&changed, "hunter2").is_err(), "byte {index}");
            assert!(opened(&file[..index], "hunter2").is_err(), "cut at {index}");
        }
        assert_eq!(opened(&[file, vec![0]].concat(), "hunter2"), Err(NotOurs::Damaged));
        assert_eq!(opened(b"", "hunter2"), Err(NotOurs::Foreign));
    }

    #[test]
    fn a_file_of_another_account_or_of_absurd_cost_is_refused() {
        let file = sealed(CHEAP);
        for owner in [(&RealmId([8; 32]), &name("alice")), (&REALM, &name("alicf"))] {
            assert_eq!(open(&file, &secret("hunter2"), owner).unwrap_err(), NotOurs::OtherAccount);
        }
        let at = MAGIC.len() + 1 + RealmId::LENGTH + 1 + "alice".len();
        for absurd in [0, KIB_MIN - 1, KIB_MAX + 1, u32::MAX] {
            let mut file = file[..file.len() - HASH_BYTES].to_vec();
            file[at..at + 4].copy_from_slice(&absurd.to_be_bytes());
            let hash = ids::hash(HASH_CONTEXT, &[&file]);
            file.extend_from_slice(&hash);
            assert_eq!(opened(&file, "hunter2"), Err(NotOurs::Cost));
        }
    }

    #[test]
    fn the_header_is_bound_to_what_is_sealed() {
        let mut file = sealed(CHEAP);
        file.truncate(file.len() - HASH_BYTES);
        let passes = MAGIC.len() + 1 + RealmId::LENGTH + 1 + "alice".len() + 7;
        file[passes] = 2;
        let hash = ids::hash(HASH_CONTEXT, &[&file]);
        file.extend_from_slice(&hash);
        assert_eq!(opened(&file, "hunter2"), Ok(false));
    }
}
