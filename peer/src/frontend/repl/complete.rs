//! Tab: commands at the beginning of a line, then what each argument names, from the table; people and rooms in text.
//! A pure function of the line and what is known of the world.

use super::prompt::Status;
use crate::frontend::commands::{self, Slot};
use crate::frontend::settings::ENTRIES;

/// Where the word before the cursor begins, and what it may become.
pub(super) fn candidates(line: &str, at: usize, status: &Status) -> (usize, Vec<String>) {
    let before = &line[..at];
    let start = before.rfind(char::is_whitespace).map_or(0, |index| index + 1);
    let word = &before[start..];
    let earlier: Vec<&str> = before[..start].split_whitespace().collect();
    let found = match (before.strip_prefix('/'), earlier.split_first()) {
        (Some(_), None) => commands_beginning(word),
        (Some(_), Some((command, arguments))) => match commands::row(&command[1..]) {
            Some(row) => argument(row, arguments.len(), word, status),
            None => Vec::new(),
        },
        (None, earlier) => names(word, status, earlier.is_none()),
    };
    (start, found)
}

fn commands_beginning(word: &str) -> Vec<String> {
    let typed = word[1..].to_ascii_lowercase();
    let rows = commands::TABLE.iter().filter(|row| row.name.starts_with(&typed));
    let mut found: Vec<String> = rows.map(|row| format!("/{} ", row.name)).collect();
    found.sort_unstable();
    found
}

fn argument(row: &commands::Row, number: usize, word: &str, status: &Status) -> Vec<String> {
    // Behind the last slot free text goes on.
    let goes_on = row.slots.last().filter(|slot| matches!(slot, Slot::Text | Slot::Search));
    let Some(slot) = row.slots.get(number).or(goes_on) else { return Vec::new() };
    let typed = word.to_ascii_lowercase();
    let beginning = |name: &str| name.starts_with(&typed);
    let spaced = |names: Vec<String>| names.into_iter().map(|name| name + " ").collect();
    match slot {
        Slot::Person => spaced(people(&typed, status)),
        Slot::Room => spaced(rooms(&typed, status)),
        Slot::Conversation => {
            spaced(people(typed.trim_start_matches('@'), status).into_iter().chain(rooms(&typed, status)).collect())
        }
        Slot::Command => {
            let names = commands::TABLE.iter().map(|row| row.name).filter(|name| beginning(name));
            names.map(str::to_owned).collect()
        }
        Slot::Setting => {
            ENTRIES.iter().map(|entry| entry.key).filter(|key| beginning(key)).map(|key| format!("{key} ")).collect()
        }
        Slot::Option(_) => {
            let options = row.slots.iter().filter_map(|slot| match slot {
                Slot::Option(option) if beginning(option) => Some(format!("{option} ")),
                _ => None,
            });
            options.collect()
        }
        Slot::Search => search(&typed, status),
        Slot::Message => match typed.strip_prefix('^') {
            Some(name) => people(name, status).into_iter().map(|name| format!("^{name} ")).collect(),
            None => names(word, status, false),
        },
        Slot::Text => names(word, status, false),
    }
}

/// What narrows a search, and the names behind it.
fn search(typed: &str, status: &Status) -> Vec<String> {
    if let Some(name) = typed.strip_prefix("from:") {
        let everybody = status.people.iter().map(|user| user.as_str()).filter(|user| user.starts_with(name));
        return everybody.map(|name| format!("from:{name} ")).collect();
    }
    if let Some(place) = typed.strip_prefix("in:") {
        let places = people(place.trim_start_matches('@'), status).into_iter().chain(rooms(place, status));
        return places.map(|place| format!("in:{place} ")).collect();
    }
    let filters = ["from:", "in:", "before:", "after:", "-C "].into_iter();
    filters.filter(|filter| !typed.is_empty() && filter.starts_with(typed)).map(str::to_owned).collect()
}

/// Names in text: `@bob ` and `#dev ` address a line at its beginning; elsewhere a name is completed as it stands.
fn names(word: &str, status: &Status, first: bool) -> Vec<String> {
    let typed = word.to_ascii_lowercase();
    let after = if first { " " } else { "" };
    if typed.starts_with('#') {
        return rooms(&typed, status).into_iter().map(|room| room + after).collect();
    }
    if let Some(name) = typed.strip_prefix('@') {
        return people(name, status).into_iter().map(|name| format!("@{name}{after}")).collect();
    }
    if typed.is_empty() {
        return Vec::new();
    }
    let after = if first { ": " } else { "" };
    people(&typed, status).into_iter().map(|name| name + after).collect()
}

fn people(typed: &str, status: &Status) -> Vec<String> {
    let others = status.people.iter().filter(|user| Some(*user) != status.me.as_ref());
    others.map(|user| user.as_str()).filter(|name| name.starts_with(typed)).map(str::to_owned).collect()
}

/// Rooms by their name, the `#` typed or not.
fn rooms(typed: &str, status: &Status) -> Vec<String> {
    let bare = typed.trim_start_matches('#');
    let rooms = status.rooms.iter().map(|room| room.as_str());
    rooms.filter(|room| room[1..].starts_with(bare)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frontend::sample::{room, user};

    fn check(line: &str, start: usize, expected: &[&str]) {
        let status = Status {
            me: Some(user("alice")),
            people: Arc::new(vec![user("alice"), user("bob"), user("bobby")]),
            rooms: Arc::new(vec![room("#dev"), room("#plans")]),
            ..Status::default()
        };
        let (from, found) = candidates(line, line.len(), &status);
        assert_eq!((from, found), (start, expected.iter().map(|word| (*word).to_owned()).collect()), "{line:?}");
    }

    #[test]
    fn what_can_follow_is_offered() {
        check("/inv", 0, &["/invite ", "/invites "]);
        check("/msg b", 5, &["bob ", "bobby "]);
        check("/msg #d", 5, &["#dev "]);
        check("/join d", 6, &["#dev "]);
        check("/invite bobb", 8, &["bobby "]);
        check("/invite bobby #", 14, &["#dev ", "#plans "]);
        check("/create #x --", 11, &["--private ", "--history all ", "--history joined ", "--topic "]);
        check("/set b", 5, &["bell "]);
        check("/help inv", 6, &["invite", "invites"]);
        check("/edit ^bo", 6, &["^bob ", "^bobby "]);
        check("/edit bobb", 6, &["bobby"]);
        check("/react ^bob bobb", 12, &["bobby"]);
        check("/why b", 5, &["bob ", "bobby "]);
        check("/refs o", 6, &["on ", "off "]);
        check("/me greets bobb", 11, &["bobby"]);
        check("/search deploy f", 15, &["from:"]);
        check("/search deploy from:bo", 15, &["from:bob ", "from:bobby "]);
        check("/search in:", 8, &["in:bob ", "in:bobby ", "in:#dev ", "in:#plans "]);
        check("/search in:#d", 8, &["in:#dev "]);
        check("/export x --", 10, &["--json ", "--since "]);
        check("@bobb", 0, &["@bobby "]);
        check("#p", 0, &["#plans "]);
        check("bobb", 0, &["bobby: "]);
        check("hello bobb", 6, &["bobby"]);
        check("/nonsense b", 10, &[]);
        check("hello ", 6, &[]);
    }

    #[test]
    fn the_cursor_may_stand_anywhere() {
        for line in ["/who", "/msg bob hi", "@bob é", ""] {
            for at in (0..=line.len()).filter(|at| line.is_char_boundary(*at)) {
                let (start, _) = candidates(line, at, &Status::default());
                assert!(start <= at, "{line:?} at {at}");
            }
        }
    }
}
