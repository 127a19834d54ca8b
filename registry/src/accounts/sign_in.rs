//! Sign-up, sign-in by password, by device key, and the change of a password. What needs bcrypt comes in two halves:
//! the first makes a [`PasswordJob`], the second takes its result. Nothing is locked in between.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::ids::{AuthKey, DeviceKey, IdentityKey, RealmId, RootKey, SignUpToken};
use common::message::registry::Code;
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{self, Certificate};
use common::secure::identity::{DeviceStatement, check_statement};
use common::secure::sign::Signed;
use common::time::Now;

use super::entry::{SignUps, name_taken, wrong_token};
use super::password::{Outcome, PasswordDone, PasswordJob, Work};
use super::throttle::{Source, Throttle, ThrottleLimits, Wait};
use crate::refusal::Failure;
use crate::store::folder::RealmKeys;
use crate::store::{Account, Creation, Redemption, Replacement, Store, TokenDigest};

/// Where a request comes from: the device its handshake proved, and its address.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub device: DeviceKey,
    pub source: IpAddr,
}

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct AccountLimits {
    pub sign_ups: SignUps,
    pub throttle: ThrottleLimits,
}

/// How password work ended well.
#[derive(Debug)]
pub enum Finished {
    /// To be signed in now; `is_new` after a sign-up that made the account.
    SignedIn {
        account: Box<Account>,
        is_new: bool,
    },
    PasswordChanged,
}

/// What a password job is for; comes back with its result.
#[derive(Debug)]
pub(super) enum Purpose {
    SignUp {
        statement: Box<Signed<DeviceStatement>>,
        claim: Box<DeviceStatement>,
        source: Source,
        /// To be used up by it.
        token: Option<TokenDigest>,
    },
    /// The same sign-up again: its reply was lost.
    SignUpAgain {
        account: Box<Account>,
        source: Source,
    },
    SignIn {
        account: Option<Box<Account>>,
        claim: Box<DeviceStatement>,
        source: Source,
    },
    /// An account without one gets a password from its own device, which is then signed in.
    FirstPassword {
        account: Box<Account>,
        source: Source,
    },
    Reclaim {
        account: Box<Account>,
    },
    Change {
        user: UserName,
    },
}

/// See the module.
pub struct Accounts {
    store: Arc<dyn Store>,
    keys: RealmKeys,
    realm: RealmId,
    sign_ups: SignUps,
    /// What the dearest hash costs that was kept when this began; those made since cost what they do today.
    dearest_hash: u32,
    // Guards its counters only.
    throttle: Mutex<Throttle>,
}

impl Accounts {
    pub fn new(store: Arc<dyn Store>, keys: RealmKeys, limits: &AccountLimits) -> Self {
        let throttle = Mutex::new(Throttle::new(limits.throttle));
        let realm = keys.realm();
        let dearest_hash = store.dearest_hash().unwrap_or_else(|error| {
            tracing::error!(%error, "what kept passwords cost cannot be read");
            None
        });
        Self { store, keys, realm, sign_ups: limits.sign_ups, dearest_hash: dearest_hash.unwrap_or(0), throttle }
    }

    pub fn realm(&self) -> &RealmId {
        &self.realm
    }

    /// First half of a sign-up.
    pub fn sign_up(
        &self,
        now: Now,
        origin: Origin,
        auth: AuthKey,
        statement: Signed<DeviceStatement>,
        token: Option<SignUpToken>,
    ) -> Result<PasswordJob, Failure> {
        let claim = Box::new(self.check(origin, &statement)?);
        let (auth, source) = (Secret::new(auth), Source::of(origin.source));
        let known = self.store.account(&claim.user)?;
        let is_taken = known.is_some();
        if let Some(account) = known.filter(|account| account.statement == statement && token.is_none()) {
            self.throttle().attempt(&claim.user, source, now.monotonic).map_err(too_many_failures)?;
            if !account.has_password() {
                return Ok(first_password(account, auth, source));
            }
            let work = self.verification(auth, Some(account.password.clone()));
            return Ok(PasswordJob { work, purpose: Purpose::SignUpAgain { account: Box::new(account), source } });
        }
        let (kept, shown) = (self.store.token(&claim.user)?, token.map(Secret::new));
        let token = self.sign_ups.check(&claim.user, is_taken, kept, shown.as_ref(), now.wall)?;
        self.throttle().sign_up(source, now.monotonic).map_err(too_many_sign_ups)?;
        let purpose = Purpose::SignUp { statement: Box::new(statement), claim, source, token };
        Ok(PasswordJob { work: Work::Hash { auth }, purpose })
    }

    /// First half of a sign-in by password. An unknown name goes the same way as a known one, and whoever is to wait
    /// hears so before anybody looks whether there is such an account.
    pub fn sign_in(
        &self,
        now: Now,
        origin: Origin,
        auth: AuthKey,
        statement: &Signed<DeviceStatement>,
    ) -> Result<PasswordJob, Failure> {
        let claim = Box::new(self.check(origin, statement)?);
        let source = Source::of(origin.source);
        self.throttle().attempt(&claim.user, source, now.monotonic).map_err(too_many_failures)?;
        let account = self.store.account(&claim.user)?.map(Box::new);
        let auth = Secret::new(auth);
        let hash = account.as_ref().filter(|account| account.has_password()).map(|account| account.password.clone());
        let account = match account {
            Some(own) if !own.has_password() && is_enrolled(&own, &claim) => {
                return Ok(first_password(*own, auth, source));
            }
            other => other,
        };
        let work = self.verification(auth, hash);
        Ok(PasswordJob { work, purpose: Purpose::SignIn { account, claim, source } })
    }

    /// Charges an invitation.
    pub fn invite(&self, owner: &UserName, invitee: IdentityKey, now: Now) -> Result<(), Failure> {
        self.throttle().invite(owner, invitee, now.monotonic).map_err(too_many_invites)
    }

    /// Signs in the device that is enrolled, without a password: never throttled.
    pub fn resume(&self, origin: Origin, user: &UserName) -> Result<Account, Failure> {
        let account = self.store.account(user)?.filter(|account| account.device() == origin.device);
        account.ok_or_else(|| Failure::new(Code::Credentials, NOT_ENROLLED))
    }

    /// First half of a change of password.
    pub fn change_password(
        &self,
        now: Now,
        user: &UserName,
        old: AuthKey,
        new: AuthKey,
    ) -> Result<PasswordJob, Failure> {
        let account = self.account(user)?;
        self.throttle().change(user, now.monotonic).map_err(too_many_failures)?;
        let (old, new) = (Secret::new(old), Secret::new(new));
        let work = match account.has_password() {
            true => Work::Change { old, new, hash: account.password },
            // There is none to know: only the enrolled device can be asking.
            false => Work::Hash { auth: new },
        };
        Ok(PasswordJob { work, purpose: Purpose::Change { user: user.clone() } })
    }

    /// Second half of any of them.
    pub fn finish(&self, now: Now, done: PasswordDone) -> Result<Finished, Failure> {
        match (done.purpose, done.outcome) {
            (Purpose::SignUp { statement, claim, source, token }, Outcome::Hashed(password)) => {
                let account = Account { statement: *statement, claim: *claim, password, last_seen: None };
                match token {
                    Some(token) => self.redeem(now, account, &token),
                    None => self.create(now, account, source),
                }
            }
            (Purpose::SignUpAgain { account, source }, Outcome::Right(renewed)) => {
                self.throttle().succeeded(account.user(), source);
                self.renew(account.user(), renewed)?;
                Ok(Finished::SignedIn { account, is_new: false })
            }
            (Purpose::SignUpAgain { account, .. }, _) => Err(name_taken(account.user())),
            (Purpose::SignIn { account: Some(account), claim, source }, Outcome::Right(renewed)) => {
                self.throttle().succeeded(account.user(), source);
                self.renew(account.user(), renewed)?;
                if is_enrolled(&account, &claim) {
                    Ok(Finished::SignedIn { account, is_new: false })
                } else {
                    Err(Failure::new(Code::NotPermitted, SECOND_DEVICE))
                }
            }
            (Purpose::FirstPassword { account, source }, Outcome::Hashed(password)) => {
                self.throttle().succeeded(account.user(), source);
                self.store.set_password(account.user(), &password)?;
                Ok(Finished::SignedIn { account: Box::new(Account { password, ..*account }), is_new: false })
            }
            (Purpose::Reclaim { account }, Outcome::Hashed(password)) => self.reclaimed(now, *account, password),
            (Purpose::Change { user }, Outcome::Hashed(password)) => {
                self.throttle().take_back_change(&user);
                self.store.set_password(&user, &password)?;
                Ok(Finished::PasswordChanged)
            }
            (_, _) => Err(Failure::new(Code::Credentials, WRONG)),
        }
    }

    /// The job was never run: it is not held against anybody.
    pub fn take_back(&self, job: PasswordJob) {
        let mut throttle = self.throttle();
        match job.purpose {
            Purpose::SignUp { source, .. } => throttle.take_back_sign_up(source),
            Purpose::SignUpAgain { account, source } => throttle.take_back_attempt(account.user(), source),
            Purpose::SignIn { claim, source, .. } => throttle.take_back_attempt(&claim.user, source),
            Purpose::FirstPassword { account, source } => throttle.take_back_attempt(account.user(), source),
            Purpose::Reclaim { .. } => {}
            Purpose::Change { user } => throttle.take_back_change(&user),
        }
    }

    /// A certificate for an account's device, valid from now.
    pub fn certificate(&self, account: &Account, now: Now) -> Signed<Certificate> {
        certificate::issue(&account.claim, now.wall, &self.keys.root)
    }

    /// The account of somebody who is signed in.
    pub fn account(&self, user: &UserName) -> Result<Account, Failure> {
        self.store.account(user)?.ok_or_else(|| Failure::new(Code::NoSuchUser, ACCOUNT_GONE))
    }

    pub(super) fn root_key(&self) -> RootKey {
        self.keys.root_key()
    }

    pub(super) fn known(&self, user: &UserName) -> Result<Option<Account>, Failure> {
        Ok(self.store.account(user)?)
    }

    pub(super) fn replace_keys(
        &self,
        before: &Signed<DeviceStatement>,
        account: &Account,
    ) -> Result<Replacement, Failure> {
        Ok(self.store.replace_keys(before, account)?)
    }

    pub(super) fn add(&self, now: Now, account: &Account) -> Result<Creation, Failure> {
        Ok(self.store.create_account(account, now.wall)?)
    }

    fn verification(&self, auth: Secret<AuthKey>, hash: Option<String>) -> Work {
        Work::Verify { auth, hash, dearest: self.dearest_hash }
    }

    /// Keeps another hash of the same password.
    fn renew(&self, user: &UserName, hash: Option<String>) -> Result<(), Failure> {
        hash.map_or(Ok(()), |hash| Ok(self.store.set_password(user, &hash)?))
    }

    fn create(&self, now: Now, account: Account, source: Source) -> Result<Finished, Failure> {
        match self.add(now, &account)? {
            Creation::Created => Ok(Finished::SignedIn { account: Box::new(account), is_new: true }),
            Creation::NameTaken => {
                self.throttle().take_back_sign_up(source);
                Err(name_taken(account.user()))
            }
            Creation::KeyTaken => Err(Failure::new(Code::NotPermitted, KEY_TAKEN)),
        }
    }

    fn redeem(&self, now: Now, account: Account, token: &TokenDigest) -> Result<Finished, Failure> {
        match self.store.redeem(&account, token, now.wall)? {
            Redemption::Created | Redemption::Replaced => {
                Ok(Finished::SignedIn { account: Box::new(account), is_new: true })
            }
            Redemption::KeyTaken => Err(Failure::new(Code::NotPermitted, KEY_TAKEN)),
            Redemption::NoToken => Err(wrong_token(account.user())),
        }
    }

    // The statement is the first of its kind, for this realm, and about the device that is talking to us.
    pub(super) fn check(
        &self,
        origin: Origin,
        statement: &Signed<DeviceStatement>,
    ) -> Result<DeviceStatement, Failure> {
        let claim = check_statement(statement).map_err(|_| Failure::new(Code::Credentials, BAD_STATEMENT))?;
        let fits = claim.realm == self.realm && claim.device == origin.device && claim.number == 1;
        if fits { Ok(claim) } else { Err(Failure::new(Code::Credentials, BAD_STATEMENT)) }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_enrolled(account: &Account, claim: &DeviceStatement) -> bool {
    account.device() == claim.device && account.claim.identity == claim.identity
}

fn first_password(account: Account, auth: Secret<AuthKey>, source: Source) -> PasswordJob {
    let purpose = Purpose::FirstPassword { account: Box::new(account), source };
    PasswordJob { work: Work::Hash { auth }, purpose }
}

fn too_many_failures(Wait(seconds): Wait) -> Failure {
    let text = format!("Too many wrong passwords for this account. Try again in {seconds} s.");
    Failure::later(Code::Throttled, &text, seconds)
}

fn too_many_sign_ups(Wait(seconds): Wait) -> Failure {
    let minutes = seconds.div_ceil(60);
    let text = format!("Too many new accounts from your address. Try again in {minutes} min, or ask the operator.");
    Failure::later(Code::Throttled, &text, seconds)
}

fn too_many_invites(Wait(seconds): Wait) -> Failure {
    let minutes = seconds.div_ceil(60);
    let text = format!("You have sent many invitations within an hour. Try again in {minutes} min.");
    Failure::later(Code::Throttled, &text, seconds)
}

const WRONG: &str = "That name and password do not go together. Check both, or /register a new account.";
const NOT_ENROLLED: &str = "This device is not enrolled for that account. Sign in with the password: /login NAME.";
const SECOND_DEVICE: &str =
    "This account already has a device, and a second one is not supported yet. Sign in from the first one.";
const KEY_TAKEN: &str =
    "These keys already belong to another account. Sign in to that one, or use another folder: --data-dir.";
const BAD_STATEMENT: &str =
    "The keys that were sent do not fit this connection or this registry. Start the program again with its own folder.";
const ACCOUNT_GONE: &str = "Your account is not known here any more. Ask the operator, or /register again.";
