//! What a person or a program may type. One table feeds the parser, Tab completion, `/help` and their snapshots;
//! every front-end reads its lines through `parse`. Nothing here sends, prints or remembers anything.

mod arguments;
mod asking;
mod help;
mod keys;
mod messages;
mod moderation;
mod moment;
mod parse;
mod reference;
mod table;

use common::names::{RoomName, UserName};

use crate::api::{Command, Refusal};

pub(crate) use help::{command_help, overview};
pub(crate) use parse::{nearest, parse};
pub(crate) use table::TABLE;

use arguments::Arguments;

/// What a line asks for.
#[derive(Debug)]
pub enum Line {
    Empty,
    /// Goes to the engine as it is.
    Ask(Command),
    /// These four still need a password, which never stands in a line.
    Register {
        user: UserName,
        /// Another secret is needed: the operator's leave.
        by_token: bool,
    },
    LogIn(UserName),
    ChangePassword,
    /// At a prompt the word is typed again, unless `yes` says that it need not be.
    Rotate {
        yes: bool,
    },
    /// At a prompt the name is typed again, unless `yes` says that it need not be.
    AcceptKey {
        user: UserName,
        yes: bool,
    },
    /// `/quit`: how long to wait for acknowledgements is the front-end's decision.
    Quit,
    /// The front-end answers these itself.
    Help(Option<String>),
    Set {
        key: Option<String>,
        value: Option<String>,
    },
    Clear,
}

/// One command: a row of the table.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What follows the name, as people write it down.
    pub arguments: &'static str,
    pub group: Group,
    /// What completion offers for each argument in turn.
    pub slots: &'static [Slot],
    /// One line, without a full stop.
    pub summary: &'static str,
    /// What a person wants to know before using it; may be empty.
    pub details: &'static str,
    pub examples: &'static [&'static str],
    pub see_also: &'static [&'static str],
    build: fn(&mut Arguments<'_>) -> Result<Line, Refusal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Account,
    Talk,
    People,
    Rooms,
    Program,
}

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Person,
    Room,
    /// A person or a room.
    Conversation,
    Command,
    Setting,
    /// What names a message.
    Message,
    Option(&'static str),
    /// Words to look for, and what narrows the search.
    Search,
    Text,
}

impl Row {
    /// `/name arguments`.
    pub fn usage(&self) -> String {
        let mut usage = format!("/{}", self.name);
        if !self.arguments.is_empty() {
            usage.push(' ');
            usage.push_str(self.arguments);
        }
        usage
    }

    /// Whether `name` is this command's name or one of its aliases, in any case.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

impl Group {
    pub const ALL: [Self; 5] = [Self::Account, Self::Talk, Self::People, Self::Rooms, Self::Program];

    pub fn title(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Talk => "Talk",
            Self::People => "People",
            Self::Rooms => "Rooms",
            Self::Program => "Program",
        }
    }
}

/// The row of a command, by its name or an alias.
pub fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.answers_to(name))
}

/// A room's name with or without its `#`, where nothing but a room can be meant.
fn room_name(word: &str) -> Result<RoomName, Refusal> {
    let with_hash = if word.starts_with('#') { word.to_owned() } else { format!("#{word}") };
    RoomName::parse(&with_hash).map_err(|bad| parse::bad_name(word, bad))
}

/// A person's name with or without `@`.
fn user_name(word: &str) -> Result<UserName, Refusal> {
    UserName::parse(word.strip_prefix('@').unwrap_or(word)).map_err(|bad| parse::bad_name(word, bad))
}
