//! What is told of keys: that one changed, what was decided about it, and what people compare.

use common::names::UserName;

use super::Screen;
use crate::api::Event;
use crate::frontend::repl::theme::Symbol;
use crate::frontend::sanitize::{Paint, Safe};

impl Screen {
    /// Shows an event about keys; gives back any other.
    pub(super) fn keys(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::KeyChanged { user, old, new, verified } => self.key_changed(&user, &old, &new, verified),
            Event::KeyRotated { user, verified, .. } => self.key_rotated(&user, verified),
            Event::Rotated { key, .. } => {
                let text =
                    format!("Your key is {key} from now on. Others are shown that the one before has signed it.");
                self.say([Safe::line(&text)], true);
            }
            Event::KeyAccepted { user, key, held } => {
                let held = match held {
                    0 => String::new(),
                    1 => " One message was held:".to_owned(),
                    count => format!(" {count} messages were held:"),
                };
                let text = format!("The key of {user} is {key} from now on, not compared yet: /verify {user}.{held}");
                self.say([Safe::line(&text)], false);
            }
            Event::KeyRejected { user, dropped, .. } => {
                let dropped = match dropped {
                    0 => String::new(),
                    1 => " One message that came with the other is thrown away.".to_owned(),
                    count => format!(" {count} messages that came with the other are thrown away."),
                };
                self.say([Safe::line(&format!("The key of {user} stays the one from before.{dropped}"))], false);
            }
            Event::SafetyNumber { user, digits, verified } => self.safety_number(&user, &digits, verified),
            Event::Verified { user, .. } => {
                let sign = if self.look.theme.words { "" } else { "✓ " };
                self.say([Safe::line(&format!("{sign}{user} is verified: both of you have the same digits."))], true);
            }
            Event::LookAlike { user, like } => {
                let sign = self.look.theme.symbol(Symbol::Error);
                let text =
                    format!("{sign}{user} is not {like}: the names only look alike. /whois {user} shows who it is.");
                let row = self.look.theme.paint(Safe::line(&text), Paint::Warning);
                self.say([row], false);
            }
            other => return Some(other),
        }
        None
    }

    /// Nobody may overlook it; where keys were compared it is no accident to shrug off.
    fn key_changed(&mut self, user: &UserName, old: &str, new: &str, verified: bool) {
        let theme = self.look.theme;
        let sign = theme.paint(Safe::line(theme.symbol(Symbol::Error)), Paint::Error);
        let warn = |text: &str| theme.paint(Safe::line(text), Paint::Error);
        let mut rows = Vec::new();
        if verified {
            rows.push(
                sign.clone().with(&warn(&format!("DANGER: {user} IS VERIFIED, AND THE KEY IS ANOTHER ONE NOW."))),
            );
        }
        let text = format!("The key of {user} changed. Nothing is sent to them and nothing from them is shown.");
        rows.push(sign.with(&if verified { warn(&text) } else { Safe::line(&text) }));
        rows.push(Safe::line(&format!("  key before:    {old}")));
        rows.push(Safe::line(&format!("  key now:       {new}")));
        let ask = if verified { "Somebody may be posing as them. Meet or phone" } else { "Ask" };
        let advice = format!("{ask} {user} outside of this program, then /accept-key {user} or /reject-key {user}.");
        rows.push(Safe::line(&advice));
        self.say(rows, false);
    }

    /// Nothing is wrong, unless somebody else had the key before; whoever compared that has to know that this is not it.
    fn key_rotated(&mut self, user: &UserName, verified: bool) {
        let text = format!("{user} has a new key, signed by the one you know.");
        if !verified {
            return self.say([Safe::line(&format!("{text} /verify {user} compares it."))], false);
        }
        let theme = self.look.theme;
        let sign = theme.paint(Safe::line(theme.symbol(Symbol::Error)), Paint::Warning);
        let text = format!("{text} {user} was verified with that one and is not with this: /verify {user}.");
        self.say([sign.with(&theme.paint(Safe::line(&text), Paint::Warning))], false);
    }

    fn safety_number(&mut self, user: &UserName, digits: &str, verified: bool) {
        let groups: Vec<&str> = digits.split(' ').collect();
        let state = if verified { "verified" } else { "not compared yet" };
        let mut rows = vec![Safe::line(&format!("{user} and you ({state}); {user} sees the same with /verify:"))];
        rows.extend(groups.chunks(6).map(|groups| Safe::line(&format!("  {}", groups.join(" ")))));
        let advice = format!("If the digits you are read are these: /verify {user} DIGITS");
        rows.push(self.look.theme.dim(&advice));
        self.say(rows, true);
    }
}
