//! My prekeys: made once a week, offered while they are the newest, and destroyed when nothing sealed to them can be
//! under way any more, so that a stolen profile opens no old mail.

use common::limits::{PREKEY_KEPT_AFTER, PREKEY_LIFETIME, PREKEY_ROTATED_AFTER};
use common::message::registry::Request;
use common::secure::mail::Prekey;
use common::secure::sign::Signed;

use crate::node::account::Account;
use crate::node::calls::Call;
use crate::node::context::Context;
use crate::node::outgoing::After;
use crate::ports::{StoredPrekey, Write};

impl Account {
    /// Tells the registry what mail for me is to be sealed to: again with every sign-in, since it may have lost it.
    pub(super) fn offer_prekey(&mut self, cx: &mut Context) {
        if self.is_prekey_due(cx) {
            return self.make_prekey(cx);
        }
        if let Some(newest) = self.mail.prekeys.last() {
            let prekey = self.sign_prekey(newest);
            self.ask(cx, Request::PutPrekey { prekey }, Call::Routine);
        }
    }

    pub(super) fn offer_prekey_if_due(&mut self, cx: &mut Context) {
        if self.is_prekey_due(cx) {
            self.make_prekey(cx);
        }
    }

    /// Everything that lay in the mailbox was looked at: what only older mail could have needed goes.
    pub(super) fn destroy_old_prekeys(&mut self, cx: &mut Context) {
        let wall = cx.now.wall;
        let prekeys = &self.mail.prekeys;
        let replaced = prekeys.iter().zip(prekeys.iter().skip(1));
        let old = replaced.filter(|(_, next)| wall >= next.at.plus(PREKEY_KEPT_AFTER)).map(|(old, _)| old.number);
        let old: Vec<u32> = old.collect();
        if !old.is_empty() {
            self.mail.prekeys.retain(|prekey| !old.contains(&prekey.number));
            let writes = old.into_iter().map(|number| Write::ForgetPrekey { number }).collect();
            self.commit(cx, writes, Vec::new());
        }
    }

    fn is_prekey_due(&self, cx: &Context) -> bool {
        self.mail.prekeys.last().is_none_or(|newest| cx.now.wall >= newest.at.plus(PREKEY_ROTATED_AFTER))
    }

    /// With other keys come other prekeys: what was sealed to the ones before opens no more, and comes again.
    pub(in crate::node) fn replace_prekeys(&mut self, cx: &mut Context, writes: &mut Vec<Write>) {
        let number = self.mail.prekeys.last().map_or(0, |newest| newest.number).saturating_add(1);
        let fresh = StoredPrekey { number, at: cx.now.wall, salt: cx.mail_salt() };
        writes.push(Write::Prekey(fresh.clone()));
        let before = std::mem::replace(&mut self.mail.prekeys, vec![fresh]);
        writes.extend(before.into_iter().map(|prekey| Write::ForgetPrekey { number: prekey.number }));
    }

    // It is offered once a restart would still know it.
    fn make_prekey(&mut self, cx: &mut Context) {
        let number = self.mail.prekeys.last().map_or(0, |newest| newest.number).saturating_add(1);
        let fresh = StoredPrekey { number, at: cx.now.wall, salt: cx.mail_salt() };
        let request = Box::new(Request::PutPrekey { prekey: self.sign_prekey(&fresh) });
        self.mail.prekeys.push(fresh.clone());
        let call = Box::new(Call::Routine);
        self.commit(cx, vec![Write::Prekey(fresh)], vec![After::Ask { request, call }]);
    }

    fn sign_prekey(&self, stored: &StoredPrekey) -> Signed<Prekey> {
        let StoredPrekey { number, at, salt } = stored;
        let prekey = Prekey {
            realm: self.realm,
            user: self.user.clone(),
            number: *number,
            key: self.keys.mail_secret(salt).public(),
            at: *at,
            expires: at.plus(PREKEY_LIFETIME),
        };
        Signed::sign(&prekey, self.keys.identity_signer())
    }
}
