//! The keys of one identity, one after the other. The first of them is the identity, and names the person for ever: in
//! chains, rooms, bans and pins. Each later one is signed by the one before it, and itself signs whatever shows it, so
//! that nobody can be made the successor of a stranger. Only [`check`] and [`successor`] say which key counts.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::sign::{self, SignError};
use crate::ids::{EventKey, IdentityKey, Signature};
use crate::limits::ROTATIONS_MAX;
use crate::wire::bounded::List;

/// The key before says: from now on it is `key` that speaks for this identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub key: IdentityKey,
    /// What events were signed with under the key before: those still count.
    pub event: EventKey,
    /// By the key before, over what `covered` puts together.
    #[serde(rename = "sig")]
    pub signature: Signature,
}

/// Every step of an identity so far, the first one first.
pub type Rotations = List<Rotation, ROTATIONS_MAX>;

/// What one statement says of an identity's keys, beside what another says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    Same,
    /// It goes on where the other ends.
    Newer,
    /// The other goes on where it ends: its key was given up.
    Older,
    /// Another identity, or one key with two successors.
    Foreign,
}

/// The same steps and one more, from the key behind `before`; `None` if there were as many as there may be.
pub fn extend(
    identity: &IdentityKey,
    rotations: &Rotations,
    before: &SigningKey,
    event: EventKey,
    key: IdentityKey,
) -> Option<Rotations> {
    let covered = covered(identity, rotations.len(), &key, &event);
    let signature = sign::sign_bytes(CONTEXT, &covered, before);
    let step = Rotation { key, event, signature };
    List::new(rotations.iter().cloned().chain([step]).collect()).ok()
}

/// The key that speaks for `identity` now, if each step was signed by the key before it and no key comes twice.
pub fn check(identity: &IdentityKey, rotations: &Rotations) -> Result<IdentityKey, SignError> {
    let mut keys = vec![*identity];
    for (number, Rotation { key, event, signature }) in rotations.iter().enumerate() {
        let before = keys[number];
        sign::verify_bytes(CONTEXT, &covered(identity, number, key, event), signature, before.as_bytes())?;
        if keys.contains(key) {
            return Err(SignError::Key);
        }
        keys.push(*key);
    }
    Ok(newest(identity, rotations))
}

/// The same, if the steps lead on from `present`, which spoke for the identity before.
pub fn successor(
    identity: &IdentityKey,
    present: &IdentityKey,
    rotations: &Rotations,
) -> Result<IdentityKey, SignError> {
    let key = check(identity, rotations)?;
    let is_known = present == identity || rotations.iter().any(|step| step.key == *present);
    if is_known && key != *present { Ok(key) } else { Err(SignError::Key) }
}

/// The key that speaks for `identity` by steps that were checked.
pub fn newest(identity: &IdentityKey, rotations: &Rotations) -> IdentityKey {
    rotations.last().map_or(*identity, |step| step.key)
}

/// What a step's signature covers: identity, number of the step from 0, the new key, the event key so far. It names
/// neither realm nor name: an identity is made for one name of one realm, and what shows the steps says which.
fn covered(identity: &IdentityKey, number: usize, key: &IdentityKey, event: &EventKey) -> Vec<u8> {
    let number = u8::try_from(number).expect("there are few steps");
    [identity.as_bytes().as_slice(), &[number], key.as_bytes(), event.as_bytes()].concat()
}

const CONTEXT: &str = "p2p-chat key rotation v1";

const _: () = assert!(ROTATIONS_MAX < 256);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::secure::identity::{KEYS_BYTES, Keys};

    fn seed(byte: u8) -> Secret<[u8; KEYS_BYTES]> {
        Secret::new([byte; KEYS_BYTES])
    }

    /// Keys that followed each other, the first one first.
    fn line(length: usize) -> Vec<Keys> {
        let mut keys = vec![Keys::from_seed(&seed(1))];
        for byte in 2.. {
            if keys.len() > length {
                break;
            }
            let next = keys.last().unwrap().succeeded_by(&seed(byte)).unwrap();
            keys.push(next);
        }
        keys
    }

    fn steps(keys: &Keys) -> Vec<Rotation> {
        keys.rotations().clone().into_vec()
    }

    fn checked(steps: Vec<Rotation>) -> Result<IdentityKey, SignError> {
        check(&line(0)[0].identity(), &List::new(steps).unwrap())
    }

    #[test]
    fn each_key_is_signed_by_the_one_before() {
        let keys = line(ROTATIONS_MAX);
        let last = keys.last().unwrap();
        assert_eq!(checked(steps(last)), Ok(last.key()));
        assert_eq!(last.identity(), keys[0].identity());
        assert_ne!(last.identity(), last.key());
        assert!(last.succeeded_by(&seed(99)).is_none(), "there is an end to it");
        assert_eq!(checked(Vec::new()), Ok(keys[0].identity()));
    }

    #[test]
    fn a_step_that_is_changed_left_out_or_moved_is_refused() {
        let good = steps(&line(3)[3]);
        assert!(checked(good[1..].to_vec()).is_err(), "the first step is missing");
        assert!(checked(vec![good[0].clone(), good[2].clone()]).is_err());
        assert!(checked(vec![good[1].clone(), good[0].clone()]).is_err());
        for index in 0..good.len() {
            let changed = |change: fn(&mut Rotation)| {
                let mut steps = good.clone();
                change(&mut steps[index]);
                checked(steps)
            };
            assert!(changed(|step| step.key.0[0] ^= 1).is_err());
            assert!(changed(|step| step.event.0[0] ^= 1).is_err());
            assert!(changed(|step| step.signature.0[40] ^= 1).is_err());
        }
    }

    #[test]
    fn somebody_elses_step_leads_nowhere() {
        let mallory = Keys::from_seed(&seed(50)).succeeded_by(&seed(51)).unwrap();
        assert!(checked(steps(&mallory)).is_err());
        let own =
            extend(&line(0)[0].identity(), &List::default(), mallory.identity_signer(), mallory.event(), mallory.key());
        assert!(checked(own.unwrap().into_vec()).is_err(), "signed by another than the key before");
    }

    #[test]
    fn steps_that_go_round_are_refused() {
        let keys = line(2);
        let [first, last] = [&keys[0], &keys[2]];
        let round = extend(&first.identity(), last.rotations(), last.identity_signer(), last.event(), first.identity());
        assert_eq!(checked(round.unwrap().into_vec()), Err(SignError::Key));
    }

    #[test]
    fn only_what_leads_on_succeeds() {
        let keys = line(3);
        let identity = keys[0].identity();
        let leads = |from: usize, to: usize| successor(&identity, &keys[from].key(), keys[to].rotations());
        assert_eq!(leads(0, 1), Ok(keys[1].key()));
        assert_eq!(leads(1, 3), Ok(keys[3].key()));
        assert!(leads(1, 1).is_err() && leads(2, 1).is_err() && leads(1, 0).is_err());
        let other = keys[1].succeeded_by(&seed(77)).unwrap();
        assert!(successor(&identity, &keys[2].key(), other.rotations()).is_err(), "two successors of one key");
    }

    #[test]
    fn statements_say_which_came_first() {
        let keys = line(2);
        let claim = |keys: &Keys| {
            let name = crate::names::UserName::parse("alice").unwrap();
            keys.statement(crate::ids::RealmId([8; 32]), name).claim().unwrap()
        };
        let [first, second, third] = [0, 1, 2].map(|index| claim(&keys[index]));
        assert_eq!(first.against(&first), Lineage::Same);
        assert_eq!(third.against(&first), Lineage::Newer);
        assert_eq!(first.against(&third), Lineage::Older);
        assert_eq!(second.against(&claim(&keys[0].succeeded_by(&seed(77)).unwrap())), Lineage::Foreign);
        assert_eq!(first.against(&claim(&Keys::from_seed(&seed(9)))), Lineage::Foreign);
        let mut other_device = first.clone();
        other_device.event = EventKey([9; 32]);
        assert_eq!(other_device.against(&third), Lineage::Foreign, "that key never spoke through this device");
    }
}
