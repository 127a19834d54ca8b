//! How many sessions the process's file descriptors allow. The soft limit, often 1,024, is raised to the hard one.

/// Sessions that fit beside the files the registry needs itself.
pub(super) fn sessions_max() -> u32 {
    u32::try_from(raise_limit().saturating_sub(RESERVED)).unwrap_or(u32::MAX)
}

#[expect(unsafe_code, reason = "std has no call for resource limits")]
fn raise_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a valid `rlimit` of this frame and keep it no longer than the call.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return FALLBACK;
        }
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 {
            limit = raised;
        }
    }
    limit.rlim_cur
}

/// The database, its readers, the listener, standard streams, and some to spare.
const RESERVED: u64 = 64;
/// What every system allows.
const FALLBACK: u64 = 256;

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_room_for_sessions() {
        assert!(super::sessions_max() > 64);
    }
}
