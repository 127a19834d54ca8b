//! What a row has to reach: a figure, or a multiple of what the machine or somebody else reaches in the same run.

use serde_json::Value;

use super::figures::{Column, written};

/// A bound for one column of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) key: &'static str,
    bound: Bound,
    /// Nice to have.
    pub(super) is_stretch: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    Value(f64),
    /// So many times the limit of the machine.
    Limit(f64),
    /// So many times what a contender reaches.
    Contender(f64, &'static str),
    /// Somebody who cannot be measured here, by how they once did beside a contender: ratios travel, figures do not.
    Elsewhere {
        who: &'static str,
        times: f64,
        of: &'static str,
    },
    /// So many times another column of ours.
    Column(f64, &'static str),
}

/// A goal beside what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) told: String,
    /// `None` where nobody is there to compare with.
    pub(super) holds: Option<bool>,
    pub(super) is_stretch: bool,
}

impl Goal {
    pub(super) const fn must(key: &'static str, bound: Bound) -> Self {
        Self { key, bound, is_stretch: false }
    }

    pub(super) const fn stretch(key: &'static str, bound: Bound) -> Self {
        Self { key, bound, is_stretch: true }
    }

    pub(super) fn judge(&self, column: &Column, contestants: &[Value]) -> Judged {
        let median = |one: &Value, key: &str| one["figures"][key]["median"].as_f64();
        let of_kind = |kind: &str| contestants.iter().find(|one| one["kind"] == kind);
        let named =
            |name: &str| contestants.iter().find(|one| one["name"] == name).and_then(|one| median(one, self.key));
        let ours = of_kind("ours").and_then(|one| median(one, self.key));
        let times = |times: f64, what: &str| match times {
            1.0 => what.to_owned(),
            _ => format!("{times} × {what}"),
        };
        let (bound, told) = match self.bound {
            Bound::Value(value) => (Some(value), format!("{} {}", plain(value), column.unit).trim_end().to_owned()),
            Bound::Limit(factor) => {
                let limit = of_kind("limit").and_then(|one| median(one, self.key));
                (limit.map(|limit| limit * factor), times(factor, "limit"))
            }
            Bound::Contender(factor, name) => (named(name).map(|value| value * factor), times(factor, name)),
            Bound::Elsewhere { who, times: factor, of } => {
                (named(of).map(|value| value * factor), format!("{who}, elsewhere {factor} × {of}"))
            }
            Bound::Column(factor, key) => {
                let other = of_kind("ours").and_then(|one| median(one, key));
                (other.map(|other| other * factor), times(factor, key))
            }
        };
        let reaches = |ours: f64, bound: f64| if column.is_rate { ours >= bound } else { ours <= bound };
        let holds = ours.zip(bound).map(|(ours, bound)| reaches(ours, bound));
        let told = format!("{} {told}", if column.is_rate { "≥" } else { "≤" });
        Judged { told, holds, is_stretch: self.is_stretch }
    }
}

impl Judged {
    /// As it stands in the table; what is only nice to have in parentheses.
    pub(super) fn in_table(&self) -> String {
        let mark = match self.holds {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        let text = format!("{mark} {}", self.told);
        if self.is_stretch { format!("({text})") } else { text }
    }
}

/// A bound as somebody would write it.
fn plain(value: f64) -> String {
    if value < 1000.0 { value.to_string() } else { written(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_goal_is_a_figure_or_a_multiple_of_what_was_measured_beside_it() {
        let one = |name: &str, kind: &str, value: f64, other: f64| json!({"name": name, "kind": kind, "figures": {"p50": {"median": value}, "p99": {"median": other}}});
        let all =
            [one("us", "ours", 30.0, 70.0), one("bare", "limit", 15.0, 16.0), one("ngircd", "contender", 20.0, 50.0)];
        let cost = Column::cost("p50", "p50", "µs");
        let told = |goal: Goal, column: &Column| goal.judge(column, &all).in_table();
        assert_eq!(told(Goal::must("p50", Bound::Value(30.0)), &cost), "✓ ≤ 30 µs");
        assert_eq!(told(Goal::must("p50", Bound::Limit(2.0)), &cost), "✓ ≤ 2 × limit");
        assert_eq!(told(Goal::stretch("p50", Bound::Contender(1.0, "ngircd")), &cost), "(✗ ≤ ngircd)");
        assert_eq!(told(Goal::must("p50", Bound::Contender(2.0, "NATS")), &cost), "? ≤ 2 × NATS");
        assert_eq!(
            told(Goal::must("p99", Bound::Column(2.0, "p50")), &Column::cost("p99", "p99", "µs")),
            "✗ ≤ 2 × p50"
        );
        let elsewhere = Bound::Elsewhere { who: "ergo", times: 0.64, of: "ngircd" };
        let rate = Column::rate("p50", "messages", "/s");
        assert_eq!(told(Goal::must("p50", elsewhere), &rate), "✓ ≥ ergo, elsewhere 0.64 × ngircd");
    }
}
