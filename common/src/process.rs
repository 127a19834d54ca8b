//! What a process that holds keys forbids about itself, before it has any. Each program's `main` calls it first.

/// No core dump and no debugger of another user gets at the memory: keys and passwords would be in it. What the
/// system does not offer is passed over; that is no reason not to run.
#[expect(unsafe_code, reason = "std has no call for resource limits or for prctl")]
pub fn forbid_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `setrlimit` reads a valid `rlimit` of this frame; this `prctl` takes numbers only.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "asks the kernel what the call above told it")]
    fn the_kernel_agrees() {
        forbid_dumps();
        let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: `getrlimit` writes into a valid `rlimit` of this frame.
        let asked = unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) };
        assert_eq!((asked, limit.rlim_cur, limit.rlim_max), (0, 0, 0));
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }, 0);
    }
}
