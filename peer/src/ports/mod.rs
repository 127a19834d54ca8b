//! The border between the node and the world: `Input` is what happened, `Output` is what shall be done. Plain data;
//! the engine performs outputs through `net` and `disk`, the simulator through its own.

mod disk;
mod inquiry;
mod link;
mod registry;
mod trace;
mod turns;

use crate::api::{Asked, Told};

pub use disk::{
    Claimant, DiskError, DiskJob, DiskReply, HeldMail, LoadedConversation, LoadedLog, LoadedRoom, MailedRun, OwnChain,
    Pending, Pin, StoredEvent, StoredPrekey, Survives, TheirChain, VaultJob, VaultReply, Wanted, Write,
};
pub use inquiry::{Answer, FOUND_MAX, FoundEvent, Inquiry, MENTIONS_MAX, SearchFor, UNREAD_COUNTED_MAX, UnreadEvents};
pub use link::{DialId, Direction, LinkId, LinkInput, LinkOutput, LocalIdentity};
pub use registry::{RegistryInput, RegistryOutput};
pub use trace::{ONE_RUN_WITHIN_MS, Step, StepRun};
pub use turns::Turns;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    Command(Asked),
    Vault(VaultReply),
    Disk(DiskReply),
    Registry(RegistryInput),
    Link(LinkInput),
    /// The front-end has written out this many of the events it was told, from the start on.
    Written {
        events: u64,
    },
    /// Whoever read the front-end's output is gone.
    OutputLost,
    /// Nothing but time passed: `Node::next_timeout` is due.
    Tick,
}

/// Something to be done. The engine performs outputs in their order.
#[derive(Debug)]
pub enum Output {
    Tell(Told),
    /// What was told is handed to the front-end now: what follows takes longer than showing it.
    Show,
    Vault(VaultJob),
    Disk(DiskJob),
    Registry(RegistryOutput),
    Link(LinkOutput),
    /// Everything is told; the engine ends.
    End,
}
