//! Requests about mail, and the news for a recipient who is there after all.

use common::message::registry::{News, Reply, Request};
use common::time::Now;
use common::wire::bounded::List;

use super::{Answer, Caller, Notice, Service, signed_in};
use crate::refusal::Failure;

impl Service {
    pub(super) fn about_mail(&self, now: Now, caller: &Caller, request: Request) -> Result<Answer, Failure> {
        let user = signed_in(caller)?;
        Ok(match request {
            Request::PutPrekey { prekey } => {
                self.mailbox.put_prekey(&self.accounts.account(user)?, &prekey)?;
                Reply::Done.into()
            }
            Request::PutMail { to, item } => {
                let is_watched = self.online.watches(caller.session, &to);
                self.mailbox.put(user, &to, is_watched, item, now.wall)?;
                // Who cannot be linked to, but is online, need not wait for the next sign-in.
                let session = self.online.session_of(&to);
                let news = session.map(|session| Notice { to: vec![session], news: News::Mail }).into_iter().collect();
                Answer { news, ..Reply::Done.into() }
            }
            Request::Mail { after } => {
                let (items, more) = self.mailbox.page(user, after, now.wall)?;
                Reply::Mail { items: List::cut(items), more }.into()
            }
            Request::DropMail { ids } => {
                self.mailbox.drop_items(user, &ids)?;
                Reply::Done.into()
            }
            _ => unreachable!("the dispatcher sends other requests elsewhere"),
        })
    }

    /// Drops mail that has expired; also done whenever somebody leaves some.
    pub fn sweep(&self, now: Now) {
        if let Err(failure) = self.mailbox.sweep(now.wall) {
            // Logged where it is made into words.
            let _ = failure.into_refusal();
        }
    }
}
