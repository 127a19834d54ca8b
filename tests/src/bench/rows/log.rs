//! Rows about one peer: its start, its memory, and its search.

use std::io;
use std::time::{Duration, Instant};

use super::super::child::{resident_kib, resident_with_files_kib};
use super::super::contestant::{Candidate, each};
use super::super::figures::Column;
use super::super::fleet::millis;
use super::super::history;
use super::super::peers::{Face, People};
use super::super::plan::Plan;
use crate::programs::{Launch, Registry};

pub(super) const START: &[Column] = &[
    Column::cost("ready", "ready", "ms"),
    Column::cost("signed_in", "signed in, its keys unsealed", "ms"),
    Column::cost("keys", "unsealing keys alone", "ms"),
];
pub(super) const MEMORY: &[Column] =
    &[Column::cost("anonymous", "its own", "MiB"), Column::cost("resident", "with its program", "MiB")];
pub(super) const SEARCH: &[Column] = &[
    Column::cost("common", "a common word", "ms"),
    Column::cost("rare", "a rare word", "ms"),
    Column::cost("narrowed", "from one person in one conversation", "ms"),
];

/// A profile whose log holds so many messages, and the registry it belongs to.
struct LongLog {
    registry: Registry,
    launch: Launch,
}

impl LongLog {
    fn make(count: usize) -> Self {
        let registry = Registry::start(&[]);
        let launch = history::long_log(&registry, count as u64);
        Self { registry, launch }
    }

    fn start(&self) -> io::Result<Face> {
        debug_assert_eq!(self.launch.registry, self.registry.address());
        Face::start(&self.launch.again())
    }
}

pub(super) fn start(plan: &Plan) -> Vec<Candidate> {
    let count = plan.number(100_000, 200);
    let of = move |name, count| {
        Candidate::ours(name, move |_| {
            let log = LongLog::make(count);
            Ok(each(move || {
                let begun = Instant::now();
                let mut face = log.start()?;
                face.await_line(r#""type":"ready""#)?;
                let ready = millis(begun);
                face.await_line(r#""type":"signed_in""#)?;
                let signed_in = millis(begun);
                quit(face)?;
                Ok(vec![("ready", ready), ("signed_in", signed_in), ("keys", history::unsealing_ms())])
            }))
        })
    };
    let bare = Candidate::limit("a program that does nothing", |_| {
        Ok(each(|| {
            let begun = Instant::now();
            std::process::Command::new("true").status()?;
            Ok(vec![("ready", millis(begun))])
        }))
    });
    vec![bare, of("p2p-chat", count), of("p2p-chat, an empty log", 0)]
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
    let (count, samples) = (plan.number(1_000_000, 2000), plan.number(50, 3));
    vec![Candidate::ours("p2p-chat", move |_| {
        let log = LongLog::make(count);
        let mut face = log.start()?;
        // The first search waits until everything is in the index.
        face.tell("/search release")?;
        let found = face.await_patiently(INDEXED_WITHIN, r#""type":"found""#);
        found?;
        let mut asked = move |line: &str| -> io::Result<f64> {
            let mut all = Vec::new();
            for _ in 0..samples {
                let begun = Instant::now();
                face.tell(line)?;
                face.await_line(r#""type":"found""#)?;
                all.push(millis(begun));
            }
            Ok(super::super::figures::quantile(&mut all, 0.5))
        };
        Ok(each(move || {
            let _ = &log;
            Ok(vec![
                ("common", asked("/search release")?),
                ("rare", asked("/search needle")?),
                ("narrowed", asked("/search release from:bob in:@bob")?),
            ])
        }))
    })]
}

fn quit(mut face: Face) -> io::Result<()> {
    face.tell("/quit")?;
    face.await_line(r#""type":"bye""#)?;
    face.running.0.wait()?;
    Ok(())
}

/// A million lines are indexed at their leisure.
const INDEXED_WITHIN: Duration = Duration::from_secs(900);
