//! The safety number: sixty digits that two people compare, over the phone or the shoulder, to know that each holds
//! the other's key. Both sides come to the same one, whoever asks; another key on either side makes another number.

use crate::ids::{self, IdentityKey, RealmId};
use crate::names::UserName;

/// The number of two people in a realm, as twelve groups of five digits between spaces.
pub fn safety_number(realm: &RealmId, one: (&UserName, &IdentityKey), other: (&UserName, &IdentityKey)) -> String {
    let (first, second) = if one.0 <= other.0 { (one, other) } else { (other, one) };
    let groups: Vec<String> = [first, second].into_iter().flat_map(|person| half(realm, person)).collect();
    groups.join(" ")
}

/// The sixty digits in `text`, which may stand in groups between spaces; `None` if it is anything else.
pub fn parse_digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// What one person adds: six groups. Each costs its digits of somebody who looks for a key with the same ones.
fn half(realm: &RealmId, (user, identity): (&UserName, &IdentityKey)) -> [String; 6] {
    let mut hash = ids::hash(CONTEXT, &[realm.as_bytes(), user.as_str().as_bytes(), &[0], identity.as_bytes()]);
    for _ in 0..ROUNDS {
        hash = ids::hash(CONTEXT, &[&hash, identity.as_bytes()]);
    }
    let group = |index: usize| {
        let bytes = &hash[index * 5..(index + 1) * 5];
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    std::array::from_fn(group)
}

/// Twelve groups of five.
pub const DIGITS: usize = 60;

const CONTEXT: &str = "p2p-chat safety number v1";
/// Makes each try of somebody who looks for a key with the same digits a few thousand times dearer.
const ROUNDS: u32 = 5200;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    #[test]
    fn both_sides_see_the_same_and_anything_else_is_another() {
        let (alice, bob) = (name("alice"), name("bob"));
        let (one, two) = (IdentityKey([1; 32]), IdentityKey([2; 32]));
        let realm = RealmId([7; 32]);
        let number = safety_number(&realm, (&alice, &one), (&bob, &two));
        assert_eq!(number, safety_number(&realm, (&bob, &two), (&alice, &one)));
        assert_eq!(number.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
        let others = [
            safety_number(&RealmId([8; 32]), (&alice, &one), (&bob, &two)),
            safety_number(&realm, (&alice, &two), (&bob, &one)),
            safety_number(&realm, (&alice, &one), (&bob, &IdentityKey([3; 32]))),
            safety_number(&realm, (&alice, &one), (&name("bop"), &two)),
        ];
        assert!(others.iter().all(|other| *other != number));
    }

    #[test]
    fn digits_are_read_with_and_without_spaces() {
        let grouped = ["12345"; 12].join(" ");
        let digits = "12345".repeat(12);
        assert_eq!(parse_digits(&grouped).as_ref(), Some(&digits));
        assert_eq!(parse_digits(&digits).as_ref(), Some(&digits));
        for wrong in ["", "12345", &digits[1..], &format!("{digits}1"), &digits.replace('1', "x")] {
            assert_eq!(parse_digits(wrong), None, "{wrong}");
        }
    }
}
