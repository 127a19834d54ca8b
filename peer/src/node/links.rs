//! Links to people: when one is dialled, which of two stays, and what is said first on it. One link per pair.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::peer::PeerMessage;
use common::names::UserName;
use common::secure::certificate::{Credentials, Person};
use common::time::Monotonic;
use common::wire::bounded::Text;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation, Kind};
use super::overlay::Passed;
use super::people::Dial;
use super::repair::Claim;
use crate::api::Event;
use crate::ports::{Direction, LinkId, LinkInput, LinkOutput, Output};

/// Every live link, and what has to be said on which at the next flush.
#[derive(Debug, Default)]
pub(super) struct Links {
    live: BTreeMap<LinkId, Link>,
    pub(super) pushes: BTreeSet<(LinkId, ConversationId)>,
    /// Whose links are among these already, all of them.
    pub(super) pushed_in: Option<ConversationId>,
    pub(super) haves: BTreeSet<(LinkId, ConversationId)>,
    /// Where everything held is to be said, not only what acknowledges.
    pub(super) whole_haves: BTreeSet<(LinkId, ConversationId)>,
    /// Links whose events were not taken because the disk failed.
    pub(super) passed_over: BTreeSet<LinkId>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) person: Person,
    pub(super) direction: Direction,
    pub(super) up_at: Monotonic,
    pub(super) address: SocketAddr,
    /// When anything but an acknowledgement last went either way.
    pub(super) used_at: Monotonic,
    pub(super) conversations: BTreeMap<ConversationId, Told>,
}

/// What was said about one conversation on one link.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The other end said what it holds: events may be pushed.
    pub(super) have_heard: bool,
    /// We showed our membership.
    pub(super) hello_sent: bool,
    pub(super) cursors: BTreeMap<ChainId, Cursor>,
    /// What the other end said it holds of others beyond what is here.
    pub(super) claims: BTreeMap<ChainKey, Claim>,
    /// Authors whom nobody told me of, as far as the other end was asked for them.
    pub(super) strangers: BTreeSet<IdentityKey>,
    /// Chains of which both hold the same, or where that was looked up.
    pub(super) compared: BTreeSet<ChainKey>,
    /// In a large room: up to where the other end is known to hold what others said, and what was passed on to it lately.
    pub(super) known: BTreeMap<ChainKey, u64>,
    pub(super) passed: Passed,
}

/// How far one of my chains went out on one link.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    pub(super) sent: u64,
    /// Last number and size of each message sent and not acknowledged.
    in_flight: VecDeque<(u64, usize)>,
    in_flight_bytes: usize,
    /// Noted to have gone out, for `/trace`.
    pub(super) noted: u64,
    /// Events are being read from the disk.
    pub(super) reading: bool,
    /// What lies before the other's join was passed over.
    pub(super) begun: bool,
    /// Whether what they hold of it is what was given is being looked up: nothing goes out until then.
    pub(super) is_disputed: bool,
}

impl Cursor {
    /// Everything up to `number` arrived.
    pub(super) fn acknowledge(&mut self, number: u64) {
        while let Some((_, bytes)) = self.in_flight.pop_front_if(|(last, _)| *last <= number) {
            self.in_flight_bytes -= bytes;
        }
    }

    /// A message ending in event `last` goes out.
    pub(super) fn send(&mut self, last: u64, bytes: usize) {
        self.sent = last;
        self.in_flight.push_back((last, bytes));
        self.in_flight_bytes += bytes;
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// The far end should first acknowledge some of what it was sent.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight_bytes >= WINDOW_BYTES
    }
}

impl Told {
    /// Nothing is pushed until the other end says again what it holds.
    pub(super) fn begin_again(&mut self) {
        self.have_heard = false;
        self.cursors.clear();
        self.known.clear();
    }
}

impl Links {
    /// Entered anew: every link is shown the new membership.
    pub(super) fn hello_again(&mut self, conversation: &ConversationId) {
        let told = self.live.values_mut().filter_map(|link| link.conversations.get_mut(conversation));
        told.for_each(|told| told.hello_sent = false);
    }

    pub(super) fn ids(&self) -> Vec<LinkId> {
        self.live.keys().copied().collect()
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.live.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        self.live.get_mut(&link)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.live.values_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.live.iter().map(|(id, link)| (*id, link))
    }

    /// Something new is committed in a conversation: every link that knows it may have to push.
    pub(super) fn push_in(&mut self, conversation: ConversationId) {
        if self.pushed_in.replace(conversation) == Some(conversation) {
            return;
        }
        let knows = |link: &&LinkId| self.live[*link].conversations.contains_key(&conversation);
        let links = self.live.keys().filter(knows).map(|link| (*link, conversation));
        self.pushes.extend(links.collect::<Vec<_>>());
    }
}

impl Account {
    pub(super) fn link_input(&mut self, cx: &mut Context, input: LinkInput) {
        match input {
            LinkInput::Up { link, person, credentials, direction, address } => {
                self.link_up(cx, link, person, &credentials, direction, address);
            }
            LinkInput::Received { link, messages } => {
                for message in messages {
                    if let Err(reason) = self.link_message(cx, link, message) {
                        self.cut(cx, link, reason);
                        return;
                    }
                }
            }
            LinkInput::Down { link, .. } => self.link_down(cx, link),
            LinkInput::DialFailed { dial, tried } => self.dial_failed(cx, dial, tried),
        }
    }

    fn link_up(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        person: Person,
        credentials: &Credentials,
        direction: Direction,
        address: SocketAddr,
    ) {
        let user = person.user.clone();
        if direction == Direction::Dialed {
            // Reached, whatever becomes of this link.
            self.people.entry(&user).dial = Dial::Idle;
        }
        let mut writes = Vec::new();
        let accepted = self.check_person(cx, &person, credentials, &mut writes);
        self.commit(cx, writes, Vec::new());
        if accepted.is_err() || user == self.user {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
            return;
        }
        if let Some(present) = self.people.entry(&user).link {
            if !self.replaces(cx.now.monotonic, present, &person, direction) {
                cx.out.push_back(Output::Link(LinkOutput::Close { link }));
                return;
            }
            self.forget_link(cx.now.monotonic, present);
            cx.out.push_back(Output::Link(LinkOutput::Close { link: present }));
        }
        let contact = self.people.entry(&user);
        contact.link = Some(link);
        contact.dial = Dial::Idle;
        self.people.version += 1;
        let now = cx.now.monotonic;
        let conversations = BTreeMap::new();
        self.links.live.insert(link, Link { person, direction, up_at: now, address, used_at: now, conversations });
        if self.shares_with(&user) {
            self.people.presence_may_have_changed(cx, &user, true);
        }
        self.found_at(cx, &user, direction, address);
        self.tell_roster(cx);
        self.greet(cx, link, &user);
        self.close_idle(cx, link);
    }

    /// Two links between the same people: opened from opposite ends at about the same time, the one whose initiator
    /// has the smaller device key stays; otherwise the newer one, for the older is likely dead.
    fn replaces(&self, now: Monotonic, present: LinkId, person: &Person, direction: Direction) -> bool {
        let Some(old) = self.links.get(present) else { return true };
        if old.direction == direction || now.since(old.up_at) > CROSSING_LINKS_WITHIN {
            return true;
        }
        let ours_is_smaller = self.keys.device() < person.device;
        ours_is_smaller == (direction == Direction::Dialed)
    }

    /// The first words on a link: what we hold of the direct conversation, and the rooms we share.
    fn greet(&mut self, cx: &mut Context, link: LinkId, user: &UserName) {
        if let Some(away) = &self.away {
            let message = PeerMessage::Status { away: Some(Text::cut(away)) };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
        let direct = self.direct_id(user);
        self.links.whole_haves.insert((link, direct));
        let Some(identity) = self.links.get(link).map(|link| link.person.identity) else { return };
        let shared: Vec<_> = self
            .conversations
            .values()
            .filter(|conversation| {
                let Some(room) = conversation.room() else { return false };
                (room.joined && room.is_member(&identity)) || conversation.awaits(&identity)
            })
            .map(|conversation| conversation.id)
            .collect();
        for room in shared {
            self.say_hello(cx, link, room);
        }
    }

    pub(super) fn link_down(&mut self, cx: &mut Context, link: LinkId) {
        let heard = |live: &Link| live.conversations.values().any(|told| told.have_heard);
        let is_heard = self.links.get(link).is_some_and(heard);
        if let Some(user) = self.link_lost(cx, link) {
            if !is_heard {
                return self.turned_away(cx, &user);
            }
            self.dial_soon(cx, &user, REDIAL_AFTER);
            if !self.people.entry(&user).is_online() {
                self.tell_queued(cx, &user);
            }
        }
    }

    /// A link that counts no longer; to whom it was.
    pub(super) fn link_lost(&mut self, cx: &mut Context, link: LinkId) -> Option<UserName> {
        let down = self.forget_link(cx.now.monotonic, link)?;
        let user = down.person.user;
        let contact = self.people.entry(&user);
        if contact.link == Some(link) {
            contact.link = None;
            contact.away = None;
        }
        if self.shares_with(&user) {
            self.people.presence_may_have_changed(cx, &user, true);
        }
        Some(user)
    }

    fn forget_link(&mut self, now: Monotonic, link: LinkId) -> Option<Link> {
        self.people.version += 1;
        self.overlay.forget_link(now, link);
        self.links.pushes.retain(|(pushed, _)| *pushed != link);
        self.links.haves.retain(|(told, _)| *told != link);
        self.links.whole_haves.retain(|(told, _)| *told != link);
        self.repair.forget_link(link);
        self.links.passed_over.remove(&link);
        self.links.live.remove(&link)
    }

    pub(super) fn cut(&mut self, cx: &mut Context, link: LinkId, reason: &str) {
        cx.out.push_back(Output::Link(LinkOutput::Cut { link, reason: reason.to_owned() }));
        let user = self.links.get(link).map(|link| link.person.user.clone());
        self.link_down(cx, link);
        if let Some(user) = user {
            // Whoever broke the protocol once will likely do so again.
            self.people.entry(&user).dial = Dial::Idle;
            self.dial_soon(cx, &user, REDIAL_AFTER_CUT);
        }
    }

    /// The longest silent links go when there are too many; one is dialled again when there is something to say.
    fn close_idle(&mut self, cx: &mut Context, newest: LinkId) {
        while self.links.live.len() > LINKS_MAX {
            let idle = self.links.iter().filter(|(id, _)| *id != newest).min_by_key(|(_, link)| link.used_at);
            let Some((idle, _)) = idle else { return };
            cx.out.push_back(Output::Link(LinkOutput::Close { link: idle }));
            if let Some(closed) = self.forget_link(cx.now.monotonic, idle) {
                self.people.entry(&closed.person.user).link = None;
            }
        }
    }

    /// A conversation of two, or a room that both are in: a stranger's link is nobody's news.
    fn shares_with(&self, user: &UserName) -> bool {
        self.conversations.values().any(|conversation| match &conversation.kind {
            Kind::Direct { with } => with == user,
            Kind::Room(room) => room.joined && room.others(&self.me).any(|(_, member)| member.user == *user),
        })
    }

    /// A shared room, a large one only among neighbours, or something they lack.
    pub(super) fn wants_link(&self, user: &UserName) -> bool {
        let shares = |conversation: &Conversation| {
            let Some(room) = conversation.room() else { return false };
            let mut named = room.others(&self.me).filter(|(_, member)| member.user == *user);
            named.any(|(identity, _)| match room.joined {
                true => self.overlay.wants(&conversation.id, identity),
                false => conversation.awaits(identity),
            })
        };
        self.conversations.values().any(shares) || self.identity_of(user).is_some_and(|identity| self.lacks(&identity))
    }

    /// Whether something of mine waits for a link with somebody, and not for others to pass it on.
    pub(super) fn lacks(&self, identity: &IdentityKey) -> bool {
        let mut waiting = self.conversations.values().filter(|conversation| conversation.awaits(identity));
        waiting.any(|conversation| !self.overlay.carries(&conversation.id))
    }

    /// My status to everybody I am linked to.
    pub(super) fn send_status(&mut self, cx: &mut Context) {
        for link in self.links.ids() {
            let message = PeerMessage::Status { away: self.away.as_deref().map(Text::cut) };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
    }

    pub(super) fn status_heard(&mut self, cx: &mut Context, user: &UserName, text: Option<String>) {
        let contact = self.people.entry(user);
        if contact.away != text {
            contact.away.clone_from(&text);
            cx.tell(Event::AwaySeen { user: user.clone(), text });
        }
    }
}

/// Links opened from both ends within this time of each other are taken for one wish.
const CROSSING_LINKS_WITHIN: Duration = Duration::from_secs(5);
/// Sent and not acknowledged, per chain and link: a few commits of a busy recipient, and far below the link's outbox.
pub(super) const WINDOW_BYTES: usize = 512 * 1024;
/// After a cut, the other end may be restarting.
const REDIAL_AFTER: Duration = Duration::from_millis(300);
const REDIAL_AFTER_CUT: Duration = Duration::from_secs(10);
/// The neighbours in some large rooms, everybody in some small ones, and as many people besides.
const LINKS_MAX: usize = 128;

const _: () = assert!(LINKS_MAX >= 8 * common::limits::MESH_MAX);
