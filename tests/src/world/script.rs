//! What people do in a random world, and what breaks meanwhile. Everything is drawn when its time comes, from what
//! makes sense then; at last the weather clears and everything has to fall into place.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::message::registry::Code;
use common::names::RoomName;
use peer::api::{Command, History, MessageKind, NewRoom, Reference, Target, To};

use super::faults::Place;
use super::host::Who;
use super::journal::Journal;
use super::{Happening, Weather, World};

/// How much happens in a world.
#[derive(Debug, Clone, Copy)]
struct Scale {
    people: usize,
    deeds: usize,
    /// The deeds are spread over this time.
    time: Duration,
}

/// One thing that somebody does, or that breaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    SayDirectly,
    SayInRoom,
    Change,
    Paste,
    Create,
    Join,
    Part,
    Invite,
    Topic,
    Kick,
    Ban,
    Unban,
    Own,
    Close,
    Cut,
    CutLine,
    Crash,
    Quit,
    RegistryDies,
    WeatherTurns,
    Split,
    Heal,
    ClockJumps,
    DiskFills,
    DiskSlows,
    RegistryBackedUp,
    RegistryPutBack,
    LogCopied,
    LogPutBack,
    Lie,
    Vanish,
}

/// What can go wrong in a world; each world has some of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Links,
    Programs,
    Registry,
    Weather,
    Split,
    Clocks,
    Disks,
    Backup,
    OldCopy,
    Liar,
    Vanishing,
}

/// Plays one world to its end: what went wrong, if anything did, a node that panics included.
pub fn outcome(seed: u64, journal: Journal) -> Option<String> {
    let played = catch_unwind(AssertUnwindSafe(|| play(seed, journal)));
    played.unwrap_or_else(|_| Some("a node panicked".to_owned()))
}

fn play(seed: u64, journal: Journal) -> Option<String> {
    let mut world = World::new(seed, journal);
    let scale = Scale {
        people: 2 + world.random.below(4),
        deeds: 20 + world.random.below(60),
        time: Duration::from_secs(20 + 10 * u64::try_from(world.random.below(20)).expect("below 20")),
    };
    world.populate(scale);
    world.run_for(scale.time);
    world.clear_up();
    world.run_for(CALM);
    world.settled();
    world.violation().map(str::to_owned)
}

impl Deed {
    fn needs_somebody(self) -> bool {
        !matches!(
            self,
            Self::RegistryDies
                | Self::WeatherTurns
                | Self::Split
                | Self::Heal
                | Self::RegistryBackedUp
                | Self::RegistryPutBack
        )
    }
}

impl World {
    /// People, and a calendar of what they will do.
    fn populate(&mut self, scale: Scale) {
        if self.random.percent(70) {
            self.weather = Weather::FOUL;
        }
        for name in &NAMES[..scale.people] {
            let who = self.person(name);
            let after = self.random.between(Duration::ZERO, Duration::from_secs(5));
            self.plan(after, Happening::Start { who });
        }
        let faults = self.faults(scale.people);
        let table: Vec<_> =
            DEEDS.iter().filter(|(_, _, fault)| fault.is_none_or(|fault| faults.contains(&fault))).collect();
        let total = table.iter().map(|(_, weight, _)| weight).sum();
        let mut deeds = VecDeque::new();
        for _ in 0..scale.deeds {
            let mut drawn = self.random.below(total);
            let deed = table.iter().find_map(|(deed, weight, _)| {
                let hit = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                hit.then_some(*deed)
            });
            deeds.extend(deed);
            let at = self.random.between(Duration::from_secs(1), scale.time);
            self.plan(at, Happening::Deed);
        }
        self.deeds = deeds;
    }

    /// Draws what can go wrong here. What comes together less often comes together more thoroughly.
    fn faults(&mut self, people: usize) -> Vec<Fault> {
        if self.random.percent(15) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for (fault, percent) in FAULTS {
            let possible = match fault {
                // Of two chains of one person, the clock tells which is newer.
                Fault::OldCopy => !faults.contains(&Fault::Clocks),
                Fault::Liar | Fault::Vanishing => people > 2,
                _ => true,
            };
            if self.random.percent(percent) && possible {
                faults.push(fault);
            }
        }
        faults
    }

    pub(super) fn next_deed(&mut self) {
        let Some(deed) = self.deeds.pop_front() else { return };
        let who = Who(self.random.below(self.hosts.len()));
        if !self.hosts[who.0].is_running() && deed.needs_somebody() {
            return self.plan(Duration::ZERO, Happening::Start { who });
        }
        match deed {
            Deed::SayDirectly => self.says_directly(who, 1),
            Deed::Paste => {
                let count = 2 + self.random.below(20);
                match self.random.percent(50) {
                    true => self.says_directly(who, count),
                    false => self.says_in_room(who, count),
                }
            }
            Deed::SayInRoom => self.says_in_room(who, 1),
            Deed::Change => self.changes(who),
            Deed::Create => {
                let (name, private) = (self.some_room(), self.random.percent(50));
                let history = if private { History::Joined } else { History::All };
                let topic = private.then(|| "plans".to_owned());
                self.command(who, Command::Create(NewRoom { name, private, history, topic }));
            }
            Deed::Join => {
                let rooms = self.model.other_rooms(who);
                if let Some(room) = self.random.pick(&rooms).cloned() {
                    self.command(who, Command::Join { room });
                }
            }
            Deed::Part => {
                let rooms = self.model.rooms_of(who);
                if let Some(room) = self.random.pick(&rooms).cloned() {
                    self.command(who, Command::Part { room: Some(room) });
                }
            }
            Deed::Invite => self.invites(who),
            Deed::Topic => {
                let rooms = self.model.rooms_of(who);
                if let Some(room) = self.random.pick(&rooms).cloned() {
                    self.command(who, Command::Topic { room: Some(room), text: Some("news".to_owned()) });
                }
            }
            Deed::Kick | Deed::Ban | Deed::Unban | Deed::Own | Deed::Close => self.decides(deed, who),
            _ => self.breaks(deed, who),
        }
    }

    fn breaks(&mut self, deed: Deed, who: Who) {
        let pause = self.random.between(Duration::ZERO, Duration::from_secs(20));
        match deed {
            Deed::Cut => {
                let other = Who(self.random.below(self.hosts.len()));
                self.cut(who, other);
            }
            Deed::CutLine => self.cut_line(who),
            Deed::Crash => {
                self.crash(who);
                self.plan(pause, Happening::Start { who });
            }
            Deed::Quit => {
                self.hosts[who.0].wanted = false;
                let patience_ms = if self.random.percent(50) { 0 } else { 5000 };
                self.command(who, Command::Quit { patience_ms });
                self.plan(pause, Happening::Start { who });
            }
            Deed::RegistryDies if self.registry_runs() => self.restart_registry(pause),
            Deed::WeatherTurns => {
                self.weather = if self.random.percent(50) { Weather::FAIR } else { Weather::FOUL };
            }
            _ => self.breaks_badly(deed, who),
        }
    }

    fn breaks_badly(&mut self, deed: Deed, who: Who) {
        let time = self.random.between(Duration::from_secs(1), Duration::from_secs(60));
        match deed {
            Deed::Split => {
                let people = (0..self.hosts.len()).map(|who| Place::Person(Who(who)));
                let places: Vec<_> = people.chain([Place::Registry]).collect();
                let far = places.into_iter().filter(|_| self.random.percent(40)).collect();
                self.split(far);
            }
            Deed::Heal => self.heal(),
            Deed::ClockJumps => {
                let (side, far) = (self.random.percent(50), self.random.percent(30));
                let most = if far { CLOCK_JUMP_MAX } else { CLOCK_SLIP_MAX };
                let by = i64::try_from(self.random.between(Duration::ZERO, most).as_millis()).expect("hours");
                self.set_clock(who, if side { by } else { -by });
            }
            Deed::DiskFills => self.fill_disk(who, time),
            Deed::DiskSlows => self.slow_disk(who, time),
            Deed::RegistryBackedUp => self.back_up_registry(),
            Deed::RegistryPutBack if self.registry_runs() => self.restore_registry(time),
            Deed::LogCopied => self.hosts[who.0].old_log = self.copy_log(who),
            Deed::LogPutBack => self.puts_log_back(who, time),
            // One at most: whom it lies to are honest people.
            Deed::Lie if self.hosts.iter().all(|host| host.lies.is_none()) => self.lies(who),
            Deed::Vanish if self.hosts.iter().all(|host| !host.is_gone) => self.vanish(who),
            _ => {}
        }
    }

    fn puts_log_back(&mut self, who: Who, pause: Duration) {
        let Some(copy) = self.hosts[who.0].old_log.take() else { return };
        self.model.expect(Code::Storage);
        self.put_log_back(who, Some(copy));
        self.plan(pause, Happening::Start { who });
    }

    fn says_directly(&mut self, who: Who, count: usize) {
        let to = Who(self.random.below(self.hosts.len()));
        let name = self.hosts[to.0].name.clone();
        if to != who {
            self.says_all(who, &Target::Person(name), count);
        }
    }

    fn says_in_room(&mut self, who: Who, count: usize) {
        let rooms = self.model.rooms_of(who);
        let Some(room) = self.random.pick(&rooms).cloned() else { return };
        self.says_all(who, &Target::Room(room), count);
    }

    /// Sometimes all of it is there before the node looks up, as when lines are pasted.
    fn says_all(&mut self, who: Who, to: &Target, count: usize) {
        if count == 1 || self.random.percent(30) {
            return (0..count).for_each(|_| self.says(who, to.clone()));
        }
        let (name, first) = (self.hosts[who.0].name.clone(), self.model.count());
        let line = |number: usize| {
            let to = To::Named(to.clone());
            Command::Say { to, text: format!("{name}-{number}"), kind: MessageKind::Text }
        };
        self.paste(who, (first..first + count).map(line).collect());
    }

    /// Somebody says something never said before.
    pub fn says(&mut self, who: Who, to: Target) {
        let text = format!("{}-{}", self.hosts[who.0].name, self.model.count());
        self.says_this(who, to, &text);
    }

    /// The same in these words.
    pub fn says_this(&mut self, who: Who, to: Target, text: &str) {
        let text = text.to_owned();
        self.command(who, Command::Say { to: To::Named(to), text, kind: MessageKind::Text });
    }

    /// Somebody edits or deletes their last message somewhere, or reacts to whatever was said last there.
    fn changes(&mut self, who: Who) {
        let mut places: Vec<Target> = self.model.rooms_of(who).into_iter().map(Target::Room).collect();
        let others = self.hosts.iter().enumerate().filter(|(number, _)| *number != who.0);
        places.extend(others.map(|(_, host)| Target::Person(host.name.clone())));
        let Some(target) = self.random.pick(&places).cloned() else { return };
        self.command(who, Command::Query { target, text: None });
        let mine = Reference::Mine { back: 0 };
        let command = match self.random.below(5) {
            0 | 1 => Command::Edit { reference: mine, text: format!("{}, or rather", self.hosts[who.0].name) },
            2 => Command::Delete { reference: mine },
            _ => Command::React { reference: Reference::Newest { back: 0 }, word: Some("+1".to_owned()) },
        };
        self.command(who, command);
    }

    fn invites(&mut self, who: Who) {
        let rooms = self.model.owned_private_rooms(who);
        let invitee = Who(self.random.below(self.hosts.len()));
        let Some(room) = self.random.pick(&rooms).cloned().filter(|_| invitee != who) else { return };
        self.invite(who, invitee, room);
    }

    /// The owner of a private room invites somebody.
    pub fn invite(&mut self, who: Who, invitee: Who, room: RoomName) {
        self.model.invites(&room, invitee);
        let user = self.hosts[invitee.0].name.clone();
        self.command(who, Command::Invite { user, room: Some(room) });
    }

    fn some_room(&mut self) -> RoomName {
        let name = ROOMS[self.random.below(ROOMS.len())];
        RoomName::parse(name).expect("the table's names are good")
    }

    /// The weather clears; whoever is not there comes back.
    fn clear_up(&mut self) {
        self.journal.note(self.now, || "the weather CLEARS".to_owned());
        self.weather = Weather::FAIR;
        self.deeds.clear();
        self.heal();
        self.lies_cease();
        for host in &mut self.hosts {
            (host.full_until, host.slow_until) = (self.now, self.now);
        }
        self.start_registry();
        for who in (0..self.hosts.len()).map(Who) {
            self.hosts[who.0].wanted = true;
            self.start(who);
        }
    }

    /// Whether everything has come to where it should be.
    pub fn settled(&mut self) {
        if self.violation.is_none()
            && let Err(wrong) = self.model.at_the_end(&self.hosts, &*self.registry.store)
        {
            self.violated(|| wrong);
        }
    }
}

/// What is done how often, and the fault that it belongs to.
const DEEDS: [(Deed, usize, Option<Fault>); 31] = [
    (Deed::SayDirectly, 20, None),
    (Deed::SayInRoom, 25, None),
    (Deed::Change, 10, None),
    (Deed::Paste, 6, None),
    (Deed::Create, 6, None),
    (Deed::Join, 14, None),
    (Deed::Part, 4, None),
    (Deed::Invite, 8, None),
    (Deed::Topic, 2, None),
    (Deed::Kick, 5, None),
    (Deed::Ban, 3, None),
    (Deed::Unban, 3, None),
    (Deed::Own, 2, None),
    (Deed::Close, 1, None),
    (Deed::Cut, 10, Some(Fault::Links)),
    (Deed::CutLine, 4, Some(Fault::Links)),
    (Deed::Crash, 6, Some(Fault::Programs)),
    (Deed::Quit, 3, Some(Fault::Programs)),
    (Deed::RegistryDies, 3, Some(Fault::Registry)),
    (Deed::WeatherTurns, 2, Some(Fault::Weather)),
    (Deed::Split, 5, Some(Fault::Split)),
    (Deed::Heal, 5, Some(Fault::Split)),
    (Deed::ClockJumps, 4, Some(Fault::Clocks)),
    (Deed::DiskFills, 3, Some(Fault::Disks)),
    (Deed::DiskSlows, 3, Some(Fault::Disks)),
    (Deed::RegistryBackedUp, 5, Some(Fault::Backup)),
    (Deed::RegistryPutBack, 5, Some(Fault::Backup)),
    (Deed::LogCopied, 20, Some(Fault::OldCopy)),
    (Deed::LogPutBack, 15, Some(Fault::OldCopy)),
    (Deed::Lie, 10, Some(Fault::Liar)),
    (Deed::Vanish, 1, Some(Fault::Vanishing)),
];
/// How many worlds of 100 have it.
const FAULTS: [(Fault, usize); 11] = [
    (Fault::Links, 70),
    (Fault::Programs, 70),
    (Fault::Registry, 60),
    (Fault::Weather, 50),
    (Fault::Split, 40),
    (Fault::Clocks, 25),
    (Fault::Disks, 35),
    (Fault::Backup, 20),
    (Fault::OldCopy, 25),
    (Fault::Liar, 20),
    (Fault::Vanishing, 20),
];
/// Nothing that certificates could not bear.
const CLOCK_JUMP_MAX: Duration = Duration::from_secs(20 * 3600);
const CLOCK_SLIP_MAX: Duration = Duration::from_secs(150);
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const ROOMS: [&str; 3] = ["#dev", "#lunch", "#secret"];
/// Long enough for every pause that a peer makes between two attempts.
const CALM: Duration = Duration::from_secs(180);
