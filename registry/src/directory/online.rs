//! Sessions in memory: which device each came with, who is signed in on it, where they listen and whom they watch.
//! One lock over all of it, held only for map operations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::ids::DeviceKey;
use common::names::UserName;
use common::wire::address::Address;

/// One connection; numbers are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What a request may want to know of the session it came on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub session: SessionId,
    /// Proven by the handshake.
    pub device: DeviceKey,
    pub source: SocketAddr,
    pub user: Option<UserName>,
}

/// What signing in changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The session whose place this one took.
    pub replaced: Option<SessionId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Online {
    // Guards all of the below; nothing else is locked while it is held.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<SessionId, Session>,
    users: BTreeMap<UserName, SessionId>,
    watchers: BTreeMap<UserName, BTreeSet<SessionId>>,
}

#[derive(Debug)]
struct Session {
    device: DeviceKey,
    source: SocketAddr,
    user: Option<UserName>,
    addresses: Vec<Address>,
    watched: Vec<UserName>,
}

impl Online {
    pub fn open(&self, session: SessionId, device: DeviceKey, source: SocketAddr) {
        let fresh = Session { device, source, user: None, addresses: Vec::new(), watched: Vec::new() };
        self.inner().sessions.insert(session, fresh);
    }

    /// The session behind a request, unless it is closed or another took its place.
    pub fn caller(&self, session: SessionId) -> Option<Caller> {
        let inner = self.inner();
        let found = inner.sessions.get(&session)?;
        Some(Caller { session, device: found.device, source: found.source, user: found.user.clone() })
    }

    /// Signs `user` in on `session`; a session they have elsewhere is forgotten. `None` if `session` is gone.
    pub fn enter(&self, session: SessionId, user: &UserName) -> Option<Entered> {
        let mut inner = self.inner();
        inner.sessions.get_mut(&session)?.user = Some(user.clone());
        let replaced = inner.users.insert(user.clone(), session).filter(|&before| before != session);
        if let Some(before) = replaced {
            inner.forget(before);
        }
        Some(Entered { replaced })
    }

    /// Signs out; the session stays. Who went offline by that.
    pub fn leave(&self, session: SessionId) -> Option<UserName> {
        let mut inner = self.inner();
        inner.unwatch(session);
        let found = inner.sessions.get_mut(&session)?;
        found.addresses = Vec::new();
        let user = found.user.take()?;
        inner.users.remove(&user);
        Some(user)
    }

    /// The session is over. Who went offline by that.
    pub fn close(&self, session: SessionId) -> Option<UserName> {
        let mut inner = self.inner();
        let user = inner.forget(session)?;
        inner.users.remove(&user);
        Some(user)
    }

    pub fn is_online(&self, user: &UserName) -> bool {
        self.inner().users.contains_key(user)
    }

    pub fn count(&self) -> usize {
        self.inner().users.len()
    }

    pub fn session_of(&self, user: &UserName) -> Option<SessionId> {
        self.inner().users.get(user).copied()
    }

    /// Sessions of those among `users` who are online.
    pub fn sessions_of(&self, users: &[UserName]) -> Vec<SessionId> {
        let inner = self.inner();
        users.iter().filter_map(|user| inner.users.get(user).copied()).collect()
    }

    /// Sessions that asked to hear about `user`.
    pub fn watchers(&self, user: &UserName) -> Vec<SessionId> {
        self.inner().watchers.get(user).map(|sessions| sessions.iter().copied().collect()).unwrap_or_default()
    }

    /// Replaces the list of `session`. Who of them is online.
    pub fn watch(&self, session: SessionId, mut names: Vec<UserName>) -> Vec<UserName> {
        names.sort();
        names.dedup();
        names.shrink_to_fit();
        let mut inner = self.inner();
        let online = names.iter().filter(|name| inner.users.contains_key(name)).cloned().collect();
        // A session that was replaced meanwhile is closed already: nobody would take its names out again.
        if inner.sessions.contains_key(&session) {
            inner.unwatch(session);
            for name in &names {
                inner.watchers.entry(name.clone()).or_default().insert(session);
            }
            if let Some(found) = inner.sessions.get_mut(&session) {
                found.watched = names;
            }
        }
        online
    }

    /// Whether `session` asked to hear about `user`.
    pub fn watches(&self, session: SessionId, user: &UserName) -> bool {
        self.inner().watchers.get(user).is_some_and(|sessions| sessions.contains(&session))
    }

    pub fn announce(&self, session: SessionId, addresses: Vec<Address>) {
        if let Some(found) = self.inner().sessions.get_mut(&session) {
            found.addresses = addresses;
        }
    }

    /// Where `user` listens: the address seen here with the port announced, then what was announced.
    pub fn addresses(&self, user: &UserName) -> Vec<Address> {
        let inner = self.inner();
        let Some(found) = inner.users.get(user).and_then(|session| inner.sessions.get(session)) else {
            return Vec::new();
        };
        let port = found.addresses.first().map(|address| address.0.port());
        let seen = port.map(|port| Address(SocketAddr::new(found.source.ip(), port)));
        let new = seen.filter(|seen| !found.addresses.contains(seen));
        new.into_iter().chain(found.addresses.iter().copied()).collect()
    }

    /// Names with `pattern` in them, sorted, after `after`; at most `limit`.
    pub fn page(&self, pattern: &str, after: Option<&UserName>, limit: usize) -> Vec<UserName> {
        let inner = self.inner();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = inner.users.range::<UserName, _>((from, Bound::Unbounded)).map(|(name, _)| name);
        found.filter(|name| name.as_str().contains(pattern)).take(limit).cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, session: SessionId) -> Option<UserName> {
        self.unwatch(session);
        self.sessions.remove(&session)?.user
    }

    fn unwatch(&mut self, session: SessionId) {
        let watched = self.sessions.get_mut(&session).map(|found| std::mem::take(&mut found.watched));
        for name in watched.unwrap_or_default() {
            let Some(sessions) = self.watchers.get_mut(&name) else { continue };
            sessions.remove(&session);
            if sessions.is_empty() {
                self.watchers.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn with_sessions(count: u64) -> Online {
        let online = Online::default();
        for number in 0..count {
            online.open(SessionId(number), DeviceKey([0; 32]), "192.0.2.1:5000".parse().unwrap());
        }
        online
    }

    #[test]
    fn the_newest_session_wins_and_the_old_one_takes_nobody_offline() {
        let online = with_sessions(2);
        let alice = name("alice");
        assert_eq!(online.enter(SessionId(0), &alice), Some(Entered { replaced: None }));
        assert_eq!(online.enter(SessionId(1), &alice), Some(Entered { replaced: Some(SessionId(0)) }));
        assert_eq!(online.caller(SessionId(0)), None);
        assert_eq!(online.close(SessionId(0)), None);
        assert!(online.is_online(&alice));
        assert_eq!(online.close(SessionId(1)), Some(alice));
    }

    #[test]
    fn the_seen_address_comes_first_with_the_announced_port() {
        let online = with_sessions(1);
        let alice = name("alice");
        online.enter(SessionId(0), &alice);
        assert_eq!(online.addresses(&alice), []);
        let at = |text: &str| Address(text.parse().unwrap());
        online.announce(SessionId(0), vec![at("10.0.0.1:41000")]);
        assert_eq!(online.addresses(&alice), [at("192.0.2.1:41000"), at("10.0.0.1:41000")]);
        online.announce(SessionId(0), vec![at("10.0.0.1:41000"), at("192.0.2.1:41000")]);
        assert_eq!(online.addresses(&alice).len(), 2, "not twice");
    }

    #[test]
    fn watching_is_replaced_and_ends_with_the_session() {
        let online = with_sessions(2);
        online.enter(SessionId(1), &name("bob"));
        assert_eq!(online.watch(SessionId(0), vec![name("bob"), name("carol")]), [name("bob")]);
        assert_eq!(online.watchers(&name("carol")), [SessionId(0)]);
        online.watch(SessionId(0), vec![name("bob")]);
        assert_eq!(online.watchers(&name("carol")), []);
        online.close(SessionId(0));
        assert!(online.inner().watchers.is_empty());
    }

    #[test]
    fn pages_are_sorted_and_follow_each_other() {
        let online = with_sessions(3);
        for (number, user) in ["carol", "alice", "bob"].into_iter().enumerate() {
            online.enter(SessionId(number as u64), &name(user));
        }
        assert_eq!(online.page("", None, 2), [name("alice"), name("bob")]);
        assert_eq!(online.page("", Some(&name("bob")), 2), [name("carol")]);
        assert_eq!(online.page("ar", None, 9), [name("carol")]);
    }
}
