//! Who may come in: how many in all, how many of one source, how many that have not signed in. Refusing is one map
//! look-up on the acceptor, before anything is spawned; those inside do not notice.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::accounts::Source;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Connections in all: each is a thread and a descriptor.
    pub sessions: u32,
    /// Connections of one source: a whole office may sit behind one address.
    pub sessions_per_source: u32,
    /// Connections that have not signed in: they cost memory and prove nothing.
    pub unauthenticated: u32,
    pub unauthenticated_per_source: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Door {
    limits: DoorLimits,
    // Guards the numbers below.
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: Numbers,
    sources: HashMap<Source, Numbers>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    sessions: u32,
    strangers: u32,
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    door: Arc<Door>,
    source: Source,
    is_stranger: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    Full,
    Strangers,
    Source,
}

impl Door {
    pub(super) fn new(limits: DoorLimits) -> Self {
        Self { limits, inside: Mutex::default() }
    }

    /// Lets a new connection in, as a stranger.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Closed> {
        let source = Source::of(address);
        let mut inside = self.inside();
        let own = inside.sources.get(&source).copied().unwrap_or_default();
        if inside.all.sessions >= self.limits.sessions {
            return Err(Closed::Full);
        }
        if own.sessions >= self.limits.sessions_per_source || own.strangers >= self.limits.unauthenticated_per_source {
            return Err(Closed::Source);
        }
        if inside.all.strangers >= self.limits.unauthenticated {
            return Err(Closed::Strangers);
        }
        inside.change(source, |numbers| {
            numbers.sessions += 1;
            numbers.strangers += 1;
        });
        Ok(Admission { door: Arc::clone(self), source, is_stranger: true })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    /// Somebody signed in: no stranger any more.
    pub(super) fn welcome(&mut self) {
        if std::mem::take(&mut self.is_stranger) {
            self.door.inside().change(self.source, |numbers| numbers.strangers -= 1);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let strangers = u32::from(self.is_stranger);
        self.door.inside().change(self.source, |numbers| {
            numbers.sessions -= 1;
            numbers.strangers -= strangers;
        });
    }
}

impl Inside {
    fn change(&mut self, source: Source, with: impl Fn(&mut Numbers)) {
        with(&mut self.all);
        let own = self.sources.entry(source).or_default();
        with(own);
        if own.sessions == 0 {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Arc<Door> {
        let limits =
            DoorLimits { sessions: 5, sessions_per_source: 3, unauthenticated: 4, unauthenticated_per_source: 2 };
        Arc::new(Door::new(limits))
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn strangers_of_one_source_do_not_keep_others_out() {
        let door = door();
        let _first = [door.admit(from(1)).unwrap(), door.admit(from(1)).unwrap()];
        assert_eq!(door.admit(from(1)).unwrap_err(), Closed::Source);
        let _second = [door.admit(from(2)).unwrap(), door.admit(from(2)).unwrap()];
        assert_eq!(door.admit(from(3)).unwrap_err(), Closed::Strangers);
    }

    #[test]
    fn signing_in_makes_room_for_strangers_and_leaving_for_everybody() {
        let door = door();
        let mut inside = Vec::new();
        for last in [1, 1, 1, 2, 2] {
            let mut admission = door.admit(from(last)).unwrap();
            admission.welcome();
            inside.push(admission);
        }
        assert_eq!(door.admit(from(3)).unwrap_err(), Closed::Full);
        inside.pop();
        assert_eq!(door.admit(from(1)).unwrap_err(), Closed::Source);
        assert!(door.admit(from(3)).is_ok());
        inside.clear();
        assert!(door.inside().sources.is_empty());
    }
}
