//! Draws the README's picture: a real session of real programs on a pseudo-terminal, as an SVG on standard output.
//! Run by `scripts/picture.sh`.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use tests::{JsonPeer, Launch, Registry, TermPeer};
use vt100::{Cell, Color, Screen};

fn main() -> io::Result<()> {
    let registry = Registry::start(&[]);
    let [bob, erin] = JsonPeer::start_all(&registry, ["bob", "erin"]);
    let alice = TermPeer::launch(Launch::new(&registry, "alice"), ROWS, COLUMNS);
    alice.wait_screen("alice> ");
    talk(&alice, &bob, &erin);
    let svg = alice.look(draw);
    // The half line goes first.
    alice.type_("\x15");
    alice.enter("/quit");
    alice.end();
    io::stdout().lock().write_all(svg.as_bytes())
}

/// What is to be seen; every line waits for the one before it.
fn talk(alice: &TermPeer, bob: &JsonPeer, erin: &JsonPeer) {
    alice.type_("\x0c");
    alice.enter("/create #dev --topic The release on Friday");
    alice.wait_screen("[#dev] alice> ");
    bob.must("/join #dev", "joined");
    alice.wait_screen("bob joined");
    erin.must("/join #dev", "joined");
    alice.wait_screen("erin joined");
    bob.says("#dev the tests are green, all of them");
    alice.wait_screen("all of them");
    alice.enter("then I'll tag it. erin, did you read the notes?");
    alice.wait_screen("✓ 2/2");
    erin.says("#dev yes, two typos. alice: fixed and pushed");
    alice.wait_screen("fixed and pushed");
    erin.says("/me stretches");
    alice.wait_screen("erin stretches");
    bob.says("@alice lunch after that? don't tell erin it's her birthday cake");
    alice.wait_screen("birthday cake");
    alice.enter("@bob deal");
    alice.wait_until("the answer to bob", |screen| screen.contents().contains("deal  ✓"));
    alice.enter("/names");
    alice.wait_screen("erin");
    alice.type_("tagging it n");
    alice.wait_screen("tagging it n");
}

fn draw(screen: &Screen) -> String {
    let rows = (0..ROWS).rev().find(|&row| !is_empty(screen, row)).map_or(1, |last| last + 1);
    let (width, height) = (PADDING * 2.0 + f64::from(COLUMNS) * CELL, TITLE + PADDING * 2.0 + f64::from(rows) * LINE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"14\">\n<title>Three people in a room, one of them typing</title>\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"10\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (x, colour) in [(20, "#ff5f57"), (40, "#febc2e"), (60, "#28c840")] {
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"18\" r=\"6\" fill=\"{colour}\"/>");
    }
    for row in 0..rows {
        for run in runs(screen, row) {
            run.draw(row, &mut svg);
        }
    }
    let (row, column) = screen.cursor_position();
    let (x, y) = (PADDING + f64::from(column) * CELL, TITLE + PADDING + f64::from(row) * LINE);
    let _ = writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"18\" fill=\"{FOREGROUND}\"/>");
    svg.push_str("</svg>\n");
    svg
}

/// Neighbours on one row that look alike.
struct Run {
    column: u16,
    columns: u16,
    text: String,
    style: String,
}

impl Run {
    // The width is forced, so that whatever font there is keeps the columns.
    fn draw(&self, row: u16, svg: &mut String) {
        let text = self.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (x, y) = (PADDING + f64::from(self.column) * CELL, TITLE + PADDING + f64::from(row) * LINE + 14.0);
        let (width, style) = (f64::from(self.columns) * CELL, &self.style);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{width:.1}\" xml:space=\"preserve\" {style}>{text}</text>"
        );
    }
}

fn runs(screen: &Screen, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..COLUMNS {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) else { continue };
        let columns = if cell.is_wide() { 2 } else { 1 };
        let contents = if cell.has_contents() { cell.contents() } else { " " };
        let style = style(cell);
        // A wide character stands alone: fonts disagree about its width.
        match runs.last_mut().filter(|run| run.style == style && columns == 1 && run.columns > 0 && !run.is_wide()) {
            Some(run) => {
                run.text.push_str(contents);
                run.columns += columns;
            }
            None => runs.push(Run { column, columns, text: contents.to_owned(), style }),
        }
    }
    for run in &mut runs {
        let spaces = run.text.len() - run.text.trim_end_matches(' ').len();
        run.text.truncate(run.text.len() - spaces);
        run.columns -= u16::try_from(spaces).expect("a row is short");
    }
    runs.retain(|run| run.columns > 0);
    runs
}

impl Run {
    fn is_wide(&self) -> bool {
        self.columns == 2 && self.text.chars().count() == 1
    }
}

fn style(cell: &Cell) -> String {
    let mut style = format!("fill=\"{}\"", colour(cell.fgcolor()));
    if cell.bold() {
        style.push_str(" font-weight=\"bold\"");
    }
    if cell.dim() {
        style.push_str(" opacity=\"0.6\"");
    }
    style
}

/// The sixteen colours of a terminal; others are not used.
fn colour(colour: Color) -> &'static str {
    match colour {
        Color::Idx(index) => PALETTE.get(usize::from(index)).copied().unwrap_or(FOREGROUND),
        Color::Default | Color::Rgb(..) => FOREGROUND,
    }
}

fn is_empty(screen: &Screen, row: u16) -> bool {
    (0..COLUMNS).all(|column| screen.cell(row, column).is_none_or(|cell| cell.contents().trim().is_empty()))
}

const ROWS: u16 = 24;
const COLUMNS: u16 = 84;
const CELL: f64 = 8.4;
const LINE: f64 = 20.0;
const PADDING: f64 = 16.0;
const TITLE: f64 = 28.0;
const BACKGROUND: &str = "#1d2026";
const FOREGROUND: &str = "#d7dae0";
const PALETTE: [&str; 16] = [
    "#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0", "#7f848e", "#ff7b86",
    "#b5e890", "#ffd68a", "#82c4ff", "#dd9bf5", "#7fd6e0", "#ffffff",
];
