//! What came out: one JSON with everything, a table in Markdown, and a plot for each row. A run of some rows replaces
//! those and keeps the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::contestant::Kind;
use super::figures::{Column, Outcome};
use super::plan::Plan;
use super::{Growth, Row, curve, growths, plot, rows, table};

/// See the module.
pub struct Report {
    plan: Plan,
    rows: BTreeMap<&'static str, Value>,
    growth: BTreeMap<&'static str, Value>,
    /// Contenders that took part, and their versions.
    versions: BTreeMap<&'static str, String>,
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
            growth: BTreeMap::new(),
            versions: BTreeMap::new(),
            skipped: BTreeMap::new(),
            failed: Vec::new(),
            is_broken: false,
        }
    }

    /// Somebody was started; of somebody from a package its version is told.
    pub(super) fn takes_part(&mut self, name: &'static str, package: Option<&str>) {
        if let Some(package) = package {
            self.versions.entry(name).or_insert_with(|| {
                said("dpkg-query", &["--showformat=${Version}", "--show", package])
                    .unwrap_or_else(|| "unknown".to_owned())
            });
        }
    }

    pub(super) fn skip(&mut self, name: &'static str, package: &'static str) {
        self.skipped.insert(name, package);
    }

    pub(super) fn fail(&mut self, what: &str, name: &str, kind: Kind, error: &io::Error) {
        self.is_broken |= kind != Kind::Contender;
        self.failed.push(format!("{what}: {name}: {error}"));
    }

    pub(super) fn add(&mut self, row: &Row, outcomes: &[Outcome]) {
        let contestants = contestants(row.columns, outcomes);
        let judged = row.goals.iter().filter_map(|goal| {
            let column = row.columns.iter().find(|column| column.key == goal.key)?;
            let judged = goal.judge(column, &contestants);
            Some(json!({"column": goal.key, "goal": judged.told, "stretch": goal.is_stretch, "holds": judged.holds}))
        });
        let goals: Vec<Value> = judged.collect();
        let told = json!({"title": row.title, "date": today(), "contestants": contestants, "goals": goals});
        self.rows.insert(row.name, told);
    }

    pub(super) fn add_point(&mut self, growth: &Growth, size: usize, outcomes: &[Outcome]) {
        let empty = || json!({"title": growth.title, "of": growth.of, "date": today(), "points": []});
        let curve = self.growth.entry(growth.name).or_insert_with(empty);
        let point = json!({"size": size, "contestants": contestants(growth.columns, outcomes)});
        curve["points"].as_array_mut().expect("made so").push(point);
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
        json!({"machine": machine(), "quick": self.plan.is_quick, "rounds": self.plan.rounds(), "rows": self.rows,
            "growth": self.growth, "versions": self.versions, "skipped": self.skipped, "failed": self.failed})
    }

    /// Writes figures, table and plots where the plan says.
    pub fn write(&self) -> io::Result<()> {
        let mut whole = self.to_json();
        let Some(folder) = &self.plan.folder else { return Ok(()) };
        fs::create_dir_all(folder)?;
        let file = folder.join("figures.json");
        if self.plan.is_partial() {
            keep_others(&file, &mut whole)?;
        }
        fs::write(&file, serde_json::to_string_pretty(&whole)? + "\n")?;
        let mut drawn = BTreeSet::new();
        let mut draw = |name: &'static str, picture: Option<String>| -> io::Result<()> {
            let Some(picture) = picture else { return Ok(()) };
            drawn.insert(name);
            fs::write(folder.join(format!("{name}.svg")), picture)
        };
        for row in rows() {
            draw(row.name, plot::row(row, &whole["rows"][row.name]))?;
        }
        for growth in growths() {
            draw(growth.name, curve::growth(growth, &whole["growth"][growth.name]))?;
        }
        let told = format!("# Figures\n\n{}", table::whole(&whole, &drawn, ""));
        fs::write(folder.join("figures.md"), told)?;
        if let Some(readme) = &self.plan.readme {
            let from_there = format!("{}/", folder.display());
            replace_table(readme, &table::whole(&whole, &drawn, &from_there))?;
        }
        Ok(())
    }
}

fn contestants(columns: &[Column], outcomes: &[Outcome]) -> Vec<Value> {
    outcomes.iter().map(|outcome| contestant(columns, outcome)).collect()
}

fn contestant(columns: &[Column], outcome: &Outcome) -> Value {
    let mut figures = Map::new();
    for column in columns {
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

/// Rows, curves and versions of an earlier run that this one did not measure.
fn keep_others(file: &Path, whole: &mut Value) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(()) };
    let before: Value = serde_json::from_str(&text)?;
    for part in ["rows", "growth", "versions"] {
        if let (Some(now), Some(others)) = (whole[part].as_object_mut(), before[part].as_object()) {
            for (name, other) in others {
                now.entry(name.clone()).or_insert_with(|| other.clone());
            }
        }
    }
    Ok(())
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

/// The day it was measured on.
fn today() -> String {
    said("date", &["--utc", "+%F"]).unwrap_or_else(|| "an unknown day".to_owned())
}

/// What a small program of the system writes, if it is there.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

const TABLE_BEGIN: &str = "<!-- bench:begin -->";
const TABLE_END: &str = "<!-- bench:end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_between_its_marks_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("README.md");
        fs::write(&file, format!("before\n{TABLE_BEGIN}\nold\n{TABLE_END}\nafter\n")).unwrap();
        replace_table(&file, "new\n").unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("before\n{TABLE_BEGIN}\nnew\n{TABLE_END}\nafter\n"));
    }

    #[test]
    fn a_run_of_one_row_keeps_what_was_measured_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        let row = |value: f64| json!({"value": value});
        fs::write(&file, json!({"rows": {"a": row(1.0), "b": row(2.0)}, "growth": {"c": row(3.0)}}).to_string())
            .unwrap();
        let mut whole = json!({"rows": {"b": row(9.0)}, "growth": {}, "versions": {}});
        keep_others(&file, &mut whole).unwrap();
        assert_eq!(whole["rows"], json!({"a": row(1.0), "b": row(9.0)}));
        assert_eq!(whole["growth"], json!({"c": row(3.0)}));
    }
}
