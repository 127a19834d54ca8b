//! The table in Markdown: one line a column of a row, one a column of a curve, the pictures, and who was measured where.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::figures::{Column, written};
use super::goals::Judged;
use super::{Growth, Row, curve, growths, rows};

/// All that was measured; `drawn` are the names of the pictures, which lie at `from_there`.
pub(super) fn whole(measured: &Value, drawn: &BTreeSet<&'static str>, from_there: &str) -> String {
    let mut lines = vec![
        "| what | here | limit of the machine | others | to reach |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows().iter().flat_map(|row| of_row(row, &measured["rows"][row.name])));
    lines.push(String::new());
    lines.push(captions(measured));
    let curves: Vec<String> =
        growths().iter().flat_map(|growth| of_growth(growth, &measured["growth"][growth.name])).collect();
    if !curves.is_empty() {
        lines.extend(
            ["", "| how it grows | from | to | law | furthest from it |", "|---|---|---|---|---|"].map(str::to_owned),
        );
        lines.extend(curves);
    }
    let titles =
        rows().iter().map(|row| (row.name, row.title)).chain(growths().iter().map(|one| (one.name, one.title)));
    let pictures: Vec<String> = titles
        .filter(|(name, _)| drawn.contains(name))
        .map(|(name, title)| format!("![{title}]({from_there}{name}.svg)"))
        .collect();
    if !pictures.is_empty() {
        lines.extend([String::new(), "<details><summary>Pictures</summary>".to_owned(), String::new()]);
        lines.extend(pictures);
        lines.extend([String::new(), "</details>".to_owned()]);
    }
    lines.join("\n") + "\n"
}

/// Ours, the limit and how far that is, the others, and what is to be reached.
fn of_row(row: &Row, measured: &Value) -> Vec<String> {
    let contestants = measured["contestants"].as_array().map(Vec::as_slice).unwrap_or_default();
    row.columns.iter().filter_map(|column| of_column(row, column, contestants)).collect()
}

fn of_column(row: &Row, column: &Column, contestants: &[Value]) -> Option<String> {
    let median = |one: &Value| one["figures"][column.key]["median"].as_f64();
    let mut ours = contestants.iter().filter(|one| one["kind"] == "ours");
    let (one, value) = ours.find_map(|one| Some((one, median(one)?)))?;
    let limit = contestants.iter().filter(|one| one["kind"] == "limit").find_map(|one| Some((one, median(one)?)));
    let limit = limit.map_or_else(String::new, |(limit, reached)| {
        let ratio = if column.is_rate { reached / value } else { value / reached };
        format!("{} ({}), × {ratio:.1}", written(reached), limit["name"].as_str().unwrap_or_default())
    });
    // Of ours, too, there may be more than one.
    let others = contestants.iter().filter(|other| other["kind"] == "contender").chain(ours);
    let others = others.filter_map(|other| Some(format!("{} {}", other["name"].as_str()?, written(median(other)?))));
    let goals = row.goals.iter().filter(|goal| goal.key == column.key).map(|goal| goal.judge(column, contestants));
    let goals: Vec<String> = goals.map(|judged: Judged| judged.in_table()).collect();
    let here = format!("{} {} {}", written(value), column.unit, spread(one, column.key));
    let (title, others) = (format!("{}: {}", row.title, column.title), others.collect::<Vec<_>>().join(", "));
    Some(format!("| {title} | {here} | {limit} | {others} | {} |", goals.join("; ")))
}

fn spread(one: &Value, key: &str) -> String {
    let figure = &one["figures"][key];
    let written = |field: &str| figure[field].as_f64().map(written).unwrap_or_default();
    format!("({}–{})", written("low"), written("high"))
}

/// The ends of each curve, and its law.
fn of_growth(growth: &Growth, measured: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for column in growth.columns {
        let points = curve::ours(measured, column.key);
        let (Some((first, low)), Some((last, high))) = (points.first(), points.last()) else { continue };
        let worst = growth.law.fit(&points).worst(&points);
        let end = |size: f64, cost: f64| format!("{} {} at {}", written(cost), column.unit, curve::size(size));
        lines.push(format!(
            "| {}, {}: {} | {} | {} | {}: {} | × {worst:.1} |",
            growth.title,
            growth.of,
            column.title,
            end(*first, *low),
            end(*last, *high),
            growth.law.name(),
            growth.because
        ));
    }
    lines
}

/// Where, when, who, and what the marks mean.
fn captions(measured: &Value) -> String {
    let machine = &measured["machine"];
    let text = |field: &str| machine[field].as_str().unwrap_or_default();
    let mut told = format!(
        "Medians of {} rounds, lowest and highest in parentheses; {} cores of {}, Linux {}, {}. What has to be reached \
         stands in the last column, in parentheses what would be nice; ✓ holds, ✗ does not, ? has nobody to compare with.",
        measured["rounds"],
        machine["cores"],
        text("processor"),
        text("kernel"),
        dates(measured)
    );
    let listed = |part: &str, word: &str| {
        let all = measured[part].as_object().into_iter().flatten();
        all.map(|(name, of)| format!("{name} ({word}{})", of.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (part, word, what) in [("versions", "", "Beside"), ("skipped", "package ", "Not installed, so skipped")] {
        let listed = listed(part, word);
        if !listed.is_empty() {
            let _ = write!(told, " {what}: {listed}.");
        }
    }
    told + " " + NOT_PACKAGED
}

/// On which days.
fn dates(measured: &Value) -> String {
    let parts = ["rows", "growth"].into_iter().filter_map(|part| measured[part].as_object());
    let days: BTreeSet<&str> = parts.flatten().filter_map(|(_, one)| one["date"].as_str()).collect();
    match (days.first(), days.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (first, _) => first.copied().unwrap_or_default().to_owned(),
    }
}

const NOT_PACKAGED: &str = "Debian has no ergo, iroh, libp2p or toxcore to run here: where a bound says \"elsewhere\", \
    the ratio between them and the one named was measured on another machine.";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn figures(value: f64) -> Value {
        json!({"p50": {"median": value, "low": value, "high": value}})
    }

    #[test]
    fn a_line_has_ours_beside_the_limit_the_others_and_what_is_to_be_reached() {
        let one = |name: &str, kind: &str, value: f64| json!({"name": name, "kind": kind, "figures": figures(value)});
        let contestants =
            [one("us", "ours", 30.0), one("sockets", "limit", 15.0), one("mosquitto QoS 1", "contender", 36.0)];
        let measured = json!({"machine": {"cores": 2, "processor": "x", "kernel": "6"}, "rounds": 5,
            "rows": {"latency": {"date": "2026-01-02", "contestants": contestants}},
            "versions": {"mosquitto QoS 1": "2.0"}, "skipped": {"NATS": "nats-server"}});
        let table = whole(&measured, &BTreeSet::from(["latency"]), "plots/");
        let line = table.lines().find(|line| line.contains(": p50")).unwrap();
        let expected = "| 30.0 µs (30.0–30.0) | 15.0 (sockets), × 2.0 | mosquitto QoS 1 36.0 | ✓ ≤ 3 × limit; \
            ✓ ≤ mosquitto QoS 1; (✓ ≤ 2 × limit); (? ≤ ngircd) |";
        assert!(line.ends_with(expected), "{line}");
        assert!(table.contains("2 cores of x, Linux 6, 2026-01-02."), "{table}");
        assert!(table.contains("mosquitto QoS 1 (2.0)") && table.contains("skipped: NATS (package nats-server)"));
        assert!(table.contains("](plots/latency.svg)"));
    }

    #[test]
    fn a_curve_has_its_ends_and_its_law() {
        let growth = &growths()[0];
        let key = growth.columns[0].key;
        let point = |size: u32, value: f64| {
            let figures = json!({key: {"median": value, "low": value, "high": value}});
            json!({"size": size, "contestants": [{"name": "us", "kind": "ours", "figures": figures}]})
        };
        let lines = of_growth(growth, &json!({"points": [point(1000, 2.0), point(1_000_000, 2.0)]}));
        assert!(lines[0].contains("at 1,000 |") && lines[0].contains("at 1,000,000 |"), "{lines:?}");
        assert!(lines[0].contains(growth.law.name()) && lines[0].contains("| × 1"), "{lines:?}");
    }
}
