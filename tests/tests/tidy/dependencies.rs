//! The dependency tree as cargo resolves it for this machine: licences that we may link, versions that nobody doubled
//! by accident.

use std::collections::{BTreeMap, HashSet};

use cargo_metadata::{Metadata, MetadataCommand, Package};

use super::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree, licences: &[(&str, &str)], duplicates: &[(&str, &str)]) -> Vec<Finding> {
    let metadata = metadata(tree);
    let resolve = metadata.resolve.as_ref().expect("cargo resolved the tree");
    let used: HashSet<_> = resolve.nodes.iter().map(|node| &node.id).collect();
    let packages: Vec<&Package> = metadata.packages.iter().filter(|package| used.contains(&package.id)).collect();
    [licence(&packages, licences), doubled(&packages, duplicates)].concat()
}

fn licence(packages: &[&Package], licences: &[(&str, &str)]) -> Vec<Finding> {
    let allowed = |id: &str| licences.iter().any(|(known, _)| *known == id);
    packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(|text| holds(text, &allowed)))
        .map(|package| {
            let what = format!("{} {} is under {:?}", package.name, package.version, package.license);
            Finding::new("Cargo.lock", 1, what, "use something else, or add the licence to the table with its duty")
        })
        .collect()
}

fn doubled(packages: &[&Package], duplicates: &[(&str, &str)]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        versions.entry(package.name.as_str()).or_default().push(package.version.to_string());
    }
    let is_doubled = |name: &str| versions.get(name).is_some_and(|versions| versions.len() > 1);
    let is_known = |name: &str| duplicates.iter().any(|(known, _)| *known == name);
    let surprising = versions.iter().filter(|(name, _)| is_doubled(name) && !is_known(name)).map(|(name, versions)| {
        let what = format!("{name} is there as {}", versions.join(" and "));
        Finding::new("Cargo.lock", 1, what, "agree on one version, or write the reason into the table")
    });
    let stale = duplicates.iter().filter(|(name, _)| !is_doubled(name)).map(|(name, _)| {
        let what = format!("{name} is there once");
        Finding::new("tests/tests/tidy/main.rs", 1, what, "take it out of the table of duplicates")
    });
    surprising.chain(stale).collect()
}

/// The fuzz targets are built apart from the workspace, by a lock of their own, which has to know what ours need.
pub(crate) fn fuzzed(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let lock = text(FUZZ_LOCK);
    let lacking = |name: &'static str| {
        let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")));
        let section = text(&format!("{name}/Cargo.toml")).split("[dependencies]\n").nth(1).unwrap_or_default();
        let needed: Vec<String> = section.lines().map_while(|line| Some(line.split_once('.')?.0.to_owned())).collect();
        let is_known = move |needed: &String| {
            let starts = |line: &str| {
                line.strip_prefix(&format!(" \"{needed}")).is_some_and(|rest| rest.starts_with(['"', ' ']))
            };
            entry.is_some_and(|entry| entry.lines().any(starts))
        };
        needed.into_iter().filter(move |needed| !is_known(needed)).map(move |needed| {
            let what = format!("{name} needs {needed}, which is not there");
            Finding::new(FUZZ_LOCK, 1, what, "cargo update --workspace --manifest-path tests/fuzz/Cargo.toml")
        })
    };
    ["common", "peer", "registry"].into_iter().flat_map(lacking).collect()
}

const FUZZ_LOCK: &str = "tests/fuzz/Cargo.lock";

fn metadata(tree: &Tree) -> Metadata {
    let platform = format!("--filter-platform={}", host());
    MetadataCommand::new()
        .manifest_path(tree.root.join("Cargo.toml"))
        .other_options(["--locked".to_owned(), platform])
        .exec()
        .expect("cargo metadata answers")
}

/// This machine's target triple, so that nothing is fetched for others.
fn host() -> String {
    let told = std::process::Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let told = String::from_utf8(told.stdout).expect("rustc writes UTF-8");
    told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Whether a licence expression can be met with what is allowed: `OR` and `/` choose, `AND` binds tighter.
fn holds(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at, allowed) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

/// A parenthesis, or a licence with the exception that may follow it: that only ever permits more.
fn one(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    allowed(word)
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = |id: &str| matches!(id, "MIT" | "ISC");
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-2.0", "(GPL-2.0 OR MIT) AND ISC", "MIT WITH X OR GPL-2.0"] {
        assert!(holds(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-2.0", "(MIT OR GPL-2.0) AND GPL-3.0", "", "MIT)"] {
        assert!(!holds(bad, &allowed), "{bad}");
    }
}
