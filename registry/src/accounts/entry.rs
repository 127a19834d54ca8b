//! Who may make an account: anybody, or whoever shows the one-time token that the operator made for that name. Decides
//! on what it is given; whoever asks looks the token up and uses it up.

use common::ids::SignUpToken;
use common::message::registry::Code;
use common::names::UserName;
use common::secret::Secret;
use common::secure::token;
use common::time::UnixMillis;

use crate::refusal::Failure;
use crate::store::{StoredToken, TokenDigest};

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUps {
    Open,
    /// Newcomers are told to ask for a token.
    ByToken,
    /// Newcomers are told that there is no way in. What the operator makes tokens for still has one.
    Closed,
}

impl SignUps {
    /// The token to use up, if this sign-up needs one. `kept` is the one that is out for `user`.
    pub(super) fn check(
        self,
        user: &UserName,
        is_taken: bool,
        kept: Option<StoredToken>,
        shown: Option<&Secret<SignUpToken>>,
        now: UnixMillis,
    ) -> Result<Option<TokenDigest>, Failure> {
        let kept = kept.filter(|kept| kept.expires >= now);
        if let Some(shown) = shown {
            let digest = token::digest(shown, user);
            let is_right = kept.is_some_and(|kept| kept.digest == digest);
            return if is_right { Ok(Some(digest)) } else { Err(wrong_token(user)) };
        }
        match self {
            _ if is_taken => Err(name_taken(user)),
            _ if kept.is_some() => Err(name_kept(user)),
            Self::Open => Ok(None),
            Self::ByToken => Err(Failure::new(Code::NotPermitted, BY_TOKEN)),
            Self::Closed => Err(Failure::new(Code::NotPermitted, CLOSED)),
        }
    }
}

pub(super) fn name_taken(user: &UserName) -> Failure {
    Failure::new(Code::NameTaken, &format!("The name {user} is taken. Choose another: /register NAME."))
}

fn name_kept(user: &UserName) -> Failure {
    let text = format!("The name {user} is kept for whoever has its token. With it: /register {user} --token.");
    Failure::new(Code::NameTaken, &text)
}

/// The same for a token that was used, one that expired, and one that never was.
pub(super) fn wrong_token(user: &UserName) -> Failure {
    let text = format!("That token is not good for {user}, or not any more. Ask the operator for a new one.");
    Failure::new(Code::NotPermitted, &text)
}

const BY_TOKEN: &str =
    "This registry asks newcomers for a token. Get one from its operator, then /register NAME --token.";
const CLOSED: &str = "This registry takes no new accounts. Ask its operator for one.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_what_is_closed_for_its_name_alone() {
        let user = UserName::parse("alice").unwrap();
        let [right, wrong] = [1, 2].map(|byte| Secret::new(SignUpToken([byte; 16])));
        let digest = token::digest(&right, &user);
        let kept = Some(StoredToken { digest, expires: UnixMillis(10) });
        let code = |result: Result<Option<TokenDigest>, Failure>| result.map_err(|failure| failure.into_refusal().code);
        for rule in [SignUps::Open, SignUps::ByToken, SignUps::Closed] {
            let check = |is_taken, kept, shown, now| code(rule.check(&user, is_taken, kept, shown, UnixMillis(now)));
            for is_taken in [false, true] {
                assert_eq!(check(is_taken, kept, Some(&right), 10), Ok(Some(digest)));
                assert_eq!(check(is_taken, kept, Some(&right), 11), Err(Code::NotPermitted), "expired");
                assert_eq!(check(is_taken, kept, Some(&wrong), 10), Err(Code::NotPermitted));
                assert_eq!(check(is_taken, None, Some(&right), 10), Err(Code::NotPermitted), "used");
            }
            assert_eq!(check(false, kept, None, 10), Err(Code::NameTaken), "a name with a token out is kept");
            assert_eq!(check(true, None, None, 10), Err(Code::NameTaken));
            let without = if rule == SignUps::Open { Ok(None) } else { Err(Code::NotPermitted) };
            assert_eq!(check(false, None, None, 10), without);
            assert_eq!(check(false, kept, None, 11), without);
        }
    }
}
