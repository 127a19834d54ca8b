//! What comes in on a link: checked, put in its place, and only acknowledged when it is stored. Whoever breaks the
//! protocol is cut; what merely does not concern us is passed over.

use common::ids::{ChainId, ConversationId, EventId, EventKey, IdentityKey};
use common::message::event::{
    self, COUNT_MAX, Content, Event as ChainEvent, EventError, KIND_JOIN, Position, WireEvent,
};
use common::message::peer::{Events, PeerMessage};
use common::names::UserName;
use common::secure::certificate::Person;

use super::account::Account;
use super::arrivals::Arrived;
use super::context::Context;
use super::conversation::{ChainKey, Conversation, Kind, Room};
use super::held::Held;
use super::outgoing::After;
use crate::ports::{LinkId, Write};

/// Why a link is cut, for the log.
pub(super) type Misbehaved = &'static str;

/// Who signs a run of events: checked against everything that is known of the name.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) identity: IdentityKey,
    pub(super) user: UserName,
    /// Any of them, the present one first: each chain is signed with one.
    pub(super) keys: Vec<EventKey>,
}

/// Consecutive events of one chain of `author`, as they came.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) conversation: ConversationId,
    pub(super) author: Author,
    pub(super) chain: ChainId,
    pub(super) events: &'a [WireEvent],
    pub(super) late: bool,
    pub(super) via: Via,
}

/// Which way events came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// On the link with their author, or with another who holds them.
    Link(IdentityKey),
    /// Left by their author in my mailbox. `begins`: with the first that I am served of the chain.
    Mail { begins: bool },
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it is held now.
    Whole,
    /// Something is missing before it.
    Hole,
    /// Its author signed another event for a place that is taken.
    Fork,
    /// From some event on it does not count: its author was removed before.
    Void,
    /// It is of no concern here.
    PassedOver,
}

impl Account {
    pub(super) fn link_message(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        message: PeerMessage,
    ) -> Result<(), Misbehaved> {
        self.check_early(cx);
        let Some(user) = self.links.get(link).map(|link| link.person.user.clone()) else { return Ok(()) };
        match message {
            PeerMessage::Events(events) => {
                if let Some(events) = self.show_early(cx, link, &user, events) {
                    self.events_received(cx, link, &user, &events)?;
                }
            }
            PeerMessage::Have(have) => self.have_heard(cx, link, &have),
            PeerMessage::Want(want) => self.want_heard(cx, link, want),
            PeerMessage::Receipts(receipts) => self.receipts_came(cx, link, receipts),
            PeerMessage::RoomHello { room, genesis, join } => self.room_hello(cx, link, room, &genesis, join)?,
            PeerMessage::RoomLog { room, entries } => self.log_heard(cx, room, entries.into_vec()),
            PeerMessage::Member { room, join, part } => self.introduced(cx, link, room, &join, part.as_ref()),
            PeerMessage::WantLog { room, from } => {
                self.send_newer_entries(cx, link, room.into(), from.saturating_sub(1))
            }
            PeerMessage::Skip { conversation, chain, number } => {
                if number > COUNT_MAX {
                    return Err("a skip beyond all numbers");
                }
                self.skip_received(cx, link, conversation, chain, number);
            }
            PeerMessage::Status { away } => {
                self.status_heard(cx, &user, away.map(|away| away.into_string()));
            }
            PeerMessage::Hello(_) => return Err("a second hello"),
            PeerMessage::Ping | PeerMessage::Pong | PeerMessage::Bye => {}
        }
        Ok(())
    }

    pub(super) fn events_received(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        user: &UserName,
        events: &Events,
    ) -> Result<(), Misbehaved> {
        let id = events.conversation;
        let Some(live) = self.links.get_mut(link) else { return Ok(()) };
        live.used_at = cx.now.monotonic;
        let person = live.person.clone();
        if self.disk.is_failing() || self.links.passed_over.contains(&link) {
            // What was passed over would be a hole before whatever follows it on this link.
            self.links.passed_over.insert(link);
            return Ok(());
        }
        if self.is_direct_with(link, id) {
            let mut writes = Vec::new();
            self.open_conversation(cx, user, &mut writes);
            if !writes.is_empty() {
                self.commit(cx, writes, Vec::new());
            }
        }
        let Some(conversation) = self.conversations.get(&id) else { return Ok(()) };
        let open = match &conversation.kind {
            Kind::Direct { with } => with == user,
            Kind::Room(room) => room.joined && room.members.contains_key(&person.identity),
        };
        let is_room = conversation.room().is_some();
        if !open {
            return Ok(());
        }
        let Some(first) = events.events.first() else {
            self.nothing_served(cx, link, id);
            return Ok(());
        };
        let first = first.claim().map_err(|_| "an event that is none")?;
        if first.conversation != id {
            return Err("an event of elsewhere");
        }
        if first.author != person.identity {
            // An answer says that it is late; what is passed on never does.
            return match events.late && self.is_wanted(link, &first) {
                true => self.wanted_came(cx, link, &first, &events.events),
                false => self.passed_on_came(cx, link, &first, &events.events, events.late),
            };
        }
        let author = Author::of(&person);
        let (chain, late, events) = (first.chain, events.late, &*events.events);
        let run = Run { conversation: id, author, chain, events, late, via: Via::Link(person.identity) };
        match self.take_run(cx, &run)? {
            Taken::Fork => {
                self.fork_seen(cx, id, (person.identity, chain));
                self.branch_came(cx, link, id, (person.identity, chain), events);
                Ok(())
            }
            // In a room it was sent before my hello when I came back; what I passed over is sent again after it.
            Taken::Hole if !is_room => Err("a hole in a chain"),
            Taken::Void => {
                self.send_newer_entries(cx, link, id, first.head);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks a run and takes it in, as far as it is new: what the wait for others' events allows is shown at once.
    pub(super) fn take_run(&mut self, cx: &mut Context, run: &Run<'_>) -> Result<Taken, Misbehaved> {
        let Run { conversation: id, author, chain, events, late, via } = run;
        let key = (author.identity, *chain);
        if self.is_forked(*id, key) {
            return Ok(Taken::PassedOver);
        }
        let Some(conversation) = self.conversations.get_mut(id) else { return Ok(Taken::PassedOver) };
        let Some(first) = events.first() else { return Ok(Taken::PassedOver) };
        let first = first.claim().map_err(|_| "an event that is none")?;
        if first.number == 0 {
            return Err("an event before the first");
        }
        if !conversation.theirs.contains_key(&key) && conversation.chains_of(&author.identity) >= CHAINS_PER_AUTHOR_MAX
        {
            return Err("more chains than databases anybody loses");
        }
        let held = conversation.theirs.entry(key).or_insert_with(Held::new);
        if via.says_where_it_begins(author) {
            let confirmed = held.author_begins(first.number);
            if confirmed {
                self.confirmed(cx, *id, key);
            }
        }
        let conversation = self.conversations.get_mut(id).expect("it was there a moment ago");
        let (checked, previous) = conversation.theirs[&key].checked();
        if first.number > checked + 1 {
            return Ok(Taken::Hole);
        }
        // What is held already is passed over; the rest must follow on it.
        let known = usize::try_from(checked + 1 - first.number).unwrap_or(usize::MAX);
        let fresh = events.get(known.min(events.len())..).unwrap_or_default();
        let at = Position { conversation: *id, author: author.identity, chain: *chain, number: checked + 1, previous };
        let verified = match verify_by(&author.keys, fresh, at) {
            Ok(verified) => verified,
            Err(_) if verify_by(&author.keys, fresh, Position { previous: None, ..at }).is_ok() => {
                return Ok(Taken::Fork);
            }
            Err(_) => return Err("events that do not hold"),
        };
        let counting = conversation.room().map_or(verified.len(), |room| counting(room, &verified, fresh));
        let taken = if counting < verified.len() { Taken::Void } else { Taken::Whole };
        let until = cx.now.monotonic.plus(PARENT_WAIT);
        let arrived = verified.into_iter().zip(fresh).take(counting).map(|((id, event), wire)| {
            let content = content(&event, author)?;
            Ok(Arrived { event, id, wire: wire.clone(), content, from: author.user.clone(), late: *late, until })
        });
        let arrived: Vec<_> = arrived.collect::<Result<_, Misbehaved>>()?;
        if let (Some(first), Some(last)) = (arrived.first(), arrived.last()) {
            let step = (first.event.clone(), last.event.number);
            let held = conversation.theirs.get_mut(&key).expect("it was there a moment ago");
            held.moved_at = cx.now.monotonic;
            let count = arrived.len();
            held.waiting.extend(arrived);
            conversation.held_back.insert(key);
            self.note_received(cx, (&step.0, step.1), *via);
            self.pass_on(cx, &step.0, &fresh[..count], (*via, *late));
        }
        self.release(cx, *id);
        Ok(taken)
    }

    /// The author does not serve us what lies before `number`.
    fn skip_received(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, chain: ChainId, number: u64) {
        if let Some(author) = self.links.get(link).map(|link| link.person.identity) {
            self.skip_taken(cx, author, id, chain, number);
        }
    }

    /// The same, however `author` said so.
    pub(super) fn skip_taken(
        &mut self,
        cx: &mut Context,
        author: IdentityKey,
        id: ConversationId,
        chain: ChainId,
        number: u64,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let open = match &conversation.kind {
            Kind::Room(room) => room.joined && room.members.contains_key(&author),
            // Its author has another key of mine for mine than before.
            Kind::Direct { with } => self.people.get(with).is_some_and(|contact| contact.identity() == Some(author)),
        };
        let is_new = !conversation.theirs.contains_key(&(author, chain));
        if !open || is_new && conversation.chains_of(&author) >= CHAINS_PER_AUTHOR_MAX {
            return;
        }
        let held = conversation.theirs.entry((author, chain)).or_insert_with(Held::new);
        if let Some(borrowed) = held.borrowed_from {
            // Where the author begins earlier, what lies before comes next.
            if number + 1 >= borrowed {
                held.borrowed_from = None;
                self.confirmed(cx, id, (author, chain));
            }
        } else if number > held.checked().0 {
            held.waiting.clear();
            (held.received, held.last) = (number, None);
            conversation.held_back.remove(&(author, chain));
            let after = After::Received { conversation: id, author, chain, number, told: cx.told, shown: 0 };
            self.commit(cx, vec![Write::Skip { conversation: id, author, chain, number }], vec![after]);
        }
    }

    /// The author has this chain begin where we do: from now on they may know what we hold of it.
    fn confirmed(&mut self, cx: &mut Context, conversation: ConversationId, (author, chain): ChainKey) {
        self.commit(cx, vec![Write::Borrowed { conversation, author, chain, from: None }], Vec::new());
        let links = self.links.iter().filter(|(_, link)| link.person.identity == author);
        let links: Vec<_> = links.map(|(link, _)| (link, conversation)).collect();
        self.links.haves.extend(links);
    }

    /// The conversation with `user`, made if it is new.
    pub(super) fn open_direct(&mut self, user: &UserName, writes: &mut Vec<Write>) -> ConversationId {
        let id = self.direct_id(user);
        self.conversations.entry(id).or_insert_with(|| {
            writes.push(Write::Conversation { id, with: user.clone() });
            Conversation::direct(id, user.clone())
        });
        id
    }
}

impl Via {
    /// Whether the author itself has the chain begin where these events do.
    fn says_where_it_begins(self, author: &Author) -> bool {
        match self {
            Self::Link(by) => by == author.identity,
            Self::Mail { begins } => begins,
        }
    }
}

impl Author {
    /// The person at the other end of a link.
    pub(super) fn of(person: &Person) -> Self {
        Self { identity: person.identity, user: person.user.clone(), keys: person.events.clone() }
    }
}

/// Checks a run that was signed with one of these keys, most likely the first.
pub(super) fn verify_by(
    keys: &[EventKey],
    run: &[WireEvent],
    at: Position,
) -> Result<Vec<(EventId, ChainEvent)>, EventError> {
    let mut checked = keys.iter().map(|key| event::verify_run(run, at, key));
    let first = checked.next().unwrap_or(Err(EventError::Unsigned));
    first.or_else(|wrong| checked.find_map(Result::ok).ok_or(wrong))
}

/// How many of these events count before the first that does not. Whoever was removed is back with the join among them.
fn counting(room: &Room, verified: &[(EventId, ChainEvent)], wires: &[WireEvent]) -> usize {
    let mut is_back = false;
    let counts = |((_, event), wire): &(&(EventId, ChainEvent), &WireEvent)| {
        is_back |= event.kind == KIND_JOIN && room.lets_in(wire);
        room.counts(event, is_back)
    };
    verified.iter().zip(wires).take_while(counts).count()
}

/// What an event of `author` says. A join speaks for them alone.
fn content(event: &ChainEvent, author: &Author) -> Result<Content, Misbehaved> {
    let content = event.content().map_err(|_| "a body that is not of its kind")?;
    if let Content::Join(join) = &content {
        let statement = join.statement.claim().map_err(|_| "a join without a statement")?;
        if (&statement.user, statement.identity) != (&author.user, author.identity) {
            return Err("a join under another name");
        }
    }
    Ok(content)
}

/// A new chain begins with a new or restored database: this many in one conversation are an attack on our memory.
pub(super) const CHAINS_PER_AUTHOR_MAX: usize = common::limits::HOLDINGS_MAX;
/// How long an event waits for what its author had seen (the answer comes first if that takes longer).
const PARENT_WAIT: std::time::Duration = std::time::Duration::from_secs(2);
