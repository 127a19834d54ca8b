//! What became of messages, on the screen: a line that stands there cannot be rewritten, so an edit, a deletion, a
//! reaction is a row of its own; in a history the sum stands behind the message. Pure functions.

use common::ids::EventId;

use super::render::{self, Look, Mark};
use super::theme::Theme;
use crate::api::{Act, ChangeShown, Changes};
use crate::frontend::sanitize::{Paint, Safe};

/// `* bob edited "deploy is gren" → "deploy is green"` behind its time.
pub(super) fn rows(look: &Look, change: &ChangeShown, stamp: &Safe, remark: &str, mark: Mark) -> Vec<Safe> {
    let theme = look.theme;
    let mut row = stamp.clone();
    if look.current.as_ref() != Some(&change.conversation) {
        row.push(&Safe::shown(format!("{} ", change.conversation)));
    }
    row.push(&Safe::line("* "));
    if change.own {
        row.push(&theme.paint(Safe::line("you"), Paint::Bold));
    } else {
        row.push(&theme.name(&change.from, look.me.as_ref()));
    }
    let before = Safe::beginning(&change.before, BEGINNING_COLUMNS);
    let before = before.as_str();
    let mut rows = match &change.act {
        // The new text is whole: it is what counts from now on.
        Act::Edited { text } => {
            let arrow = if theme.words { "to" } else { "→" };
            row.push(&Safe::line(&format!(" edited \"{before}\" {arrow} \"")));
            let whole = Safe::message(text).rows(None, 0, 0);
            let continued = render::continued(theme);
            let rows = whole.into_iter().enumerate();
            let mut rows: Vec<Safe> = rows
                .map(|(number, text)| if number == 0 { row.clone() } else { continued.clone() }.with(&text))
                .collect();
            if let Some(last) = rows.last_mut() {
                last.push(&Safe::line("\""));
            }
            rows
        }
        Act::Deleted => vec![row.with(&Safe::line(&format!(" deleted a message (\"{before}\")")))],
        Act::Reacted { word } if word.is_empty() => {
            vec![row.with(&Safe::line(&format!(" took back the reaction to \"{before}\"")))]
        }
        Act::Reacted { word } => {
            vec![row.with(&Safe::line(&format!(" reacted {word} to \"{before}\"")))]
        }
    };
    if let Some(last) = rows.last_mut() {
        if !remark.is_empty() {
            last.push(&theme.dim(&format!("  ({remark})")));
        }
        if let Some(mark) = render::mark(theme, &change.conversation, mark) {
            last.push(&Safe::line("  ").with(&mark));
        }
    }
    rows
}

/// What stands behind a message of a history: whether it is as it was first said, and what others think of it.
pub(super) fn sum(theme: Theme, changes: &Changes) -> Safe {
    let mut sum = Safe::empty();
    if changes.deleted {
        sum.push(&theme.dim("(deleted)"));
    } else if changes.edited {
        sum.push(&theme.dim("  (edited)"));
    }
    for (word, people) in &changes.reactions {
        sum.push(&theme.dim(&format!("  {word} {}", people.len())));
    }
    sum
}

/// Enough of an id to name a message of these days by. There is always a digit in it, so that it is no word.
pub(super) fn short(id: &EventId) -> String {
    let digits = id.to_string();
    let first = digits.find(|c: char| c.is_ascii_digit()).map_or(digits.len(), |at| at + 1);
    digits[..first.max(SHORT_DIGITS)].to_owned()
}

const SHORT_DIGITS: usize = 6;

const BEGINNING_COLUMNS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_never_a_word() {
        assert_eq!(short(&EventId([0x1f; 32])), "1f1f1f");
        let mut late = [0xaa; 32];
        late[4] = 0xa7;
        assert_eq!(short(&EventId(late)), "aaaaaaaaa7");
        assert_eq!(short(&EventId([0xaa; 32])).len(), 64);
    }
}
