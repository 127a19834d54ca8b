//! From a session and a request to a reply and news for others. No socket, thread, clock or randomness: time and
//! salt are passed in, so that a simulator drives the same code as the server. Any thread may call it; it locks for
//! map operations only, and waits for nothing but the store.

mod mail;
mod operator;
mod people;
mod price;
mod rights;
mod rooms;

use std::net::SocketAddr;
use std::sync::Arc;

use common::ids::{DeviceKey, RealmId};
use common::message::registry::{Code, News, PresenceChange, Refusal, Reply, Request};
use common::names::UserName;
use common::time::Now;
use common::wire::address::Address;
use common::wire::bounded::List;

use crate::accounts::{Accounts, Finished, Origin, Reclaiming};
use crate::directory::mailbox::Mailbox;
use crate::directory::online::{Caller, Online};
use crate::directory::rooms::Rooms;
use crate::refusal::Failure;
use crate::store::Account;
use crate::store::Store;
use crate::store::folder::RealmKeys;

pub use self::operator::{Obeyed, Order, OrderError};
pub use self::price::price;
pub use crate::accounts::{AccountLimits, PasswordDone, PasswordJob, SignUps, ThrottleLimits};
pub use crate::directory::mailbox::MailLimits;
pub use crate::directory::online::SessionId;

/// The registry without its sockets.
pub struct Service {
    store: Arc<dyn Store>,
    accounts: Accounts,
    rooms: Rooms,
    mailbox: Mailbox,
    online: Online,
}

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Limits {
    pub accounts: AccountLimits,
    pub rooms_per_account: u32,
    pub mail: MailLimits,
}

/// What a request leads to.
#[derive(Debug)]
#[must_use]
pub enum Step {
    Answer(Answer),
    /// Run this, without holding anything, and hand its result to [`Service::finish`].
    Hash(PasswordJob),
}

/// A request's end.
#[derive(Debug)]
#[must_use]
pub struct Answer {
    pub reply: Result<Reply, Refusal>,
    /// For other sessions, in this order.
    pub news: Vec<Notice>,
    /// Sessions that end with this, once their news is sent.
    pub close: Vec<SessionId>,
}

/// News, and whom it is for: made once, however many they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub to: Vec<SessionId>,
    pub news: News,
}

impl Service {
    pub fn new(store: Arc<dyn Store>, keys: RealmKeys, limits: &Limits) -> Self {
        let accounts = Accounts::new(Arc::clone(&store), keys, &limits.accounts);
        let rooms = Rooms::new(Arc::clone(&store), *accounts.realm(), limits.rooms_per_account);
        let mailbox = Mailbox::new(Arc::clone(&store), *accounts.realm(), limits.mail);
        Self { store, accounts, rooms, mailbox, online: Online::default() }
    }

    pub fn realm(&self) -> &RealmId {
        self.accounts.realm()
    }

    /// A handshake is done: `device` is proven, nobody is signed in yet.
    pub fn open(&self, session: SessionId, device: DeviceKey, source: SocketAddr) {
        self.online.open(session, device, canonical(source));
    }

    /// One request of a session, in the order they came.
    pub fn handle(&self, now: Now, session: SessionId, request: Request) -> Step {
        let Some(caller) = self.online.caller(session) else { return Step::Answer(gone(session)) };
        let step = rights::check(&request, &caller).and_then(|()| self.dispatch(now, &caller, request));
        step.unwrap_or_else(|failure| Step::Answer(refused(failure)))
    }

    /// The second half of a request that needed password work.
    pub fn finish(&self, now: Now, session: SessionId, done: PasswordDone) -> Answer {
        let Some(caller) = self.online.caller(session) else { return gone(session) };
        let finished = self.accounts.finish(now, done).and_then(|finished| match finished {
            Finished::SignedIn { account, is_new } => {
                tracing::debug!(session = session.0, user = %account.user(), is_new, "signed in by password");
                self.enter(now, &caller, &account)
            }
            Finished::PasswordChanged => Ok(Reply::Done.into()),
        });
        finished.unwrap_or_else(refused)
    }

    /// Instead of [`Service::finish`]: there was no room to run the job.
    pub fn give_up(&self, job: PasswordJob, retry_after: u32) -> Answer {
        self.accounts.take_back(job);
        let text = format!("The registry is checking many passwords right now. Try again in {retry_after} s.");
        refused(Failure::later(Code::Busy, &text, retry_after))
    }

    /// The connection is over. Who is to hear of it.
    pub fn close(&self, now: Now, session: SessionId) -> Vec<Notice> {
        let Some(user) = self.online.close(session) else { return Vec::new() };
        self.went_offline(now, session, &user)
    }

    /// Whether somebody is signed in, for news that is sent later than it was made.
    pub fn is_online(&self, user: &UserName) -> bool {
        self.online.is_online(user)
    }

    fn dispatch(&self, now: Now, caller: &Caller, request: Request) -> Result<Step, Failure> {
        let answer = match request {
            Request::SignUp { auth, statement, token } => {
                return self.accounts.sign_up(now, origin(caller), auth, statement, token).map(Step::Hash);
            }
            Request::SignIn { auth, statement } => {
                return self.accounts.sign_in(now, origin(caller), auth, &statement).map(Step::Hash);
            }
            Request::ChangePassword { old, new } => {
                let user = signed_in(caller)?;
                return self.accounts.change_password(now, user, old, new).map(Step::Hash);
            }
            Request::Resume { user } => {
                let account = self.accounts.resume(origin(caller), &user)?;
                self.enter(now, caller, &account)
            }
            Request::Rotate { statement } => {
                let account = self.accounts.rotate(origin(caller), statement)?;
                tracing::info!(user = %account.user(), keys = account.claim.rotations.len() + 1, "goes on with other keys");
                self.enter(now, caller, &account)
            }
            Request::Reclaim { credentials, auth } => {
                match self.accounts.reclaim(now, origin(caller), &credentials, auth)? {
                    Reclaiming::Done(account) => {
                        tracing::debug!(user = %account.user(), "an account is back by its certificate");
                        self.enter(now, caller, &account)
                    }
                    Reclaiming::Hash(job) => return Ok(Step::Hash(job)),
                }
            }
            Request::Ping => Ok(Reply::Done.into()),
            Request::SignOut => Ok(self.sign_out(now, caller)),
            Request::Renew => {
                let account = self.accounts.account(signed_in(caller)?)?;
                Ok(self.certified(now, caller, &account).into())
            }
            people @ (Request::Announce { .. }
            | Request::Watch { .. }
            | Request::Who { .. }
            | Request::Lookup { .. }) => self.about_people(now, caller, people),
            mail @ (Request::PutPrekey { .. }
            | Request::PutMail { .. }
            | Request::Mail { .. }
            | Request::DropMail { .. }) => self.about_mail(now, caller, mail),
            rooms => self.about_rooms(now, caller, rooms),
        };
        answer.map(Step::Answer)
    }

    fn enter(&self, now: Now, caller: &Caller, account: &Account) -> Result<Answer, Failure> {
        let user = account.user();
        let reply = self.certified(now, caller, account);
        let Some(entered) = self.online.enter(caller.session, user) else { return Ok(gone(caller.session)) };
        // Whoever suspends looks for sessions after the word is kept, and this looks for the word after the session can
        // be seen: one of the two finds the other.
        match self.store.is_suspended(user) {
            Ok(false) => {}
            known => {
                self.online.leave(caller.session);
                return Err(known.map_or_else(Failure::from, |_| Failure::new(Code::NotPermitted, SUSPENDED)));
            }
        }
        let news = match entered.replaced {
            Some(before) => vec![Notice { to: vec![before], news: News::Replaced }],
            None => self.presence(caller.session, user, true),
        };
        Ok(Answer { reply: Ok(reply), news, close: entered.replaced.into_iter().collect() })
    }

    fn sign_out(&self, now: Now, caller: &Caller) -> Answer {
        let news = match self.online.leave(caller.session) {
            Some(user) => self.went_offline(now, caller.session, &user),
            None => Vec::new(),
        };
        Answer { news, ..Reply::Done.into() }
    }

    fn certified(&self, now: Now, caller: &Caller, account: &Account) -> Reply {
        let certificate = self.accounts.certificate(account, now);
        Reply::SignedIn { certificate, seen: Address(caller.source), lacks_password: !account.has_password() }
    }

    fn went_offline(&self, now: Now, session: SessionId, user: &UserName) -> Vec<Notice> {
        self.store.set_last_seen(user, now.wall);
        self.presence(session, user, false)
    }

    // To everybody online who shares a room with `user` or watches them.
    fn presence(&self, session: SessionId, user: &UserName, online: bool) -> Vec<Notice> {
        let companions = self.store.companions(user).unwrap_or_else(|error| {
            tracing::error!(%error, "presence goes to watchers only");
            Vec::new()
        });
        let mut to = self.online.sessions_of(&companions);
        to.extend(self.online.watchers(user));
        to.retain(|&receiver| receiver != session);
        to.sort_unstable();
        to.dedup();
        let change = PresenceChange { user: user.clone(), online };
        vec![Notice { to, news: News::Presence { changes: List::cut(vec![change]) } }]
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply: Ok(reply), news: Vec::new(), close: Vec::new() }
    }
}

fn refused(failure: Failure) -> Answer {
    Answer { reply: Err(failure.into_refusal()), news: Vec::new(), close: Vec::new() }
}

fn gone(session: SessionId) -> Answer {
    let refusal =
        Refusal::new(Code::NotSignedIn, "This session has ended: a newer one of this account took its place.");
    Answer { reply: Err(refusal), news: Vec::new(), close: vec![session] }
}

fn origin(caller: &Caller) -> Origin {
    Origin { device: caller.device, source: caller.source.ip() }
}

fn signed_in(caller: &Caller) -> Result<&UserName, Failure> {
    caller.user.as_ref().ok_or_else(rights::not_signed_in)
}

// On a dual-stack socket an IPv4 address comes dressed as IPv6.
fn canonical(source: SocketAddr) -> SocketAddr {
    SocketAddr::new(source.ip().to_canonical(), source.port())
}

const SUSPENDED: &str = "This account is suspended. Ask the operator of the registry.";
