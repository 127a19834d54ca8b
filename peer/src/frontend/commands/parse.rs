//! One line into what it asks for. A line that begins with a slash and is no command is refused with the nearest
//! name and never becomes text; what might be a slip of the finger is held back and said.

use common::names::BadName;

use super::{Arguments, Line, TABLE, room_name, row, user_name};
use crate::api::{Code, Command, MessageKind, Refusal, Target, To};

/// Reads one line; it may hold newlines when it was pasted.
pub(crate) fn parse(line: &str) -> Result<Line, Refusal> {
    let line = line.trim_end();
    let Some(first) = line.chars().next() else { return Ok(Line::Empty) };
    match first {
        '/' => match line.strip_prefix("//") {
            Some(rest) => Ok(say(To::Current, &format!("/{rest}"))),
            None => command(&line[1..]),
        },
        '@' | '#' => addressed(line),
        _ if line.trim_start().starts_with('/') => Err(held_back(line.trim_start())),
        _ => Ok(say(To::Current, line)),
    }
}

/// The candidate that looks most like `word`, if any looks like it at all.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let length = word.chars().count();
    let near_enough = length.div_ceil(2).max(2);
    candidates
        .into_iter()
        // What is twice as long is never near: a whole pasted page is not compared letter by letter.
        .filter(|candidate| length < 2 * candidate.len())
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= near_enough && *distance < candidate.len())
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(word.len())))
        .map(|(_, candidate)| candidate)
}

/// A name that cannot be one, in the words a person is told.
pub(super) fn bad_name(word: &str, bad: BadName) -> Refusal {
    Refusal::new(Code::BadName, &format!("'{word}' cannot be a name: {bad}."))
}

fn command(rest: &str) -> Result<Line, Refusal> {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let Some(row) = row(name) else { return Err(unknown(name)) };
    let mut arguments = Arguments::new(row, rest);
    let line = (row.build)(&mut arguments)?;
    arguments.end()?;
    Ok(line)
}

fn unknown(name: &str) -> Refusal {
    let names = TABLE.iter().flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()));
    let advice = match nearest(name, names) {
        Some(nearest) => format!("Did you mean /{nearest}? "),
        None => String::new(),
    };
    let text = format!("There is no command '/{name}'. {advice}/help lists all; //{name} sends it as text.");
    Refusal::new(Code::UnknownCommand, &text)
}

/// `@name text` and `#room text` go there once. A lone `@` or `#` is text: a heading, an arrow.
fn addressed(line: &str) -> Result<Line, Refusal> {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (word, text) = (&line[..end], line[end..].trim_start());
    if word.len() == 1 {
        return Ok(say(To::Current, line));
    }
    let target =
        if word.starts_with('#') { room_name(word).map(Target::Room) } else { user_name(word).map(Target::Person) };
    let target = target.map_err(|refusal| {
        Refusal::new(refusal.code, &format!("{} Not sent; '/say {word} …' sends it as it is.", refusal.text.as_str()))
    })?;
    if text.is_empty() {
        let advice = format!("There is nothing to send to {target}. /switch {target} makes it the current one.");
        return Err(Refusal::new(Code::Usage, &advice));
    }
    Ok(say(To::Named(target), text))
}

fn held_back(command: &str) -> Refusal {
    let word = command.split_whitespace().next().unwrap_or(command);
    let text =
        format!("Not sent: there are spaces before '{word}'. Type it without them to run it, or /say to send it.");
    Refusal::new(Code::Usage, &text)
}

fn say(to: To, text: &str) -> Line {
    Line::Ask(Command::Say { to, text: text.to_owned(), kind: MessageKind::Text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(line: &str) -> Code {
        parse(line).expect_err(line).code
    }

    fn said(line: &str) -> (To, String) {
        match parse(line) {
            Ok(Line::Ask(Command::Say { to, text, .. })) => (to, text),
            other => panic!("{line:?} became {other:?}"),
        }
    }

    #[test]
    fn every_line_means_what_the_snapshot_says() {
        let shown: Vec<String> = LINES
            .iter()
            .map(|line| match parse(line) {
                Ok(parsed) => format!("{line:?} => {parsed:?}"),
                Err(refusal) => format!("{line:?} => {}: {}", refusal.code, refusal.text.as_str()),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn commands_of_other_programs_are_never_sent() {
        for line in ["/op bob", "/silence bob", "/nonsense x", "/verify-all", "/acceptkey bob", "/nick x"] {
            assert_eq!(code(line), Code::UnknownCommand, "{line}");
        }
        assert_eq!(code("  /join #dev"), Code::Usage);
    }

    #[test]
    fn free_text_keeps_its_inner_spaces_and_newlines() {
        assert_eq!(said("@bob a  b\n  c"), (To::Named(Target::parse("bob").unwrap()), "a  b\n  c".to_owned()));
        assert_eq!(said("//etc"), (To::Current, "/etc".to_owned()));
    }

    const LINES: &[&str] = &[
        "",
        "  ",
        "hello",
        "  indented text",
        "/ME waves  ",
        "//me is text",
        "/say /me",
        "/say  two  spaces ",
        "@bob hi there",
        "#Dev hi",
        "# heading",
        "@",
        "@all hi",
        "#x",
        "@bob",
        "/msg bob hi",
        "/m @Bob hi",
        "/msg * hi",
        "/msg , hi",
        "/msg . hi",
        "/msg #dev hi",
        "/msg \"bob\" hi",
        "/msg \"bob hi",
        "/msg bob",
        "/query bob",
        "/q bob",
        "/query bob how are you",
        "/reply yes",
        "/r",
        "/create dev",
        "/create #dev --private --topic release  train",
        "/create --private #dev",
        "/create #dev --history joined",
        "/create #dev --private --history all --topic old hands",
        "/create #dev --history some",
        "/create #dev --secret",
        "/join dev",
        "/j",
        "/part",
        "/leave #dev",
        "/names",
        "/topic",
        "/topic new one",
        "/topic -delete",
        "/topic -- -delete",
        "/rooms",
        "/list de",
        "/invite bob",
        "/invite bob #dev",
        "/invites",
        "/accept #dev",
        "/decline dev",
        "/kick bob",
        "/k #dev bob being  rude",
        "/kick",
        "/ban bob spam",
        "/ub bob",
        "/unban #dev bob now",
        "/bans",
        "/bans dev",
        "/owner bob",
        "/close",
        "/close --yes",
        "/close #dev",
        "/close #dev --yes",
        "/switch #dev",
        "/switch bob",
        "/away",
        "/away lunch",
        "/back",
        "/back now",
        "/history",
        "/history 5",
        "/history bob",
        "/history #dev 5",
        "/history 0",
        "/history bob five",
        "/search deploy",
        "/search \"out of memory\" from:@Bob in:#dev after:2026-05-12T14:03:00Z -C 3 again",
        "/s x -C2 in:bob before:2026-05-12T14:03:00Z",
        "/search \"from:bob\" 5\" a:b from:",
        "/search",
        "/search - \"*\"",
        "/search x before:soon",
        "/search x -C many",
        "/search x from:!",
        "/catchup",
        "/catchup now",
        "/export ~/chat.txt",
        "/export \"my file\" --json #dev --since 2026-05-12T14:03:00Z",
        "/export --json x bob",
        "/export",
        "/export x --since",
        "/export x #dev #ops",
        "/export x --yaml",
        "/history 10m",
        "/history #dev 1h30m",
        "/history @10m",
        "/edit deploy is green",
        "/edit ^ green",
        "/edit ^3 green",
        "/edit 1f4a09 green",
        "/edit -- 1f4a09 green",
        "/edit face it",
        "/edit",
        "/edit ^0 x",
        "/delete",
        "/delete ^2",
        "/delete ^2 now",
        "/react +1",
        "/react ^bob 👍",
        "/react ^bob -delete",
        "/react",
        "/react two words",
        "/trace",
        "/trace ^",
        "/trace ^bob",
        "/why bob",
        "/why",
        "/refs on",
        "/who",
        "/w al",
        "/whois bob",
        "/whoami",
        "/fingerprint",
        "/verify @bob",
        "/verify",
        "/verify bob 12345 67890 12345 67890 12345 67890 12345 67890 12345 67890 12345 67890",
        "/verify bob 12345 67890",
        "/verify bob yes",
        "/accept-key bob",
        "/accept-key bob --yes",
        "/accept-key bob bob",
        "/accept-key",
        "/reject-key bob",
        "/register Alice",
        "/register",
        "/register me",
        "/login alice x",
        "/logout",
        "/passwd",
        "/help",
        "/? join",
        "/set",
        "/set bell",
        "/set bell all",
        "/clear",
        "/quit",
        "/exit",
        "/bye good night",
        " /help",
        "/helo",
        "/op bob",
        "/",
        "/regster alice",
        "/zzzzzzzz",
        "a\nb",
        "/me a\nb",
    ];

    proptest! {
        #[test]
        fn nothing_that_begins_with_one_slash_becomes_the_text_itself(rest in "[^/ ].{0,40}") {
            let line = format!("/{rest}");
            if let Ok(Line::Ask(Command::Say { text, .. })) = parse(&line) {
                prop_assert!(text.len() < line.len());
            }
        }

        #[test]
        fn no_line_panics(line in "[/@#\" a-z\\n-]{0,30}") {
            let _ = parse(&line);
        }
    }
}
