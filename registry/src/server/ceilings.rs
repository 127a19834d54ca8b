//! What the operating system lets this process have: descriptors, threads, memory. Sessions are few enough for all of
//! them, so that newcomers are refused before anything fails. The soft limit of descriptors, often 1,024, is raised to
//! the hard one.

#![expect(clippy::disallowed_methods, reason = "the process's own memory is read from /proc")]

/// Sessions that fit beside what the registry needs itself.
pub(super) fn sessions_max() -> u32 {
    let descriptors = raise_descriptors().saturating_sub(RESERVED);
    let threads = limit(libc::RLIMIT_NPROC).0.saturating_sub(RESERVED);
    let addresses = limit(libc::RLIMIT_AS).0;
    if addresses != libc::RLIM_INFINITY {
        spare_addresses();
    }
    let addresses = addresses.saturating_sub(ADDRESSES_RESERVED) / ADDRESSES_PER_SESSION;
    u32::try_from(descriptors.min(threads).min(addresses)).unwrap_or(u32::MAX)
}

/// Memory of this process that is in use now.
pub(super) fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(page_bytes() as u64 / 1024)
}

/// The size of a page of memory.
pub(super) fn page_bytes() -> usize {
    #[expect(unsafe_code, reason = "std does not tell the size of a page")]
    // SAFETY: the call takes a number and touches no memory.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every system has a size of pages")
}

/// Memory that the allocator keeps for later goes back to the system.
pub(super) fn give_back() {
    #[expect(unsafe_code, reason = "std does not speak to the allocator")]
    // SAFETY: the call takes a number and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Who goes first on a core that several want.
#[derive(Debug, Clone, Copy)]
pub(super) enum Priority {
    /// Strangers from where people have signed in, and whoever asks for very much: a third of what others get.
    Low = 5,
    /// Strangers from elsewhere, and password checks: a tenth.
    Lowest = 10,
}

/// Lets others go first, as long as this thread lives; so do the threads that it starts.
pub(super) fn lower_priority(to: Priority) {
    #[expect(unsafe_code, reason = "std does not know priorities")]
    // SAFETY: the call takes three numbers and touches no memory. On Linux, 0 is the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, to as libc::c_int);
    }
}

fn raise_descriptors() -> u64 {
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    let raised = libc::rlimit { rlim_cur: hard, rlim_max: hard };
    #[expect(unsafe_code, reason = "std has no call for resource limits")]
    // SAFETY: the call reads a valid `rlimit` of this frame and keeps it no longer than the call.
    let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) };
    if done == 0 { hard } else { soft }
}

// The allocator sets 64 MiB of addresses aside for each of its arenas, of which there are many by default: what they
// take, nothing else can have, and an allocation that fails ends the process.
fn spare_addresses() {
    #[expect(unsafe_code, reason = "std does not speak to the allocator")]
    // SAFETY: the call takes two numbers and touches no memory of ours.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

fn limit(resource: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: FALLBACK, rlim_max: FALLBACK };
    #[expect(unsafe_code, reason = "std has no call for resource limits")]
    // SAFETY: the call fills a valid `rlimit` of this frame and keeps it no longer than the call.
    unsafe {
        libc::getrlimit(resource, &raw mut limit);
    }
    (limit.rlim_cur, limit.rlim_max)
}

/// The database, its readers, the listener, standard streams, sessions that are just ending, and some to spare.
const RESERVED: u64 = 64;
const ARENAS: libc::c_int = 2;
/// A stack, its guard page, the largest frame and outbox, and the allocator's waste.
const ADDRESSES_PER_SESSION: u64 = 768 * 1024;
/// The program, SQLite's caches, and arenas of the allocator.
const ADDRESSES_RESERVED: u64 = 256 * 1024 * 1024;
/// What every system allows.
const FALLBACK: u64 = 256;

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_room_for_sessions() {
        assert!(super::sessions_max() > 64);
        assert!(super::memory_kib() > 1000);
    }
}
