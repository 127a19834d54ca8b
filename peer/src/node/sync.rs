//! What goes out on which link, and what my user is told about it. Per link, conversation and chain there is one
//! cursor, and it only goes up.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::limits::{EVENTS_BYTES_MAX, EVENTS_PER_MESSAGE_MAX};
use common::message::event::WireEvent;
use common::message::peer::{Events, Holding, PeerMessage};
use common::message::room::History;
use common::names::UserName;
use common::time::UnixMillis;
use common::wire::bounded::List;

use super::account::Account;
use super::context::Context;
use super::conversation::{Conversation, Kind, OwnLog, Recent};
use super::reads::Read;
use crate::api::{Delivery, DeliveryState, Event};
use crate::ports::{DiskJob, LinkId, LinkOutput, Output, Step, StoredEvent, Write};

/// What one link was sent, for the next ones.
struct Shared {
    /// Conversation, chain, first and last number; and whether they came late.
    place: (ConversationId, ChainId, u64, u64, bool),
    message: Arc<PeerMessage>,
}

/// Events of one of my chains, being read from the disk for one link.
#[derive(Debug)]
pub(super) struct Reading {
    link: LinkId,
    conversation: ConversationId,
    chain: ChainId,
    from: u64,
    /// What was committed when the reading began.
    committed: u64,
}

impl Account {
    pub(super) fn is_direct_with(&self, link: LinkId, id: ConversationId) -> bool {
        self.links.get(link).is_some_and(|link| self.direct_id(&link.person.user) == id)
    }

    pub(super) fn acknowledged(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        identity: &IdentityKey,
        holding: Holding,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let target = conversation.target();
        let Some(log) = conversation.own.get_mut(&holding.chain) else { return };
        let number = holding.number.min(log.committed);
        let before = log.acked.insert(*identity, number).unwrap_or(0);
        if number <= before {
            log.acked.insert(*identity, before);
            return;
        }
        let mut told = Vec::new();
        for (at, event) in log.pending.range(before + 1..=number) {
            if event.recipients.contains(identity) {
                let of = u32::try_from(event.recipients.len()).unwrap_or(u32::MAX);
                told.push((*at, event.id, log.done(*at), of));
            }
        }
        told.iter().filter(|(.., done, of)| done == of).for_each(|(at, ..)| drop(log.pending.remove(at)));
        // Members of a large room need not have been met.
        let to = self.conversations.get(&id).and_then(|conversation| self.name_in(conversation, identity));
        let Some(to) = to else { return };
        for (_, event, done, of) in told {
            let state = DeliveryState::Delivered;
            let delivery = Delivery { conversation: target.clone(), id: event, state, to: to.clone(), done, of };
            cx.tell(Event::Delivery(delivery));
        }
        let write = Write::Acked { conversation: id, chain: holding.chain, recipient: *identity, number };
        self.write_lazily(cx, write);
        self.note_way(cx, Step::Delivered, (id, holding.chain), (before + 1, number), *identity);
    }

    /// A new text of mine: it goes out where a link is; elsewhere one is made, or it is told to be waiting.
    pub(super) fn deliver(&mut self, cx: &mut Context, id: ConversationId, chain: ChainId, number: u64) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(event) = conversation.own.get(&chain).and_then(|log| log.pending.get(&number)) else { return };
        let is_needed = |identity: &&IdentityKey| self.overlay.wants(&id, identity);
        let named = |identity: &IdentityKey| self.name_in(conversation, identity);
        let (linked, others): (Vec<_>, Vec<_>) = event.recipients.iter().partition(is_needed);
        let linked: Vec<UserName> = linked.into_iter().filter_map(named).collect();
        // To those who are there it is passed on.
        let away: Vec<UserName> = others.into_iter().filter_map(named).filter(|user| !self.is_there(user)).collect();
        for user in linked {
            if self.people.entry(&user).link.is_none() {
                self.dial_now(cx, &user);
            }
        }
        away.iter().for_each(|user| self.tell_queued(cx, user));
    }

    pub(super) fn name_in(&self, conversation: &Conversation, identity: &IdentityKey) -> Option<UserName> {
        let member = conversation.room().and_then(|room| room.members.get(identity));
        self.people.name_of(identity).cloned().or_else(|| member.map(|member| member.user.clone()))
    }

    /// No link can take what waits for `user`: tells so, once per text.
    pub(super) fn tell_queued(&mut self, cx: &mut Context, user: &UserName) {
        let identities: Vec<IdentityKey> = self
            .identity_of(user)
            .into_iter()
            .chain(self.conversations.values().filter_map(Conversation::room).flat_map(|room| {
                room.members.iter().filter(|(_, member)| member.user == *user).map(|(identity, _)| *identity)
            }))
            .collect();
        for conversation in self.conversations.values_mut() {
            let target = conversation.target();
            for log in conversation.own.values_mut() {
                for identity in &identities {
                    let acked = log.acked.get(identity).copied().unwrap_or(0);
                    let told = log.told_queued.entry(*identity).or_insert(0);
                    let from = acked.max(*told) + 1;
                    *told = (*told).max(log.number);
                    for (number, event) in log.pending.range(from..) {
                        if event.recipients.contains(identity) {
                            let of = u32::try_from(event.recipients.len()).unwrap_or(u32::MAX);
                            let (done, to) = (log.done(*number), user.clone());
                            let state = DeliveryState::Queued;
                            let delivery = Delivery { conversation: target.clone(), id: event.id, state, to, done, of };
                            cx.tell(Event::Delivery(delivery));
                        }
                    }
                }
            }
        }
        self.mail_soon(cx, user);
    }

    /// Events up to `number` are on the disk here: whoever linked as their author is told at the next flush.
    pub(super) fn stored(&mut self, id: ConversationId, author: IdentityKey, chain: ChainId, number: u64) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        if let Some(held) = conversation.theirs.get_mut(&(author, chain)) {
            held.stored = held.stored.max(number);
        }
        let links = self.links.iter().filter(|(_, link)| link.person.identity == author);
        let links: Vec<_> = links.map(|(link, _)| (link, id)).collect();
        self.links.haves.extend(links);
    }

    /// Sends what is committed and not sent yet, on every link that was marked for it.
    pub(super) fn send_pushes(&mut self, cx: &mut Context) {
        let mut shared = None;
        self.links.pushed_in = None;
        for (link, id) in std::mem::take(&mut self.links.pushes) {
            let Some(conversation) = self.conversations.get(&id) else { continue };
            // What was said first goes first: a chain comes after those before it, once they are through.
            for chain in conversation.own_in_order(&self.chain) {
                self.push(cx, link, id, chain, &mut shared);
                if !self.is_through(link, id, chain) {
                    break;
                }
            }
            self.note_sent(cx, link, id);
        }
    }

    /// Whether everything of a chain that may be sent went out on a link.
    fn is_through(&self, link: LinkId, id: ConversationId, chain: ChainId) -> bool {
        let sendable = self.conversations.get(&id).and_then(|known| known.own.get(&chain)).map_or(0, OwnLog::sendable);
        let told = self.links.get(link).and_then(|live| live.conversations.get(&id));
        let cursor = told.and_then(|told| told.cursors.get(&chain));
        sendable == 0 || cursor.is_some_and(|cursor| !cursor.reading && cursor.sent >= sendable)
    }

    fn push(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        id: ConversationId,
        chain: ChainId,
        shared: &mut Option<Shared>,
    ) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(live) = self.links.get(link) else { return };
        if !self.is_open_to(link, id) || !live.conversations.get(&id).is_some_and(|told| told.have_heard) {
            return;
        }
        let identity = live.person.identity;
        let since = joined_since(conversation, &identity);
        let log = &conversation.own[&chain];
        let wall = cx.now.wall;
        let late = |recent: &Recent| log.comes_late(&identity, recent.number) || is_late(wall, recent.at);
        let committed = log.sendable();
        let Some(live) = self.links.get_mut(link) else { return };
        live.used_at = cx.now.monotonic;
        let cursor = live.conversations.entry(id).or_default().cursors.entry(chain).or_default();
        if cursor.is_disputed {
            return;
        }
        cursor.begun |= since.is_none();
        while !cursor.reading && cursor.sent < committed && !cursor.is_full() {
            let recent: Vec<&Recent> =
                if cursor.begun { fitting(log.recent_from(cursor.sent + 1), late) } else { Vec::new() };
            let (Some(first), Some(last)) = (recent.first(), recent.last()) else {
                cursor.reading = true;
                let ticket = cx.number();
                let not_before = if cursor.begun { None } else { since };
                cx.out.push_back(Output::Disk(DiskJob::ReadChain {
                    ticket,
                    conversation: id,
                    author: self.me,
                    chain,
                    from: cursor.sent + 1,
                    bytes_max: READ_BYTES_MAX,
                    not_before,
                }));
                let reading = Reading { link, conversation: id, chain, from: cursor.sent + 1, committed };
                self.disk.reads.insert(ticket, Read::Chain(reading));
                return;
            };
            cursor.send(last.number, recent.iter().map(|recent| recent.wire.bytes.len()).sum());
            let place = (id, chain, first.number, last.number, late(first));
            // Where the one before was sent the same, it is the same.
            let known = shared.take().filter(|shared| shared.place == place);
            let Shared { message, .. } = shared.insert(known.unwrap_or_else(|| {
                let events = recent.iter().map(|recent| recent.wire.clone()).collect();
                Shared { place, message: Arc::new(events_message(id, place.4, events)) }
            }));
            let message = Arc::clone(message);
            cx.out.push_back(Output::Link(LinkOutput::SendShared { link, message }));
        }
    }

    /// Whether the far end of a link may be sent what is said there.
    fn is_open_to(&self, link: LinkId, id: ConversationId) -> bool {
        let (Some(live), Some(known)) = (self.links.get(link), self.conversations.get(&id)) else { return false };
        match &known.kind {
            Kind::Direct { with } => *with == live.person.user,
            Kind::Room(room) => room.is_member(&live.person.identity),
        }
    }

    /// What was read goes out, unless the link went meanwhile.
    pub(super) fn chain_read(&mut self, cx: &mut Context, reading: &Reading, events: Vec<StoredEvent>) {
        let waited_for = self.first_pending(reading);
        let Some(cursor) = self.cursor(reading) else { return };
        cursor.reading = false;
        if !self.is_open_to(reading.link, reading.conversation) {
            return;
        }
        self.links.pushes.insert((reading.link, reading.conversation));
        // The other end began again meanwhile, from somewhere else.
        let Some(cursor) = self.cursor(reading).filter(|cursor| cursor.sent + 1 == reading.from) else { return };
        let mut first = events.first().map_or(reading.committed + 1, |event| event.number);
        let mut events = events;
        if let Some(number) = waited_for.filter(|number| (reading.from..first).contains(number)) {
            // Written for them, whatever their clock said when they joined: read again from there.
            first = number;
            events.clear();
        }
        if first > cursor.sent + 1 {
            let number = first - 1;
            cursor.sent = number;
            let message = PeerMessage::Skip { conversation: reading.conversation, chain: reading.chain, number };
            cx.out.push_back(Output::Link(LinkOutput::Send { link: reading.link, message }));
        }
        cursor.begun = true;
        let sendable = self.own_log(reading).map_or(0, OwnLog::sendable);
        events.retain(|event| event.number <= sendable);
        let read = events.len();
        events.truncate(signed_part(&events, |event| &event.wire));
        let Some(cursor) = self.cursor(reading) else { return };
        if events.is_empty() && read > 0 {
            // Nothing up to there has a signature behind it that may be sent.
            cursor.sent = cursor.sent.max(sendable.min(reading.committed));
        }
        if let Some(last) = events.last() {
            cursor.send(last.number, events.iter().map(|event| event.wire.bytes.len()).sum());
        }
        let (Some(live), Some(log)) = (self.links.get(reading.link), self.own_log(reading)) else { return };
        let (identity, wall) = (live.person.identity, cx.now.wall);
        let late = |event: &StoredEvent| log.comes_late(&identity, event.number) || is_late(wall, event.at);
        let mut rest = events.as_slice();
        while let Some(first) = rest.first() {
            let late_first = late(first);
            let alike = rest.iter().take_while(|event| late(event) == late_first).count();
            let count = whole_runs(rest, alike, |event| &event.wire);
            let (batch, left) = rest.split_at(count);
            let events = batch.iter().map(|event| event.wire.clone()).collect();
            send_events(cx, reading.link, reading.conversation, late_first, events);
            rest = left;
        }
    }

    /// The first event of a chain that waits for the far end of a link, if one does.
    fn first_pending(&self, reading: &Reading) -> Option<u64> {
        let identity = self.links.get(reading.link)?.person.identity;
        let log = self.conversations.get(&reading.conversation)?.own.get(&reading.chain)?;
        log.pending.iter().find(|(_, event)| event.recipients.contains(&identity)).map(|(number, _)| *number)
    }

    fn own_log(&self, reading: &Reading) -> Option<&OwnLog> {
        self.conversations.get(&reading.conversation)?.own.get(&reading.chain)
    }

    /// The disk could not read: where to push again later.
    pub(super) fn push_failed(&mut self, reading: &Reading) -> (LinkId, ConversationId) {
        if let Some(cursor) = self.cursor(reading) {
            cursor.reading = false;
        }
        (reading.link, reading.conversation)
    }

    fn cursor(&mut self, reading: &Reading) -> Option<&mut super::links::Cursor> {
        let live = self.links.get_mut(reading.link)?;
        live.conversations.get_mut(&reading.conversation)?.cursors.get_mut(&reading.chain)
    }
}

/// From when on somebody is served a room whose history begins with one's join, or what is said to a name whose key
/// was another before; `None` is everything.
pub(super) fn joined_since(conversation: &Conversation, identity: &IdentityKey) -> Option<UnixMillis> {
    let Some(room) = conversation.room() else { return conversation.key_since };
    if room.genesis.history == History::All {
        return None;
    }
    room.members.get(identity).map(|member| member.joined.at.minus(JOIN_CLOCK_SLACK))
}

fn is_late(now: UnixMillis, at: UnixMillis) -> bool {
    now > at.plus(LATE_AFTER)
}

/// The first of these that go into one message, and are late or not like the very first.
fn fitting<'a>(recent: impl Iterator<Item = &'a Recent>, late: impl Fn(&Recent) -> bool) -> Vec<&'a Recent> {
    let mut recent: Vec<_> = recent.take(EVENTS_PER_MESSAGE_MAX).collect();
    let is_late = recent.first().is_some_and(|first| late(first));
    let alike = recent.iter().take_while(|recent| late(recent) == is_late).count();
    recent.truncate(signed_part(&recent, |recent| &recent.wire));
    recent.truncate(whole_runs(&recent, alike, |recent| &recent.wire));
    recent
}

/// How many of these make one message: of the first `alike` as many as fit and end with a signature, but the whole
/// first run in any case. All of them together end with one.
fn whole_runs<T>(events: &[T], alike: usize, wire: impl Fn(&T) -> &WireEvent) -> usize {
    let fits = count_fitting(events.iter().map(&wire)).min(alike);
    let signed = |event: &T| wire(event).signature.is_some();
    let within = events.iter().take(fits).rposition(signed);
    within.or_else(|| events.iter().position(signed)).map_or(events.len(), |last| last + 1)
}

/// How many of these end with a signature: whoever is served a part of a chain is served up to one.
pub(super) fn signed_part<T>(events: &[T], wire: impl Fn(&T) -> &WireEvent) -> usize {
    events.iter().rposition(|event| wire(event).signature.is_some()).map_or(0, |last| last + 1)
}

/// How many of these events go into one message: at least one.
pub(super) fn count_fitting<'a>(events: impl Iterator<Item = &'a WireEvent>) -> usize {
    let mut bytes = 0;
    let fits = |event: &&WireEvent| {
        bytes += event.bytes.len() + EVENT_OVERHEAD_BYTES;
        bytes <= EVENTS_BYTES_MAX
    };
    events.take(EVENTS_PER_MESSAGE_MAX).take_while(fits).count().max(1)
}

pub(super) fn send_events(
    cx: &mut Context,
    link: LinkId,
    conversation: ConversationId,
    late: bool,
    events: Vec<WireEvent>,
) {
    let message = events_message(conversation, late, events);
    cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
}

fn events_message(conversation: ConversationId, late: bool, events: Vec<WireEvent>) -> PeerMessage {
    let events = List::new(events).expect("batches are cut to EVENTS_PER_MESSAGE_MAX");
    PeerMessage::Events(Events { conversation, late, events })
}

const READ_BYTES_MAX: usize = 4 * EVENTS_BYTES_MAX;
/// Signature and field names around an event's bytes.
const EVENT_OVERHEAD_BYTES: usize = 96;
/// A message this much older than its first sending is marked as late.
const LATE_AFTER: Duration = Duration::from_secs(10);
/// A joiner's clock and mine may differ.
const JOIN_CLOCK_SLACK: Duration = Duration::from_secs(60);
