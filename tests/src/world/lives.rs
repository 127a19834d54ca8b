//! What the end of a program and a log put back do to what the model knows: who was shown what for good, and who is owed
//! what.

use common::ids::EventId;
use common::names::RoomName;
use peer::api::{Event, Exit, Target};

use super::host::{Host, Who};
use super::model::{Model, RoomModel};

impl Model {
    pub(super) fn life_begins(&mut self, who: Who) {
        self.newest.retain(|(reader, _, _), _| *reader != who);
        self.changed.retain(|(reader, _)| *reader != who);
        self.shown_now.retain(|(reader, _)| *reader != who);
    }

    /// Something was told and the front-end died with it: nobody has seen it.
    pub(super) fn not_written(&mut self, who: Who, event: &Event) {
        if let Event::Message(message) = event
            && !message.own
        {
            let typed = self.typed(message).map_or(message.text.as_str(), |(typed, _)| typed).to_owned();
            self.shown.remove(&(who, typed));
            self.shown_now.remove(&(who, message.id));
        }
    }

    /// A program ended, by itself with this exit or not. What it had shown and stored is not to be shown again, but for
    /// the last lines before a crash, or before it gave up on a disk that takes nothing: those may not be marked yet.
    pub(super) fn life_ends(&mut self, who: Who, exit: Option<Exit>, hosts: &[Host]) {
        let disk = &hosts[who.0].disk;
        let is_quiet_end = exit.is_some_and(|exit| exit != Exit::Disk) && hosts[who.0].full_until <= self.now;
        let firm = |id: &EventId| disk.holds(id) && (is_quiet_end || disk.is_marked(id));
        let shown = self.shown_now.iter().filter(|(reader, id)| *reader == who && firm(id));
        self.shown_before.extend(shown.copied());
    }

    /// The machine stopped, and with it went marks of what was shown.
    pub(super) fn marks_lost(&mut self, who: Who, hosts: &[Host]) {
        self.shown_before.retain(|(reader, id)| *reader != who || hosts[who.0].disk.is_marked(id));
        self.shown_now.retain(|(reader, _)| *reader != who);
    }

    /// Somebody's log is about to be replaced.
    pub(super) fn log_goes(&mut self, who: Who, hosts: &[Host]) {
        self.lost.extend(hosts[who.0].disk.ids().map(|id| (who, id)));
    }

    /// Somebody's log is an older copy from now on: what is not in it may be shown again, and what they had said may be
    /// lost.
    pub(super) fn log_put_back(&mut self, who: Who, hosts: &[Host]) {
        let disk = &hosts[who.0].disk;
        self.restored.insert(who);
        self.shown_now.retain(|(reader, _)| *reader != who);
        self.shown_before.retain(|(reader, id)| *reader != who || disk.holds(id) && disk.is_marked(id));
        for (text, said) in &mut self.texts {
            if said.id.is_none_or(|id| disk.holds(&id)) {
                continue;
            }
            if said.author == who {
                said.audience.clear();
            } else if self.shown.contains(&(who, text.clone())) {
                // Who said it knows of nothing that is missing, and need not be there any more.
                said.audience.remove(&who);
            }
        }
        // Of having left, the copy may know nothing, and the registry neither.
        for room in self.rooms.values_mut() {
            room.left.remove(&who);
        }
        let joined = disk.rooms_joined();
        let changed = |(name, room): &(&RoomName, &RoomModel)| joined.contains(name) != room.present.contains(&who);
        let changed: Vec<_> = self.rooms.iter().filter(changed).map(|(name, _)| name.clone()).collect();
        for name in changed {
            let room = self.rooms.entry(name.clone()).or_default();
            room.present.remove(&who);
            room.left.remove(&who);
            room.astray.insert(who);
            self.owes_nothing(who, &Target::Room(name));
        }
    }
}
