//! How fast, and beside what: every row of the table measures this program, the physical limit of what it does, and
//! those contenders that are installed, in turns and in one run, so that the ratios hold on any machine; every curve does
//! so for one size after the other. Run by `scripts/bench.sh`; a quick run does the same with small numbers.

mod child;
mod contenders;
mod contestant;
mod curve;
mod figures;
mod fleet;
mod goals;
mod growth;
pub mod history;
mod law;
mod limits;
mod lines;
mod peers;
mod pinned;
mod plan;
mod plot;
mod report;
mod rows;
pub mod soak;
mod table;
mod talk;

use std::io;

pub use figures::{Outcome, Summary};
pub use growth::Growth;
pub use plan::Plan;
pub use report::Report;

use contestant::Candidate;
use figures::Column;
use goals::Goal;
use pinned::Pinned;

use crate::programs::use_programs_of;

/// One row of the table.
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// What is measured of each contestant.
    pub columns: &'static [Column],
    goals: &'static [Goal],
    /// Everything of it runs on one core.
    on_one_core: bool,
    candidates: fn(&Plan) -> Vec<Candidate>,
}

/// Every row there is, in the order of the table.
pub fn rows() -> &'static [Row] {
    rows::ROWS
}

/// Every curve there is.
pub fn growths() -> &'static [Growth] {
    rows::GROWTHS
}

/// Measures the rows and curves of the plan; `told` hears what happens meanwhile.
pub fn run(plan: &Plan, mut told: impl FnMut(&str)) -> io::Result<Report> {
    if let Some(folder) = &plan.programs {
        use_programs_of(folder.clone());
    }
    let mut report = Report::begin(plan);
    for row in rows().iter().filter(|row| plan.wants(row.name)) {
        told(&format!("{}: {}", row.name, row.title));
        let _pinned = if row.on_one_core { Some(Pinned::to_one_core()?) } else { None };
        let what = Measured { name: row.name, columns: row.columns, rounds: plan.rounds() };
        let outcomes = measure(plan, &what, (row.candidates)(plan), &mut report, &mut told);
        report.add(row, &outcomes);
    }
    for growth in growths().iter().filter(|growth| plan.wants(growth.name)) {
        for &size in growth.sizes(plan) {
            told(&format!("{}: {}, {size} {}", growth.name, growth.title, growth.of));
            let rounds = plan.rounds().min(ROUNDS_OF_A_POINT);
            let what = Measured { name: growth.name, columns: growth.columns, rounds };
            let outcomes = measure(plan, &what, (growth.candidates)(plan, size), &mut report, &mut told);
            report.add_point(growth, size, &outcomes);
        }
    }
    Ok(report)
}

/// What is measured of each candidate, and how often.
struct Measured {
    name: &'static str,
    columns: &'static [Column],
    rounds: usize,
}

fn measure(
    plan: &Plan,
    what: &Measured,
    candidates: Vec<Candidate>,
    report: &mut Report,
    told: &mut impl FnMut(&str),
) -> Vec<Outcome> {
    let mut running = Vec::new();
    for Candidate { name, kind, package, start } in candidates {
        match start(plan) {
            Ok(contestant) => {
                report.takes_part(name, package);
                running.push((Outcome::new(name, kind), contestant));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && package.is_some() => {
                let package = package.unwrap_or_default();
                told(&format!("  {name} is not installed (Debian package {package}): skipped"));
                report.skip(name, package);
            }
            Err(error) => {
                told(&format!("  {name} failed to start: {error}"));
                report.fail(what.name, name, kind, &error);
            }
        }
    }
    // In turns: what the machine does meanwhile happens to all of them.
    for round in 1..=what.rounds {
        running.retain_mut(|(outcome, contestant)| match contestant.round() {
            Ok(values) => {
                outcome.add(&values);
                told(&format!("  {round}/{} {}", what.rounds, outcome.newest(what.columns)));
                true
            }
            Err(error) => {
                told(&format!("  {} failed: {error}", outcome.name));
                report.fail(what.name, outcome.name, outcome.kind, &error);
                false
            }
        });
    }
    running.into_iter().map(|(outcome, _)| outcome).collect()
}

/// A curve has many points, each of which its neighbours vouch for.
const ROUNDS_OF_A_POINT: usize = 3;
