//! Attacks that go on until they are stopped, each from a process of its own, so that what it computes stays on another
//! core than what it attacks. The same program plays them: [`Attack::play`] is what it does when it is started for that.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use common::ids::AuthKey;
use common::message::registry::{Reply, Request, ToRegistry};
use common::names::UserName;
use common::thread::{Handle, spawn};
use common::wire::batch::Batch;
use common::wire::codec;

use super::{pause, source};
use crate::programs::{DEADLINE, Process, Transcript};
use crate::wire::{Person, RegistryLink, Room};

/// What is done to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Nothing: it computes as hard and talks to nobody. Cores share more than one would think, and what that costs is
    /// no registry's fault.
    Nothing,
    /// Sessions that ask for much and read none of it.
    SlowReaders,
    /// Sessions that send a byte a second.
    SlowWriters,
    /// Sessions that send one small request after the other, and come again when they are cut.
    TinyFrames,
    /// Owners who invite people who work, over and over.
    Invitations,
    /// Passwords for ever other names from ever other addresses, so that each of them has to be checked.
    Passwords,
}

/// A running attack; over when dropped.
pub struct Attacker {
    _process: Process,
}

/// One turn of one of the attackers: the registry, which of them it is, and how many turns it has had.
type Turn = fn(&str, usize, usize);

impl Attack {
    pub const ALL: [Self; 5] =
        [Self::SlowReaders, Self::SlowWriters, Self::TinyFrames, Self::Invitations, Self::Passwords];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SlowReaders => "slow-readers",
            Self::SlowWriters => "slow-writers",
            Self::TinyFrames => "tiny-frames",
            Self::Invitations => "invitations",
            Self::Passwords => "passwords",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Nothing]).find(|attack| attack.name() == name)
    }

    /// Makes the accounts that so many rounds of it need.
    pub fn prepare(self, registry: &str, rounds: usize) {
        let count = match self {
            Self::Nothing | Self::Passwords => 0,
            Self::SlowReaders => READERS,
            Self::SlowWriters => WRITERS,
            Self::TinyFrames => FLOODS,
            Self::Invitations => rounds * OWNERS,
        };
        (0..count).for_each(|number| drop(RegistryLink::sign_up(registry, &drone(number))));
    }

    /// Starts it on a core that others leave alone, and waits until it is under way.
    pub fn start(self, registry: &str, round: usize, core: usize) -> io::Result<Attacker> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([PLAY, self.name(), registry, &round.to_string(), &core.to_string()]);
        let process = Process::start(self.name(), command, &Transcript::default());
        match process.line(Instant::now() + DEADLINE) {
            Ok(line) if line == READY => Ok(Attacker { _process: process }),
            other => process.transcript.fail(&format!("waited for an attack to begin, got {other:?}")),
        }
    }

    /// Goes on for ever; `ready` is called when it has begun. A registry that defends itself is no reason to end.
    pub fn play(self, registry: &str, round: usize, ready: impl FnOnce()) -> io::Result<()> {
        let each = |count: usize, first: usize, turn: Turn| -> io::Result<Vec<Handle>> {
            let begin = |number: usize| {
                let registry = registry.to_owned();
                let body = move || {
                    for turns in 0.. {
                        turn(&registry, number, turns);
                    }
                };
                spawn(&format!("attacker {number}"), body)
            };
            (first..first + count).map(begin).collect()
        };
        let threads = match self {
            Self::Nothing => each(1, 0, compute)?,
            Self::SlowReaders => each(READERS, 0, read_nothing)?,
            Self::SlowWriters => vec![write_slowly(registry)?],
            Self::TinyFrames => each(FLOODS, 0, flood)?,
            Self::Invitations => each(OWNERS, round * OWNERS, invite)?,
            Self::Passwords => each(GUESSERS, round * GUESSERS, guess)?,
        };
        ready();
        drop(threads);
        Ok(())
    }
}

fn compute(_: &str, _: usize, _: usize) {
    let _ = std::hint::black_box(common::ids::hash("nothing", &[&[7; 4096]]));
}

/// One session that takes none of what it asks for, until the registry must have had enough of it.
fn read_nothing(registry: &str, number: usize, _: usize) {
    let Some(mut link) = signed_in(registry, number) else { return };
    let (mut batch, mut frame) = (Batch::default(), Vec::new());
    for id in 0..LOOKED_UP {
        let request = Request::Lookup { user: drone(0).name };
        let encoded = codec::encode(&ToRegistry { id, request });
        if !batch.push_encoded(&encoded) {
            batch.take_padded(&mut frame);
            link.sealed.send_plaintext(&frame);
        }
    }
    batch.take_padded(&mut frame);
    link.sealed.send_plaintext(&frame);
    pause(ENOUGH);
}

/// All of them from one thread: more is not needed for that.
fn write_slowly(registry: &str) -> io::Result<Handle> {
    let mut links: Vec<RegistryLink> = (0..WRITERS).filter_map(|number| signed_in(registry, number)).collect();
    spawn("attacker", move || {
        // The length of a frame that never becomes whole.
        for byte in [0x10, 0x00].into_iter().chain(std::iter::repeat(0x55)) {
            links.iter_mut().for_each(|link| link.sealed.send_bytes(&[byte]));
            pause(Duration::from_secs(1));
        }
    })
}

/// One session that asks as fast as it can, each time in a frame of its own, until it is cut.
fn flood(registry: &str, number: usize, _: usize) {
    let Some(mut link) = signed_in(registry, number) else { return };
    // Somebody who does not read would be a slow reader.
    let mut answers = link.sealed.stream.try_clone().expect("a socket can be shared");
    let reader = spawn("reader", move || drop(io::copy(&mut answers, &mut io::sink()))).expect("a thread");
    let _ = (0..).find(|id| !link.sealed.try_send(&ToRegistry { id: *id, request: Request::Ping }));
    let _ = link.sealed.stream.shutdown(std::net::Shutdown::Both);
    drop(reader);
}

/// One owner who invites until told to wait, and asks on in spite of that until cut.
fn invite(registry: &str, number: usize, turns: usize) {
    let owner = drone(number);
    let Some(mut link) = signed_in(registry, number) else { return };
    let (room, _) = Room::create_private(&mut link, &owner, &format!("#trap-{number}-{turns}"));
    let identity = |name: &str| link.lookup(name).credentials.statement.claim().expect("a good one").identity;
    let victims = INVITED.map(identity);
    for invitee in victims.into_iter().cycle() {
        let invite = room.invitation(&owner, invitee);
        if link.try_ask(Request::Invite { invite }).is_err() {
            return;
        }
    }
}

/// Guesses from where nobody was before, each for another name.
fn guess(registry: &str, number: usize, turns: usize) {
    let (thief, from) = (drone(number), source((number + turns * GUESSERS) % SOURCES_OF_GUESSERS));
    let Ok(mut link) = RegistryLink::try_connect_from(from, registry, &thief) else { return };
    for guess in 0..GUESSES_PER_CONNECTION {
        let name = UserName::parse(&format!("n-{number}-{turns}-{guess}")).expect("a good name");
        let statement = thief.keys.statement(link.realm(), name);
        let refused = link.try_ask(Request::SignIn { auth: AuthKey([0x77; 32]), statement });
        if !matches!(refused, Ok(Err(_))) {
            return;
        }
    }
}

fn signed_in(registry: &str, number: usize) -> Option<RegistryLink> {
    let person = drone(number);
    let from = source(SOURCES_OF_DRONES + number);
    let mut link = RegistryLink::try_connect_from(from, registry, &person).ok()?;
    matches!(link.try_ask(Request::Resume { user: person.name }), Ok(Ok(Reply::SignedIn { .. }))).then_some(link)
}

fn drone(number: usize) -> Person {
    Person::new(&format!("drone-{number}"))
}

/// The first argument of a program that plays an attack, and the line it writes when that is under way.
pub const PLAY: &str = "play";
pub const READY: &str = "ready";

const READERS: usize = 30;
/// Some megabytes of answers: more than sockets hold.
const LOOKED_UP: u32 = 2900;
/// A registry waits two seconds for somebody to read.
const ENOUGH: Duration = Duration::from_millis(2500);
const WRITERS: usize = 200;
const FLOODS: usize = 8;
const OWNERS: usize = 8;
/// One with the real program, and one who works.
const INVITED: [&str; 2] = ["one-0", "worker-0"];
/// More than can be checked at once, wait, and are sent away.
const GUESSERS: usize = 80;
/// What a session may ask before somebody signs in on it is more than that.
const GUESSES_PER_CONNECTION: usize = 10;
/// Away from the sources of others.
const SOURCES_OF_GUESSERS: usize = 30_000;
const SOURCES_OF_DRONES: usize = 30_000;
