//! My own events, from a text to a numbered, signed event on the disk, and everything else that is written. Nothing
//! is told or sent before its commit came back; what failed is tried again in the same order, never dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, EventId, IdentityKey};
use common::message::event::{COUNT_MAX, Content, Event as ChainEvent, Stamp, WireEvent};
use common::message::registry::{Code, Refusal, Request};
use common::names::UserName;
use common::time::Monotonic;
use common::wire::bounded::Blob;
use common::wire::codec;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::{PendingEvent, Recent};
use super::deeds::Heard;
use super::lazy;
use super::reads::Read;
use super::surviving::has_to_survive;
use crate::api::{Changes, Event, MessageKind, MessageShown, Target};
use crate::ports::{DiskError, DiskJob, LinkId, LinkOutput, Output, StoredEvent, Survives, Write};

/// What is under way to and from the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    commits: BTreeMap<u64, Commit>,
    /// Failed commits, in order, and when they are tried again.
    failed: BTreeMap<u64, Commit>,
    retry_at: Option<Monotonic>,
    /// Where a push waits for what could not be read.
    pub(super) unread: BTreeSet<(LinkId, ConversationId)>,
    /// What else could not be read.
    pub(super) again: Vec<Read>,
    /// Acts of others whose messages could not be read.
    pub(super) untold: Vec<Heard>,
    told_failing: bool,
    /// Writes that nothing waits for: the next commit takes them along, or a later one what may wait.
    lazy: Vec<Write>,
    lazy_until: Option<Monotonic>,
    /// What a killed program does not lose and a stopped machine might, until then; and whether lines of mine are in it.
    exposed_until: Option<Monotonic>,
    exposes_lines: bool,
    pub(super) reads: BTreeMap<u64, Read>,
}

#[derive(Debug)]
struct Commit {
    writes: Arc<Vec<Write>>,
    survives: Survives,
    after: Vec<After>,
}

/// What follows when a commit is as safe as it has to be.
#[derive(Debug)]
pub(super) enum After {
    /// An event of mine counts now.
    Own { conversation: ConversationId, chain: ChainId, number: u64, re: Option<String>, tell: Option<Box<Event>> },
    /// Events of somebody else may be acknowledged up to `number`, once those `told` are written out, too. The last
    /// message among them is `shown`, or 0.
    Received { conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64, told: u64, shown: u64 },
    /// The same, and they are marked as written out.
    Shown { conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64 },
    /// A room is entered, and that may be told.
    Entered { conversation: ConversationId },
    /// What a piece of mail said is kept.
    MailStored { item: u64 },
    /// A decision about a key holds: it is told, and what follows from it is done.
    Decided { user: UserName, re: Option<String>, event: Box<Event> },
    /// Keys that follow the ones before are what a restart would go on with.
    KeysKept,
    /// The registry may be asked now.
    Ask { request: Box<Request>, call: Box<Call> },
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
        !self.commits.is_empty() || !self.failed.is_empty() || self.exposes_lines
    }

    /// Something could not be written and is being tried again: nothing more is taken on meanwhile.
    pub(super) fn is_failing(&self) -> bool {
        !self.failed.is_empty()
    }

    /// What will follow from the commits that are on their way.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &After> {
        self.commits.values().flat_map(|commit| &commit.after)
    }

    pub(super) fn retry_soon(&mut self, now: Monotonic) {
        self.retry_at.get_or_insert(now.plus(DISK_RETRY_AFTER));
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.retry_at.into_iter().chain(self.lazy_until).chain(self.exposed_until).min()
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
        writes: Vec<Write>,
    ) {
        let content = match kind {
            MessageKind::Text => Content::Text(text.clone()),
            MessageKind::Action => Content::Action(text.clone()),
        };
        let (target, from) = (self.conversations[&conversation].target(), self.user.clone());
        let spoken = target.clone();
        let said = self.put(cx, re, conversation, &content, writes, |appended| {
            Event::Message(MessageShown {
                conversation: target,
                id: appended.id,
                from,
                text,
                kind,
                at: appended.stamp.at,
                own: true,
                late: false,
                changes: Changes::default(),
            })
        });
        if let Target::Person(user) = spoken
            && said
        {
            self.last_spoken = Some(user);
        }
    }

    /// Puts something into a conversation that is open to me; `told` says what I am told once it is on the disk.
    /// Whether it was taken on.
    pub(super) fn put(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        conversation: ConversationId,
        content: &Content,
        writes: Vec<Write>,
        told: impl FnOnce(&Appended) -> Event,
    ) -> bool {
        if let Err(refusal) = self.may_go_on(conversation) {
            cx.refuse(re, refusal);
            return false;
        }
        if self.disk.is_failing() {
            self.commit(cx, writes, Vec::new());
            let text =
                "The disk takes nothing just now, so that was not sent. What was accepted before is kept trying.";
            cx.refuse(re, Refusal::new(Code::Storage, text));
            return false;
        }
        let Some(appended) = self.append(cx, conversation, content) else { return false };
        let tell = Some(Box::new(told(&appended)));
        let after = After::Own { conversation, chain: self.chain, number: appended.number, re, tell };
        self.add_said(appended.write, writes, after);
        true
    }

    /// Gives the next number of my chain to `content`. The caller commits the event, in the order of these calls. A join
    /// or a part is signed, for it stands alone elsewhere; anything else awaits the end of its run.
    pub(super) fn append(
        &mut self,
        cx: &mut Context,
        conversation: ConversationId,
        content: &Content,
    ) -> Option<Appended> {
        let head = self.conversations.get(&conversation)?.head();
        self.append_knowing(cx, conversation, content, head)
    }

    /// The same as somebody who knows `head` entries of the owner's log.
    pub(super) fn append_knowing(
        &mut self,
        cx: &mut Context,
        conversation: ConversationId,
        content: &Content,
        head: u32,
    ) -> Option<Appended> {
        let recipients = match content {
            Content::Join(_) | Content::Part(_) | Content::Unknown => Vec::new(),
            _ => self.recipients(conversation),
        };
        let (kind, body) = content.encode().ok()?;
        let entry = self.conversations.get_mut(&conversation)?;
        let parents = entry.take_parents(self.me, self.chain);
        entry.lamport = (entry.lamport + 1).min(COUNT_MAX);
        let lamport = entry.lamport;
        let log = entry.own_log(self.chain);
        let event = ChainEvent {
            conversation,
            author: self.me,
            chain: self.chain,
            number: log.number + 1,
            previous: log.last,
            parents,
            head,
            lamport,
            at: cx.now.wall,
            kind,
            body,
        };
        let wire = match content {
            Content::Join(_) | Content::Part(_) => event.sign(self.keys.event_signer()),
            _ => WireEvent { bytes: Blob::new(codec::encode(&event)).ok()?, signature: None },
        };
        let id = wire.id();
        log.number = event.number;
        log.last = id;
        log.remember(Recent { number: event.number, id, at: event.at, wire: wire.clone() });
        if !recipients.is_empty() {
            log.pending.insert(event.number, PendingEvent { id, recipients: recipients.clone() });
        }
        let stored = StoredEvent::of(&event, id, wire.clone(), false);
        let write = Write::Event { event: Box::new(stored), recipients: Some(recipients) };
        Some(Appended { id, number: event.number, wire, stamp: event.stamp(), write })
    }

    /// Writes and, once that is safe, does what follows. What was said before is written before.
    pub(super) fn commit(&mut self, cx: &mut Context, writes: Vec<Write>, after: Vec<After>) {
        self.keep_said(cx);
        self.commit_alone(cx, writes, after);
    }

    /// The same with nothing before it.
    pub(super) fn commit_alone(&mut self, cx: &mut Context, mut writes: Vec<Write>, after: Vec<After>) {
        let is_due = self.disk.lazy_until.is_some_and(|until| until <= cx.now.monotonic);
        if writes.is_empty() || is_due || self.disk.lazy.len() >= LAZY_WRITES_MAX {
            writes.append(&mut self.disk.lazy);
        } else {
            writes.extend(self.disk.lazy.extract_if(.., |write| !lazy::may_wait(write)));
        }
        if self.disk.lazy.is_empty() {
            self.disk.lazy_until = None;
        }
        if writes.is_empty() && after.is_empty() {
            return;
        }
        let survives = has_to_survive(&writes);
        let ticket = cx.number();
        self.hand_over(cx, ticket, Commit { writes: Arc::new(writes), survives, after });
    }

    /// Whatever was handed over before is on the disk when this has come back, and counts as unsaved until then.
    pub(super) fn secure(&mut self, cx: &mut Context) {
        self.keep_said(cx);
        if self.disk.exposed_until.is_some() {
            let ticket = cx.number();
            let nothing = Commit { writes: Arc::default(), survives: Survives::Machine, after: Vec::new() };
            self.hand_over(cx, ticket, nothing);
        }
    }

    fn hand_over(&mut self, cx: &mut Context, ticket: u64, commit: Commit) {
        match commit.survives {
            Survives::Program => {
                let has_lines = commit.writes.iter().any(|write| matches!(write, Write::Event { .. }));
                let until = cx.now.monotonic.plus(if has_lines { EXPOSED_AT_MOST } else { MARKS_EXPOSED_AT_MOST });
                self.disk.exposed_until = Some(self.disk.exposed_until.map_or(until, |known| known.min(until)));
                self.disk.exposes_lines |= has_lines;
            }
            Survives::Machine => (self.disk.exposed_until, self.disk.exposes_lines) = (None, false),
        }
        let (writes, survives) = (Arc::clone(&commit.writes), commit.survives);
        cx.out.push_back(Output::Disk(DiskJob::Commit { ticket, writes, survives }));
        self.disk.commits.insert(ticket, commit);
    }

    /// Remembers what may be lost in a crash without harm. What only goes on from an earlier one is one with it.
    pub(super) fn write_lazily(&mut self, cx: &Context, write: Write) {
        if !self.disk.lazy.iter_mut().rev().any(|kept| lazy::goes_on(kept, &write)) {
            self.disk.lazy.push(write);
        }
        self.disk.lazy_until.get_or_insert(cx.now.monotonic.plus(LAZY_WRITE_AFTER));
    }

    pub(super) fn write_lazily_kept(&mut self, cx: &mut Context) {
        self.commit(cx, Vec::new(), Vec::new());
    }

    pub(super) fn disk_timers(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now);
        if due(self.disk.lazy_until) {
            self.disk.lazy_until = None;
            self.write_lazily_kept(cx);
        }
        if due(self.disk.exposed_until) {
            self.secure(cx);
        }
        if due(self.disk.retry_at) {
            self.disk.retry_at = None;
            self.read_what_failed(cx);
            self.write_what_failed(cx);
        }
    }

    /// Hands over again what the disk did not take, in its order: the disk takes nothing younger before that.
    pub(super) fn write_what_failed(&mut self, cx: &mut Context) {
        for (ticket, commit) in std::mem::take(&mut self.disk.failed) {
            self.hand_over(cx, ticket, commit);
        }
    }

    pub(super) fn committed(&mut self, cx: &mut Context, ticket: u64) {
        let Some(commit) = self.disk.commits.remove(&ticket) else { return };
        if !self.disk.is_failing() {
            self.disk.told_failing = false;
            for link in std::mem::take(&mut self.links.passed_over) {
                // Linked anew, they send again what could not be kept.
                cx.out.push_back(Output::Link(LinkOutput::Close { link }));
                self.link_down(cx, link);
            }
        }
        commit.after.into_iter().for_each(|after| self.follow(cx, after));
        self.mark_written(cx);
    }

    pub(super) fn follow(&mut self, cx: &mut Context, after: After) {
        match after {
            After::Own { conversation, chain, number, re, tell } => {
                self.own_committed(cx, conversation, chain, number);
                if let Some(event) = tell {
                    let is_line = matches!(*event, Event::Message(_));
                    cx.answer(re, *event);
                    if is_line {
                        self.own_told(cx, conversation, chain, number);
                    }
                    self.deliver(cx, conversation, chain, number);
                }
            }
            After::Received { conversation, author, chain, number, told, shown } => {
                self.acknowledge_when_written(cx, conversation, (author, chain), number, (told, shown));
            }
            After::Shown { conversation, author, chain, number } => self.stored(conversation, author, chain, number),
            After::MailStored { item } => self.mail_stored(item),
            After::Entered { conversation } => self.join_stored(cx, conversation),
            After::Decided { user, re, event } => self.decided(cx, &user, re, *event),
            After::KeysKept => self.keys_kept(cx),
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

    pub(super) fn disk_failed(&mut self, cx: &mut Context, ticket: Option<u64>, error: &DiskError) {
        let Some(ticket) = ticket else { return };
        if let Some(read) = self.disk.reads.remove(&ticket) {
            return self.read_failed(cx, read, error);
        }
        let Some(commit) = self.disk.commits.remove(&ticket) else { return };
        self.disk.failed.insert(ticket, commit);
        self.disk.retry_soon(cx.now.monotonic);
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

/// For so long a loss of power may take back a line that was told to be sent. A disk writes out everything that has
/// queued in about as much time.
const EXPOSED_AT_MOST: Duration = Duration::from_millis(50);
/// What a loss of power takes back of the marks of what was shown is shown again, and no more than that.
const MARKS_EXPOSED_AT_MOST: Duration = Duration::from_secs(2);
/// As many notes as one transaction takes in passing.
const LAZY_WRITES_MAX: usize = 256;
/// Acknowledgements are kept for after a restart, but a peer would repeat them anyway.
const LAZY_WRITE_AFTER: Duration = Duration::from_secs(2);
/// Space may have been made meanwhile.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(2);
