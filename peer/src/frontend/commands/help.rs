//! `/help`, from the table: an overview of a screenful, and all about one command.

use super::{Group, Row, TABLE, nearest, row};
use crate::api::{Code, Refusal};

/// What `/help` shows: at most 24 lines of at most 78 columns.
pub(crate) fn overview() -> Vec<String> {
    let mut lines: Vec<String> = EVERYDAY.iter().map(|(what, how)| format!("  {how:<34} {what}")).collect();
    lines.insert(0, "Everyday:".to_owned());
    lines.push(String::new());
    for group in Group::ALL {
        let names: Vec<String> =
            TABLE.iter().filter(|row| row.group == group).map(|row| format!("/{}", row.name)).collect();
        for (number, chunk) in wrap(&names, 68).into_iter().enumerate() {
            let title = if number == 0 { group.title() } else { "" };
            lines.push(format!("{title:<8} {chunk}"));
        }
    }
    lines.push(String::new());
    lines.push("/help COMMAND tells all about one, /help keys about the keyboard.".to_owned());
    lines
}

/// What `/help TOPIC` shows.
pub(crate) fn command_help(topic: &str) -> Result<Vec<String>, Refusal> {
    let name = topic.strip_prefix('/').unwrap_or(topic);
    if name.eq_ignore_ascii_case("keys") {
        return Ok(KEYS.iter().map(|(key, does)| format!("  {key:<14} {does}")).collect());
    }
    if let Some(group) = Group::ALL.into_iter().find(|group| group.title().eq_ignore_ascii_case(name)) {
        let rows = TABLE.iter().filter(|row| row.group == group);
        return Ok(rows.flat_map(|row| [row.usage(), format!("    {}", row.summary)]).collect());
    }
    row(name).map(one).ok_or_else(|| {
        let names = TABLE.iter().map(|row| row.name);
        let advice = nearest(name, names).map_or(String::new(), |nearest| format!("Did you mean /help {nearest}? "));
        Refusal::new(Code::UnknownCommand, &format!("There is no help on '{topic}'. {advice}/help lists all."))
    })
}

fn one(row: &Row) -> Vec<String> {
    let mut lines = vec![format!("Usage: {}", row.usage())];
    if !row.aliases.is_empty() {
        let aliases: Vec<String> = row.aliases.iter().map(|alias| format!("/{alias}")).collect();
        lines.push(format!("Also: {}", aliases.join(", ")));
    }
    lines.push(format!("  {}.", capital(row.summary)));
    let words: Vec<String> = row.details.split_whitespace().map(str::to_owned).collect();
    lines.extend(wrap(&words, 74).into_iter().map(|chunk| format!("  {chunk}")));
    if !row.examples.is_empty() {
        lines.push("Examples:".to_owned());
        lines.extend(row.examples.iter().map(|example| format!("  {example}")));
    }
    if !row.see_also.is_empty() {
        let others: Vec<String> = row.see_also.iter().map(|other| format!("/{other}")).collect();
        lines.push(format!("See also: {}", others.join(", ")));
    }
    lines
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + characters.as_str())
}

/// Words joined by spaces into lines of at most `columns`.
fn wrap(words: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

const EVERYDAY: [(&str, &str); 5] = [
    ("make an account, later /login alice", "/register alice"),
    ("see who is online", "/who"),
    ("send bob one message", "@bob hello"),
    ("talk with bob: plain lines go to him", "/query bob"),
    ("enter a room, or make one: /create", "/join #dev"),
];

const KEYS: [(&str, &str); 10] = [
    ("Tab", "complete a command, a person or a room; again for the next"),
    ("Up, Down", "lines typed before, also in earlier runs"),
    ("Ctrl-R", "search them"),
    ("Alt-Enter", "new line without sending"),
    ("Ctrl-A, Ctrl-E", "to the beginning, to the end of the line"),
    ("Ctrl-W, Ctrl-U", "erase a word, erase to the beginning"),
    ("Ctrl-L", "redraw the screen"),
    ("Ctrl-C", "erase the line; twice on an empty line: quit"),
    ("Ctrl-D", "quit, on an empty line"),
    ("Ctrl-Z", "suspend; 'fg' comes back"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_help_there_is() {
        let mut text = overview().join("\n");
        assert!(overview().len() <= 24);
        for topic in TABLE.iter().map(|row| row.name).chain(["keys", "rooms"]) {
            text.push_str(&format!("\n\n--- /help {topic}\n{}", command_help(topic).unwrap().join("\n")));
        }
        assert!(text.lines().all(|line| line.chars().count() <= 78), "a line is over 78 columns");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn unknown_topics_are_told_the_nearest() {
        assert!(command_help("jion").unwrap_err().text.as_str().contains("/help join"));
    }
}
