//! Who is in which room, by what is on one disk.

use common::ids::{ConversationId, EntryId, EventId, IdentityKey};
use common::message::event::WireEvent;
use common::message::moderation::Moderation;
use common::names::RoomName;
use peer::ports::{StoredEvent, Write};

use super::{KeptRoom, Log, Refused, VirtualDisk};

impl VirtualDisk {
    /// Whether somebody is or was a member of a room, by what is here.
    pub(in crate::world) fn knows_member(&self, name: &RoomName, identity: &IdentityKey) -> bool {
        let is_it = |room: &&KeptRoom| room.genesis.claim().is_ok_and(|genesis| genesis.name == *name);
        self.rooms().filter(is_it).any(|room| room.members.contains_key(identity))
    }

    /// The rooms that somebody is in, by what is here.
    pub(in crate::world) fn rooms_joined(&self) -> Vec<RoomName> {
        self.rooms().filter(|room| room.joined).filter_map(|room| Some(room.genesis.claim().ok()?.name)).collect()
    }

    /// What the log of a room's owner amounts to, as far as it is here.
    pub(in crate::world) fn moderation(&self, id: &ConversationId) -> Option<Moderation> {
        let room = self.room(id)?;
        let genesis = room.genesis.claim().ok()?;
        let mut log = Moderation::new((*id).into(), &genesis);
        for signed in room.entries.values() {
            log.apply(EntryId(signed.id()), signed.claim().ok()?);
        }
        Some(log)
    }

    /// The newest join of somebody.
    pub(in crate::world) fn member_join(&self, id: &ConversationId, identity: &IdentityKey) -> Option<WireEvent> {
        self.room(id)?.members.get(identity).map(|(join, _)| join.clone())
    }

    /// An event of any conversation.
    pub(in crate::world) fn event(&self, id: &EventId) -> Option<&StoredEvent> {
        self.chains().flat_map(|(_, chain)| chain.events.values()).find(|event| event.id == *id)
    }

    fn room(&self, id: &ConversationId) -> Option<&KeptRoom> {
        self.log.as_ref()?.conversations.get(id)?.room.as_ref()
    }

    fn rooms(&self) -> impl Iterator<Item = &KeptRoom> {
        self.log.iter().flat_map(|log| log.conversations.values()).filter_map(|kept| kept.room.as_ref())
    }
}

impl Log {
    pub(super) fn write_room(&mut self, write: Write) -> Result<(), Refused> {
        match write {
            Write::Room { room, genesis, joined } => {
                let (entries, members) = Default::default();
                let fresh = || KeptRoom { genesis, joined, entries, other: None, members };
                self.conversations.entry(room.into()).or_default().room.get_or_insert_with(fresh).joined = joined;
            }
            Write::Entry { room, index, entry } => {
                let known = self.room(room)?.entries.entry(index).or_insert_with(|| entry.clone());
                if *known != entry {
                    return Err(format!("two entries of number {index}"));
                }
            }
            Write::OtherEntry { room, entry } => {
                self.room(room)?.other.get_or_insert(entry);
            }
            Write::Member { room, identity, join, part } => {
                self.room(room)?.members.insert(identity, (join, part));
            }
            _ => return Err("nothing about a room".to_owned()),
        }
        Ok(())
    }
}
