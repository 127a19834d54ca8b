//! Every fuzz target, fed with its corpus and with seeded changes to it.

use std::collections::BTreeSet;

use tests::fuzz::{TARGETS, corpora};
use tests::programs::workspace;

/// One test for each target, so that they run side by side.
macro_rules! smoke {
    ($($target:ident,)+) => {
        $(#[test]
        fn $target() {
            TARGETS.iter().find(|target| target.name == stringify!($target)).unwrap().smoke(SEED);
        })+

        const SMOKED: &[&str] = &[$(stringify!($target),)+];
    };
}

smoke! {
    batches,
    command_line,
    credentials,
    events,
    frames,
    handshakes,
    mail,
    messages,
    peer_config,
    registry_config,
    rooms,
    sanitizer,
}

#[test]
fn every_target_has_its_file_its_corpus_and_its_smoke() {
    let named: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let listed = |folder: std::path::PathBuf| -> BTreeSet<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.trim_end_matches(".rs").to_owned()).collect()
    };
    assert_eq!(listed(workspace().join("tests/fuzz/fuzz_targets")), named);
    assert_eq!(listed(corpora()), named);
    assert_eq!(SMOKED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), named);
    assert!(TARGETS.iter().all(|target| !target.corpus().is_empty()), "a corpus has at least one file");
}

#[test]
fn corpora_stay_small() {
    let bytes: usize = TARGETS.iter().flat_map(tests::fuzz::Target::corpus).map(|(_, input)| input.len()).sum();
    assert!(bytes < CORPORA_BYTES_MAX, "{bytes} bytes");
}

const SEED: u64 = 4;
const CORPORA_BYTES_MAX: usize = 1024 * 1024;
