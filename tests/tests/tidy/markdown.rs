//! Texts for people: one title a file, and links to files of this tree that exist.

use super::tree::{File, Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".md").flat_map(|file| [titles(file), links(tree, file)].concat()).collect()
}

fn titles(file: &File) -> Vec<Finding> {
    let titles: Vec<usize> = prose(file).filter(|(_, line)| line.starts_with("# ")).map(|(number, _)| number).collect();
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![Finding::new(&file.path, 1, "no title", "begin with '# …'")],
        [_, second, ..] => vec![Finding::new(&file.path, *second, "a second title", "make it '## …'")],
    }
}

fn links(tree: &Tree, file: &File) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let is_outside = |target: &str| target.contains("://") || target.starts_with("mailto:");
    let mut findings = Vec::new();
    for (number, line) in prose(file) {
        for target in targets(line).filter(|target| !is_outside(target)) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() { has_heading(file, anchor) } else { tree.has(&format!("{folder}/{path}")) };
            // A path from the root of the file system would be one of this machine.
            if !there || path.starts_with('/') {
                let instead = "name a file or heading that exists";
                findings.push(Finding::new(&file.path, number, format!("'{target}' leads nowhere"), instead));
            }
        }
    }
    findings
}

/// Lines outside of code blocks, numbered from 1.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    file.text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((index + 1, line))
    })
}

/// What stands in `](…)` and in `src="…"`, without a title behind it.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let images = line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.chain(images).map(|target| target.trim_matches(['<', '>']))
}

/// Whether a heading has this anchor, made as GitHub makes it.
fn has_heading(file: &File, anchor: &str) -> bool {
    let keep = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let slug = |text: &str| text.trim().to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-");
    prose(file).filter(|(_, line)| line.starts_with('#')).any(|(_, line)| slug(line.trim_start_matches('#')) == anchor)
}
