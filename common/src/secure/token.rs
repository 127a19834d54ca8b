//! Sign-up tokens as people hand them on: eight groups of four hexadecimal digits. A registry keeps no token, only what
//! it can compare one with.

use zeroize::Zeroize;

use crate::ids::{self, SignUpToken};
use crate::names::UserName;
use crate::secret::Secret;

/// The token that `text` is, however its digits are grouped and spelled.
pub fn parse(text: &str) -> Option<Secret<SignUpToken>> {
    let digits = Secret::new(text.replace(['-', ' '], "").to_ascii_lowercase());
    SignUpToken::from_hex(digits.expose()).map(Secret::new)
}

/// What an operator hands on.
pub fn text(token: &Secret<SignUpToken>) -> Secret<String> {
    let mut text = String::with_capacity(40);
    for (at, byte) in token.expose().as_bytes().iter().enumerate() {
        if at > 0 && at % 2 == 0 {
            text.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).expect("four bits are one digit"));
        }
    }
    Secret::new(text)
}

/// What a registry keeps of a token for `user`: 128 random bits need no slow hash.
pub fn digest(token: &Secret<SignUpToken>, user: &UserName) -> [u8; 32] {
    ids::hash("p2p-chat sign-up token v1", &[token.expose().as_bytes(), user.as_str().as_bytes()])
}

impl Zeroize for SignUpToken {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_in_other_spellings() {
        let token = Secret::new(SignUpToken(std::array::from_fn(|at| u8::try_from(at * 17).unwrap())));
        let written = text(&token);
        assert_eq!(written.expose(), "0011-2233-4455-6677-8899-aabb-ccdd-eeff");
        for spelled in [written.expose().clone(), "00112233 44556677 8899AABB CCDDEEFF".to_owned()] {
            assert_eq!(parse(&spelled).unwrap().expose(), token.expose());
        }
        for wrong in
            ["", "0011", "0011-2233-4455-6677-8899-aabb-ccdd-eefg", "0011-2233-4455-6677-8899-aabb-ccdd-eeff-0"]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_good_for_one_name() {
        let token = Secret::new(SignUpToken([7; 16]));
        let [alice, bob] = ["alice", "bob"].map(|name| UserName::parse(name).unwrap());
        assert_ne!(digest(&token, &alice), digest(&token, &bob));
    }
}
