//! Passing on what others say in a large room: at once along the way that the graph gives, and later as an offer to
//! everybody who is not known to hold it.

use std::time::Duration;

use common::ids::{ConversationId, IdentityKey};
use common::limits::HOLDINGS_MAX;
use common::message::event::{COUNT_MAX, Content, Event as ChainEvent, WireEvent};
use common::message::peer::{Have, Holding, PeerMessage};
use common::time::{Monotonic, UnixMillis};
use common::wire::bounded::List;

use super::graph::Graph;
use crate::node::account::Account;
use crate::node::context::Context;
use crate::node::conversation::ChainKey;
use crate::node::links::Told;
use crate::node::receive::{Misbehaved, Run, Taken, Via};
use crate::node::repair::Claim;
use crate::node::sync::{self, joined_since, signed_part};
use crate::ports::{LinkId, LinkOutput, Output};

/// How much was passed on over one link within one second: what is beyond is asked for as fast as it is read.
#[derive(Debug, Default)]
pub(in crate::node) struct Passed {
    second: u64,
    bytes: usize,
}

impl Passed {
    fn has_room(&mut self, now: Monotonic, bytes: usize) -> bool {
        let second = now.0 / 1000;
        if self.second != second {
            *self = Self { second, bytes: 0 };
        }
        self.bytes += bytes;
        self.bytes <= PASSED_BYTES_PER_SECOND_MAX
    }
}

impl Account {
    /// New events of somebody else, checked and taken in, of which `first` is the first: those that are farther from the
    /// author than I am are sent them.
    pub(in crate::node) fn pass_on(
        &mut self,
        cx: &mut Context,
        first: &ChainEvent,
        wires: &[WireEvent],
        (via, late): (Via, bool),
    ) {
        let (id, key) = (first.conversation, (first.author, first.chain));
        let (Via::Link(from), true) = (via, self.overlay.carries(&id)) else { return };
        let wires = &wires[..signed_part(wires, |wire| wire)];
        let is_new = !late || cx.now.wall <= first.at.plus(NEW_FOR);
        if wires.is_empty() || !is_new {
            return self.offer_soon(cx, id);
        }
        let last = first.number + wires.len() as u64 - 1;
        let bytes: usize = wires.iter().map(|wire| wire.bytes.len()).sum();
        for (link, identity) in self.next_ones(cx.now.monotonic, id, &first.author) {
            let since = self.conversations.get(&id).and_then(|conversation| joined_since(conversation, &identity));
            let is_open = since.is_none_or(|since: UnixMillis| first.at >= since);
            let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) else {
                continue;
            };
            if identity != from && is_open && !told.holds(&key, last) && told.passed.has_room(cx.now.monotonic, bytes) {
                told.known_to_hold(key, last);
                sync::send_events(cx, link, id, false, wires.to_vec());
            }
        }
        self.offer_soon(cx, id);
    }

    /// Links on which I am to pass on what `author` says; all of them if nobody knows where the author is.
    fn next_ones(&mut self, now: Monotonic, id: ConversationId, author: &IdentityKey) -> Vec<(LinkId, IdentityKey)> {
        let open = self.room_links(id);
        let me = self.me;
        let Some(graph) = self.graph_of(now, id) else { return open };
        if !graph.has(author) {
            return open.into_iter().filter(|(_, identity)| identity != author).collect();
        }
        open.into_iter().filter(|(_, identity)| graph.passes_on(author, &me, identity)).collect()
    }

    /// Links with members of a room who said what they hold of it.
    pub(super) fn room_links(&self, id: ConversationId) -> Vec<(LinkId, IdentityKey)> {
        let Some(room) = self.room(id) else { return Vec::new() };
        let open = self.links.iter().filter(|(_, live)| {
            let heard = live.conversations.get(&id).is_some_and(|told| told.have_heard);
            heard && room.is_member(&live.person.identity)
        });
        open.map(|(link, live)| (link, live.person.identity)).collect()
    }

    /// The graph of a crowd, as it was not long ago.
    pub(super) fn graph_of(&mut self, now: Monotonic, id: ConversationId) -> Option<&mut Graph> {
        let mesh = self.overlay.rooms.get(&id)?;
        let is_old = mesh.is_graph_old && mesh.graph_at.plus(GRAPH_KEPT_FOR) <= now;
        if mesh.graph.is_none() || is_old {
            let room = self.conversations.get(&id)?.room()?;
            let there = room.others(&self.me).filter(|(_, member)| self.is_there(&member.user));
            let there: Vec<_> = there.map(|(identity, _)| *identity).chain([self.me]).collect();
            let mesh = self.overlay.rooms.get_mut(&id)?;
            let members = there.into_iter().map(|identity| (identity, mesh.place(&id, identity))).collect();
            (mesh.graph, mesh.graph_at, mesh.is_graph_old) = (Some(Graph::new(members)), now, false);
        }
        self.overlay.rooms.get_mut(&id)?.graph.as_mut()
    }

    /// Events that their sender passes on, unasked.
    pub(in crate::node) fn passed_on_came(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        first: &ChainEvent,
        events: &[WireEvent],
        late: bool,
    ) -> Result<(), Misbehaved> {
        let (id, key) = (first.conversation, (first.author, first.chain));
        let Some(by) = self.links.get(link).map(|live| live.person.identity) else { return Ok(()) };
        if key.0 == self.me || !self.room(id).is_some_and(|room| room.is_member(&by)) {
            return Ok(());
        }
        let last = first.number.saturating_add(events.len() as u64 - 1);
        if last > COUNT_MAX {
            return Err("a number beyond all numbers");
        }
        self.holds(link, id, key, last);
        if first.number == 1 && matches!(first.content(), Ok(Content::Join(_))) {
            // Who speaks here for the first time may not be known by anybody else's word yet.
            let mut writes = Vec::new();
            self.member_joined(cx, id, &events[0], true, &mut writes);
            self.commit(cx, writes, Vec::new());
        }
        let claim = Claim { number: last, heard_at: cx.now.monotonic, ours: None };
        let Some(author) = self.conversations.get(&id).and_then(|known| self.author_of(known, &key.0)) else {
            // It is asked for when it is known whose it is.
            self.note(link, id, key, claim);
            return Ok(());
        };
        let (chain, via) = (key.1, Via::Link(by));
        match self.take_run(cx, &Run { conversation: id, author, chain, events, late, via })? {
            Taken::Hole => {
                // Whoever passes it on has what lies before it, too.
                if self.note(link, id, key, claim) {
                    self.gap_known(cx, id, key, last);
                }
            }
            Taken::Fork => {
                self.fork_seen(cx, id, key);
                self.branch_came(cx, link, id, key, events);
            }
            Taken::Void => self.send_newer_entries(cx, link, id, first.head),
            Taken::Whole | Taken::PassedOver => {}
        }
        Ok(())
    }

    /// The far end of a link is known to hold a chain up to `number`.
    pub(in crate::node) fn holds(&mut self, link: LinkId, id: ConversationId, key: ChainKey, number: u64) {
        if !self.overlay.carries(&id)
            || !self.conversations.get(&id).is_some_and(|known| known.theirs.contains_key(&key))
        {
            return;
        }
        if let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) {
            told.known_to_hold(key, number);
        }
    }

    /// In a moment, neighbours are offered what came in.
    pub(in crate::node) fn offer_soon(&mut self, cx: &mut Context, id: ConversationId) {
        let jitter = Duration::from_millis(cx.below(u64::try_from(OFFERED_AFTER.as_millis()).unwrap_or(0)));
        if let Some(mesh) = self.overlay.rooms.get_mut(&id).filter(|mesh| mesh.near.is_some()) {
            mesh.offers_at.get_or_insert(cx.now.monotonic.plus(OFFERED_AFTER + jitter));
        }
    }

    /// What a neighbour is known to hold is told it again, a part of it every minute: it may have lost what it asked for.
    pub(in crate::node) fn offer_again(&mut self, cx: &mut Context, id: ConversationId, round: u64) {
        let part = u8::try_from(round % u64::from(OFFERED_AGAIN_IN)).unwrap_or(0);
        for live in self.links.iter_mut() {
            let told = live.conversations.get_mut(&id);
            told.into_iter().for_each(|told| told.forget_known(|(_, chain)| chain.0[0] % OFFERED_AGAIN_IN == part));
        }
        self.offer_soon(cx, id);
    }

    /// Tells each neighbour what is on the disk here and not known to be there.
    pub(super) fn send_offers(&mut self, cx: &mut Context, id: ConversationId) {
        if let Some(mesh) = self.overlay.rooms.get_mut(&id) {
            mesh.offers_at = None;
        }
        for (link, identity) in self.room_links(id) {
            let Some(conversation) = self.conversations.get(&id) else { return };
            let (head, entry) = (conversation.head(), conversation.last_entry());
            let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) else {
                continue;
            };
            let lacks = |holding: &Holding| !told.holds(&(holding.author, holding.chain), holding.number);
            let offered: Vec<Holding> = conversation.holdings_besides(&identity).filter(lacks).collect();
            for holding in &offered {
                told.known_to_hold((holding.author, holding.chain), holding.number);
            }
            for page in offered.chunks(HOLDINGS_MAX) {
                let holdings = List::cut(page.to_vec());
                let message = PeerMessage::Have(Have { conversation: id, head, entry, holdings });
                cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
            }
        }
    }
}

impl Told {
    /// Whether the far end is known to hold a chain up to `number`.
    fn holds(&self, key: &ChainKey, number: u64) -> bool {
        self.known.get(key).is_some_and(|known| *known >= number)
    }

    fn known_to_hold(&mut self, key: ChainKey, number: u64) {
        let known = self.known.entry(key).or_default();
        *known = number.max(*known);
    }

    fn forget_known(&mut self, is_meant: impl Fn(&ChainKey) -> bool) {
        self.known.retain(|key, _| !is_meant(key));
    }
}

/// As much again at most is waited for by chance, so that two neighbours do not both offer.
const OFFERED_AFTER: Duration = Duration::from_millis(500);
/// In so many minutes everything is offered once more.
const OFFERED_AGAIN_IN: u8 = 16;
/// What was wanted and is no older is as good as just said.
const NEW_FOR: Duration = Duration::from_secs(10);
/// People come in numbers: the way that events take is not worked out anew for each.
const GRAPH_KEPT_FOR: Duration = Duration::from_secs(1);
/// A slow link takes two megabits a second.
const PASSED_BYTES_PER_SECOND_MAX: usize = 256 * 1024;

const _: () = assert!(PASSED_BYTES_PER_SECOND_MAX >= common::limits::EVENTS_BYTES_MAX);
