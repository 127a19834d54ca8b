//! The rows of the table about what was said: searching, catching up, taking a copy.

use super::Group::Talk;
use super::{Arguments, Line, Row, Slot, moment, user_name};
use crate::api::{Code, Command, Export, Refusal, Search, Typeset};
use crate::frontend::{json, transcript};

pub(super) const SEARCH: Row = Row {
    name: "search",
    aliases: &["s", "lastlog"],
    arguments: "WORDS [from:NAME] [in:TARGET] [before:WHEN] [after:WHEN] [-C N]",
    group: Talk,
    slots: &[Slot::Search],
    summary: "find what was said, the newest 50 messages",
    details: "Every word has to be in the message; the last may be only the beginning of one. \"…\" keeps words \
              together. TARGET is a name or a #room; WHEN is like 7d, 14:05, yesterday or 2026-05-12. -C shows N \
              lines around each message.",
    examples: &["/search deploy", "/search \"out of memory\" from:bob in:#dev after:7d", "/search 東京 -C 3"],
    see_also: &["history", "catchup"],
    build: search,
};

pub(super) const CATCHUP: Row = Row {
    name: "catchup",
    aliases: &[],
    arguments: "",
    group: Talk,
    slots: &[],
    summary: "what others said while you were away",
    details: "Lines with your name first, then the last lines of every conversation. After that all of it is read.",
    examples: &[],
    see_also: &["history", "search"],
    build: |_| Ok(Line::Ask(Command::CatchUp)),
};

pub(super) const EXPORT: Row = Row {
    name: "export",
    aliases: &[],
    arguments: "FILE [--json] [--since WHEN] [NAME|#ROOM]",
    group: Talk,
    slots: &[Slot::Text, Slot::Option("--json"), Slot::Option("--since"), Slot::Conversation],
    summary: "write what was said into a new file",
    details: "Everything, or one conversation, in the order in which it came. --json writes one object per line, as \
              a program with --json reads them. Only you can read the file; one that is there is not written over.",
    examples: &["/export ~/chat.txt", "/export dev.jsonl --json --since 30d #dev"],
    see_also: &["history", "search"],
    build: export,
};

fn search(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let mut search = Search::default();
    loop {
        let is_quoted = arguments.is_quoted();
        let Some(word) = arguments.word()? else { break };
        let filter = word.split_once(':').filter(|(_, value)| !is_quoted && !value.is_empty());
        match filter {
            Some(("from", name)) => search.from = Some(user_name(name)?),
            Some(("in", place)) => search.target = Some(Arguments::conversation_in(place)?),
            Some(("before", text)) => search.before = Some(time(text)?),
            Some(("after", text)) => search.after = Some(time(text)?),
            _ => match word.strip_prefix("-C").filter(|_| !is_quoted) {
                None => search.words.push(word),
                Some("") => search.context = Some(count(arguments.word()?.as_deref().unwrap_or(""), arguments)?),
                Some(digits) => search.context = Some(count(digits, arguments)?),
            },
        }
    }
    let can_be_found = |word: &String| word.chars().any(|c| !c.is_ascii_punctuation() && !c.is_whitespace());
    if !search.words.iter().any(can_be_found) {
        return Err(arguments.usage());
    }
    Ok(Line::Ask(Command::Search(search)))
}

fn export(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let (mut path, mut target, mut since, mut as_json) = (None, None, None, false);
    loop {
        if arguments.option("--json") {
            as_json = true;
        } else if arguments.option("--since") {
            since = Some(time(&arguments.word()?.ok_or_else(|| arguments.usage())?)?);
        } else {
            match arguments.word()? {
                None => break,
                Some(word) if word.starts_with("--") => return Err(arguments.usage()),
                Some(word) if path.is_none() => path = Some(word),
                Some(word) if target.is_none() => target = Some(Arguments::conversation_in(&word)?),
                Some(_) => return Err(arguments.usage()),
            }
        }
    }
    let path = path.filter(|path| !path.is_empty()).ok_or_else(|| arguments.usage())?;
    let typeset = Typeset(if as_json { json::message_lines } else { transcript::lines });
    Ok(Line::Ask(Command::Export(Export { path, target, since, typeset })))
}

/// A time, or the refusal that says how one is written.
fn time(text: &str) -> Result<common::time::UnixMillis, Refusal> {
    moment::at(text)
        .ok_or_else(|| Refusal::new(Code::Usage, &format!("'{text}' is no time. Write it like {}.", moment::FORMS)))
}

fn count(digits: &str, arguments: &Arguments<'_>) -> Result<u32, Refusal> {
    digits.parse().map_err(|_| arguments.usage())
}
