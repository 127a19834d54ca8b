//! Mail: what goes between people who are never online at the same time, by way of the registry, which cannot read it.
//! `prekeys` says what others may seal to, `inbox` takes in what came, `outbox` leaves what waits.
//!
//! It is a shortcut beside the links and never the only copy: an event waits with its author until it is acknowledged,
//! in whichever way that comes.

mod inbox;
mod outbox;
mod prekeys;

use common::time::Monotonic;

use super::account::Account;
use super::context::Context;
use crate::ports::StoredPrekey;

pub(super) use self::outbox::{Letter, MailReading};

/// Everything an account remembers of its mail.
#[derive(Debug)]
pub(super) struct Mail {
    /// Mine, by number; the last one is offered.
    prekeys: Vec<StoredPrekey>,
    inbox: inbox::Inbox,
    outbox: outbox::Outbox,
    /// When prekeys and what was left are looked at again, however quiet it is.
    review_at: Option<Monotonic>,
}

impl Mail {
    pub(super) fn load(prekeys: Vec<StoredPrekey>) -> Self {
        Self { prekeys, inbox: inbox::Inbox::default(), outbox: outbox::Outbox::default(), review_at: None }
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        [self.inbox.next_timeout(), self.outbox.next_timeout(), self.review_at].into_iter().flatten().min()
    }
}

impl Account {
    /// The registry is there: it is told what to seal to, asked for what came, and left what waits.
    pub(super) fn mail_begins(&mut self, cx: &mut Context) {
        self.mail.review_at = Some(cx.now.monotonic.plus(REVIEW_EVERY));
        self.offer_prekey(cx);
        self.mail.inbox.begin();
        self.fetch_mail(cx);
        self.post_answers(cx);
    }

    pub(super) fn mail_timers(&mut self, cx: &mut Context) {
        if self.mail.review_at.is_some_and(|at| at <= cx.now.monotonic) {
            self.mail.review_at = self.registry.is_online().then(|| cx.now.monotonic.plus(REVIEW_EVERY));
            if self.registry.is_online() {
                self.offer_prekey_if_due(cx);
                self.review_posts(cx);
                self.fetch_mail(cx);
            }
        }
        self.inbox_timers(cx);
        self.post_due(cx);
    }
}

/// Far less than a prekey or an item lives.
const REVIEW_EVERY: std::time::Duration = std::time::Duration::from_secs(3600);
