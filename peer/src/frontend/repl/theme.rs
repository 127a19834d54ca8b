//! How things look: colours or none, symbols or words. Asked by the renderer; it knows nothing of what is shown.

use common::names::UserName;

use crate::frontend::sanitize::{NAME_PAINTS, Paint, Safe};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    pub(super) color: bool,
    /// Words instead of symbols.
    pub(super) words: bool,
}

impl Theme {
    pub(super) fn paint(self, text: Safe, paint: Paint) -> Safe {
        if self.color { text.painted(paint) } else { text }
    }

    pub(super) fn dim(self, text: &str) -> Safe {
        self.paint(Safe::line(text), Paint::Dim)
    }

    /// A person's name in the colour that belongs to it; one's own is bold.
    pub(super) fn name(self, user: &UserName, me: Option<&UserName>) -> Safe {
        let paint = if Some(user) == me { Paint::Bold } else { Paint::Name(hash(user.as_str()) % NAME_PAINTS) };
        self.paint(Safe::shown(user), paint)
    }

    pub(super) fn symbol(self, symbol: Symbol) -> &'static str {
        let (sign, word) = match symbol {
            Symbol::Error => ("!  ", "error: "),
            Symbol::Notice => ("-- ", ""),
            Symbol::Joined => ("--> ", ""),
            Symbol::Parted => ("<-- ", ""),
            Symbol::To => ("→", "to"),
            Symbol::Delivered => ("✓", "delivered"),
            Symbol::Verified => ("✓", "verified"),
            Symbol::Mailbox => ("↑", "in the mailbox"),
            Symbol::Accepted => ("…", "waiting"),
            Symbol::Continued => ("│ ", "| "),
            Symbol::Day => ("──", "--"),
        };
        if self.words { word } else { sign }
    }
}

/// Signs, each with its word for `--plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Error,
    Notice,
    Joined,
    Parted,
    To,
    Delivered,
    Verified,
    Mailbox,
    Accepted,
    Continued,
    Day,
}

/// FNV-1a: the same name has the same colour in every run and on every machine.
fn hash(text: &str) -> usize {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The low bits of a short name's hash differ least.
    (hash >> 16 ^ hash) as usize
}
