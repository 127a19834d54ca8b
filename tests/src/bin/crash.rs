//! The crash harness as a program: kills real ones while they talk and says what became of what they were told.
//! Run by `scripts/crash.sh`, which gives it a folder and removes it.

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use tests::crash::{Kind, Plan, Report, Violation, run};

fn main() -> ExitCode {
    let Some(plan) = plan() else {
        say(USAGE);
        return ExitCode::from(2);
    };
    say(&format!("Seed {}: {} cycles of {:?}.", plan.seed, plan.cycles, plan.kind));
    let mut newest = Report::default();
    let outcome = run(&plan, |report| {
        newest = *report;
        say(&line(report));
    });
    match outcome {
        Ok(report) => {
            say(&format!(
                "Nothing lost, nothing corrupt, nothing told twice but the last lines before a kill. Seed {}. {}",
                plan.seed,
                line(&report)
            ));
            ExitCode::SUCCESS
        }
        Err(Violation(what)) => {
            let folder = plan.folder.display();
            say(&format!("VIOLATION with seed {}: {what}\nThe evidence is in {folder}. {}", plan.seed, line(&newest)));
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Option<Plan> {
    let mut arguments = std::env::args().skip(1);
    let mut plan =
        Plan { kind: Kind::Anybody, cycles: 50, seed: u64::from(std::process::id()), folder: PathBuf::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => {
                plan.kind = match arguments.next()?.as_str() {
                    "sender" => Kind::Sender,
                    "receiver" => Kind::Receiver,
                    "wires" => Kind::Wires,
                    "middle" => Kind::Middle,
                    _ => return None,
                }
            }
            "--seed" => plan.seed = arguments.next()?.parse().ok()?,
            "--folder" => plan.folder = arguments.next()?.into(),
            cycles => plan.cycles = cycles.parse().ok()?,
        }
    }
    plan.folder.is_dir().then_some(plan)
}

fn line(report: &Report) -> String {
    let seconds = report.took.as_secs_f64();
    let told = report.told;
    if report.flipped + report.dropped + report.repeated + report.reordered + report.spliced > 0 {
        return format!(
            "{} connections meddled with in {seconds:.0} s: {} frames flipped, {} dropped, {} repeated, {} reordered, {} spliced; \
             {} lines accepted, {} shown, {} acknowledged; settled within {:.1} s",
            report.cycles,
            report.flipped,
            report.dropped,
            report.repeated,
            report.reordered,
            report.spliced,
            told.accepted,
            told.shown,
            told.acknowledged,
            report.settled_max.as_secs_f64(),
        );
    }
    format!(
        "{} cycles in {seconds:.0} s ({:.1}/s): killed {} peers and {} registries, cut {} and slowed {} connections, {} checkpoints (settled within {:.1} s); \
         {} lines accepted, {} shown, {} acknowledged, {} told again, {} kept unshown and told by the next life, {} starts without a registry",
        report.cycles,
        f64::from(report.cycles) / seconds.max(0.001),
        report.kills_of_people,
        report.kills_of_registry,
        report.cut,
        report.slowed,
        report.checkpoints,
        report.settled_max.as_secs_f64(),
        told.accepted,
        told.shown,
        told.acknowledged,
        told.retold,
        told.unshown,
        report.gave_up,
    )
}

fn say(text: &str) {
    // Nobody may be left to read it.
    let _ = writeln!(stderr().lock(), "{text}");
}

const USAGE: &str = "usage: crash [CYCLES] [--only sender|receiver|wires|middle] [--seed NUMBER] --folder FOLDER";
