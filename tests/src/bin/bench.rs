//! The measurements as a program; see `tests::bench`. Run by `scripts/bench.sh` in release.

use std::io::{Write, stderr};
use std::process::ExitCode;

use tests::bench::{self, Plan};

fn main() -> ExitCode {
    let plan = match Plan::read(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(what) => {
            say(&format!("{what}\nThe rows are:"));
            bench::rows().iter().for_each(|row| say(&format!("  {:<18} {}", row.name, row.title)));
            bench::growths().iter().for_each(|growth| say(&format!("  {:<18} {}", growth.name, growth.title)));
            return ExitCode::from(2);
        }
    };
    let report = match bench::run(&plan, say) {
        Ok(report) => report,
        Err(error) => {
            say(&format!("Nothing could be measured: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = report.write() {
        say(&format!("The figures could not be written: {error}"));
        return ExitCode::FAILURE;
    }
    if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}
