//! How fast, and beside what: every row of the table measures this program, the physical limit of what it does, and
//! those contenders that are installed, in turns and in one run, so that the ratios hold on any machine. Run by
//! `scripts/bench.sh`; a quick run does the same with small numbers.

mod child;
mod contenders;
mod contestant;
mod figures;
mod fleet;
pub mod history;
mod limits;
mod lines;
mod peers;
mod plan;
mod plot;
mod report;
mod rows;
mod talk;

use std::io;

pub use figures::{Outcome, Summary};
pub use plan::Plan;
pub use report::Report;

use contestant::Candidate;
use figures::Column;

use crate::cores::Pinned;
use crate::programs::use_programs_of;

/// One row of the table.
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// What is measured of each contestant.
    pub columns: &'static [Column],
    /// Everything of it runs on one core.
    on_one_core: bool,
    candidates: fn(&Plan) -> Vec<Candidate>,
}

/// Every row there is, in the order of the table.
pub fn rows() -> &'static [Row] {
    rows::ROWS
}

/// Measures the rows of the plan; `told` hears what happens meanwhile.
pub fn run(plan: &Plan, mut told: impl FnMut(&str)) -> io::Result<Report> {
    if let Some(folder) = &plan.programs {
        use_programs_of(folder.clone());
    }
    let mut report = Report::begin(plan);
    for row in rows().iter().filter(|row| plan.wants(row.name)) {
        told(&format!("{}: {}", row.name, row.title));
        let outcomes = measure(plan, row, &mut report, &mut told)?;
        report.add(row, outcomes);
    }
    Ok(report)
}

fn measure(plan: &Plan, row: &Row, report: &mut Report, told: &mut impl FnMut(&str)) -> io::Result<Vec<Outcome>> {
    let _pinned = if row.on_one_core { Some(Pinned::to_one_core()?) } else { None };
    let mut running = Vec::new();
    for Candidate { name, kind, package, start } in (row.candidates)(plan) {
        match start(plan) {
            Ok(contestant) => running.push((Outcome::new(name, kind), contestant)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && package.is_some() => {
                let package = package.unwrap_or_default();
                told(&format!("  {name} is not installed (Debian package {package}): skipped"));
                report.skip(name, package);
            }
            Err(error) => {
                told(&format!("  {name} failed to start: {error}"));
                report.fail(row, name, kind, &error);
            }
        }
    }
    // In turns: what the machine does meanwhile happens to all of them.
    for round in 1..=plan.rounds() {
        running.retain_mut(|(outcome, contestant)| match contestant.round() {
            Ok(values) => {
                outcome.add(&values);
                told(&format!("  {round}/{} {}", plan.rounds(), outcome.newest(row.columns)));
                true
            }
            Err(error) => {
                told(&format!("  {} failed: {error}", outcome.name));
                report.fail(row, outcome.name, outcome.kind, &error);
                false
            }
        });
    }
    Ok(running.into_iter().map(|(outcome, _)| outcome).collect())
}
