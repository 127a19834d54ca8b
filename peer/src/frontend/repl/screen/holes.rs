//! What is missing of a conversation, and what does not fit together in it.

use common::names::UserName;
use common::time::UnixMillis;

use super::Screen;
use crate::api::Target;
use crate::frontend::repl::theme::Symbol;
use crate::frontend::sanitize::{Paint, Safe};

impl Screen {
    /// So many lines of `from` exist and are not here; 0 once they are.
    pub(super) fn gap(&mut self, conversation: &Target, from: &UserName, missing: u64, now: UnixMillis) {
        let text = match missing {
            0 => format!("nothing of {from} is missing here any more"),
            1 => format!("a line of {from} is missing here; it is fetched from whoever has it"),
            count => format!("{count} lines of {from} are missing here; they are fetched from whoever has them"),
        };
        self.notice(Some(conversation), Symbol::Notice, &text, now);
    }

    /// Both decisions, so that people can see what their owner did.
    pub(super) fn frozen(&mut self, room: &Target, by: &UserName, [one, other]: &[String; 2]) {
        let sign = self.look.theme.symbol(Symbol::Error);
        let text = format!(
            "{sign}{room} is frozen: {by}, its owner, signed two decisions in one place. Nothing is said there any more."
        );
        let row = self.look.theme.paint(Safe::line(&text), Paint::Warning);
        self.say([row, Safe::line(&format!("   one:   {one}")), Safe::line(&format!("   other: {other}"))], false);
    }

    pub(super) fn forked(&mut self, conversation: &Target, user: &UserName) {
        let sign = self.look.theme.symbol(Symbol::Error);
        let text = format!("{sign}{user} told different people different things in {conversation}. Ask them why.");
        let row = self.look.theme.paint(Safe::line(&text), Paint::Warning);
        self.say([row], false);
    }
}
