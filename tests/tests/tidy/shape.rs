//! What can be seen without understanding: the top level, sizes, names, module docs, words, and the hash that ties the
//! protocol's text to its messages.

use sha2::{Digest, Sha256};

use super::tree::{Finding, Tree};

pub(crate) fn top_level(tree: &Tree, allowed: &[&str]) -> Vec<Finding> {
    let mut seen: Vec<&str> = tree.files.iter().filter_map(|file| file.path.split('/').next()).collect();
    seen.sort_unstable();
    seen.dedup();
    let visible = seen.iter().filter(|name| !name.starts_with('.'));
    let extra = visible.filter(|name| !allowed.contains(*name)).map(|name| {
        Finding::new(name, 1, "not of the top level", format!("it belongs into one of {}", allowed.join(", ")))
    });
    let missing = allowed.iter().filter(|name| !seen.contains(*name));
    extra.chain(missing.map(|name| Finding::new(name, 1, "it is missing", "add it"))).collect()
}

pub(crate) fn sizes(tree: &Tree, lines_max: usize, longer: &[(&str, &str)]) -> Vec<Finding> {
    let sources = tree.ending(".rs").chain(tree.ending(".sh"));
    sources
        .filter(|file| !longer.iter().any(|(path, _)| *path == file.path))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > lines_max)
        .map(|(file, lines)| {
            let what = format!("{lines} lines where {lines_max} are allowed");
            Finding::new(&file.path, lines_max + 1, what, "find the second noun in it and give it a file")
        })
        .collect()
}

pub(crate) fn names(tree: &Tree, no_nouns: &[&str]) -> Vec<Finding> {
    let is_bad = |path: &str| path.split('/').any(|part| no_nouns.iter().any(|word| part.starts_with(word)));
    tree.files
        .iter()
        .filter(|file| is_bad(&file.path))
        .map(|file| Finding::new(&file.path, 1, "the name says nothing", "name it for the type or decision it holds"))
        .collect()
}

pub(crate) fn module_docs(tree: &Tree) -> Vec<Finding> {
    let opening = |text: &str| text.lines().take_while(|line| line.starts_with("//!")).count();
    tree.ending(".rs")
        .map(|file| (file, opening(&file.text)))
        .filter(|(_, lines)| !(1..=DOC_LINES_MAX).contains(lines))
        .map(|(file, lines)| {
            let instead = format!("open it with 1 to {DOC_LINES_MAX}: what it owns, who calls it, what it never does");
            Finding::new(&file.path, 1, format!("{lines} lines of module doc"), instead)
        })
        .collect()
}

pub(crate) fn words(tree: &Tree, words: &[(&str, &str)], except: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != except) {
        for (index, line) in file.text.lines().enumerate() {
            for (word, instead) in words.iter().filter(|(word, _)| line.contains(word)) {
                findings.push(Finding::new(&file.path, index + 1, format!("'{word}'"), *instead));
            }
        }
    }
    findings
}

/// `PROTOCOL.md` carries the SHA-256 of the message sources, one after the other by name: who changes the one reads
/// the other.
pub(crate) fn protocol(tree: &Tree) -> Vec<Finding> {
    let mut sources: Vec<_> = tree.ending(".rs").filter(|file| is_message(&file.path)).collect();
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    let mut sha = Sha256::new();
    sources.iter().for_each(|file| sha.update(&file.text));
    let hash: String = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("message-hash: {hash}");
    let finding = |number, what| {
        let instead = format!("bring the text up to date with common/src/message and write '{line}'");
        vec![Finding::new(PROTOCOL, number, what, instead)]
    };
    let Some(file) = tree.files.iter().find(|file| file.path == PROTOCOL) else { return finding(1, "it is missing") };
    match file.text.lines().position(|line| line.contains("message-hash:")) {
        None => finding(1, "no message-hash"),
        Some(at) if file.text.lines().nth(at) == Some(line.as_str()) => Vec::new(),
        Some(at) => finding(at + 1, "the messages have changed"),
    }
}

/// The files directly in the folder; its snapshots and test vectors are no messages.
fn is_message(path: &str) -> bool {
    path.strip_prefix("common/src/message/").is_some_and(|name| !name.contains('/'))
}

const PROTOCOL: &str = "common/PROTOCOL.md";
const DOC_LINES_MAX: usize = 6;
