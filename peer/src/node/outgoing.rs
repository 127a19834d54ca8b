//! My own events, from a text to a numbered, signed event on the disk, and everything else that is written. Nothing
//! is told or sent before its commit came back; what failed is tried again in the same order, never dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::message::event::{COUNT_MAX, Content, Event as ChainEvent, Stamp, WireEvent};
use common::message::registry::{Code, Refusal, Request};
use common::names::UserName;
use common::time::Monotonic;

use super::account::Account;
use super::context::Context;
use super::conversation::{OwnLog, PendingEvent, Recent};
use super::inquiries::Asking;
use super::registry::Call;
use super::sync::Reading;
use crate::api::{Event, MessageKind, MessageShown, Target};
use crate::ports::{DiskError, DiskJob, DiskReply, LinkId, LinkOutput, Output, StoredEvent, Write};

/// What is under way to and from the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    commits: BTreeMap<u64, Commit>,
    /// Failed commits, in order, and when they are tried again.
    failed: BTreeMap<u64, Commit>,
    /// What follows from commits that overtook a failed one of the same chain.
    overtook: BTreeMap<u64, Vec<After>>,
    retry_at: Option<Monotonic>,
    /// Where a push waits for what could not be read.
    unread: BTreeSet<(LinkId, ConversationId)>,
    told_failing: bool,
    /// Writes that nothing waits for: they ride along with the next commit.
    lazy: Vec<Write>,
    lazy_until: Option<Monotonic>,
    pub(super) reads: BTreeMap<u64, Read>,
}

#[derive(Debug)]
struct Commit {
    writes: Vec<Write>,
    after: Vec<After>,
}

/// What follows when a commit is on the disk.
#[derive(Debug)]
pub(super) enum After {
    /// An event of mine counts now.
    Own { conversation: ConversationId, chain: ChainId, number: u64, re: Option<String>, tell: Option<MessageShown> },
    /// Events of somebody else may be acknowledged up to `number`.
    Received { conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64 },
    /// A room is entered, and that may be told.
    Entered { conversation: ConversationId },
    /// The registry may be asked now.
    Ask { request: Box<Request>, call: Box<Call> },
}

#[derive(Debug)]
pub(super) enum Read {
    Chain(Reading),
    History { conversation: ConversationId },
    Inquiry(Asking),
}

/// An event of mine that was given its number.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) id: EventId,
    pub(super) number: u64,
    pub(super) wire: WireEvent,
    pub(super) stamp: Stamp,
    write: Write,
}

impl Disk {
    /// Something accepted is not on the disk yet.
    pub(super) fn is_busy(&self) -> bool {
        !self.commits.is_empty() || !self.failed.is_empty()
    }

    /// Something could not be written and is being tried again: nothing more is taken on meanwhile.
    pub(super) fn is_failing(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Whether something before it in the same chain is not on the disk: acknowledgements are cumulative.
    fn is_early(&self, ticket: u64, after: &After) -> bool {
        let After::Received { conversation, author, chain, .. } = after else { return false };
        let same = |other: &After| match other {
            After::Received { conversation: id, author: by, chain: of, .. } => {
                (id, by, of) == (conversation, author, chain)
            }
            _ => false,
        };
        let mut before = self.failed.range(..ticket).chain(self.commits.range(..ticket));
        before.any(|(_, commit)| commit.after.iter().any(same))
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.retry_at.into_iter().chain(self.lazy_until).min()
    }
}

impl Account {
    /// Says something in a conversation that is open to me.
    pub(super) fn say(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        conversation: ConversationId,
        text: String,
        kind: MessageKind,
        mut writes: Vec<Write>,
    ) {
        if self.disk.is_failing() {
            self.commit(cx, writes, Vec::new());
            let text =
                "The disk takes nothing just now, so that was not sent. What was accepted before is kept trying.";
            return cx.refuse(re, Refusal::new(Code::Storage, text));
        }
        let content = match kind {
            MessageKind::Text => Content::Text(text.clone()),
            MessageKind::Action => Content::Action(text.clone()),
        };
        let Some(appended) = self.append(cx, conversation, &content) else { return };
        let target = self.conversations[&conversation].target();
        if let Target::Person(user) = &target {
            self.last_spoken = Some(user.clone());
        }
        let message = MessageShown {
            conversation: target,
            id: appended.id,
            from: self.user.clone(),
            text,
            kind,
            at: appended.stamp.at,
            own: true,
            late: false,
        };
        let after = After::Own { conversation, chain: self.chain, number: appended.number, re, tell: Some(message) };
        writes.push(appended.write);
        self.commit(cx, writes, vec![after]);
    }

    /// Gives the next number of my chain to `content`. The caller commits the event, in the order of these calls.
    pub(super) fn append(
        &mut self,
        cx: &mut Context,
        conversation: ConversationId,
        content: &Content,
    ) -> Option<Appended> {
        let recipients = match content {
            Content::Text(_) | Content::Action(_) => self.recipients(conversation),
            _ => Vec::new(),
        };
        let (kind, body) = content.encode().ok()?;
        let entry = self.conversations.get_mut(&conversation)?;
        let head = entry.head();
        entry.lamport = (entry.lamport + 1).min(COUNT_MAX);
        let lamport = entry.lamport;
        let log = entry.own.entry(self.chain).or_insert_with(OwnLog::new);
        let event = ChainEvent {
            conversation,
            author: self.me,
            chain: self.chain,
            number: log.number + 1,
            previous: log.last,
            head,
            lamport,
            at: cx.now.wall,
            kind,
            body,
        };
        let wire = event.sign(self.keys.event_signer());
        let id = wire.id();
        log.number = event.number;
        log.last = id;
        log.remember(Recent { number: event.number, at: event.at, wire: wire.clone() });
        if !recipients.is_empty() {
            log.pending.insert(event.number, PendingEvent { id, recipients: recipients.clone() });
        }
        let stored = StoredEvent::of(&event, id, wire.clone(), false);
        let write = Write::Event { event: Box::new(stored), recipients: Some(recipients) };
        Some(Appended { id, number: event.number, wire, stamp: event.stamp(), write })
    }

    /// Writes and, once that is on the disk, does what follows.
    pub(super) fn commit(&mut self, cx: &mut Context, mut writes: Vec<Write>, after: Vec<After>) {
        writes.append(&mut self.disk.lazy);
        self.disk.lazy_until = None;
        if writes.is_empty() && after.is_empty() {
            return;
        }
        let ticket = cx.number();
        self.disk.commits.insert(ticket, Commit { writes: writes.clone(), after });
        cx.out.push_back(Output::Disk(DiskJob::Commit { ticket, writes }));
    }

    /// Remembers what may be lost in a crash without harm.
    pub(super) fn write_lazily(&mut self, cx: &Context, write: Write) {
        if !self.disk.lazy.contains(&write) {
            self.disk.lazy.push(write);
        }
        self.disk.lazy_until.get_or_insert(cx.now.monotonic.plus(LAZY_WRITE_AFTER));
    }

    pub(super) fn write_lazily_kept(&mut self, cx: &mut Context) {
        self.commit(cx, Vec::new(), Vec::new());
    }

    pub(super) fn disk_timers(&mut self, cx: &mut Context) {
        let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= cx.now.monotonic);
        if due(self.disk.lazy_until) {
            self.disk.lazy_until = None;
            self.write_lazily_kept(cx);
        }
        if self.disk.retry_at.is_some_and(|at| at <= cx.now.monotonic) {
            self.disk.retry_at = None;
            self.links.pushes.append(&mut self.disk.unread);
            for (ticket, commit) in std::mem::take(&mut self.disk.failed) {
                cx.out.push_back(Output::Disk(DiskJob::Commit { ticket, writes: commit.writes.clone() }));
                self.disk.commits.insert(ticket, commit);
            }
        }
    }

    pub(super) fn disk_replied(&mut self, cx: &mut Context, reply: DiskReply) {
        match reply {
            DiskReply::Committed { ticket } => self.committed(cx, ticket),
            DiskReply::ChainRead { ticket, events } => {
                if let Some(Read::Chain(reading)) = self.disk.reads.remove(&ticket) {
                    self.chain_read(cx, &reading, events);
                }
            }
            DiskReply::HistoryRead { ticket, events } => {
                if let Some(Read::History { conversation }) = self.disk.reads.remove(&ticket) {
                    self.history_read(cx, conversation, events);
                }
            }
            DiskReply::Answered { ticket, answer } => self.answered(cx, ticket, answer),
            DiskReply::Failed { ticket, error } => self.disk_failed(cx, ticket, &error),
            DiskReply::Opened(_) | DiskReply::Closed => {}
        }
    }

    fn committed(&mut self, cx: &mut Context, ticket: u64) {
        let Some(commit) = self.disk.commits.remove(&ticket) else { return };
        if !self.disk.is_failing() {
            self.disk.told_failing = false;
            for link in std::mem::take(&mut self.links.passed_over) {
                // Linked anew, they send again what could not be kept.
                cx.out.push_back(Output::Link(LinkOutput::Close { link }));
                self.link_down(cx, link);
            }
        }
        self.disk.overtook.insert(ticket, commit.after);
        for (ticket, after) in std::mem::take(&mut self.disk.overtook) {
            let (early, due) = after.into_iter().partition(|after| self.disk.is_early(ticket, after));
            if !Vec::is_empty(&early) {
                self.disk.overtook.insert(ticket, early);
            }
            due.into_iter().for_each(|after| self.follow(cx, after));
        }
    }

    fn follow(&mut self, cx: &mut Context, after: After) {
        match after {
            After::Own { conversation, chain, number, re, tell } => {
                self.own_committed(cx, conversation, chain, number);
                if let Some(message) = tell {
                    cx.answer(re, Event::Message(message));
                    self.deliver(cx, conversation, chain, number);
                }
            }
            After::Received { conversation, author, chain, number } => {
                self.stored(conversation, author, chain, number);
            }
            After::Entered { conversation } => self.join_stored(cx, conversation),
            After::Ask { request, call } => self.ask(cx, *request, *call),
        }
    }

    fn own_committed(&mut self, _cx: &mut Context, conversation: ConversationId, chain: ChainId, number: u64) {
        let log = self.conversations.get_mut(&conversation).and_then(|entry| entry.own.get_mut(&chain));
        if let Some(log) = log {
            log.committed = log.committed.max(number);
        }
        self.links.push_in(conversation);
    }

    fn disk_failed(&mut self, cx: &mut Context, ticket: Option<u64>, error: &DiskError) {
        let Some(ticket) = ticket else { return };
        if let Some(read) = self.disk.reads.remove(&ticket) {
            match read {
                Read::History { .. } => cx.fail(Refusal::new(Code::Storage, &error.text)),
                Read::Inquiry(asking) => self.inquiry_failed(cx, asking, error),
                Read::Chain(reading) => {
                    let unread = self.read_failed(&reading);
                    self.disk.unread.insert(unread);
                    self.disk.retry_at.get_or_insert(cx.now.monotonic.plus(DISK_RETRY_AFTER));
                }
            }
            return;
        }
        let Some(commit) = self.disk.commits.remove(&ticket) else { return };
        self.disk.failed.insert(ticket, commit);
        self.disk.retry_at.get_or_insert(cx.now.monotonic.plus(DISK_RETRY_AFTER));
        if !self.disk.told_failing {
            self.disk.told_failing = true;
            cx.tell(Event::Refused(Refusal::new(Code::Storage, &error.text)));
        }
    }

    /// Whose acknowledgement a text in this conversation waits for.
    fn recipients(&self, conversation: ConversationId) -> Vec<IdentityKey> {
        let Some(entry) = self.conversations.get(&conversation) else { return Vec::new() };
        match &entry.kind {
            super::conversation::Kind::Direct { with } => self.identity_of(with).into_iter().collect(),
            super::conversation::Kind::Room(room) => room.others(&self.me).map(|(identity, _)| *identity).collect(),
        }
    }

    pub(super) fn identity_of(&self, user: &UserName) -> Option<IdentityKey> {
        self.people.get(user).and_then(super::people::Contact::identity)
    }
}

impl StoredEvent {
    /// A checked event as the log keeps it.
    pub(super) fn of(event: &ChainEvent, id: EventId, wire: WireEvent, late: bool) -> Self {
        Self {
            conversation: event.conversation,
            author: event.author,
            chain: event.chain,
            number: event.number,
            id,
            lamport: event.lamport,
            at: event.at,
            kind: event.kind,
            late,
            wire,
        }
    }
}

impl Appended {
    /// The write that keeps this event, to go first into the commit that the caller makes.
    pub(super) fn into_write(self) -> Write {
        self.write
    }
}

/// Acknowledgements are kept for after a restart, but a peer would repeat them anyway.
const LAZY_WRITE_AFTER: Duration = Duration::from_secs(2);
/// Space may have been made meanwhile.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(2);
