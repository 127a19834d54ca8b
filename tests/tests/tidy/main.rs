//! The rules of the house as a test: what stands where, who may call whom, how large and how licensed. The tables are
//! the rules; the modules beside this one only read them. Every finding says where, what, and what to do instead.

mod dependencies;
mod floors;
mod markdown;
mod shape;
mod tree;

use tree::{Finding, Tree};

/// The visible top level; whatever else somebody wants to put there belongs into one of these.
const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "common", "peer", "registry", "scripts", "tests"];

/// A folder or file, and the parts of its own crate that it may name. Itself it may always name.
const FLOORS: &[(&str, &[&str])] = &[
    ("common/src/limits.rs", &[]),
    ("common/src/names.rs", &[]),
    ("common/src/process.rs", &[]),
    ("common/src/queue.rs", &["thread"]),
    ("common/src/secret.rs", &[]),
    ("common/src/thread.rs", &[]),
    ("common/src/time.rs", &[]),
    ("common/src/visible.rs", &[]),
    ("common/src/ids.rs", &["names"]),
    ("common/src/wire", &["limits"]),
    ("common/src/secure", &["ids", "limits", "names", "secret", "time", "wire"]),
    ("common/src/message", &["ids", "limits", "names", "secret", "secure", "time", "wire"]),
    ("registry/src/store", &[]),
    ("registry/src/refusal.rs", &["store"]),
    ("registry/src/directory", &["refusal", "store"]),
    ("registry/src/accounts", &["refusal", "store"]),
    ("registry/src/service", &["accounts", "directory", "refusal", "store"]),
    ("registry/src/server", &["accounts", "directory", "refusal", "service", "store"]),
    ("peer/src/api", &[]),
    ("peer/src/ports", &["api"]),
    ("peer/src/node", &["api", "ports"]),
    ("peer/src/disk", &["ports"]),
    ("peer/src/net", &["ports"]),
    ("peer/src/engine", &["api", "disk", "net", "node", "ports"]),
    ("peer/src/frontend", &["api"]),
];

/// An outside crate, and the folders or files that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["peer/src/main.rs", "registry/src/main.rs"]),
    ("argon2", &["common/src/secure"]),
    ("base64", &["registry/src/accounts"]),
    ("bcrypt", &["registry/src/accounts"]),
    ("chacha20poly1305", &["peer/src/disk"]),
    ("clap", &["common/src/usage.rs", "peer/src/config.rs", "peer/src/fuzz.rs", "peer/src/main.rs", "registry/src"]),
    ("colored", &["peer/src/frontend", "peer/src/fuzz.rs", "peer/src/main.rs"]),
    (
        "crossbeam_channel",
        &[
            "common/src/queue.rs",
            "peer/src/disk",
            "peer/src/engine",
            "peer/src/frontend",
            "peer/src/net",
            "registry/src/server",
            "registry/src/store",
            "registry/tests",
            "tests",
        ],
    ),
    (
        "ed25519_dalek",
        &["common/src/fuzz", "common/src/message", "common/src/secure", "common/tests", "registry/src/store", "tests"],
    ),
    (
        "getrandom",
        &[
            "peer/src/disk",
            "peer/src/engine",
            "peer/src/net",
            "registry/src/operator.rs",
            "registry/src/server",
            "registry/src/store",
        ],
    ),
    ("hkdf", &["common/src/secure"]),
    ("if_addrs", &["peer/src/net"]),
    ("jiff", &["peer/src/frontend"]),
    (
        "libc",
        &[
            "common/src/process.rs",
            "peer/src/disk",
            "peer/src/frontend",
            "peer/src/net",
            "registry/src/server",
            "tests",
        ],
    ),
    ("rmp_serde", &["common/src/wire"]),
    ("rpassword", &["peer/src/frontend"]),
    (
        "rusqlite",
        &[
            "peer/src/disk",
            "registry/src/store",
            "tests/src/bench/fleet.rs",
            "tests/src/crash",
            "tests/src/programs/kept.rs",
        ],
    ),
    ("rustyline", &["peer/src/frontend/repl"]),
    ("serde", &["common", "peer/src/config.rs", "peer/src/frontend/json", "registry/src", "tests/src/wire"]),
    ("serde_bytes", &["common/src/wire"]),
    ("serde_json", &["peer/src/frontend/json", "peer/src/fuzz.rs", "registry/src/main.rs", "tests"]),
    ("sha2", &["common/src/ids.rs", "common/src/secure", "common/tests", "tests/tests/tidy"]),
    ("signal_hook", &["peer/src/frontend", "peer/src/main.rs", "registry/src/main.rs"]),
    ("snow", &["common/src/secure", "common/tests"]),
    ("socket2", &["peer/src/net", "registry/src/server", "tests"]),
    ("strsim", &["peer/src/config.rs", "peer/src/frontend", "registry/src/config.rs"]),
    (
        "thiserror",
        &["common/src", "peer/src/disk", "peer/src/engine", "peer/src/net", "peer/src/ports", "registry/src"],
    ),
    ("toml", &["peer/src/config.rs", "registry/src/config.rs"]),
    ("tracing", &["peer/src", "registry/src"]),
    ("tracing_subscriber", &["peer/src/main.rs", "registry/src/main.rs"]),
    ("unicode_segmentation", &["peer/src/frontend"]),
    ("unicode_width", &["common/src/visible.rs", "peer/src/frontend"]),
    ("x25519_dalek", &["common/src/secure"]),
    ("zeroize", &["common/src", "peer/src/disk", "peer/src/frontend"]),
    // Of tests.
    ("cargo_metadata", &["tests/tests/tidy"]),
    ("divan", &["tests/benches"]),
    ("insta", &["common", "peer", "registry", "tests"]),
    ("portable_pty", &["tests/src"]),
    ("proptest", &["common", "peer", "registry", "tests"]),
    ("rand_chacha", &["tests/src"]),
    ("tempfile", &["peer", "registry", "tests"]),
    ("vt100", &["tests"]),
];

/// The types that open a connection, and the floors that may name them.
const SOCKETS: &[(&str, &[&str])] = &[
    ("TcpStream", &["common/src/wire/stream.rs", "peer/src/net", "registry/src/server", "registry/tests", "tests"]),
    // The engine hands the bound listener on to the thread that accepts.
    ("TcpListener", &["peer/src/engine", "peer/src/net", "registry/src/server", "registry/tests", "tests"]),
    // Only to ask the kernel for the address this machine would leave by.
    ("UdpSocket", &["registry/src/main.rs"]),
    // The operator's orders.
    ("UnixStream", &["registry/src/server"]),
    ("UnixListener", &["registry/src/server"]),
];

/// Lines of a source file or script, and the files that may have more, with the reason.
const LINES_MAX: usize = 500;
const LONGER: &[(&str, &str)] = &[];

/// Beginnings of file and folder names that are no nouns of this domain.
const NO_NOUNS: &[&str] = &["helper", "manager", "misc", "util"];

/// Words that no file holds, and what to do instead; the list of banned calls has to name them.
const WORDS_EXCEPT: &str = ".clippy.toml";
const WORDS: &[(&str, &str)] = &[
    (concat!("thread::", "sleep"), "wait for an event, with a deadline"),
    (concat!("/wo", "rk/"), "name no path of one machine"),
    (concat!("/ro", "ot/"), "name no path of one machine"),
    (concat!("/ho", "me/"), "name no path of one machine"),
    (concat!("DO NOT ", "COMMIT"), "finish it first"),
];

/// Licences that this project may link, and what each asks of it.
const LICENCES: &[(&str, &str)] = &[
    ("Apache-2.0", "permissive"),
    ("BSD-2-Clause", "permissive"),
    ("BSD-3-Clause", "permissive"),
    ("ISC", "permissive"),
    ("MIT", "permissive"),
    ("MPL-2.0", "changes to its own files would have to be published; we make none"),
    ("Unicode-3.0", "permissive; tables of characters"),
    ("Unlicense", "public domain"),
    ("Zlib", "permissive"),
];

/// Crates that are there in more than one version, each with the reason why that is nobody's slip.
const DUPLICATES: &[(&str, &str)] = &[
    ("aead", SNOW),
    ("blake2", SNOW),
    ("block-buffer", SNOW),
    ("chacha20", SNOW),
    ("chacha20poly1305", SNOW),
    ("cipher", SNOW),
    ("cpufeatures", SNOW),
    ("crypto-common", SNOW),
    ("curve25519-dalek", SNOW),
    ("digest", SNOW),
    ("getrandom", "snow's, ring's and ours: three years of one interface"),
    ("inout", SNOW),
    ("poly1305", SNOW),
    ("sha2", SNOW),
    ("universal-hash", SNOW),
    ("cfg_aliases", "portable-pty's nix beside rustyline's; tests only"),
    ("nix", "portable-pty's beside rustyline's; tests only"),
    ("syn", "macros of serde and clap moved to 3 at different times; build only"),
    ("thiserror", "portable-pty is on 1; tests only"),
    ("thiserror-impl", "portable-pty is on 1; tests only"),
];
const SNOW: &str = "snow 0.10 stands on the generation of RustCrypto before ours";

#[test]
fn the_top_level_is_the_known_one() {
    check(|tree| shape::top_level(tree, TOP_LEVEL));
}

#[test]
fn imports_only_go_down() {
    check(|tree| floors::floors(tree, FLOORS));
}

#[test]
fn outside_crates_have_a_home() {
    check(|tree| [floors::homes(tree, HOMES), floors::homes(tree, SOCKETS)].concat());
}

#[test]
fn every_dependency_is_in_the_table_of_homes() {
    check(|tree| floors::housed(tree, HOMES));
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    check(|tree| [shape::sizes(tree, LINES_MAX, LONGER), shape::names(tree, NO_NOUNS)].concat());
}

#[test]
fn every_module_says_what_it_owns() {
    check(shape::module_docs);
}

#[test]
fn no_file_holds_a_forbidden_word() {
    check(|tree| shape::words(tree, WORDS, WORDS_EXCEPT));
}

#[test]
fn licences_are_allowed_and_duplicates_are_known() {
    check(|tree| dependencies::check(tree, LICENCES, DUPLICATES));
}

#[test]
fn the_fuzz_targets_can_be_built() {
    check(dependencies::fuzzed);
}

#[test]
fn links_in_texts_lead_somewhere() {
    check(markdown::check);
}

#[test]
fn the_protocol_was_written_down_with_its_messages() {
    check(shape::protocol);
}

fn check(findings: impl FnOnce(&Tree) -> Vec<Finding>) {
    let findings = findings(&Tree::read());
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} found:\n{}", lines.len(), lines.join("\n"));
}
