//! A long time with many: sessions that do nothing but say that they are there, and pairs of real peers that talk all
//! along. Whether the registry's memory grows, whether a session is dropped, and whether the pairs notice the others.
//! Run by `scripts/soak.sh`.

use std::io;
use std::time::{Duration, Instant};

use super::child::resident_kib;
use super::figures::{Summary, quantile};
use super::fleet::{self, Fleet, millis};
use super::peers::{Face, arrive};
use super::talk::text;
use crate::programs::use_programs_of;
use crate::wire::RegistryLink;

/// How many, and how long.
#[derive(Debug, Clone)]
pub struct Soak {
    pub sessions: usize,
    pub pairs: usize,
    /// With the sessions there; before, a fifth of it without them.
    pub span: Duration,
    /// Where the two programs are, if they are not to be built.
    pub programs: Option<std::path::PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Soaked {
    pub sessions: usize,
    pub dropped: usize,
    /// The registry's memory in KiB in every second, from when everybody had been there for a while.
    pub memory: Vec<f64>,
    /// Milliseconds from front-end to front-end.
    pub alone: Talk,
    pub among_many: Talk,
}

/// How long messages took.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    pub messages: usize,
    pub p50: f64,
    pub p99: f64,
    /// Medians of ten parts of the time: how far they lie apart is the noise.
    pub low: f64,
    pub high: f64,
}

impl Soak {
    /// Plays it; `told` hears what happens meanwhile.
    pub fn play(&self, mut told: impl FnMut(&str)) -> io::Result<Soaked> {
        if let Some(folder) = &self.programs {
            use_programs_of(folder.clone());
        }
        // They all come from one source, the pairs too.
        let room = ["sessions", "sessions_per_source"].map(|key| format!("limits.{key}={}", self.sessions + ROOM));
        let mut fleet = Fleet::start_with(self.sessions, &room.each_ref().map(String::as_str));
        told(&format!("{} pairs arrive", self.pairs));
        let mut pairs = Pair::arrive(&fleet, self.pairs)?;
        told("they talk at a registry that is empty but for them");
        let alone = Talk::of(&talk(&mut pairs, self.span / 5)?)?;
        told(&format!("{} sessions come", self.sessions));
        let mut links = fleet.sign_in_all(0..self.sessions)?;
        fleet::ping(&mut links)?;
        told("they talk among them");
        let pid = fleet.pid();
        let (spoken, memory) = std::thread::scope(|scope| {
            let talking = scope.spawn(|| talk(&mut pairs, self.span));
            let memory = stay(&mut links, pid, self.span);
            (talking.join().map_err(|_| io::Error::other("the talk panicked")), memory)
        });
        let among_many = Talk::of(&spoken??)?;
        let alive = links.iter_mut().filter_map(|link| fleet::ping(std::slice::from_mut(link)).ok()).count();
        Ok(Soaked { sessions: self.sessions, dropped: self.sessions - alive, memory: memory?, alone, among_many })
    }
}

impl Soaked {
    /// The registry's memory near the begin and near the end, in KiB.
    pub fn grown(&self) -> (f64, f64) {
        let part = (self.memory.len() / 10).max(1);
        let median = |part: &[f64]| Summary::of(part.to_vec()).map_or(0.0, |summary| summary.median);
        (median(&self.memory[..part]), median(&self.memory[self.memory.len() - part..]))
    }

    /// What did not hold.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.dropped > 0 {
            complaints.push(format!("{} of {} sessions were dropped", self.dropped, self.sessions));
        }
        let (begin, end) = self.grown();
        if end > begin * (1.0 + GROWTH_MAX) + GROWTH_KIB_MAX {
            complaints.push(format!("memory grew from {begin:.0} to {end:.0} KiB"));
        }
        let noise = self.alone.high.max(self.alone.p50 * (1.0 + NOISE));
        if self.among_many.p50 > noise {
            let (alone, among) = (self.alone.p50, self.among_many.p50);
            complaints.push(format!("messages took {among:.3} ms among many and {alone:.3} ms alone"));
        }
        complaints
    }
}

impl Talk {
    fn of(spoken: &[(f64, f64)]) -> io::Result<Self> {
        let mut all: Vec<f64> = spoken.iter().map(|(_, took)| *took).collect();
        let end = spoken.iter().map(|(at, _)| *at).fold(0.0, f64::max);
        let part = |number: f64| {
            let within = |at: f64| at * 10.0 >= end * number && at * 10.0 <= end * (number + 1.0);
            Summary::of(spoken.iter().filter(|(at, _)| within(*at)).map(|(_, took)| *took).collect())
        };
        let medians = (0..10).filter_map(|number| part(f64::from(number))).map(|summary| summary.median).collect();
        let apart = Summary::of(medians).ok_or_else(|| io::Error::other("nothing was said"))?;
        let (p50, p99) = (quantile(&mut all, 0.5), quantile(&mut all, 0.99));
        Ok(Self { messages: all.len(), p50, p99, low: apart.low, high: apart.high })
    }
}

/// Two people in one conversation.
struct Pair {
    first: Face,
    second: Face,
    said: u64,
}

impl Pair {
    fn arrive(fleet: &Fleet, count: usize) -> io::Result<Vec<Self>> {
        let mut faces = arrive(&fleet.registry, 2 * count)?.into_iter();
        let two = || Some(Self { first: faces.next()?, second: faces.next()?, said: 0 });
        let mut pairs: Vec<Self> = std::iter::from_fn(two).collect();
        // The first message makes the link.
        pairs.iter_mut().try_for_each(|pair| pair.say().map(drop))?;
        Ok(pairs)
    }

    /// One message: milliseconds until the other has it on the screen.
    fn say(&mut self) -> io::Result<f64> {
        self.said += 1;
        let text = text(self.said);
        let begun = Instant::now();
        self.first.tell(&format!("@{} {text}", self.second.name))?;
        self.second.await_line(&text)?;
        let took = millis(begun);
        self.first.await_line(r#""state":"delivered""#)?;
        Ok(took)
    }

    /// Says something every second from `first` until the span is over.
    fn talk(&mut self, begun: Instant, first: Duration, span: Duration) -> io::Result<Vec<(f64, f64)>> {
        let (mut next, mut spoken) = (begun + first, Vec::new());
        while next < begun + span {
            let _ = crossbeam_channel::at(next).recv();
            spoken.push((begun.elapsed().as_secs_f64(), self.say()?));
            next += SAY_EVERY;
        }
        Ok(spoken)
    }
}

/// Every pair says something once a second, each at its own moment of it. When, in seconds, and how long it took.
fn talk(pairs: &mut [Pair], span: Duration) -> io::Result<Vec<(f64, f64)>> {
    let (begun, count) = (Instant::now(), u32::try_from(pairs.len()).unwrap_or(u32::MAX));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .zip(pairs)
            .map(|(number, pair)| scope.spawn(move || pair.talk(begun, SAY_EVERY * number / count, span)))
            .collect();
        let spoken =
            threads.into_iter().map(|thread| thread.join().map_err(|_| io::Error::other("a pair panicked"))?);
        Ok(spoken.collect::<io::Result<Vec<_>>>()?.concat())
    })
}

/// All say that they are there as often as programs do, a part of them in each second; the registry's memory meanwhile.
fn stay(links: &mut [RegistryLink], pid: u32, span: Duration) -> io::Result<Vec<f64>> {
    let (begun, mut memory) = (Instant::now(), Vec::new());
    let share = links.len().div_ceil(PING_EVERY_S).max(1);
    let seconds = usize::try_from(span.as_secs()).unwrap_or(usize::MAX).max(1);
    let parts = links.len().div_ceil(share).max(1);
    for second in 0..seconds {
        if let Some(some) = links.chunks_mut(share).nth(second % parts) {
            // Who was dropped is counted in the end.
            let _ = fleet::ping(some);
        }
        let _ = crossbeam_channel::at(begun + Duration::from_secs(second as u64 + 1)).recv();
        memory.push(resident_kib(pid)?);
    }
    Ok(memory)
}

const SAY_EVERY: Duration = Duration::from_secs(1);
const PING_EVERY_S: usize = 30;
/// Sessions of the pairs, and some to spare.
const ROOM: usize = 1000;
/// What a page more or less of some stacks is, and what an allocator keeps of the pairs' requests.
const GROWTH_MAX: f64 = 0.01;
const GROWTH_KIB_MAX: f64 = 512.0;
/// Two runs of the same lie so far apart on a quiet machine.
const NOISE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    fn soaked(dropped: usize, memory: [f64; 3], among: f64) -> Vec<String> {
        let talk = |p50| Talk { messages: 10, p50, p99: 2.0 * p50, low: p50, high: p50 };
        let memory = memory.iter().flat_map(|kib| [*kib; 10]).collect();
        Soaked { sessions: 100, dropped, memory, alone: talk(0.1), among_many: talk(among) }.complaints()
    }

    #[test]
    fn what_does_not_hold_is_said() {
        assert_eq!(soaked(0, [100_000.0, 130_000.0, 100_900.0], 0.12), Vec::<String>::new());
        assert_eq!(soaked(3, [100_000.0; 3], 0.1), ["3 of 100 sessions were dropped"]);
        assert_eq!(soaked(0, [100_000.0, 101_000.0, 102_000.0], 0.1), ["memory grew from 100000 to 102000 KiB"]);
        assert_eq!(soaked(0, [1.0; 3], 0.2), ["messages took 0.200 ms among many and 0.100 ms alone"]);
    }
}
