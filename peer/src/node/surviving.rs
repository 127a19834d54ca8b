//! Which commits may wait for the disk, and which may not.

use common::message::event::{KIND_JOIN, KIND_PART};

use crate::ports::{Survives, Write};

/// The one place that decides how safe a commit is before anything follows from it. A line of mine, and what rides with
/// it, goes out at once: nobody builds on its being here but me, and if the machine loses it, a new chain keeps its
/// number from being used again. Nor does anybody build on the mark of what was shown. Everything else leads to a word
/// given to others: an acknowledgement, a membership, a request. That must not be taken back.
pub(super) fn has_to_survive(writes: &[Write]) -> Survives {
    let may_wait = writes.iter().any(|write| is_said(write) || matches!(write, Write::Told { .. }));
    if may_wait && writes.iter().all(|write| is_said(write) || rides(write)) {
        Survives::Program
    } else {
        Survives::Machine
    }
}

fn is_said(write: &Write) -> bool {
    match write {
        Write::Event { event, recipients: Some(_) } => !matches!(event.kind, KIND_JOIN | KIND_PART),
        _ => false,
    }
}

fn rides(write: &Write) -> bool {
    matches!(
        write,
        Write::Conversation { .. } | Write::Acked { .. } | Write::Step(_) | Write::Read { .. } | Write::Told { .. }
    )
}
