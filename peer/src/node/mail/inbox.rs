//! Mail that came: opened, checked as on a link, taken in, and dropped at the registry once it is on the disk.

use std::time::Duration;

use common::ids::ConversationId;
use common::limits::MAIL_ITEMS_PER_PAGE;
use common::message::event::COUNT_MAX;
use common::message::mail::Mail as Content;
use common::message::registry::{MailItem, Request};
use common::secure::certificate::{self, Person};
use common::secure::mail;
use common::time::Monotonic;
use common::wire::bounded::List;
use common::wire::codec;

use crate::node::account::Account;
use crate::node::calls::Call;
use crate::node::conduct::goes_on;
use crate::node::context::Context;
use crate::node::conversation::{ChainKey, Kind};
use crate::node::outgoing::After;
use crate::node::receive::{Author, Run, Taken, Via};
use crate::ports::Write;

/// What is known of my mailbox.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    fetching: bool,
    /// More came while a page was under way.
    fetch_again: bool,
    fetch_at: Option<Monotonic>,
    /// Everything up to this item was looked at since the registry was reached.
    seen: u64,
    /// Something was left in the box because what comes before it is not here.
    left: bool,
    /// Items one after the other that did not hold.
    junk: u32,
    /// Something new was taken in since then.
    went_on: bool,
    /// Taken in, and not known to be on the disk.
    unstored: Vec<Unstored>,
    /// On the disk: to be dropped.
    stored: Vec<u64>,
}

#[derive(Debug)]
struct Unstored {
    item: u64,
    conversation: ConversationId,
    chain: ChainKey,
    number: u64,
}

/// What became of an item; otherwise it is dropped, for a reason.
pub(in crate::node) enum Outcome {
    Taken,
    /// It stays where it is.
    Left,
}

impl Inbox {
    /// A new session: what was left in the box is looked at again.
    pub(super) fn begin(&mut self) {
        (self.fetching, self.fetch_again, self.seen, self.left) = (false, false, 0, false);
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.fetch_at
    }
}

impl Account {
    /// Asks for what came since the last look.
    pub(in crate::node) fn fetch_mail(&mut self, cx: &mut Context) {
        if !self.registry.is_online() {
            return;
        }
        let inbox = &mut self.mail.inbox;
        inbox.fetch_at = None;
        if std::mem::replace(&mut inbox.fetching, true) {
            inbox.fetch_again = true;
            return;
        }
        let request = Request::Mail { after: inbox.seen };
        self.ask(cx, request, Call::Mail);
    }

    pub(in crate::node) fn mail_came(&mut self, cx: &mut Context, items: &[MailItem], more: bool) {
        self.mail.inbox.fetching = false;
        if self.disk.is_failing() {
            self.mail.inbox.fetch_at = Some(cx.now.monotonic.plus(FETCH_AGAIN_AFTER));
            return;
        }
        let begins = Some(self.mail.inbox.seen).filter(|seen| *seen > 0);
        if !goes_on(begins.as_ref(), items.iter().map(|item| &item.id)) || more && items.is_empty() {
            return self.registry_misbehaved(cx, "its mail goes round in circles");
        }
        for item in items {
            self.mail.inbox.seen = self.mail.inbox.seen.max(item.id);
            match self.open_item(cx, item) {
                Ok(Outcome::Taken) => self.mail.inbox.junk = 0,
                Ok(Outcome::Left) => self.mail.inbox.left = true,
                Err(reason) => {
                    self.mail.inbox.junk += 1;
                    tracing::warn!(item = item.id, reason, "mail that does not hold is dropped");
                    self.mail.inbox.stored.push(item.id);
                }
            }
        }
        if self.mail.inbox.junk > JUNK_ITEMS_MAX {
            self.mail.inbox.junk = 0;
            return self.registry_misbehaved(cx, "its mail never ends");
        }
        let inbox = &mut self.mail.inbox;
        let once_more = std::mem::take(&mut inbox.went_on) && std::mem::take(&mut inbox.left);
        if once_more {
            // What was left may follow now.
            inbox.seen = 0;
        }
        if more || once_more || std::mem::take(&mut inbox.fetch_again) {
            self.fetch_mail(cx);
        } else {
            self.destroy_old_prekeys(cx);
        }
    }

    pub(in crate::node) fn mail_not_fetched(&mut self, cx: &Context) {
        self.mail.inbox.fetching = false;
        self.mail.inbox.fetch_at = Some(cx.now.monotonic.plus(FETCH_AGAIN_AFTER));
    }

    pub(super) fn inbox_timers(&mut self, cx: &mut Context) {
        if self.mail.inbox.fetch_at.is_some_and(|at| at <= cx.now.monotonic) {
            self.mail.inbox.fetch_at = None;
            self.fetch_mail(cx);
        }
    }

    /// What an item without events said is on the disk.
    pub(in crate::node) fn mail_stored(&mut self, item: u64) {
        self.mail.inbox.stored.push(item);
    }

    /// Drops what is safely here.
    pub(in crate::node) fn drop_stored_mail(&mut self, cx: &mut Context) {
        let conversations = &self.conversations;
        let is_stored = |waiting: &Unstored| {
            let held = conversations.get(&waiting.conversation).and_then(|known| known.theirs.get(&waiting.chain));
            held.is_some_and(|held| held.stored >= waiting.number)
        };
        let inbox = &mut self.mail.inbox;
        inbox.stored.extend(inbox.unstored.iter().filter(|waiting| is_stored(waiting)).map(|waiting| waiting.item));
        inbox.unstored.retain(|waiting| !is_stored(waiting));
        if inbox.stored.is_empty() || !self.registry.is_online() {
            return;
        }
        for ids in std::mem::take(&mut self.mail.inbox.stored).chunks(MAIL_ITEMS_PER_PAGE) {
            self.ask(cx, Request::DropMail { ids: List::cut(ids.to_vec()) }, Call::Routine);
        }
    }

    fn open_item(&mut self, cx: &mut Context, item: &MailItem) -> Result<Outcome, &'static str> {
        let number = mail::prekey_number(&item.item).ok_or("it is no item")?;
        let prekey = self.mail.prekeys.iter().find(|prekey| prekey.number == number);
        let secret = self.keys.mail_secret(&prekey.ok_or("it is sealed to a prekey that is gone")?.salt);
        let content = mail::open(&item.item, &self.me, &secret).map_err(|_| "it does not open")?;
        let opened = content;
        let content: Content = codec::decode(&opened).map_err(|_| "it holds no mail")?;
        let person = certificate::verify(&content.credentials, &self.root, cx.now.wall)
            .map_err(|_| "its sender's credentials do not hold")?;
        if person.user == self.user {
            return Err("it is from oneself");
        }
        if self.people.is_given_up(cx, &person.user, &content.credentials) {
            // They leave again what was left before, with the key that they have now.
            return Err("its sender has another key since");
        }
        let mut writes = Vec::new();
        if self.check_person(cx, &person, &content.credentials, &mut writes).is_err() {
            return Ok(self.hold_item(cx, item.id, &person, opened, writes));
        }
        self.take_content(cx, Some(item.id), &person, &content, writes)
    }

    /// Another key than before: it waits here for the user to decide, or where it is if there is too much already.
    fn hold_item(
        &mut self,
        cx: &mut Context,
        item: u64,
        person: &Person,
        opened: Vec<u8>,
        mut writes: Vec<Write>,
    ) -> Outcome {
        let hold = if self.is_held(&opened) { None } else { Some(self.hold(person, cx.now.wall, opened)) };
        if let Some(None) = hold {
            self.commit(cx, writes, Vec::new());
            return Outcome::Left;
        }
        writes.extend(hold.flatten());
        self.commit(cx, writes, vec![After::MailStored { item }]);
        Outcome::Taken
    }

    /// The user decided about a key: what stayed in the box for want of room may have some now.
    pub(in crate::node) fn look_through_mail_again(&mut self, cx: &mut Context) {
        if std::mem::take(&mut self.mail.inbox.left) {
            self.mail.inbox.seen = 0;
            self.fetch_mail(cx);
        }
    }

    /// Takes in what checked mail says; it lies in the box as `item`, unless it was held here.
    pub(in crate::node) fn take_content(
        &mut self,
        cx: &mut Context,
        item: Option<u64>,
        person: &Person,
        content: &Content,
        mut writes: Vec<Write>,
    ) -> Result<Outcome, &'static str> {
        let id = content.have.conversation;
        if id == self.direct_id(&person.user) {
            self.open_conversation(cx, &person.user, &mut writes);
        } else if let Some(join) = &content.join {
            self.member_joined(cx, id, join, true, &mut writes);
        }
        if !writes.is_empty() {
            self.commit(cx, writes, Vec::new());
        }
        let open = self.conversations.get(&id).is_some_and(|conversation| match &conversation.kind {
            Kind::Direct { with } => *with == person.user,
            Kind::Room(room) => room.joined && room.members.contains_key(&person.identity),
        });
        if !open {
            return Err("it is for a conversation that is not shared with its sender");
        }
        self.have_mailed(cx, id, &person.identity, &content.have);
        if content.again {
            self.mail_again(cx, &person.user, id, &person.identity);
        }
        if content.events.is_empty() {
            // Its acknowledgements are on the disk with this, and then it may go.
            self.commit(cx, Vec::new(), item.map(|item| After::MailStored { item }).into_iter().collect());
            return Ok(Outcome::Taken);
        }
        self.take_mailed(cx, item, person, content)
    }

    fn take_mailed(
        &mut self,
        cx: &mut Context,
        item: Option<u64>,
        person: &Person,
        content: &Content,
    ) -> Result<Outcome, &'static str> {
        let id = content.have.conversation;
        let first = content.events.first().and_then(|event| event.claim().ok()).ok_or("an event that is none")?;
        if (first.author, first.conversation) != (person.identity, id) {
            return Err("an event of somebody else");
        }
        let (chain, skipped) = (first.chain, content.skipped);
        if skipped > COUNT_MAX || (skipped > 0 && skipped + 1 != first.number) {
            return Err("a skip that does not fit");
        }
        if skipped > 0 {
            self.skip_taken(cx, person.identity, id, chain, skipped);
        }
        // Only a run that begins where the chain does for me is the author's word on where that is.
        let begins = first.number == 1 || skipped > 0;
        let via = Via::Mail { begins };
        let before = self.received(id, &(person.identity, chain));
        let events = &*content.events;
        let run = Run { conversation: id, author: Author::of(person), chain, events, late: true, via };
        match self.take_run(cx, &run)? {
            Taken::Whole => {}
            Taken::Hole => {
                self.gap_known(cx, id, (person.identity, chain), first.number);
                self.owe_answer(cx, &person.user, id, true);
                return Ok(Outcome::Left);
            }
            Taken::Fork => {
                self.fork_seen(cx, id, (person.identity, chain));
                return Err("it forks a chain");
            }
            Taken::PassedOver => return Err("it is of no concern here"),
            Taken::Void => return Err("it is of after a removal"),
        }
        let chain = (person.identity, chain);
        self.mail.inbox.went_on |= self.received(id, &chain) > before;
        let last = first.number.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX)) - 1;
        let unstored = item.map(|item| Unstored { item, conversation: id, chain, number: last });
        self.mail.inbox.unstored.extend(unstored);
        self.owe_answer(cx, &person.user, id, false);
        Ok(Outcome::Taken)
    }

    fn received(&self, id: ConversationId, chain: &ChainKey) -> u64 {
        let held = self.conversations.get(&id).and_then(|conversation| conversation.theirs.get(chain));
        held.map_or(0, |held| held.checked().0)
    }
}

/// More than mailboxes hold, so that nobody who fills one with rubbish makes the registry look bad.
const JUNK_ITEMS_MAX: u32 = 8 * common::limits::MAILBOX_ITEMS;
/// The disk or the registry could not just now.
const FETCH_AGAIN_AFTER: Duration = Duration::from_secs(30);
