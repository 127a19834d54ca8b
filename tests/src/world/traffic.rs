//! What goes over the links of a world, counted: bytes as they would be padded, and the way that each event takes.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::EventId;
use common::limits::PADDED_BYTES;
use common::message::peer::PeerMessage;
use common::time::Monotonic;
use common::wire::codec;
use peer::ports::LinkId;

use super::World;
use super::host::Who;

/// See the module. A world counts when it is told to: encoding everything takes time.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Said at one moment on one link: one frame, unless it is too much for one.
    frames: BTreeMap<(Who, LinkId), (Monotonic, usize)>,
    pub bytes: u64,
    /// The same by kind of message, not padded.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How many steps each event was from its author when it first came to somebody, and when that was.
    pub first: BTreeMap<(EventId, Who), (u32, Monotonic)>,
    /// Events that came to somebody who had them.
    pub duplicates: u64,
    authors: BTreeSet<(EventId, Who)>,
}

impl Traffic {
    fn sent(&mut self, now: Monotonic, who: Who, link: LinkId, message: &PeerMessage) {
        let bytes = codec::encode(message).len();
        *self.kinds.entry(kind(message)).or_default() += bytes as u64;
        let (begun, open) = self.frames.entry((who, link)).or_insert((now, 0));
        let largest = PADDED_BYTES[PADDED_BYTES.len() - 1];
        if *begun != now || *open + bytes > largest {
            self.bytes += framed(*open);
            (*begun, *open) = (now, 0);
        }
        *open += bytes;
    }

    fn arrived(&mut self, now: Monotonic, from: Who, to: Who, message: &PeerMessage) {
        let PeerMessage::Events(events) = message else { return };
        for id in events.events.iter().map(|wire| wire.id()) {
            let steps = self.first.get(&(id, from)).map_or(0, |(steps, _)| *steps);
            if steps == 0 {
                self.authors.insert((id, from));
            }
            if self.first.contains_key(&(id, to)) || self.authors.contains(&(id, to)) {
                self.duplicates += 1;
            } else {
                self.first.insert((id, to), (steps + 1, now));
            }
        }
    }

    /// What is said and not framed yet goes out now.
    fn close(&mut self) {
        for (_, bytes) in std::mem::take(&mut self.frames).into_values() {
            self.bytes += framed(bytes);
        }
    }
}

impl World {
    /// From now on what goes over links is counted, from zero; what was counted so far.
    pub fn count_traffic(&mut self) -> Traffic {
        let mut counted = self.traffic.replace(Traffic::default()).unwrap_or_default();
        counted.close();
        counted
    }

    pub(super) fn count_sent(&mut self, who: Who, link: LinkId, message: &PeerMessage) {
        if let Some(traffic) = &mut self.traffic {
            traffic.sent(self.now, who, link, message);
        }
    }

    pub(super) fn count_arrived(&mut self, from: Who, to: Who, messages: &[PeerMessage]) {
        if let Some(traffic) = &mut self.traffic {
            messages.iter().for_each(|message| traffic.arrived(self.now, from, to, message));
        }
    }
}

/// A frame on the wire: its length, the seal, and the padded plaintext with its own length.
fn framed(bytes: usize) -> u64 {
    if bytes == 0 {
        return 0;
    }
    let padded = PADDED_BYTES.into_iter().find(|size| bytes + 2 <= *size).unwrap_or(bytes + 2);
    (padded + 2 + common::limits::SEAL_BYTES) as u64
}

fn kind(message: &PeerMessage) -> &'static str {
    match message {
        PeerMessage::Events(_) => "events",
        PeerMessage::Have(_) => "have",
        PeerMessage::Want(_) => "want",
        PeerMessage::Receipts(_) => "receipts",
        PeerMessage::RoomHello { .. } => "hello",
        _ => "other",
    }
}
