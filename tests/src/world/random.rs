//! The one source of chance of a world: what happens is a function of its seed.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 to below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a bound is small");
        usize::try_from(self.0.next_u64() % bound).expect("it is below the bound")
    }

    /// True in `count` of 100 cases.
    pub fn percent(&mut self, count: usize) -> bool {
        self.below(100) < count
    }

    /// A time between two, in whole milliseconds.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = usize::try_from((to - from).as_millis()).expect("simulated times are short");
        from + Duration::from_millis(u64::try_from(self.below(span + 1)).expect("it is within the span"))
    }

    /// One of `items`, unless there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
