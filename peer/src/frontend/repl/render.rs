//! One event into the rows a person reads: pure functions of the event and a [`Look`]. Text from others becomes
//! [`Safe`] here, and its further rows begin with a bar where a row of the program never does.

use common::names::UserName;
use common::time::UnixMillis;
use jiff::tz::TimeZone;

use super::changes;
use super::own::Moved;
use super::theme::{Symbol, Theme};
use crate::api::{MessageKind, MessageShown, Refusal, Target};
use crate::frontend::sanitize::{Paint, Safe, width};

/// Everything besides the event that a row depends on.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) theme: Theme,
    pub(super) me: Option<UserName>,
    pub(super) current: Option<Target>,
    /// Of the terminal; `None` where rows are not cut.
    pub(super) columns: Option<usize>,
    pub(super) zone: TimeZone,
    /// Words that shall be seen at once.
    pub(super) words: Vec<String>,
}

/// How far one of my messages got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    /// On my disk.
    Accepted,
    /// Sealed in a mailbox at the registry.
    Mailbox,
    Delivered {
        done: u32,
        of: u32,
    },
}

/// A message behind its time `stamp`. `remark` is what there is to say of its time.
pub(super) fn message(look: &Look, shown: &MessageShown, stamp: &Safe, remark: &str, mark: Mark) -> Vec<Safe> {
    let theme = look.theme;
    let (prefix, prefix_columns) = opening(look, shown);
    let mut trailer = Safe::empty();
    if !remark.is_empty() {
        trailer.push(&theme.dim(&format!("  ({remark})")));
    }
    trailer.push(&changes::sum(theme, &shown.changes));
    if let Some(mark) = self::mark(theme, &shown.conversation, mark) {
        trailer.push(&Safe::line("  ").with(&mark));
    }
    let mentioned = !shown.own && look.me.as_ref().is_some_and(|me| me.is_said_in(&shown.text));
    let stamp_columns = width_of_stamp(stamp);
    // The mark is short; the row leaves room for it.
    let columns = look.columns.map(|columns| columns.saturating_sub(if shown.own { MARK_COLUMNS } else { 0 }));
    let rows = Safe::message(&shown.text).rows(columns, stamp_columns + prefix_columns, CONTINUED_COLUMNS);
    let mut block: Vec<Safe> = rows
        .into_iter()
        .enumerate()
        .map(|(number, row)| {
            let row = if theme.color { row.emphasised(&look.words) } else { row };
            let row = if mentioned { theme.paint(row, Paint::Warning) } else { row };
            match number {
                0 => stamp.clone().with(&prefix).with(&row),
                _ => continued(theme).with(&row),
            }
        })
        .collect();
    if let Some(last) = block.last_mut() {
        last.push(&trailer);
    }
    block
}

/// What stands between the time and the text, and how many columns it takes.
fn opening(look: &Look, shown: &MessageShown) -> (Safe, usize) {
    let theme = look.theme;
    let mut opening = Safe::empty();
    let mut columns = 0;
    let mut put = |text: Safe, painted: Safe| {
        columns += width(text.as_str());
        opening.push(&painted);
    };
    let mut plain = |text: &str| put(Safe::line(text), Safe::line(text));
    let elsewhere = look.current.as_ref() != Some(&shown.conversation);
    let name = if shown.own { "you".to_owned() } else { shown.from.to_string() };
    let painted = match (&look.me, shown.own) {
        (_, true) => theme.paint(Safe::line(&name), Paint::Bold),
        (me, false) => theme.name(&shown.from, me.as_ref()),
    };
    match (&shown.conversation, elsewhere, shown.kind) {
        (Target::Person(with), true, MessageKind::Text) => {
            let to = theme.symbol(Symbol::To);
            let (left, right) = if shown.own { (name, format!("@{with}")) } else { (format!("@{name}"), "you".into()) };
            plain(&format!("{left} {to} {right}  "));
        }
        (conversation, elsewhere, kind) => {
            if elsewhere {
                plain(&format!("{conversation} "));
            }
            // An action is told of by name, also of oneself: `* alice stretches`.
            let acting = matches!(kind, MessageKind::Action);
            plain(if acting { "* " } else { "<" });
            if acting {
                put(Safe::shown(&shown.from), theme.name(&shown.from, look.me.as_ref()));
            } else {
                put(Safe::line(&name), painted);
            }
            let after = if acting { " " } else { "> " };
            put(Safe::line(after), Safe::line(after));
        }
    }
    (opening, columns)
}

/// The mark behind one of my messages; nobody is counted where there is one other.
pub(super) fn mark(theme: Theme, conversation: &Target, mark: Mark) -> Option<Safe> {
    let text = match (mark, conversation) {
        (Mark::None, _) => return None,
        (Mark::Accepted, _) => theme.symbol(Symbol::Accepted).to_owned(),
        (Mark::Mailbox, _) => theme.symbol(Symbol::Mailbox).to_owned(),
        (Mark::Delivered { .. }, Target::Person(_)) => theme.symbol(Symbol::Delivered).to_owned(),
        (Mark::Delivered { done, of }, Target::Room(_)) if theme.words => format!("delivered to {done} of {of}"),
        (Mark::Delivered { done, of }, Target::Room(_)) => format!("{} {done}/{of}", theme.symbol(Symbol::Delivered)),
    };
    let text = if theme.words { format!("[{text}]") } else { text };
    Some(theme.dim(&text))
}

/// What became of messages of mine after they were shown.
pub(super) fn moved(theme: Theme, (moved, target, newest, count): &(Moved, Target, Safe, usize)) -> Safe {
    let newest = newest.as_str();
    let (symbol, one, more) = match moved {
        Moved::Delivered => (Symbol::Delivered, "has it", format!("has {count} messages")),
        Moved::Left => (Symbol::Mailbox, "finds it in the mailbox", format!("finds {count} messages in the mailbox")),
        Moved::Refused => (Symbol::Error, "does not count it", format!("does not count {count} of your messages")),
        Moved::Expired => (Symbol::Accepted, "did not fetch it in time", format!("did not fetch {count} in time")),
    };
    let sign = theme.symbol(symbol);
    match count {
        1 => theme.dim(&format!("{sign} {target} {one}: \"{newest}\"")),
        _ => theme.dim(&format!("{sign} {target} {more}, the last: \"{newest}\"")),
    }
}

/// A line of the program about a conversation or a person, such as `--> dave joined`.
pub(super) fn notice(look: &Look, conversation: Option<&Target>, symbol: Symbol, stamp: &Safe, text: &str) -> Safe {
    let tag = match conversation {
        Some(conversation) if look.current.as_ref() != Some(conversation) => format!("{conversation} "),
        _ => String::new(),
    };
    stamp.clone().with(&look.theme.dim(&format!("{tag}{}{text}", look.theme.symbol(symbol))))
}

/// One row of an answer.
pub(super) fn answer(text: &str) -> Safe {
    Safe::line(text)
}

/// One line: what failed, why, what next.
pub(super) fn error(theme: Theme, refusal: &Refusal) -> Safe {
    let mut text = refusal.text.as_str().trim().to_owned();
    if text.is_empty() {
        text = format!("That is not possible: {}.", refusal.code.as_str().replace('_', " "));
    }
    if let Some(seconds) = refusal.retry_after {
        text.push_str(&format!(" Try again in {seconds} s."));
    }
    theme.paint(Safe::line(theme.symbol(Symbol::Error)), Paint::Error).with(&Safe::line(&text))
}

/// A row of help with its commands in their colour.
pub(super) fn help(theme: Theme, row: &str) -> Safe {
    let mut safe = Safe::empty();
    for word in row.split_inclusive(' ') {
        let bare = word.trim_end().trim_end_matches([',', '.']);
        let is_command =
            bare.len() > 1 && bare.starts_with('/') && bare[1..].chars().all(|c| c.is_ascii_alphabetic() || c == '-');
        if is_command {
            safe.push(&theme.paint(Safe::line(bare), Paint::Command));
            safe.push(&Safe::line(&word[bare.len()..]));
        } else {
            safe.push(&Safe::line(word));
        }
    }
    safe
}

/// The line between two days.
pub(super) fn day(look: &Look, at: UnixMillis) -> Safe {
    let line = look.theme.symbol(Symbol::Day);
    look.theme.dim(&format!("{line} {} {line}", local(look, at, "%a %-d %b %Y")))
}

/// `14:03 `, or as many spaces.
pub(super) fn stamp(look: &Look, at: Option<UnixMillis>) -> Safe {
    match at {
        Some(at) => look.theme.dim(&local(look, at, "%H:%M")).with(&Safe::line(" ")),
        None => Safe::line(&" ".repeat(STAMP_COLUMNS)),
    }
}

/// A time as its reader's clocks and calendars show it.
pub(super) fn local(look: &Look, at: UnixMillis, format: &str) -> String {
    let at = i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(look.zone.clone()).strftime(format).to_string()
}

pub(super) fn continued(theme: Theme) -> Safe {
    Safe::line(&" ".repeat(STAMP_COLUMNS)).with(&theme.dim(theme.symbol(Symbol::Continued)))
}

/// A stamp is there with its fixed width, or not at all.
fn width_of_stamp(stamp: &Safe) -> usize {
    if stamp.is_empty() { 0 } else { STAMP_COLUMNS }
}

/// `14:03 `.
const STAMP_COLUMNS: usize = 6;

/// The indent and the bar of a row that goes on.
const CONTINUED_COLUMNS: usize = STAMP_COLUMNS + 2;

/// `  ✓ 64/64`.
const MARK_COLUMNS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::{harmless, sample};
    use proptest::prelude::*;

    fn look(columns: Option<usize>) -> Look {
        Look {
            theme: Theme { color: false, words: false },
            me: Some(sample::user("alice")),
            current: Some(sample::target("#dev")),
            columns,
            zone: TimeZone::UTC,
            words: Vec::new(),
        }
    }

    proptest! {
        /// Whatever is said, rows after the first begin with the bar, none passes the width, and no row begins like
        /// one of the program's.
        #[test]
        fn nobody_can_forge_a_row(text in sample::hostile(), columns in 40_usize..90) {
            let look = look(Some(columns));
            let shown = sample::message("@bob", "bob", &text);
            let rows = message(&look, &shown, &stamp(&look, Some(sample::NOON)), "", Mark::None);
            prop_assert!(rows[0].as_str().starts_with("14:03 @bob → you  "));
            for row in &rows {
                prop_assert!(width(row.as_str()) <= columns, "{:?}", row.as_str());
                harmless::check(row.as_str(), false);
            }
            prop_assert!(rows[1..].iter().all(|row| row.as_str().starts_with("      │ ")));
        }
    }
}
