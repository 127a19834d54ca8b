//! What breaks beyond single links and programs: the network splits, clocks jump, disks fill up or grow slow, and old
//! copies come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::message::registry::{FromRegistry, News, Reply};
use common::names::UserName;
use common::time::{Now, UnixMillis};
use common::wire::bounded::List;
use registry::store::Accounts;
use registry::store::memory::MemoryStore;

use super::disk::Log;
use super::host::{Host, Who};
use super::{EPOCH, Happening, World};

/// Somewhere on the network: a person's machine, or the registry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Registry,
    Person(Who),
}

impl World {
    /// Splits the network: nothing passes between these and everybody else, until it heals.
    pub fn split(&mut self, far: BTreeSet<Place>) {
        self.journal.note(self.now, || format!("the network SPLITS, apart are {far:?}"));
        self.far = far;
        let people: Vec<Who> = (0..self.hosts.len()).map(Who).collect();
        for one in &people {
            for other in people.iter().filter(|other| *one < **other) {
                if self.are_apart(Place::Person(*one), Place::Person(*other)) {
                    self.cut(*one, *other);
                }
            }
            if self.are_apart(Place::Registry, Place::Person(*one)) {
                self.cut_line(*one);
            }
        }
    }

    /// The network is whole again.
    pub fn heal(&mut self) {
        if !self.far.is_empty() {
            self.journal.note(self.now, || "the network HEALS".to_owned());
            self.far.clear();
        }
    }

    pub(super) fn are_apart(&self, one: Place, other: Place) -> bool {
        self.far.contains(&one) != self.far.contains(&other)
    }

    /// Somebody's wall clock is set to be wrong by as much, forwards or backwards. Their monotonic clock goes on.
    pub fn set_clock(&mut self, who: Who, ahead_ms: i64) {
        let host = &mut self.hosts[who.0];
        host.clock_ahead_ms = ahead_ms;
        let name = host.name.clone();
        self.journal.note(self.now, || format!("the clock of {name} JUMPS, it is {ahead_ms} ms ahead"));
        self.model.clock_jumped();
    }

    pub(super) fn clocks(&self) -> Now {
        Now { monotonic: self.now, wall: UnixMillis(EPOCH.0 + self.now.0) }
    }

    pub(super) fn clocks_of(&self, who: Who) -> Now {
        let Now { monotonic, wall } = self.clocks();
        Now { monotonic, wall: UnixMillis(wall.0.saturating_add_signed(self.hosts[who.0].clock_ahead_ms)) }
    }

    /// Somebody's disk takes nothing more for a while.
    pub fn fill_disk(&mut self, who: Who, time: Duration) {
        let host = &mut self.hosts[who.0];
        host.full_until = self.now.plus(time);
        let name = host.name.clone();
        self.journal.note(self.now, || format!("the disk of {name} is FULL for {time:?}"));
    }

    /// Somebody's disk takes seconds for everything, for a while.
    pub fn slow_disk(&mut self, who: Who, time: Duration) {
        let host = &mut self.hosts[who.0];
        host.slow_until = self.now.plus(time);
        let name = host.name.clone();
        self.journal.note(self.now, || format!("the disk of {name} is SLOW for {time:?}"));
    }

    /// How long the next job takes on somebody's disk.
    pub(super) fn disk_time(&mut self, who: Who) -> Duration {
        let is_slow = self.hosts[who.0].slow_until > self.now;
        let (from, to) = if is_slow { SLOW_DISK } else { self.weather.disk };
        self.random.between(from, to)
    }

    /// Whether the next write to somebody's disk fails.
    pub(super) fn disk_fails(&mut self, who: Who) -> bool {
        let by_chance = self.weather.disk_failures > 0 && self.random.below(1000) < self.weather.disk_failures;
        by_chance || self.hosts[who.0].full_until > self.now
    }

    /// A copy of somebody's log, as it is on their disk.
    pub fn copy_log(&self, who: Who) -> Option<Log> {
        self.hosts[who.0].disk.copy()
    }

    /// Somebody whose program ends, and whose log is replaced by an older copy: that is noticed at the next start.
    pub fn put_log_back(&mut self, who: Who, copy: Option<Log>) {
        self.replace_log(who, copy);
        self.hosts[who.0].disk.is_copied = true;
    }

    /// The same where nothing on the machine tells; only what others hold does.
    pub fn put_log_back_unnoticed(&mut self, who: Who, copy: Option<Log>) {
        self.replace_log(who, copy);
        self.model.may_fork(who);
    }

    fn replace_log(&mut self, who: Who, copy: Option<Log>) {
        self.crash(who);
        let name = self.hosts[who.0].name.clone();
        self.journal.note(self.now, || format!("{name} puts an OLD COPY of the log back"));
        self.model.log_goes(who, &self.hosts);
        self.hosts[who.0].disk.put_back(copy);
        self.model.log_put_back(who, &self.hosts);
    }

    /// Somebody is gone for good.
    pub fn vanish(&mut self, who: Who) {
        self.crash(who);
        self.hosts[who.0].is_gone = true;
        let name = self.hosts[who.0].name.clone();
        self.journal.note(self.now, || format!("{name} is GONE for good"));
    }

    /// From now on the registry lies to two people: by what it says of rooms, there is no other of them.
    pub fn hide_from_each_other(&mut self, one: Who, other: Who) {
        let names = [one, other].map(|who| self.hosts[who.0].name.clone());
        self.journal.note(self.now, || format!("the registry HIDES {} and {} from each other", names[0], names[1]));
        self.registry.hidden.extend([(one, other), (other, one)]);
    }

    /// What the registry says to somebody, without those whom it hides from them; `None` if nothing is left of it.
    pub(super) fn without_hidden(&self, who: Who, message: FromRegistry) -> Option<FromRegistry> {
        let of_reader = self.registry.hidden.iter().filter(|(reader, _)| *reader == who);
        let hidden: Vec<&UserName> = of_reader.map(|(_, hidden)| &self.hosts[hidden.0].name).collect();
        match message {
            FromRegistry::Reply { id, reply } => {
                let reply = match *reply {
                    Reply::Members { members, more } => {
                        let seen = members.into_vec().into_iter().filter(|record| !hidden.contains(&&record.user));
                        Reply::Members { members: List::cut(seen.collect()), more }
                    }
                    reply => reply,
                };
                Some(FromRegistry::Reply { id, reply: Box::new(reply) })
            }
            FromRegistry::News(news) => match *news {
                News::Member { member, .. } if hidden.contains(&&member.user) => None,
                News::Presence { changes } if changes.iter().any(|change| hidden.contains(&&change.user)) => None,
                news => Some(FromRegistry::News(Box::new(news))),
            },
            refused @ FromRegistry::Refused { .. } => Some(refused),
        }
    }

    /// Keeps a copy of what the registry has stored.
    pub fn back_up_registry(&mut self) {
        self.journal.note(self.now, || "the registry is backed up".to_owned());
        self.registry.backup = Some(self.registry.store.copy());
    }

    /// The registry comes back with an old backup. Whoever it does not know any more gets in with what it certified; who
    /// has not kept that yet signs up again, with the same keys.
    pub fn restore_registry(&mut self, after: Duration) {
        let Some(backup) = self.registry.backup.take() else { return };
        self.journal.note(self.now, || "the registry is lost, an OLD BACKUP takes its place".to_owned());
        self.model.registry_put_back(&*self.registry.store, &backup);
        let knows = |store: &MemoryStore, host: &Host| store.account(&host.name).is_ok_and(|account| account.is_some());
        let lost = |host: &Host| knows(&self.registry.store, host) && !knows(&backup, host);
        let forgotten = |host: &Host| lost(host) && !host.disk.has_certificate();
        let people = self.hosts.iter().enumerate().filter(|(_, host)| forgotten(host));
        let people: Vec<(Who, bool)> = people.map(|(number, host)| (Who(number), host.is_running())).collect();
        self.registry.store = Arc::new(backup);
        self.restart_registry(after);
        for (who, runs) in people {
            self.lose_account(who);
            if runs {
                self.plan(after + SIGNS_UP_AGAIN_AFTER, Happening::Start { who });
            }
        }
    }
}

const SLOW_DISK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// Nobody notices before the registry is back.
const SIGNS_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);
