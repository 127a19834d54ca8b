//! A smoke of every fuzz target on the stable compiler: what libFuzzer runs, without libFuzzer. The inputs are the
//! corpora in the repository and seeded changes to them; `scripts/fuzz.sh` does it in earnest.

mod mutation;

use std::path::PathBuf;

use crate::programs::workspace;
use crate::world::Random;

/// A function that takes any bytes, and how much a seeded run of it costs.
pub struct Target {
    /// Also of its file in `tests/fuzz/fuzz_targets` and of its folder in `tests/fuzz/corpus`.
    pub name: &'static str,
    run: fn(&[u8]),
    /// Seeded inputs besides the corpus: fewer where each costs signatures.
    inputs: u32,
}

/// Every target there is.
pub const TARGETS: &[Target] = &[
    Target { name: "batches", run: common::fuzz::fuzz_batches, inputs: QUICK },
    Target { name: "command_line", run: peer::fuzz::fuzz_command_line, inputs: QUICK },
    Target { name: "credentials", run: common::fuzz::fuzz_credentials, inputs: SLOW },
    Target { name: "events", run: common::fuzz::fuzz_events, inputs: QUICK },
    Target { name: "frames", run: common::fuzz::fuzz_frames, inputs: QUICK },
    Target { name: "handshakes", run: common::fuzz::fuzz_handshakes, inputs: SLOW },
    Target { name: "mail", run: common::fuzz::fuzz_mail, inputs: SLOW },
    Target { name: "messages", run: common::fuzz::fuzz_messages, inputs: QUICK },
    Target { name: "peer_config", run: peer::fuzz::fuzz_config, inputs: SLOW },
    Target { name: "registry_config", run: registry::config::fuzz_config, inputs: QUICK },
    Target { name: "rooms", run: common::fuzz::fuzz_rooms, inputs: SLOW },
    Target { name: "sanitizer", run: peer::fuzz::fuzz_sanitizer, inputs: QUICK },
];

impl Target {
    /// Runs the corpus and as many changes to it as this target gets. A panic names the input.
    pub fn smoke(&self, seed: u64) {
        let corpus = self.corpus();
        for (name, input) in &corpus {
            self.feed(name, input);
        }
        let mut random = Random::new(seed);
        let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
        for number in 0..self.inputs {
            let input = mutation::of(&inputs, &mut random);
            self.feed(&format!("seed {seed}, number {number}"), &input);
        }
    }

    /// What the repository has for it, by name.
    pub fn corpus(&self) -> Vec<(String, Vec<u8>)> {
        let folder = corpora().join(self.name);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let read = |file: std::io::Result<std::fs::DirEntry>| {
            let path = file.expect("a folder can be listed").path();
            (path.display().to_string(), std::fs::read(&path).expect("a corpus can be read"))
        };
        let mut corpus: Vec<(String, Vec<u8>)> = files.map(read).collect();
        corpus.sort();
        corpus
    }

    fn feed(&self, name: &str, input: &[u8]) {
        if let Err(panic) = std::panic::catch_unwind(|| (self.run)(input)) {
            let _ = std::panic::catch_unwind(|| panic!("{}: {name}: {input:?}", self.name));
            std::panic::resume_unwind(panic);
        }
    }
}

/// The folder of all corpora.
pub fn corpora() -> PathBuf {
    workspace().join("tests/fuzz/corpus")
}

const QUICK: u32 = 10_000;
const SLOW: u32 = 1000;
