//! What has to be true when everything has calmed down: nothing is missing, nobody waits, all agree.

use common::message::room::History;
use common::names::RoomName;
use peer::api::Target;
use registry::store::{Room, Store};

use super::host::{Host, Who};
use super::model::{Model, RoomModel, Said, Wrong};

impl Model {
    /// Everything has calmed down: is anything missing?
    pub(super) fn at_the_end(&self, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        self.registry_agrees(hosts, store)?;
        for (text, said) in &self.texts {
            let Some(id) = said.id.filter(|_| is_here(hosts, said.author)) else { continue };
            let author = &hosts[said.author.0].name;
            for reader in said.audience.iter().filter(|reader| is_here(hosts, **reader)) {
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
        for (name, room) in self.rooms.iter().filter(|(_, room)| !room.muddled) {
            let kept = store.room_named(name).ok().flatten();
            let Some(kept) = kept.filter(|kept| is_whole(room, kept, hosts)) else { continue };
            self.members_agree(name, room, &kept, hosts)?;
        }
        self.nothing_waits(hosts)
    }

    /// The registry lists whoever is in a room, and nobody who was told to have left.
    fn registry_agrees(&self, hosts: &[Host], store: &dyn Store) -> Result<(), Wrong> {
        for (name, room) in self.rooms.iter().filter(|(_, room)| !room.muddled) {
            let kept = store.room_named(name).ok().flatten();
            let Some(kept) = kept.filter(|kept| is_whole(room, kept, hosts)) else { continue };
            let listed = |who: &Who| {
                let member = store.member(&kept.id, &hosts[who.0].name).ok().flatten();
                member.is_some_and(|member| member.is_present())
            };
            let mut left = room.left.iter().filter(|who| is_here(hosts, **who));
            if let Some(who) = left.find(|who| listed(who)) {
                return Err(format!("the registry has {} in {name}, who has left", hosts[who.0].name));
            }
            // Whoever never came back may have been put out since.
            // An older copy of a log may take somebody for in who had left: they are told to join again.
            let sure = |who: &&Who| is_here(hosts, **who) && !self.restored.contains(who);
            let mut present = room.present.iter().filter(sure);
            if let Some(who) = present.find(|who| !listed(who)) {
                return Err(format!("the registry does not have {} in {name}", hosts[who.0].name));
            }
        }
        Ok(())
    }

    /// Whoever is in a public room has everything that those who are in it ever said there.
    fn whole_history(&self, text: &str, said: &Said, hosts: &[Host]) -> Result<(), Wrong> {
        let Target::Room(name) = &said.to else { return Ok(()) };
        let room = &self.rooms[name];
        if self.was_removed(name, said.author)
            || room.private
            || room.muddled
            || !room.present.contains(&said.author)
            || room.put_back.is_some()
            || self.may_be_lost(said, hosts)
        {
            return Ok(());
        }
        let mut others = room.present.iter().filter(|reader| **reader != said.author && is_here(hosts, **reader));
        match others.find(|reader| !self.shown.contains(&(**reader, text.to_owned()))) {
            Some(lacking) => Err(format!("{} was not served {text:?} of {name}", hosts[lacking.0].name)),
            None => Ok(()),
        }
    }

    /// An older copy of the author's log does not have it.
    fn may_be_lost(&self, said: &Said, hosts: &[Host]) -> bool {
        said.id.is_none_or(|id| !hosts[said.author.0].disk.holds(&id))
    }

    /// What honest members hold of a room is the same, place by place, unless a liar forked: then they know.
    fn members_agree(&self, name: &RoomName, room: &RoomModel, kept: &Room, hosts: &[Host]) -> Result<(), Wrong> {
        let present = room.present.iter().filter(|who| is_here(hosts, **who));
        let held: Vec<_> = present.map(|who| (*who, hosts[who.0].disk.events_of(&kept.id.into()))).collect();
        for (one, mine) in &held {
            for (other, theirs) in held.iter().filter(|(other, _)| other != one) {
                for (place, id) in mine {
                    let author = hosts.iter().position(|host| host.identity_key() == place.0).map(Who);
                    let author = author.ok_or("an event of nobody")?;
                    // Of somebody who was removed, some may hold what they had before they knew.
                    let lies = hosts[author.0].lies.is_some() || self.was_removed(name, author);
                    let other_name = &hosts[other.0].name;
                    match theirs.get(place) {
                        Some(same) if same == id => {}
                        Some(_) if !lies => return Err(format!("two events of one number are about in {name}")),
                        Some(_) if hosts[author.0].lies.is_some() && !self.forks_flagged.contains(&(*one, author)) => {
                            return Err(format!("{} was not told of a fork in {name}", hosts[one.0].name));
                        }
                        None if !lies && kept.genesis.history == History::All => {
                            let number = place.2;
                            return Err(format!(
                                "{other_name} lacks number {number} of {} in {name}",
                                hosts[author.0].name
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Nobody's disk says that somebody who is still there lacks something.
    fn nothing_waits(&self, hosts: &[Host]) -> Result<(), Wrong> {
        let people = (0..hosts.len()).map(Who).filter(|who| is_here(hosts, *who)).collect::<Vec<_>>();
        for author in &people {
            for reader in people.iter().filter(|reader| *reader != author) {
                let owed = |said: &&Said| said.author == *author && said.audience.contains(reader);
                let waits = hosts[author.0].disk.unacknowledged(&hosts[reader.0].identity_key());
                let text = self
                    .texts
                    .values()
                    .filter(owed)
                    .find(|said| said.id.is_some_and(|id| waits.iter().any(|(_, _, waiting)| *waiting == id)));
                if text.is_some() {
                    return Err(format!("{} still waits for {}", hosts[author.0].name, hosts[reader.0].name));
                }
            }
        }
        Ok(())
    }
}

/// Whether the registry has a room as it should be, or whoever can bring it up to date is there: its owner, with what
/// was decided. Another room may have taken its name meanwhile.
fn is_whole(room: &RoomModel, kept: &Room, hosts: &[Host]) -> bool {
    room.put_back.is_none_or(|id| {
        id == kept.id && room.owner.is_some_and(|owner| is_here(hosts, owner) && room.present.contains(&owner))
    })
}

/// Neither gone for good nor a liar: to these and by these everything is kept.
fn is_here(hosts: &[Host], who: Who) -> bool {
    !hosts[who.0].is_gone && hosts[who.0].lies.is_none()
}
