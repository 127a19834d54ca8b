//! Writes that wait to be taken along: those of one kind become one, so that a thousand acknowledgements cost what the
//! last of them does.

use crate::ports::Write;

/// Whether it means the same however much is written before it. Others ride along with the very next commit: "read up to
/// here" is about what is in the log when it is written.
pub(super) fn may_wait(write: &Write) -> bool {
    matches!(write, Write::Acked { .. } | Write::Step(_))
}

/// Whether `kept` says what `write` does, or does so from now on.
pub(super) fn goes_on(kept: &mut Write, write: &Write) -> bool {
    match (kept, write) {
        (
            Write::Acked { conversation, chain, recipient, number },
            Write::Acked { conversation: id, chain: of, recipient: by, number: newer },
        ) if (&*conversation, &*chain, &*recipient) == (id, of, by) => {
            *number = (*number).max(*newer);
            true
        }
        (Write::Step(run), Write::Step(next)) if run.goes_on_in(next) => {
            run.last = next.last;
            true
        }
        (kept, write) => kept == write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{ONE_RUN_WITHIN_MS, Step, StepRun};
    use common::ids::{ChainId, ConversationId, IdentityKey};
    use common::time::UnixMillis;

    fn acked(recipient: u8, number: u64) -> Write {
        let (conversation, chain) = (ConversationId([1; 32]), ChainId([2; 16]));
        Write::Acked { conversation, chain, recipient: IdentityKey([recipient; 32]), number }
    }

    fn step(first: u64, last: u64, at: u64) -> Write {
        let (conversation, chain) = (ConversationId([1; 32]), ChainId([2; 16]));
        let (author, party) = (IdentityKey([3; 32]), IdentityKey([4; 32]));
        let (step, route, at) = (Step::Sent, None, UnixMillis(at));
        Write::Step(StepRun { conversation, author, chain, first, last, step, party, at, route })
    }

    #[test]
    fn what_was_read_is_written_before_what_comes_next() {
        assert!(!may_wait(&Write::Read { conversation: ConversationId([1; 32]), up_to: None }));
        assert!(may_wait(&acked(1, 5)) && may_wait(&step(1, 5, 0)));
    }

    #[test]
    fn the_newest_acknowledgement_of_each_is_kept() {
        let mut kept = acked(1, 5);
        assert!(!goes_on(&mut kept, &acked(2, 6)));
        assert!(goes_on(&mut kept, &acked(1, 7)) && goes_on(&mut kept, &acked(1, 6)));
        assert_eq!(kept, acked(1, 7));
    }

    #[test]
    fn only_what_follows_soon_makes_a_run_longer() {
        let mut kept = step(1, 5, 1000);
        assert!(!goes_on(&mut kept, &step(7, 9, 1000)), "one is missing");
        assert!(!goes_on(&mut kept, &step(6, 9, 1000 + ONE_RUN_WITHIN_MS)), "much later");
        assert!(goes_on(&mut kept, &step(6, 9, 1001)));
        assert_eq!(kept, step(1, 9, 1000));
    }
}
