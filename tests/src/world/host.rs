//! One person's machine: a node, its disk and its keys, and what the engine would do with its outputs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::ids::{self, AuthKey, RootKey};
use common::names::UserName;
use common::secret::Secret;
use common::secure::identity::{KEYS_BYTES, Keys};
use common::time::Monotonic;
use peer::api::{Asked, Command, Event, Told};
use peer::node::{Footprint, Node, NodeConfig, Startup};
use peer::ports::{Input, LocalIdentity, Output, VaultJob, VaultReply};

use super::disk::{Log, VirtualDisk};
use super::liar::Lies;
use super::lines::Line;
use super::{Happening, World};

/// A person, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(pub(super) usize);

/// See the module.
#[derive(Debug)]
pub struct Host {
    pub name: UserName,
    pub(super) node: Option<Node>,
    /// Counts starts of the program.
    pub(super) life: u64,
    pub disk: VirtualDisk,
    /// The disk is at work on its oldest job.
    disk_busy: bool,
    pub(super) keys: Keys,
    /// Sealed beside them, to take their place.
    next_keys: Option<Keys>,
    /// The registry knows the keys.
    pub(super) confirmed: bool,
    pinned: Option<RootKey>,
    pub(super) identity: Option<Box<LocalIdentity>>,
    pub(super) line: Line,
    pub(super) told: Vec<Told>,
    /// What of it the front-end has written out: a crash takes the rest with it.
    written: usize,
    wake_at: Option<Monotonic>,
    /// Ticks in a row that asked for another at once.
    spins: u32,
    /// Shall run, and is started again if it ends by itself.
    pub(super) wanted: bool,
    /// How wrong its wall clock is.
    pub(super) clock_ahead_ms: i64,
    /// Its disk takes nothing until then.
    pub(super) full_until: Monotonic,
    /// Its disk is slow until then.
    pub(super) slow_until: Monotonic,
    /// Never comes back.
    pub(super) is_gone: bool,
    /// What it says to others instead of the truth.
    pub(super) lies: Option<Lies>,
    /// It hands on receipts of its own making, besides those that it is handed.
    pub(super) forges_receipts: bool,
    /// What may take the place of its log one day.
    pub(super) old_log: Option<Log>,
}

impl Host {
    pub(super) fn address(who: Who) -> SocketAddr {
        let number = u16::try_from(who.0 + 1).expect("worlds are small");
        let [high, low] = number.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 41_000)
    }

    pub fn is_running(&self) -> bool {
        self.node.is_some()
    }

    pub(super) fn identity_key(&self) -> common::ids::IdentityKey {
        self.keys.identity()
    }
}

impl World {
    /// A new person, whose program does not run yet.
    pub fn person(&mut self, name: &str) -> Who {
        let who = Who(self.hosts.len());
        let name = UserName::parse(name).expect("a test's name is good");
        let keys = self.fresh_keys();
        self.hosts.push(Host {
            name,
            node: None,
            life: 0,
            disk: VirtualDisk::default(),
            disk_busy: false,
            keys,
            next_keys: None,
            confirmed: false,
            pinned: None,
            identity: None,
            line: Line::default(),
            told: Vec::new(),
            written: 0,
            wake_at: None,
            spins: 0,
            wanted: false,
            clock_ahead_ms: 0,
            full_until: Monotonic(0),
            slow_until: Monotonic(0),
            is_gone: false,
            lies: None,
            forges_receipts: false,
            old_log: None,
        });
        who
    }

    /// Starts the program; it signs up or in by itself.
    pub fn start(&mut self, who: Who) {
        let (seed, now) = (Secret::new(self.random.bytes()), self.clocks_of(who));
        let host = &mut self.hosts[who.0];
        host.wanted = true;
        if host.node.is_some() || host.is_gone {
            return;
        }
        host.life += 1;
        host.told.clear();
        host.written = 0;
        (host.wake_at, host.spins, host.disk_busy) = (None, 0, false);
        let startup = Startup {
            user: host.name.clone(),
            password: Secret::new("correct horse".to_owned()),
            register: !host.confirmed,
            token: None,
        };
        let config = NodeConfig {
            registry: "registry:15600".to_owned(),
            fingerprint: None,
            pinned: host.pinned,
            trust_new_realm: true,
            can_ask: false,
            listen: Host::address(who),
            startup: Some(startup),
            seed,
        };
        host.node = Some(Node::new(now, config));
        let (name, life) = (host.name.clone(), host.life);
        self.journal.note(self.now, || format!("{name} starts, life {life}"));
        self.model.life_begins(who);
        self.drain(who);
    }

    /// Kills the program. The disk keeps what it had committed, and perhaps some of what was under way.
    pub fn crash(&mut self, who: Who) {
        let survivors = self.random.below(self.hosts[who.0].disk.waiting() + 1);
        let host = &mut self.hosts[who.0];
        if host.node.take().is_none() {
            return;
        }
        (host.wanted, host.identity) = (false, None);
        let refused = host.disk.crash(survivors).err();
        let name = host.name.clone();
        self.journal.note(self.now, || format!("{name} CRASHES"));
        for told in &self.hosts[who.0].told[self.hosts[who.0].written..] {
            self.model.not_written(who, &told.event);
        }
        self.model.life_ends(who, None, &self.hosts);
        if let Some(refused) = refused {
            self.violated(|| format!("{name}'s disk refused: {refused}"));
        }
        self.drop_wires(who);
        self.drop_line(who);
    }

    /// The machine stops, with the program on it: the disk keeps what was written out, and perhaps some of what was
    /// only committed.
    pub fn lose_power(&mut self, who: Who) {
        self.crash(who);
        let survivors = self.random.below(self.hosts[who.0].disk.exposed() + 1);
        let host = &mut self.hosts[who.0];
        let (lost, name) = (host.disk.exposed() - survivors, host.name.clone());
        let refused = host.disk.lose_power(survivors).err();
        self.journal.note(self.now, || format!("{name} LOSES POWER, and {lost} commits with it"));
        self.model.marks_lost(who, &self.hosts);
        if let Some(refused) = refused {
            self.violated(|| format!("{name}'s disk refused: {refused}"));
        }
    }

    /// A person who lost everything, keys too, and comes back under the same name.
    pub fn lose_everything(&mut self, who: Who) {
        self.crash(who);
        let keys = self.fresh_keys();
        self.model.log_goes(who, &self.hosts);
        let host = &mut self.hosts[who.0];
        host.disk.wipe();
        (host.keys, host.next_keys, host.confirmed, host.pinned) = (keys, None, false, None);
        self.model.log_put_back(who, &self.hosts);
    }

    /// A person whose account the registry does not know any more; keys and log are still there.
    pub fn lose_account(&mut self, who: Who) {
        self.crash(who);
        self.hosts[who.0].confirmed = false;
    }

    /// From now on somebody may be refused for this reason.
    pub fn expect(&mut self, code: common::message::registry::Code) {
        self.model.expect(code);
    }

    /// What happened so far, if this world keeps a journal.
    pub fn journal(&self) -> String {
        self.journal.text()
    }

    /// Types a command.
    pub fn command(&mut self, who: Who, command: Command) {
        self.model.asked(who, &command, &self.hosts);
        let (name, life) = (self.hosts[who.0].name.clone(), self.hosts[who.0].life);
        self.journal.note(self.now, || format!("{name} types {command:?}"));
        self.give(who, life, Input::Command(Asked { re: None, command }));
    }

    /// Types several at once: the node takes them all before anything it wants is done.
    pub fn paste(&mut self, who: Who, commands: Vec<Command>) {
        for command in &commands {
            self.model.asked(who, command, &self.hosts);
        }
        let (now, host) = (self.clocks_of(who), &mut self.hosts[who.0]);
        let (name, count) = (host.name.clone(), commands.len());
        self.journal.note(self.now, || format!("{name} pastes {count} lines"));
        let Some(node) = &mut host.node else { return };
        for command in commands {
            node.handle(now, Input::Command(Asked { re: None, command }));
        }
        self.drain(who);
    }

    /// Hands something to a node, if it is still the same program.
    pub(super) fn give(&mut self, who: Who, life: u64, input: Input) {
        let now = self.clocks_of(who);
        let host = &mut self.hosts[who.0];
        if host.life != life {
            return;
        }
        let Some(node) = &mut host.node else { return };
        node.handle(now, input);
        self.drain(who);
    }

    pub(super) fn wake(&mut self, who: Who, life: u64) {
        let host = &mut self.hosts[who.0];
        let Some(node) = host.node.as_ref().filter(|_| host.life == life) else { return };
        host.wake_at = None;
        let footprint = node.footprint();
        if !footprint.is_within(&Footprint::MAX) {
            let name = host.name.clone();
            return self.violated(|| format!("{name} keeps too much: {footprint:?}"));
        }
        if node.next_timeout().is_some_and(|at| at <= self.now) {
            host.spins += 1;
            if host.spins > SPINS_MAX {
                let name = host.name.clone();
                return self.violated(|| format!("{name} wants to be woken again and again"));
            }
            self.give(who, life, Input::Tick);
        } else {
            self.plan_wake(who);
        }
    }

    pub(super) fn disk_done(&mut self, who: Who, life: u64) {
        let fails = self.disk_fails(who);
        let host = &mut self.hosts[who.0];
        if host.life != life || host.node.is_none() {
            return;
        }
        host.disk_busy = false;
        let done = if fails { host.disk.fail() } else { host.disk.advance() };
        let name = host.name.clone();
        match done {
            Ok(Some(reply)) => {
                if fails {
                    self.journal.note(self.now, || format!("{name}'s disk fails: {reply:?}"));
                }
                self.give(who, life, Input::Disk(reply));
            }
            Ok(None) => self.disk_works(who),
            Err(refused) => self.violated(|| format!("{name}'s disk refused: {refused}")),
        }
    }

    fn disk_works(&mut self, who: Who) {
        let time = self.disk_time(who);
        let host = &mut self.hosts[who.0];
        if !host.disk_busy && host.disk.waiting() > 0 {
            host.disk_busy = true;
            let life = host.life;
            self.plan(time, Happening::DiskDone { who, life });
        }
    }

    /// Performs what the node wants, until it wants nothing more for now.
    fn drain(&mut self, who: Who) {
        while let Some(output) = self.hosts[who.0].node.as_mut().and_then(Node::poll_output) {
            self.perform(who, output);
            if self.violation.is_some() {
                return;
            }
        }
        self.disk_works(who);
        self.plan_wake(who);
    }

    fn plan_wake(&mut self, who: Who) {
        let now = self.now;
        let host = &mut self.hosts[who.0];
        let Some(at) = host.node.as_ref().and_then(Node::next_timeout) else { return };
        if at > now {
            host.spins = 0;
        }
        if host.wake_at.is_none_or(|planned| at < planned) {
            host.wake_at = Some(at);
            let life = host.life;
            self.plan_at(at.max(now), Happening::Wake { who, life });
        }
    }

    fn perform(&mut self, who: Who, output: Output) {
        match output {
            Output::Tell(told) => self.tell(who, told),
            Output::Show => {}
            Output::Vault(job) => self.vault(who, job),
            Output::Disk(job) => self.hosts[who.0].disk.take(job),
            Output::Registry(output) => self.registry_output(who, output),
            Output::Link(output) => self.link_output(who, output),
            Output::End => self.ended(who),
        }
    }

    fn tell(&mut self, who: Who, mut told: Told) {
        let name = &self.hosts[who.0].name;
        self.journal.note(self.now, || format!("{name} is told {:?}", told.event));
        let wrong = self.model.told(who, &told.event, &self.hosts, &*self.registry.store);
        if let Err(wrong) = wrong {
            let name = self.hosts[who.0].name.clone();
            self.violated(|| format!("{name}: {wrong} ({:?})", told.event));
        }
        if matches!(told.event, Event::SignedIn { .. }) {
            self.hosts[who.0].pinned = Some(self.registry.root_key());
        }
        if let Event::Roster { people, rooms } = &mut told.event {
            // Names to complete: in a crowd they are many, and told with every newcomer.
            (*people, *rooms) = (Vec::new(), Vec::new());
        }
        self.hosts[who.0].told.push(told);
        let (from, to) = self.weather.writing;
        self.model.screens_stand_still |= to > WRITTEN_WITHIN;
        let (life, time) = (self.hosts[who.0].life, self.random.between(from, to));
        self.plan(time, Happening::Written { who, life });
        if self.weather.hasty_crashes > 0 && self.random.below(1000) < self.weather.hasty_crashes {
            let (life, soon) = (self.hosts[who.0].life, self.random.between(Duration::ZERO, SOON));
            self.plan(soon, Happening::Crash { who, life });
        }
    }

    /// The front-end has written out everything it was told so far.
    pub(super) fn writes(&mut self, who: Who, life: u64) {
        let host = &mut self.hosts[who.0];
        if host.life == life && host.told.len() > host.written {
            host.written = host.told.len();
            self.give(who, life, Input::Written { events: self.hosts[who.0].written as u64 });
        }
    }

    /// What a node has just told must be true even so.
    pub(super) fn crashes_hastily(&mut self, who: Who, life: u64) {
        if self.hosts[who.0].life == life && self.hosts[who.0].is_running() {
            self.crash(who);
            self.plan(SOON * 20, Happening::Start { who });
        }
    }

    fn vault(&mut self, who: Who, job: VaultJob) {
        let seed =
            if matches!(job, VaultJob::Succeed { .. }) { self.fresh_seed() } else { Secret::new([0; KEYS_BYTES]) };
        let host = &mut self.hosts[who.0];
        let life = host.life;
        let auth = |password: &str| Secret::new(AuthKey(ids::hash("password", &[password.as_bytes()])));
        let reply = match job {
            VaultJob::Open { .. } => {
                let next = host.next_keys.clone().map(Box::new);
                VaultReply::Opened { keys: Box::new(host.keys.clone()), confirmed: host.confirmed, next }
            }
            VaultJob::Succeed { .. } => {
                let keys = host.keys.succeeded_by(&seed).expect("few stories need more keys than there may be");
                host.next_keys = Some(keys.clone());
                VaultReply::Succeeded { keys: Box::new(keys) }
            }
            VaultJob::Derive { password, .. } => VaultReply::Derived { auth: auth(password.expose()) },
            VaultJob::Confirm { .. } => {
                host.confirmed = true;
                host.keys = host.next_keys.take().unwrap_or_else(|| host.keys.clone());
                VaultReply::Confirmed
            }
            VaultJob::Discard { .. } => {
                host.next_keys = None;
                VaultReply::Discarded
            }
            VaultJob::Reseal { old, new, .. } => {
                VaultReply::Resealed { old: auth(old.expose()), new: auth(new.expose()) }
            }
        };
        self.plan(Duration::from_millis(300), Happening::VaultDone { who, life, reply });
    }

    /// The program ended by itself: somebody starts it again.
    fn ended(&mut self, who: Who) {
        let host = &mut self.hosts[who.0];
        (host.node, host.identity) = (None, None);
        let (name, wanted) = (host.name.clone(), host.wanted);
        self.journal.note(self.now, || format!("{name} ends"));
        // The real disk finishes what it was given.
        let waiting = self.hosts[who.0].disk.waiting();
        if let Err(refused) = self.hosts[who.0].disk.crash(waiting) {
            self.violated(|| format!("the disk refused: {refused}"));
        }
        let farewell = self.hosts[who.0].told.iter().rev().find_map(|told| match told.event {
            Event::Bye { exit, .. } => Some(exit),
            _ => None,
        });
        self.model.life_ends(who, farewell, &self.hosts);
        self.drop_wires(who);
        self.drop_line(who);
        if wanted {
            self.plan(Duration::from_secs(3), Happening::Start { who });
        }
    }

    fn fresh_keys(&mut self) -> Keys {
        Keys::from_seed(&self.fresh_seed())
    }

    fn fresh_seed(&mut self) -> Secret<[u8; KEYS_BYTES]> {
        let [one, two, three] = [(); 3].map(|()| self.random.bytes());
        let mut seed = [0; KEYS_BYTES];
        seed[..32].copy_from_slice(&one);
        seed[32..64].copy_from_slice(&two);
        seed[64..].copy_from_slice(&three);
        Secret::new(seed)
    }
}

/// So long an acknowledgement waits for certain for what the front-end has been told.
const WRITTEN_WITHIN: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_millis(100);
/// A node may look at the same moment a few times; more is a busy loop.
const SPINS_MAX: u32 = 50;
