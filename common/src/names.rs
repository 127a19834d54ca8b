//! Names of people and rooms: parsed once at the border, trusted inside.
//! A name is folded to lower case, so that two spellings can never be two accounts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an account: `[a-z0-9][a-z0-9_-]{1,23}`, folded to lower case, not reserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// The name of a room: `#` and then the same alphabet as a [`UserName`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// Why a name was refused, in the words a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a name has 2 to 24 characters")]
    Length,
    #[error("a name begins with a letter or a digit")]
    Start,
    #[error("a name has only the letters a-z, digits, '_' and '-'")]
    Character,
    #[error("that name is reserved")]
    Reserved,
    #[error("a room's name begins with '#'")]
    NoHash,
}

impl UserName {
    /// Parses and folds a name typed by a person or read from the wire.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let folded = fold(text)?;
        if RESERVED.contains(&folded.as_str()) {
            return Err(BadName::Reserved);
        }
        Ok(Self(folded))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` has the name in it as a word of its own.
    pub fn is_said_in(&self, text: &str) -> bool {
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        text.split(|c: char| !part(c)).any(|word| word.eq_ignore_ascii_case(&self.0))
    }

    /// Whether a reader may take this name for another one.
    pub fn looks_like(&self, other: &Self) -> bool {
        self != other && self.skeleton() == other.skeleton()
    }

    /// What is left of the name where everything that looks alike is the same letter.
    fn skeleton(&self) -> String {
        let paired = PAIRS.iter().fold(self.0.clone(), |name, (pair, letter)| name.replace(pair, letter));
        let alike = |c: char| match c {
            '0' => 'o',
            '1' | 'i' => 'l',
            '_' => '-',
            other => other,
        };
        paired.chars().map(alike).collect()
    }
}

impl RoomName {
    /// Parses a room's name, which must carry its `#`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let bare = text.strip_prefix('#').ok_or(BadName::NoHash)?;
        Ok(Self(format!("#{}", fold(bare)?)))
    }

    /// The name with its `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fold(text: &str) -> Result<String, BadName> {
    let length = text.chars().count();
    if !(NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&length) {
        return Err(BadName::Length);
    }
    let folded = text.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !folded.chars().all(|c| plain(c) || c == '_' || c == '-') {
        return Err(BadName::Character);
    }
    if !folded.starts_with(plain) {
        return Err(BadName::Start);
    }
    Ok(folded)
}

macro_rules! name_plumbing {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_plumbing!(UserName);
name_plumbing!(RoomName);

/// Shortest and longest name, in characters, without a room's `#`.
pub const NAME_CHARS_MIN: usize = 2;
pub const NAME_CHARS_MAX: usize = 24;

/// Two letters that look like one, in most typefaces.
const PAIRS: [(&str, &str); 3] = [("rn", "m"), ("vv", "w"), ("cl", "d")];

/// Names that could be mistaken for the program itself speaking.
const RESERVED: [&str; 11] =
    ["all", "everyone", "here", "me", "moderator", "nobody", "registry", "room", "server", "system", "you"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_fold_and_are_checked() {
        assert_eq!(UserName::parse("Alice").unwrap().as_str(), "alice");
        assert_eq!(UserName::parse("a"), Err(BadName::Length));
        assert_eq!(UserName::parse(&"a".repeat(25)), Err(BadName::Length));
        assert_eq!(UserName::parse("-ab"), Err(BadName::Start));
        assert_eq!(UserName::parse("a b"), Err(BadName::Character));
        for foreign in ["аlice", "ａlice", "alicé", "ali\u{200b}ce", "alice\u{202e}", "ﬁona", "ßen", "alice\u{e0041}"]
        {
            assert_eq!(UserName::parse(foreign), Err(BadName::Character), "{foreign:?}");
        }
        assert_eq!(UserName::parse("System"), Err(BadName::Reserved));
        assert_eq!(RoomName::parse("dev"), Err(BadName::NoHash));
        assert_eq!(RoomName::parse("#Dev").unwrap().as_str(), "#dev");
    }

    #[test]
    fn names_are_said_as_words_only() {
        let name = UserName::parse("al").unwrap();
        assert!(name.is_said_in("hey AL!") && name.is_said_in("@al: look"));
        assert!(!name.is_said_in("also") && !name.is_said_in("al-2"));
    }

    #[test]
    fn names_that_look_alike_are_told_apart_from_those_that_do_not() {
        let looks_like = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|name| UserName::parse(name).unwrap());
            assert_eq!(one.looks_like(&other), other.looks_like(&one), "{one} {other}");
            one.looks_like(&other)
        };
        for (one, other) in [
            ("bob", "b0b"),
            ("alice", "a1ice"),
            ("alice", "aiice"),
            ("modern", "modem"),
            ("bot-1", "bot_l"),
            ("wendy", "vvendy"),
            ("dave", "clave"),
            ("rnarnie", "mamle"),
        ] {
            assert!(looks_like(one, other), "{one} and {other}");
        }
        for (one, other) in [("bob", "bob"), ("bob", "bop"), ("carol", "carl"), ("dave", "dove"), ("mia", "nia")] {
            assert!(!looks_like(one, other), "{one} and {other}");
        }
    }

    proptest! {
        /// Nothing of Unicode beyond the alphabet gets into a name: no look-alike of another script, no mark, nothing
        /// that hides or steers.
        #[test]
        fn nothing_but_the_alphabet_is_a_name(
            before in "[a-z0-9]{1,5}", c in "[^a-zA-Z0-9_-]", after in "[a-z0-9]{0,5}",
        ) {
            let [name, room] = ["", "#"].map(|mark| format!("{mark}{before}{c}{after}"));
            prop_assert!(UserName::parse(&name).is_err());
            prop_assert!(RoomName::parse(&room).is_err());
        }

        #[test]
        fn parsing_is_idempotent(text in "\\PC{0,30}") {
            if let Ok(name) = UserName::parse(&text) {
                prop_assert_eq!(UserName::parse(name.as_str()).unwrap(), name);
            }
        }
    }
}
