//! One chain on the virtual disk, mine or somebody's.

use std::collections::BTreeMap;

use common::ids::{ChainId, EventId, IdentityKey};
use peer::ports::{MailedRun, OwnChain, Pending, StoredEvent};

#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    pub(super) own: bool,
    /// Held without holes up to here, and what is there.
    pub(super) number: u64,
    pub(super) last: Option<EventId>,
    pub(super) lamport: u64,
    /// Messages up to here were shown.
    pub(super) told: u64,
    pub(super) borrowed_from: Option<u64>,
    pub(super) events: BTreeMap<u64, StoredEvent>,
    pub(super) recipients: BTreeMap<u64, Vec<IdentityKey>>,
    pub(super) acked: BTreeMap<IdentityKey, u64>,
    pub(super) mailed: BTreeMap<IdentityKey, Vec<MailedRun>>,
}

impl Chain {
    /// Held up to `number`; what came after it already is held as well.
    pub(super) fn hold(&mut self, number: u64, last: Option<EventId>) {
        (self.number, self.last) = (number, last);
        while let Some(next) = self.events.get(&(self.number + 1)) {
            (self.number, self.last) = (next.number, Some(next.id));
        }
    }

    pub(super) fn read(&self, from: u64, bytes_max: usize, not_before: common::time::UnixMillis) -> Vec<StoredEvent> {
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

    pub(super) fn load_own(&self, chain: ChainId) -> OwnChain {
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
            mailed: self.mailed.iter().map(|(recipient, runs)| (*recipient, runs.clone())).collect(),
            last: self.last.expect("a chain of mine has no hole"),
            acked: self.acked.iter().map(|(recipient, number)| (*recipient, *number)).collect(),
            pending: pending.collect(),
        }
    }
}
