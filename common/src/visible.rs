//! Text from others, or from a command line, made harmless: whatever steers a terminal, hides, or turns the writing
//! direction becomes visible instead. Both programs pass through here what they write for people, screens and logs alike.

use std::io::{self, Write};

use unicode_width::UnicodeWidthChar;

/// One line: a newline in it becomes visible too.
pub fn line(text: &str) -> String {
    sanitize(text, false)
}

/// A text of several lines: its newlines stay.
pub fn lines(text: &str) -> String {
    sanitize(text, true)
}

/// Whether a character steers a terminal or hides in it: controls, bidirectional and other format characters, what
/// has no width and no ink, tags, line and paragraph separators.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF)
}

/// Whether a hidden character is part of an emoji, and stays where [`line()`] and [`lines()`] left it.
pub fn is_emoji_glue(c: char) -> bool {
    c == ZERO_WIDTH_JOINER || c == EMOJI_STYLE
}

/// Counts combining marks, for those who write text as it is.
#[derive(Debug, Default)]
pub struct Tower {
    marks: usize,
}

impl Tower {
    /// Whether `c` is a mark too many on the letter before it.
    pub fn is_too_high(&mut self, c: char) -> bool {
        self.marks = if c.width() == Some(0) { self.marks + 1 } else { 0 };
        self.marks > MARKS_MAX
    }
}

/// A log's way out: each write is one entry, and comes out as one line that cannot control a terminal.
#[derive(Debug)]
pub struct LogLines<W: Write>(W);

impl<W: Write> LogLines<W> {
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let line = line(text.trim_end_matches('\n'));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn sanitize(text: &str, newlines: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    // What the next combining mark would sit on, and how many sit there already.
    let (mut base, mut marks) = (None, 0);
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        match c {
            '\r' if newlines && next == Some('\n') => continue,
            '\n' if newlines => safe.push('\n'),
            '\t' => safe.push_str("    "),
            ZERO_WIDTH_JOINER if base.is_some_and(joins) && next.is_some_and(joins) => {
                safe.push(c);
                continue;
            }
            EMOJI_STYLE if base.is_some_and(joins) && base != Some(EMOJI_STYLE) => safe.push(c),
            _ if is_hidden(c) => safe.push_str(&visible(c)),
            _ if c.width() == Some(0) => {
                marks += 1;
                match base {
                    None => safe.push_str(&visible(c)),
                    Some(_) if marks <= MARKS_MAX => safe.push(c),
                    Some(_) if marks == MARKS_MAX + 1 => safe.push(char::REPLACEMENT_CHARACTER),
                    Some(_) => {}
                }
                continue;
            }
            _ => safe.push(c),
        }
        marks = 0;
        base = (c != '\n').then_some(c);
    }
    safe
}

/// What is shown instead of a hidden character.
fn visible(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0x1F => char::from_u32(0x2400 + code).map_or_else(String::new, String::from),
        0x7F => "\u{2421}".to_owned(),
        code => format!("<U+{code:04X}>"),
    }
}

/// Emoji and pictographs, which a joiner may join and a style selector may follow.
fn joins(c: char) -> bool {
    matches!(u32::from(c), 0xA9 | 0xAE | 0x203C | 0x2049 | 0x2122 | 0x2139 | 0x2190..=0x21FF | 0x2300..=0x23FF
        | 0x2460..=0x24FF | 0x25A0..=0x27BF | 0x2900..=0x297F | 0x2B00..=0x2BFF | 0x3030 | 0x303D | 0x3297 | 0x3299
        | 0xFE0F | 0x1F000..=0x1FAFF)
        || matches!(c, '#' | '*' | '0'..='9')
}

const ZERO_WIDTH_JOINER: char = '\u{200D}';
const EMOJI_STYLE: char = '\u{FE0F}';

/// Vietnamese and Hebrew stack two or three marks on a letter; a tower of them paints over other people's lines.
pub const MARKS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(lines(text), expected, "{text:?}");
    }

    #[test]
    fn what_hides_becomes_visible() {
        check("plain ✓ é 漢字", "plain ✓ é 漢字");
        check("\x1b[2Jgone", "␛[2Jgone");
        check("a\rb", "a␍b");
        check("a\r\nb", "a\nb");
        check("a\tb", "a    b");
        check("\u{9b}31m", "<U+009B>31m");
        check("\u{202e}cba", "<U+202E>cba");
        check("a\u{200b}b\u{feff}", "a<U+200B>b<U+FEFF>");
        check("\u{e0041}", "<U+E0041>");
        check("a\u{2028}b", "a<U+2028>b");
        check("\u{7f}\0\x07", "␡␀␇");
        assert_eq!(line("a\nb"), "a␊b");
    }

    #[test]
    fn emoji_stay_whole_and_towers_of_marks_fall() {
        check("👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}", "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}");
        check("a\u{200d}b", "a<U+200D>b");
        check("\u{301}a", "<U+0301>a");
        let tower = format!("a{}b", "\u{301}".repeat(200));
        check(&tower, &format!("a{}\u{fffd}b", "\u{301}".repeat(4)));
    }

    #[test]
    fn an_entry_of_a_log_is_one_harmless_line() {
        let mut log = LogLines::new(Vec::new());
        log.write_all(b"WARN \x1b]0;owned\x07 of eve\nERROR forged\xff\n").unwrap();
        log.write_all("WARN \u{202e}next\n".as_bytes()).unwrap();
        let text = String::from_utf8(log.0).unwrap();
        assert_eq!(text, "WARN ␛]0;owned␇ of eve␊ERROR forged\u{fffd}\nWARN <U+202E>next\n");
    }
}
