//! Whether two sets of times could come from one and the same thing: medians, and the rank test of Mann and Whitney.

use std::fmt;
use std::time::Duration;

/// What some times are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    pub count: usize,
    pub p10: Duration,
    pub median: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub most: Duration,
}

/// What tells two sets apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// How often a time of the first is above one of the second: one half if nothing tells them apart.
    pub chance: f64,
    /// Standard deviations of the rank sum from what chance gives.
    pub z: f64,
}

impl Spread {
    pub fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = |hundredths: usize| sorted.get((sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1)));
        let at = |hundredths| at(hundredths).copied().unwrap_or_default();
        Self { count: sorted.len(), p10: at(10), median: at(50), p90: at(90), p99: at(99), most: at(100) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let Self { count, p10, median, p90, p99, most } = *self;
        let (p10, median, p90) = (millis(p10), millis(median), millis(p90));
        let (p99, most) = (millis(p99), millis(most));
        write!(f, "{count:>6} times, ms: p10 {p10:.3}  median {median:.3}  p90 {p90:.3}  p99 {p99:.3}  most {most:.3}")
    }
}

impl Comparison {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn of(first: &[Duration], second: &[Duration]) -> Self {
        let mut all: Vec<(Duration, bool)> = first.iter().map(|time| (*time, true)).collect();
        all.extend(second.iter().map(|time| (*time, false)));
        all.sort_unstable();
        let (mut ranks, mut below) = (0.0, 0);
        for equal in all.chunk_by(|one, other| one.0 == other.0) {
            // Equal times share the middle of their ranks.
            let rank = below as f64 + (equal.len() as f64 + 1.0) / 2.0;
            ranks += rank * equal.iter().filter(|(_, is_first)| *is_first).count() as f64;
            below += equal.len();
        }
        let (n, m) = (first.len() as f64, second.len() as f64);
        let u = ranks - n * (n + 1.0) / 2.0;
        let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
        Self { chance: u / (n * m), z: (u - n * m / 2.0) / deviation }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one above the other with chance {:.3}, z {:+.2}", self.chance, self.z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(range: std::ops::Range<u64>) -> Vec<Duration> {
        range.map(Duration::from_millis).collect()
    }

    #[test]
    fn what_is_the_same_looks_the_same_and_what_is_not_does_not() {
        let same = Comparison::of(&times(0..100), &times(0..100));
        assert!((same.chance - 0.5).abs() < 1e-9 && same.z.abs() < 1e-9, "{same}");
        let above = Comparison::of(&times(200..300), &times(0..100));
        assert!((above.chance - 1.0).abs() < 1e-9 && above.z > 10.0, "{above}");
        let a_little = Comparison::of(&times(5..105), &times(0..100));
        assert!(a_little.chance > 0.5 && a_little.z < 3.0, "{a_little}");
        assert_eq!(Spread::of(&times(0..100)).median, Duration::from_millis(50));
        assert_eq!(Spread::of(&[]).most, Duration::ZERO);
    }
}
