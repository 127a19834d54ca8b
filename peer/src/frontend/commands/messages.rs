//! The rows of the commands that name single messages or ask what became of them, and how much of a history is wanted.
//! The table lists them.

use super::Group::{People, Program, Talk};
use super::table::ask;
use super::{Arguments, Line, Row, Slot, moment};
use crate::api::{Command, Reference, Refusal, Since};

pub(super) const EDIT: Row = Row {
    name: "edit",
    aliases: &[],
    arguments: "[REF] TEXT",
    group: Talk,
    slots: &[Slot::Message, Slot::Text],
    summary: "change what a message of yours says, the last without REF",
    details: REFERENCES,
    examples: &["/edit deploy is green", "/edit ^2 see you at five", "/edit 1f4a09 on Friday"],
    see_also: &["delete", "react", "refs"],
    build: |arguments| {
        let reference = own_reference(arguments)?;
        ask(Command::Edit { reference, text: arguments.text()? })
    },
};

pub(super) const DELETE: Row = Row {
    name: "delete",
    aliases: &[],
    arguments: "[REF]",
    group: Talk,
    slots: &[Slot::Message],
    summary: "take back a message of yours, the last without REF",
    details: "Whoever has it already has read it, perhaps. From now on no history, search or export of these programs \
              shows the text; the signed bytes stay in the logs of all who have it, because they prove what came \
              before and after. REF as in /help edit.",
    examples: &["/delete", "/delete ^2"],
    see_also: &["edit"],
    build: |arguments| ask(Command::Delete { reference: own_reference(arguments)? }),
};

pub(super) const REACT: Row = Row {
    name: "react",
    aliases: &[],
    arguments: "[REF] WORD|-delete",
    group: Talk,
    slots: &[Slot::Message, Slot::Text],
    summary: "say in a word or emoji what you think of a message",
    details: "Without REF, of the last one. A second word takes the place of the first; -delete takes it back. REF \
              as in /help edit.",
    examples: &["/react +1", "/react ^bob 👍", "/react ^bob -delete"],
    see_also: &["edit", "refs"],
    build: react,
};

pub(super) const TRACE: Row = Row {
    name: "trace",
    aliases: &[],
    arguments: "[REF]",
    group: Talk,
    slots: &[Slot::Message],
    summary: "where a message is, step by step; your last without REF",
    details: "Of your own: when it went out and arrived, for each recipient. Of others': when it was written, when it \
              came, and from whom. REF as in /help edit.",
    examples: &["/trace", "/trace ^bob"],
    see_also: &["why", "refs"],
    build: |arguments| {
        let reference = arguments.reference_if_any()?.unwrap_or(Reference::Mine { back: 0 });
        ask(Command::Trace { reference })
    },
};

pub(super) const WHY: Row = Row {
    name: "why",
    aliases: &[],
    arguments: "NAME",
    group: People,
    slots: &[Slot::Person],
    summary: "how you are connected with somebody, or why not",
    details: "Tells what each address answered when they could not be reached, and what waits for them.",
    examples: &["/why bob"],
    see_also: &["trace", "whois"],
    build: |arguments| ask(Command::Why { user: arguments.person()? }),
};

pub(super) const REFS: Row = Row {
    name: "refs",
    aliases: &[],
    arguments: "[on|off]",
    group: Program,
    slots: &[Slot::Option("on"), Slot::Option("off")],
    summary: "show a short id behind each message, to name it by",
    details: "The same as /set refs.",
    examples: &["/refs on"],
    see_also: &["edit", "set"],
    build: |arguments| Ok(Line::Set { key: Some("refs".to_owned()), value: arguments.word()? }),
};

pub(super) fn history(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let mut extent = arguments.peek().and_then(extent_of);
    let target = match extent {
        None if arguments.peek().is_some() => Some(arguments.conversation()?),
        _ => None,
    };
    if extent.is_none() {
        extent = arguments.peek().and_then(extent_of);
    }
    if extent.is_some() {
        arguments.word()?;
    }
    let (count, since) = extent.unwrap_or((HISTORY_DEFAULT, None));
    if count == 0 {
        return Err(arguments.usage());
    }
    ask(Command::History { target, count, since })
}

/// How much of a history a word asks for, if it does.
fn extent_of(word: &str) -> Option<(u32, Option<Since>)> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok().map(|count: u32| (count.min(HISTORY_MAX), None));
    }
    moment::since(word).map(|since| (HISTORY_SINCE_MAX, Some(since)))
}

/// A message of mine: the last, unless one is named. `^` counts among my own.
fn own_reference(arguments: &mut Arguments<'_>) -> Result<Reference, Refusal> {
    Ok(match arguments.reference_if_any()? {
        None => Reference::Mine { back: 0 },
        Some(Reference::Newest { back }) => Reference::Mine { back },
        Some(other) => other,
    })
}

fn react(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let reference = arguments.reference_if_any()?.unwrap_or(Reference::Newest { back: 0 });
    let word =
        if arguments.option("-delete") { None } else { Some(arguments.word()?.ok_or_else(|| arguments.usage())?) };
    ask(Command::React { reference, word: word.filter(|word| !word.is_empty()) })
}

/// Messages shown by `/history` without a count.
const HISTORY_DEFAULT: u32 = 20;

/// More than this nobody reads at once, and every one passes a queue.
const HISTORY_MAX: u32 = 1000;

/// Since a time, somebody wants all of it: as many as one answer can hold.
const HISTORY_SINCE_MAX: u32 = 10_000;

/// What REF stands for, where it is first met.
const REFERENCES: &str = "REF is '^' for your last message here, '^3' for the third last, or the beginning of an id (at \
                          least 4 digits): '/refs on' shows ids. '--' before a text that begins like a REF. Others see \
                          both texts where the first was shown already.";
