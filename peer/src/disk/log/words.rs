//! How a text becomes words of the index, and what a person looks for becomes a question to it: the same for both, so
//! that what is written can be found. A script that does not put spaces between its words is taken character by
//! character, and a word of it is found as a phrase.

/// A text with every character that stands alone set off by spaces, marks without a meaning of their own left out, and
/// the wide letters of East Asian keyboards as plain ones. Case and accents are the index's own business.
pub(super) fn separated(text: &str) -> String {
    let mut separated = String::with_capacity(text.len() + text.len() / 2);
    for c in text.chars() {
        match c {
            // Combining accents, selectors of a variant, joiners: nobody types them twice the same way.
            '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{ad}' => {}
            '\u{ff01}'..='\u{ff5e}' => separated.extend(char::from_u32(u32::from(c) - 0xfee0)),
            c if c.is_control() => separated.push(' '),
            c if stands_alone(c) => separated.extend([' ', c, ' ']),
            c => separated.push(c),
        }
    }
    separated
}

/// What somebody looks for: texts with all of these words in them, the last perhaps only begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Phrases without their quotation marks.
    phrases: Vec<String>,
    may_go_on: bool,
}

impl Asked {
    /// `None` if there is no word among them. Whatever was typed is nothing but words.
    pub(super) fn of(words: &[String]) -> Option<Self> {
        let mut asked = Self { phrases: Vec::new(), may_go_on: false };
        for word in words {
            // Last of all: the wide one has become a plain one.
            let phrase = separated(word).replace('"', " ");
            let phrase = phrase.trim();
            if phrase.chars().any(is_of_a_word) {
                // After a character that stands alone nothing can go on, and one letter begins half of all words.
                asked.may_go_on = split_last_word(phrase).1.chars().count() >= BEGINNING_CHARS_MIN;
                asked.phrases.push(phrase.to_owned());
            }
        }
        (!asked.phrases.is_empty()).then_some(asked)
    }

    /// The word that may go on, as words stand in the index. `None` if none may, or if how the index folds its letters
    /// is the index's own business.
    pub(super) fn begun(&self) -> Option<String> {
        let (before, word) = split_last_word(self.phrases.last().filter(|_| self.may_go_on)?);
        let is_plain = word.is_ascii() && before.chars().next_back().is_none_or(|c| c.is_ascii());
        is_plain.then(|| word.to_ascii_lowercase())
    }

    /// The question to the index. With all words of the index that begin as the last one does it is answered by reading
    /// what is newest; without them the index puts together everything that was ever said with any of them.
    pub(super) fn question(&self, known: Option<&[String]>) -> String {
        let quoted = |phrase: &String| format!("\"{phrase}\"");
        let (last, whole) = self.phrases.split_last().expect("there is a word");
        let last = match known {
            Some(known @ [_, ..]) => {
                let (before, _) = split_last_word(last);
                let ends: Vec<String> = known.iter().map(|word| quoted(&format!("{before}{word}"))).collect();
                format!("({})", ends.join(" OR "))
            }
            None if self.may_go_on => quoted(last) + "*",
            _ => quoted(last),
        };
        let all: Vec<String> = whole.iter().map(quoted).chain([last]).collect();
        format!("text : ({})", all.join(" AND "))
    }
}

/// A phrase without the letters and digits that it ends with, and those.
fn split_last_word(phrase: &str) -> (&str, &str) {
    let begin = phrase.char_indices().rev().take_while(|(_, c)| is_of_a_word(*c)).last();
    phrase.split_at(begin.map_or(phrase.len(), |(at, _)| at))
}

/// As the index's own tokenizer sees it, or a little more generously.
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || stands_alone(c)
}

/// Characters that are found one by one: of scripts written without spaces, of Korean, whose words carry their
/// endings with them, and pictures.
fn stands_alone(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Tibetan, Burmese, Khmer, Tai.
        '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19ff}'
        | '\u{1a20}'..='\u{1aaf}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}'
        // Chinese, Japanese, Korean.
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}'
        // Arrows, signs, emoji.
        | '\u{a6}' | '\u{a9}' | '\u{ae}' | '\u{b0}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// A word that has only been begun is looked for from this many letters on.
const BEGINNING_CHARS_MIN: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(words: &[&str]) -> Option<Asked> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Asked::of(&words)
    }

    fn question(words: &[&str]) -> String {
        asked(words).unwrap().question(None)
    }

    #[test]
    fn what_is_typed_is_words_and_never_a_question_of_its_own() {
        assert_eq!(question(&["deploy", "NOT", "x"]), r#"text : ("deploy" AND "NOT" AND "x")"#);
        assert_eq!(question(&["say \"hi", "gre*"]), r#"text : ("say  hi" AND "gre*")"#);
        assert_eq!(question(&["green"]), r#"text : ("green"*)"#);
        assert_eq!(question(&["x＂ OR text : ＂y"]), r#"text : ("x  OR text :  y")"#);
        assert_eq!(question(&["東京"]), "text : (\"東  京\")");
        assert_eq!(asked(&["-", "\"", "(", "…"]), None);
    }

    #[test]
    fn a_word_that_may_go_on_is_asked_for_as_the_words_it_may_be() {
        let question = |words: &[&str], known: &[&str]| {
            let known: Vec<String> = known.iter().map(|word| (*word).to_owned()).collect();
            asked(words).unwrap().question(Some(&known))
        };
        let begun = |words: &[&str]| asked(words).unwrap().begun();
        assert_eq!(begun(&["the", "Rel"]).as_deref(), Some("rel"));
        assert_eq!(question(&["the", "Rel"], &["relay", "rely"]), r#"text : ("the" AND ("relay" OR "rely"))"#);
        assert_eq!(question(&["in 東rel"], &["relay"]), "text : ((\"in  東 relay\"))");
        assert_eq!(question(&["rel"], &[]), r#"text : ("rel")"#, "no word begins so");
        for whole in [&["x"][..], &["東京"], &["gre*"], &["Zür"]] {
            assert_eq!(begun(whole), None, "{whole:?}");
        }
    }

    #[test]
    fn texts_are_set_apart_where_their_script_does_not() {
        assert_eq!(separated("in 東京 now"), "in  東  京  now");
        assert_eq!(separated("ＡＢ\u{0}cafe\u{301} ❤\u{fe0f}"), "AB cafe  ❤ ");
    }

    proptest! {
        #[test]
        fn no_quotation_mark_gets_through(words in proptest::collection::vec("\\PC{0,12}", 0..4)) {
            if let Some(asked) = Asked::of(&words) {
                let question = asked.question(None);
                prop_assert_eq!(question.matches('"').count() % 2, 0);
                prop_assert!(!question.contains('\0'));
                let begun = asked.begun().unwrap_or_default();
                prop_assert_eq!(asked.question(Some(&[begun + "s"])).matches('"').count() % 2, 0);
            }
        }
    }
}
