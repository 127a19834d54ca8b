//! Large rooms. Up to `MESH_MAX` others who are there, a member is linked with each; in a larger crowd only with its
//! neighbours (`graph`). New events are passed on, and offered to whoever is not known to hold them (`relay`); receipts
//! are handed on towards authors (`receipts`); whom an author still hears nothing of gets a link, a few at a time, over
//! which all is as in a small room. So the overlay decides how fast something comes, and never whether. Everybody works
//! it out alone, from public data: who knows other people to be there passes on a little more, or a little later.

mod graph;
mod receipts;
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{ConversationId, IdentityKey};
use common::limits::MESH_MAX;
use common::names::UserName;
use common::time::Monotonic;

use crate::node::account::Account;
use crate::node::context::Context;
use crate::node::conversation::ChainKey;
use crate::ports::{LinkId, LinkOutput, Output};

pub(in crate::node) use relay::Passed;

use graph::{Graph, Place};
use receipts::Passing;

/// Every room of mine that is or was looked at.
#[derive(Debug, Default)]
pub(in crate::node) struct Overlay {
    rooms: BTreeMap<ConversationId, Mesh>,
}

/// One room, as far as it is a crowd.
#[derive(Debug, Default)]
struct Mesh {
    /// What was known of people and of the room when this was worked out.
    seen: Option<(u64, u64)>,
    seen_at: Monotonic,
    /// Something has changed since; many changes are looked at together.
    look_at: Option<Monotonic>,
    /// With whom there is to be a link. `None`: everybody.
    near: Option<BTreeSet<IdentityKey>>,
    /// Who is there and has not acknowledged something for long: there is to be a link as well.
    stragglers: BTreeSet<IdentityKey>,
    /// How far each of those who lack something has come, and since when.
    lagging: BTreeMap<IdentityKey, (u64, Monotonic)>,
    lagging_at: Option<Monotonic>,
    places: BTreeMap<IdentityKey, Place>,
    /// Worked out when something is to be passed on, and again after a moment if who is there has changed.
    graph: Option<Graph>,
    graph_at: Monotonic,
    is_graph_old: bool,
    /// When neighbours are offered what they are not known to hold.
    offers_at: Option<Monotonic>,
    /// Up to where I owe a receipt, and when I look.
    owed: BTreeMap<ChainKey, u64>,
    owed_at: Option<Monotonic>,
    passing: Passing,
}

impl Overlay {
    /// Whether a member is to be linked with, as far as the room is concerned.
    pub(in crate::node) fn wants(&self, id: &ConversationId, identity: &IdentityKey) -> bool {
        let Some(mesh) = self.rooms.get(id) else { return true };
        let is_near = mesh.near.as_ref().is_none_or(|near| near.contains(identity));
        is_near || mesh.stragglers.contains(identity)
    }

    /// Whether what is said there is passed on by others than its author.
    pub(in crate::node) fn carries(&self, id: &ConversationId) -> bool {
        self.rooms.get(id).is_some_and(|mesh| mesh.near.is_some())
    }

    /// A link is gone, and perhaps what was handed on over it.
    pub(in crate::node) fn forget_link(&mut self, now: Monotonic, link: LinkId) {
        self.rooms.values_mut().for_each(|mesh| mesh.passing.again(now, link));
    }

    pub(in crate::node) fn next_timeout(&self) -> Option<Monotonic> {
        let due = |mesh: &Mesh| [mesh.look_at, mesh.lagging_at, mesh.offers_at, mesh.owed_at, mesh.passing.due()];
        self.rooms.values().flat_map(due).flatten().min()
    }
}

impl Account {
    /// Looks again at the rooms in which somebody came, went or could not be reached; called whenever outputs are drained.
    pub(in crate::node) fn refresh_overlay(&mut self, cx: &mut Context) {
        let people = self.people.version;
        let changed = self.rooms.values().filter(|id| {
            let room = self.room(**id).filter(|room| room.joined && !self.registry.lists_members(**id));
            let seen = self.overlay.rooms.get(*id).and_then(|mesh| mesh.seen);
            room.is_some_and(|room| Some((people, room.version)) != seen)
        });
        for id in changed.copied().collect::<Vec<_>>() {
            let crowd = self.overlay.rooms.get_mut(&id).filter(|mesh| mesh.near.is_some());
            match crowd.filter(|mesh| cx.now.monotonic < mesh.seen_at.plus(LOOK_PAUSE)) {
                Some(mesh) => mesh.look_at = Some(mesh.seen_at.plus(LOOK_PAUSE)),
                None => self.refresh_mesh(cx, id),
            }
        }
        let conversations = &self.conversations;
        let is_in =
            |id: &ConversationId| conversations.get(id).and_then(|known| known.room()).is_some_and(|room| room.joined);
        self.overlay.rooms.retain(|id, _| is_in(id));
    }

    /// All members of a room are known: a link is made with those who are there and wanted.
    pub(in crate::node) fn reach_members(&mut self, cx: &mut Context, id: ConversationId) {
        self.refresh_overlay(cx);
        let Some(room) = self.room(id).filter(|room| room.joined) else { return };
        let wanted = room.others(&self.me).filter(|(identity, _)| self.overlay.wants(&id, identity));
        let wanted: Vec<_> = wanted.map(|(_, member)| member.user.clone()).collect();
        for user in wanted {
            if self.people.get(&user).is_some_and(|contact| contact.listed_online) {
                self.dial_now(cx, &user);
            }
        }
    }

    fn refresh_mesh(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(room) = self.room(id).filter(|room| room.joined) else { return };
        let version = room.version;
        let there: Vec<(IdentityKey, UserName, bool)> = room
            .others(&self.me)
            .filter(|(_, member)| self.is_there(&member.user))
            .map(|(identity, member)| (*identity, member.user.clone(), self.is_reached(&member.user)))
            .collect();
        let (me, mesh) = (self.me, self.overlay.rooms.entry(id).or_default());
        mesh.seen = Some((self.people.version, version));
        (mesh.seen_at, mesh.look_at) = (cx.now.monotonic, None);
        mesh.is_graph_old = true;
        let was_crowd = mesh.near.is_some();
        if there.len() <= MESH_MAX {
            mesh.near = None;
            if was_crowd {
                self.crowd_has_gone(cx, id, &there);
            }
            return;
        }
        let mine = mesh.place(&id, me);
        let places: Vec<_> = there.iter().map(|(identity, _, _)| mesh.place(&id, *identity)).collect();
        let others = there.iter().zip(&places).map(|((identity, _, reached), place)| (identity, place, *reached));
        let near = graph::neighbours(&mine, others);
        let before = mesh.near.replace(near.clone()).unwrap_or_default();
        mesh.lagging_at.get_or_insert(cx.now.monotonic.plus(LAGGING_EVERY));
        if !mesh.owed.is_empty() {
            mesh.owed_at.get_or_insert(cx.now.monotonic.plus(receipts::OWED_AGAIN_AFTER));
        }
        let fresh = there.iter().filter(|(identity, ..)| near.contains(identity) && !before.contains(identity));
        for (identity, user, _) in fresh.cloned().collect::<Vec<_>>() {
            // Both ends come to want this link at about the same time: one of them waits for the other.
            match me < identity {
                true => self.dial_now(cx, &user),
                false => self.dial_soon(cx, &user, OTHER_DIALS_WITHIN),
            }
        }
    }

    /// Few are left: everybody is linked with, and who is away finds in the mailbox what no crowd keeps for them.
    fn crowd_has_gone(&mut self, cx: &mut Context, id: ConversationId, there: &[(IdentityKey, UserName, bool)]) {
        there.iter().for_each(|(_, user, _)| self.dial_now(cx, user));
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(room) = conversation.room() else { return };
        let waiting = room.others(&self.me).filter(|(identity, member)| {
            conversation.awaits(identity) && !there.iter().any(|(_, user, _)| *user == member.user)
        });
        let waiting: Vec<_> = waiting.map(|(_, member)| member.user.clone()).collect();
        waiting.iter().for_each(|user| self.tell_queued(cx, user));
    }

    pub(in crate::node) fn overlay_timers(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now);
        for id in self.overlay.rooms.keys().copied().collect::<Vec<_>>() {
            let Some(mesh) = self.overlay.rooms.get_mut(&id) else { continue };
            // Looked at when outputs are drained, which is next.
            mesh.look_at.take_if(|at| *at <= now);
            let dues = [mesh.offers_at, mesh.owed_at, mesh.passing.due(), mesh.lagging_at].map(due);
            if dues[0] {
                self.send_offers(cx, id);
            }
            if dues[1] {
                self.sign_receipts(cx, id);
            }
            if dues[2] {
                self.hand_on(cx, id);
            }
            if dues[3] {
                self.look_for_stragglers(cx, id);
            }
        }
    }

    /// Whoever is there, has no link with me and does not acknowledge what I said gets one, a few at a time.
    fn look_for_stragglers(&mut self, cx: &mut Context, id: ConversationId) {
        let now = cx.now.monotonic;
        let (Some(conversation), Some(mesh)) = (self.conversations.get(&id), self.overlay.rooms.get(&id)) else {
            return;
        };
        let Some(room) = conversation.room().filter(|_| mesh.near.is_some()) else { return self.no_stragglers(&id) };
        let lacks = |identity: &IdentityKey, user: &UserName| {
            let linked = self.people.get(user).is_some_and(|contact| contact.link.is_some());
            self.is_there(user) && !linked && conversation.awaits(identity)
        };
        let members = room.others(&self.me).filter(|_| conversation.own.values().any(|log| !log.pending.is_empty()));
        let lacking = members.filter(|(identity, member)| lacks(identity, &member.user)).map(|(identity, member)| {
            let acked: u64 = conversation.own.values().map(|log| log.acked.get(identity).copied().unwrap_or(0)).sum();
            let before = mesh.lagging.get(identity).filter(|(before, _)| *before == acked);
            (*identity, member.user.clone(), (acked, before.map_or(now, |(_, since)| *since)))
        });
        let lacking: Vec<_> = lacking.collect();
        let slow = lacking.iter().filter(|(.., (_, since))| since.plus(STRAGGLES_AFTER) <= now);
        let mut slow: Vec<_> =
            slow.map(|(identity, user, _)| (self.is_reached(user), *identity, user.clone())).collect();
        // Those that could not be reached come last.
        slow.sort_unstable_by_key(|(reached, identity, _)| (!reached, *identity));
        slow.truncate(STRAGGLERS_MAX);
        let Some(mesh) = self.overlay.rooms.get_mut(&id) else { return };
        mesh.stragglers = slow.iter().map(|(_, identity, _)| *identity).collect();
        mesh.lagging = lacking.into_iter().map(|(identity, _, lag)| (identity, lag)).collect();
        mesh.lagging_at = Some(now.plus(LAGGING_EVERY));
        slow.iter().for_each(|(.., user)| self.dial_now(cx, user));
    }

    fn no_stragglers(&mut self, id: &ConversationId) {
        if let Some(mesh) = self.overlay.rooms.get_mut(id) {
            mesh.stragglers.clear();
            mesh.lagging.clear();
            mesh.lagging_at = None;
        }
    }

    /// Links that only a crowd's coming and going has left: nobody wants them any more.
    pub(in crate::node) fn close_unneeded(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let aged = self.links.iter().filter(|(_, live)| live.up_at.plus(KEPT_FOR) <= now);
        let unneeded = aged.filter(|(_, live)| {
            let direct = self.direct_id(&live.person.user);
            let in_crowd = live.conversations.keys().any(|id| self.overlay.carries(id));
            in_crowd && !self.conversations.contains_key(&direct) && !self.wants_link(&live.person.user)
        });
        for link in unneeded.map(|(link, _)| link).collect::<Vec<LinkId>>() {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
            self.link_lost(cx, link);
        }
    }

    /// Whether somebody may be dialled, or is linked.
    pub(in crate::node) fn is_there(&self, user: &UserName) -> bool {
        let contact = self.people.get(user);
        contact.is_some_and(|contact| !contact.is_blocked() && (contact.link.is_some() || self.may_be_there(user)))
    }

    /// Nothing speaks against it that a link with them is there, or will be.
    fn is_reached(&self, user: &UserName) -> bool {
        self.people.get(user).is_some_and(|contact| contact.link.is_some() || contact.dial.failures() == 0)
    }
}

impl Mesh {
    fn place(&mut self, id: &ConversationId, identity: IdentityKey) -> Place {
        *self.places.entry(identity).or_insert_with(|| graph::place(id, &identity))
    }
}

/// In a crowd people come and go all the time: who is to be linked with is worked out no more often.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// An author looks this often for those who lack something, and waits this long for a receipt.
const LAGGING_EVERY: Duration = Duration::from_secs(4);
const STRAGGLES_AFTER: Duration = Duration::from_secs(8);
const STRAGGLERS_MAX: usize = 8;
/// Of two who are to be linked the one with the smaller key dials; if they do not, the other does.
const OTHER_DIALS_WITHIN: Duration = Duration::from_secs(2);
/// A link that nobody wants is not closed sooner: the next who comes may want it again.
const KEPT_FOR: Duration = Duration::from_secs(30);
