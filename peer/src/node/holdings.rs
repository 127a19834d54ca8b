//! Who holds what: hearing it (`Have`) acknowledges, asks for the rest and offers what one lacks oneself; telling it
//! does the same at the far end.

use std::time::Duration;

use common::ids::{ConversationId, IdentityKey};
use common::limits::HOLDINGS_MAX;
use common::message::event::COUNT_MAX;
use common::message::peer::{Have, Holding, PeerMessage};
use common::wire::bounded::List;

use super::account::Account;
use super::context::Context;
use super::conversation::{ChainKey, Conversation, Kind, OwnLog};
use super::forks::is_branch;
use super::held::Held;
use super::reads::Read;
use crate::ports::{DiskJob, LinkId, LinkOutput, Output};

impl Account {
    /// The far end says what it holds: that acknowledges, and asks for the rest.
    pub(super) fn have_heard(&mut self, cx: &mut Context, link: LinkId, have: &Have) {
        let Some(identity) = self.links.get(link).map(|link| link.person.identity) else { return };
        let id = have.conversation;
        if let Some(user) = self.links.get(link).map(|live| live.person.user.clone()) {
            self.people.entry(&user).unheard = 0;
        }
        let known = match self.conversations.get(&id).map(|conversation| &conversation.kind) {
            Some(Kind::Direct { .. }) => self.is_direct_with(link, id),
            Some(Kind::Room(room)) => room.members.contains_key(&identity),
            None => false,
        };
        if !known {
            return self.remember_direct(link, id);
        }
        let room = self.conversations.get(&id).and_then(Conversation::room);
        if room.is_some_and(|room| room.ended_by(&identity).is_some()) {
            // What there is to say to them is why.
            return self.send_newer_entries(cx, link, id, have.head);
        }
        let Some(live) = self.links.get_mut(link) else { return };
        let first = !std::mem::replace(&mut live.conversations.entry(id).or_default().have_heard, true);
        for holding in have.holdings.iter().filter(|holding| holding.number <= COUNT_MAX) {
            if holding.author == self.me {
                self.own_holding(cx, link, id, holding, first);
            } else if holding.author != identity {
                self.holds(link, id, (holding.author, holding.chain), holding.number);
                self.claimed(cx, link, id, holding);
            }
        }
        self.links.pushes.insert((link, id));
        self.compare_logs(cx, link, id, have);
        self.join_acknowledged(cx, id, &identity);
    }

    /// They hold a chain of mine up to some number: that counts if it is what I gave out under it.
    fn own_holding(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, holding: &Holding, first: bool) {
        let log = self.conversations.get(&id).and_then(|known| known.own.get(&holding.chain));
        let Some(live) = self.links.get_mut(link) else { return };
        let told = live.conversations.entry(id).or_default();
        let key = (holding.author, holding.chain);
        let agrees = match log.map(|log| log.agrees(holding)) {
            Some(None) if told.compared.contains(&key) => Some(true),
            Some(agrees) => agrees,
            None => Some(false),
        };
        match agrees {
            Some(true) => self.agreed(cx, link, id, holding, first),
            Some(false) => self.disagreed(cx, link, id, holding),
            None => {
                told.cursors.entry(holding.chain).or_default().is_disputed = true;
                self.compare(cx, link, id, holding);
            }
        }
    }

    /// What they hold of my chain is what I gave.
    pub(super) fn agreed(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        id: ConversationId,
        holding: &Holding,
        first: bool,
    ) {
        let Some(live) = self.links.get_mut(link) else { return };
        let identity = live.person.identity;
        let told = live.conversations.entry(id).or_default();
        told.compared.insert((holding.author, holding.chain));
        let cursor = told.cursors.entry(holding.chain).or_default();
        cursor.acknowledge(holding.number);
        if first || std::mem::take(&mut cursor.is_disputed) {
            cursor.sent = cursor.sent.max(holding.number);
            cursor.begun |= holding.number > 0;
        }
        self.links.pushes.insert((link, id));
        self.acknowledged(cx, id, &identity, *holding);
        self.join_acknowledged(cx, id, &identity);
    }

    /// They hold what my log has lost, or something else under numbers that it gave out again: of this chain there is
    /// nothing to send them, and nothing to believe.
    pub(super) fn disagreed(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, holding: &Holding) {
        if holding.chain == self.chain {
            if self.chain_is_fresh {
                // It began in this very run: nobody can hold anything else of it.
                return;
            }
            self.begin_new_chain(cx);
        }
        self.say_again(cx, id, holding.chain);
        if let Some(told) = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id)) {
            let cursor = told.cursors.entry(holding.chain).or_default();
            cursor.sent = cursor.sent.max(holding.number);
            cursor.is_disputed = false;
        }
        self.claimed(cx, link, id, holding);
    }

    /// What somebody held when they left me mail. There may be no link to them, ever, to talk about it.
    pub(super) fn have_mailed(&mut self, cx: &mut Context, id: ConversationId, identity: &IdentityKey, have: &Have) {
        let me = self.me;
        for holding in have.holdings.iter().filter(|holding| holding.author == me && holding.number <= COUNT_MAX) {
            self.far_holding(cx, id, identity, holding);
        }
    }

    /// Somebody with whom there may be no link has a chain of mine up to some number, by their own word.
    pub(super) fn far_holding(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        identity: &IdentityKey,
        holding: &Holding,
    ) {
        let log = self.conversations.get(&id).and_then(|known| known.own.get(&holding.chain));
        match log.map(|log| log.agrees(holding)) {
            Some(Some(agrees)) => self.far_holding_compared(cx, id, identity, holding, agrees),
            None => self.far_holding_compared(cx, id, identity, holding, false),
            Some(None) => {
                let (ticket, Holding { author, chain, number, .. }) = (cx.number(), *holding);
                let far = Read::Far { conversation: id, identity: *identity, holding: *holding };
                self.disk.reads.insert(ticket, far);
                let (conversation, from, bytes_max, not_before) = (id, number, 1, None);
                let job = DiskJob::ReadChain { ticket, conversation, author, chain, from, bytes_max, not_before };
                cx.out.push_back(Output::Disk(job));
            }
        }
    }

    /// The same, once it is known whether it is what I gave.
    pub(super) fn far_holding_compared(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        identity: &IdentityKey,
        holding: &Holding,
        agrees: bool,
    ) {
        if agrees {
            self.acknowledged(cx, id, identity, *holding);
            self.join_acknowledged(cx, id, identity);
        } else if holding.chain == self.chain && !self.chain_is_fresh {
            self.begin_new_chain(cx);
        }
    }

    /// A `Have` for the direct conversation may come before anything was said there.
    fn remember_direct(&mut self, link: LinkId, id: ConversationId) {
        if self.is_direct_with(link, id)
            && let Some(live) = self.links.get_mut(link)
        {
            live.conversations.entry(id).or_default().have_heard = true;
        }
    }

    /// Acknowledgements that have come due, and everything held where the far end was not told of it yet.
    pub(super) fn send_haves(&mut self, cx: &mut Context) {
        let whole = std::mem::take(&mut self.links.whole_haves);
        let due: Vec<_> = std::mem::take(&mut self.links.haves).union(&whole).copied().collect();
        for (link, id) in due {
            let Some(live) = self.links.get_mut(link) else { continue };
            let identity = live.person.identity;
            let conversation = self.conversations.get(&id);
            let mut holdings = conversation.map(|known| known.holdings_of(&identity)).unwrap_or_default();
            if whole.contains(&(link, id)) {
                holdings.extend(conversation.into_iter().flat_map(|known| known.holdings_besides(&identity)));
            }
            let removed = conversation.and_then(Conversation::room).and_then(|room| room.ended_by(&identity));
            if removed.is_some() {
                continue;
            }
            let head = conversation.map_or(0, Conversation::head);
            let entry = conversation.and_then(Conversation::last_entry);
            let mut pages = holdings.chunks(HOLDINGS_MAX);
            let mut page = pages.next().unwrap_or_default();
            loop {
                let holdings = List::cut(page.to_vec());
                let message = PeerMessage::Have(Have { conversation: id, head, entry, holdings });
                cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
                match pages.next() {
                    Some(next) => page = next,
                    None => break,
                }
            }
        }
    }

    /// Once a while everybody is told what is held here: so that what one lacks is found with another even if no link
    /// ever breaks, and what went unanswered is asked for again.
    pub(super) fn have_timer(&mut self, cx: &mut Context) {
        if cx.now.monotonic < self.haves_at {
            return;
        }
        self.haves_at = cx.now.monotonic.plus(HAVE_EVERY);
        self.haves_round += 1;
        self.close_unneeded(cx);
        let mut due = Vec::new();
        for (link, live) in self.links.iter() {
            let heard = live.conversations.iter().filter(|(id, told)| told.have_heard && !self.overlay.carries(id));
            due.extend(heard.map(|(id, _)| (link, *id)));
        }
        self.links.whole_haves.extend(due);
        let crowds = self.conversations.keys().copied().filter(|id| self.overlay.carries(id));
        for id in crowds.collect::<Vec<_>>() {
            self.offer_again(cx, id, self.haves_round);
        }
    }
}

impl Conversation {
    /// What is held of somebody's own chains: an acknowledgement.
    pub(super) fn holdings_of(&self, author: &IdentityKey) -> Vec<Holding> {
        // Where their chain begins is not known from themselves: they might take it for more than it is.
        let own = self.held().filter(|(holding, _)| holding.author == *author);
        own.filter(|(_, held)| held.borrowed_from.is_none()).map(|(holding, _)| holding).collect()
    }

    /// What is held of everybody else: an offer.
    pub(super) fn holdings_besides(&self, author: &IdentityKey) -> impl Iterator<Item = Holding> {
        let others = self.held().filter(move |(holding, _)| holding.author != *author);
        others.map(|(holding, _)| holding).filter(|holding| holding.number > 0)
    }

    fn held(&self) -> impl Iterator<Item = (Holding, &Held)> {
        let chains = self.theirs.iter().filter(|(key, _)| !is_branch(&key.1));
        chains.map(|(key, held)| (holding_of(self, key, held), held))
    }
}

/// What is held of one chain, as far as it is on the disk and counts.
pub(super) fn holding_of(conversation: &Conversation, key: &ChainKey, held: &Held) -> Holding {
    let number = held.stored.min(conversation.limit(key));
    let last = held.last.filter(|_| number == held.received && held.received > 0);
    Holding { author: key.0, chain: key.1, number, last }
}

impl OwnLog {
    /// Whether what somebody holds is what I gave under that number; `None` if only the disk knows.
    fn agrees(&self, holding: &Holding) -> Option<bool> {
        let Some(last) = holding.last.filter(|_| (1..=self.number).contains(&holding.number)) else {
            return Some(holding.number <= self.number);
        };
        if holding.number == self.number {
            return Some(last == self.last);
        }
        self.recent_from(holding.number).next().map(|recent| recent.id == last)
    }
}

/// How often those who are linked tell each other what they hold, whether it is more or not.
const HAVE_EVERY: Duration = Duration::from_secs(60);
