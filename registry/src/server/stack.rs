//! The memory of a thread's stack. A request needs several pages of it for a moment, and every page that was touched once
//! stays, even when the thread ends and the C library hands its stack to the next one: of ten thousand sessions, which
//! nearly always wait, that was most of what they took.

use std::marker::PhantomData;

use super::ceilings;

/// The stack of the thread it was made in, and of no other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    // The lowest page that is surely part of it.
    lowest: usize,
    page_bytes: usize,
    _of_this_thread: PhantomData<*const ()>,
}

impl Stack {
    /// To be called near the beginning of a thread that was given `bytes` of stack.
    pub(super) fn of_this_thread(bytes: usize) -> Self {
        let page_bytes = ceilings::page_bytes();
        let lowest = (here() - bytes.saturating_sub(USED_BEFORE)).next_multiple_of(page_bytes);
        Self { lowest, page_bytes, _of_this_thread: PhantomData }
    }

    /// Gives the unused part back to the system, which hands out zeros when it is needed again.
    #[inline(never)]
    pub(super) fn give_back(self) {
        let used = (here() - FRAMES_BYTES) / self.page_bytes * self.page_bytes;
        let Some(unused) = used.checked_sub(self.lowest).filter(|&bytes| bytes > 0) else { return };
        #[expect(unsafe_code, reason = "an idle session keeps 8 KiB of stack with it, 12 to 24 without")]
        // SAFETY: the range is part of this thread's stack: it begins less than the stack's size below a frame of this
        // thread, with `USED_BEFORE` to spare for what is above that frame, and a `Stack` cannot leave its thread. Stacks
        // grow downwards, and the range ends `FRAMES_BYTES` below this function's own frame, further than that and the one
        // of `madvise` reach: nothing alive is in it, and what is called later writes there before it reads. It begins and
        // ends with a page, so that nothing is rounded. If the call fails, the pages stay.
        unsafe {
            libc::madvise(std::ptr::without_provenance_mut(self.lowest), unused, libc::MADV_DONTNEED);
        }
    }
}

/// An address within the frame of the caller.
#[inline(always)]
fn here() -> usize {
    let mark = 0u8;
    std::ptr::from_ref(std::hint::black_box(&mark)).addr()
}

/// Enough for decoding at its depth limit and for Ed25519; ten thousand of them reserve 2.5 GiB of addresses only.
pub(super) const SESSION_STACK_BYTES: usize = 256 * 1024;
/// Frames of the standard library, and what the C library keeps of a thread at the top of its stack.
const USED_BEFORE: usize = 64 * 1024;
/// A few words are needed.
const FRAMES_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 256 * 1024;

    // Touches so many bytes of stack, or somewhat more: every call of it takes a page or two.
    #[inline(never)]
    fn dig(bytes: usize) -> u64 {
        let piece = std::hint::black_box([1u8; 4096]);
        let deeper = if bytes > piece.len() { dig(bytes - piece.len()) } else { 0 };
        deeper + piece.iter().map(|&byte| u64::from(byte)).sum::<u64>()
    }

    fn resident_kib_of(address: usize) -> u64 {
        let maps = std::fs::read_to_string("/proc/thread-self/smaps").unwrap();
        let mut is_ours = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let number = |text: &str| usize::from_str_radix(text, 16).ok();
            if let Some((begin, end)) = range.and_then(|(begin, end)| Some((number(begin)?, number(end)?))) {
                is_ours = (begin..end).contains(&address);
            } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| is_ours) {
                return rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        }
        panic!("no mapping of {address:x}");
    }

    #[test]
    fn what_was_used_once_is_given_back_and_can_be_used_again() {
        let dug = common::thread::spawn_small("digging", BYTES, || {
            let stack = Stack::of_this_thread(BYTES);
            let first = dig(40 * 1024);
            let deep = resident_kib_of(here());
            stack.give_back();
            let shallow = resident_kib_of(here());
            (first, deep, shallow, dig(40 * 1024))
        });
        let (first, deep, shallow, second) = dug.unwrap().join();
        assert!(deep >= 40 && shallow <= deep - 32, "{deep} KiB, then {shallow}");
        assert_eq!(first, second);
    }
}
