//! The crash harness, shortly: programs are killed while they talk, and what each was told is held against what each
//! has. `scripts/crash.sh` does the same for as long as one likes.

use tests::Registry;
use tests::crash::{Kind, Plan, Report, Violation, run};

#[test]
fn anybody_may_die_at_any_moment() {
    let report = crashes(Kind::Anybody, 10);
    assert!(report.told.shown > 0 && report.told.acknowledged > 0, "they talked: {report:?}");
    assert!(report.kills_of_people >= 10, "they died: {report:?}");
}

#[test]
fn an_accepted_line_survives_its_author() {
    let report = crashes(Kind::Sender, 12);
    assert!(report.kills_of_people >= 12 && report.told.accepted > 12, "one for each line: {report:?}");
}

#[test]
fn a_delivered_line_survives_its_recipient() {
    let report = crashes(Kind::Receiver, 12);
    assert!(report.kills_of_people >= 12 && report.told.accepted > 12, "one for each line: {report:?}");
}

#[test]
fn bad_wires_lose_nothing() {
    // Some machines keep even one's own children's sockets out of reach; say so.
    let mut child = Registry::start(&[]);
    if let Err(error) = tests::programs::connections(child.process().pid()) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), "no connection is cut or slowed here: {error}");
        return;
    }
    let report = crashes(Kind::Wires, 10);
    assert!(report.cut > 0 && report.slowed > 0, "the weather was bad: {report:?}");
}

#[test]
fn a_man_in_the_middle_alters_nothing_that_is_shown_and_stops_nothing() {
    let report = crashes(Kind::Middle, 50);
    let faults = [report.flipped, report.dropped, report.repeated, report.reordered, report.spliced];
    assert_eq!(faults.iter().sum::<u64>(), 50, "every schedule was played: {report:?}");
    assert!(faults.iter().all(|count| *count > 0) && report.told.shown > 100, "of all kinds: {report:?}");
}

fn crashes(kind: Kind, cycles: u32) -> Report {
    let folder = tempfile::tempdir().unwrap();
    // Another seed in every run finds more over time; a failure names it.
    let seed = u64::from(std::process::id());
    let plan = Plan { kind, cycles, seed, folder: folder.path().to_owned() };
    match run(&plan, |_| {}) {
        Ok(report) => report,
        Err(Violation(what)) => panic!("seed {seed}: {what}\nThe evidence is in {}", folder.keep().display()),
    }
}
