//! Takes a command's arguments off its line, one after the other: words, perhaps quoted, and at last the free text.
//! Used by the builders of the table only.

use common::names::{RoomName, UserName};

use super::{Row, room_name, user_name};
use crate::api::{Code, History, NewRoom, Refusal, Target};

/// What is left of a line behind the command's name.
pub(crate) struct Arguments<'a> {
    row: &'static Row,
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(row: &'static Row, rest: &'a str) -> Self {
        Self { row, rest: rest.trim_start() }
    }

    /// The refusal that says how the command is written.
    pub(super) fn usage(&self) -> Refusal {
        Refusal::new(Code::Usage, &format!("Usage: {}", self.row.usage()))
    }

    /// The next word; `"…"` keeps spaces together.
    pub(super) fn word(&mut self) -> Result<Option<String>, Refusal> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let Some((word, rest)) = quoted.split_once('"') else {
                return Err(Refusal::new(Code::Usage, "A quotation mark is not closed. Add the second \"."));
            };
            self.rest = rest.trim_start();
            return Ok(Some(word.to_owned()));
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.rest = self.rest[end..].trim_start();
        Ok(Some(word))
    }

    /// The next word as it stands, not taken.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    /// Takes `--option` if it comes next.
    pub(super) fn option(&mut self, option: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(option) else { return false };
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return false;
        }
        self.rest = rest.trim_start();
        true
    }

    pub(super) fn person(&mut self) -> Result<UserName, Refusal> {
        let word = self.word()?.ok_or_else(|| self.usage())?;
        user_name(&word)
    }

    /// A room that does not exist, and what it is to be like.
    pub(super) fn new_room(&mut self) -> Result<NewRoom, Refusal> {
        let mut private = self.option("--private");
        let name = self.room()?;
        private |= self.option("--private");
        let mut history = if private { History::Joined } else { History::All };
        if self.option("--history") {
            history = match self.word()?.as_deref() {
                Some("all") => History::All,
                Some("joined") => History::Joined,
                _ => return Err(self.usage()),
            };
        }
        let topic = if self.option("--topic") { Some(self.text()?) } else { None };
        Ok(NewRoom { name, private, history, topic })
    }

    pub(super) fn room(&mut self) -> Result<RoomName, Refusal> {
        self.room_if_any()?.ok_or_else(|| self.usage())
    }

    pub(super) fn room_if_any(&mut self) -> Result<Option<RoomName>, Refusal> {
        self.word()?.map(|word| room_name(&word)).transpose()
    }

    pub(super) fn conversation(&mut self) -> Result<Target, Refusal> {
        Self::conversation_in(&self.word()?.ok_or_else(|| self.usage())?)
    }

    /// The conversation that a word names.
    pub(super) fn conversation_in(word: &str) -> Result<Target, Refusal> {
        if word.starts_with('#') { room_name(word).map(Target::Room) } else { user_name(word).map(Target::Person) }
    }

    /// Whether the next word stands in quotation marks.
    pub(super) fn is_quoted(&self) -> bool {
        self.rest.starts_with('"')
    }

    /// Everything to the end of the line, newlines included.
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        self.text_if_any().ok_or_else(|| self.usage())
    }

    pub(super) fn text_if_any(&mut self) -> Option<String> {
        let text = self.rest.trim_end();
        self.rest = "";
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.usage()) }
    }
}
