//! What a man in the middle does to each connection he holds: one seed, one schedule, one fault. Schedules are handed
//! out to connections as these are made, and again if a connection ended before its fault was due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::world::Random;

/// Shared by every wire of one run.
#[derive(Clone, Default)]
pub struct Schedules(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    waiting: VecDeque<u64>,
    /// Handed out, and the fault has not happened.
    under_way: Vec<u64>,
    /// The fault has happened, and an end still has the connection open.
    open: Vec<(u64, Fault)>,
    counts: [u64; FAULTS.len()],
    /// Whole frames seen earlier on any wire, to be spliced in where they do not belong.
    pool: VecDeque<Vec<u8>>,
}

/// What is done to one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One bit of it, or of its length, is another.
    Flip,
    Drop,
    Repeat,
    /// It comes after the one that follows it.
    Reorder,
    /// A frame from elsewhere, or from before, takes its place.
    Splice,
}

/// One seed's plan for one connection.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) fault: Fault,
    /// 0: of what the dialler sends; 1: of what comes back.
    pub(super) side: usize,
    /// Which frame of that side, from 0: the first few are the handshake.
    pub(super) frame: u64,
    pub(super) random: Random,
}

impl Schedules {
    /// From now on connections are meddled with: `count` schedules from seed `from` on.
    pub fn release(&self, from: u64, count: u64) {
        self.book().waiting.extend(from..from.saturating_add(count));
    }

    /// Schedules whose fault has not happened yet.
    pub fn left(&self) -> usize {
        let book = self.book();
        book.waiting.len() + book.under_way.len()
    }

    /// Seeds whose connection is still open in spite of what happened to it.
    pub fn open(&self) -> Vec<(u64, Fault)> {
        self.book().open.clone()
    }

    /// The seeds that are being played, for whoever has to say what went wrong.
    pub fn in_play(&self) -> Vec<u64> {
        let book = self.book();
        book.under_way.iter().copied().chain(book.open.iter().map(|(seed, _)| *seed)).collect()
    }

    /// How often each fault has happened.
    pub fn counts(&self) -> [(Fault, u64); FAULTS.len()] {
        let counts = self.book().counts;
        std::array::from_fn(|index| (FAULTS[index], counts[index]))
    }

    /// The next schedule, for a connection that is being made.
    pub(super) fn take(&self) -> Option<Schedule> {
        let mut book = self.book();
        let seed = book.waiting.pop_front()?;
        book.under_way.push(seed);
        Some(Schedule::new(seed))
    }

    /// It has happened.
    pub(super) fn played(&self, schedule: &Schedule) {
        let mut book = self.book();
        book.under_way.retain(|seed| *seed != schedule.seed);
        book.open.push((schedule.seed, schedule.fault));
        let index = FAULTS.iter().position(|fault| *fault == schedule.fault).expect("every fault is in the list");
        book.counts[index] += 1;
    }

    /// Its connection is over: if nothing has happened, another one gets it.
    pub(super) fn ended(&self, seed: u64) {
        let mut book = self.book();
        book.open.retain(|(open, _)| *open != seed);
        if let Some(index) = book.under_way.iter().position(|other| *other == seed) {
            book.under_way.swap_remove(index);
            book.waiting.push_back(seed);
        }
    }

    /// Remembers a frame.
    pub(super) fn keep(&self, frame: &[u8]) {
        let mut book = self.book();
        if book.pool.len() >= POOL_MAX {
            book.pool.pop_front();
        }
        book.pool.push_back(frame.to_vec());
    }

    /// A frame from some other time and place.
    pub(super) fn foreign(&self, random: &mut Random, instead_of: &[u8]) -> Vec<u8> {
        let book = self.book();
        let others: Vec<&Vec<u8>> = book.pool.iter().filter(|frame| frame.as_slice() != instead_of).collect();
        random.pick(&others).map_or_else(|| vec![0x5a; 48], |frame| (*frame).clone())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let fault = *random.pick(&FAULTS).expect("there are some");
        let side = random.below(2);
        let frame = u64::try_from(random.below(FRAMES)).expect("a small number");
        Self { seed, fault, side, frame, random }
    }
}

const FAULTS: [Fault; 5] = [Fault::Flip, Fault::Drop, Fault::Repeat, Fault::Reorder, Fault::Splice];
/// The handshake takes two frames of the dialler and one of the other; then come the first words.
const FRAMES: usize = 8;
const POOL_MAX: usize = 64;
/// How long an end may take to see that a connection is broken: nothing comes for as long.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(130);
