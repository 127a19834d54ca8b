//! What the node asks of the disk, and what comes back. Jobs are carried out in order; every reply names its ticket.

use std::net::SocketAddr;
use std::sync::Arc;

use common::ids::{AuthKey, ChainId, ConversationId, EventId, IdentityKey, MailSalt, RealmId, RoomId, RootKey};
use common::message::event::WireEvent;
use common::message::room::{Genesis, LogEntry};
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{Certificate, Credentials};
use common::secure::identity::Keys;
use common::secure::sign::Signed;
use common::time::UnixMillis;

use super::trace::StepRun;
use super::{Answer, Inquiry};

/// Work with passwords and sealed keys: slow on purpose, so each runs on a thread of its own.
#[derive(Debug)]
pub enum VaultJob {
    /// Opens the keys of an account with its password. Makes new ones if there are none, or if the only ones are
    /// from a sign-up that was never confirmed and another password was chosen since.
    Open { realm: RealmId, user: UserName, password: Secret<String> },
    /// Derives what the registry is told instead of the password.
    Derive { realm: RealmId, user: UserName, password: Secret<String> },
    /// The registry knows the keys (and the password they were last sealed under): keep these, drop any others.
    Confirm { realm: RealmId, user: UserName },
    /// The registry refused: drop what was sealed last and keep what was before, if anything was.
    Discard { realm: RealmId, user: UserName },
    /// Seals the same keys under a new password beside the old ones, if `old` opens them; then derives both.
    Reseal { realm: RealmId, user: UserName, old: Secret<String>, new: Secret<String> },
    /// Makes keys that follow the present ones and seals them beside those, if `password` opens these.
    Succeed { realm: RealmId, user: UserName, password: Secret<String> },
}

#[derive(Debug)]
pub enum VaultReply {
    /// `confirmed`: the registry has known these keys before. `next` are others that follow them and were sealed
    /// since: the registry may know those by now.
    Opened {
        keys: Box<Keys>,
        confirmed: bool,
        next: Option<Box<Keys>>,
    },
    /// The password does not open the keys that are there.
    WrongPassword,
    Derived {
        auth: Secret<AuthKey>,
    },
    Resealed {
        old: Secret<AuthKey>,
        new: Secret<AuthKey>,
    },
    Succeeded {
        keys: Box<Keys>,
    },
    Confirmed,
    Discarded,
    Failed {
        text: String,
    },
}

/// Work on the log of one account.
#[derive(Debug)]
pub enum DiskJob {
    /// Keeps which root key a registry's address showed.
    PinRealm { registry: String, root: RootKey },
    /// Opens or creates the log of an account. `fresh_chain` becomes its chain if it is new, and if others may hold
    /// numbers of the present one that it has lost.
    Open { realm: RealmId, user: UserName, fresh_chain: ChainId },
    /// Closes the log; the next `Open` may be for another account.
    Close,
    /// Writes all or nothing, and answers when it is as safe as `survives` says. Tickets ascend, and what is written does
    /// so in their order: behind a commit that failed every younger one fails, too, until the same is handed over again
    /// and succeeds ([`super::Turns`]). The node keeps what is to be written until then; both have the same of it, for
    /// copies of all that is said cost as much as deciding about it.
    Commit { ticket: u64, writes: Arc<Vec<Write>>, survives: Survives },
    /// Events of one chain from number `from` on, as many as `bytes_max` holds, at least one if there is one.
    /// With `not_before`, earlier ones at the beginning are passed over.
    ReadChain {
        ticket: u64,
        conversation: ConversationId,
        author: IdentityKey,
        chain: ChainId,
        from: u64,
        bytes_max: usize,
        not_before: Option<UnixMillis>,
    },
    /// A question about everything that was said.
    Inquire { ticket: u64, inquiry: Inquiry },
    /// The newest `count` events of a conversation that are shown (texts and actions), oldest first; with `since`, none
    /// that was written before.
    ReadHistory { ticket: u64, conversation: ConversationId, count: u32, since: Option<UnixMillis> },
    /// Single messages, by what names them.
    ReadEvents { ticket: u64, wanted: Wanted },
    /// What is known of the way of one event: its recipients if it is mine, and every step that was noted.
    ReadSteps { ticket: u64, conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64 },
}

/// What a commit outlives once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Survives {
    /// The program, killed at any moment. A machine that stops may still take it back.
    Program,
    /// The machine too, and so does everything committed before it. A commit without writes only sees to those.
    Machine,
}

#[derive(Debug)]
pub enum DiskReply {
    Opened(Box<LoadedLog>),
    Closed,
    Committed {
        ticket: u64,
    },
    ChainRead {
        ticket: u64,
        events: Vec<StoredEvent>,
    },
    /// `changes` are the edits, deletions and reactions about `events` that may count: of each author the newest of
    /// each kind.
    HistoryRead {
        ticket: u64,
        events: Vec<StoredEvent>,
        changes: Vec<StoredEvent>,
    },
    /// The same for single events.
    EventsRead {
        ticket: u64,
        events: Vec<StoredEvent>,
        changes: Vec<StoredEvent>,
    },
    StepsRead {
        ticket: u64,
        recipients: Vec<IdentityKey>,
        steps: Vec<StepRun>,
    },
    Answered {
        ticket: u64,
        answer: Answer,
    },
    /// `ticket` is `None` for `Open` and `PinRealm`.
    Failed {
        ticket: Option<u64>,
        error: DiskError,
    },
}

/// What names messages to be read: texts and actions, and what is about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Ids(Vec<EventId>),
    /// Ids from one to another, as far as it takes to see that there are several.
    Between {
        first: EventId,
        last: EventId,
    },
    /// The last text or action of a conversation, of one author if there is one; `back` 1 is the one before it.
    Newest {
        conversation: ConversationId,
        author: Option<IdentityKey>,
        back: u32,
    },
}

/// Why the disk cannot do what it should, in the words a person is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct DiskError {
    pub text: String,
}

/// One change of the log. Those of one commit become visible together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Conversation {
        id: ConversationId,
        with: UserName,
    },
    Room {
        room: RoomId,
        genesis: Signed<Genesis>,
        joined: bool,
    },
    Entry {
        room: RoomId,
        index: u32,
        entry: Signed<LogEntry>,
    },
    /// Another entry, signed by the owner as well, of a number that is taken.
    OtherEntry {
        room: RoomId,
        entry: Signed<LogEntry>,
    },
    /// The newest join and part of one member.
    Member {
        room: RoomId,
        identity: IdentityKey,
        join: WireEvent,
        part: Option<WireEvent>,
    },
    /// `recipients` is set for my own events: whose acknowledgement each waits for.
    Event {
        event: Box<StoredEvent>,
        recipients: Option<Vec<IdentityKey>>,
    },
    /// A chain is held up to `number` although its events before are not here.
    Skip {
        conversation: ConversationId,
        author: IdentityKey,
        chain: ChainId,
        number: u64,
    },
    /// A chain is held from number `from` on because another than its author said that it begins there; with `None`
    /// its author said so, too.
    Borrowed {
        conversation: ConversationId,
        author: IdentityKey,
        chain: ChainId,
        from: Option<u64>,
    },
    /// A recipient holds my `chain` up to `number`.
    Acked {
        conversation: ConversationId,
        chain: ChainId,
        recipient: IdentityKey,
        number: u64,
    },
    /// Messages of a chain up to `number` were shown.
    Told {
        conversation: ConversationId,
        author: IdentityKey,
        chain: ChainId,
        number: u64,
    },
    /// A step on the way of consecutive events.
    Step(StepRun),
    /// What was left in the mailbox of a recipient of my `chain`, in place of what was noted before.
    Mailed {
        conversation: ConversationId,
        chain: ChainId,
        recipient: IdentityKey,
        runs: Vec<MailedRun>,
    },
    /// A prekey of mine.
    Prekey(StoredPrekey),
    /// A prekey of mine is destroyed: nothing of it stays in the file.
    ForgetPrekey {
        number: u32,
    },
    Pin(Box<Pin>),
    /// Mail of somebody who is blocked, opened and not taken in.
    Hold(Box<HeldMail>),
    /// Held mail is taken in, or thrown away.
    ForgetHeld {
        number: u64,
    },
    /// New events of mine go into this chain from now on.
    Chain(ChainId),
    /// What a conversation holds is read: up to what stood there when an [`super::UnreadEvents`] was told, or all of
    /// it that is here by now.
    Read {
        conversation: ConversationId,
        up_to: Option<u64>,
    },
    /// My newest, for signing in while the registry is away.
    Certificate(Box<Signed<Certificate>>),
    /// Where somebody may be found, the best place first.
    Addresses {
        user: UserName,
        addresses: Vec<SocketAddr>,
    },
}

/// An event with what the log is searched by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub conversation: ConversationId,
    pub author: IdentityKey,
    pub chain: ChainId,
    pub number: u64,
    pub id: EventId,
    pub lamport: u64,
    pub at: UnixMillis,
    pub kind: u8,
    pub late: bool,
    pub wire: WireEvent,
}

/// Events of mine up to `number` were left in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailedRun {
    pub number: u64,
    pub at: UnixMillis,
}

/// A prekey of mine: with my keys, the salt makes its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPrekey {
    pub number: u32,
    pub at: UnixMillis,
    pub salt: MailSalt,
}

/// A name and the identity it was first seen with, or that was accepted for it since. Which key speaks for it is in the
/// credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub user: UserName,
    pub identity: IdentityKey,
    pub credentials: Credentials,
    /// Their safety number was compared with mine.
    pub verified: bool,
    /// When the key took another's place: what was said to that one before is not for this one.
    pub accepted: Option<UnixMillis>,
    /// Another key was shown since; the conversation is blocked.
    pub blocked_by: Option<Claimant>,
}

/// A key that a pinned name was shown with, against the pinned one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    pub identity: IdentityKey,
    /// What it came with; `None` in a log of an older program.
    pub credentials: Option<Box<Credentials>>,
}

impl Pin {
    /// What speaks for them now.
    pub fn key(&self) -> IdentityKey {
        key_of(&self.identity, Some(&self.credentials))
    }
}

impl Claimant {
    /// What they showed.
    pub fn key(&self) -> IdentityKey {
        key_of(&self.identity, self.credentials.as_deref())
    }
}

fn key_of(identity: &IdentityKey, credentials: Option<&Credentials>) -> IdentityKey {
    let claim = credentials.and_then(|credentials| credentials.statement.claim().ok());
    claim.filter(|claim| claim.identity == *identity).map_or(*identity, |claim| claim.key())
}

/// Mail of somebody who was blocked when it came: checked, and not shown before the user decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMail {
    /// Never used for another that is still held.
    pub number: u64,
    pub user: UserName,
    /// What spoke for whoever sent it.
    pub key: IdentityKey,
    /// When it came: its sender's credentials held then.
    pub at: UnixMillis,
    /// The opened item.
    pub content: Vec<u8>,
}

/// Everything the node needs of a log to go on: no event's text is among it.
#[derive(Debug)]
pub struct LoadedLog {
    /// The chain that new events of mine go into.
    pub chain: ChainId,
    /// It is not, or not any more, what was used here last: others may hold what it has lost.
    pub is_copy: bool,
    pub certificate: Option<Box<Signed<Certificate>>>,
    pub pins: Vec<Pin>,
    /// In the order in which it came.
    pub held: Vec<HeldMail>,
    pub addresses: Vec<(UserName, Vec<SocketAddr>)>,
    /// By number.
    pub prekeys: Vec<StoredPrekey>,
    pub conversations: Vec<LoadedConversation>,
    /// Messages that are not known to have been shown, in order of arrival, and what is about them.
    pub untold: Vec<StoredEvent>,
    pub untold_changes: Vec<StoredEvent>,
}

#[derive(Debug)]
pub struct LoadedConversation {
    pub id: ConversationId,
    /// Set in a conversation of two.
    pub with: Option<UserName>,
    /// Set in a room.
    pub room: Option<LoadedRoom>,
    /// The highest Lamport number in it.
    pub lamport: u64,
    /// In the order in which they were begun.
    pub own: Vec<OwnChain>,
    pub theirs: Vec<TheirChain>,
}

#[derive(Debug)]
pub struct LoadedRoom {
    pub genesis: Signed<Genesis>,
    pub joined: bool,
    pub entries: Vec<Signed<LogEntry>>,
    /// See [`Write::OtherEntry`].
    pub other: Option<Signed<LogEntry>>,
    /// Newest join and part of each member.
    pub members: Vec<(WireEvent, Option<WireEvent>)>,
}

#[derive(Debug)]
pub struct OwnChain {
    pub chain: ChainId,
    pub number: u64,
    pub last: EventId,
    pub acked: Vec<(IdentityKey, u64)>,
    /// What was left in whose mailbox, oldest first.
    pub mailed: Vec<(IdentityKey, Vec<MailedRun>)>,
    /// Events that not every recipient has acknowledged.
    pub pending: Vec<Pending>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub number: u64,
    pub id: EventId,
    pub recipients: Vec<IdentityKey>,
}

#[derive(Debug)]
pub struct TheirChain {
    pub author: IdentityKey,
    pub chain: ChainId,
    pub number: u64,
    /// `None` after a skip: the next event is tied by its signature alone.
    pub last: Option<EventId>,
    /// See [`Write::Borrowed`].
    pub borrowed_from: Option<u64>,
    /// Something in it was shown.
    pub is_told: bool,
}
