//! Who may name whom: floors inside a crate, and the homes of outside crates. Reads the words before `::`; it does not
//! parse Rust, which is why root imports name one floor per line.

use super::tree::{File, Finding, Tree};

/// Every `crate::x` below a floor is one that it may name, and no `super` climbs out of it.
pub(crate) fn floors(tree: &Tree, table: &[(&str, &[&str])]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, below) in table {
        let own = place.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        for file in tree.ending(".rs").filter(|file| file.is_in(place)) {
            findings.extend(climbing(file, place));
            for (number, line) in file.code() {
                for named in after(line, "crate::") {
                    if named.is_empty() {
                        let instead = "name one floor per line";
                        findings.push(Finding::new(&file.path, number, "an import across floors", instead));
                    } else if named != own && !below.contains(&named) {
                        let what = format!("{place} names the floor '{named}'");
                        let instead = format!("it may name {below:?}: move the code or pass a value");
                        findings.push(Finding::new(&file.path, number, what, instead));
                    }
                }
            }
        }
        if !tree.files.iter().any(|file| file.is_in(place)) {
            findings.push(Finding::new("tests/tests/tidy/main.rs", 1, format!("no {place}"), "correct the table"));
        }
    }
    findings
}

/// `super::super` that leaves the floor: the tests at a file's end are one module deeper.
fn climbing(file: &File, place: &str) -> Vec<Finding> {
    let inside = file.path.strip_prefix(place).unwrap_or_default();
    let depth = inside.matches('/').count() - usize::from(inside.ends_with("/mod.rs"));
    let tests_begin = file.code().find(|(_, line)| line.contains("#[cfg(test)]")).map_or(usize::MAX, |(at, _)| at);
    let climbs = |line: &str| line.split("super::").count() - 1;
    file.code()
        .filter(|(number, line)| {
            line.contains("super::super") && climbs(line) > depth + usize::from(*number > tests_begin)
        })
        .map(|(number, _)| Finding::new(&file.path, number, "'super' leaves the floor", "write crate::FLOOR::…"))
        .collect()
}

/// An outside crate is named in its homes only.
pub(crate) fn homes(tree: &Tree, table: &[(&str, &[&str])]) -> Vec<Finding> {
    table.iter().flat_map(|(name, homes)| named_only_in(tree, name, homes)).collect()
}

/// `word`, as a type or the start of a path, is found only in files below `places`.
fn named_only_in(tree: &Tree, word: &str, places: &[&str]) -> Vec<Finding> {
    let at_home = |file: &&File| file.is_in(TABLES) || places.iter().any(|place| file.is_in(place));
    let strangers = tree.ending(".rs").filter(|file| !at_home(file));
    let mut findings = Vec::new();
    for file in strangers {
        for (number, _) in file.code().filter(|(_, line)| names(line, word)) {
            let instead = format!("it lives in {}", places.join(", "));
            findings.push(Finding::new(&file.path, number, format!("'{word}' is named here"), instead));
        }
    }
    findings
}

/// Every dependency of the workspace has a row.
pub(crate) fn housed(tree: &Tree, table: &[(&str, &[&str])]) -> Vec<Finding> {
    let manifest = tree.ending("Cargo.toml").find(|file| file.path == "Cargo.toml").expect("the workspace's manifest");
    let section = manifest.text.split("[workspace.dependencies]").nth(1).expect("dependencies of the workspace");
    let before = manifest.text.lines().count() - section.lines().count();
    let mut findings = Vec::new();
    let mut reason = false;
    for (index, line) in section.lines().enumerate().take_while(|(_, line)| !line.starts_with('[')) {
        let number = before + index + 1;
        let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            reason = line.starts_with('#') || (reason && !line.is_empty());
            continue;
        };
        if name != "common" && !table.iter().any(|(known, _)| *known == name.replace('-', "_")) {
            let instead = "give it a home in tests/tests/tidy";
            findings.push(Finding::new(&manifest.path, number, format!("'{name}' has no home"), instead));
        }
        if !reason && !WITHOUT_REASON.contains(&name) {
            let instead = "say in one sentence above it why it is here";
            findings.push(Finding::new(&manifest.path, number, format!("'{name}' has no reason"), instead));
        }
    }
    findings
}

/// This test names everything.
const TABLES: &str = "tests/tests/tidy";

/// What every Rust project has, and ourselves.
const WITHOUT_REASON: &[&str] = &["common", "serde", "tempfile"];

/// The words that follow `mark` in `line`; an empty one for a brace.
fn after<'a>(line: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let end = |text: &str| text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    line.match_indices(mark)
        .filter(|(at, _)| !line[..*at].ends_with(is_word) && !line[..*at].ends_with('$'))
        .map(move |(at, _)| &line[at + mark.len()..])
        .map(move |rest| &rest[..end(rest)])
}

/// Whether `line` uses `word` as the start of a path or as a type.
fn names(line: &str, word: &str) -> bool {
    let is_type = word.starts_with(char::is_uppercase);
    line.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + word.len()..]);
        let whole = !before.ends_with(is_word) && !behind.starts_with(is_word);
        let is_path = behind.starts_with("::") && !before.ends_with("::");
        let is_import = before.trim_end().ends_with("use") && behind.starts_with([';', ' ']);
        whole && (is_type || is_path || is_import)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn words_are_found_whole() {
    assert!(names("use snow::Builder;", "snow"));
    assert!(names("let x: TcpStream = y;", "TcpStream"));
    assert!(!names("crate::snow::x", "snow"));
    assert!(!names("let snowfall = 1;", "snow"));
    assert_eq!(after("use crate::api::X; crate::{a}", "crate::").collect::<Vec<_>>(), ["api", ""]);
}
