//! One conversation: the chains that make it up, and for each of my own events who still lacks it.
//! Pure bookkeeping; what follows from it is decided elsewhere in the node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::ids::{ChainId, ConversationId, EntryId, EventId, IdentityKey, RoomId, Signature};
use common::limits::{MEMBERS_MAX, PARENTS_MAX};
use common::message::event::{Event as ChainEvent, NO_EVENT, Parent, Stamp, WireEvent};
use common::message::moderation::Moderation;
use common::message::room::{Genesis, LogEntry, Membership, check_join};
use common::names::UserName;
use common::secure::identity::DeviceStatement;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::List;

use super::held::Held;
use crate::api::Target;
use crate::ports::{MailedRun, StoredEvent};

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    pub(super) kind: Kind,
    /// The highest Lamport number seen in it.
    pub(super) lamport: u64,
    /// Of two: the other has had their present key since then. What was said before is not for whoever holds it, but
    /// for what still waited.
    pub(super) key_since: Option<UnixMillis>,
    pub(super) own: BTreeMap<ChainId, OwnLog>,
    pub(super) theirs: BTreeMap<ChainKey, Held>,
    /// Chains of others in which something waits for what it answers.
    pub(super) held_back: BTreeSet<ChainKey>,
    /// The newest events of others that none seen since names, by chain: number and Lamport number.
    tips: BTreeMap<ChainKey, (u64, u64)>,
}

/// Whose, and which of theirs.
pub(super) type ChainKey = (IdentityKey, ChainId);

#[derive(Debug)]
pub(super) enum Kind {
    Direct { with: UserName },
    Room(Box<Room>),
}

/// One chain of mine.
#[derive(Debug)]
pub(super) struct OwnLog {
    /// How many there were before it.
    order: usize,
    /// Numbers given out; those above `committed` are on their way to the disk.
    pub(super) number: u64,
    pub(super) committed: u64,
    pub(super) last: EventId,
    pub(super) acked: BTreeMap<IdentityKey, u64>,
    pub(super) pending: BTreeMap<u64, PendingEvent>,
    /// From here on the numbers may mean something else to others: nobody is sent them.
    pub(super) withdrawn_from: Option<u64>,
    /// What an earlier run of the program had written.
    pub(super) before: u64,
    /// Told to be waiting up to this number, per recipient.
    pub(super) told_queued: BTreeMap<IdentityKey, u64>,
    /// What was left in mailboxes, up to which number and when, oldest first; those acknowledged count no more.
    pub(super) mailed: BTreeMap<IdentityKey, Vec<MailedRun>>,
    recent: VecDeque<Recent>,
    recent_bytes: usize,
}

/// A text of mine that not everybody has.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) id: EventId,
    pub(super) recipients: Vec<IdentityKey>,
}

/// An event kept at hand for links that follow closely; others are read from the disk.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    pub(super) number: u64,
    pub(super) id: EventId,
    pub(super) at: UnixMillis,
    pub(super) wire: WireEvent,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) genesis: Genesis,
    pub(super) signed: Signed<Genesis>,
    pub(super) joined: bool,
    pub(super) entries: Vec<Signed<LogEntry>>,
    /// What they amount to.
    pub(super) moderation: Moderation,
    pub(super) members: BTreeMap<IdentityKey, Member>,
    /// Another entry of a number that is taken, signed by the owner as well: the room is frozen.
    pub(super) other: Option<Signed<LogEntry>>,
    /// Counts what changes who belongs to it.
    pub(super) version: u64,
    /// Joins that name entries which are not here yet, by whom they claim to be of.
    early: BTreeMap<IdentityKey, WireEvent>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: UserName,
    /// In it is what their events here are signed with.
    pub(super) statement: DeviceStatement,
    pub(super) join: WireEvent,
    pub(super) joined: Stamp,
    /// Entries of the owner's log that the join names, and those at the time of its invitation if it needs one.
    head: u32,
    invited: Option<u32>,
    /// The owner's log has not ended it.
    pub(super) is_admitted: bool,
    pub(super) part: Option<(Stamp, WireEvent)>,
    /// Their name belongs to another key, by what is known here: nothing is sent to them and nothing told of them.
    pub(super) stands_aside: bool,
}

impl Conversation {
    pub(super) fn direct(id: ConversationId, with: UserName) -> Self {
        Self::new(id, Kind::Direct { with })
    }

    pub(super) fn new(id: ConversationId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            lamport: 0,
            key_since: None,
            own: BTreeMap::new(),
            theirs: BTreeMap::new(),
            held_back: BTreeSet::new(),
            tips: BTreeMap::new(),
        }
    }

    /// An event of somebody else is taken in: what it names need not be named by mine any more.
    pub(super) fn seen(&mut self, event: &ChainEvent) {
        self.lamport = self.lamport.max(event.lamport);
        for parent in event.parents.iter() {
            let key = (parent.author, parent.chain);
            if self.tips.get(&key).is_some_and(|(number, _)| *number <= parent.number) {
                self.tips.remove(&key);
            }
        }
        self.tips.insert((event.author, event.chain), (event.number, event.lamport));
    }

    /// What my next event, in `chain`, names as seen: the latest of what nobody has named. The first of a chain names
    /// where those before it end, so that one's lines keep their order across them.
    pub(super) fn take_parents(&mut self, me: IdentityKey, chain: ChainId) -> List<Parent, PARENTS_MAX> {
        let mut tips: Vec<_> = std::mem::take(&mut self.tips).into_iter().collect();
        tips.sort_unstable_by_key(|(key, (_, lamport))| (std::cmp::Reverse(*lamport), *key));
        let seen = tips.into_iter().map(|((author, chain), (number, _))| Parent { author, chain, number });
        let begins = self.own.get(&chain).is_none_or(|log| log.number == 0);
        let before = self.own.iter().filter(|(other, log)| begins && **other != chain && log.sendable() > 0);
        let own = before.map(|(chain, log)| Parent { author: me, chain: *chain, number: log.sendable() });
        List::cut(own.take(PARENTS_MAX / 2).chain(seen).collect())
    }

    /// One chain of mine, begun now if it is new.
    pub(super) fn own_log(&mut self, chain: ChainId) -> &mut OwnLog {
        let order = self.own.len();
        self.own.entry(chain).or_insert_with(|| OwnLog::new(order))
    }

    /// My chains, what was said first coming first; the one in use comes last.
    pub(super) fn own_in_order(&self, in_use: &ChainId) -> Vec<ChainId> {
        let mut chains: Vec<_> = self.own.iter().map(|(chain, log)| (chain == in_use, log.order, *chain)).collect();
        chains.sort_unstable();
        chains.into_iter().map(|(_, _, chain)| chain).collect()
    }

    /// How many chains of somebody are known.
    pub(super) fn chains_of(&self, author: &IdentityKey) -> usize {
        let first = ChainId([0; ChainId::LENGTH]);
        self.theirs.range((*author, first)..).take_while(|((by, _), _)| by == author).count()
    }

    /// Whether an event that another names is here, or cannot be told to be missing.
    pub(super) fn has_parent(&self, parent: &Parent, me: &IdentityKey) -> bool {
        let held = self.theirs.get(&(parent.author, parent.chain));
        parent.author == *me || held.is_some_and(|held| held.received >= parent.number)
    }

    pub(super) fn target(&self) -> Target {
        match &self.kind {
            Kind::Direct { with } => Target::Person(with.clone()),
            Kind::Room(room) => Target::Room(room.genesis.name.clone()),
        }
    }

    pub(super) fn room(&self) -> Option<&Room> {
        match &self.kind {
            Kind::Room(room) => Some(room),
            Kind::Direct { .. } => None,
        }
    }

    pub(super) fn room_mut(&mut self) -> Option<&mut Room> {
        match &mut self.kind {
            Kind::Room(room) => Some(room),
            Kind::Direct { .. } => None,
        }
    }

    /// Entries of the owner's log known here; 0 in a conversation of two.
    pub(super) fn head(&self) -> u32 {
        self.room().map_or(0, Room::head)
    }

    /// The last of them.
    pub(super) fn last_entry(&self) -> Option<EntryId> {
        self.room().filter(|room| !room.entries.is_empty()).map(|room| room.moderation.last())
    }

    /// How far a chain can count.
    pub(super) fn limit(&self, key: &ChainKey) -> u64 {
        self.room().map_or(u64::MAX, |room| room.limit(key))
    }

    /// Nobody waits any more for what somebody did not get.
    pub(super) fn forget_recipient(&mut self, identity: &IdentityKey) {
        for log in self.own.values_mut() {
            for pending in log.pending.values_mut() {
                pending.recipients.retain(|recipient| recipient != identity);
            }
            log.forget_complete();
        }
    }

    /// Events of mine that wait for `recipient`.
    pub(super) fn awaits(&self, recipient: &IdentityKey) -> bool {
        self.own.values().any(|log| log.awaits(recipient))
    }
}

impl OwnLog {
    pub(super) fn new(order: usize) -> Self {
        Self {
            order,
            number: 0,
            committed: 0,
            last: NO_EVENT,
            acked: BTreeMap::new(),
            pending: BTreeMap::new(),
            withdrawn_from: None,
            before: 0,
            told_queued: BTreeMap::new(),
            mailed: BTreeMap::new(),
            recent: VecDeque::new(),
            recent_bytes: 0,
        }
    }

    pub(super) fn awaits(&self, recipient: &IdentityKey) -> bool {
        let acked = self.acked.get(recipient).copied().unwrap_or(0);
        self.pending.range(acked + 1..).any(|(_, event)| event.recipients.contains(recipient))
    }

    pub(super) fn remember(&mut self, recent: Recent) {
        self.recent_bytes += recent.wire.bytes.len();
        self.recent.push_back(recent);
        while self.recent.len() > RECENT_EVENTS_MAX || self.recent_bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.wire.bytes.len();
        }
    }

    /// The event `number` vouches for those before it from now on.
    pub(super) fn sign(&mut self, number: u64, signature: Signature) {
        if let Some(recent) = self.recent.iter_mut().rev().find(|recent| recent.number == number) {
            recent.wire.signature = Some(signature);
        }
    }

    /// Of the numbers up to `number`, those before the run that it stands in, as far as that is at hand.
    pub(super) fn before_run_of(&self, number: u64) -> u64 {
        let earlier = self.recent.iter().rev().skip_while(|recent| recent.number >= number);
        let inside = earlier.take_while(|recent| recent.wire.signature.is_none()).count();
        (number - 1).saturating_sub(inside as u64)
    }

    /// What may be sent: on the disk, and certain to be the only event of its number.
    pub(super) fn sendable(&self) -> u64 {
        self.withdrawn_from.map_or(self.committed, |from| self.committed.min(from - 1))
    }

    /// What comes after `number` does not count: nobody is sent it.
    pub(super) fn withdraw_beyond(&mut self, number: u64) {
        if self.number > number {
            let from = number + 1;
            self.withdrawn_from = Some(self.withdrawn_from.map_or(from, |before| before.min(from)));
        }
    }

    pub(super) fn recent_count(&self) -> usize {
        self.recent.len()
    }

    /// The events at hand that may be sent from number `from` on, if that one is at hand.
    pub(super) fn recent_from(&self, from: u64) -> impl Iterator<Item = &Recent> {
        let first = self.recent.front().map_or(u64::MAX, |recent| recent.number);
        let skip = from.checked_sub(first).and_then(|skip| usize::try_from(skip).ok()).unwrap_or(usize::MAX);
        self.recent.iter().skip(skip).take_while(|recent| recent.number <= self.sendable())
    }

    /// Whether event `number` comes to `recipient` after the fact: it was not written for them, or it had to wait.
    pub(super) fn comes_late(&self, recipient: &IdentityKey, number: u64) -> bool {
        let meant = self.pending.get(&number).is_some_and(|event| event.recipients.contains(recipient));
        !meant || number <= self.before || self.told_queued.get(recipient).is_some_and(|told| *told >= number)
    }

    /// Drops what nobody is waited for any more.
    pub(super) fn forget_complete(&mut self) {
        let acked = &self.acked;
        let lacks = |recipient: &IdentityKey, number: u64| acked.get(recipient).is_none_or(|acked| *acked < number);
        self.pending.retain(|number, event| event.recipients.iter().any(|recipient| lacks(recipient, *number)));
    }

    /// How many of the recipients of event `number` have it.
    pub(super) fn done(&self, number: u64) -> u32 {
        let Some(event) = self.pending.get(&number) else { return 0 };
        let has = |recipient: &&IdentityKey| self.acked.get(*recipient).is_some_and(|acked| *acked >= number);
        u32::try_from(event.recipients.iter().filter(has).count()).unwrap_or(u32::MAX)
    }
}

impl Room {
    pub(super) fn new(id: RoomId, genesis: Genesis, signed: Signed<Genesis>) -> Self {
        let moderation = Moderation::new(id, &genesis);
        let (members, early) = Default::default();
        let (entries, other, version) = (Vec::new(), None, 0);
        Self { id, genesis, signed, joined: false, entries, moderation, other, version, members, early }
    }

    pub(super) fn head(&self) -> u32 {
        self.moderation.head()
    }

    /// Adds a checked entry of the owner's log: who is a member follows from it.
    pub(super) fn apply(&mut self, entry: LogEntry, signed: Signed<LogEntry>) {
        self.version += 1;
        self.moderation.apply(EntryId(signed.id()), entry);
        self.entries.push(signed);
        for (identity, member) in &mut self.members {
            member.is_admitted = self.moderation.admits_joined(identity, member.head, member.invited);
        }
    }

    /// The entry of this number.
    pub(super) fn entry(&self, number: u32) -> Option<&Signed<LogEntry>> {
        self.entries.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// Takes in the newest join of somebody, and the newest part.
    pub(super) fn put_member(
        &mut self,
        membership: Membership,
        join: WireEvent,
        part: Option<(Stamp, WireEvent)>,
        stands_aside: bool,
    ) {
        self.version += 1;
        let is_admitted = self.moderation.admits(&membership);
        let Membership { statement, event, invited } = membership;
        let (user, joined, head) = (statement.user.clone(), event.stamp(), event.head);
        let member = Member { user, statement, join, joined, head, invited, is_admitted, part, stands_aside };
        self.members.insert(event.author, member);
    }

    /// Keeps a join for when the entries that it names are here.
    pub(super) fn keep_early(&mut self, author: IdentityKey, join: WireEvent) {
        if self.early.len() < MEMBERS_MAX {
            self.early.insert(author, join);
        }
    }

    pub(super) fn take_early(&mut self) -> Vec<WireEvent> {
        std::mem::take(&mut self.early).into_values().collect()
    }

    /// The entry of the owner's log that ended somebody's membership, if one did.
    pub(super) fn ended_by(&self, identity: &IdentityKey) -> Option<u32> {
        self.members.get(identity).filter(|member| !member.is_admitted)?;
        let standing = self.moderation.standing(identity).map_or(0, |standing| standing.ended);
        Some(if self.moderation.is_closed() { self.head() } else { standing })
    }

    /// Whether a join holds, and counts by the owner's log.
    pub(super) fn lets_in(&self, join: &WireEvent) -> bool {
        let membership = check_join(self.id, &self.genesis, self.moderation.owners(), join);
        membership.is_ok_and(|membership| self.moderation.admits(&membership))
    }

    /// Whether an event counts by the owner's log; `is_back`: its author is known to be in again.
    pub(super) fn counts(&self, event: &ChainEvent, is_back: bool) -> bool {
        let is_in = is_back || self.members.get(&event.author).is_some_and(|member| member.is_admitted);
        self.moderation.counts(&event.author, &event.chain, event.number, event.head, is_in)
    }

    /// The same of an event that came before it was known that its author was removed.
    pub(super) fn counts_kept(&self, event: &StoredEvent) -> bool {
        let is_plain = self.moderation.standing(&event.author).is_none();
        is_plain || event.wire.claim().is_ok_and(|event| self.counts(&event, true))
    }

    /// How far a chain can count.
    pub(super) fn limit(&self, (author, chain): &ChainKey) -> u64 {
        match self.ended_by(author) {
            Some(_) => self.moderation.limit(author, chain),
            None => u64::MAX,
        }
    }

    /// Members now, without `me`.
    pub(super) fn others<'a>(&'a self, me: &'a IdentityKey) -> impl Iterator<Item = (&'a IdentityKey, &'a Member)> {
        self.members.iter().filter(move |(identity, member)| *identity != me && member.is_current())
    }

    pub(super) fn is_member(&self, identity: &IdentityKey) -> bool {
        self.members.get(identity).is_some_and(Member::is_current)
    }
}

impl Member {
    /// Whether the newest thing this person signed about it is a join, in whatever order the two arrived, and the owner
    /// has not ended it.
    pub(super) fn is_current(&self) -> bool {
        let is_newest = self.part.as_ref().is_none_or(|(parted, _)| self.joined.supersedes(parted));
        !self.stands_aside && self.is_admitted && is_newest
    }
}

/// Enough for every link that keeps up; a link that does not is served from the disk.
pub(super) const RECENT_EVENTS_MAX: usize = 1024;
const RECENT_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use common::wire::bounded::Blob;

    #[test]
    fn recent_events_are_found_by_number_and_only_when_committed() {
        let mut log = OwnLog::new(0);
        for number in 1..=2000 {
            let wire = WireEvent { bytes: Blob::new(vec![0; 8]).unwrap(), signature: None };
            log.remember(Recent { number, id: NO_EVENT, at: UnixMillis(0), wire });
        }
        log.committed = 1990;
        let numbers = |from| log.recent_from(from).map(|recent| recent.number).collect::<Vec<_>>();
        assert_eq!(numbers(1989), [1989, 1990]);
        assert!(numbers(1).is_empty(), "long gone");
        assert!(numbers(1991).is_empty(), "not on the disk yet");
    }
}
