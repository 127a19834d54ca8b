//! A few hundred random worlds: people talk while links, disks, programs and the registry break. Whatever happens,
//! what the README promises holds. `WORLD_SEED=n cargo test -p tests --test world` plays one again and tells it;
//! `WORLD_SEEDS=n` plays more or fewer than usual.

use tests::world::{Journal, outcome};

#[test]
fn whatever_breaks_nothing_is_lost_doubled_or_out_of_order() {
    match number("WORLD_SEED") {
        Some(seed) => told(seed),
        None => (0..number("WORLD_SEEDS").unwrap_or(SEEDS)).for_each(|seed| {
            if outcome(seed, Journal::default()).is_some() {
                told(seed);
            }
        }),
    }
}

/// Plays a seed again with its journal, and fails with it if the seed fails.
fn told(seed: u64) {
    let journal = Journal::kept();
    if let Some(wrong) = outcome(seed, journal.clone()) {
        panic!("{}\n\nseed {seed}: {wrong}\nagain: WORLD_SEED={seed} cargo test -p tests --test world", journal.text());
    }
}

#[expect(clippy::disallowed_methods, reason = "a failed seed is named in the environment")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("seeds are numbers"))
}

const SEEDS: u64 = 300;
