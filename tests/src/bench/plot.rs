//! One row as a picture: a bar for each contestant, for every column. Pictures bring their own background and take the
//! colours of the reader's theme, light or dark: whatever is around them, they can be read.

use std::fmt::Write;

use serde_json::Value;

use super::Row;
use super::figures::{Column, written};

/// The picture of a row, if anything of it was measured.
pub(super) fn row(row: &Row, measured: &Value) -> Option<String> {
    let contestants = measured["contestants"].as_array()?;
    let panels: Vec<Panel<'_>> = row.columns.iter().filter_map(|column| Panel::of(column, contestants)).collect();
    let height: usize = panels.iter().map(Panel::height).sum::<usize>() + TOP;
    if panels.is_empty() {
        return None;
    }
    let (mut body, mut y) = (String::new(), TOP);
    for panel in &panels {
        panel.draw(&mut body, y);
        y += panel.height();
    }
    Some(picture(row.title, height, &body))
}

/// A picture with a title above its `body`.
pub(super) fn picture(title: &str, height: usize, body: &str) -> String {
    let frame = format!(r#"viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img""#);
    let ground = format!(r#"<rect width="{WIDTH}" height="{height}" rx="6" class="ground"/>"#);
    let title = format!(r#"<text x="8" y="22" class="title">{}</text>"#, escaped(title));
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {frame}>\n{STYLE}{ground}\n{title}\n{body}</svg>\n")
}

struct Panel<'a> {
    column: &'a Column,
    bars: Vec<Bar<'a>>,
}

struct Bar<'a> {
    name: &'a str,
    kind: &'a str,
    median: f64,
    low: f64,
    high: f64,
}

impl<'a> Panel<'a> {
    fn of(column: &'a Column, contestants: &'a [Value]) -> Option<Self> {
        let bar = |one: &'a Value| {
            let figure = &one["figures"][column.key];
            let number = |field: &str| figure[field].as_f64();
            let (name, kind) = (one["name"].as_str()?, one["kind"].as_str()?);
            Some(Bar { name, kind, median: number("median")?, low: number("low")?, high: number("high")? })
        };
        let bars: Vec<Bar<'a>> = contestants.iter().filter_map(bar).collect();
        (!bars.is_empty()).then_some(Self { column, bars })
    }

    fn height(&self) -> usize {
        HEAD + self.bars.len() * LINE + GAP
    }

    fn draw(&self, svg: &mut String, top: usize) {
        let better = if self.column.is_rate { "more is better" } else { "less is better" };
        let unit = if self.column.unit.is_empty() { String::new() } else { format!(", {}", self.column.unit) };
        let head = format!("{}{unit}: {better}", self.column.title);
        let _ = writeln!(svg, r#"<text x="8" y="{}" class="head">{}</text>"#, top + 14, escaped(&head));
        let most = self.bars.iter().map(|bar| bar.median).fold(0.0, f64::max);
        for (number, bar) in self.bars.iter().enumerate() {
            let y = top + HEAD + number * LINE;
            let length = |value: f64| if most > 0.0 { (value / most).min(1.2) * BAR_WIDTH } else { 0.0 };
            let (end, middle) = (LEFT + length(bar.median), y as f64 + 9.0);
            let _ =
                writeln!(svg, r#"<text x="{}" y="{}" class="name">{}</text>"#, LEFT - 8.0, y + 13, escaped(bar.name));
            let _ = writeln!(
                svg,
                r#"<rect x="{LEFT}" y="{}" width="{:.1}" height="14" rx="2" class="{}"/>"#,
                y + 2,
                length(bar.median).max(1.0),
                bar.kind
            );
            let (low, high) = (LEFT + length(bar.low), LEFT + length(bar.high));
            let _ = writeln!(svg, r#"<path d="M{low:.1} {middle}H{high:.1}" class="spread"/>"#);
            let _ = writeln!(
                svg,
                r#"<text x="{:.1}" y="{}" class="value">{}</text>"#,
                end.max(high) + 6.0,
                y + 13,
                written(bar.median)
            );
        }
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: usize = 760;
const LEFT: f64 = 220.0;
const BAR_WIDTH: f64 = 380.0;
pub(super) const TOP: usize = 34;
const HEAD: usize = 22;
const LINE: usize = 20;
const GAP: usize = 12;
const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #24292f } .ground { fill: #ffffff }
.title { font-size: 15px; font-weight: 600 } .head { font-style: italic } .note { font-size: 11px }
.name { text-anchor: end } .middle { text-anchor: middle }
.ours { fill: #0969da; stroke: #0969da } .limit { fill: #57606a; stroke: #57606a }
.contender { fill: #bf8700; stroke: #bf8700 } rect, circle { stroke-width: 0 }
.spread { stroke: #24292f; stroke-width: 2 } .axis { stroke: #8c959f; fill: none }
.line { fill: none; stroke-width: 2 } .law { fill: none; stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ground { fill: #0d1117 } .ours { fill: #58a6ff; stroke: #58a6ff }
.limit { fill: #8b949e; stroke: #8b949e } .contender { fill: #d29922; stroke: #d29922 }
.spread { stroke: #e6edf3 } .axis { stroke: #6e7681 } .law { stroke: #ff7b72 } .line { fill: none } }
</style>
";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_contestant_has_a_bar_as_long_as_its_share() {
        let first = &super::super::rows()[0];
        let figure = |median: f64| json!({"p50": {"median": median, "low": median, "high": median}});
        let measured = json!({"contestants": [
            {"name": "us", "kind": "ours", "figures": figure(20.0)},
            {"name": "a < b", "kind": "contender", "figures": figure(40.0)},
        ]});
        let svg = row(first, &measured).unwrap();
        assert!(svg.contains(r#"width="190.0" height="14" rx="2" class="ours""#), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains("prefers-color-scheme: dark"));
        assert_eq!(row(first, &json!({"contestants": []})), None);
    }
}
