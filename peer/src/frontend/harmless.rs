//! What a text is where a face has let go of it, judged by another list than the one it was made by: this must not agree
//! with the code by being the code. Tests and fuzzers ask; the program never does.

use common::visible::{MARKS_MAX, is_emoji_glue, is_hidden};
use unicode_width::UnicodeWidthChar;

/// No character steers a terminal or hides, and no tower of marks leaves its line. `newlines`: they may stand in it.
pub(crate) fn check(text: &str, newlines: bool) {
    let mut marks = 0;
    for c in text.chars() {
        let is_allowed = (newlines && c == '\n') || is_emoji_glue(c);
        assert!(is_allowed || !(steers(c) || is_hidden(c)), "{c:?} in {text:?}");
        marks = if c.width() == Some(0) && !is_emoji_glue(c) { marks + 1 } else { 0 };
        assert!(marks <= MARKS_MAX, "a tower in {text:?}");
    }
}

/// The same of rows that the program painted: nothing but its colours comes on top.
pub(crate) fn check_painted(rows: &str, newlines: bool) {
    check(&without_colors(rows), newlines);
}

/// What is left without colours, which are the only sequences that there may be.
pub(crate) fn without_colors(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (numbers, rest) = part.strip_prefix('[').and_then(|part| part.split_once('m')).expect("a colour");
        assert!(numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{numbers:?}");
        bare.push_str(rest);
    }
    bare
}

/// The worst of what hides.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
