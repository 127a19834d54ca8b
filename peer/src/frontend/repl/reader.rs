//! What `main` does with a line that was typed: a command for the engine, a question of the front-end itself, a
//! password to be asked for first. The same with and without a line editor.

use common::names::UserName;
use common::queue;
use crossbeam_channel::{Receiver, Sender};

use super::printer::Local;
use crate::api::{Asked, Command, Refusal};
use crate::frontend::commands::{self, Line};
use crate::frontend::password::{NoPassword, Passwords};
use crate::frontend::signals::Signals;
use crate::frontend::{PATIENCE_AT_QUIT_MS, quit};

pub(super) struct Reader<'a> {
    pub(super) commands: queue::Sender<Asked>,
    pub(super) locals: Sender<Local>,
    pub(super) passwords: &'a Passwords,
    pub(super) signals: &'a Signals,
    /// Disconnects when the engine ended.
    pub(super) ended: Receiver<()>,
    /// The number of the newest command, and of the newest whose answer is worth a moment's waiting.
    pub(super) asked: u64,
    pub(super) awaited: u64,
    /// The newest question of trust that was answered.
    pub(super) answered: u64,
    /// What is done if its word is typed again next.
    pub(super) confirming: Option<Confirming>,
}

/// What nobody does by accident.
#[derive(Debug)]
pub(super) enum Confirming {
    /// Their new key is accepted.
    Key(UserName),
    /// One's own key is replaced.
    Rotation,
}

/// What follows from a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Read,
    /// An answer comes at once, or within this many milliseconds: the prompt may look different then.
    Settle {
        patience_ms: u64,
    },
    /// The terminal shall be cleared before the next prompt.
    Clear,
    /// `/quit`: nothing more is read.
    Leave,
}

impl Reader<'_> {
    /// Does what a line asks for.
    pub(super) fn act(&mut self, line: Result<Line, Refusal>) -> Next {
        match line {
            Err(refusal) => self.local(Local::Refuse(refusal)),
            Ok(Line::Empty) => {}
            Ok(Line::Ask(command)) => return self.ask(command),
            Ok(Line::AcceptKey { user, yes: true }) => return self.ask(Command::AcceptKey { user }),
            Ok(Line::AcceptKey { user, yes: false }) => {
                let text = format!(
                    "Whoever has the new key is {user} for you from then on. Type {user} to accept it, or Enter to leave it."
                );
                self.local(Local::Show { rows: vec![text], is_help: false });
                self.confirming = Some(Confirming::Key(user));
            }
            Ok(Line::Rotate { yes: false }) => {
                let text = "Your key is replaced everywhere, and the present one destroyed. Type rotate to do it, or \
                            Enter to leave it.";
                self.local(Local::Show { rows: vec![text.to_owned()], is_help: false });
                self.confirming = Some(Confirming::Rotation);
            }
            Ok(Line::Quit) => {
                quit(&self.commands, None, PATIENCE_AT_QUIT_MS);
                return Next::Leave;
            }
            Ok(Line::Help(topic)) => self.help(topic.as_deref()),
            Ok(Line::Set { key, value }) => self.local(Local::Set { key, value }),
            Ok(Line::Clear) => {
                let rows = vec!["The screen is clear; nothing is deleted. /history shows what was said.".to_owned()];
                self.local(Local::Show { rows, is_help: true });
                return Next::Clear;
            }
            Ok(account) => return self.account(account),
        }
        Next::Read
    }

    /// Reads a line and does what it asks for. `question` is the number of the newest question of trust, or 0.
    pub(super) fn line(&mut self, line: &str, question: u64) -> Next {
        let parsed = commands::parse(line);
        if let Some(what) = self.confirming.take().filter(|_| !matches!(parsed, Ok(Line::Quit))) {
            return self.confirmed(what, line.trim());
        }
        if question <= self.answered || matches!(parsed, Ok(Line::Quit)) {
            return self.act(parsed);
        }
        let accept = match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => true,
            "" | "n" | "no" => false,
            _ => {
                let text = "First the question above, please: yes, or Enter for no. /quit leaves.";
                self.local(Local::Show { rows: vec![text.to_owned()], is_help: true });
                return Next::Read;
            }
        };
        self.answered = question;
        self.local(Local::TrustAnswered);
        self.send(Command::TrustRealm { accept });
        Next::Settle { patience_ms: SIGN_IN_PATIENCE_MS }
    }

    /// The word is typed again, or it is not: whatever else was typed is no text for anybody.
    fn confirmed(&mut self, what: Confirming, typed: &str) -> Next {
        let text = match what {
            Confirming::Key(user) if UserName::parse(typed).is_ok_and(|typed| typed == user) => {
                return self.ask(Command::AcceptKey { user });
            }
            Confirming::Rotation if typed.eq_ignore_ascii_case("rotate") => {
                return self.account(Line::Rotate { yes: true });
            }
            Confirming::Key(user) => {
                format!("That was not '{user}', so nothing was accepted. /accept-key {user} asks again.")
            }
            Confirming::Rotation => "That was not 'rotate', so your key stays. /rotate asks again.".to_owned(),
        };
        self.local(Local::Show { rows: vec![text], is_help: false });
        Next::Read
    }

    pub(super) fn local(&self, local: Local) {
        // It fails when the printer ended, which it does last of all.
        let _ = self.locals.send(local);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }

    fn ask(&mut self, mut command: Command) -> Next {
        if let Command::Search(search) = &mut command {
            search.context.get_or_insert(SEARCH_CONTEXT);
        }
        let patience_ms = match &command {
            Command::Say { .. } => 0,
            Command::Join { .. } | Command::Create(_) | Command::Accept { .. } => ENTER_PATIENCE_MS,
            _ => ANSWER_PATIENCE_MS,
        };
        if let Command::Say { text, .. } | Command::Query { text: Some(text), .. } = &command {
            // A refusal of it shall be able to say what was not sent.
            self.local(Local::Said { re: (self.asked + 1).to_string(), text: text.clone() });
        }
        self.send(command);
        if patience_ms == 0 {
            return Next::Read;
        }
        self.awaited = self.asked;
        Next::Settle { patience_ms }
    }

    fn account(&mut self, line: Line) -> Next {
        let command = match line {
            Line::Register { user, by_token } => self
                .passwords
                .newcomer(user.as_str(), by_token, self.signals, &self.ended)
                .map(|(password, token)| Command::Register { user, password, token }),
            Line::LogIn(user) => self
                .passwords
                .existing(user.as_str(), self.signals, &self.ended)
                .map(|password| Command::LogIn { user, password }),
            Line::Rotate { .. } => self
                .passwords
                .existing("this account", self.signals, &self.ended)
                .map(|password| Command::Rotate { password }),
            _ => {
                self.passwords.change(self.signals, &self.ended).map(|(old, new)| Command::ChangePassword { old, new })
            }
        };
        match command {
            Ok(command) => {
                self.send(command);
                self.awaited = self.asked;
                return Next::Settle { patience_ms: SIGN_IN_PATIENCE_MS };
            }
            Err(NoPassword::Refused(refusal)) => self.local(Local::Refuse(refusal)),
            Err(NoPassword::Cancelled) => {
                self.local(Local::Show { rows: vec!["Nothing was done.".to_owned()], is_help: false });
            }
            Err(NoPassword::Ending) => {}
        }
        Next::Read
    }

    fn help(&self, topic: Option<&str>) {
        match topic.map_or_else(|| Ok(commands::overview()), commands::command_help) {
            Ok(rows) => self.local(Local::Show { rows, is_help: true }),
            Err(refusal) => self.local(Local::Refuse(refusal)),
        }
    }

    fn send(&mut self, command: Command) {
        self.asked += 1;
        // It fails when the engine ended, and the printer says why.
        let _ = self.commands.send(Asked { re: Some(self.asked.to_string()), command });
    }
}

/// Whether the line is a message of mine, which the screen shows in its own form.
pub(super) fn is_own_message(line: &Result<Line, Refusal>) -> bool {
    matches!(line, Ok(Line::Ask(Command::Say { .. } | Command::Query { text: Some(_), .. })))
}

/// A line alone rarely says what it was about.
const SEARCH_CONTEXT: u32 = 1;

/// Most answers need one round to the registry.
const ANSWER_PATIENCE_MS: u64 = 500;

/// Entering a room ends after two seconds at the latest.
const ENTER_PATIENCE_MS: u64 = 2_500;

/// Two deliberately slow hashes and a network.
pub(super) const SIGN_IN_PATIENCE_MS: u64 = 4_000;
