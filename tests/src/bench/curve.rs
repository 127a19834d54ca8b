//! A curve as a picture: one panel for each column, a line for each contestant, and dashed the law that ours should
//! follow.

use std::fmt::Write;

use serde_json::Value;

use super::Growth;
use super::figures::{Column, written};
use super::plot::{TOP, escaped, picture};

/// The picture of a curve, if anything of it was measured.
pub(super) fn growth(growth: &Growth, measured: &Value) -> Option<String> {
    let panels: Vec<Panel<'_>> =
        growth.columns.iter().filter_map(|column| Panel::of(growth, column, measured)).collect();
    if panels.is_empty() {
        return None;
    }
    let mut body = String::new();
    for (number, panel) in panels.iter().enumerate() {
        panel.draw(&mut body, (TOP + number * PANEL_HEIGHT) as f64);
    }
    Some(picture(growth.title, TOP + panels.len() * PANEL_HEIGHT, &body))
}

/// Sizes and medians of ours, in the order of their sizes.
pub(super) fn ours(measured: &Value, key: &str) -> Vec<(f64, f64)> {
    let points = measured["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let cost = |point: &Value| {
        let one = point["contestants"].as_array()?.iter().find(|one| one["kind"] == "ours")?;
        Some((point["size"].as_f64()?, one["figures"][key]["median"].as_f64().filter(|cost| *cost > 0.0)?))
    };
    points.iter().filter_map(cost).collect()
}

/// How a size is written: all of its digits.
pub(super) fn size(size: f64) -> String {
    if size < 100.0 { format!("{size}") } else { written(size) }
}

struct Panel<'a> {
    growth: &'a Growth,
    column: &'a Column,
    lines: Vec<Line<'a>>,
    ours: Vec<(f64, f64)>,
    /// The smallest and the largest size, and the highest cost.
    sizes: (f64, f64),
    most: f64,
}

/// What was measured of one contestant.
struct Line<'a> {
    name: &'a str,
    kind: &'a str,
    points: Vec<Point>,
}

struct Point {
    size: f64,
    median: f64,
    low: f64,
    high: f64,
}

impl<'a> Panel<'a> {
    fn of(growth: &'a Growth, column: &'a Column, measured: &'a Value) -> Option<Self> {
        let mut lines: Vec<Line<'a>> = Vec::new();
        for point in measured["points"].as_array()? {
            for one in point["contestants"].as_array()? {
                let figure = &one["figures"][column.key];
                let number = |field: &str| figure[field].as_f64();
                let (Some(median), Some(low), Some(high)) = (number("median"), number("low"), number("high")) else {
                    continue;
                };
                let (name, kind) = (one["name"].as_str()?, one["kind"].as_str()?);
                let point = Point { size: point["size"].as_f64()?, median, low, high };
                match lines.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.points.push(point),
                    None => lines.push(Line { name, kind, points: vec![point] }),
                }
            }
        }
        let points = || lines.iter().flat_map(|line| &line.points);
        let least = points().map(|point| point.size).reduce(f64::min)?;
        let largest = points().map(|point| point.size).reduce(f64::max)?;
        let most = points().map(|point| point.high).reduce(f64::max)?;
        let ours = ours(measured, column.key);
        Some(Self { growth, column, lines, ours, sizes: (least, largest), most })
    }

    fn draw(&self, svg: &mut String, top: f64) {
        let unit = if self.column.unit.is_empty() { String::new() } else { format!(", {}", self.column.unit) };
        let head = format!("{}{unit}, by {}", self.column.title, self.growth.of);
        let _ = writeln!(svg, r#"<text x="8" y="{}" class="head">{}</text>"#, top + 14.0, escaped(&head));
        let floor = top + HEAD + DEPTH;
        let _ = writeln!(svg, r#"<path d="M{LEFT} {}V{floor}H{}" class="axis"/>"#, top + HEAD, LEFT + WIDE);
        let y = |cost: f64| floor - if self.most > 0.0 { cost / self.most * DEPTH } else { 0.0 };
        for cost in [0.0, self.most / 2.0, self.most] {
            let at = y(cost);
            let _ = writeln!(svg, r#"<path d="M{} {at:.1}H{LEFT}" class="axis"/>"#, LEFT - 4.0);
            let _ =
                writeln!(svg, r#"<text x="{}" y="{:.1}" class="name">{}</text>"#, LEFT - 8.0, at + 4.0, written(cost));
        }
        for point in self.lines.iter().max_by_key(|line| line.points.len()).into_iter().flat_map(|line| &line.points) {
            let (x, told) = (self.x(point.size), size(point.size));
            let _ = writeln!(svg, r#"<path d="M{x:.1} {floor}V{}" class="axis"/>"#, floor + 4.0);
            let _ = writeln!(svg, r#"<text x="{x:.1}" y="{}" class="middle">{told}</text>"#, floor + 18.0);
        }
        self.draw_law(svg, floor, y);
        for line in &self.lines {
            self.draw_line(svg, line, y);
        }
        self.draw_names(svg, y);
    }

    fn draw_law(&self, svg: &mut String, floor: f64, y: impl Fn(f64) -> f64) {
        let fitted = self.growth.law.fit(&self.ours);
        let at = |step: usize| {
            let share = step as f64 / f64::from(LAW_STEPS);
            let (least, largest) = self.sizes;
            let size = least * (largest / least).powf(share);
            // Above the panel it is cut off.
            format!("{:.1} {:.1}", self.x(size), y(fitted.at(size).min(self.most * 1.05)))
        };
        if !self.ours.is_empty() {
            let path = (0..=LAW_STEPS as usize).map(at).collect::<Vec<_>>().join(" L");
            let _ = writeln!(svg, r#"<path d="M{path}" class="law"/>"#);
        }
        let law = format!(
            "dashed, as it should be: {}, {}; at worst × {:.1} from it",
            self.growth.law.name(),
            self.growth.because,
            fitted.worst(&self.ours)
        );
        let _ = writeln!(svg, r#"<text x="8" y="{}" class="note">{}</text>"#, floor + 38.0, escaped(&law));
    }

    fn draw_line(&self, svg: &mut String, line: &Line<'_>, y: impl Fn(f64) -> f64) {
        let place = |point: &Point| format!("{:.1} {:.1}", self.x(point.size), y(point.median));
        let path = line.points.iter().map(place).collect::<Vec<_>>().join(" L");
        let _ = writeln!(svg, r#"<path d="M{path}" class="line {}"/>"#, line.kind);
        for point in &line.points {
            let (x, low, high) = (self.x(point.size), y(point.low), y(point.high));
            let _ = writeln!(svg, r#"<path d="M{x:.1} {low:.1}V{high:.1}" class="spread"/>"#);
            let _ = writeln!(svg, r#"<circle cx="{x:.1}" cy="{:.1}" r="3" class="{}"/>"#, y(point.median), line.kind);
        }
    }

    /// At the ends of the lines, the lowest first; each has a line of its own, however near the ends are.
    fn draw_names(&self, svg: &mut String, y: impl Fn(f64) -> f64) {
        let end = |line: &Line<'a>| {
            let last = line.points.last()?;
            Some((y(last.median) + 4.0, self.x(last.size) + 8.0, format!("{} {}", line.name, written(last.median))))
        };
        let mut ends: Vec<(f64, f64, String)> = self.lines.iter().filter_map(end).collect();
        ends.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut free = f64::INFINITY;
        for (wanted, x, told) in ends {
            let y = wanted.min(free);
            free = y - NAME_HEIGHT;
            let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" class="value">{}</text>"#, escaped(&told));
        }
    }

    /// Every doubling as far as the one before.
    fn x(&self, size: f64) -> f64 {
        let (least, largest) = self.sizes;
        if largest > least { LEFT + (size / least).ln() / (largest / least).ln() * WIDE } else { LEFT + WIDE / 2.0 }
    }
}

const LEFT: f64 = 70.0;
const WIDE: f64 = 480.0;
const HEAD: f64 = 30.0;
const DEPTH: f64 = 160.0;
const PANEL_HEIGHT: usize = 250;
const LAW_STEPS: u32 = 32;
const NAME_HEIGHT: f64 = 14.0;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_contestant_has_a_line_and_ours_has_its_law() {
        let drawn = super::super::growths().iter().find(|growth| growth.name == "growth-search").unwrap();
        let key = drawn.columns[0].key;
        let point = |size: u32, ours: f64, limit: f64| {
            let figures = |value: f64| json!({key: {"median": value, "low": value, "high": value}});
            json!({"size": size, "contestants": [
                {"name": "a < b", "kind": "limit", "figures": figures(limit)},
                {"name": "us", "kind": "ours", "figures": figures(ours)},
            ]})
        };
        let measured = json!({"points": [point(10, 4.0, 1.0), point(1000, 4.0, 1.0)]});
        assert_eq!(ours(&measured, key), [(10.0, 4.0), (1000.0, 4.0)]);
        let svg = growth(drawn, &measured).unwrap();
        assert!(svg.contains(r#"<path d="M70.0 64.0 L550.0 64.0" class="line ours"/>"#), "{svg}");
        assert!(svg.contains("a &lt; b 1.00") && svg.contains(r#"class="law"/>"#) && svg.contains("at worst × 1.0"));
        assert_eq!(growth(drawn, &json!({"points": []})), None);
    }
}
