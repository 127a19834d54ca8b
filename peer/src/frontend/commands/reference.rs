//! What names a message in a line: `^`, `^3`, `^bob`, or the beginning of its id. A word that only looks a little like
//! it is text.

use common::names::UserName;

use super::Arguments;
use crate::api::{Code, Reference, Refusal};

impl Arguments<'_> {
    /// Takes the next word if it names a message. `--` ends the search: what follows is text.
    pub(super) fn reference_if_any(&mut self) -> Result<Option<Reference>, Refusal> {
        if self.option("--") {
            return Ok(None);
        }
        let reference = self.peek().map_or(Ok(None), reference)?;
        if reference.is_some() {
            self.word()?;
        }
        Ok(reference)
    }
}

fn reference(word: &str) -> Result<Option<Reference>, Refusal> {
    let Some(rest) = word.strip_prefix('^') else { return Ok(id(word)) };
    if rest.is_empty() {
        return Ok(Some(Reference::Newest { back: 0 }));
    }
    if rest.bytes().all(|byte| byte.is_ascii_digit()) {
        let back = rest.parse::<u32>().ok().and_then(|count| count.checked_sub(1)).ok_or_else(|| {
            Refusal::new(Code::Usage, &format!("'{word}' names no message: '^' is the last, '^3' the third last."))
        })?;
        return Ok(Some(Reference::Newest { back }));
    }
    Ok(UserName::parse(rest.strip_prefix('@').unwrap_or(rest)).ok().map(Reference::By))
}

/// Hexadecimal digits, unless they are more likely a word: a face, a decade.
fn id(word: &str) -> Option<Reference> {
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = word.bytes().any(|byte| byte.is_ascii_digit()) || word.len() >= LETTERS_MIN;
    let fits = (DIGITS_MIN..=DIGITS_MAX).contains(&word.len());
    (is_hex && is_number && fits).then(|| Reference::Id(word.to_ascii_lowercase()))
}

/// One in 65,536: enough for what one remembers of today.
const DIGITS_MIN: usize = 4;
const DIGITS_MAX: usize = 64;

/// No word of a common language is that long and spelled with a to f alone.
const LETTERS_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<Reference>) {
        assert_eq!(reference(word).unwrap(), expected, "{word}");
    }

    #[test]
    fn messages_are_named_and_words_are_not_taken_for_names() {
        check("^", Some(Reference::Newest { back: 0 }));
        check("^1", Some(Reference::Newest { back: 0 }));
        check("^3", Some(Reference::Newest { back: 2 }));
        check("^bob", Some(Reference::By(UserName::parse("bob").unwrap())));
        check("1F4A", Some(Reference::Id("1f4a".to_owned())));
        check("abcdefab", Some(Reference::Id("abcdefab".to_owned())));
        for word in ["face", "decade", "^_^", "^^", "12", "12x4", "hello"] {
            check(word, None);
        }
        assert_eq!(reference("^0").unwrap_err().code, Code::Usage);
    }
}
