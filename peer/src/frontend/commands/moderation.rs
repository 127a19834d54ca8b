//! The rows of the table that are for the owner of a room. Each takes the room first, if it is not the current one.

use common::names::RoomName;

use super::Group::Rooms;
use super::table::ask;
use super::{Arguments, Line, Row, Slot};
use crate::api::{Code, Command, Refusal};

pub(super) const KICK: Row = Row {
    name: "kick",
    aliases: &["k"],
    arguments: "[#ROOM] NAME [REASON]",
    group: Rooms,
    slots: &[Slot::Person, Slot::Text],
    summary: "remove somebody from a room of yours",
    details: "They are told so, with your reason, and are sent nothing more. Of what they wrote without knowing, only \
              what you have counts. In a public room they may come back; in a private one they need a new invitation.",
    examples: &["/kick bob", "/kick bob keep it friendly", "/kick #dev bob"],
    see_also: &["ban", "invite"],
    build: |arguments| {
        let (room, user) = (room_first(arguments)?, arguments.person()?);
        ask(Command::Kick { user, room, reason: arguments.text_if_any().unwrap_or_default() })
    },
};

pub(super) const BAN: Row = Row {
    name: "ban",
    aliases: &["b"],
    arguments: "[#ROOM] NAME [REASON]",
    group: Rooms,
    slots: &[Slot::Person, Slot::Text],
    summary: "remove somebody and keep them out",
    details: "Also for people who are not in the room. It lasts until /unban.",
    examples: &["/ban bob", "/ban bob spam", "/ban #dev bob spam"],
    see_also: &["kick", "unban", "bans"],
    build: |arguments| {
        let (room, user) = (room_first(arguments)?, arguments.person()?);
        ask(Command::Ban { user, room, reason: arguments.text_if_any().unwrap_or_default() })
    },
};

pub(super) const UNBAN: Row = Row {
    name: "unban",
    aliases: &["ub"],
    arguments: "[#ROOM] NAME",
    group: Rooms,
    slots: &[Slot::Person],
    summary: "let somebody who was banned come back",
    details: "They are not in the room by that: they join again, a private one with a new invitation.",
    examples: &["/unban bob", "/unban #dev bob"],
    see_also: &["ban", "bans"],
    build: |arguments| {
        let room = room_first(arguments)?;
        ask(Command::Unban { user: arguments.person()?, room })
    },
};

pub(super) const BANS: Row = Row {
    name: "bans",
    aliases: &[],
    arguments: "[#ROOM]",
    group: Rooms,
    slots: &[Slot::Room],
    summary: "who is banned from a room of yours, and why",
    details: "",
    examples: &["/bans", "/bans #dev"],
    see_also: &["ban", "unban"],
    build: |arguments| ask(Command::Bans { room: arguments.room_if_any()? }),
};

pub(super) const OWNER: Row = Row {
    name: "owner",
    aliases: &[],
    arguments: "[#ROOM] NAME",
    group: Rooms,
    slots: &[Slot::Person],
    summary: "give a room of yours to another member",
    details: "From then on they decide, and you are a member like others. Only they can give it back.",
    examples: &["/owner bob", "/owner #dev bob"],
    see_also: &["names", "close"],
    build: |arguments| {
        let room = room_first(arguments)?;
        ask(Command::Own { user: arguments.person()?, room })
    },
};

pub(super) const CLOSE: Row = Row {
    name: "close",
    aliases: &[],
    arguments: "#ROOM|--yes",
    group: Rooms,
    slots: &[Slot::Room, Slot::Option("--yes")],
    summary: "end a room of yours for everybody, for good",
    details: "Naming the room confirms it; scripts may say --yes for the current one. What was said stays readable to \
              those who have it, and the name is not given out again.",
    examples: &["/close #dev", "/close --yes"],
    see_also: &["part", "owner"],
    build: close,
};

/// The room in front of a name, if one is named.
fn room_first(arguments: &mut Arguments<'_>) -> Result<Option<RoomName>, Refusal> {
    if arguments.peek().is_some_and(|word| word.starts_with('#')) { arguments.room_if_any() } else { Ok(None) }
}

/// Nobody closes a room by a slip of the finger.
fn close(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let is_sure = arguments.option("--yes");
    let room = arguments.room_if_any()?;
    if !(is_sure || room.is_some() || arguments.option("--yes")) {
        let text =
            "This ends the room for everybody, for good. Name it to confirm: /close #ROOM (scripts: /close --yes).";
        return Err(Refusal::new(Code::Usage, text));
    }
    arguments.option("--yes");
    ask(Command::Close { room })
}
