//! Rows about one peer: its start, its memory, and its search.

use std::io;
use std::time::Instant;

use super::super::child::{resident_kib, resident_with_files_kib};
use super::super::contestant::{Candidate, Contestant, each};
use super::super::figures::{Column, quantile};
use super::super::fleet::millis;
use super::super::history;
use super::super::peers::People;
use super::super::plan::Plan;
use crate::programs::Kept;

pub(super) const START: &[Column] = &[
    Column::cost("ready", "ready", "ms"),
    Column::cost("usable", "signed in, less the unsealing of keys", "ms"),
    Column::cost("signed_in", "signed in", "ms"),
];
pub(super) const MEMORY: &[Column] =
    &[Column::cost("anonymous", "its own", "MiB"), Column::cost("resident", "with its program", "MiB")];
pub(super) const SEARCH: &[Column] = &[COMMON, BEGUN, RARE, NARROWED];
/// Of a rare word there are the more the longer the log is, and each has to be read.
pub(super) const SEARCH_GROWTH: &[Column] = &[COMMON, BEGUN, NARROWED];
const COMMON: Column = Column::cost("common", "a common word", "ms");
const BEGUN: Column = Column::cost("begun", "a common word, only begun", "ms");
const RARE: Column = Column::cost("rare", "a rare word", "ms");
const NARROWED: Column = Column::cost("narrowed", "from one person in one conversation", "ms");

pub(super) fn start(plan: &Plan) -> Vec<Candidate> {
    let bare = Candidate::limit("a program that does nothing", |_| {
        Ok(each(|| {
            let begun = Instant::now();
            std::process::Command::new("true").status()?;
            Ok(vec![("ready", millis(begun))])
        }))
    });
    [bare].into_iter().chain(start_with(plan, plan.number(100_000, 200))).collect()
}

/// With so many messages.
pub(super) fn start_with(_: &Plan, count: usize) -> Vec<Candidate> {
    vec![Candidate::ours("p2p-chat", move |plan| {
        let log = plan.logs.of(count)?;
        Ok(each(move || {
            let begun = Instant::now();
            let mut face = log.start()?;
            face.await_line(r#""type":"ready""#)?;
            let ready = millis(begun);
            face.await_line(r#""type":"signed_in""#)?;
            let signed_in = millis(begun);
            face.quit()?;
            let usable = (signed_in - history::unsealing_ms()).max(ready);
            Ok(vec![("ready", ready), ("usable", usable), ("signed_in", signed_in)])
        }))
    })]
}

pub(super) fn memory(plan: &Plan) -> Vec<Candidate> {
    let (members, rooms) = (plan.number(11, 3), plan.number(5, 2));
    vec![Candidate::ours("p2p-chat", move |_| {
        let mut people = People::start(members)?;
        for room in 0..rooms {
            people.meet(&format!("#room{room}"))?;
        }
        Ok(each(move || {
            let pid = people.all[0].running.pid();
            Ok(vec![("anonymous", resident_kib(pid)? / 1024.0), ("resident", resident_with_files_kib(pid)? / 1024.0)])
        }))
    })]
}

pub(super) fn search(plan: &Plan) -> Vec<Candidate> {
    search_in(plan, plan.number(1_000_000, 2000))
}

/// Among so many messages.
pub(super) fn search_in(plan: &Plan, count: usize) -> Vec<Candidate> {
    let samples = plan.number(50, 3);
    let alone = Candidate::limit("the index alone", move |plan| {
        let kept = Kept::of(&plan.logs.of(count)?.launch);
        let asked = move |words: &str| timed(samples, || Ok(kept.newest_with(words, 50)));
        Ok(measured(asked, ["release", "release OR relay", "needle", "text : release AND place : c1"]))
    });
    let ours = Candidate::ours("p2p-chat", move |plan| {
        let log = plan.logs.of(count)?;
        let mut face = log.start()?;
        face.await_line(r#""type":"signed_in""#)?;
        let asked = move |line: &str| {
            // It belongs to a registry, which must not go before it.
            let _ = &log;
            timed(samples, || {
                face.tell(line)?;
                face.await_line(r#""type":"found""#)
            })
        };
        let lines = ["/search release", "/search rel", "/search needle", "/search release from:bob in:@bob"];
        Ok(measured(asked, lines))
    });
    vec![alone, ours]
}

/// Asks the same of somebody in every round.
fn measured(mut asked: impl FnMut(&str) -> io::Result<f64> + 'static, lines: [&'static str; 4]) -> Box<dyn Contestant> {
    let keys = ["common", "begun", "rare", "narrowed"];
    each(move || keys.into_iter().zip(lines).map(|(key, line)| Ok((key, asked(line)?))).collect())
}

/// The median of some times, in milliseconds.
fn timed<T>(samples: usize, mut act: impl FnMut() -> io::Result<T>) -> io::Result<f64> {
    let mut all = Vec::new();
    for _ in 0..samples {
        let begun = Instant::now();
        act()?;
        all.push(millis(begun));
    }
    Ok(quantile(&mut all, 0.5))
}
