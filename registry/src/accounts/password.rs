//! The password work: bcrypt over the base64 of `K_auth`, as a job that any thread may run and that touches nothing.
//! An unknown name costs the same as a wrong password, whatever hashes cost when the account's was made. A right
//! one is hashed anew where hashes cost something else today.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use common::ids::AuthKey;
use common::secret::Secret;

use super::sign_in::Purpose;

/// Work for a thread that may take its time: pure computation, some hundred milliseconds at cost 12.
#[derive(Debug)]
pub struct PasswordJob {
    pub(super) work: Work,
    pub(super) purpose: Purpose,
}

/// A job's result, to be handed to the service that made the job.
#[derive(Debug)]
pub struct PasswordDone {
    pub(super) outcome: Outcome,
    pub(super) purpose: Purpose,
}

#[derive(Debug)]
pub(super) enum Work {
    Hash {
        auth: Secret<AuthKey>,
    },
    /// Without a hash there is no such account, and nobody must notice that by the time it takes.
    Verify {
        auth: Secret<AuthKey>,
        hash: Option<String>,
        /// What the dearest hash of any account costs.
        dearest: u32,
    },
    Change {
        old: Secret<AuthKey>,
        new: Secret<AuthKey>,
        hash: String,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The password fits; with a new hash of it, where the kept one does not cost what hashes do today.
    Right(Option<String>),
    Wrong,
    /// A new hash to keep.
    Hashed(String),
}

impl PasswordJob {
    /// Does the work. `cost` is that of new hashes, `salt` 16 random bytes for one.
    pub fn run(self, cost: u32, salt: [u8; 16]) -> PasswordDone {
        let outcome = match &self.work {
            Work::Hash { auth } => Outcome::Hashed(hash(auth, cost, salt)),
            Work::Verify { auth, hash: Some(kept), .. } if verify(auth, kept) => {
                Outcome::Right((cost_of(kept) != Some(cost)).then(|| hash(auth, cost, salt)))
            }
            Work::Verify { auth, hash, dearest } => {
                for cost in still_owed(hash.as_deref(), cost.max(*dearest)) {
                    verify(auth, &nobody(cost));
                }
                Outcome::Wrong
            }
            Work::Change { old, new, hash: kept } if verify(old, kept) => Outcome::Hashed(hash(new, cost, salt)),
            Work::Change { .. } => Outcome::Wrong,
        };
        PasswordDone { outcome, purpose: self.purpose }
    }
}

fn hash(auth: &Secret<AuthKey>, cost: u32, salt: [u8; 16]) -> String {
    let parts = bcrypt::non_truncating_hash_with_salt(text(auth).expose(), cost, salt);
    parts.expect("43 characters are no more than 72, and the cost was checked with the configuration").to_string()
}

fn verify(auth: &Secret<AuthKey>, hash: &str) -> bool {
    bcrypt::non_truncating_verify(text(auth).expose(), hash).unwrap_or_else(|error| {
        tracing::error!(%error, "a stored password hash cannot be read");
        false
    })
}

// What is still to be checked after a wrong password, so that all of it together costs `dearest`, as it does where there
// is no kept hash that was checked. Cost n is 2^n rounds, and 2^k + (2^k + … + 2^(n-1)) of them are 2^n.
fn still_owed(kept: Option<&str>, dearest: u32) -> std::ops::Range<u32> {
    kept.map_or(dearest..dearest + 1, |kept| cost_of(kept).unwrap_or(COST_MIN)..dearest)
}

fn cost_of(kept: &str) -> Option<u32> {
    kept.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost())
}

// 43 characters without a NUL, so that bcrypt sees all of it.
fn text(auth: &Secret<AuthKey>) -> Secret<String> {
    Secret::new(STANDARD_NO_PAD.encode(auth.expose().as_bytes()))
}

// A well-formed hash of no known password.
fn nobody(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(22 + 31))
}

/// Cheapest and dearest cost allowed: bcrypt's own minimum, and about four seconds.
pub(crate) const COST_MIN: u32 = 4;
pub(crate) const COST_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(byte: u8) -> Secret<AuthKey> {
        Secret::new(AuthKey([byte; 32]))
    }

    #[test]
    fn hashes_are_bcrypt_of_all_of_the_key() {
        let kept = hash(&auth(1), COST_MIN, [7; 16]);
        assert!(kept.starts_with("$2b$04$") && kept.len() == 60);
        assert!(verify(&auth(1), &kept));
        let mut last = AuthKey([1; 32]);
        last.0[31] ^= 1;
        assert!(!verify(&Secret::new(last), &kept));
    }

    #[test]
    fn a_wrong_password_costs_the_same_whatever_the_kept_hash_costs_and_whether_there_is_one() {
        let rounds = |cost: u32| 1_u64 << cost;
        for dearest in COST_MIN..=COST_MAX {
            let owed = |kept: Option<u32>| still_owed(kept.map(nobody).as_deref(), dearest).map(rounds).sum::<u64>();
            assert_eq!(owed(None), rounds(dearest));
            assert!((COST_MIN..=dearest).all(|kept| rounds(kept) + owed(Some(kept)) == rounds(dearest)), "{dearest}");
        }
    }

    #[test]
    fn a_right_password_is_hashed_anew_at_todays_cost_and_at_no_other_time() {
        let run = |kept: u32, right: u8, cost: u32| {
            let work = Work::Verify { auth: auth(right), hash: Some(hash(&auth(1), kept, [7; 16])), dearest: kept };
            let user = common::names::UserName::parse("alice").unwrap();
            PasswordJob { work, purpose: Purpose::Change { user } }.run(cost, [8; 16]).outcome
        };
        for (kept, cost) in [(COST_MIN + 2, COST_MIN), (COST_MIN, COST_MIN + 2)] {
            let Outcome::Right(Some(anew)) = run(kept, 1, cost) else { panic!("{kept} is not {cost}") };
            assert!(cost_of(&anew) == Some(cost) && verify(&auth(1), &anew));
        }
        assert_eq!(run(COST_MIN, 1, COST_MIN), Outcome::Right(None));
        assert_eq!(run(COST_MIN, 2, COST_MIN + 2), Outcome::Wrong);
    }

    #[test]
    fn nobodys_hash_is_well_formed_and_costs_as_much() {
        let parts: bcrypt::HashParts = nobody(12).parse().unwrap();
        assert_eq!(parts.get_cost(), 12);
        assert!(!verify(&auth(1), &nobody(COST_MIN)));
    }
}
