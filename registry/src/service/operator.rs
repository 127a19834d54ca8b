//! What the operator asks of the accounts, the same on a registry that runs and on one that does not. Orders are words,
//! as they are typed and as they go through the control socket.

use std::fmt;

use common::ids::SignUpToken;
use common::message::registry::{Code, News};
use common::names::UserName;
use common::secret::Secret;
use common::secure::token;
use common::time::{Now, UnixMillis};

use super::{Notice, Service};
use crate::refusal::Failure;
use crate::store::{AccountSummary, StoredToken, Totals};

/// One thing to be done or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    List,
    /// Lets somebody make the account of this name.
    Add(UserName),
    /// Lets whoever gets the token begin anew under this name.
    Reset(UserName),
    Suspend(UserName),
    Resume(UserName),
    Stats,
}

/// What an order led to. Not to be shown in a log: it may hold a token.
#[derive(Default)]
pub struct Obeyed {
    /// For the operator and nobody else.
    pub lines: Vec<String>,
    pub news: Vec<Notice>,
}

/// A line that is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("there is no such order")]
    Unknown,
    #[error("that is no name an account can have")]
    Name,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => f.write_str("list"),
            Self::Add(user) => write!(f, "add {user}"),
            Self::Reset(user) => write!(f, "reset {user}"),
            Self::Suspend(user) => write!(f, "suspend {user}"),
            Self::Resume(user) => write!(f, "resume {user}"),
            Self::Stats => f.write_str("stats"),
        }
    }
}

impl std::str::FromStr for Order {
    type Err = OrderError;

    fn from_str(line: &str) -> Result<Self, OrderError> {
        let (verb, name) = line.split_once(' ').unwrap_or((line, ""));
        let user = || UserName::parse(name).map_err(|_| OrderError::Name);
        Ok(match verb {
            "list" => Self::List,
            "add" => Self::Add(user()?),
            "reset" => Self::Reset(user()?),
            "suspend" => Self::Suspend(user()?),
            "resume" => Self::Resume(user()?),
            "stats" => Self::Stats,
            _ => return Err(OrderError::Unknown),
        })
    }
}

impl Service {
    /// Does as the operator says. `random` becomes a token where one is asked for.
    pub fn obey(&self, now: Now, order: &Order, random: [u8; SignUpToken::LENGTH]) -> Result<Obeyed, Failure> {
        match order {
            Order::List => Ok(Obeyed { lines: self.list()?, news: Vec::new() }),
            Order::Add(user) => {
                if self.store.account(user)?.is_some() {
                    let text =
                        format!("There is an account {user} already. For a new beginning: registry user reset {user}.");
                    return Err(Failure::new(Code::NameTaken, &text));
                }
                self.hand_out(user, random, now.wall)
            }
            Order::Reset(user) => {
                self.accounts_of(user)?;
                self.hand_out(user, random, now.wall)
            }
            Order::Suspend(user) => self.suspend(now, user),
            Order::Resume(user) => {
                if !self.store.set_suspended(user, false)? {
                    return Err(no_such(user));
                }
                Ok(told(format!("{user} may sign in again.")))
            }
            Order::Stats => Ok(Obeyed { lines: count(self.totals()?), news: Vec::new() }),
        }
    }

    /// How much there is on the disk.
    pub fn totals(&self) -> Result<Totals, Failure> {
        Ok(self.store.totals()?)
    }

    /// People signed in now.
    pub fn online_count(&self) -> usize {
        self.online.count()
    }

    fn suspend(&self, now: Now, user: &UserName) -> Result<Obeyed, Failure> {
        if !self.store.set_suspended(user, true)? {
            return Err(no_such(user));
        }
        let mut obeyed = told(format!("{user} is suspended: nobody signs in under this name until it is resumed."));
        if let Some(session) = self.online.session_of(user) {
            // Its connection is closed by the courier that says so.
            obeyed.news = self.close(now, session);
            obeyed.news.push(Notice { to: vec![session], news: News::Closing });
        }
        Ok(obeyed)
    }

    fn hand_out(&self, user: &UserName, random: [u8; 16], now: UnixMillis) -> Result<Obeyed, Failure> {
        let token = Secret::new(SignUpToken(random));
        let kept = StoredToken { digest: token::digest(&token, user), expires: now.plus(TOKEN_LIFETIME) };
        self.store.put_token(user, &kept, now)?;
        Ok(told(token::text(&token).expose().clone()))
    }

    fn accounts_of(&self, user: &UserName) -> Result<(), Failure> {
        self.store.account(user)?.map(drop).ok_or_else(|| no_such(user))
    }

    fn list(&self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        let mut last: Option<UserName> = None;
        loop {
            let page = self.store.accounts(last.as_ref(), ACCOUNTS_PER_PAGE)?;
            lines.extend(page.iter().map(|account| self.line(account)));
            match page.into_iter().last() {
                Some(account) => last = Some(account.user),
                None => return Ok(lines),
            }
        }
    }

    fn line(&self, account: &AccountSummary) -> String {
        let AccountSummary { user, last_seen, is_suspended } = account;
        let state = match (is_suspended, self.online.is_online(user)) {
            (true, _) => "suspended",
            (false, true) => "online",
            (false, false) => "offline",
        };
        // Seconds since 1970: `date -d @SECONDS` reads them.
        let seen = last_seen.map_or_else(|| "-".to_owned(), |at| (at.0 / 1000).to_string());
        format!("{user}\t{state}\t{seen}")
    }
}

fn count(totals: Totals) -> Vec<String> {
    let Totals { accounts, rooms, mail } = totals;
    vec![format!("accounts={accounts}"), format!("rooms={rooms}"), format!("mail={mail}")]
}

fn told(line: String) -> Obeyed {
    Obeyed { lines: vec![line], news: Vec::new() }
}

fn no_such(user: &UserName) -> Failure {
    Failure::new(Code::NoSuchUser, &format!("There is no account {user}. List all with: registry user list."))
}

const ACCOUNTS_PER_PAGE: u32 = 1000;
/// Time to hand a token on, also over a holiday.
const TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_secs(14 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        let user = UserName::parse("alice").unwrap();
        let with_name = [Order::Add, Order::Reset, Order::Suspend, Order::Resume].map(|order| order(user.clone()));
        for order in [Order::List, Order::Stats].into_iter().chain(with_name) {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert_eq!("add".parse::<Order>(), Err(OrderError::Name));
        assert_eq!("suspend a b".parse::<Order>(), Err(OrderError::Name));
        assert_eq!("erase alice".parse::<Order>(), Err(OrderError::Unknown));
    }
}
