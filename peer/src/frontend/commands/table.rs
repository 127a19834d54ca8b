//! The commands, one row each: a new command is a new row, and parser, completion and help know it.

use super::Group::{Account, People, Program, Rooms, Talk};
use super::{Arguments, Line, Row, Slot, asking, keys, messages, moderation};
use crate::api::{Command, MessageKind, Refusal, To};

/// Every command, in the order in which help shows them.
pub(crate) static TABLE: &[Row] = &[
    Row {
        name: "register",
        aliases: &[],
        arguments: "NAME [--token]",
        group: Account,
        slots: &[Slot::Text, Slot::Option("--token")],
        summary: "make an account and sign in",
        details: "The password is asked for twice, without echo. Without a terminal it is the first line of \
                  --password-file. It cannot be recovered: it opens your keys, and nobody else has it. With --token it also asks \
                  for the token that the registry's operator gave you, or reads it from the second line.",
        examples: &["/register alice", "/register alice --token"],
        see_also: &["login", "passwd"],
        build: |arguments| {
            let user = arguments.person()?;
            Ok(Line::Register { user, by_token: arguments.option("--token") })
        },
    },
    Row {
        name: "login",
        aliases: &[],
        arguments: "NAME",
        group: Account,
        slots: &[Slot::Text],
        summary: "sign in",
        details: "The password is asked for without echo. Without a terminal it is the first line of --password-file.",
        examples: &["/login alice"],
        see_also: &["register", "logout"],
        build: |arguments| arguments.person().map(Line::LogIn),
    },
    Row {
        name: "logout",
        aliases: &[],
        arguments: "",
        group: Account,
        slots: &[],
        summary: "sign out and stay in the program",
        details: "",
        examples: &[],
        see_also: &["login", "quit"],
        build: |_| ask(Command::LogOut),
    },
    Row {
        name: "passwd",
        aliases: &[],
        arguments: "",
        group: Account,
        slots: &[],
        summary: "change your password",
        details: "Asks for the old and twice for the new one. Without a terminal, --password-file holds the old \
                  one in its first line and the new one in its second.",
        examples: &[],
        see_also: &["login"],
        build: |_| Ok(Line::ChangePassword),
    },
    keys::ROTATE,
    Row {
        name: "whoami",
        aliases: &[],
        arguments: "",
        group: Account,
        slots: &[],
        summary: "show your name, your registry and where you listen",
        details: "",
        examples: &[],
        see_also: &["fingerprint", "whois"],
        build: |_| ask(Command::WhoAmI),
    },
    Row {
        name: "fingerprint",
        aliases: &[],
        arguments: "",
        group: Account,
        slots: &[],
        summary: "show your key and the registry's, for comparing",
        details: "Read them to each other on the phone, or over the shoulder: whoever sees the same digits talks to \
                  the right person through the right registry.",
        examples: &[],
        see_also: &["verify", "whoami"],
        build: |_| ask(Command::Fingerprint),
    },
    Row {
        name: "msg",
        aliases: &["m"],
        arguments: "NAME TEXT",
        group: Talk,
        slots: &[Slot::Conversation, Slot::Text],
        summary: "send one message to somebody",
        details: "NAME may be a #room, '*' for the current conversation, ',' for who last wrote to you, '.' for \
                  whom you last wrote to. '@bob hello' is short for '/msg bob hello'.",
        examples: &["/msg bob are you there?", "@bob are you there?", "#dev it is deployed"],
        see_also: &["query", "reply"],
        build: message,
    },
    Row {
        name: "query",
        aliases: &["q"],
        arguments: "NAME [TEXT]",
        group: Talk,
        slots: &[Slot::Conversation, Slot::Text],
        summary: "talk with somebody: plain lines go there from now on",
        details: "",
        examples: &["/query bob", "/query bob have you seen the build?"],
        see_also: &["msg", "switch"],
        build: |arguments| {
            let target = arguments.conversation()?;
            ask(Command::Query { target, text: arguments.text_if_any() })
        },
    },
    Row {
        name: "reply",
        aliases: &["r"],
        arguments: "TEXT",
        group: Talk,
        slots: &[Slot::Text],
        summary: "answer whoever last wrote to you privately",
        details: "",
        examples: &["/reply on my way"],
        see_also: &["msg"],
        build: |arguments| say(To::LastHeard, arguments.text()?, MessageKind::Text),
    },
    Row {
        name: "me",
        aliases: &[],
        arguments: "TEXT",
        group: Talk,
        slots: &[Slot::Text],
        summary: "say what you do: * alice TEXT",
        details: "",
        examples: &["/me stretches"],
        see_also: &["say"],
        build: |arguments| say(To::Current, arguments.text()?, MessageKind::Action),
    },
    Row {
        name: "say",
        aliases: &[],
        arguments: "TEXT",
        group: Talk,
        slots: &[Slot::Text],
        summary: "send TEXT as it is, also if it begins with / @ or #",
        details: "'//text' does the same for a text that begins with a slash.",
        examples: &["/say /etc/hosts is the file", "//etc/hosts is the file"],
        see_also: &["msg"],
        build: |arguments| say(To::Current, arguments.text()?, MessageKind::Text),
    },
    Row {
        name: "switch",
        aliases: &[],
        arguments: "NAME|#ROOM",
        group: Talk,
        slots: &[Slot::Conversation],
        summary: "make another conversation the current one",
        details: "",
        examples: &["/switch #dev", "/switch bob"],
        see_also: &["query"],
        build: |arguments| ask(Command::Query { target: arguments.conversation()?, text: None }),
    },
    Row {
        name: "history",
        aliases: &["tail"],
        arguments: "[NAME|#ROOM] [COUNT|SINCE]",
        group: Talk,
        slots: &[Slot::Conversation, Slot::Text],
        summary: "show what was said, the newest COUNT messages (20)",
        details: "SINCE is a span of time (90s 10m 1h30m 7d 2w), a time of the day (14:05), 'today', 'yesterday', or a \
                  date (2026-05-12, 2026-05-12T14:05). '@NAME' where a name looks like one of these. Edited messages \
                  show their newest text, deleted ones none.",
        examples: &["/history", "/history 100", "/history #dev 50", "/history 1h30m", "/history bob yesterday"],
        see_also: &["switch"],
        build: messages::history,
    },
    asking::SEARCH,
    asking::CATCHUP,
    asking::EXPORT,
    messages::EDIT,
    messages::DELETE,
    messages::REACT,
    messages::TRACE,
    Row {
        name: "who",
        aliases: &["w"],
        arguments: "[PATTERN]",
        group: People,
        slots: &[Slot::Person],
        summary: "who is online, or those with PATTERN in the name",
        details: "",
        examples: &["/who", "/who al"],
        see_also: &["whois", "names"],
        build: |arguments| ask(Command::Who { pattern: arguments.word()? }),
    },
    Row {
        name: "whois",
        aliases: &["wi"],
        arguments: "NAME",
        group: People,
        slots: &[Slot::Person],
        summary: "one person: key, route, last seen",
        details: "",
        examples: &["/whois bob"],
        see_also: &["who", "verify"],
        build: |arguments| ask(Command::WhoIs { user: arguments.person()? }),
    },
    keys::VERIFY,
    keys::ACCEPT_KEY,
    keys::REJECT_KEY,
    messages::WHY,
    Row {
        name: "away",
        aliases: &[],
        arguments: "[TEXT]",
        group: People,
        slots: &[Slot::Text],
        summary: "say that you are away",
        details: "",
        examples: &["/away lunch"],
        see_also: &["back"],
        build: |arguments| ask(Command::Away { text: arguments.text_if_any().unwrap_or_default() }),
    },
    Row {
        name: "back",
        aliases: &[],
        arguments: "",
        group: People,
        slots: &[],
        summary: "say that you are back",
        details: "",
        examples: &[],
        see_also: &["away"],
        build: |_| ask(Command::Back),
    },
    Row {
        name: "rooms",
        aliases: &["list", "channels"],
        arguments: "[PATTERN]",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "list the rooms you may see",
        details: "",
        examples: &["/rooms", "/rooms dev"],
        see_also: &["join", "create"],
        build: |arguments| ask(Command::Rooms { pattern: arguments.word()? }),
    },
    Row {
        name: "join",
        aliases: &["j"],
        arguments: "#ROOM",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "enter a room",
        details: "",
        examples: &["/join #dev"],
        see_also: &["part", "rooms", "accept"],
        build: |arguments| ask(Command::Join { room: arguments.room()? }),
    },
    Row {
        name: "part",
        aliases: &["leave"],
        arguments: "[#ROOM]",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "leave a room, the current one if none is named",
        details: "",
        examples: &["/part", "/part #dev"],
        see_also: &["join"],
        build: |arguments| ask(Command::Part { room: arguments.room_if_any()? }),
    },
    Row {
        name: "create",
        aliases: &[],
        arguments: "#ROOM [--private] [--history all|joined] [--topic TEXT]",
        group: Rooms,
        slots: &[
            Slot::Text,
            Slot::Option("--private"),
            Slot::Option("--history all"),
            Slot::Option("--history joined"),
            Slot::Option("--topic"),
        ],
        summary: "make a room and enter it",
        details: "A private room is seen by its members only, and entered with an invitation of its owner. \
                  --history says what somebody who enters is given: all that was ever said (as in a public room, \
                  if nothing is said), or only what is said once they joined (as in a private one). \
                  --topic takes the rest of the line.",
        examples: &["/create #dev", "/create #plans --private --topic What we do next"],
        see_also: &["invite", "topic"],
        build: create,
    },
    Row {
        name: "names",
        aliases: &["n"],
        arguments: "[#ROOM]",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "who is in a room",
        details: "",
        examples: &["/names", "/names #dev"],
        see_also: &["who"],
        build: |arguments| ask(Command::Names { room: arguments.room_if_any()? }),
    },
    Row {
        name: "topic",
        aliases: &["t"],
        arguments: "[TEXT|-delete]",
        group: Rooms,
        slots: &[Slot::Text],
        summary: "show the topic of the current room, or set it",
        details: "-delete clears it; '--' before a text that begins with a dash.",
        examples: &["/topic", "/topic Release on Friday", "/topic -delete"],
        see_also: &["create"],
        build: topic,
    },
    Row {
        name: "invite",
        aliases: &[],
        arguments: "NAME [#ROOM]",
        group: Rooms,
        slots: &[Slot::Person, Slot::Room],
        summary: "let somebody into a private room of yours",
        details: "",
        examples: &["/invite bob", "/invite bob #plans"],
        see_also: &["invites", "accept"],
        build: |arguments| {
            let user = arguments.person()?;
            ask(Command::Invite { user, room: arguments.room_if_any()? })
        },
    },
    Row {
        name: "invites",
        aliases: &[],
        arguments: "",
        group: Rooms,
        slots: &[],
        summary: "the invitations you have",
        details: "",
        examples: &[],
        see_also: &["accept", "decline"],
        build: |_| ask(Command::Invites),
    },
    Row {
        name: "accept",
        aliases: &[],
        arguments: "#ROOM",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "accept an invitation and enter the room",
        details: "",
        examples: &["/accept #plans"],
        see_also: &["invites", "decline"],
        build: |arguments| ask(Command::Accept { room: arguments.room()? }),
    },
    Row {
        name: "decline",
        aliases: &[],
        arguments: "#ROOM",
        group: Rooms,
        slots: &[Slot::Room],
        summary: "decline an invitation",
        details: "",
        examples: &["/decline #plans"],
        see_also: &["invites", "accept"],
        build: |arguments| ask(Command::Decline { room: arguments.room()? }),
    },
    moderation::KICK,
    moderation::BAN,
    moderation::UNBAN,
    moderation::BANS,
    moderation::OWNER,
    moderation::CLOSE,
    Row {
        name: "help",
        aliases: &["h", "?"],
        arguments: "[COMMAND]",
        group: Program,
        slots: &[Slot::Command],
        summary: "this help, or all about one command or 'keys'",
        details: "",
        examples: &["/help", "/help create", "/help keys"],
        see_also: &[],
        build: |arguments| arguments.word().map(Line::Help),
    },
    Row {
        name: "set",
        aliases: &[],
        arguments: "[KEY [VALUE]]",
        group: Program,
        slots: &[Slot::Setting, Slot::Text],
        summary: "show the settings, or change one until you quit",
        details: "The same keys in the configuration file, or --set KEY=VALUE, hold from the start.",
        examples: &["/set", "/set bell all"],
        see_also: &[],
        build: |arguments| {
            let key = arguments.word()?;
            Ok(Line::Set { key, value: arguments.text_if_any() })
        },
    },
    messages::REFS,
    Row {
        name: "clear",
        aliases: &["c", "cl"],
        arguments: "",
        group: Program,
        slots: &[],
        summary: "clear the screen; no message is deleted",
        details: "",
        examples: &[],
        see_also: &["history"],
        build: |_| Ok(Line::Clear),
    },
    Row {
        name: "quit",
        aliases: &["exit", "bye"],
        arguments: "[TEXT]",
        group: Program,
        slots: &[Slot::Text],
        summary: "leave the program; what waits is kept and sent next time",
        details: "TEXT is for those used to giving a reason; it is not passed on.",
        examples: &["/quit"],
        see_also: &["logout"],
        build: |arguments| {
            arguments.text_if_any();
            Ok(Line::Quit)
        },
    },
];

pub(super) fn ask(command: Command) -> Result<Line, Refusal> {
    Ok(Line::Ask(command))
}

fn say(to: To, text: String, kind: MessageKind) -> Result<Line, Refusal> {
    ask(Command::Say { to, text, kind })
}

fn message(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let to = if arguments.option("*") {
        To::Current
    } else if arguments.option(",") {
        To::LastHeard
    } else if arguments.option(".") {
        To::LastSpoken
    } else {
        To::Named(arguments.conversation()?)
    };
    say(to, arguments.text()?, MessageKind::Text)
}

fn create(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    ask(Command::Create(arguments.new_room()?))
}

fn topic(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    if arguments.option("-delete") {
        return ask(Command::Topic { room: None, text: Some(String::new()) });
    }
    arguments.option("--");
    ask(Command::Topic { room: None, text: arguments.text_if_any() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_unique_and_rows_are_complete() {
        let mut seen = std::collections::HashSet::new();
        for row in TABLE {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert!(seen.insert(*name), "/{name} stands in the table twice");
                assert_eq!(name.to_ascii_lowercase(), **name);
            }
            for other in row.see_also {
                assert!(TABLE.iter().any(|row| row.name == *other), "/{} points to /{other}", row.name);
            }
            assert!(!row.summary.ends_with('.') && row.summary.len() < 62, "/{}: {}", row.name, row.summary);
        }
    }

    #[test]
    fn the_table_is_what_scripts_rely_on() {
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| format!("{} | {} | {:?} | {:?}", row.usage(), row.aliases.join(" "), row.group, row.slots))
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn examples_are_accepted() {
        for example in TABLE.iter().flat_map(|row| row.examples) {
            assert!(super::super::parse(example).is_ok(), "{example}");
        }
    }
}
