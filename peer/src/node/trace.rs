//! The way of messages: what is noted when they take a step, and the ladder of one of them. Notes are for people who
//! ask; nothing is decided by them.

use std::net::SocketAddr;

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::event::Event as ChainEvent;

use super::account::Account;
use super::context::Context;
use super::conversation::Conversation;
use super::reads::Read;
use super::receive::Via;
use crate::api::{Event, StepShown, StepState, TraceShown, Via as By};
use crate::ports::{DiskJob, LinkId, Output, Step, StepRun, StoredEvent, Write};

impl Account {
    /// What has gone out on a link since the last time.
    pub(super) fn note_sent(&mut self, cx: &Context, link: LinkId, id: ConversationId) {
        let Some(own) = self.conversations.get(&id).map(|conversation| &conversation.own) else { return };
        let Some(live) = self.links.get_mut(link) else { return };
        let (party, route) = (live.person.identity, Some(live.address));
        let Some(told) = live.conversations.get_mut(&id) else { return };
        let mut runs = Vec::new();
        for (chain, cursor) in &mut told.cursors {
            let acked = own.get(chain).and_then(|log| log.acked.get(&party)).copied().unwrap_or(0);
            let (first, last) = (cursor.noted.max(acked) + 1, cursor.sent);
            cursor.noted = cursor.noted.max(last);
            if first <= last && own.contains_key(chain) {
                runs.push((*chain, first, last));
            }
        }
        for (chain, first, last) in runs {
            let author = self.me;
            let at = cx.now.wall;
            let run = StepRun { conversation: id, author, chain, first, last, step: Step::Sent, party, at, route };
            self.write_lazily(cx, Write::Step(run));
        }
    }

    /// My events from `first` to `last` took a `step` on their way to `party`.
    pub(super) fn note_way(
        &mut self,
        cx: &Context,
        step: Step,
        (conversation, chain): (ConversationId, ChainId),
        (first, last): (u64, u64),
        party: IdentityKey,
    ) {
        let (author, at) = (self.me, cx.now.wall);
        let route = self.address_of(&party).filter(|_| step != Step::Mailed);
        let run = StepRun { conversation, author, chain, first, last, step, party, at, route };
        self.write_lazily(cx, Write::Step(run));
    }

    /// Events from `first` to number `last` of its chain came in. The next commit has the note behind them.
    pub(super) fn note_received(&mut self, cx: &Context, (first, last): (&ChainEvent, u64), via: Via) {
        let ChainEvent { conversation, author, chain, number, .. } = *first;
        let (step, party, route) = match via {
            Via::Link(party) => (Step::Received, party, self.address_of(&party)),
            Via::Mail { .. } => (Step::Fetched, author, None),
        };
        let at = cx.now.wall;
        let run = StepRun { conversation, author, chain, first: number, last, step, party, at, route };
        self.write_lazily(cx, Write::Step(run));
    }

    fn address_of(&self, identity: &IdentityKey) -> Option<SocketAddr> {
        self.links.iter().find(|(_, link)| link.person.identity == *identity).map(|(_, link)| link.address)
    }

    /// `/trace`: what was noted of this message is read next.
    pub(super) fn trace(&mut self, cx: &mut Context, event: StoredEvent) {
        // The newest steps may not be written yet.
        self.write_lazily_kept(cx);
        let ticket = cx.number();
        let StoredEvent { conversation, author, chain, number, .. } = event;
        self.disk.reads.insert(ticket, Read::Traced(Box::new(event)));
        cx.out.push_back(Output::Disk(DiskJob::ReadSteps { ticket, conversation, author, chain, number }));
    }

    pub(super) fn traced(
        &mut self,
        cx: &mut Context,
        event: &StoredEvent,
        recipients: &[IdentityKey],
        steps: &[StepRun],
    ) {
        let Some(conversation) = self.conversations.get(&event.conversation) else { return };
        let own = event.author == self.me;
        let steps = if own {
            self.way_out(conversation, event, recipients, steps)
        } else {
            self.way_in(conversation, event, steps)
        };
        let Some(from) = self.author_name(conversation, &event.author) else { return };
        let conversation = conversation.target();
        cx.finish(Event::Trace(TraceShown { conversation, id: event.id, from, at: event.at, own, steps }));
    }

    /// From my disk to the recipients'.
    fn way_out(
        &self,
        conversation: &Conversation,
        event: &StoredEvent,
        recipients: &[IdentityKey],
        noted: &[StepRun],
    ) -> Vec<StepShown> {
        let log = conversation.own.get(&event.chain);
        let mut ways: Vec<_> = recipients
            .iter()
            .filter_map(|identity| {
                let to = self.author_name(conversation, identity)?;
                let acked = log.and_then(|log| log.acked.get(identity)).is_some_and(|acked| *acked >= event.number);
                let newest = |step: Step| noted.iter().rev().find(|run| run.step == step && run.party == *identity);
                let mut steps = Vec::new();
                // A run has the time of its first event: no step comes before the one it follows.
                let mut earliest = event.at;
                let mut step = |state: StepState, run: Option<&StepRun>| {
                    let (at, route) = (run.map(|run| run.at.max(earliest)), run.and_then(|run| run.route));
                    earliest = at.unwrap_or(earliest);
                    steps.push(StepShown { to: Some(to.clone()), state, at, route, via: None });
                };
                let sent = newest(Step::Sent);
                if sent.is_some() {
                    step(StepState::Sent, sent);
                }
                let left = newest(Step::Mailed);
                if left.is_some() {
                    step(StepState::Mailed, left);
                }
                if acked {
                    step(StepState::Delivered, newest(Step::Delivered));
                } else if left.is_none() && !self.is_under_way(event, identity) {
                    step(StepState::Queued, None);
                }
                Some((to, steps))
            })
            .collect();
        ways.sort_by(|(one, _), (other, _)| one.cmp(other));
        let accepted = StepShown { to: None, state: StepState::Accepted, at: Some(event.at), route: None, via: None };
        std::iter::once(accepted).chain(ways.into_iter().flat_map(|(_, steps)| steps)).collect()
    }

    /// Whether a live link to them has taken it.
    fn is_under_way(&self, event: &StoredEvent, identity: &IdentityKey) -> bool {
        let mut links = self.links.iter().map(|(_, link)| link).filter(|link| link.person.identity == *identity);
        links.any(|link| {
            let cursor = link.conversations.get(&event.conversation).and_then(|told| told.cursors.get(&event.chain));
            cursor.is_some_and(|cursor| cursor.sent >= event.number)
        })
    }

    /// From its author to my disk.
    fn way_in(&self, conversation: &Conversation, event: &StoredEvent, noted: &[StepRun]) -> Vec<StepShown> {
        let none = StepShown { to: None, state: StepState::Written, at: Some(event.at), route: None, via: None };
        let received = noted.iter().find(|run| matches!(run.step, Step::Received | Step::Fetched));
        let brought = received.map(|run| {
            let member = || self.author_name(conversation, &run.party).map(By::Member);
            let via = match run.step {
                Step::Fetched => Some(By::Mailbox),
                _ if run.party == event.author => Some(By::Author),
                _ => member(),
            };
            StepShown { state: StepState::Received, at: Some(run.at), route: run.route, via, ..none.clone() }
        });
        let stored = StepShown { state: StepState::Stored, at: None, ..none.clone() };
        std::iter::once(none).chain(brought).chain([stored]).collect()
    }
}
