//! Mail that is left: what somebody who cannot be linked to lacks, gathered for a moment, sealed to their prekey and
//! put into their mailbox, one item after the other. What was left is remembered, and left anew when it has expired.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::limits::{EVENTS_PER_MESSAGE_MAX, MAIL_EVENTS_BYTES_MAX, MAIL_HOLDINGS_MAX, MAILBOX_DAYS};
use common::message::event::WireEvent;
use common::message::mail::Mail as Content;
use common::message::peer::Have;
use common::message::registry::{Code, PersonRecord, Refusal, Request};
use common::names::UserName;
use common::secure::mail::{self, Prekey};
use common::time::{Monotonic, UnixMillis};
use common::wire::bounded::{Blob, List};
use common::wire::codec;

use crate::api::{Delivery, DeliveryState, Event};
use crate::node::account::Account;
use crate::node::calls::Call;
use crate::node::context::Context;
use crate::node::conversation::{Conversation, Kind, OwnLog};
use crate::node::people;
use crate::node::reads::Read;
use crate::node::sync::{joined_since, signed_part};
use crate::ports::{DiskJob, MailedRun, Output, Step, StoredEvent, Write};

/// Everybody for whom there is, or lately was, something to leave.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    posts: BTreeMap<UserName, Post>,
}

/// What is under way to one person's mailbox.
#[derive(Debug, Default)]
struct Post {
    stage: Stage,
    /// Conversations in which their mail is to be acknowledged; `true`: something before it is wanted again.
    answers: BTreeMap<ConversationId, bool>,
    failures: u32,
    told_full: bool,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// More may be written in a moment.
    Gathering { due: Monotonic },
    /// Looking up the prekey, reading, putting: one after the other.
    Working,
    /// It did not work.
    Pausing { until: Monotonic },
}

/// Events of mine being read to be left for somebody.
#[derive(Debug)]
pub(in crate::node) struct MailReading {
    user: UserName,
    recipient: IdentityKey,
    prekey: Box<Prekey>,
    conversation: ConversationId,
    chain: ChainId,
    from: u64,
}

/// An item on its way to a mailbox: up to which number of which chain it goes, if there are events in it.
#[derive(Debug)]
pub(in crate::node) struct Letter {
    user: UserName,
    recipient: IdentityKey,
    prekey: Box<Prekey>,
    conversation: ConversationId,
    run: Option<(ChainId, u64, u64)>,
    again: bool,
}

impl MailReading {
    pub(in crate::node) fn user(&self) -> &UserName {
        &self.user
    }
}

impl Outbox {
    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        let due = self.posts.values().filter_map(|post| match post.stage {
            Stage::Gathering { due } => Some(due),
            Stage::Pausing { until } => Some(until),
            Stage::Idle | Stage::Working => None,
        });
        due.min()
    }

    fn is_busy(&self) -> bool {
        self.posts.values().any(|post| matches!(post.stage, Stage::Gathering { .. } | Stage::Working))
    }
}

impl Account {
    /// Somebody cannot be reached: what waits for them is left for them, in a moment.
    pub(in crate::node) fn mail_soon(&mut self, cx: &mut Context, user: &UserName) {
        let contact = self.people.get(user);
        let can = contact.is_some_and(|contact| contact.link.is_none() && !contact.is_blocked());
        if !can || !self.registry.is_online() || !self.has_post_for(cx, user) {
            return;
        }
        let post = self.mail.outbox.posts.entry(user.clone()).or_default();
        if matches!(post.stage, Stage::Idle) {
            post.stage = Stage::Gathering { due: cx.now.monotonic.plus(GATHERED_FOR) };
        }
    }

    /// Mail of theirs came: unless a link says so first, they are told by mail what is held now.
    pub(super) fn owe_answer(&mut self, cx: &mut Context, user: &UserName, id: ConversationId, again: bool) {
        if self.conversations.get(&id).is_none_or(|conversation| was_removed(conversation, user)) {
            return;
        }
        let post = self.mail.outbox.posts.entry(user.clone()).or_default();
        *post.answers.entry(id).or_default() |= again;
        self.mail_soon(cx, user);
    }

    /// Somebody's mail begins after a hole: from what they acknowledged on, everything is left anew.
    pub(in crate::node) fn mail_again(
        &mut self,
        cx: &mut Context,
        user: &UserName,
        id: ConversationId,
        identity: &IdentityKey,
    ) {
        let logs = self.conversations.get_mut(&id).into_iter().flat_map(|conversation| conversation.own.values_mut());
        logs.for_each(|log| drop(log.mailed.remove(identity)));
        self.mail_soon(cx, user);
    }

    /// The registry is back: whoever is owed an answer.
    pub(super) fn post_answers(&mut self, cx: &mut Context) {
        let owed = self.mail.outbox.posts.iter().filter(|(_, post)| !post.answers.is_empty());
        let owed: Vec<_> = owed.map(|(user, _)| user.clone()).collect();
        owed.iter().for_each(|user| self.mail_soon(cx, user));
    }

    /// Whatever expired meanwhile, or was not left for some reason.
    pub(super) fn review_posts(&mut self, cx: &mut Context) {
        let people: Vec<_> = self.people.names().cloned().collect();
        people.iter().for_each(|user| self.mail_soon(cx, user));
    }

    pub(super) fn post_due(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let is_due = |post: &Post| matches!(post.stage, Stage::Gathering { due: at } | Stage::Pausing { until: at } if at <= now);
        let due = self.mail.outbox.posts.iter().filter(|(_, post)| is_due(post));
        let due: Vec<_> = due.map(|(user, _)| user.clone()).collect();
        due.iter().for_each(|user| self.post(cx, user));
    }

    /// Nobody will write more: what gathers goes now. Whether something is still on its way to a mailbox.
    pub(in crate::node) fn hurry_mail(&mut self, cx: &mut Context) -> bool {
        let gathers = |post: &Post| matches!(post.stage, Stage::Gathering { .. });
        let gathering = self.mail.outbox.posts.iter().filter(|(_, post)| gathers(post));
        let gathering: Vec<_> = gathering.map(|(user, _)| user.clone()).collect();
        gathering.iter().for_each(|user| self.post(cx, user));
        self.mail.outbox.is_busy()
    }

    fn post(&mut self, cx: &mut Context, user: &UserName) {
        self.expire_mail(cx, user);
        let contact = self.people.get(user);
        let is_linked = contact.is_some_and(|contact| contact.link.is_some());
        let is_blocked = contact.is_some_and(people::Contact::is_blocked);
        let has_post = self.has_post_for(cx, user);
        let Some(post) = self.mail.outbox.posts.get_mut(user) else { return };
        if is_linked || is_blocked || !has_post || !self.registry.is_online() {
            // On a link all of it is said anyway.
            post.stage = Stage::Idle;
            if is_linked {
                post.answers.clear();
            }
            return;
        }
        post.stage = Stage::Working;
        self.ask(cx, Request::Lookup { user: user.clone() }, Call::LookUpToMail { user: user.clone() });
    }

    pub(in crate::node) fn found_to_mail(&mut self, cx: &mut Context, user: &UserName, record: &PersonRecord) {
        let met = people::vouched(cx, &self.root, user, &record.credentials).and_then(|person| {
            let mut writes = Vec::new();
            let checked = self.check_person(cx, &person, &record.credentials, &mut writes);
            self.commit(cx, writes, Vec::new());
            checked.map(|()| person)
        });
        let prekey = met.ok().and_then(|person| {
            let prekey = record.prekey.as_ref()?.verify(person.key.as_bytes()).ok()?;
            let is_theirs = (prekey.realm, &prekey.user) == (self.realm, user) && cx.now.wall < prekey.expires;
            is_theirs.then_some((person.identity, Box::new(prekey)))
        });
        match prekey {
            Some((recipient, prekey)) => self.next_letter(cx, user, recipient, prekey),
            None => self.mail_failed(cx, user),
        }
    }

    /// The next item for somebody: events they lack, or else an answer; if there is neither, that was all.
    fn next_letter(&mut self, cx: &mut Context, user: &UserName, recipient: IdentityKey, prekey: Box<Prekey>) {
        let lacks = self.conversations.values().find_map(|conversation| {
            let chains = conversation.own_in_order(&self.chain);
            let mut chains = chains.into_iter().filter(|_| self.may_be_left(conversation, user, &recipient));
            chains.find_map(|chain| {
                let log = conversation.own.get(&chain)?;
                Some((conversation, chain, log, log.next_to_mail(&recipient)?))
            })
        });
        let Some((conversation, chain, log, first)) = lacks else {
            return self.next_answer(cx, user, recipient, prekey);
        };
        let from = log.left_up_to(&recipient) + 1;
        // What was said before somebody came to a room that shows only what is said since is not for them.
        let since = joined_since(conversation, &recipient).filter(|_| from == 1);
        let conversation = conversation.id;
        let from = if since.is_some() { first } else { from };
        let reading = MailReading { user: user.clone(), recipient, prekey, conversation, chain, from };
        let ticket = cx.number();
        cx.out.push_back(Output::Disk(DiskJob::ReadChain {
            ticket,
            conversation,
            author: self.me,
            chain,
            from,
            bytes_max: MAIL_EVENTS_BYTES_MAX,
            not_before: None,
        }));
        self.disk.reads.insert(ticket, Read::Mail(reading));
    }

    fn next_answer(&mut self, cx: &mut Context, user: &UserName, recipient: IdentityKey, prekey: Box<Prekey>) {
        let conversations = &self.conversations;
        let Some(post) = self.mail.outbox.posts.get_mut(user) else { return };
        post.answers.retain(|id, _| conversations.get(id).is_some_and(|known| !was_removed(known, user)));
        let Some((conversation, again)) = post.answers.pop_first() else {
            (post.stage, post.failures, post.told_full) = (Stage::Idle, 0, false);
            return;
        };
        let letter = Letter { user: user.clone(), recipient, prekey, conversation, run: None, again };
        self.put_letter(cx, letter, 0, Vec::new());
    }

    /// What was read is sealed and put.
    pub(in crate::node) fn mail_read(&mut self, cx: &mut Context, reading: MailReading, events: Vec<StoredEvent>) {
        let MailReading { user, recipient, prekey, conversation, chain, from } = reading;
        let known = self.conversations.get(&conversation).filter(|known| self.may_be_left(known, &user, &recipient));
        let log = known.and_then(|known| known.own.get(&chain));
        let (sendable, held) = log.map_or((0, 0), |log| (log.sendable(), log.left_up_to(&recipient)));
        let mut events: Vec<WireEvent> =
            events.into_iter().take_while(|event| event.number <= sendable).map(|event| event.wire).collect();
        events.truncate(count_fitting(&events));
        events.truncate(signed_part(&events, |event| event));
        let count = u64::try_from(events.len()).unwrap_or(0);
        if count == 0 {
            return self.mail_failed(cx, &user);
        }
        let skipped = if from > held + 1 { from - 1 } else { 0 };
        let post = self.mail.outbox.posts.entry(user.clone()).or_default();
        let again = post.answers.remove(&conversation).unwrap_or(false);
        let run = Some((chain, from, from + count - 1));
        self.put_letter(cx, Letter { user, recipient, prekey, conversation, run, again }, skipped, events);
    }

    fn put_letter(&mut self, cx: &mut Context, letter: Letter, skipped: u64, events: Vec<WireEvent>) {
        let Letter { user, recipient, prekey, conversation, again, .. } = &letter;
        if self.people.get(user).is_some_and(people::Contact::is_blocked) {
            // They were not when this was read.
            return self.mail_failed(cx, user);
        }
        let Some(known) = self.conversations.get(conversation) else { return self.mail_failed(cx, user) };
        let holdings = List::cut(known.holdings_of(recipient).into_iter().take(MAIL_HOLDINGS_MAX).collect());
        let join = known.room().and_then(|room| room.members.get(&self.me)).map(|member| member.join.clone());
        let content = Content {
            credentials: self.credentials.clone(),
            have: Have { conversation: *conversation, head: known.head(), entry: known.last_entry(), holdings },
            join,
            skipped,
            events: List::cut(events),
            again: *again,
        };
        let sealed = mail::seal(&codec::encode(&content), recipient, prekey, cx.secret());
        let Some(item) = sealed.and_then(|item| Blob::new(item).ok()) else {
            tracing::error!("an item does not fit a mailbox");
            return self.mail_failed(cx, user);
        };
        let request = Request::PutMail { to: user.clone(), item };
        self.ask(cx, request, Call::PutMail { letter: Box::new(letter) });
    }

    /// The registry keeps it.
    pub(in crate::node) fn mail_kept(&mut self, cx: &mut Context, letter: Letter) {
        let Letter { user, recipient, prekey, conversation, run, .. } = letter;
        if let Some((chain, from, last)) = run {
            self.note_mailed(cx, conversation, chain, recipient, last);
            self.note_way(cx, Step::Mailed, (conversation, chain), (from, last), recipient);
            self.tell_left(cx, &user, (conversation, chain, recipient), from..=last, DeliveryState::Mailbox);
        }
        if let Some(post) = self.mail.outbox.posts.get_mut(&user) {
            (post.failures, post.told_full) = (0, false);
        }
        self.next_letter(cx, &user, recipient, prekey);
    }

    /// The registry does not keep it, or cannot be asked. A full mailbox is told once.
    pub(in crate::node) fn mail_not_kept(&mut self, cx: &mut Context, letter: &Letter, refusal: Option<Refusal>) {
        let post = self.mail.outbox.posts.entry(letter.user.clone()).or_default();
        if letter.run.is_none() || letter.again {
            *post.answers.entry(letter.conversation).or_default() |= letter.again;
        }
        if let Some(refusal) = refusal.filter(|refusal| refusal.code == Code::TooLarge)
            && !std::mem::replace(&mut post.told_full, true)
        {
            cx.tell(Event::Refused(refusal));
        }
        self.mail_failed(cx, &letter.user);
    }

    /// Tried again after a pause that grows.
    pub(in crate::node) fn mail_failed(&mut self, cx: &mut Context, user: &UserName) {
        let post = self.mail.outbox.posts.entry(user.clone()).or_default();
        let pause = PAUSE_MAX.min(PAUSE.saturating_mul(2u32.saturating_pow(post.failures.min(PAUSE_DOUBLINGS))));
        post.failures = post.failures.saturating_add(1);
        let jitter = Duration::from_millis(cx.below(1 + u64::try_from(pause.as_millis()).unwrap_or(0) / 4));
        post.stage = Stage::Pausing { until: cx.now.monotonic.plus(pause + jitter) };
    }

    fn note_mailed(
        &mut self,
        cx: &mut Context,
        conversation: ConversationId,
        chain: ChainId,
        recipient: IdentityKey,
        number: u64,
    ) {
        let log = self.conversations.get_mut(&conversation).and_then(|known| known.own.get_mut(&chain));
        let Some(log) = log else { return };
        let acked = log.acked.get(&recipient).copied().unwrap_or(0);
        let runs = log.mailed.entry(recipient).or_default();
        runs.retain(|run| run.number > acked);
        match runs.last_mut().filter(|last| cx.now.wall < last.at.plus(RUNS_MERGED_WITHIN)) {
            Some(last) => last.number = last.number.max(number),
            None => runs.push(MailedRun { number, at: cx.now.wall }),
        }
        let runs = runs.clone();
        self.write_lazily(cx, Write::Mailed { conversation, chain, recipient, runs });
    }

    /// What nobody fetched in its time is gone from the mailbox: told once, and then left anew.
    fn expire_mail(&mut self, cx: &mut Context, user: &UserName) {
        let Some(recipient) = self.recipient_named(user) else { return };
        let wall = cx.now.wall;
        let mut expired = Vec::new();
        for conversation in self.conversations.values_mut() {
            for (chain, log) in &mut conversation.own {
                if let Some(last) = log.expired(&recipient, wall) {
                    let acked = log.acked.get(&recipient).copied().unwrap_or(0);
                    log.mailed.remove(&recipient);
                    expired.push((conversation.id, *chain, acked + 1..=last));
                }
            }
        }
        for (conversation, chain, numbers) in expired {
            let write = Write::Mailed { conversation, chain, recipient, runs: Vec::new() };
            self.write_lazily(cx, write);
            self.tell_left(cx, user, (conversation, chain, recipient), numbers, DeliveryState::Expired);
        }
    }

    fn tell_left(
        &self,
        cx: &mut Context,
        user: &UserName,
        (id, chain, recipient): (ConversationId, ChainId, IdentityKey),
        numbers: std::ops::RangeInclusive<u64>,
        state: DeliveryState,
    ) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let Some(log) = conversation.own.get(&chain) else { return };
        let acked = log.acked.get(&recipient).copied().unwrap_or(0);
        for (number, event) in log.pending.range(numbers) {
            if *number > acked && event.recipients.contains(&recipient) {
                let of = u32::try_from(event.recipients.len()).unwrap_or(u32::MAX);
                let (done, to, conversation) = (log.done(*number), user.clone(), conversation.target());
                cx.tell(Event::Delivery(Delivery { conversation, id: event.id, state, to, done, of }));
            }
        }
    }

    fn has_post_for(&self, cx: &Context, user: &UserName) -> bool {
        if self.mail.outbox.posts.get(user).is_some_and(|post| !post.answers.is_empty()) {
            return true;
        }
        let Some(recipient) = self.recipient_named(user) else { return false };
        self.conversations.values().filter(|known| self.may_be_left(known, user, &recipient)).any(|known| {
            let mut logs = known.own.values();
            logs.any(|log| log.next_to_mail(&recipient).is_some() || log.expired(&recipient, cx.now.wall).is_some())
        })
    }

    /// The direct conversation with them, or a room they are in. In a large one somebody is always there who has it.
    fn may_be_left(&self, conversation: &Conversation, user: &UserName, recipient: &IdentityKey) -> bool {
        match &conversation.kind {
            Kind::Direct { with } => with == user,
            Kind::Room(room) => room.is_member(recipient) && !self.overlay.carries(&conversation.id),
        }
    }

    // Members of rooms need not have been met: their join says who they are.
    fn recipient_named(&self, user: &UserName) -> Option<IdentityKey> {
        let named = |conversation: &Conversation| {
            let mut members = conversation.room()?.members.iter();
            members.find(|(_, member)| member.user == *user).map(|(identity, _)| *identity)
        };
        self.identity_of(user).or_else(|| self.conversations.values().find_map(named))
    }
}

impl OwnLog {
    /// Up to here `recipient` has it, or has it in their mailbox.
    fn left_up_to(&self, recipient: &IdentityKey) -> u64 {
        let acked = self.acked.get(recipient).copied().unwrap_or(0);
        let mailed = self.mailed.get(recipient).and_then(|runs| runs.last()).map_or(0, |run| run.number);
        acked.max(mailed)
    }

    /// The first event that waits for `recipient`, may be sent, and was not left for them.
    fn next_to_mail(&self, recipient: &IdentityKey) -> Option<u64> {
        let mut waiting = self.pending.range(self.left_up_to(recipient) + 1..);
        let first = waiting.find(|(_, event)| event.recipients.contains(recipient)).map(|(number, _)| *number);
        first.filter(|number| *number <= self.sendable())
    }

    /// Up to which number what was left for `recipient` has expired there without being acknowledged.
    fn expired(&self, recipient: &IdentityKey, wall: UnixMillis) -> Option<u64> {
        let acked = self.acked.get(recipient).copied().unwrap_or(0);
        let mut runs = self.mailed.get(recipient)?.iter().filter(|run| run.number > acked);
        let oldest = runs.next()?;
        (wall >= oldest.at.plus(EXPIRES_AFTER)).then_some(oldest.number)
    }
}

/// Whether they were removed from this room: nothing more is said to them there.
fn was_removed(conversation: &Conversation, user: &UserName) -> bool {
    conversation.room().is_some_and(|room| {
        let mut named = room.members.iter().filter(|(_, member)| member.user == *user);
        named.any(|(identity, _)| room.ended_by(identity).is_some())
    })
}

/// How many of these events go into one item: at least one.
fn count_fitting(events: &[WireEvent]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&WireEvent| {
        bytes += event.bytes.len() + EVENT_OVERHEAD_BYTES;
        bytes <= MAIL_EVENTS_BYTES_MAX
    };
    events.iter().take(EVENTS_PER_MESSAGE_MAX).take_while(fits).count().max(1)
}

/// Who writes three lines leaves one item.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// Signature and field names around an event's bytes.
const EVENT_OVERHEAD_BYTES: usize = 96;
/// As long as the registry keeps what it was left.
const EXPIRES_AFTER: Duration = Duration::from_secs(MAILBOX_DAYS as u64 * 24 * 3600);
/// What is left within this time expires together: a few hundred rows for two weeks of writing, at most.
const RUNS_MERGED_WITHIN: Duration = Duration::from_secs(3600);
/// A mailbox is emptied by a person who comes back; nobody knows when.
const PAUSE: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(3600);
const PAUSE_DOUBLINGS: u32 = 8;
