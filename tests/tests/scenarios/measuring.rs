//! The measurements themselves: with small numbers every row completes, and says something that can be true.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::bench::soak::Soak;
use tests::bench::{self, Plan};

#[test]
fn rows_complete_with_small_numbers_and_say_what_can_be() {
    let words = ["--quick", "latency", "flow", "room-10", "sign-ins", "sessions", "presence", "storm"];
    let plan = Plan::read(words.into_iter().map(str::to_owned)).unwrap();
    let mut told = Vec::new();
    let report = bench::run(&plan, |line| told.push(line.to_owned())).unwrap();
    assert!(!report.is_broken(), "{}", told.join("\n"));
    let measured = |row: &str, key: &str| report.median(row, "p2p-chat", key).unwrap_or_default();
    let (heard, known) = (measured("latency", "p50"), measured("latency", "known"));
    assert!(0.0 < heard && heard < known, "heard after {heard} µs, acknowledged after {known} µs");
    assert!(measured("latency", "p99") >= heard);
    for (row, key) in [("flow", "rate"), ("room-10", "p50"), ("sign-ins", "rate"), ("sessions", "memory")] {
        assert!(measured(row, key) > 0.0, "{row} {key}\n{}", told.join("\n"));
    }
    assert_eq!(measured("sessions", "held"), 40.0);
    assert!(measured("storm", "back") < 30.0 && measured("storm", "password") < 30.0);
    assert!(measured("presence", "one") > 0.0 && measured("presence", "many") > 0.0);
}

#[test]
fn many_stay_while_pairs_talk() {
    let soak = Soak { sessions: 40, pairs: 2, span: Duration::from_secs(2), programs: None };
    let soaked = soak.play(|_| {}).unwrap();
    assert_eq!((soaked.sessions, soaked.dropped, soaked.memory.len()), (40, 0, 2));
    assert!(soaked.memory.iter().all(|kib| *kib > 100.0), "{:?}", soaked.memory);
    assert!(soaked.alone.messages >= 1 && soaked.among_many.messages == 4);
    assert!(soaked.among_many.p50 > 0.0 && soaked.among_many.low <= soaked.among_many.p50);
}

#[test]
fn with_no_contender_installed_it_completes_and_says_what_it_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["--quick", "latency", "growth-search"];
    let mut plan = Plan::read(words.into_iter().map(str::to_owned)).unwrap();
    (plan.folder, plan.contenders) = (Some(folder.path().to_owned()), Some(folder.path().to_owned()));
    let report = bench::run(&plan, |_| {}).unwrap();
    report.write().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let figures: Value = serde_json::from_str(&read("figures.json")).unwrap();
    let skipped = figures["skipped"].as_object().unwrap();
    assert_eq!(skipped.get("NATS"), Some(&Value::from("nats-server")));
    assert_eq!(skipped.len(), 5);
    assert!(read("latency.svg").contains("TCP through two threads"));
    assert!(read("growth-search.svg").contains(r#"class="law""#));
    let table = read("figures.md");
    let latency = "| One-to-one, front-end to front-end, everything on one core: p50 |";
    for part in [latency, "≤ 3 × limit", "? ≤ mosquitto QoS 1", "NATS (package nats-server)", " ms at 300 | flat"]
    {
        assert!(table.contains(part), "no '{part}' in\n{table}");
    }
}

#[test]
fn a_row_that_is_none_is_refused_with_those_there_are() {
    let program = env!("CARGO_BIN_EXE_bench");
    let refused = Command::new(program).arg("no-such-row").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("there is no row 'no-such-row'") && told.contains("room-50"), "{told}");
}
