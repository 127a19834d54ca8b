//! A disk that keeps what was committed and loses the rest in a crash. It refuses what the real one refuses; an honest
//! node gives it no reason to.

use std::collections::{BTreeMap, VecDeque};

use common::ids::{ChainId, ConversationId, EventId, IdentityKey, RoomId};
use common::message::event::{NO_EVENT, WireEvent};
use common::message::room::{Genesis, LogEntry};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;
use peer::ports::{
    DiskJob, DiskReply, LoadedConversation, LoadedLog, LoadedRoom, OwnChain, Pending, Pin, StoredEvent, TheirChain,
    Write,
};

use super::inquiries::{self, Copy};

#[derive(Debug, Default)]
pub struct VirtualDisk {
    log: Option<Log>,
    waiting: VecDeque<DiskJob>,
    /// A job failed before: what followed it may be refused for that.
    has_failed: bool,
    copy: Copy,
}

/// What is on the disk.
#[derive(Debug, Clone)]
pub struct Log {
    user: UserName,
    chain: ChainId,
    pins: BTreeMap<UserName, Pin>,
    conversations: BTreeMap<ConversationId, Kept>,
    /// Of all conversations, in the order they were written.
    order: Vec<(ConversationId, IdentityKey, ChainId, u64)>,
    /// Up to where in that order each conversation was read.
    read: BTreeMap<ConversationId, u64>,
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
    members: BTreeMap<IdentityKey, (WireEvent, Option<WireEvent>)>,
}

#[derive(Debug, Clone, Default)]
struct Chain {
    own: bool,
    /// Held without holes up to here, and what is there.
    number: u64,
    last: Option<EventId>,
    lamport: u64,
    events: BTreeMap<u64, StoredEvent>,
    recipients: BTreeMap<u64, Vec<IdentityKey>>,
    acked: BTreeMap<IdentityKey, u64>,
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
        match self.waiting.front() {
            Some(DiskJob::Commit { ticket, .. } | DiskJob::ReadChain { ticket, .. }) => {
                let ticket = *ticket;
                self.waiting.pop_front();
                self.has_failed = true;
                Ok(Some(failed(ticket, "No space left on device".to_owned())))
            }
            _ => self.advance(),
        }
    }

    /// The machine stops: `survivors` of the waiting jobs were done, their answers and the rest are lost.
    pub(super) fn crash(&mut self, survivors: usize) -> Result<(), Refused> {
        for job in std::mem::take(&mut self.waiting).into_iter().take(survivors) {
            self.perform(job)?;
        }
        Ok(())
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
        *self = Self { log: copy, ..Self::default() };
    }

    /// Everything is lost, as on a new machine.
    pub(super) fn wipe(&mut self) {
        *self = Self::default();
    }

    /// Whether an event is safely here, and everything before it in its chain as well.
    pub fn holds(&self, id: &EventId) -> bool {
        let held = |chain: &Chain| chain.events.range(..=chain.number).any(|(_, event)| event.id == *id);
        self.chains().any(|(_, chain)| held(chain))
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

    /// Whether somebody is or was a member of a room, by what is here.
    pub(super) fn knows_member(&self, name: &RoomName, identity: &IdentityKey) -> bool {
        let kept = self.log.iter().flat_map(|log| log.conversations.values()).filter_map(|kept| kept.room.as_ref());
        let is_it = |room: &&KeptRoom| room.genesis.claim().is_ok_and(|genesis| genesis.name == *name);
        kept.filter(is_it).any(|room| room.members.contains_key(identity))
    }

    /// My own events of a conversation, oldest first.
    pub(super) fn own_events(&self, id: &ConversationId) -> Vec<&StoredEvent> {
        let kept = self.log.as_ref().and_then(|log| log.conversations.get(id));
        let own = kept.into_iter().flat_map(|kept| kept.chains.values()).filter(|chain| chain.own);
        own.flat_map(|chain| chain.events.values()).collect()
    }

    fn chains(&self) -> impl Iterator<Item = (ConversationId, &Chain)> {
        let conversations = self.log.iter().flat_map(|log| &log.conversations);
        conversations.flat_map(|(id, kept)| kept.chains.values().map(|chain| (*id, chain)))
    }

    fn perform(&mut self, job: DiskJob) -> Result<Option<DiskReply>, Refused> {
        Ok(Some(match job {
            DiskJob::PinRealm { .. } => return Ok(None),
            DiskJob::Close => DiskReply::Closed,
            DiskJob::Open { user, fresh_chain, .. } => {
                let fresh = Log {
                    user,
                    chain: fresh_chain,
                    pins: BTreeMap::new(),
                    conversations: BTreeMap::new(),
                    order: Vec::new(),
                    read: BTreeMap::new(),
                };
                DiskReply::Opened(Box::new(self.log.get_or_insert(fresh).load()))
            }
            DiskJob::Commit { ticket, writes } => {
                let log = self.log.as_mut().ok_or("a commit to a log that is not open")?;
                let before = self.has_failed.then(|| log.clone());
                match (writes.into_iter().try_for_each(|write| log.write(write)), before) {
                    (Ok(()), _) => DiskReply::Committed { ticket },
                    (Err(refused), Some(before)) => {
                        *log = before;
                        failed(ticket, refused)
                    }
                    (Err(refused), None) => return Err(refused),
                }
            }
            DiskJob::ReadChain { ticket, conversation, author, chain, from, bytes_max, not_before } => {
                let kept = self.log.as_ref().and_then(|log| log.conversations.get(&conversation));
                let chain = kept.and_then(|kept| kept.chains.get(&(author, chain)));
                let not_before = not_before.unwrap_or_default();
                let events = chain.map(|chain| chain.read(from, bytes_max, not_before)).unwrap_or_default();
                DiskReply::ChainRead { ticket, events }
            }
            DiskJob::ReadHistory { ticket, conversation, count } => {
                let newest = self.log.as_ref().map(|log| log.newest(&conversation, count));
                DiskReply::HistoryRead { ticket, events: newest.unwrap_or_default() }
            }
            DiskJob::Inquire { ticket, inquiry } => {
                let log = self.log.as_ref().ok_or("an inquiry into a log that is not open")?;
                DiskReply::Answered { ticket, answer: inquiries::answer(log, &log.user, &mut self.copy, inquiry) }
            }
        }))
    }
}

fn failed(ticket: u64, text: String) -> DiskReply {
    DiskReply::Failed { ticket: Some(ticket), error: peer::ports::DiskError { text } }
}

impl Log {
    fn write(&mut self, write: Write) -> Result<(), Refused> {
        match write {
            Write::Conversation { id, with } => {
                self.conversations.entry(id).or_default().with.get_or_insert(with);
            }
            Write::Room { room, genesis, joined } => {
                let fresh = || KeptRoom { genesis, joined, entries: BTreeMap::new(), members: BTreeMap::new() };
                self.conversations.entry(room.into()).or_default().room.get_or_insert_with(fresh).joined = joined;
            }
            Write::Entry { room, index, entry } => {
                let known = self.room(room)?.entries.entry(index).or_insert_with(|| entry.clone());
                if *known != entry {
                    return Err(format!("two entries of number {index}"));
                }
            }
            Write::Member { room, identity, join, part } => {
                self.room(room)?.members.insert(identity, (join, part));
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
            Write::Acked { conversation, chain, recipient, number } => {
                let mut chains = self.conversation(conversation)?.chains.iter_mut();
                let own = chains.find(|((_, id), own)| *id == chain && own.own);
                let (_, own) = own.ok_or("an acknowledgement of a chain that is not mine")?;
                let acked = own.acked.entry(recipient).or_default();
                *acked = number.min(own.number).max(*acked);
            }
            Write::Pin(pin) => {
                self.pins.insert(pin.user.clone(), *pin);
            }
            Write::Chain(chain) => self.chain = chain,
            Write::Read { conversation, up_to } => {
                let all = self.order.len() as u64;
                let read = self.read.entry(conversation).or_default();
                *read = up_to.unwrap_or(all).max(*read);
            }
        }
        Ok(())
    }

    fn conversation(&mut self, id: ConversationId) -> Result<&mut Kept, Refused> {
        self.conversations.get_mut(&id).ok_or_else(|| format!("the log does not know the conversation {id:?}"))
    }

    fn room(&mut self, id: RoomId) -> Result<&mut KeptRoom, Refused> {
        self.conversation(id.into())?.room.as_mut().ok_or_else(|| format!("the log does not know the room {id:?}"))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConversationId> {
        self.conversations.keys().copied()
    }

    /// Texts and actions of one conversation or all, in the order they were written.
    pub(super) fn shown(&self, conversation: Option<&ConversationId>) -> impl Iterator<Item = &StoredEvent> {
        self.places(conversation).map(|(_, _, event)| event)
    }

    /// What others wrote in a conversation and was not read, and where the last of it stands.
    pub(super) fn unread(&self, conversation: &ConversationId) -> (Vec<&StoredEvent>, u64) {
        let read = self.read.get(conversation).copied().unwrap_or(0);
        let unread: Vec<_> = self.places(Some(conversation)).filter(|(place, own, _)| !own && *place > read).collect();
        let up_to = unread.last().map_or(read, |(place, ..)| *place);
        (unread.into_iter().map(|(.., event)| event).collect(), up_to)
    }

    fn newest(&self, conversation: &ConversationId, count: u32) -> Vec<StoredEvent> {
        let events: Vec<_> = self.shown(Some(conversation)).collect();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        events[events.len().saturating_sub(count)..].iter().map(|event| (*event).clone()).collect()
    }

    /// With its place from 1 and whether it is my own.
    fn places(&self, wanted: Option<&ConversationId>) -> impl Iterator<Item = (u64, bool, &StoredEvent)> {
        let all = (1..).zip(&self.order).filter(move |(_, (id, ..))| wanted.is_none_or(|wanted| wanted == id));
        let events = all.map(|(place, (id, author, chain, number))| {
            let chain = &self.conversations[id].chains[&(*author, *chain)];
            (place, chain.own, &chain.events[number])
        });
        events.filter(|(.., event)| inquiries::is_shown(event))
    }

    fn load(&self) -> LoadedLog {
        let conversations = self.conversations.iter().map(|(id, kept)| kept.load(*id)).collect();
        LoadedLog { chain: self.chain, pins: self.pins.values().cloned().collect(), conversations }
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
                loaded.theirs.push(TheirChain { author: *author, chain: *id, number: chain.number, last });
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
            members: self.members.values().cloned().collect(),
        }
    }
}

impl Chain {
    /// Held up to `number`; what came after it already is held as well.
    fn hold(&mut self, number: u64, last: Option<EventId>) {
        (self.number, self.last) = (number, last);
        while let Some(next) = self.events.get(&(self.number + 1)) {
            (self.number, self.last) = (next.number, Some(next.id));
        }
    }

    fn read(&self, from: u64, bytes_max: usize, not_before: common::time::UnixMillis) -> Vec<StoredEvent> {
        let mut found = self.events.range(from..).map(|(_, event)| event).skip_while(|event| event.at < not_before);
        let Some(first) = found.next() else { return Vec::new() };
        let (mut events, mut bytes) = (vec![first.clone()], first.wire.bytes.len());
        for event in found {
            bytes += event.wire.bytes.len();
            if bytes > bytes_max || events.last().is_some_and(|before| before.number + 1 != event.number) {
                break;
            }
            events.push(event.clone());
        }
        events
    }

    fn load_own(&self, chain: ChainId) -> OwnChain {
        let acked = |recipient: &IdentityKey| self.acked.get(recipient).copied().unwrap_or(0);
        let waits = |(number, recipients): &(&u64, &Vec<IdentityKey>)| {
            recipients.iter().any(|recipient| acked(recipient) < **number)
        };
        let pending = self.recipients.iter().filter(waits).map(|(number, recipients)| Pending {
            number: *number,
            id: self.events[number].id,
            recipients: recipients.clone(),
        });
        OwnChain {
            chain,
            number: self.number,
            last: self.last.expect("a chain of mine has no hole"),
            acked: self.acked.iter().map(|(recipient, number)| (*recipient, *number)).collect(),
            pending: pending.collect(),
        }
    }
}
