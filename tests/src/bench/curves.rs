//! What something costs against how much of it there is: one small curve for each figure, with the law beside it that it
//! should follow. Numbers of things grow by factors, so they lie on a logarithmic scale.

use std::fmt::Write;

use super::plot::{STYLE, escaped};

/// One figure of every measured size.
#[derive(Debug, Clone)]
pub struct Curve {
    pub title: String,
    /// What it should grow with.
    pub law: String,
    /// Size and value.
    pub points: Vec<(f64, f64)>,
}

/// The picture of some curves over the same sizes.
pub fn curves(title: &str, sizes: &str, curves: &[Curve]) -> String {
    let rows = curves.len().div_ceil(COLUMNS);
    let height = TOP + rows as f64 * PANEL_HEIGHT;
    let width = COLUMNS as f64 * PANEL_WIDTH;
    let mut svg = String::new();
    let _ = writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">"#);
    svg.push_str(STYLE);
    let _ = writeln!(svg, r#"<text x="8" y="22" class="title">{}</text>"#, escaped(title));
    for (number, curve) in curves.iter().enumerate() {
        let left = (number % COLUMNS) as f64 * PANEL_WIDTH;
        let top = TOP + (number / COLUMNS) as f64 * PANEL_HEIGHT;
        curve.draw(&mut svg, (left, top), sizes);
    }
    svg.push_str("</svg>\n");
    svg
}

impl Curve {
    fn draw(&self, svg: &mut String, (left, top): (f64, f64), sizes: &str) {
        let _ = writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, left + 8.0, top + 14.0, escaped(&self.title));
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{}" class="head">{}</text>"#,
            left + 8.0,
            top + 30.0,
            escaped(&format!("expected: {}", self.law))
        );
        let (from, to) = self
            .points
            .iter()
            .fold((f64::MAX, 1.0), |(from, to), (size, _)| (f64::min(from, *size), f64::max(to, *size)));
        let most = self.points.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let span = (to / from).ln().max(f64::MIN_POSITIVE);
        let x = |size: f64| left + MARGIN + (size / from).ln() / span * (PANEL_WIDTH - 2.0 * MARGIN);
        let y = |value: f64| top + HEAD + (1.0 - value / most) * CURVE_HEIGHT;
        let places: Vec<String> =
            self.points.iter().map(|(size, value)| format!("{:.1},{:.1}", x(*size), y(*value))).collect();
        let _ = writeln!(svg, r#"<path d="M{}" class="spread" fill="none"/>"#, places.join("L"));
        let base = top + HEAD + CURVE_HEIGHT;
        for (size, value) in &self.points {
            let (x, y) = (x(*size), y(*value));
            let _ = writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" class="ours"/>"#);
            let _ =
                writeln!(svg, r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#, y - 7.0, short(*value));
            let _ = writeln!(
                svg,
                r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                base + 18.0,
                short(*size)
            );
        }
        let _ = writeln!(svg, r#"<text x="{}" y="{}" class="head">{}</text>"#, left + 8.0, base + 34.0, escaped(sizes));
    }
}

/// A number with as many digits as one reads.
fn short(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

const COLUMNS: usize = 2;
const PANEL_WIDTH: f64 = 380.0;
const PANEL_HEIGHT: f64 = 220.0;
const TOP: f64 = 34.0;
const HEAD: f64 = 56.0;
const CURVE_HEIGHT: f64 = 100.0;
const MARGIN: f64 = 36.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_goes_up_and_names_its_law() {
        let points = vec![(10.0, 1.0), (100.0, 2.0), (1000.0, 4.0)];
        let curve = Curve { title: "steps & more".into(), law: "log n".into(), points };
        let svg = curves("a room", "members", &[curve]);
        assert!(svg.contains("M36.0,165.0L190.0,140.0L344.0,90.0"), "{svg}");
        assert!(svg.contains("steps &amp; more") && svg.contains("expected: log n"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(12_345.0, "12k"), (512.4, "512"), (3.0, "3"), (0.5, "0.5")] {
            assert_eq!(short(value), text);
        }
    }
}
