//! What the log of a room's owner amounts to: who owns the room, whose joins count, and which words of somebody who was
//! removed do. Folded from checked entries in the order of their numbers, so that all who know the same entries agree,
//! whatever else they heard and when. Peers keep a whole fold; the registry keeps the same in tables.

use std::collections::BTreeMap;

use super::room::{self, Act, Cut, Genesis, LogEntry, Membership, NO_ENTRY, Removal, RoomError};
use crate::ids::{ChainId, EntryId, IdentityKey, RoomId};
use crate::limits::LOG_ENTRIES_MAX;
use crate::names::UserName;
use crate::secure::rotation;
use crate::secure::sign::Signed;

/// Who owned a room when, by the number of entries in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    /// The first is the founder's.
    reigns: Vec<Reign>,
    /// Entries known; what lies beyond may have another owner.
    head: u32,
}

/// One owner's time with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reign {
    /// How many entries there were when it began.
    pub from: u32,
    pub identity: IdentityKey,
    /// What signs for it. Of somebody who came to own the room it is the identity itself, until they show another.
    pub key: IdentityKey,
}

/// The fold of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    room: RoomId,
    owners: Owners,
    owner_name: UserName,
    last: EntryId,
    topic: String,
    is_closed: bool,
    people: BTreeMap<IdentityKey, Standing>,
}

/// What the log says of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub user: UserName,
    /// Joins and invitations made before this entry was known have ended; 0 ends none.
    pub ended: u32,
    /// Why, if they are banned now.
    pub ban: Option<String>,
    cuts: Vec<Limit>,
}

/// From one removal: which words of before it count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    cut: Vec<Cut>,
    /// Words of somebody who knew this entry are of after it; `None` while a ban lasts.
    over_from: Option<u32>,
}

impl Owners {
    pub fn new(genesis: &Genesis) -> Self {
        Self { reigns: vec![genesis.reign()], head: 0 }
    }

    /// The same after a log of `head` entries, of which these began another reign, in order.
    pub fn after(genesis: &Genesis, later: Vec<Reign>, head: u32) -> Self {
        let reigns = std::iter::once(genesis.reign()).chain(later).collect();
        Self { reigns, head }
    }

    /// Whose word counted when the log had `head` entries; `None` if it had not so far as is known here.
    pub fn at(&self, head: u32) -> Option<Reign> {
        self.reigns.iter().rev().find(|reign| reign.from <= head && head <= self.head).copied()
    }

    pub fn now(&self) -> Reign {
        *self.reigns.last().expect("a room begins with an owner")
    }

    /// What came after the founder's first.
    pub fn later(&self) -> &[Reign] {
        &self.reigns[1..]
    }

    pub fn head(&self) -> u32 {
        self.head
    }
}

impl Moderation {
    /// Before the first entry.
    pub fn new(room: RoomId, genesis: &Genesis) -> Self {
        Self {
            room,
            owners: Owners::new(genesis),
            owner_name: genesis.owner_name.clone(),
            last: NO_ENTRY,
            topic: String::new(),
            is_closed: false,
            people: BTreeMap::new(),
        }
    }

    /// The entry, if it comes next, whoever owns the room now signed it, and it makes sense.
    pub fn check(&self, signed: &Signed<LogEntry>) -> Result<LogEntry, RoomError> {
        let owner = self.owners.now();
        let entry = room::check_entry(self.room, &owner, signed, self.head(), self.last)?;
        let is_banned = |identity: &IdentityKey| self.people.get(identity).is_some_and(|known| known.ban.is_some());
        let may_follow = !self.is_closed && entry.index <= LOG_ENTRIES_MAX;
        if may_follow && makes_sense(&entry.act, &owner.identity, is_banned) {
            Ok(entry)
        } else {
            Err(RoomError::Log(entry.index))
        }
    }

    /// Takes in an entry that was checked, now or before it was stored.
    pub fn apply(&mut self, id: EntryId, entry: LogEntry) {
        self.last = id;
        self.owners.head = entry.index;
        match entry.act {
            Act::Topic { text } => self.topic = text.into_string(),
            Act::Remove(removal) => self.end(removal, entry.index, false),
            Act::Ban(removal) => self.end(removal, entry.index, true),
            Act::Unban { identity, .. } => {
                if let Some(known) = self.people.get_mut(&identity).filter(|known| known.ban.is_some()) {
                    (known.ended, known.ban) = (entry.index, None);
                    let lasting = known.cuts.iter_mut().filter(|limit| limit.over_from.is_none());
                    lasting.for_each(|limit| limit.over_from = Some(entry.index));
                }
            }
            Act::Transfer { identity, user } => {
                self.owners.reigns.push(Reign { from: entry.index, identity, key: identity });
                self.owner_name = user;
            }
            Act::Rotate { rotations } => {
                let identity = self.owner();
                let key = rotation::newest(&identity, &rotations);
                self.owners.reigns.push(Reign { from: entry.index, identity, key });
            }
            Act::Close { .. } => self.is_closed = true,
        }
    }

    fn end(&mut self, removal: Removal, index: u32, is_ban: bool) {
        let Removal { identity, user, cut, reason } = removal;
        let fresh = || Standing { user: user.clone(), ended: 0, ban: None, cuts: Vec::new() };
        let known = self.people.entry(identity).or_insert_with(fresh);
        let is_banned = is_ban || known.ban.is_some();
        if is_ban {
            known.ban = Some(reason.into_string());
        }
        (known.user, known.ended) = (user, index);
        known.cuts.push(Limit { cut: cut.into_vec(), over_from: (!is_banned).then_some(index) });
    }

    /// Whether a join that holds counts now. A person's newest join decides.
    pub fn admits(&self, membership: &Membership) -> bool {
        self.admits_joined(&membership.event.author, membership.event.head, membership.invited)
    }

    /// The same by what a join says: how many entries its author knew, and those at the time of the invitation.
    pub fn admits_joined(&self, author: &IdentityKey, head: u32, invited: Option<u32>) -> bool {
        if self.is_closed || head > self.head() {
            return false;
        }
        self.people.get(author).is_none_or(|known| {
            known.ban.is_none() && head >= known.ended && invited.is_none_or(|invited| invited >= known.ended)
        })
    }

    /// Whether an event of somebody counts, who knew `head` entries when writing it. Only who is a member now
    /// (`is_in`) can have written anything after a removal.
    pub fn counts(&self, author: &IdentityKey, chain: &ChainId, number: u64, head: u32, is_in: bool) -> bool {
        let Some(known) = self.people.get(author) else { return true };
        let is_of_after = |limit: &Limit| is_in && limit.over_from.is_some_and(|from| head >= from);
        known.cuts.iter().all(|limit| number <= limit.of(chain) || is_of_after(limit))
    }

    /// How far a chain of somebody who is not a member now counts at most.
    pub fn limit(&self, author: &IdentityKey, chain: &ChainId) -> u64 {
        let limits = self.people.get(author).map_or(&[][..], |known| &known.cuts);
        limits.iter().map(|limit| limit.of(chain)).min().unwrap_or(u64::MAX)
    }

    pub fn head(&self) -> u32 {
        self.owners.head
    }

    pub fn last(&self) -> EntryId {
        self.last
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    pub fn owner(&self) -> IdentityKey {
        self.owners.now().identity
    }

    pub fn owner_name(&self) -> &UserName {
        &self.owner_name
    }

    pub fn standing(&self, identity: &IdentityKey) -> Option<&Standing> {
        self.people.get(identity)
    }

    /// Everybody who is banned now.
    pub fn bans(&self) -> impl Iterator<Item = (&IdentityKey, &Standing)> {
        self.people.iter().filter(|(_, known)| known.ban.is_some())
    }
}

impl Limit {
    fn of(&self, chain: &ChainId) -> u64 {
        self.cut.iter().find(|cut| cut.chain == *chain).map_or(0, |cut| cut.number)
    }
}

/// Whether an owner can mean this: nobody removes themselves, and a room is given to somebody else who may be in it.
pub fn makes_sense(act: &Act, owner: &IdentityKey, is_banned: impl Fn(&IdentityKey) -> bool) -> bool {
    match act {
        Act::Remove(removal) | Act::Ban(removal) => removal.identity != *owner,
        Act::Transfer { identity, .. } => identity != owner && !is_banned(identity),
        Act::Topic { .. } | Act::Unban { .. } | Act::Rotate { .. } | Act::Close { .. } => true,
    }
}

#[cfg(test)]
mod tests;
