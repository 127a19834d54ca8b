//! What a node keeps in memory on behalf of others, counted when somebody asks: it has to stay within bounds whatever
//! they do. The simulator asks after every tick; nothing is kept for it.

use common::limits::EVENTS_BYTES_MAX;

use super::links::WINDOW_BYTES;
use super::receive::CHAINS_PER_AUTHOR_MAX;
use super::{Node, QUEUED_COMMANDS_MAX, Session, conversation};

/// The largest of each kind at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Links to one person.
    pub links_per_person: usize,
    /// Chains of one author in one conversation.
    pub chains_per_author: usize,
    /// Sent and not acknowledged, of one chain on one link.
    pub in_flight_bytes: usize,
    /// Events of one chain of mine at hand.
    pub recent_events: usize,
    /// Commands not begun.
    pub commands: usize,
}

impl Footprint {
    /// What none of them ever exceeds.
    pub const MAX: Self = Self {
        links_per_person: 1,
        chains_per_author: CHAINS_PER_AUTHOR_MAX,
        // Looked at before a reading from the disk goes out whole.
        in_flight_bytes: WINDOW_BYTES + 5 * EVENTS_BYTES_MAX,
        recent_events: conversation::RECENT_EVENTS_MAX,
        // Somebody who types does not look first.
        commands: QUEUED_COMMANDS_MAX + QUEUED_COMMANDS_MAX,
    };

    pub fn is_within(&self, max: &Self) -> bool {
        self.links_per_person <= max.links_per_person
            && self.chains_per_author <= max.chains_per_author
            && self.in_flight_bytes <= max.in_flight_bytes
            && self.recent_events <= max.recent_events
            && self.commands <= max.commands
    }
}

impl Node {
    pub fn footprint(&self) -> Footprint {
        let mut found = Footprint { commands: self.queue.len(), ..Footprint::default() };
        let Session::SignedIn(account) = &self.session else { return found };
        for (_, link) in account.links.iter() {
            let same = account.links.iter().filter(|(_, other)| other.person.user == link.person.user);
            found.links_per_person = found.links_per_person.max(same.count());
            let cursors = link.conversations.values().flat_map(|told| told.cursors.values());
            let in_flight = cursors.map(super::links::Cursor::in_flight_bytes).max().unwrap_or(0);
            found.in_flight_bytes = found.in_flight_bytes.max(in_flight);
        }
        for conversation in account.conversations.values() {
            // In their order, those of one author are together.
            let chains: Vec<_> = conversation.theirs.keys().map(|(author, _)| author).collect();
            let most = chains.chunk_by(|one, other| one == other).map(<[_]>::len).max().unwrap_or(0);
            found.chains_per_author = found.chains_per_author.max(most);
            let recent = conversation.own.values().map(conversation::OwnLog::recent_count).max().unwrap_or(0);
            found.recent_events = found.recent_events.max(recent);
        }
        found
    }
}
