//! Suspensions and sign-up tokens, and what an operator may know, in memory.

use std::ops::Bound;

use common::names::UserName;
use common::time::UnixMillis;

use super::MemoryStore;
use crate::store::{Account, AccountSummary, Oversight, Redemption, StoreError, StoredToken, TokenDigest, Totals};

impl Oversight for MemoryStore {
    fn is_suspended(&self, user: &UserName) -> Result<bool, StoreError> {
        Ok(self.tables().suspended.contains(user))
    }

    fn set_suspended(&self, user: &UserName, is_suspended: bool) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if is_suspended && tables.accounts.contains_key(user) {
            tables.suspended.insert(user.clone());
        } else {
            tables.suspended.remove(user);
        }
        Ok(tables.accounts.contains_key(user))
    }

    fn put_token(&self, user: &UserName, token: &StoredToken, now: UnixMillis) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.tokens.retain(|_, kept| kept.expires >= now);
        tables.tokens.insert(user.clone(), *token);
        Ok(())
    }

    fn token(&self, user: &UserName) -> Result<Option<StoredToken>, StoreError> {
        Ok(self.tables().tokens.get(user).copied())
    }

    fn redeem(&self, account: &Account, digest: &TokenDigest, now: UnixMillis) -> Result<Redemption, StoreError> {
        let mut tables = self.tables();
        let user = account.user();
        let holds = |kept: &StoredToken| kept.digest == *digest && kept.expires >= now;
        if !tables.tokens.get(user).is_some_and(holds) {
            return Ok(Redemption::NoToken);
        }
        if tables.is_key_taken(account) {
            return Ok(Redemption::KeyTaken);
        }
        tables.tokens.remove(user);
        let before = tables.accounts.insert(user.clone(), account.clone());
        if before.as_ref().is_some_and(|before| before.claim.identity != account.claim.identity) {
            tables.members.retain(|(_, member), _| member != user);
            tables.invites.retain(|(guest, _), _| guest != user);
            tables.prekeys.remove(user);
            tables.mail.retain(|_, kept| kept.to != *user);
        }
        Ok(if before.is_some() { Redemption::Replaced } else { Redemption::Created })
    }

    fn accounts(&self, after: Option<&UserName>, limit: u32) -> Result<Vec<AccountSummary>, StoreError> {
        let tables = self.tables();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = tables.accounts.range::<UserName, _>((from, Bound::Unbounded)).take(limit as usize);
        let summary = |(user, account): (&UserName, &Account)| AccountSummary {
            user: user.clone(),
            last_seen: account.last_seen,
            is_suspended: tables.suspended.contains(user),
        };
        Ok(found.map(summary).collect())
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        let tables = self.tables();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let (accounts, rooms, mail) = (tables.accounts.len(), tables.rooms.len(), tables.mail.len());
        Ok(Totals { accounts: count(accounts), rooms: count(rooms), mail: count(mail) })
    }
}
