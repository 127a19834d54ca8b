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

/// The question for texts with all of `words` in them, the last perhaps only begun; `None` if there is no word among
/// them. Whatever was typed stands in quotes and is nothing but words.
pub(super) fn question(words: &[String]) -> Option<String> {
    let mut phrases: Vec<String> = Vec::new();
    let mut may_go_on = false;
    for word in words {
        let phrase = separated(&word.replace('"', " "));
        let phrase = phrase.trim();
        if phrase.chars().any(is_of_a_word) {
            // After a character that stands alone nothing can go on, and one letter begins half of all words.
            let last: String = phrase.chars().rev().take_while(|c| is_of_a_word(*c)).collect();
            may_go_on = last.chars().count() >= BEGINNING_CHARS_MIN;
            phrases.push(format!("\"{phrase}\""));
        }
    }
    let star = if may_go_on { "*" } else { "" };
    (!phrases.is_empty()).then(|| format!("text : ({}{star})", phrases.join(" ")))
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

    fn asked(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        question(&words)
    }

    #[test]
    fn what_is_typed_is_words_and_never_a_question_of_its_own() {
        assert_eq!(asked(&["deploy", "NOT", "x"]).unwrap(), r#"text : ("deploy" "NOT" "x")"#);
        assert_eq!(asked(&["say \"hi", "gre*"]).unwrap(), r#"text : ("say  hi" "gre*")"#);
        assert_eq!(asked(&["green"]).unwrap(), r#"text : ("green"*)"#);
        assert_eq!(asked(&["東京"]).unwrap(), "text : (\"東  京\")");
        assert_eq!(asked(&["-", "\"", "(", "…"]), None);
    }

    #[test]
    fn texts_are_set_apart_where_their_script_does_not() {
        assert_eq!(separated("in 東京 now"), "in  東  京  now");
        assert_eq!(separated("ＡＢ\u{0}cafe\u{301} ❤\u{fe0f}"), "AB cafe  ❤ ");
    }

    proptest! {
        #[test]
        fn no_quotation_mark_gets_through(words in proptest::collection::vec("\\PC{0,12}", 0..4)) {
            if let Some(question) = question(&words) {
                prop_assert_eq!(question.matches('"').count() % 2, 0);
                prop_assert!(!question.contains('\0'));
            }
        }
    }
}
