//! Two people each, with the real program, who talk with each other: one says something, and as soon as the other sees
//! it, the other answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::thread::{Handle, spawn};

use super::pause;
use super::turns::Timed;
use crate::programs::{DEADLINE, Launch, Process, Registry};

/// Running pairs; they stop when told to.
pub struct Pairs {
    // Told before the threads are joined.
    stop: Arc<AtomicBool>,
    threads: Vec<Handle<Vec<Timed>>>,
}

impl Pairs {
    /// Newcomers who have a link with each other, two and two.
    pub fn start(registry: &Registry, count: usize, every: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |number: usize| {
            let faces = ["one", "other"].map(|side| Face::start(registry, &format!("{side}-{number}")));
            faces.iter().for_each(|face| face.awaits(r#""type":"signed_in""#));
            let stop = Arc::clone(&stop);
            spawn(&format!("pair {number}"), move || talk(faces, &stop, every)).expect("a thread")
        };
        let threads = (0..count).map(begin).collect();
        Self { stop, threads }
    }

    /// From a line typed by one to the answer on the screen of the same, each time. One that did not come is a panic.
    pub fn stop(self) -> Vec<Timed> {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().flat_map(Handle::join).collect()
    }
}

struct Face {
    process: Process,
    // Holds the folder it runs in.
    launch: Launch,
}

impl Face {
    fn start(registry: &Registry, name: &str) -> Self {
        let launch = Launch::new(registry, name);
        Self { process: Process::start(name, launch.json_command(), &launch.transcript), launch }
    }

    fn awaits(&self, part: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.process.line(deadline).expect("its lines come in time").contains(part) {}
    }
}

fn talk([mut one, mut other]: [Face; 2], stop: &AtomicBool, every: Duration) -> Vec<Timed> {
    let [to_one, to_other] = [&one, &other].map(|face| format!("@{} ", face.launch.name));
    let mut times = Vec::new();
    for round in 0.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let begun = Instant::now();
        one.process.write_line(&format!("{to_other}question {round}"));
        other.awaits(&format!(r#""text":"question {round}""#));
        other.process.write_line(&format!("{to_one}answer {round}"));
        one.awaits(&format!(r#""text":"answer {round}""#));
        // The first makes the link.
        if round > 0 {
            times.push(Timed::since(begun));
        }
        pause(every);
    }
    times
}
