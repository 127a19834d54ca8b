//! Many real nodes and a real registry service on one virtual clock, under one seed: sockets, disks and passwords are
//! simulated, and break as the weather says. A test drives it; it never reads a clock or draws a number of its own.

pub mod crowd;
mod disk;
mod ending;
mod faults;
mod host;
mod inquiries;
mod journal;
mod liar;
mod lines;
mod lives;
mod model;
mod moderation;
mod random;
mod script;
pub mod stories;
mod traffic;
mod wires;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use common::message::registry::ToRegistry;
use common::names::UserName;
use common::secure::certificate::Person;
use common::time::{Monotonic, UnixMillis};
use peer::api::{Event, Told};
use peer::ports::{DialId, VaultReply};

pub use faults::Place;
pub use host::{Host, Who};
pub use journal::Journal;
pub use random::Random;
pub use script::outcome;
pub use traffic::Traffic;

pub(crate) use lines::service;

use lines::RegistryHost;
use model::Model;
use script::Deed;
use wires::{Side, Wire, WireId};

/// Everything there is.
#[derive(Debug)]
pub struct World {
    now: Monotonic,
    pub random: Random,
    pub weather: Weather,
    calendar: BinaryHeap<Reverse<Entry>>,
    happenings: BTreeMap<u64, Happening>,
    planned: u64,
    hosts: Vec<Host>,
    wires: BTreeMap<WireId, Wire>,
    registry: RegistryHost,
    model: Model,
    deeds: VecDeque<Deed>,
    /// One side of a split network; empty while it is whole.
    far: BTreeSet<Place>,
    journal: Journal,
    traffic: Option<Traffic>,
    /// Receipts come nowhere.
    pub loses_receipts: bool,
    /// What went wrong first.
    violation: Option<String>,
}

/// How well the surroundings work.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub latency: (Duration, Duration),
    pub disk: (Duration, Duration),
    /// How long a front-end takes to write out what it is told.
    pub writing: (Duration, Duration),
    /// How long it takes to notice that a link is dead.
    pub notice: (Duration, Duration),
    /// Dials that fail, of 100.
    pub dial_failures: usize,
    /// Disk jobs that fail, of 1000.
    pub disk_failures: usize,
    /// Programs that crash right after they told something, of 1000.
    pub hasty_crashes: usize,
    /// Whoever hangs up on the registry resets the line, and what is under way to it is lost. Otherwise it arrives.
    pub resets: bool,
}

// When, then in the order of planning.
type Entry = (Monotonic, u64);

/// What happens at some time. What is meant for a life of a host that is over does not happen.
#[derive(Debug)]
enum Happening {
    Wake { who: Who, life: u64 },
    DiskDone { who: Who, life: u64 },
    VaultDone { who: Who, life: u64, reply: VaultReply },
    Start { who: Who },
    Crash { who: Who, life: u64 },
    Written { who: Who, life: u64 },
    Dialed { who: Who, life: u64, dial: DialId, expected: Box<Person>, target: Option<Who> },
    DialFailed { who: Who, life: u64, dial: DialId },
    WireUp { wire: WireId, side: Side, person: Box<Person> },
    WireArrives { wire: WireId, side: Side },
    WireDown { wire: WireId, side: Side, clean: bool },
    LineTried { who: Who, life: u64, attempt: u64 },
    Probed { who: Who, life: u64 },
    LineAsked { session: u64, message: Box<ToRegistry> },
    LineAnswered { session: u64, messages: Vec<common::message::registry::FromRegistry> },
    LineDown { session: u64 },
    SessionLost { session: u64 },
    Presence { session: u64, user: UserName },
    RegistryStarts,
    Deed,
}

impl World {
    pub fn new(seed: u64, journal: Journal) -> Self {
        let mut random = Random::new(seed);
        let registry = RegistryHost::new(&mut random);
        Self {
            now: Monotonic(0),
            random,
            weather: Weather::FAIR,
            calendar: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            planned: 0,
            hosts: Vec::new(),
            wires: BTreeMap::new(),
            registry,
            model: Model::default(),
            deeds: VecDeque::new(),
            far: BTreeSet::new(),
            journal,
            traffic: None,
            loses_receipts: false,
            violation: None,
        }
    }

    /// Runs until `done`, and says whether that came to be within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now.plus(limit);
        loop {
            if self.violation.is_some() || done(self) {
                return self.violation.is_none();
            }
            match self.calendar.peek() {
                Some(Reverse((at, _))) if *at <= end => self.step(),
                _ => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    pub fn now(&self) -> Monotonic {
        self.now
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// What went wrong, if anything did.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub fn host(&self, who: Who) -> &Host {
        &self.hosts[who.0]
    }

    /// What a person was told in the present life of the program.
    pub fn told(&self, who: Who) -> impl Iterator<Item = &Event> {
        self.hosts[who.0].told.iter().map(|Told { event, .. }| event)
    }

    /// The texts a person was shown in this life, from others, oldest first.
    pub fn shown(&self, who: Who) -> Vec<&str> {
        self.told(who).filter_map(heard).collect()
    }

    fn step(&mut self) {
        let Some(Reverse((at, number))) = self.calendar.pop() else { return };
        self.now = self.now.max(at);
        self.model.now = self.now;
        let happening = self.happenings.remove(&number).expect("every entry of the calendar has its happening");
        self.happen(happening);
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.plan_at(self.now.plus(after), happening);
    }

    fn plan_at(&mut self, at: Monotonic, happening: Happening) {
        self.planned += 1;
        self.calendar.push(Reverse((at, self.planned)));
        self.happenings.insert(self.planned, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { who, life } => self.wake(who, life),
            Happening::DiskDone { who, life } => self.disk_done(who, life),
            Happening::VaultDone { who, life, reply } => self.give(who, life, peer::ports::Input::Vault(reply)),
            Happening::Start { who } => self.start(who),
            Happening::Crash { who, life } => self.crashes_hastily(who, life),
            Happening::Written { who, life } => self.writes(who, life),
            Happening::Dialed { who, life, dial, expected, target } => self.dialed(who, life, dial, &expected, target),
            Happening::DialFailed { who, life, dial } => self.dial_failed(who, life, dial),
            Happening::WireUp { wire, side, person } => self.wire_up(wire, side, *person),
            Happening::WireArrives { wire, side } => self.wire_arrives(wire, side),
            Happening::WireDown { wire, side, clean } => self.wire_down(wire, side, clean),
            Happening::LineTried { who, life, attempt } => self.line_tried(who, life, attempt),
            Happening::Probed { who, life } => self.probed(who, life),
            Happening::LineAsked { session, message } => self.line_asked(session, *message),
            Happening::LineAnswered { session, messages } => self.line_answered(session, messages),
            Happening::LineDown { session } => self.line_down(session),
            Happening::SessionLost { session } => self.session_lost(session),
            Happening::Presence { session, user } => self.presence(session, user),
            Happening::RegistryStarts => self.start_registry(),
            Happening::Deed => self.next_deed(),
        }
    }

    /// The first thing that is not as it should be counts; what follows from it does not.
    fn violated(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.journal.note(self.now, || format!("VIOLATION: {what}"));
            self.violation = Some(what);
        }
    }

    fn latency(&mut self) -> Duration {
        let (from, to) = self.weather.latency;
        self.random.between(from, to)
    }
}

fn heard(event: &Event) -> Option<&str> {
    match event {
        Event::Message(message) if !message.own => Some(message.text.as_str()),
        _ => None,
    }
}

impl Weather {
    /// Everything works, as it mostly does.
    pub const FAIR: Self = Self {
        latency: (Duration::from_millis(1), Duration::from_millis(20)),
        disk: (Duration::from_millis(1), Duration::from_millis(15)),
        writing: (Duration::ZERO, Duration::from_millis(10)),
        notice: (Duration::from_millis(1), Duration::from_secs(2)),
        dial_failures: 0,
        disk_failures: 0,
        hasty_crashes: 0,
        resets: false,
    };

    /// A bad day on a bad network.
    pub const FOUL: Self = Self {
        latency: (Duration::from_millis(1), Duration::from_millis(400)),
        disk: (Duration::from_millis(1), Duration::from_millis(300)),
        // Beyond a quarter of a second no acknowledgement would wait for it.
        writing: (Duration::ZERO, Duration::from_millis(200)),
        notice: (Duration::from_millis(1), Duration::from_secs(60)),
        dial_failures: 25,
        disk_failures: 5,
        hasty_crashes: 5,
        resets: false,
    };
}

/// Where every wall clock starts.
const EPOCH: UnixMillis = UnixMillis(1_800_000_000_000);
