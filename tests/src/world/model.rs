//! What should be, in the simplest words: who said what to whom, who was in which room, who was shown what. Every thing
//! that a node tells is checked against it, and at the end nothing may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{ConversationId, EventId};
use common::message::registry::Code;
use common::names::RoomName;
use common::time::UnixMillis;
use peer::api::{Command, Delivery, DeliveryState, Event, MessageShown, RoomChange, Target, To};
use registry::store::Store;

use super::host::{Host, Who};

#[derive(Debug, Default)]
pub(super) struct Model {
    texts: BTreeMap<String, Said>,
    order: u64,
    rooms: BTreeMap<RoomName, RoomModel>,
    shown: BTreeSet<(Who, String)>,
    delivered: BTreeSet<(Who, EventId, Who)>,
    /// Of the present lives: the newest text of each author shown in each conversation.
    newest: BTreeMap<(Who, Target, Who), u64>,
    /// Reasons to refuse something that are meant to come up.
    expected: Vec<Code>,
}

/// A text that somebody typed.
#[derive(Debug)]
struct Said {
    author: Who,
    to: Target,
    order: u64,
    /// Set once it was told to be accepted.
    id: Option<EventId>,
    /// Who has to have it in the end.
    audience: BTreeSet<Who>,
}

#[derive(Debug, Default)]
struct RoomModel {
    private: bool,
    owner: Option<Who>,
    present: BTreeSet<Who>,
    invited: BTreeSet<Who>,
    /// Whoever began to enter at any time.
    entered: BTreeSet<Who>,
    /// Told to have left, and not on the way back.
    left: BTreeSet<Who>,
    /// Asked to be in again after they asked to leave, perhaps before they were told to have left.
    returning: BTreeSet<Who>,
}

type Wrong = String;

impl Model {
    /// The rooms somebody is in.
    pub(super) fn rooms_of(&self, who: Who) -> Vec<RoomName> {
        self.rooms.iter().filter(|(_, room)| room.present.contains(&who)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn owned_private_rooms(&self, who: Who) -> Vec<RoomName> {
        let owned = |room: &RoomModel| room.private && room.owner == Some(who) && room.present.contains(&who);
        self.rooms.iter().filter(|(_, room)| owned(room)).map(|(name, _)| name.clone()).collect()
    }

    /// Rooms that exist and somebody is not in.
    pub(super) fn other_rooms(&self, who: Who) -> Vec<RoomName> {
        let other = |room: &RoomModel| room.owner.is_some() && !room.present.contains(&who);
        self.rooms.iter().filter(|(_, room)| other(room)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn expect(&mut self, code: Code) {
        self.expected.push(code);
    }

    pub(super) fn life_begins(&mut self, who: Who) {
        self.newest.retain(|(reader, _, _), _| *reader != who);
    }

    /// Somebody types a command.
    pub(super) fn asked(&mut self, who: Who, command: &Command, hosts: &[Host]) {
        match command {
            Command::Say { to: To::Named(to), text, .. } => {
                self.order += 1;
                let (to, order) = (to.clone(), self.order);
                let said = Said { author: who, to, order, id: None, audience: BTreeSet::new() };
                self.texts.insert(text.clone(), said);
            }
            Command::Create(new) => {
                let known = self.rooms.entry(new.name.clone()).or_default();
                if known.owner.is_none() {
                    known.private = new.private;
                }
            }
            Command::Join { room } | Command::Accept { room } => {
                let room = self.rooms.entry(room.clone()).or_default();
                room.entered.insert(who);
                room.left.remove(&who);
                room.returning.insert(who);
            }
            Command::Part { room: Some(room) } => {
                let known = self.rooms.entry(room.clone()).or_default();
                known.returning.remove(&who);
                if known.present.remove(&who) {
                    self.owes_nothing(who, &Target::Room(room.clone()));
                    self.owed_only_to_known(who, room, hosts);
                }
            }
            _ => {}
        }
    }

    /// The owner's program says that an invitation is about to go out.
    pub(super) fn invites(&mut self, room: &RoomName, invitee: Who) {
        self.rooms.entry(room.clone()).or_default().invited.insert(invitee);
    }

    /// A node tells something.
    pub(super) fn told(&mut self, who: Who, event: &Event, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        match event {
            Event::Message(message) if message.own => self.accepted(who, message, hosts),
            Event::Message(message) => self.was_shown(who, message, hosts, store),
            Event::Delivery(delivery) => self.delivery(who, delivery, hosts),
            Event::Room { conversation, change, user, .. } => {
                let user = named(hosts, user.as_str()).ok_or("a room changed by nobody")?;
                self.room_changed(conversation, *change, user, user == who);
                Ok(())
            }
            Event::Refused(refusal) if UNEXPECTED.contains(&refusal.code) && !self.expected.contains(&refusal.code) => {
                Err(format!("refused with {}: {}", refusal.code, refusal.text.as_str()))
            }
            _ => Ok(()),
        }
    }

    fn room_changed(&mut self, name: &RoomName, change: RoomChange, user: Who, own: bool) {
        let room = self.rooms.entry(name.clone()).or_default();
        match change {
            RoomChange::Created => {
                (room.owner, _) = (Some(user), room.entered.insert(user));
            }
            RoomChange::Joined if own => {
                room.present.insert(user);
                room.left.remove(&user);
            }
            RoomChange::Parted if own => {
                room.present.remove(&user);
                if !room.returning.contains(&user) {
                    room.left.insert(user);
                }
            }
            RoomChange::Joined | RoomChange::Parted | RoomChange::Topic => {}
        }
    }

    fn accepted(&mut self, who: Who, message: &MessageShown, hosts: &[Host]) -> Result<(), Wrong> {
        let said = self.texts.get_mut(&message.text).ok_or("a text of mine that I never typed")?;
        if message.late && said.author == who && said.id == Some(message.id) {
            // Of an older copy of a log, fetched back from others.
            return Ok(());
        }
        let again = said.id.is_some() && self.expected.contains(&Code::Storage);
        if said.author != who || said.to != message.conversation || (said.id.is_some() && !again) {
            return Err("a text of mine that is not mine, or told twice".to_owned());
        }
        if !hosts[who.0].disk.holds(&message.id) {
            return Err("accepted, but not on the disk".to_owned());
        }
        said.id = Some(message.id);
        said.audience = match &said.to {
            Target::Person(user) => named(hosts, user.as_str()).into_iter().collect(),
            Target::Room(room) => self.rooms.get(room).map(|room| room.present.clone()).unwrap_or_default(),
        };
        let room = match &said.to {
            Target::Room(room) if !said.audience.remove(&who) => Some(room.clone()),
            _ => None,
        };
        if let Some(room) = room {
            // On the way out already.
            self.owed_only_to_known(who, &room, hosts);
        }
        Ok(())
    }

    fn was_shown(&mut self, who: Who, message: &MessageShown, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        let author = named(hosts, message.from.as_str()).ok_or("a text of nobody")?;
        let said = self.texts.get(&message.text).ok_or("a text that nobody typed")?;
        if said.author != author {
            return Err("a text under another's name".to_owned());
        }
        match (&said.to, &message.conversation) {
            (Target::Person(to), Target::Person(from)) if *to == hosts[who.0].name && *from == message.from => {}
            (Target::Room(to), Target::Room(shown)) if to == shown => {
                self.may_see(who, author, to, message, hosts, store)?
            }
            _ => return Err("a text in another conversation than it was meant for".to_owned()),
        }
        if hosts[who.0].disk.holds(&message.id) {
            return Err("shown again, though it was on the disk already".to_owned());
        }
        let newest = self.newest.entry((who, message.conversation.clone(), author)).or_default();
        if *newest >= said.order {
            return Err(if *newest == said.order { "shown twice" } else { "shown out of order" }.to_owned());
        }
        *newest = said.order;
        self.shown.insert((who, message.text.clone()));
        Ok(())
    }

    /// Only who was let in by the registry, in a private room by an invitation too, sees a member's texts there; and
    /// in a private room none from before they came.
    fn may_see(
        &self,
        who: Who,
        author: Who,
        name: &RoomName,
        message: &MessageShown,
        hosts: &[Host],
        store: &dyn Store,
    ) -> Result<(), Wrong> {
        let room = &self.rooms[name];
        let kept = store.room_named(name).ok().flatten().ok_or("a text in a room that does not exist")?;
        let member = |who: Who| store.member(&kept.id, &hosts[who.0].name).ok().flatten().is_some();
        if !member(who) || !member(author) {
            return Err("a text of or to somebody who never was a member".to_owned());
        }
        if !kept.genesis.private || room.owner == Some(who) {
            return Ok(());
        }
        if !room.invited.contains(&who) {
            return Err("a private room's text to somebody who was not invited".to_owned());
        }
        let own = hosts[who.0].disk.own_events(&kept.id.into());
        let joined = own.iter().map(|event| event.at).min().unwrap_or(UnixMillis(u64::MAX));
        if message.at < joined.minus(JOIN_CLOCK_SLACK) {
            return Err("a private room's text from before one came".to_owned());
        }
        Ok(())
    }

    /// Whether somebody may be sent events of this conversation at all: of a private room only with an invitation.
    pub(super) fn may_receive(&self, who: Who, conversation: ConversationId, store: &dyn Store) -> bool {
        let Some(room) = store.room(&conversation.into()).ok().flatten() else { return true };
        let known = &self.rooms[&room.genesis.name];
        !room.genesis.private || known.owner == Some(who) || known.invited.contains(&who)
    }

    fn delivery(&mut self, who: Who, delivery: &Delivery, hosts: &[Host]) -> Result<(), Wrong> {
        let to = named(hosts, delivery.to.as_str()).ok_or("a delivery to nobody")?;
        if delivery.done > delivery.of {
            return Err("delivered to more people than there are".to_owned());
        }
        if delivery.state == DeliveryState::Delivered {
            if !hosts[to.0].disk.holds(&delivery.id) {
                return Err("told to be delivered, but not on the recipient's disk".to_owned());
            }
            self.delivered.insert((who, delivery.id, to));
        }
        Ok(())
    }

    /// Everything has calmed down: is anything missing?
    pub(super) fn at_the_end(&self, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        self.registry_agrees(hosts, store)?;
        for (text, said) in &self.texts {
            let Some(id) = said.id else { continue };
            let author = &hosts[said.author.0].name;
            for reader in &said.audience {
                let name = &hosts[reader.0].name;
                if !self.shown.contains(&(*reader, text.clone())) {
                    return Err(format!("{name} was never shown {text:?} of {author} in {}", said.to));
                }
                if !hosts[reader.0].disk.holds(&id) {
                    return Err(format!("{name} has not kept {text:?} of {author} in {}", said.to));
                }
                let is_direct = matches!(said.to, Target::Person(_));
                if is_direct && !self.delivered.contains(&(said.author, id, *reader)) {
                    return Err(format!("{author} was never told that {name} has {text:?}"));
                }
            }
            self.whole_history(text, said, hosts)?;
        }
        self.nothing_waits(hosts)
    }

    /// The registry lists whoever is in a room, and nobody who was told to have left.
    fn registry_agrees(&self, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        for (name, room) in &self.rooms {
            let Some(kept) = store.room_named(name).ok().flatten() else { continue };
            let listed = |who: &Who| {
                let member = store.member(&kept.id, &hosts[who.0].name).ok().flatten();
                member.is_some_and(|member| member.is_present())
            };
            if let Some(who) = room.left.iter().find(|who| listed(who)) {
                return Err(format!("the registry has {} in {name}, who has left", hosts[who.0].name));
            }
            if let Some(who) = room.present.iter().find(|who| !listed(who)) {
                return Err(format!("the registry does not have {} in {name}", hosts[who.0].name));
            }
        }
        Ok(())
    }

    /// Whoever is in a public room has everything that those who are in it ever said there.
    fn whole_history(&self, text: &str, said: &Said, hosts: &[Host]) -> Result<(), Wrong> {
        let Target::Room(name) = &said.to else { return Ok(()) };
        let room = &self.rooms[name];
        if room.private || !room.present.contains(&said.author) {
            return Ok(());
        }
        let mut others = room.present.iter().filter(|reader| **reader != said.author);
        match others.find(|reader| !self.shown.contains(&(**reader, text.to_owned()))) {
            Some(lacking) => Err(format!("{} was not served {text:?} of {name}", hosts[lacking.0].name)),
            None => Ok(()),
        }
    }

    /// Nobody's disk says that somebody who is still there lacks something.
    fn nothing_waits(&self, hosts: &[Host]) -> Result<(), Wrong> {
        for (author, host) in hosts.iter().enumerate() {
            for (reader, recipient) in hosts.iter().enumerate().filter(|(reader, _)| *reader != author) {
                let owed = |said: &&Said| said.author == Who(author) && said.audience.contains(&Who(reader));
                let waits = host.disk.unacknowledged(&recipient.identity_key());
                let text = self
                    .texts
                    .values()
                    .filter(owed)
                    .find(|said| said.id.is_some_and(|id| waits.iter().any(|(_, _, waiting)| *waiting == id)));
                if text.is_some() {
                    return Err(format!("{} still waits for {}", host.name, recipient.name));
                }
            }
        }
        Ok(())
    }

    /// Whoever leaves a room does not learn any more that others had come before.
    fn owed_only_to_known(&mut self, who: Who, room: &RoomName, hosts: &[Host]) {
        let known = |reader: &Who| hosts[who.0].disk.knows_member(room, &hosts[reader.0].identity_key());
        let of_room = |said: &&mut Said| said.author == who && said.to == Target::Room(room.clone());
        self.texts.values_mut().filter(of_room).for_each(|said| said.audience.retain(known));
    }

    /// What had not reached somebody in a conversation need not reach them any more.
    fn owes_nothing(&mut self, who: Who, to: &Target) {
        for said in self.texts.values_mut().filter(|said| said.to == *to) {
            said.audience.remove(&who);
        }
    }
}

fn named(hosts: &[Host], name: &str) -> Option<Who> {
    hosts.iter().position(|host| host.name.as_str() == name).map(Who)
}

/// Between honest programs on working disks these do not happen.
const UNEXPECTED: [Code; 9] = [
    Code::Internal,
    Code::Credentials,
    Code::NameTaken,
    Code::NotSignedIn,
    Code::AlreadySignedIn,
    Code::Throttled,
    Code::KeyBlocked,
    Code::RealmChanged,
    Code::RealmUnknown,
];
/// Clocks of an author and a joiner may differ by as much.
const JOIN_CLOCK_SLACK: Duration = Duration::from_secs(60);
