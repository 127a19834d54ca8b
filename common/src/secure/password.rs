//! What the registry learns instead of a password: `K_auth = HKDF-SHA256(Argon2id(password, salt))`, the salt being a
//! hash of realm and name. A second registry learns nothing that the first could use, and bcrypt's limits never bite.

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::ids::{self, AuthKey, RealmId};
use crate::names::UserName;
use crate::secret::Secret;

/// Derives `K_auth`. Takes 64 MiB and some hundred milliseconds: never on a thread that others wait for.
pub fn auth_key(password: &Secret<String>, realm: &RealmId, user: &UserName) -> Secret<AuthKey> {
    let salt = ids::hash("p2p-chat password salt v1", &[realm.as_bytes(), user.as_str().as_bytes()]);
    let mut stretched = stretch(password, &salt, ARGON2_KIB, ARGON2_PASSES);
    let mut key = AuthKey([0; 32]);
    Hkdf::<Sha256>::new(None, &stretched)
        .expand(b"p2p-chat K_auth v1", &mut key.0)
        .expect("32 bytes is a valid HKDF-SHA256 output length");
    stretched.zeroize();
    let secret = Secret::new(key);
    key.zeroize();
    secret
}

/// Argon2id (RFC 9106) with one lane: 32 bytes.
pub fn stretch(password: &Secret<String>, salt: &[u8], memory_kib: u32, passes: u32) -> [u8; 32] {
    let params = Params::new(memory_kib, passes, 1, Some(32)).expect("callers check parameters read from a file");
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.expose().as_bytes(), salt, &mut out)
        .expect("salt and password are within Argon2's limits");
    out
}

/// 64 MiB, three passes: RFC 9106's second recommended option, for machines that cannot spare 2 GiB.
pub const ARGON2_KIB: u32 = 64 * 1024;
pub const ARGON2_PASSES: u32 = 3;

impl Zeroize for AuthKey {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realm_name_and_password_all_count() {
        let of = |password: &str, realm: u8, user: &str| {
            let user = UserName::parse(user).unwrap();
            *auth_key(&Secret::new(password.to_owned()), &RealmId([realm; 32]), &user).expose()
        };
        let key = of("correct horse", 1, "alice");
        assert_eq!(key, of("correct horse", 1, "alice"));
        for other in [of("correct horsf", 1, "alice"), of("correct horse", 2, "alice"), of("correct horse", 1, "bob")] {
            assert_ne!(key, other);
        }
    }
}
