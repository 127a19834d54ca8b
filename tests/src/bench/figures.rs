//! Numbers of many rounds, and what is told of them: the median, and how far the rounds lie apart.

use super::contestant::Kind;

/// What is measured, and how it is written.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub key: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    /// More is better.
    pub is_rate: bool,
}

impl Column {
    pub(super) const fn cost(key: &'static str, title: &'static str, unit: &'static str) -> Self {
        Self { key, title, unit, is_rate: false }
    }

    pub(super) const fn rate(key: &'static str, title: &'static str, unit: &'static str) -> Self {
        Self { key, title, unit, is_rate: true }
    }
}

/// What was measured of one contestant.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub name: &'static str,
    pub kind: Kind,
    rounds: Vec<Vec<(&'static str, f64)>>,
}

/// A column over all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Outcome {
    pub(super) fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, rounds: Vec::new() }
    }

    pub(super) fn add(&mut self, values: &[(&'static str, f64)]) {
        self.rounds.push(values.to_vec());
    }

    /// `None` if the column was not measured.
    pub fn summary(&self, key: &str) -> Option<Summary> {
        Summary::of(self.values(key).collect())
    }

    pub(super) fn values(&self, key: &str) -> impl Iterator<Item = f64> {
        self.rounds.iter().flatten().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The last round in words.
    pub(super) fn newest(&self, columns: &[Column]) -> String {
        let newest = self.rounds.last().map(Vec::as_slice).unwrap_or_default();
        let told = columns.iter().filter_map(|column| {
            let (_, value) = newest.iter().find(|(key, _)| *key == column.key)?;
            Some(format!("{} {} {}", column.title, written(*value), column.unit))
        });
        format!("{}: {}", self.name, told.collect::<Vec<_>>().join(", "))
    }
}

impl Summary {
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Self { median: middle(&values), low, high })
    }
}

/// The value that `share` of all are not above.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within a list")]
    let at = (last as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Three digits that count, and thousands apart.
pub(super) fn written(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let ends = digits.len() % 3;
    let mut parts: Vec<&str> =
        digits.as_bytes()[ends..].chunks(3).filter_map(|part| str::from_utf8(part).ok()).collect();
    if ends > 0 {
        parts.insert(0, &digits[..ends]);
    }
    parts.join(",")
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[half - 1], sorted[half]) } else { sorted[half] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_one_bad_round() {
        let summary = Summary::of(vec![3.0, 900.0, 1.0, 2.0, 4.0]).unwrap();
        assert_eq!(summary, Summary { median: 3.0, low: 1.0, high: 900.0 });
        assert_eq!(Summary::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Summary::of(Vec::new()), None);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (50.0, 99.0));
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_deserve() {
        let all = [0.512, 36.26, 187.9, 1_234_567.0].map(written);
        assert_eq!(all, ["0.51", "36.3", "188", "1,234,567"]);
    }
}
