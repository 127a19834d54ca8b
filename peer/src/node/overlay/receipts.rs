//! Receipts on their way to authors with whom there is no link. Who owes one signs it after a moment, for all that came
//! meanwhile; whoever is handed one gathers others and hands them to the neighbour that is nearest to the author. They
//! may be lost: an author who waits too long for one makes a link.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use common::ids::{ConversationId, IdentityKey};
use common::limits::{RECEIPT_HOPS_MAX, RECEIPTS_MAX};
use common::message::event::{COUNT_MAX, Event as ChainEvent};
use common::message::peer::PeerMessage;
use common::message::receipt::{Receipt, Receipts};
use common::secure::sign::Signed;
use common::time::Monotonic;
use common::wire::bounded::List;

use crate::node::account::Account;
use crate::node::context::Context;
use crate::node::holdings::holding_of;
use crate::ports::{LinkId, LinkOutput, Output};

/// Receipts of one room that are to be handed on.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// By author: how often the farthest was handed on.
    to: BTreeMap<IdentityKey, (u8, Vec<Signed<Receipt>>)>,
    count: usize,
    due: Option<Monotonic>,
    /// What was handed on not long ago, and on which link: with the link it may be lost.
    gone: VecDeque<Gone>,
}

#[derive(Debug)]
struct Gone {
    link: LinkId,
    until: Monotonic,
    author: IdentityKey,
    hops: u8,
    receipts: Vec<Signed<Receipt>>,
}

impl Passing {
    pub(super) fn due(&self) -> Option<Monotonic> {
        self.due
    }

    /// What is too much is dropped: authors ask for what they miss.
    fn add(&mut self, due: Monotonic, author: IdentityKey, hops: u8, receipts: Vec<Signed<Receipt>>) {
        let room = PASSING_MAX.saturating_sub(self.count);
        let (farthest, gathered) = self.to.entry(author).or_default();
        *farthest = hops.max(*farthest);
        let before = gathered.len();
        gathered.extend(receipts.into_iter().take(room));
        self.count += gathered.len() - before;
        self.due.get_or_insert(due);
    }

    /// What is to go now.
    fn take(&mut self) -> BTreeMap<IdentityKey, (u8, Vec<Signed<Receipt>>)> {
        (self.count, self.due) = (0, None);
        std::mem::take(&mut self.to)
    }

    /// These go out on a link.
    fn sent(&mut self, now: Monotonic, link: LinkId, author: IdentityKey, hops: u8, receipts: Vec<Signed<Receipt>>) {
        let kept: usize = self.gone.iter().map(|gone| gone.receipts.len()).sum();
        while self.gone.front().is_some_and(|gone| gone.until <= now || kept + receipts.len() > PASSING_MAX) {
            self.gone.pop_front();
        }
        self.gone.push_back(Gone { link, until: now.plus(LOST_WITHIN), author, hops, receipts });
    }

    /// A link is gone: what it may have lost goes another way.
    pub(super) fn again(&mut self, now: Monotonic, link: LinkId) {
        let gone = std::mem::take(&mut self.gone).into_iter();
        let (lost, kept): (VecDeque<Gone>, VecDeque<Gone>) = gone.partition(|gone| gone.link == link);
        self.gone = kept;
        for Gone { until, author, hops, receipts, .. } in lost {
            if now < until {
                self.add(now.plus(GATHERED_FOR), author, hops, receipts);
            }
        }
    }
}

impl Account {
    /// Something that its author wants to be acknowledged came in, unless it is from before I came.
    pub(in crate::node) fn owe_receipt(&mut self, cx: &Context, id: ConversationId, event: &ChainEvent) {
        if !self.overlay.carries(&id) {
            return;
        }
        let mine = self.room(id).and_then(|room| room.members.get(&self.me));
        if mine.is_none_or(|mine| event.at < mine.joined.at.minus(JOIN_CLOCK_SLACK)) {
            return;
        }
        if let Some(mesh) = self.overlay.rooms.get_mut(&id) {
            mesh.owed.insert((event.author, event.chain), event.number);
            mesh.owed_at.get_or_insert(cx.now.monotonic.plus(SIGNED_AFTER));
        }
    }

    /// Signs what is owed and on the disk. A link with the author says the same by itself; for those who are away it is
    /// kept.
    pub(super) fn sign_receipts(&mut self, cx: &mut Context, id: ConversationId) {
        let linked = self.room_links(id);
        let Some(mesh) = self.overlay.rooms.get_mut(&id) else { return };
        let mut owed = std::mem::take(&mut mesh.owed);
        owed.retain(|(author, _), _| !linked.iter().any(|(_, identity)| identity == author));
        let (mut signed, mut not_stored) = (Vec::new(), false);
        let is_there = |author: &IdentityKey| {
            let member = self.room(id).and_then(|room| room.members.get(author));
            !linked.is_empty() && member.is_some_and(|member| self.is_there(&member.user))
        };
        owed.retain(|key, number| {
            let conversation = self.conversations.get(&id);
            let Some(held) = conversation.and_then(|known| known.theirs.get(key)) else { return false };
            let is_due = held.stored >= *number && is_there(&key.0);
            if let Some(conversation) = conversation.filter(|_| is_due) {
                let from = held.borrowed_from.unwrap_or(1);
                let holding = holding_of(conversation, key, held);
                let receipt = Receipt { conversation: id, member: self.me, from, holding };
                signed.push((key.0, Signed::sign(&receipt, self.keys.event_signer())));
            }
            not_stored |= held.stored < *number;
            !is_due
        });
        let Some(mesh) = self.overlay.rooms.get_mut(&id) else { return };
        // When they come back, or there is a link again, that is noticed.
        mesh.owed_at = not_stored.then(|| cx.now.monotonic.plus(SIGNED_AFTER));
        mesh.owed = owed;
        let now = cx.now.monotonic;
        signed.into_iter().for_each(|(author, receipt)| mesh.passing.add(now, author, 0, vec![receipt]));
        self.hand_on(cx, id);
    }

    /// Receipts came: of what I said, or of what somebody else did.
    pub(in crate::node) fn receipts_came(&mut self, cx: &mut Context, link: LinkId, receipts: Receipts) {
        let Receipts { conversation: id, author, hops, receipts } = receipts;
        let by = self.links.get(link).map(|live| live.person.identity);
        let Some(room) = self.room(id).filter(|room| room.joined && by.is_some_and(|by| room.is_member(&by))) else {
            return;
        };
        if author == self.me {
            return receipts.iter().for_each(|receipt| self.receipt_came(cx, id, receipt));
        }
        if hops < RECEIPT_HOPS_MAX && room.is_member(&author) {
            let due = cx.now.monotonic.plus(GATHERED_FOR);
            if let Some(mesh) = self.overlay.rooms.get_mut(&id) {
                mesh.passing.add(due, author, hops + 1, receipts.into_vec());
            }
        }
    }

    /// Believed if the member signed it, and if nothing that waits for them lies before what it speaks of.
    fn receipt_came(&mut self, cx: &mut Context, id: ConversationId, signed: &Signed<Receipt>) {
        let Ok(claim) = signed.claim() else { return };
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(member) = conversation.room().and_then(|room| room.members.get(&claim.member)) else { return };
        let holding = &claim.holding;
        let log = conversation.own.get(&holding.chain);
        let acked = log.and_then(|log| log.acked.get(&claim.member)).copied().unwrap_or(0);
        if (claim.conversation, holding.author) != (id, self.me)
            || holding.number <= acked
            || holding.number > COUNT_MAX
        {
            return;
        }
        let waits_before = log.is_some_and(|log| {
            let mut before = log.pending.range(acked + 1..claim.from.max(acked + 1));
            before.any(|(_, event)| event.recipients.contains(&claim.member))
        });
        if !waits_before && signed.verify(member.statement.event.as_bytes()).is_ok() {
            self.far_holding(cx, id, &claim.member, holding);
        }
    }

    /// Hands what was gathered to whoever is nearest to each author.
    pub(super) fn hand_on(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(mesh) = self.overlay.rooms.get_mut(&id) else { return };
        let to = mesh.passing.take();
        let open = self.room_links(id);
        for (author, (hops, receipts)) in to {
            let now = cx.now.monotonic;
            let Some(link) = self.towards(now, id, &author, &open) else { continue };
            for some in receipts.chunks(RECEIPTS_MAX) {
                let receipts = List::cut(some.to_vec());
                let message = PeerMessage::Receipts(Receipts { conversation: id, author, hops, receipts });
                cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
            }
            if let Some(mesh) = self.overlay.rooms.get_mut(&id) {
                mesh.passing.sent(now, link, author, hops, receipts);
            }
        }
    }

    /// The link with the author, or with whoever is nearest.
    fn towards(
        &mut self,
        now: Monotonic,
        id: ConversationId,
        author: &IdentityKey,
        open: &[(LinkId, IdentityKey)],
    ) -> Option<LinkId> {
        if let Some((link, _)) = open.iter().find(|(_, identity)| identity == author) {
            return Some(*link);
        }
        let graph = self.graph_of(now, id)?;
        let near = open.iter().filter_map(|(link, other)| Some((graph.distance(author, other)?, *other, *link)));
        near.min().map(|(_, _, link)| link)
    }
}

/// What comes within this time is acknowledged with one signature.
const SIGNED_AFTER: Duration = Duration::from_millis(500);
/// Who has come back has to be linked with others before anything can be handed on.
pub(super) const OWED_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// A joiner's clock and an author's may differ.
const JOIN_CLOCK_SLACK: Duration = Duration::from_secs(60);
/// On its way a receipt waits for others.
const GATHERED_FOR: Duration = Duration::from_millis(150);
/// How long it may take to notice that a link is dead, mostly. Beyond that the author asks.
const LOST_WITHIN: Duration = Duration::from_secs(5);
/// Receipts of one room at hand: those of the largest one, for four who speak at once.
const PASSING_MAX: usize = 4 * common::limits::MEMBERS_MAX;
