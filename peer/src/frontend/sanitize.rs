//! Text from others, made harmless: [`Safe`] is the only thing the terminal's printer accepts, and this file the only
//! one that can make it. What hides was made visible by [`visible`]; a newline survives only inside a message, whose
//! further rows the renderer marks, so that nobody can forge a line.

use std::fmt;

use common::visible;
use unicode_width::UnicodeWidthChar;

/// Text that cannot control a terminal. Colour is added here too, from a closed list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safe(String);

/// What a piece of text is painted as; 16-colour ANSI only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Dim,
    Bold,
    Error,
    Warning,
    Command,
    /// One of [`NAME_PAINTS`] colours.
    Name(usize),
}

/// How many colours names can have: no red and no yellow, which mean something, no black and no white.
pub const NAME_PAINTS: usize = NAME_COLORS.len();

impl Safe {
    /// Words of the program itself.
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// One line from anywhere: a newline in it becomes visible too.
    pub fn line(text: &str) -> Self {
        Self(visible::line(text))
    }

    /// One line of what can be displayed: names, numbers, addresses.
    pub fn shown(value: impl fmt::Display) -> Self {
        Self::line(&value.to_string())
    }

    /// A message: its newlines stay.
    pub fn message(text: &str) -> Self {
        Self(visible::lines(text))
    }

    /// The bell character; nothing else makes a sound.
    pub fn bell() -> Self {
        Self("\x07".to_owned())
    }

    pub fn painted(self, paint: Paint) -> Self {
        use colored::Colorize;
        if self.0.is_empty() {
            return self;
        }
        let text = self.0.as_str();
        let painted = match paint {
            Paint::Dim => text.dimmed(),
            Paint::Bold => text.bold(),
            Paint::Error => text.red(),
            Paint::Warning => text.yellow(),
            Paint::Command => text.cyan(),
            Paint::Name(number) => text.color(NAME_COLORS[number % NAME_COLORS.len()]),
        };
        Self(painted.to_string())
    }

    /// Unpainted text with these words in bold where they begin a word, in any case.
    #[must_use]
    pub fn emphasised(self, words: &[String]) -> Self {
        let mut emphasised = Self::empty();
        let (mut rest, mut plain, mut before) = (self.0.as_str(), String::new(), None);
        while let Some(c) = rest.chars().next() {
            let begins = !(c.is_ascii_alphanumeric() && before.is_some_and(char::is_alphanumeric));
            let found = words.iter().filter(|_| begins).filter_map(|word| matching(rest, word)).max();
            let end = found.unwrap_or(c.len_utf8());
            let (piece, behind) = rest.split_at(end);
            match found {
                Some(_) => {
                    emphasised.0.push_str(&std::mem::take(&mut plain));
                    emphasised.push(&Self(piece.to_owned()).painted(Paint::Bold));
                }
                None => plain.push_str(piece),
            }
            before = piece.chars().next_back();
            rest = behind;
        }
        emphasised.0.push_str(&plain);
        emphasised
    }

    pub fn push(&mut self, more: &Self) {
        self.0.push_str(&more.0);
    }

    pub fn with(mut self, more: &Self) -> Self {
        self.push(more);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cuts unpainted text into rows at its newlines, and where it would pass `columns` if there is a width; the first
    /// row has `first` columns fewer, every other `rest` fewer. Prefers to cut at a space.
    pub fn rows(&self, columns: Option<usize>, first: usize, rest: usize) -> Vec<Self> {
        let mut rows = Vec::new();
        for line in self.0.split('\n') {
            let Some(columns) = columns else {
                rows.push(Self(line.to_owned()));
                continue;
            };
            let mut left = line;
            loop {
                let taken = if rows.is_empty() { first } else { rest };
                let end = cut(left, columns.saturating_sub(taken).max(ROW_COLUMNS_MIN));
                rows.push(Self(left[..end].trim_end().to_owned()));
                left = left[end..].trim_start();
                if left.is_empty() {
                    break;
                }
            }
        }
        rows
    }

    /// Cuts one finished row, colours and all, where it would pass `columns`; further rows begin with `continued`.
    /// So not even a long topic reaches the left edge, where only the program writes.
    pub fn wrapped(self, columns: Option<usize>, continued: &Self) -> Vec<Self> {
        let Some(columns) = columns.filter(|columns| painted_width(&self.0) > *columns) else { return vec![self] };
        let indent = painted_width(&continued.0);
        let columns = columns.max(indent + ROW_COLUMNS_MIN);
        let mut rows = Vec::new();
        let mut row = Unfinished::default();
        // A space at the end of a row goes, and the marks on it go too: they would pile up on the letter before it.
        let mut is_gone = false;
        for word in self.0.split_inclusive(' ') {
            let word_columns = painted_width(word.trim_end());
            if row.columns + word_columns > columns && indent + word_columns <= columns {
                rows.push(row.cut(continued, indent));
            }
            for piece in pieces(word) {
                let fits = row.columns + painted_width(piece) <= columns;
                if !fits && piece != " " {
                    rows.push(row.cut(continued, indent));
                }
                let is_color = piece.starts_with(ESCAPE);
                if !is_color && width(piece) > 0 {
                    is_gone = !fits && piece == " ";
                }
                if is_color || !is_gone {
                    row.push(piece);
                }
            }
        }
        rows.push(Self(row.text));
        rows
    }

    /// The first `columns` columns of it, with `…` if there is more; on one line.
    pub fn beginning(text: &str, columns: usize) -> Self {
        let line = visible::line(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim());
        if width(&line) <= columns && text.trim().lines().count() <= 1 {
            return Self(line);
        }
        let mut used = 0;
        let is_kept = |c: &char| {
            used += columns_of(*c);
            used < columns
        };
        Self(line.chars().take_while(is_kept).chain(['…']).collect())
    }
}

/// How many bytes of `text` are `word`, if it begins with it.
fn matching(text: &str, word: &str) -> Option<usize> {
    let mut rest = text.chars();
    for wanted in word.chars() {
        let same = rest.next().is_some_and(|c| c.to_lowercase().eq(wanted.to_lowercase()));
        if !same {
            return None;
        }
    }
    (!word.is_empty()).then(|| text.len() - rest.as_str().len())
}

/// A row that is being filled, and the colours that are on at its end.
#[derive(Default)]
struct Unfinished {
    text: String,
    columns: usize,
    colors: String,
}

impl Unfinished {
    /// Ends the row and begins the next with `continued`, in the same colours.
    fn cut(&mut self, continued: &Safe, indent: usize) -> Safe {
        let mut done = std::mem::replace(&mut self.text, format!("{}{}", continued.0, self.colors));
        if !self.colors.is_empty() {
            done.push_str(COLORS_OFF);
        }
        self.columns = indent;
        Safe(done)
    }

    fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        if piece == COLORS_OFF {
            self.colors.clear();
        } else if piece.starts_with(ESCAPE) {
            self.colors.push_str(piece);
        } else {
            self.columns += width(piece);
        }
    }
}

/// Single characters, and colour sequences as they are: the only escapes there can be in a [`Safe`].
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        let first = left.chars().next()?;
        let end = if first == ESCAPE { left.find('m').map_or(left.len(), |end| end + 1) } else { first.len_utf8() };
        let (piece, rest) = left.split_at(end);
        left = rest;
        Some(piece)
    })
}

fn painted_width(text: &str) -> usize {
    pieces(text).filter(|piece| !piece.starts_with(ESCAPE)).map(width).sum()
}

/// Columns that unpainted text takes at most: joined emoji count each, because not every terminal joins them.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    if c == EMOJI_STYLE { 1 } else { c.width().unwrap_or(0) }
}

/// Where a row of at most `columns` ends: after a space if one lies in its second half.
fn cut(text: &str, columns: usize) -> usize {
    let (mut used, mut space) = (0, 0);
    for (index, c) in text.char_indices() {
        used += columns_of(c);
        if used > columns {
            return if space > index / 2 { space } else { index.max(c.len_utf8()) };
        }
        if c == ' ' {
            space = index + 1;
        }
    }
    text.len()
}

const ESCAPE: char = '\u{1b}';
const COLORS_OFF: &str = "\u{1b}[0m";

/// Makes an emoji of a sign, and that wider.
const EMOJI_STYLE: char = '\u{FE0F}';

/// However narrow the terminal, a row makes progress.
const ROW_COLUMNS_MIN: usize = 8;

const NAME_COLORS: [colored::Color; 8] = [
    colored::Color::Green,
    colored::Color::Blue,
    colored::Color::Magenta,
    colored::Color::Cyan,
    colored::Color::BrightGreen,
    colored::Color::BrightBlue,
    colored::Color::BrightMagenta,
    colored::Color::BrightCyan,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::{harmless, sample};
    use common::visible::{LogLines, MARKS_MAX};
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn rows_fit_and_prefer_spaces() {
        let rows = Safe::message("one two three four\nfive").rows(Some(20), 8, 10);
        let rows: Vec<&str> = rows.iter().map(Safe::as_str).collect();
        assert_eq!(rows, ["one two", "three four", "five"]);
        assert_eq!(Safe::beginning("hello wonderful world", 10).as_str(), "hello won…");
        assert_eq!(Safe::beginning("two\nlines", 10).as_str(), "two…");
    }

    #[test]
    fn long_rows_go_on_behind_the_bar_in_their_colour() {
        colored::control::set_override(true);
        let text = Safe::line("topic: ").with(&Safe::line("a long one of others").painted(Paint::Dim));
        let rows = text.wrapped(Some(18), &Safe::line("  | "));
        let rows: Vec<&str> = rows.iter().map(Safe::as_str).collect();
        assert_eq!(rows, ["topic: \u{1b}[2ma long one \u{1b}[0m", "  | \u{1b}[2mof others\u{1b}[0m"]);
    }

    #[test]
    fn marks_on_spaces_that_go_build_no_tower() {
        let text = "x".repeat(18) + &format!(" {}", "\u{301}".repeat(MARKS_MAX)).repeat(50);
        let rows = Safe::line(&text).wrapped(Some(18), &Safe::line("  | "));
        assert_eq!(rows.iter().map(Safe::as_str).collect::<Vec<_>>(), ["x".repeat(18)]);
    }

    proptest! {
        #[test]
        fn finished_rows_keep_to_the_terminal(text in "(\\PC| ){0,120}", columns in 20_usize..60, color: bool) {
            colored::control::set_override(true);
            let row = Safe::line(&text);
            let row = if color { row.painted(Paint::Error) } else { row };
            let rows = row.wrapped(Some(columns), &Safe::line("  | "));
            for row in &rows {
                prop_assert!(painted_width(row.as_str()) <= columns + 1);
            }
            prop_assert!(rows[1..].iter().all(|row| row.as_str().starts_with("  | ")));
        }

        #[test]
        fn nothing_escapes(text in sample::hostile()) {
            harmless::check(Safe::message(&text).as_str(), true);
            harmless::check(Safe::line(&text).as_str(), false);
            harmless::check(Safe::beginning(&text, 30).as_str(), false);
        }

        /// Where a log is read by `cat`.
        #[test]
        fn an_entry_of_a_log_is_one_harmless_line(text in sample::hostile()) {
            let mut log = Vec::new();
            LogLines::new(&mut log).write_all(text.as_bytes()).unwrap();
            harmless::check(String::from_utf8(log).unwrap().strip_suffix('\n').unwrap(), false);
        }

        #[test]
        fn no_row_is_wider_than_the_terminal(text in "(\\PC|\n| ){0,120}", columns in 30_usize..100) {
            for row in Safe::message(&text).rows(Some(columns), 12, 8) {
                prop_assert!(width(row.as_str()) <= columns - 8);
            }
        }
    }
}
