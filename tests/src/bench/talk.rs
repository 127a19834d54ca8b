//! One speaks, others listen: the one harness for everybody who carries messages. It measures how long one message
//! takes to the last listener, and how many go through when the speaker does not wait for each.

use std::any::Any;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::contestant::{Contestant, Values};
use super::figures::quantile;

/// Says texts to all listeners.
pub(super) trait Speaker: Send {
    /// Hands all of these over, with as few writes as it can.
    fn say(&mut self, texts: &[String]) -> io::Result<()>;
}

/// Hears what was said, or that it arrived.
pub(super) trait Listener: Send {
    /// Waits until something comes: how many texts, or receipts, that was.
    fn hear(&mut self) -> io::Result<u64>;
}

/// A conversation that is set up.
pub(super) struct Stage {
    pub(super) speaker: Box<dyn Speaker>,
    /// Where the speaker learns that a text is with all of them; `None` where nobody says so.
    pub(super) receipts: Option<Box<dyn Listener>>,
    pub(super) listeners: Vec<Box<dyn Listener>>,
    /// What has to live as long: processes, sockets. Dropped last.
    pub(super) _keeps: Vec<Box<dyn Any>>,
}

/// One message at a time.
pub(super) struct Latency {
    stage: Stage,
    samples: usize,
    said: u64,
}

/// As many as go through.
pub(super) struct Flow {
    stage: Stage,
    count: u64,
}

impl Stage {
    pub(super) fn latency(self, samples: usize) -> Box<dyn Contestant> {
        Box::new(Latency { stage: self, samples, said: 0 })
    }

    pub(super) fn flow(self, count: usize) -> Box<dyn Contestant> {
        Box::new(Flow { stage: self, count: count as u64 })
    }
}

impl Latency {
    /// Microseconds until the last listener has it, and until the speaker knows.
    fn one(&mut self) -> io::Result<(f64, Option<f64>)> {
        self.said += 1;
        let text = [text(self.said)];
        let begun = Instant::now();
        self.stage.speaker.say(&text)?;
        for listener in &mut self.stage.listeners {
            listener.hear()?;
        }
        let heard = begun.elapsed();
        let Some(receipts) = &mut self.stage.receipts else { return Ok((micros(heard), None)) };
        receipts.hear()?;
        Ok((micros(heard), Some(micros(begun.elapsed()))))
    }
}

impl Contestant for Latency {
    fn round(&mut self) -> io::Result<Values> {
        for _ in 0..self.samples / 10 + 1 {
            self.one()?;
        }
        let (mut heard, mut known) = (Vec::new(), Vec::new());
        for _ in 0..self.samples {
            let (at_listener, at_speaker) = self.one()?;
            heard.push(at_listener);
            known.extend(at_speaker);
        }
        let mut values = vec![("p50", quantile(&mut heard, 0.5)), ("p99", quantile(&mut heard, 0.99))];
        if !known.is_empty() {
            values.push(("known", quantile(&mut known, 0.5)));
        }
        Ok(values)
    }
}

impl Contestant for Flow {
    fn round(&mut self) -> io::Result<Values> {
        // Cold paths, full caches and half a window.
        flow(&mut self.stage, self.count / 20 + 1)?;
        let begun = Instant::now();
        flow(&mut self.stage, self.count)?;
        let seconds = begun.elapsed().as_secs_f64();
        let listeners = self.stage.listeners.len() as f64;
        Ok(vec![("rate", self.count as f64 / seconds), ("deliveries", self.count as f64 * listeners / seconds)])
    }
}

/// Says `count` texts, never more than a window ahead of the slowest, until all of them are heard and known.
fn flow(stage: &mut Stage, count: u64) -> io::Result<()> {
    let everybody = stage.listeners.len() + usize::from(stage.receipts.is_some());
    let progress: Vec<AtomicU64> = (0..everybody).map(|_| AtomicU64::new(0)).collect();
    let (wake, woken) = bounded(1);
    std::thread::scope(|scope| {
        let all = stage.listeners.iter_mut().chain(&mut stage.receipts);
        let ears: Vec<_> = all
            .zip(&progress)
            .map(|(listener, heard)| {
                let wake = wake.clone();
                scope.spawn(move || listen(listener.as_mut(), heard, count, &wake))
            })
            .collect();
        drop(wake);
        let said = speak(stage.speaker.as_mut(), &progress, count, &woken);
        let heard = ears.into_iter().map(|ear| ear.join().expect("a listener does not panic"));
        said.and(heard.collect::<io::Result<()>>())
    })
}

fn listen(listener: &mut dyn Listener, heard: &AtomicU64, count: u64, wake: &Sender<()>) -> io::Result<()> {
    let mut sum = 0;
    while sum < count {
        sum += listener.hear()?;
        heard.store(sum, Ordering::Release);
        // Full: the speaker is about to look anyway.
        let _ = wake.try_send(());
    }
    Ok(())
}

fn speak(speaker: &mut dyn Speaker, progress: &[AtomicU64], count: u64, woken: &Receiver<()>) -> io::Result<()> {
    let mut said = 0;
    let slowest = || progress.iter().map(|heard| heard.load(Ordering::Acquire)).min().unwrap_or(0);
    while said < count {
        if said - slowest() + BATCH > WINDOW {
            // Whoever hears nothing for too long ends, and so does this.
            woken.recv().map_err(|_| io::Error::other("nobody listens any more"))?;
            continue;
        }
        let batch: Vec<String> = (said..count.min(said + BATCH)).map(text).collect();
        speaker.say(&batch)?;
        said += batch.len() as u64;
    }
    Ok(())
}

/// 128 bytes, all different.
pub(super) fn text(number: u64) -> String {
    let begin = format!("{number} ");
    begin.clone() + &FILLER[begin.len()..]
}

fn micros(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What is under way at most: the same for all, so that none is judged by the length of its queues.
const WINDOW: u64 = 2048;
const BATCH: u64 = 64;
const FILLER: &str = "the release is green, the relay was up again, and whoever reads this line to its very end has read \
    one hundred and twenty-eight.";

const _: () = assert!(FILLER.len() == 128);
