//! Mail for people who are away: who may leave some for whom, how much, and for how long. What is in it is sealed to
//! the recipient; losing all of it costs people time, never a message.

use std::sync::Arc;
use std::time::Duration;

use common::ids::RealmId;
use common::limits::{MAIL_BYTES_MAX, MAIL_ITEMS_PER_PAGE};
use common::message::registry::{Code, MailItem};
use common::names::UserName;
use common::secure::mail::Prekey;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::Blob;

use crate::refusal::Failure;
use crate::store::{Account, BoxLimits, NewMail, Page, Posting, Store};

/// See the module.
pub struct Mailbox {
    store: Arc<dyn Store>,
    realm: RealmId,
    limits: MailLimits,
}

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct MailLimits {
    /// Items in one mailbox.
    pub items: u32,
    /// Items of one sender in all mailboxes together.
    pub items_from_sender: u32,
    /// Days that an item is kept.
    pub days: u32,
}

impl Mailbox {
    pub fn new(store: Arc<dyn Store>, realm: RealmId, limits: MailLimits) -> Self {
        Self { store, realm, limits }
    }

    /// Keeps what mail for the caller is to be sealed to.
    pub fn put_prekey(&self, caller: &Account, signed: &Signed<Prekey>) -> Result<(), Failure> {
        let prekey = signed.verify(caller.claim.key().as_bytes());
        let is_own = prekey.is_ok_and(|prekey| (prekey.realm, &prekey.user) == (self.realm, caller.user()));
        if !is_own || signed.to_bytes().len() > PREKEY_BYTES_MAX {
            return Err(Failure::new(Code::Usage, BAD_PREKEY));
        }
        Ok(self.store.put_prekey(caller.user(), signed)?)
    }

    pub fn prekey(&self, user: &UserName) -> Result<Option<Signed<Prekey>>, Failure> {
        Ok(self.store.prekey(user)?)
    }

    /// Keeps an item for somebody. `is_watched`: the caller has a conversation with them; a room shared is as good.
    pub fn put(
        &self,
        from: &UserName,
        to: &UserName,
        is_watched: bool,
        item: Blob<MAIL_BYTES_MAX>,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if self.store.account(to)?.is_none() {
            let text = format!("There is no {to} here. Check the name: /who lists who is online.");
            return Err(Failure::new(Code::NoSuchUser, &text));
        }
        if from == to || !(is_watched || self.store.companions(from)?.contains(to)) {
            let text = format!("You share no conversation with {to}, so nothing can be left for them.");
            return Err(Failure::new(Code::NotPermitted, &text));
        }
        let items_per_sender = self.limits.items.div_ceil(2);
        let MailLimits { items, items_from_sender, .. } = self.limits;
        let limits = BoxLimits { items, items_per_sender, items_from_sender, since: self.since(now) };
        let mail = NewMail { to: to.clone(), from: from.clone(), at: now, item };
        let text = match self.store.put_mail(&mail, &limits)? {
            Posting::Kept => return Ok(()),
            Posting::BoxFull => format!("The mailbox of {to} is full. What you wrote waits with you."),
            Posting::SenderFull => {
                "You have left as much mail for others as one may. What you wrote since waits with you.".to_owned()
            }
            Posting::ShareFull => {
                format!(
                    "The mailbox of {to} is full of what you left there before. What you wrote since waits with you."
                )
            }
        };
        Err(Failure::new(Code::TooLarge, &text))
    }

    /// A page of the caller's mail after item `after`; and whether there is more.
    pub fn page(&self, caller: &UserName, after: u64, now: UnixMillis) -> Result<(Vec<MailItem>, bool), Failure> {
        let page = Page { count_max: MAIL_ITEMS_PER_PAGE, bytes_max: MAIL_BYTES_MAX };
        let found = self.store.mail(caller, after, self.since(now), page)?;
        let more = match found.last() {
            Some(last) => !self.store.mail(caller, last.id, self.since(now), ONE)?.is_empty(),
            None => false,
        };
        Ok((found.into_iter().map(|kept| MailItem { id: kept.id, item: kept.item }).collect(), more))
    }

    /// The caller has these on their own disk.
    pub fn drop_items(&self, caller: &UserName, ids: &[u64]) -> Result<(), Failure> {
        Ok(self.store.drop_mail(caller, ids)?)
    }

    /// Nobody comes any more for what is older than its days.
    pub fn sweep(&self, now: UnixMillis) -> Result<(), Failure> {
        Ok(self.store.sweep_mail(self.since(now))?)
    }

    fn since(&self, now: UnixMillis) -> UnixMillis {
        now.minus(DAY.saturating_mul(self.limits.days))
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const ONE: Page = Page { count_max: 1, bytes_max: 0 };
/// A prekey as kept: twice the largest honest one, so that it fits beside credentials.
const PREKEY_BYTES_MAX: usize = 768;

const BAD_PREKEY: &str = "That prekey is not signed by you for this realm. Nothing was changed: sign in again.";
