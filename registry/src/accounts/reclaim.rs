//! Accounts that this registry has lost, by going back to an old backup, and that come back by what it certified itself:
//! with the identity and the device they had, and without a password until that device sets one.

use common::ids::AuthKey;
use common::message::registry::Code;
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{self, Credentials};
use common::time::Now;

use super::password::{PasswordJob, Work};
use super::sign_in::{Accounts, Finished, Origin, Purpose};
use crate::refusal::Failure;
use crate::store::{Account, Creation};

/// How far one has got.
pub(crate) enum Reclaiming {
    Done(Box<Account>),
    /// With a password to be kept.
    Hash(PasswordJob),
}

impl Accounts {
    /// The account of a device that shows a certificate of this realm which has not expired. It is no sign-up: it needs
    /// no open door, and nobody can do it for a name that was never theirs.
    pub(crate) fn reclaim(
        &self,
        now: Now,
        origin: Origin,
        credentials: &Credentials,
        auth: Option<AuthKey>,
    ) -> Result<Reclaiming, Failure> {
        let bad = || Failure::new(Code::Credentials, BAD_CERTIFICATE);
        let claim = self.check(origin, &credentials.statement)?;
        let person = certificate::verify(credentials, &self.root_key(), now.wall).map_err(|_| bad())?;
        if person.expires <= now.wall {
            return Err(bad());
        }
        let statement = credentials.statement.clone();
        if let Some(account) = self.known(&claim.user)? {
            if account.statement != statement {
                return Err(taken_since(&claim.user));
            }
            return Ok(Reclaiming::Done(Box::new(self.resume(origin, &claim.user)?)));
        }
        let account = Account { statement, claim, password: String::new(), last_seen: None };
        match auth {
            None => Ok(Reclaiming::Done(self.restore(now, account)?)),
            Some(auth) => {
                let work = Work::Hash { auth: Secret::new(auth) };
                let purpose = Purpose::Reclaim { account: Box::new(account) };
                Ok(Reclaiming::Hash(PasswordJob { work, purpose }))
            }
        }
    }

    /// The second half, with the hash.
    pub(super) fn reclaimed(&self, now: Now, account: Account, password: String) -> Result<Finished, Failure> {
        let account = self.restore(now, Account { password, ..account })?;
        Ok(Finished::SignedIn { account, is_new: true })
    }

    fn restore(&self, now: Now, account: Account) -> Result<Box<Account>, Failure> {
        match self.add(now, &account)? {
            Creation::Created => Ok(Box::new(account)),
            Creation::NameTaken | Creation::KeyTaken => Err(taken_since(account.user())),
        }
    }
}

fn taken_since(user: &UserName) -> Failure {
    let text =
        format!("The registry had lost the account {user}, and somebody else has the name now. Ask its operator.");
    Failure::new(Code::NameTaken, &text)
}

const BAD_CERTIFICATE: &str =
    "The registry does not know this account, and the certificate for it does not hold any more. Ask its operator.";
