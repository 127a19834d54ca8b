//! Requests about people: who is online, where they listen, and whom a session wants to hear about.

use common::limits::NAMES_PER_PAGE;
use common::message::registry::{Code, PersonRecord, Reply, Request};
use common::names::UserName;
use common::secure::certificate::Credentials;
use common::time::Now;
use common::wire::address::Address;
use common::wire::bounded::{List, Text};

use super::{Answer, Caller, Service, signed_in};
use crate::refusal::Failure;

impl Service {
    pub(super) fn about_people(&self, now: Now, caller: &Caller, request: Request) -> Result<Answer, Failure> {
        signed_in(caller)?;
        Ok(match request {
            Request::Announce { addresses } => {
                let addresses = addresses.into_vec().into_iter().filter(is_dialable).collect();
                self.online.announce(caller.session, addresses);
                Reply::Done
            }
            Request::Watch { names } => {
                let online = self.online.watch(caller.session, names.into_vec());
                Reply::Watching { online: List::cut(online) }
            }
            Request::Who { pattern, after } => self.who(&folded(pattern), after.as_ref()),
            Request::Lookup { user } => self.person(now, &user)?,
            _ => unreachable!("the dispatcher sends other requests elsewhere"),
        }
        .into())
    }

    fn who(&self, pattern: &str, after: Option<&UserName>) -> Reply {
        let mut users = self.online.page(pattern, after, NAMES_PER_PAGE + 1);
        let more = users.len() > NAMES_PER_PAGE;
        users.truncate(NAMES_PER_PAGE);
        Reply::Online { users: List::cut(users), more }
    }

    fn person(&self, now: Now, user: &UserName) -> Result<Reply, Failure> {
        let account = self.store.account(user)?.ok_or_else(|| {
            Failure::new(
                Code::NoSuchUser,
                &format!("There is no {user} here. Check the name: /who lists who is online."),
            )
        })?;
        let online = self.online.is_online(user);
        let certificate = self.accounts.certificate(&account, now);
        Ok(Reply::Person(Box::new(PersonRecord {
            credentials: Credentials { statement: account.statement, certificate },
            online,
            addresses: List::cut(self.online.addresses(user)),
            last_seen: account.last_seen.filter(|_| !online),
            prekey: self.mailbox.prekey(user)?,
        })))
    }
}

/// A pattern in the spelling of names.
pub(super) fn folded(pattern: Option<Text<32>>) -> String {
    pattern.map(|pattern| pattern.as_str().to_ascii_lowercase()).unwrap_or_default()
}

fn is_dialable(address: &Address) -> bool {
    let ip = address.0.ip();
    address.0.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}
