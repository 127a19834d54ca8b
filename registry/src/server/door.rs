//! Who may come in: how many in all, how many of one source, how many that have not signed in. Refusing is one map
//! look-up on the acceptor, before anything is spawned; those inside do not notice. Where strangers fill a place that is
//! for all, the oldest one of the source with the most makes room, so that no crowd keeps a single newcomer out. Who is let
//! in gets a rank for the turns at the door: sources that people have signed in from come before those nobody knows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Shutdown, TcpStream};
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
    /// Memory past which nobody new comes in; 0 for no limit.
    pub memory_mib: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Door {
    limits: DoorLimits,
    // Guards the numbers below; sockets are cut after it is let go.
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    sessions: u32,
    strangers: u32,
    // Put out, and not gone yet.
    leaving: u32,
    tickets: u64,
    sources: HashMap<Source, Crowd>,
    // Where people have signed in from: the younger half, and the older one, which is forgotten when that one is full.
    known: HashSet<Source>,
    long_known: HashSet<Source>,
}

/// Who goes first where strangers take turns: the lesser one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Nobody has signed in from its source, as far as is remembered.
    is_unknown: bool,
    /// Strangers of the same source when it came: the tenth of one comes after the first ones of all others.
    before: u32,
}

/// Those of one source.
#[derive(Debug, Default)]
struct Crowd {
    sessions: u32,
    // By ticket, so the oldest comes first.
    strangers: BTreeMap<u64, Arc<TcpStream>>,
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    door: Arc<Door>,
    source: Source,
    ticket: u64,
    standing: Standing,
    rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stranger,
    Guest,
}

/// Let in, and whether somebody had to make room.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) admission: Admission,
    pub(super) has_evicted: bool,
}

/// Somebody else has this place by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evicted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    Full,
    Source,
}

/// Who is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sessions: u32,
    pub(super) strangers: u32,
}

impl Door {
    pub(super) fn new(limits: DoorLimits) -> Self {
        Self { limits, inside: Mutex::default() }
    }

    /// Lets a new connection in, as a stranger.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, socket: &Arc<TcpStream>) -> Result<Admitted, Closed> {
        let source = Source::of(address);
        let mut inside = self.inside();
        let (own_sessions, own_strangers) =
            inside.sources.get(&source).map_or((0, 0), |own| (own.sessions, own.strangers.len()));
        let is_source_full = own_sessions >= self.limits.sessions_per_source
            || own_strangers >= self.limits.unauthenticated_per_source as usize;
        if is_source_full {
            return Err(Closed::Source);
        }
        let is_full = inside.sessions >= self.limits.sessions + inside.leaving;
        let evicted = if is_full || inside.strangers >= self.limits.unauthenticated {
            if inside.leaving >= LEAVING_MAX {
                return Err(Closed::Full);
            }
            Some(inside.evict().ok_or(Closed::Full)?)
        } else {
            None
        };
        let before = u32::try_from(own_strangers).unwrap_or(u32::MAX);
        let rank = Rank { is_unknown: !inside.knows(source), before };
        let ticket = inside.enter(source, socket);
        drop(inside);
        let has_evicted = evicted.is_some();
        if let Some(socket) = evicted {
            // It may be gone already, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
        let admission = Admission { door: Arc::clone(self), source, ticket, standing: Standing::Stranger, rank };
        Ok(Admitted { admission, has_evicted })
    }

    pub(super) fn numbers(&self) -> Numbers {
        let inside = self.inside();
        Numbers { sessions: inside.sessions, strangers: inside.strangers }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    pub(super) fn is_stranger(&self) -> bool {
        self.standing == Standing::Stranger
    }

    pub(super) fn rank(&self) -> Rank {
        self.rank
    }

    /// Somebody signed in: no stranger any more, unless the place was given away meanwhile.
    pub(super) fn welcome(&mut self) -> Result<(), Evicted> {
        if self.standing == Standing::Guest {
            return Ok(());
        }
        let mut inside = self.door.inside();
        if !inside.take_stranger(self.source, self.ticket) {
            return Err(Evicted);
        }
        inside.remember(self.source);
        self.standing = Standing::Guest;
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        if self.standing == Standing::Stranger && !inside.take_stranger(self.source, self.ticket) {
            inside.leaving -= 1;
        }
        inside.leave(self.source);
    }
}

impl Rank {
    #[cfg(test)]
    pub(super) fn of(is_known: bool, before: u32) -> Self {
        Self { is_unknown: !is_known, before }
    }

    pub(super) fn is_known(self) -> bool {
        !self.is_unknown
    }
}

impl Inside {
    fn knows(&self, source: Source) -> bool {
        self.known.contains(&source) || self.long_known.contains(&source)
    }

    fn remember(&mut self, source: Source) {
        if self.known.len() >= KNOWN_MAX {
            self.long_known = std::mem::take(&mut self.known);
        }
        self.known.insert(source);
    }

    fn enter(&mut self, source: Source, socket: &Arc<TcpStream>) -> u64 {
        self.tickets += 1;
        self.sessions += 1;
        self.strangers += 1;
        let own = self.sources.entry(source).or_default();
        own.sessions += 1;
        own.strangers.insert(self.tickets, Arc::clone(socket));
        self.tickets
    }

    fn leave(&mut self, source: Source) {
        self.sessions -= 1;
        let Some(own) = self.sources.get_mut(&source) else { return };
        own.sessions -= 1;
        if own.sessions == 0 {
            self.sources.remove(&source);
        }
    }

    /// Whether there still was a stranger with this ticket.
    fn take_stranger(&mut self, source: Source, ticket: u64) -> bool {
        let taken = self.sources.get_mut(&source).and_then(|own| own.strangers.remove(&ticket)).is_some();
        self.strangers -= u32::from(taken);
        taken
    }

    /// The oldest stranger of the source that has the most of them. Looks at every source, which happens only while
    /// strangers fill the house.
    fn evict(&mut self) -> Option<Arc<TcpStream>> {
        let oldest = |own: &Crowd| own.strangers.first_key_value().map(|(ticket, _)| *ticket);
        let rank = |own: &Crowd| (own.strangers.len(), std::cmp::Reverse(oldest(own)));
        let crowds = self.sources.values_mut().filter(|own| !own.strangers.is_empty());
        let (_, socket) = crowds.max_by_key(|own| rank(own))?.strangers.pop_first()?;
        self.strangers -= 1;
        self.leaving += 1;
        Some(socket)
    }
}

/// Put out and still ending: each holds a thread and a descriptor for a moment, out of those kept in reserve.
const LEAVING_MAX: u32 = 32;
/// Sources that are remembered at least; at most twice as many.
const KNOWN_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn door() -> Arc<Door> {
        let limits = DoorLimits {
            sessions: 6,
            sessions_per_source: 4,
            unauthenticated: 4,
            unauthenticated_per_source: 3,
            memory_mib: 0,
        };
        Arc::new(Door::new(limits))
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Both ends of a connection.
    fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(listener.accept().unwrap().0), far)
    }

    fn admit(door: &Arc<Door>, last: u8) -> Result<Admission, Closed> {
        door.admit(from(last), &pair().0).map(|admitted| admitted.admission)
    }

    #[test]
    fn who_comes_from_where_somebody_signed_in_goes_before_all_others() {
        let door = door();
        let [first, second] = [admit(&door, 1).unwrap(), admit(&door, 1).unwrap()];
        assert_eq!([first.rank(), second.rank()], [Rank::of(false, 0), Rank::of(false, 1)]);
        assert!(first.rank() < second.rank());
        let mut guest = admit(&door, 2).unwrap();
        assert_eq!(guest.rank(), Rank::of(false, 0));
        guest.welcome().unwrap();
        drop(guest);
        let again = admit(&door, 2).unwrap();
        assert_eq!(again.rank(), Rank::of(true, 0), "also when all of them have left");
        assert!(again.rank() < first.rank());
    }

    #[test]
    fn so_many_sources_are_remembered_and_not_many_more() {
        let mut inside = Inside::default();
        let source = |number: usize| {
            let number = u32::try_from(number).unwrap();
            Source::of(IpAddr::V4(std::net::Ipv4Addr::from(number)))
        };
        (0..4 * KNOWN_MAX).for_each(|number| inside.remember(source(number)));
        assert!((3 * KNOWN_MAX..4 * KNOWN_MAX).all(|number| inside.knows(source(number))));
        assert!(!inside.knows(source(0)));
        assert!(inside.known.len() + inside.long_known.len() <= 2 * KNOWN_MAX);
    }

    #[test]
    fn strangers_of_one_source_do_not_keep_others_out() {
        let door = door();
        let (socket, mut far) = pair();
        let mut first = door.admit(from(1), &socket).unwrap().admission;
        let mut others = [admit(&door, 1).unwrap(), admit(&door, 1).unwrap()];
        assert_eq!(admit(&door, 1).unwrap_err(), Closed::Source);
        let single = admit(&door, 2).unwrap();
        let newcomer = door.admit(from(3), &pair().0).unwrap();
        assert!(newcomer.has_evicted);
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 0, "the oldest of the source with the most makes room");
        assert_eq!(first.welcome(), Err(Evicted));
        assert_eq!(others[0].welcome(), Ok(()));
        assert_eq!(door.numbers(), Numbers { sessions: 5, strangers: 3 });
        drop(first);
        assert_eq!(door.numbers(), Numbers { sessions: 4, strangers: 3 });
        drop((others, single, newcomer));
        assert!(door.inside().sources.is_empty());
        assert_eq!(door.inside().leaving, 0);
    }

    #[test]
    fn those_who_signed_in_are_never_put_out() {
        let door = door();
        let mut inside = Vec::new();
        for last in [1, 1, 1, 2, 2] {
            let mut admission = admit(&door, last).unwrap();
            admission.welcome().unwrap();
            inside.push(admission);
        }
        let stranger = admit(&door, 3).unwrap();
        let mut newcomer = door.admit(from(4), &pair().0).unwrap();
        assert!(newcomer.has_evicted, "a stranger makes room where all places are taken");
        drop(stranger);
        newcomer.admission.welcome().unwrap();
        assert_eq!(admit(&door, 5).unwrap_err(), Closed::Full);
        inside.pop();
        assert!(admit(&door, 3).is_ok());
        drop((inside, newcomer));
        assert!(door.inside().sources.is_empty());
    }

    #[test]
    fn no_more_are_put_out_than_can_be_leaving() {
        let limits = DoorLimits {
            sessions: 1000,
            sessions_per_source: 1000,
            unauthenticated: 1,
            unauthenticated_per_source: 1000,
            memory_mib: 0,
        };
        let door = Arc::new(Door::new(limits));
        let inside: Vec<_> = (0..=LEAVING_MAX).map(|_| admit(&door, 1).unwrap()).collect();
        assert_eq!(admit(&door, 1).unwrap_err(), Closed::Full);
        drop(inside);
        assert!(admit(&door, 1).is_ok());
    }
}
