//! A disk that keeps what was committed and loses the rest in a crash; with the power of the machine it also loses
//! commits that need not survive that. It refuses what the real one refuses; an honest node gives it no reason to.

mod chain;
mod lookup;
mod rooms;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey, RoomId};
use common::message::event::{NO_EVENT, WireEvent};
use common::message::room::{Genesis, LogEntry};
use common::names::UserName;
use common::secure::certificate::Certificate;
use common::secure::sign::Signed;
use peer::ports::{
    DiskError, DiskJob, DiskReply, HeldMail, LoadedConversation, LoadedLog, LoadedRoom, Pin, StepRun, StoredEvent,
    StoredPrekey, Survives, TheirChain, Turns, Write,
};

use super::inquiries::{self, Copy};
use chain::Chain;

#[derive(Debug, Default)]
pub struct VirtualDisk {
    log: Option<Log>,
    /// What a machine without power keeps of the log, and the commits that it may lose, oldest first.
    safe: Option<Log>,
    exposed: VecDeque<Vec<Write>>,
    /// The log was open when the power went: the next one to open it begins another chain.
    is_open: bool,
    was_interrupted: bool,
    /// The log was replaced by a copy, and the next program to open it can tell.
    pub(super) is_copied: bool,
    waiting: VecDeque<DiskJob>,
    turns: Turns,
    copy: Copy,
}

/// What is on the disk.
#[derive(Debug, Clone)]
pub struct Log {
    user: UserName,
    chain: ChainId,
    certificate: Option<Box<Signed<Certificate>>>,
    addresses: BTreeMap<UserName, Vec<SocketAddr>>,
    pins: BTreeMap<UserName, Pin>,
    held: BTreeMap<u64, HeldMail>,
    prekeys: BTreeMap<u32, StoredPrekey>,
    conversations: BTreeMap<ConversationId, Kept>,
    /// Of all conversations, in the order they were written.
    order: Vec<(ConversationId, IdentityKey, ChainId, u64)>,
    /// Up to where in that order each conversation was read.
    read: BTreeMap<ConversationId, u64>,
    steps: Vec<StepRun>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    with: Option<UserName>,
    room: Option<KeptRoom>,
    chains: BTreeMap<(IdentityKey, ChainId), Chain>,
}

#[derive(Debug, Clone)]
struct KeptRoom {
    genesis: Signed<Genesis>,
    joined: bool,
    entries: BTreeMap<u32, Signed<LogEntry>>,
    other: Option<Signed<LogEntry>>,
    members: BTreeMap<IdentityKey, (WireEvent, Option<WireEvent>)>,
}

/// A write that the log does not take: the node's fault.
pub(super) type Refused = String;

impl VirtualDisk {
    pub(super) fn take(&mut self, job: DiskJob) {
        self.waiting.push_back(job);
    }

    /// Does the oldest job. `None`: it needs no answer.
    pub(super) fn advance(&mut self) -> Result<Option<DiskReply>, Refused> {
        match self.waiting.pop_front() {
            Some(job) => self.perform(job),
            None => Ok(None),
        }
    }

    /// The oldest job fails, if it is one that can.
    pub(super) fn fail(&mut self) -> Result<Option<DiskReply>, Refused> {
        let full = || DiskError { text: "No space left on device".to_owned() };
        let (ticket, error) = match self.waiting.front() {
            Some(DiskJob::Commit { ticket, .. }) => {
                (*ticket, self.turns.take(*ticket, || Err(full())).expect_err("it fails"))
            }
            Some(DiskJob::ReadChain { ticket, .. }) => (*ticket, full()),
            _ => return self.advance(),
        };
        self.waiting.pop_front();
        Ok(Some(DiskReply::Failed { ticket: Some(ticket), error }))
    }

    /// The program stops: `survivors` of the waiting jobs were done, their answers and the rest are lost.
    pub(super) fn crash(&mut self, survivors: usize) -> Result<(), Refused> {
        for job in std::mem::take(&mut self.waiting).into_iter().take(survivors) {
            self.perform(job)?;
        }
        Ok(())
    }

    /// The machine stops, after the program: all but `survivors` of the exposed commits are lost.
    pub(super) fn lose_power(&mut self, survivors: usize) -> Result<(), Refused> {
        for writes in std::mem::take(&mut self.exposed).into_iter().take(survivors) {
            self.safe.as_mut().ok_or("a commit to a log that is not open")?.write_all(writes)?;
        }
        self.log.clone_from(&self.safe);
        self.was_interrupted |= self.is_open;
        Ok(())
    }

    /// Commits that only the program's end leaves alone.
    pub(super) fn exposed(&self) -> usize {
        self.exposed.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A copy of what is on the disk.
    pub(super) fn copy(&self) -> Option<Log> {
        self.log.clone()
    }

    /// Puts a copy back in place of what is there.
    pub(super) fn put_back(&mut self, copy: Option<Log>) {
        *self = Self { log: copy.clone(), safe: copy, ..Self::default() };
    }

    /// Everything is lost, as on a new machine.
    pub(super) fn wipe(&mut self) {
        *self = Self::default();
    }

    /// Whether an event is safely here, and everything before it in its chain as well.
    pub fn holds(&self, id: &EventId) -> bool {
        self.log.as_ref().is_some_and(|log| log.holds(id))
    }

    /// The same for a machine that stops now.
    pub fn secures(&self, id: &EventId) -> bool {
        self.safe.as_ref().is_some_and(|log| log.holds(id))
    }

    /// Whether an event is here and marked as shown.
    pub(super) fn is_marked(&self, id: &EventId) -> bool {
        let marked = |chain: &Chain| chain.events.range(..=chain.told).any(|(_, event)| event.id == *id);
        self.chains().any(|(_, chain)| marked(chain))
    }

    /// Texts of mine that `recipient` did not acknowledge, by conversation.
    pub(super) fn unacknowledged(&self, recipient: &IdentityKey) -> Vec<(ConversationId, u64, EventId)> {
        let mut missing = Vec::new();
        for (id, chain) in self.chains().filter(|(_, chain)| chain.own) {
            let acked = chain.acked.get(recipient).copied().unwrap_or(0);
            let lacks = chain.recipients.range(acked + 1..).filter(|(_, whom)| whom.contains(recipient));
            missing.extend(lacks.map(|(number, _)| (id, *number, chain.events[number].id)));
        }
        missing
    }

    /// Whether an account that the registry has lost can be had back with what is here.
    pub(super) fn has_certificate(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.certificate.is_some())
    }

    /// Numbers of the prekeys that are not destroyed.
    pub fn prekeys(&self) -> Vec<u32> {
        self.log.iter().flat_map(|log| log.prekeys.keys().copied()).collect()
    }

    /// My own events of a conversation, oldest first.
    pub(super) fn own_events(&self, id: &ConversationId) -> Vec<&StoredEvent> {
        let kept = self.log.as_ref().and_then(|log| log.conversations.get(id));
        let own = kept.into_iter().flat_map(|kept| kept.chains.values()).filter(|chain| chain.own);
        own.flat_map(|chain| chain.events.values()).collect()
    }

    /// Every event of a conversation that is here without a hole before it, by its place.
    pub(super) fn events_of(&self, id: &ConversationId) -> BTreeMap<(IdentityKey, ChainId, u64), EventId> {
        let kept = self.log.as_ref().and_then(|log| log.conversations.get(id));
        let chains = kept.into_iter().flat_map(|kept| &kept.chains);
        let events = chains.flat_map(|((author, chain), known)| {
            let held = known.events.range(..=known.number);
            held.map(|(number, event)| ((*author, *chain, *number), event.id))
        });
        events.collect()
    }

    /// Every event that is here.
    pub(super) fn ids(&self) -> impl Iterator<Item = EventId> {
        self.chains().flat_map(|(_, chain)| chain.events.values().map(|event| event.id))
    }

    fn chains(&self) -> impl Iterator<Item = (ConversationId, &Chain)> {
        let conversations = self.log.iter().flat_map(|log| &log.conversations);
        conversations.flat_map(|(id, kept)| kept.chains.values().map(|chain| (*id, chain)))
    }

    fn perform(&mut self, job: DiskJob) -> Result<Option<DiskReply>, Refused> {
        Ok(Some(match job {
            DiskJob::PinRealm { .. } => return Ok(None),
            DiskJob::Close => {
                self.secure()?;
                self.turns = Turns::default();
                self.is_open = false;
                DiskReply::Closed
            }
            DiskJob::Open { user, fresh_chain, .. } => {
                self.turns = Turns::default();
                let fresh = Log::fresh(user, fresh_chain);
                self.safe.get_or_insert_with(|| fresh.clone());
                self.is_open = true;
                let is_copy = std::mem::take(&mut self.is_copied) && self.log.is_some();
                if std::mem::take(&mut self.was_interrupted) || is_copy {
                    self.exposed.push_back(vec![Write::Chain(fresh_chain)]);
                    self.log.iter_mut().for_each(|log| log.chain = fresh_chain);
                    self.secure()?;
                }
                let loaded = self.log.get_or_insert(fresh).load();
                DiskReply::Opened(Box::new(LoadedLog { is_copy, ..loaded }))
            }
            DiskJob::Commit { ticket, writes, survives } => {
                if let Err(error) = self.turns.take(ticket, || Ok(())) {
                    return Ok(Some(DiskReply::Failed { ticket: Some(ticket), error }));
                }
                let writes = Arc::unwrap_or_clone(writes);
                let log = self.log.as_mut().ok_or("a commit to a log that is not open")?;
                log.write_all(writes.clone())?;
                self.exposed.push_back(writes);
                if survives == Survives::Machine {
                    self.secure()?;
                }
                DiskReply::Committed { ticket }
            }
            DiskJob::ReadChain { ticket, conversation, author, chain, from, bytes_max, not_before } => {
                let kept = self.log.as_ref().and_then(|log| log.conversations.get(&conversation));
                let chain = kept.and_then(|kept| kept.chains.get(&(author, chain)));
                let not_before = not_before.unwrap_or_default();
                let events = chain.map(|chain| chain.read(from, bytes_max, not_before)).unwrap_or_default();
                DiskReply::ChainRead { ticket, events }
            }
            DiskJob::Inquire { ticket, inquiry } => {
                let log = self.log.as_ref().ok_or("an inquiry into a log that is not open")?;
                DiskReply::Answered { ticket, answer: inquiries::answer(log, &log.user, &mut self.copy, inquiry) }
            }
            DiskJob::ReadHistory { ticket, conversation, count, since } => {
                let log = self.log.as_ref().ok_or("a history of a log that is not open")?;
                let events = log.newest(&conversation, count, since.unwrap_or_default());
                DiskReply::HistoryRead { ticket, changes: log.about(&events), events }
            }
            DiskJob::ReadEvents { ticket, wanted } => {
                let log = self.log.as_ref().ok_or("an event of a log that is not open")?;
                let events = log.wanted(&wanted);
                DiskReply::EventsRead { ticket, changes: log.about(&events), events }
            }
            DiskJob::ReadSteps { ticket, conversation, author, chain, number } => {
                let log = self.log.as_ref().ok_or("steps of a log that is not open")?;
                let recipients = log.recipients(&conversation, &(author, chain), number);
                let took = |run: &&StepRun| {
                    (run.conversation, run.author, run.chain) == (conversation, author, chain)
                        && (run.first..=run.last).contains(&number)
                };
                DiskReply::StepsRead { ticket, recipients, steps: log.steps.iter().filter(took).cloned().collect() }
            }
        }))
    }
}

impl VirtualDisk {
    /// Everything committed is safe from now on.
    fn secure(&mut self) -> Result<(), Refused> {
        let Some(safe) = &mut self.safe else { return Ok(()) };
        self.exposed.drain(..).try_for_each(|writes| safe.write_all(writes))
    }
}

impl Log {
    fn write_all(&mut self, writes: Vec<Write>) -> Result<(), Refused> {
        writes.into_iter().try_for_each(|write| self.write(write))
    }

    fn fresh(user: UserName, chain: ChainId) -> Self {
        let (addresses, pins, held, prekeys, conversations) = Default::default();
        let (order, read, steps) = Default::default();
        Self { user, chain, certificate: None, addresses, pins, held, prekeys, conversations, order, read, steps }
    }

    fn write(&mut self, write: Write) -> Result<(), Refused> {
        match write {
            Write::Conversation { id, with } => {
                self.conversations.entry(id).or_default().with.get_or_insert(with);
            }
            Write::Room { .. } | Write::Entry { .. } | Write::OtherEntry { .. } | Write::Member { .. } => {
                self.write_room(write)?;
            }
            Write::Event { event, recipients } => {
                let place = (event.conversation, event.author, event.chain, event.number);
                if self.conversation(event.conversation)?.append(*event, recipients)? {
                    self.order.push(place);
                }
            }
            Write::Skip { conversation, author, chain, number } => {
                let chain = self.conversation(conversation)?.chains.entry((author, chain)).or_default();
                if chain.own {
                    return Err("a skip of one's own events".to_owned());
                }
                if number > chain.number {
                    chain.hold(number, None);
                }
            }
            Write::Borrowed { conversation, author, chain, from } => {
                let chain = self.conversation(conversation)?.chains.entry((author, chain)).or_default();
                if let Some(before) = from.map(|from| from - 1).filter(|before| *before > chain.number) {
                    chain.hold(before, None);
                }
                chain.borrowed_from = from;
            }
            Write::Acked { conversation, chain, recipient, number } => {
                let own = self.own_chain(conversation, chain)?;
                let acked = own.acked.entry(recipient).or_default();
                *acked = number.min(own.number).max(*acked);
            }
            Write::Told { conversation, author, chain, number } => {
                let known = self.conversation(conversation)?.chains.get_mut(&(author, chain));
                let chain = known.ok_or("a mark in a chain that is not here")?;
                chain.told = chain.told.max(number);
            }
            Write::Step(run) => self.note(run),
            Write::Mailed { conversation, chain, recipient, runs } => {
                self.own_chain(conversation, chain)?.mailed.insert(recipient, runs);
            }
            other => self.write_of_account(other),
        }
        Ok(())
    }

    /// What belongs to no conversation.
    fn write_of_account(&mut self, write: Write) {
        match write {
            Write::Prekey(prekey) => {
                self.prekeys.entry(prekey.number).or_insert(prekey);
            }
            Write::ForgetPrekey { number } => {
                self.prekeys.remove(&number);
            }
            Write::Pin(pin) => {
                self.pins.insert(pin.user.clone(), *pin);
            }
            Write::Hold(held) => {
                self.held.insert(held.number, *held);
            }
            Write::ForgetHeld { number } => {
                self.held.remove(&number);
            }
            Write::Chain(chain) => self.chain = chain,
            Write::Read { conversation, up_to } => self.note_read(conversation, up_to),
            Write::Certificate(certificate) => self.certificate = Some(certificate),
            Write::Addresses { user, addresses } => {
                self.addresses.insert(user, addresses);
            }
            _ => unreachable!("what belongs to a conversation is written above"),
        }
    }

    fn holds(&self, id: &EventId) -> bool {
        let held = |chain: &Chain| chain.events.range(..=chain.number).any(|(_, event)| event.id == *id);
        self.conversations.values().flat_map(|kept| kept.chains.values()).any(held)
    }

    fn conversation(&mut self, id: ConversationId) -> Result<&mut Kept, Refused> {
        self.conversations.get_mut(&id).ok_or_else(|| format!("the log does not know the conversation {id:?}"))
    }

    fn own_chain(&mut self, conversation: ConversationId, chain: ChainId) -> Result<&mut Chain, Refused> {
        let mut chains = self.conversation(conversation)?.chains.iter_mut();
        let own = chains.find(|((_, id), own)| *id == chain && own.own);
        own.map(|(_, own)| own).ok_or_else(|| format!("{chain:?} is no chain of mine"))
    }

    fn room(&mut self, id: RoomId) -> Result<&mut KeptRoom, Refused> {
        self.conversation(id.into())?.room.as_mut().ok_or_else(|| format!("the log does not know the room {id:?}"))
    }

    fn load(&self) -> LoadedLog {
        let mut conversations: Vec<_> = self.conversations.iter().map(|(id, kept)| kept.load(*id)).collect();
        for loaded in &mut conversations {
            // As they were used.
            let first = |own: &ChainId| self.order.iter().position(|(id, _, of, _)| (id, of) == (&loaded.id, own));
            loaded.own.sort_by_cached_key(|own| first(&own.chain));
        }
        let addresses = self.addresses.iter().map(|(user, addresses)| (user.clone(), addresses.clone())).collect();
        let (certificate, pins) = (self.certificate.clone(), self.pins.values().cloned().collect());
        let prekeys = self.prekeys.values().cloned().collect();
        let held = self.held.values().cloned().collect();
        let untold = self.untold();
        let untold_changes = self.about(&untold);
        let (chain, is_copy) = (self.chain, false);
        LoadedLog { chain, is_copy, certificate, pins, held, addresses, prekeys, conversations, untold, untold_changes }
    }
}

impl Kept {
    /// Whether it was not there yet.
    fn append(&mut self, event: StoredEvent, recipients: Option<Vec<IdentityKey>>) -> Result<bool, Refused> {
        let key = (event.author, event.chain);
        let own = recipients.is_some();
        let fresh = || Chain { own, ..Chain::default() };
        let chain = self.chains.entry(key).or_insert_with(fresh);
        let number = event.number;
        if number == 0 || chain.own != own {
            return Err(format!("event {number} does not belong into its chain"));
        }
        if own && number > chain.number + 1 {
            return Err(format!("event {number} of my own without the one before it"));
        }
        if let Some(known) = chain.events.get(&number) {
            let same = known.id == event.id;
            return if same { Ok(false) } else { Err(format!("two different events of number {number}")) };
        }
        if chain.events.last_key_value().is_some_and(|(last, _)| *last > number) {
            return Err(format!("event {number} behind a later one of its chain"));
        }
        if let Some(recipients) = recipients.filter(|recipients| !recipients.is_empty()) {
            chain.recipients.insert(number, recipients);
        }
        chain.lamport = chain.lamport.max(event.lamport);
        let id = event.id;
        chain.events.insert(number, event);
        if number == chain.number + 1 {
            chain.hold(number, Some(id));
        }
        Ok(true)
    }

    fn load(&self, id: ConversationId) -> LoadedConversation {
        let mut loaded = LoadedConversation {
            id,
            with: self.with.clone(),
            room: self.room.as_ref().map(KeptRoom::load),
            lamport: self.chains.values().map(|chain| chain.lamport).max().unwrap_or(0),
            own: Vec::new(),
            theirs: Vec::new(),
        };
        for ((author, id), chain) in &self.chains {
            if chain.own {
                loaded.own.push(chain.load_own(*id));
            } else {
                let last = if chain.number == 0 { Some(NO_EVENT) } else { chain.last };
                let (number, borrowed_from, is_told) = (chain.number, chain.borrowed_from, chain.told > 0);
                loaded.theirs.push(TheirChain { author: *author, chain: *id, number, last, borrowed_from, is_told });
            }
        }
        loaded
    }
}

impl KeptRoom {
    fn load(&self) -> LoadedRoom {
        LoadedRoom {
            genesis: self.genesis.clone(),
            joined: self.joined,
            entries: self.entries.values().cloned().collect(),
            other: self.other.clone(),
            members: self.members.values().cloned().collect(),
        }
    }
}
