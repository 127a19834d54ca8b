//! What came out: one JSON with everything, a table in Markdown, and a plot for each row. A run of some rows replaces
//! those and keeps the others.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Row;
use super::contestant::Kind;
use super::figures::{Outcome, written};
use super::plan::Plan;
use super::{plot, rows};

/// See the module.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    rows: BTreeMap<&'static str, Value>,
    /// Contenders that are not installed, and their packages.
    skipped: BTreeMap<&'static str, &'static str>,
    failed: Vec<String>,
    /// Among them something that is not somebody else's.
    is_broken: bool,
}

impl Report {
    pub(super) fn begin(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            rows: BTreeMap::new(),
            skipped: BTreeMap::new(),
            failed: Vec::new(),
            is_broken: false,
        }
    }

    pub(super) fn skip(&mut self, name: &'static str, package: &'static str) {
        self.skipped.insert(name, package);
    }

    pub(super) fn fail(&mut self, row: &Row, name: &str, kind: Kind, error: &io::Error) {
        self.is_broken |= kind != Kind::Contender;
        self.failed.push(format!("{}: {name}: {error}", row.name));
    }

    pub(super) fn add(&mut self, row: &Row, outcomes: Vec<Outcome>) {
        let contestants: Vec<Value> = outcomes.iter().map(|outcome| contestant(row, outcome)).collect();
        self.rows.insert(row.name, json!({"title": row.title, "contestants": contestants}));
    }

    /// Something of ours, or of the machine's, could not be measured.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The median of one column of one contestant.
    pub fn median(&self, row: &str, name: &str, key: &str) -> Option<f64> {
        let all = self.rows.get(row)?["contestants"].as_array()?;
        let one = all.iter().find(|one| one["name"] == name)?;
        one["figures"][key]["median"].as_f64()
    }

    /// All of it as JSON.
    pub fn to_json(&self) -> Value {
        let rows: Map<String, Value> = self.rows.iter().map(|(name, row)| ((*name).to_owned(), row.clone())).collect();
        json!({"machine": machine(), "quick": self.plan.is_quick, "rounds": self.plan.rounds(), "rows": rows,
            "skipped": self.skipped, "failed": self.failed})
    }

    /// Writes figures, table and plots where the plan says.
    pub fn write(&self) -> io::Result<()> {
        let mut whole = self.to_json();
        if let Some(folder) = &self.plan.folder {
            fs::create_dir_all(folder)?;
            let file = folder.join("figures.json");
            if self.plan.is_partial() {
                keep_others(&file, &mut whole)?;
            }
            fs::write(&file, serde_json::to_string_pretty(&whole)? + "\n")?;
            fs::write(folder.join("figures.md"), format!("# Figures\n\n{}", table(&whole)))?;
            for row in rows() {
                if let Some(drawn) = plot::row(row, &whole["rows"][row.name]) {
                    fs::write(folder.join(format!("{}.svg", row.name)), drawn)?;
                }
            }
        }
        if let Some(readme) = &self.plan.readme {
            replace_table(readme, &table(&whole))?;
        }
        Ok(())
    }
}

fn contestant(row: &Row, outcome: &Outcome) -> Value {
    let mut figures = Map::new();
    for column in row.columns {
        if let Some(summary) = outcome.summary(column.key) {
            let rounds: Vec<f64> = outcome.values(column.key).collect();
            let told = json!({"median": summary.median, "low": summary.low, "high": summary.high, "rounds": rounds});
            figures.insert(column.key.to_owned(), told);
        }
    }
    let kind = match outcome.kind {
        Kind::Ours => "ours",
        Kind::Limit => "limit",
        Kind::Contender => "contender",
    };
    json!({"name": outcome.name, "kind": kind, "figures": figures})
}

/// Rows of an earlier run that this one did not measure.
fn keep_others(file: &Path, whole: &mut Value) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(()) };
    let before: Value = serde_json::from_str(&text)?;
    if let (Some(rows), Some(others)) = (whole["rows"].as_object_mut(), before["rows"].as_object()) {
        for (name, row) in others {
            rows.entry(name.clone()).or_insert_with(|| row.clone());
        }
    }
    Ok(())
}

/// One line a column of a row: ours, the limit and how far that is, and the others.
fn table(whole: &Value) -> String {
    let mut lines =
        vec!["| what | here | limit of the machine | ratio | others |".to_owned(), "|---|---|---|---|---|".to_owned()];
    for row in rows() {
        let Some(contestants) = whole["rows"][row.name]["contestants"].as_array() else { continue };
        for column in row.columns {
            let told = |one: &Value| Some((one["figures"][column.key]["median"].as_f64()?, spread(one, column.key)));
            let of = |kind: &'static str| contestants.iter().filter(move |one| one["kind"] == kind);
            let Some((ours, around)) = of("ours").find_map(told) else { continue };
            let limit = of("limit").find_map(|one| Some((one["name"].as_str()?, told(one)?.0)));
            let (limit_told, ratio) = match limit {
                Some((name, limit)) => {
                    let ratio = if column.is_rate { limit / ours } else { ours / limit };
                    (format!("{} ({name})", written(limit)), format!("{ratio:.1}"))
                }
                None => (String::new(), String::new()),
            };
            let others =
                of("contender").filter_map(|one| Some(format!("{} {}", one["name"].as_str()?, written(told(one)?.0))));
            let others = others.collect::<Vec<_>>().join(", ");
            let (title, unit) = (format!("{}: {}", row.title, column.title), column.unit);
            lines.push(format!("| {title} | {} {unit} {around} | {limit_told} | {ratio} | {others} |", written(ours)));
        }
    }
    let machine = &whole["machine"];
    let text = |field: &str| machine[field].as_str().unwrap_or_default().to_owned();
    lines.push(String::new());
    lines.push(format!(
        "Medians of {} rounds, lowest and highest in parentheses; {} cores of {}, Linux {}. A ratio of 1 is the limit.",
        whole["rounds"],
        machine["cores"],
        text("processor"),
        text("kernel")
    ));
    lines.join("\n") + "\n"
}

fn spread(one: &Value, key: &str) -> String {
    let figure = &one["figures"][key];
    let written = |field: &str| figure[field].as_f64().map(written).unwrap_or_default();
    format!("({}–{})", written("low"), written("high"))
}

/// Between the two marks of the text; one without them is left alone.
fn replace_table(file: &Path, table: &str) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let (Some(begin), Some(end)) = (text.find(TABLE_BEGIN), text.find(TABLE_END)) else { return Ok(()) };
    let (before, after) = (&text[..begin + TABLE_BEGIN.len()], &text[end..]);
    fs::write(file, format!("{before}\n{table}{after}"))
}

fn machine() -> Value {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    json!({"cores": cores, "processor": processor.map_or("an unknown kind", |(_, name)| name), "kernel": kernel})
}

const TABLE_BEGIN: &str = "<!-- bench:begin -->";
const TABLE_END: &str = "<!-- bench:end -->";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Column;

    const ROW: Row = Row {
        name: "latency",
        title: "One-to-one",
        columns: &[Column::cost("p50", "p50", "µs")],
        on_one_core: true,
        candidates: |_| Vec::new(),
    };

    #[test]
    fn the_table_has_ours_beside_the_limit_and_the_others() {
        let mut report = Report::begin(&Plan::default());
        let outcome = |name, kind, value| {
            let mut outcome = Outcome::new(name, kind);
            outcome.add(&[("p50", value)]);
            outcome
        };
        let all = [("us", Kind::Ours, 30.0), ("sockets", Kind::Limit, 15.0), ("ngircd", Kind::Contender, 17.0)];
        report.add(&ROW, all.map(|(name, kind, value)| outcome(name, kind, value)).into());
        let table = table(&report.to_json());
        let line = table.lines().find(|line| line.contains("p50")).unwrap();
        assert!(line.contains("| 30.0 µs (30.0–30.0) | 15.0 (sockets) | 2.0 | ngircd 17.0 |"), "{line}");
        assert_eq!(report.median("latency", "us", "p50"), Some(30.0));
    }

    #[test]
    fn a_table_is_replaced_between_its_marks_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("README.md");
        fs::write(&file, format!("before\n{TABLE_BEGIN}\nold\n{TABLE_END}\nafter\n")).unwrap();
        replace_table(&file, "new\n").unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("before\n{TABLE_BEGIN}\nnew\n{TABLE_END}\nafter\n"));
    }
}
