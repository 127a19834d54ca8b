//! What should be, in the simplest words: who said what to whom, who was in which room, who was shown what. Every thing
//! that a node tells is checked against it, and at the end nothing may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey, RoomId};
use common::message::peer::Events;
use common::message::registry::Code;
use common::names::RoomName;
use common::time::{Monotonic, UnixMillis};
use peer::api::{Act, ChangeShown, Command, Delivery, DeliveryState, Event, MessageShown, RoomChange, Target, To};
use registry::store::Store;

use super::host::{Host, Who};

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: Monotonic,
    pub(super) texts: BTreeMap<String, Said>,
    order: u64,
    /// Of the present lives: the changes of messages that were told.
    pub(super) changed: BTreeSet<(Who, EventId)>,
    pub(super) rooms: BTreeMap<RoomName, RoomModel>,
    pub(super) shown: BTreeSet<(Who, String)>,
    pub(super) delivered: BTreeSet<(Who, EventId, Who)>,
    /// Front-ends took longer to write than an acknowledgement waits for it.
    pub(super) screens_stand_still: bool,
    /// Of the present lives: what was shown.
    pub(super) shown_now: BTreeSet<(Who, EventId)>,
    /// What was shown in an earlier life, and marked as such: never again.
    pub(super) shown_before: BTreeSet<(Who, EventId)>,
    /// Of the present lives: the newest text of each author shown in each conversation.
    pub(super) newest: BTreeMap<(Who, Target, Who), u64>,
    /// Reasons to refuse something that are meant to come up.
    expected: Vec<Code>,
    /// What every number of an honest chain means.
    numbers: BTreeMap<(ConversationId, IdentityKey, ChainId, u64), EventId>,
    /// Signed times and true times are two things from now on.
    clocks_jumped: bool,
    /// Whose log is an older copy: what is in two chains of theirs has no order.
    pub(super) restored: BTreeSet<Who>,
    /// What was on somebody's disk before that.
    pub(super) lost: BTreeSet<(Who, EventId)>,
    /// Who was told that whose chain forks.
    pub(super) forks_flagged: BTreeSet<(Who, Who)>,
    /// Whose log is an older copy that nobody noticed: numbers may mean two things.
    may_fork: BTreeSet<Who>,
}

/// A text that somebody typed.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) author: Who,
    pub(super) to: Target,
    order: u64,
    /// Set once it was told to be accepted.
    pub(super) id: Option<EventId>,
    /// Who has to have it in the end.
    pub(super) audience: BTreeSet<Who>,
}

#[derive(Debug, Default)]
pub(super) struct RoomModel {
    pub(super) private: bool,
    pub(super) owner: Option<Who>,
    pub(super) present: BTreeSet<Who>,
    pub(super) invited: BTreeSet<Who>,
    /// Removed or banned at any time.
    pub(super) removed: BTreeSet<Who>,
    /// Whoever began to enter at any time.
    entered: BTreeSet<Who>,
    /// On the way in, as they asked last.
    pub(super) entering: BTreeSet<Who>,
    /// Told to have left, and not on the way back.
    pub(super) left: BTreeSet<Who>,
    /// Whose restored log and the others do not agree on whether they are in it.
    pub(super) astray: BTreeSet<Who>,
    /// Nobody can say any more what it should be.
    pub(super) muddled: bool,
    /// The registry's backup was from before it was what it is: its members bring the registry up to date, this very
    /// room, when they and its owner are back.
    pub(super) put_back: Option<RoomId>,
}

impl RoomModel {
    /// The registry's word on who belongs to it counts for nothing at any one time.
    fn is_exempt(&self) -> bool {
        self.muddled || self.put_back.is_some()
    }
}

pub(super) type Wrong = String;

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

    pub(super) fn clock_jumped(&mut self) {
        self.clocks_jumped = true;
    }

    pub(super) fn may_fork(&mut self, who: Who) {
        self.may_fork.insert(who);
    }

    /// The registry's store is an old backup from now on. Rooms that it knows as they are stay what they are.
    pub(super) fn registry_put_back(&mut self, now: &dyn Store, backup: &dyn Store) {
        for (name, room) in &mut self.rooms {
            let members = |store: &dyn Store| {
                let kept = store.room_named(name).ok().flatten()?;
                Some((kept.id, store.log_head(&kept.id).ok()?, store.members(&kept.id, None, u32::MAX).ok()?))
            };
            if members(now) != members(backup) {
                match now.room_named(name).ok().flatten() {
                    Some(kept) => room.put_back = Some(kept.id),
                    None => room.muddled = true,
                }
                let of_room = |said: &&mut Said| said.to == Target::Room(name.clone());
                self.texts.values_mut().filter(of_room).for_each(|said| said.audience.clear());
            }
        }
    }

    /// A liar says something else instead of `text` to somebody.
    pub(super) fn forked(&mut self, text: &str, lie: String) {
        let Some(said) = self.texts.get(text) else { return };
        let (author, to, order) = (said.author, said.to.clone(), said.order);
        self.texts.insert(lie, Said { author, to, order, id: None, audience: BTreeSet::new() });
    }

    /// Events go out. Whoever wrote them, a number of theirs means one thing.
    pub(super) fn sent(&mut self, hosts: &[Host], events: &Events) -> Result<(), Wrong> {
        for wire in events.events.iter() {
            let Ok(event) = wire.claim() else { return Err("sent an event that is none".to_owned()) };
            let place = (event.conversation, event.author, event.chain, event.number);
            let id = wire.id();
            let known = *self.numbers.entry(place).or_insert(id);
            if known != id && !hosts.iter().any(|host| host.lies.is_some() && host.identity_key() == event.author) {
                return Err(format!("sent another event of number {} than before", event.number));
            }
        }
        Ok(())
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
                room.entering.insert(who);
                room.left.remove(&who);
            }
            Command::Part { room: Some(room) } => {
                let known = self.rooms.entry(room.clone()).or_default();
                known.entering.remove(&who);
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
            Event::Changed(change) => self.was_changed(who, change, hosts),
            Event::Delivery(delivery) => self.delivery(who, delivery, hosts),
            Event::Forked { user, .. } => {
                let may_fork = |who: &Who| hosts[who.0].lies.is_some() || self.may_fork.contains(who);
                let liar = named(hosts, user.as_str()).filter(may_fork);
                self.forks_flagged.insert((who, liar.ok_or("a fork of somebody honest")?));
                Ok(())
            }
            Event::Frozen { conversation, .. } => {
                self.frozen(conversation);
                Ok(())
            }
            Event::Room { conversation, change, user, .. } if is_decision(*change) => {
                self.decision_told(conversation, *change, who, user.as_str(), hosts)
            }
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
                // Two rooms of one name, if the registry had lost another.
                room.muddled |= room.put_back.is_some();
                (room.owner, _) = (Some(user), room.entered.insert(user));
            }
            RoomChange::Joined if own => {
                room.present.insert(user);
                room.left.remove(&user);
                room.astray.remove(&user);
            }
            RoomChange::Parted if own => {
                room.present.remove(&user);
                if !room.entering.contains(&user) {
                    room.left.insert(user);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, who: Who, message: &MessageShown, hosts: &[Host]) -> Result<(), Wrong> {
        let typed = self.typed(message).map(|(typed, _)| typed.to_owned());
        let said = typed.and_then(|typed| self.texts.get_mut(&typed)).ok_or("a text of mine that I never typed")?;
        let is_liar = hosts[who.0].lies.is_some();
        if message.late && said.author == who && (said.id == Some(message.id) || is_liar) {
            // Of an older copy of a log, fetched back from others.
            return Ok(());
        }
        let again = said.id.is_some() && (is_liar || self.expected.contains(&Code::Storage));
        if said.author != who || said.to != message.conversation || (said.id.is_some() && !again) {
            return Err("a text of mine that is not mine, or told twice".to_owned());
        }
        if !hosts[who.0].disk.holds(&message.id) {
            return Err("accepted, but not on the disk".to_owned());
        }
        said.id = Some(message.id);
        if message.late {
            // Fetched back by an older copy, which waits for nobody with it.
            return Ok(());
        }
        said.audience = match &said.to {
            Target::Person(user) => named(hosts, user.as_str()).into_iter().collect(),
            Target::Room(room) => self.rooms.get(room).map(|room| room.present.clone()).unwrap_or_default(),
        };
        let room = match &said.to {
            Target::Room(room) => {
                let was_present = said.audience.remove(&who);
                let known = &self.rooms[room];
                // Of what was said too late, the owner's word for its author has told that it is refused.
                let was_put_out = !was_present && known.removed.contains(&who);
                if known.muddled || known.astray.contains(&who) || was_put_out {
                    said.audience.clear();
                }
                // A joiner whom the author has not heard of yet may be told to have missed it, by clocks that are wrong.
                (!was_present || known.private && self.clocks_jumped).then(|| room.clone())
            }
            Target::Person(_) => None,
        };
        if let Some(room) = room {
            // On the way out already.
            self.owed_only_to_known(who, &room, hosts);
        }
        Ok(())
    }

    fn was_shown(&mut self, who: Who, message: &MessageShown, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        let author = named(hosts, message.from.as_str()).ok_or("a text of nobody")?;
        let (typed, said) = self.typed(message).ok_or("a text that nobody typed")?;
        let (typed, order) = (typed.to_owned(), said.order);
        if said.author != author {
            return Err("a text under another's name".to_owned());
        }
        match (&said.to, &message.conversation) {
            (Target::Person(to), Target::Person(from)) if *to == hosts[who.0].name && *from == message.from => {}
            (Target::Room(to), Target::Room(shown)) if to == shown => {
                self.may_see(who, author, to, message, hosts, store)?;
                self.counts(who, author, message, hosts)?;
            }
            _ => return Err("a text in another conversation than it was meant for".to_owned()),
        }
        if self.shown_before.contains(&(who, message.id)) {
            return Err("shown again, though it was shown and kept before".to_owned());
        }
        if !self.shown_now.insert((who, message.id)) {
            return Err("shown twice".to_owned());
        }
        self.shown.insert((who, typed));
        if self.restored.contains(&author) || hosts[author.0].lies.is_some() {
            return Ok(());
        }
        let newest = self.newest.entry((who, message.conversation.clone(), author)).or_default();
        if *newest >= order {
            return Err(if *newest == order { "shown twice" } else { "shown out of order" }.to_owned());
        }
        *newest = order;
        Ok(())
    }

    /// The text as it was typed, of a message that may have been changed before it was shown.
    pub(super) fn typed(&self, message: &MessageShown) -> Option<(&str, &Said)> {
        let changed = message.changes.edited || message.changes.deleted;
        let by_id = || self.texts.iter().find(|(_, said)| changed && said.id == Some(message.id));
        let found = self.texts.get_key_value(&message.text).filter(|_| !changed).or_else(by_id);
        found.map(|(typed, said)| (typed.as_str(), said))
    }

    /// A change is told once, and of a text of somebody else it is no more than a reaction.
    fn was_changed(&mut self, who: Who, change: &ChangeShown, hosts: &[Host]) -> Result<(), Wrong> {
        let from = named(hosts, change.from.as_str()).ok_or("a change by nobody")?;
        let said = self.texts.values().find(|said| said.id == Some(change.id));
        let reacts = matches!(change.act, Act::Reacted { .. });
        if said.is_some_and(|said| said.author != from) && !reacts {
            return Err("a text changed by somebody else".to_owned());
        }
        if change.own && !hosts[who.0].disk.holds(&change.event) {
            return Err("a change accepted, but not on the disk".to_owned());
        }
        if !self.changed.insert((who, change.event)) {
            return Err("a change told twice".to_owned());
        }
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
        if room.is_exempt() {
            return Ok(());
        }
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
        if message.at < joined.minus(JOIN_CLOCK_SLACK) && !self.clocks_jumped {
            return Err("a private room's text from before one came".to_owned());
        }
        Ok(())
    }

    /// Whether somebody may be sent events of this conversation at all: of a private room only with an invitation.
    pub(super) fn may_receive(&self, who: Who, conversation: ConversationId, store: &dyn Store) -> bool {
        let Some(room) = store.room(&conversation.into()).ok().flatten() else { return true };
        let known = &self.rooms[&room.genesis.name];
        !room.genesis.private || known.is_exempt() || known.owner == Some(who) || known.invited.contains(&who)
    }

    fn delivery(&mut self, who: Who, delivery: &Delivery, hosts: &[Host]) -> Result<(), Wrong> {
        let to = named(hosts, delivery.to.as_str()).ok_or("a delivery to nobody")?;
        if delivery.done > delivery.of {
            return Err("delivered to more people than there are".to_owned());
        }
        if delivery.state == DeliveryState::Delivered {
            let was_held = hosts[to.0].disk.secures(&delivery.id) || self.lost.contains(&(to, delivery.id));
            // A liar may have told them something else under that number.
            if !was_held && hosts[who.0].lies.is_none() {
                return Err("told to be delivered, but not on the recipient's disk".to_owned());
            }
            let is_shown = self.shown_now.contains(&(to, delivery.id)) && hosts[who.0].lies.is_none();
            if is_shown && !self.screens_stand_still && !hosts[to.0].disk.is_marked(&delivery.id) {
                return Err("told to be delivered, and not marked as shown by the recipient".to_owned());
            }
            self.delivered.insert((who, delivery.id, to));
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
    pub(super) fn owes_nothing(&mut self, who: Who, to: &Target) {
        for said in self.texts.values_mut().filter(|said| said.to == *to) {
            said.audience.remove(&who);
        }
    }
}

fn is_decision(change: RoomChange) -> bool {
    use RoomChange::{Banned, Closed, Kicked, Owner, Unbanned};
    matches!(change, Kicked | Banned | Unbanned | Owner | Closed)
}

pub(super) fn named(hosts: &[Host], name: &str) -> Option<Who> {
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
