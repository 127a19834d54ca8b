//! Which cores do the work: threads and processes started meanwhile inherit the choice.

use std::io;

/// This thread, and what it starts, on some cores until dropped.
pub struct Pinned {
    before: libc::cpu_set_t,
}

impl Pinned {
    /// The last of those there are. Two cores flip between waking each other and being awake; on one, the cost of every
    /// step is in the time.
    pub fn to_one_core() -> io::Result<Self> {
        let cores = all()?;
        Self::to(&cores[cores.len().saturating_sub(1)..])
    }

    /// Those with these numbers, also if they were not allowed so far.
    pub fn to(cores: &[usize]) -> io::Result<Self> {
        let before = get()?;
        let mut only = none();
        cores.iter().for_each(|core| add(&mut only, *core));
        set(&only)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What it was before can be set again.
        let _ = set(&self.before);
    }
}

/// The numbers of the cores that this thread may use, from the lowest.
pub fn all() -> io::Result<Vec<usize>> {
    let set = get()?;
    Ok((0..libc::CPU_SETSIZE as usize).filter(|core| holds(&set, *core)).collect())
}

#[expect(unsafe_code, reason = "a set of bits, all of them zero, is a valid one")]
fn none() -> libc::cpu_set_t {
    unsafe { std::mem::zeroed() }
}

#[expect(unsafe_code, reason = "looks at one bit of a set that is borrowed, at a place below its size")]
fn holds(set: &libc::cpu_set_t, core: usize) -> bool {
    unsafe { libc::CPU_ISSET(core, set) }
}

#[expect(unsafe_code, reason = "sets one bit of a set that is borrowed, at a place below its size")]
fn add(set: &mut libc::cpu_set_t, core: usize) {
    unsafe { libc::CPU_SET(core, set) }
}

fn get() -> io::Result<libc::cpu_set_t> {
    let mut set = none();
    #[expect(unsafe_code, reason = "std knows no cores; the call fills a set that outlives it")]
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if done == 0 { Ok(set) } else { Err(io::Error::last_os_error()) }
}

fn set(set: &libc::cpu_set_t) -> io::Result<()> {
    #[expect(unsafe_code, reason = "std knows no cores; the call reads a set that outlives it")]
    let done = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
