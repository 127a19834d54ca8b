//! Filling holes: what others say they hold and we do not is asked of them, of its author first. Signatures make every
//! copy equally good. What stays missing is told, and told again when it is there.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::limits::EVENTS_BYTES_MAX;
use common::message::event::{COUNT_MAX, Event as ChainEvent, KIND_JOIN, WireEvent};
use common::message::peer::{Holding, PeerMessage, Want};
use common::message::room::History;
use common::secure::rotation::Lineage;
use common::time::Monotonic;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation, Kind};
use super::held::Held;
use super::reads::Read;
use super::receive::{Author, Misbehaved, Run, Taken, Via};
use super::sync;
use crate::api::Event;
use crate::ports::{DiskJob, LinkId, LinkOutput, Output, StoredEvent, Write};

/// What is missing, who has it, and what is being fetched from whom.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// One request at a time on each link.
    wants: BTreeMap<LinkId, Wanted>,
    gaps: BTreeMap<(ConversationId, IdentityKey), Gap>,
    /// Wants of others: one is being read, and perhaps the next waits.
    serving: BTreeMap<LinkId, Option<Want>>,
    /// Something changed: what to ask for is looked at again.
    due: bool,
    look_at: Option<Monotonic>,
}

#[derive(Debug)]
struct Wanted {
    want: Want,
    /// What we hold there, if it is asked for to be compared.
    ours: Option<EventId>,
    until: Monotonic,
}

/// Somebody says that they hold a chain up to here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) number: u64,
    pub(super) heard_at: Monotonic,
    /// What we hold at that number, if they name another event there. Only the event itself proves it.
    pub(super) ours: Option<EventId>,
}

/// What one author said and we do not have.
#[derive(Debug)]
struct Gap {
    since: Monotonic,
    /// How far each chain goes, by what others say.
    known: BTreeMap<ChainId, u64>,
    told: bool,
}

impl Repair {
    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.look_at
    }

    /// Something was taken in: a hole may be filled.
    pub(super) fn went_on(&mut self) {
        self.due |= !self.gaps.is_empty();
    }

    /// Whose whole chain a link was asked for in a conversation.
    pub(super) fn asked_for_whole(&self, link: LinkId, id: ConversationId) -> Option<IdentityKey> {
        let want = self.wants.get(&link).map(|wanted| &wanted.want)?;
        (want.conversation == id && want.from == 1).then_some(want.author)
    }

    /// A link is gone: what it was asked for is asked of another.
    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.serving.remove(&link);
        self.due |= self.wants.remove(&link).is_some();
    }
}

impl Account {
    /// Somebody holds an author's chain up to some number: perhaps further than we do, perhaps another one.
    pub(super) fn claimed(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, holding: &Holding) {
        let key = (holding.author, holding.chain);
        let Some(conversation) = self.conversations.get(&id) else { return };
        // Somebody may not have heard yet that what comes after does not count.
        let limit = conversation.limit(&key);
        let last = holding.last.filter(|_| holding.number <= limit);
        let holding = &Holding { number: holding.number.min(limit), last, ..*holding };
        if holding.number > COUNT_MAX || self.is_forked(id, key) {
            return;
        }
        let is_mine = holding.author == self.me;
        if conversation.is_strange(&holding.author) {
            return self.stranger_claimed(cx, link, id, holding);
        }
        if !is_mine && self.author_of(conversation, &holding.author).is_none() {
            return;
        }
        let (number, last) = conversation.reached(&self.me, &key);
        if holding.number <= number {
            if is_mine || holding.number == 0 {
                return;
            }
            match last.filter(|_| holding.number == number) {
                Some(ours) => self.suspect(cx, link, id, holding, ours),
                None => self.compare_once(cx, link, id, holding),
            }
            return;
        }
        if !self.note(link, id, key, Claim { number: holding.number, heard_at: cx.now.monotonic, ours: None }) {
            return;
        }
        self.gap_known(cx, id, key, holding.number);
    }

    /// A chain of somebody is known to go up to `number` at least.
    pub(super) fn gap_known(&mut self, cx: &Context, id: ConversationId, (author, chain): ChainKey, number: u64) {
        let fresh = || Gap { since: cx.now.monotonic, known: BTreeMap::new(), told: false };
        let gap = self.repair.gaps.entry((id, author)).or_insert_with(fresh);
        if gap.known.len() < CLAIMS_MAX || gap.known.contains_key(&chain) {
            let known = gap.known.entry(chain).or_default();
            *known = (*known).max(number);
        }
        self.repair.due = true;
    }

    /// Keeps what the far end of a link claims; when it first did stays known. `false` if it claims too much.
    pub(super) fn note(&mut self, link: LinkId, id: ConversationId, key: ChainKey, claim: Claim) -> bool {
        let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) else {
            return false;
        };
        if told.claims.len() >= CLAIMS_MAX && !told.claims.contains_key(&key) {
            return false;
        }
        let heard_at = told.claims.get(&key).map_or(claim.heard_at, |known| known.heard_at);
        told.claims.insert(key, Claim { heard_at, ..claim });
        self.repair.due = true;
        true
    }

    /// Asks for what is missing and tells what stays so; called whenever outputs are drained, and now and then.
    pub(super) fn repair(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        if !std::mem::take(&mut self.repair.due) && self.repair.look_at.is_none_or(|at| at > now) {
            return;
        }
        self.give_up_waiting(now);
        self.drop_satisfied();
        for link in self.links.ids() {
            if !self.repair.wants.contains_key(&link)
                && let Some((want, ours)) = self.next_want(now, link)
            {
                self.repair.wants.insert(link, Wanted { want, ours, until: now.plus(WANT_TIMEOUT) });
                cx.out.push_back(Output::Link(LinkOutput::Send { link, message: PeerMessage::Want(want) }));
            }
        }
        self.tell_gaps(cx);
        let pending = !self.repair.wants.is_empty() || self.repair.gaps.values().any(|gap| !gap.told);
        let claimed =
            self.links.iter().any(|(_, live)| live.conversations.values().any(|told| !told.claims.is_empty()));
        self.repair.look_at = (pending || claimed).then(|| now.plus(LOOK_EVERY));
    }

    /// Whoever did not answer in time is not asked for that again until they say once more that they hold it.
    fn give_up_waiting(&mut self, now: Monotonic) {
        let late: Vec<LinkId> =
            self.repair.wants.iter().filter(|(_, wanted)| wanted.until <= now).map(|(link, _)| *link).collect();
        for link in late {
            self.not_served(link);
        }
    }

    fn drop_satisfied(&mut self) {
        let (me, conversations) = (self.me, &self.conversations);
        for live in self.links.iter_mut() {
            for (id, told) in &mut live.conversations {
                let Some(conversation) = conversations.get(id) else { continue };
                told.claims
                    .retain(|key, claim| claim.ours.is_some() || claim.number > conversation.reached(&me, key).0);
            }
        }
    }

    /// What to ask the far end of a link for: of everything missing what was said first.
    fn next_want(&self, now: Monotonic, link: LinkId) -> Option<(Want, Option<EventId>)> {
        let live = self.links.get(link)?;
        let mut candidates = Vec::new();
        for (id, told) in &live.conversations {
            // In a room that one is not in, the answer would be passed over.
            let open = |conversation: &&Conversation| conversation.room().is_none_or(|room| room.joined);
            let Some(conversation) = self.conversations.get(id).filter(open) else { continue };
            for (key, claim) in &told.claims {
                let asked = |wanted: &Wanted| (wanted.want.conversation, (wanted.want.author, wanted.want.chain));
                let is_asked = self.repair.wants.values().any(|wanted| asked(wanted) == (*id, *key));
                // Of others nothing could be taken in yet; what is a stranger's comes with what makes them known.
                let is_open = key.0 == self.me || told.strangers.contains(&key.0);
                let is_known = is_open || self.author_of(conversation, &key.0).is_some();
                if is_asked
                    || !is_known
                    || claim.ours.is_none() && self.is_served_by_author(now, conversation, key, claim)
                {
                    continue;
                }
                let from = claim.ours.map_or_else(|| conversation.reached(&self.me, key).0 + 1, |_| claim.number);
                let lamport = conversation.theirs.get(key).map_or(0, |held| held.lamport);
                let want = Want { conversation: *id, author: key.0, chain: key.1, from };
                candidates.push((lamport, *key, (want, claim.ours)));
            }
        }
        candidates.into_iter().min_by_key(|(lamport, key, _)| (*lamport, *key)).map(|(_, _, want)| want)
    }

    /// An author who is there sends by itself, as long as that goes on.
    fn is_served_by_author(&self, now: Monotonic, conversation: &Conversation, key: &ChainKey, claim: &Claim) -> bool {
        let moved_at = conversation.theirs.get(key).map_or(Monotonic(0), |held| held.moved_at);
        let is_linked = self.links.iter().any(|(_, live)| live.person.identity == key.0);
        is_linked && now < claim.heard_at.max(moved_at).plus(AUTHOR_FIRST)
    }

    /// Whether events are what the far end of a link was asked for.
    pub(super) fn is_wanted(&self, link: LinkId, first: &ChainEvent) -> bool {
        let place = (first.conversation, first.author, first.chain);
        let is_it = |wanted: &Wanted| (wanted.want.conversation, wanted.want.author, wanted.want.chain) == place;
        self.repair.wants.get(&link).is_some_and(is_it)
    }

    /// Events that are not their sender's own, and were asked for.
    pub(super) fn wanted_came(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        first: &ChainEvent,
        events: &[WireEvent],
    ) -> Result<(), Misbehaved> {
        let (id, key) = (first.conversation, (first.author, first.chain));
        let Some(wanted) = self.repair.wants.get(&link) else { return Ok(()) };
        let (from, ours) = (wanted.want.from, wanted.ours);
        let Some(served_by) = self.links.get(link).map(|live| live.person.identity) else { return Ok(()) };
        self.repair.due = true;
        let Some(conversation) = self.conversations.get(&id) else { return Ok(()) };
        if let Some(ours) = ours {
            let is_fork = self.proves_fork(conversation, &key, (from, ours), events);
            self.not_served(link);
            if is_fork {
                self.fork_seen(cx, id, key);
                self.branch_came(cx, link, id, key, events);
            }
            return Ok(());
        }
        let before = conversation.reached(&self.me, &key).0;
        let taken = if key.0 == self.me {
            self.take_own(cx, id, key.1, events)?
        } else {
            if let Some(wire) = events.first().filter(|_| first.kind == KIND_JOIN) {
                // With which key what follows is signed, it may be the one to say.
                let mut writes = Vec::new();
                self.member_joined(cx, id, wire, true, &mut writes);
                self.commit(cx, writes, Vec::new());
            }
            let Some(conversation) = self.conversations.get(&id) else { return Ok(()) };
            let Some(author) = self.author_of(conversation, &key.0) else {
                self.not_served(link);
                return Ok(());
            };
            self.begin_borrowed(cx, id, key, from, first);
            let chain = key.1;
            self.take_run(cx, &Run { conversation: id, author, chain, events, late: true, via: Via::Link(served_by) })?
        };
        let after = self.conversations.get(&id).map_or(0, |conversation| conversation.reached(&self.me, &key).0);
        match taken {
            Taken::Fork => {
                self.fork_seen(cx, id, key);
                self.branch_came(cx, link, id, key, events);
            }
            Taken::Whole if after > before => {
                self.repair.wants.remove(&link);
            }
            _ => self.not_served(link),
        }
        Ok(())
    }

    /// Nothing more of a chain is asked for, from anybody.
    pub(super) fn nothing_wanted(&mut self, id: ConversationId, key: ChainKey) {
        for link in self.links.ids() {
            let is_it =
                |Wanted { want, .. }: &Wanted| (want.conversation, want.author, want.chain) == (id, key.0, key.1);
            if self.repair.wants.get(&link).is_some_and(is_it) {
                self.repair.wants.remove(&link);
            }
            if let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) {
                told.claims.remove(&key);
            }
        }
        if let Some(gap) = self.repair.gaps.get_mut(&(id, key.0)) {
            gap.known.remove(&key.1);
        }
    }

    /// Nothing beyond what counts is missing of somebody, whatever was said before.
    pub(super) fn limit_known(&mut self, id: ConversationId, author: &IdentityKey) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        for live in self.links.iter_mut() {
            let told = live.conversations.get_mut(&id);
            told.into_iter().for_each(|told| {
                told.claims.retain(|key, claim| key.0 != *author || claim.number <= conversation.limit(key));
            });
        }
        if let Some(gap) = self.repair.gaps.get_mut(&(id, *author)) {
            gap.known
                .iter_mut()
                .for_each(|(chain, known)| *known = (*known).min(conversation.limit(&(*author, *chain))));
        }
        self.repair.due = true;
    }

    /// The far end has nothing of what was asked for that it may give us.
    pub(super) fn nothing_served(&mut self, _cx: &Context, link: LinkId, id: ConversationId) {
        if self.repair.wants.get(&link).is_some_and(|wanted| wanted.want.conversation == id) {
            self.not_served(link);
            self.repair.due = true;
        }
    }

    /// What a link was asked for it does not give: its word on that counts no more, and if nobody else says that there
    /// is something, there is nothing.
    pub(super) fn not_served(&mut self, link: LinkId) {
        let Some(Wanted { want, .. }) = self.repair.wants.remove(&link) else { return };
        let (id, key) = (want.conversation, (want.author, want.chain));
        if let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) {
            told.claims.remove(&key);
        }
        let claims = self.links.iter().filter_map(|(_, live)| live.conversations.get(&id)?.claims.get(&key));
        let known = claims.map(|claim| claim.number).max();
        if let Some(gap) = self.repair.gaps.get_mut(&(id, key.0)) {
            match known {
                Some(known) => gap.known.insert(key.1, known),
                None => gap.known.remove(&key.1),
            };
        }
    }

    /// In a room whose history begins with one's join, a chain may begin with any number. Another than its author may
    /// say with which; until the author does, too, the author is not told that we have it.
    fn begin_borrowed(&mut self, cx: &mut Context, id: ConversationId, key: ChainKey, from: u64, first: &ChainEvent) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let begins_late = conversation.room().is_some_and(|room| room.genesis.history == History::Joined);
        let held = conversation.theirs.get(&key);
        let is_new = held.is_none_or(|held| held.received == 0 && held.waiting.is_empty());
        if !(begins_late && is_new && from == 1 && (2..=COUNT_MAX).contains(&first.number)) {
            return;
        }
        let mut held = Held::up_to(first.number - 1, None, 0);
        held.borrowed_from = Some(first.number);
        conversation.theirs.insert(key, held);
        let (author, chain) = key;
        let write = Write::Borrowed { conversation: id, author, chain, from: Some(first.number) };
        self.commit(cx, vec![write], Vec::new());
    }

    /// Tells holes that stay, and those that are filled.
    fn tell_gaps(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let mut told = Vec::new();
        for ((id, author), gap) in &mut self.repair.gaps {
            let Some(conversation) = self.conversations.get(id) else { continue };
            let lacking = |(chain, known): (&ChainId, &u64)| {
                known.saturating_sub(conversation.taken_in(&self.me, &(*author, *chain)))
            };
            let missing: u64 = gap.known.iter().map(lacking).fold(0, u64::saturating_add);
            let is_news = if missing == 0 { gap.told } else { !gap.told && now >= gap.since.plus(GAP_TOLD_AFTER) };
            if is_news {
                told.push((*id, *author, missing));
                gap.told = true;
            }
            if missing == 0 {
                gap.known.clear();
            }
        }
        self.repair.gaps.retain(|_, gap| !gap.known.is_empty());
        for (id, author, missing) in told {
            let Some(conversation) = self.conversations.get(&id) else { continue };
            let target = conversation.target();
            let from = if author == self.me { Some(self.user.clone()) } else { self.name_in(conversation, &author) };
            if let Some(from) = from {
                cx.tell(Event::Gap { conversation: target, from, missing });
            }
        }
    }

    /// Somebody lacks what we said that we hold.
    pub(super) fn want_heard(&mut self, cx: &mut Context, link: LinkId, want: Want) {
        let Some(identity) = self.links.get(link).map(|live| live.person.identity) else { return };
        let Some(conversation) = self.conversations.get(&want.conversation) else { return };
        let entitled = match &conversation.kind {
            Kind::Direct { .. } => self.is_direct_with(link, want.conversation),
            Kind::Room(room) => room.joined && room.is_member(&identity),
        };
        if !entitled || want.from == 0 {
            return;
        }
        if let Some(next) = self.repair.serving.get_mut(&link) {
            // Asked again before the answer: the newer question counts.
            *next = Some(want);
            return;
        }
        self.repair.serving.insert(link, None);
        self.serve(cx, link, &identity, want);
    }

    fn serve(&mut self, cx: &mut Context, link: LinkId, identity: &IdentityKey, want: Want) {
        let Want { conversation, author, chain, from } = want;
        let known = self.conversations.get(&conversation);
        let is_room = known.is_some_and(|known| known.room().is_some());
        let since = known.and_then(|known| sync::joined_since(known, identity));
        if from == 1 {
            self.introduce(cx, link, conversation, &author);
        }
        let ticket = cx.number();
        self.disk.reads.insert(ticket, Read::Wanted { link, want });
        cx.out.push_back(Output::Disk(DiskJob::ReadChain {
            ticket,
            conversation,
            author,
            chain,
            from,
            bytes_max: EVENTS_BYTES_MAX,
            // A key that took another's place is given nothing of what was said to that one, wherever it asks to begin.
            not_before: since.filter(|_| from == 1 || !is_room),
        }));
    }

    /// What was read for somebody goes out, up to the last signature; what could not be read is not there.
    pub(super) fn served(&mut self, cx: &mut Context, link: LinkId, want: &Want, events: Vec<StoredEvent>) {
        let Some(next) = self.repair.serving.remove(&link) else { return };
        let identity = self.links.get(link).map(|live| live.person.identity);
        let room = self.conversations.get(&want.conversation).and_then(Conversation::room);
        // Removed while it was read: the answer is nothing.
        let is_open = room.is_none_or(|room| identity.is_some_and(|identity| room.is_member(&identity)));
        let counts = |event: &StoredEvent| {
            room.is_none_or(|room| event.wire.claim().is_ok_and(|event| room.counts(&event, false)))
        };
        let mut events: Vec<WireEvent> =
            events.into_iter().take_while(|event| is_open && counts(event)).map(|event| event.wire).collect();
        if !events.is_empty() {
            events.truncate(sync::count_fitting(events.iter()));
        }
        events.truncate(sync::signed_part(&events, |event| event));
        sync::send_events(cx, link, want.conversation, true, events);
        if let Some(next) = next {
            self.want_heard(cx, link, next);
        }
    }

    /// Whose events these are, if the name and the key agree with everything that is known here.
    pub(super) fn author_of(&self, conversation: &Conversation, identity: &IdentityKey) -> Option<Author> {
        let member = conversation.room()?.members.get(identity)?;
        let contact = self.people.get(&member.user);
        let other = contact.is_some_and(|contact| contact.is_blocked() || contact.is_other_than(identity));
        let pinned = contact.and_then(|contact| contact.statement_of(identity));
        let newest = pinned.filter(|pinned| pinned.against(&member.statement) == Lineage::Newer);
        let keys = newest.as_ref().unwrap_or(&member.statement).event_keys();
        (!other).then(|| Author { identity: *identity, user: member.user.clone(), keys })
    }
}

impl Conversation {
    /// How far a chain is here, mine or somebody's, and what is there if that is known.
    fn reached(&self, me: &IdentityKey, key: &ChainKey) -> (u64, Option<EventId>) {
        if key.0 == *me {
            return self.own.get(&key.1).map_or((0, None), |log| (log.number, Some(log.last)));
        }
        self.theirs.get(key).map_or((0, None), Held::checked)
    }

    /// The same without what still waits for what it answers.
    fn taken_in(&self, me: &IdentityKey, key: &ChainKey) -> u64 {
        if key.0 == *me {
            return self.reached(me, key).0;
        }
        self.theirs.get(key).map_or(0, |held| held.received)
    }
}

/// Chains that one link may say something new about, in one conversation.
const CLAIMS_MAX: usize = 1024;
/// An author who is there is given this long to send by itself.
const AUTHOR_FIRST: Duration = Duration::from_secs(2);
/// A hole that is filled sooner is not worth a word.
const GAP_TOLD_AFTER: Duration = Duration::from_secs(2);
/// A peer that holds something reads and sends it within this time.
const WANT_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(500);
