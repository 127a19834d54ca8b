//! What owners decide in a random world, and what must hold then: nobody is shown what does not count by the log they
//! have, and nobody says anything of a room to somebody whom that log has put out.

use common::ids::ConversationId;
use common::message::event::{Content, WireEvent};
use common::message::peer::PeerMessage;
use common::names::RoomName;
use peer::api::{Command, MessageShown, RoomChange, Target};

use super::World;
use super::host::{Host, Who};
use super::model::{Model, Wrong, named};
use super::script::Deed;

impl World {
    /// Somebody decides something in a room, mostly one that is theirs.
    pub(super) fn decides(&mut self, deed: Deed, who: Who) {
        let mut rooms = self.model.owned_rooms(who);
        if rooms.is_empty() || self.random.percent(10) {
            rooms = self.model.rooms_of(who);
        }
        let Some(room) = self.random.pick(&rooms).cloned() else { return };
        let other = Who(self.random.below(self.hosts.len()));
        let (user, room, reason) = (self.hosts[other.0].name.clone(), Some(room), "enough".to_owned());
        let command = match deed {
            Deed::Ban => Command::Ban { user, room, reason },
            Deed::Unban => Command::Unban { user, room },
            Deed::Own => Command::Own { user, room },
            Deed::Close => Command::Close { room },
            _ => Command::Kick { user, room, reason },
        };
        self.command(who, command);
    }
}

impl Model {
    /// An owner decided something, and somebody heard of it; `own`: it is about them.
    pub(super) fn decided(&mut self, name: &RoomName, change: RoomChange, who: Who, user: Who, own: bool) {
        let room = self.rooms.entry(name.clone()).or_default();
        let target = Target::Room(name.clone());
        match change {
            RoomChange::Kicked | RoomChange::Banned => {
                room.removed.insert(user);
                if own {
                    room.present.remove(&user);
                    room.entering.remove(&user);
                }
                self.owes_nothing(user, &target);
                // What they said may be beyond what counts.
                self.nobody_owes(user, &target);
            }
            RoomChange::Owner => {
                room.invited.extend(room.owner);
                room.owner = Some(user);
            }
            RoomChange::Closed => {
                room.present.remove(&who);
                room.entering.remove(&who);
                self.texts.values_mut().filter(|said| said.to == target).for_each(|said| said.audience.clear());
            }
            _ => {}
        }
    }

    /// The owner signed two things, by way of an old copy of a log: nothing more can be said of the room.
    pub(super) fn frozen(&mut self, name: &RoomName) {
        self.rooms.entry(name.clone()).or_default().muddled = true;
        let target = Target::Room(name.clone());
        self.texts.values_mut().filter(|said| said.to == target).for_each(|said| said.audience.clear());
    }

    fn nobody_owes(&mut self, author: Who, to: &Target) {
        let theirs = self.texts.values_mut().filter(|said| said.author == author && said.to == *to);
        theirs.for_each(|said| said.audience.clear());
    }

    /// By the log on the reader's disk, what is shown counts.
    pub(super) fn counts(&self, who: Who, author: Who, message: &MessageShown, hosts: &[Host]) -> Result<(), Wrong> {
        let said = hosts[author.0].disk.event(&message.id).and_then(|stored| stored.wire.claim().ok());
        let Some(event) = said else { return Ok(()) };
        let Some(log) = hosts[who.0].disk.moderation(&event.conversation) else { return Ok(()) };
        match log.counts(&event.author, &event.chain, event.number, event.head, true) {
            true => Ok(()),
            false => Err(format!("shown number {} of somebody removed, which is beyond the cut", event.number)),
        }
    }

    /// By the log on the speaker's disk, whoever is told this of a room is in it, or was never put out.
    pub(super) fn may_be_told(
        &self,
        (speaker, reader): (Who, Who),
        message: &PeerMessage,
        hosts: &[Host],
    ) -> Result<(), Wrong> {
        let id = match message {
            PeerMessage::Events(events) => events.conversation,
            PeerMessage::Have(have) => have.conversation,
            PeerMessage::RoomHello { room, .. } => ConversationId::from(*room),
            _ => return Ok(()),
        };
        let identity = hosts[reader.0].identity_key();
        let Some(log) = hosts[speaker.0].disk.moderation(&id).filter(|log| log.standing(&identity).is_some()) else {
            return Ok(());
        };
        // Of a way back, and of entries behind the removal, the speaker may have heard before their disk has it.
        let joins = [speaker, reader].map(|who| hosts[who.0].disk.member_join(&id, &identity));
        let is_in = |join: &WireEvent| {
            let event = join.claim().ok();
            let invite = event.as_ref().and_then(|event| event.content().ok()).and_then(|content| match content {
                Content::Join(join) => join.invite?.claim().ok(),
                _ => None,
            });
            event.is_some_and(|event| {
                log.admits_joined(&identity, event.head.min(log.head()), invite.map(|invite| invite.head))
            })
        };
        if joins.iter().flatten().any(is_in) || log.is_closed() {
            return Ok(());
        }
        Err(format!("told {} something of a room after their removal was known", hosts[reader.0].name))
    }

    /// The rooms that are somebody's, and that they are in.
    fn owned_rooms(&self, who: Who) -> Vec<RoomName> {
        let owned = self.rooms.iter().filter(|(_, room)| room.owner == Some(who) && room.present.contains(&who));
        owned.map(|(name, _)| name.clone()).collect()
    }

    /// Whether somebody was removed from a room at any time: of what they said, only what the cut names has to be there.
    pub(super) fn was_removed(&self, name: &RoomName, author: Who) -> bool {
        self.rooms.get(name).is_some_and(|room| room.removed.contains(&author))
    }

    pub(super) fn decision_told(
        &mut self,
        name: &RoomName,
        change: RoomChange,
        who: Who,
        user: &str,
        hosts: &[Host],
    ) -> Result<(), Wrong> {
        let user = named(hosts, user).ok_or("a decision about nobody")?;
        self.decided(name, change, who, user, user == who);
        Ok(())
    }
}
