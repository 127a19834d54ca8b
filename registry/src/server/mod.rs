//! The only sockets and threads: an acceptor and an usher, one small thread per client, two couriers for news, a keeper,
//! one for the operator's orders, and one for each password that is being checked. What is said on a connection is
//! decided by `service`; here bytes become requests in time, or the connection ends.

#![expect(clippy::disallowed_methods, reason = "sockets, their deadlines and random salts live on this floor")]

mod acceptor;
mod ceilings;
mod control;
mod counts;
mod courier;
mod door;
mod hall;
mod keeper;
mod listener;
mod outbound;
mod passwords;
mod permits;
mod presence;
mod rate;
mod session;
mod stack;
mod usher;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::limits::{FIRST_FRAME_TIMEOUT, REGISTRY_DEAD_AFTER, SIGN_IN_TIMEOUT};
use common::secure::handshake::RegistryProof;
use common::secure::identity::DeviceSecret;
use common::thread;
use common::time::{Monotonic, Now, UnixMillis};
use common::wire::codec;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use self::control::Control;
use self::counts::Counts;
use self::courier::Couriers;
use self::door::Door;
use self::hall::Hall;
use self::keeper::Keeper;
use self::passwords::Passwords;
use self::permits::Permits;
use self::rate::Turns;
use self::usher::Usher;
use crate::service::{Limits, Service};
use crate::store::Store;
use crate::store::folder::RealmKeys;

pub use self::control::{ControlError, ask};
pub use self::door::DoorLimits;
pub use self::rate::RateLimits;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `None`: port 15600 of every address.
    pub listen: Option<SocketAddr>,
    /// Where the operator's orders come in; `None`: nowhere.
    pub control: Option<PathBuf>,
    pub door: DoorLimits,
    pub rates: RateLimits,
    pub passwords: PasswordSettings,
    pub timing: Timing,
    pub service: Limits,
}

/// How many passwords are checked, and how dearly.
#[derive(Debug, Clone)]
pub struct PasswordSettings {
    pub bcrypt_cost: u32,
    /// Checks at once; 0 is one less than there are cores.
    pub at_once: u32,
    /// Checks waiting; the next one is told to come back.
    pub queue: u32,
}

/// How long a connection may take for what. Not for operators: tests have less patience.
#[derive(Debug, Clone)]
pub struct Timing {
    pub first_frame: Duration,
    pub sign_in: Duration,
    pub dead_after: Duration,
    /// An outbox that has not drained by then is cut.
    pub drain: Duration,
    /// Whoever was told of a change of presence hears of the next ones together, after this long.
    pub coalesce: Duration,
    /// After its last frame a client has this long to close.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_frame: FIRST_FRAME_TIMEOUT,
            sign_in: SIGN_IN_TIMEOUT,
            dead_after: REGISTRY_DEAD_AFTER,
            drain: Duration::from_secs(2),
            coalesce: Duration::from_millis(50),
            linger: Duration::from_secs(1),
        }
    }
}

/// A running registry.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    // Dropped to tell everybody.
    stop: Option<Sender<()>>,
    // `None` once it was stopped.
    acceptor: Option<thread::Handle>,
    usher: Option<Usher>,
    couriers: Vec<thread::Handle>,
    control: Option<Control>,
    keeper: Option<Keeper>,
}

/// Why a registry does not start, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("Cannot listen on {address}: the port is in use. Stop what uses it, or choose another with --listen.")]
    InUse { address: SocketAddr },
    #[error("Cannot listen on {address}: {source}. Choose another address with --listen.")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("Cannot make the socket {path} for orders: {source}. Check the data folder's permissions and free space.")]
    Control { path: String, source: io::Error },
    #[error("Cannot start a thread: {0}. Raise the limit of processes for this user.")]
    Thread(io::Error),
}

/// What every thread of the server uses.
struct Shared {
    service: Service,
    hall: Hall,
    door: Arc<Door>,
    passwords: Passwords,
    handshakes: Permits,
    couriers: Couriers,
    counts: Counts,
    link: DeviceSecret,
    // The payload of the handshake's second message, the same for everybody.
    proof: Vec<u8>,
    bcrypt_cost: u32,
    rates: RateLimits,
    turns: Turns,
    // 0: no limit.
    memory_kib_max: u64,
    timing: Timing,
    clock: Clock,
    // Says nothing, and is gone when the server stops.
    stopping: Receiver<()>,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Lets a session do nothing for a while; ends at once when the server stops.
    fn rest(&self, time: Duration) {
        let _ = self.stopping.recv_timeout(time);
    }
}

impl Server {
    /// Listens and accepts from now on.
    pub fn start(settings: &Settings, keys: &RealmKeys, store: Arc<dyn Store>) -> Result<Self, StartError> {
        let listener = listener::bind(settings.listen)?;
        let address = listener.local_addr().map_err(StartError::Thread)?;
        let mut door = settings.door.clone();
        door.sessions = door.sessions.min(ceilings::sessions_max());
        let (couriers, inboxes) = Couriers::new();
        let (stop, stopping) = bounded(0);
        let shared = Arc::new(Shared {
            service: Service::new(store, keys.clone(), &settings.service),
            hall: Hall::default(),
            door: Arc::new(Door::new(door.clone())),
            passwords: Passwords::new(settings.passwords.at_once, settings.passwords.queue),
            handshakes: Permits::of_handshakes(),
            couriers,
            counts: Counts::default(),
            link: keys.link.clone(),
            proof: codec::encode(&RegistryProof::new(&keys.root, &keys.link, env!("CARGO_PKG_VERSION"))),
            bcrypt_cost: settings.passwords.bcrypt_cost,
            rates: settings.rates,
            turns: Turns::default(),
            memory_kib_max: u64::from(door.memory_mib) * 1024,
            timing: settings.timing.clone(),
            clock: Clock { start: Instant::now() },
            stopping,
        });
        shared.service.sweep(shared.clock.now());
        tracing::info!(%address, sessions = door.sessions, "listening");
        let control = settings.control.as_ref().map(|path| {
            let failed = |source| StartError::Control { path: path.display().to_string(), source };
            Control::start(path, &shared).map_err(failed)
        });
        let control = control.transpose()?;
        let couriers = inboxes.into_iter().enumerate().map(|(number, inbox)| {
            let shared = Arc::clone(&shared);
            thread::spawn(&format!("courier-{number}"), move || courier::run(shared, number, inbox))
        });
        let couriers = couriers.collect::<io::Result<_>>().map_err(StartError::Thread)?;
        let keeper = keeper::start(&shared).map_err(StartError::Thread)?;
        let (usher, arrivals) = Usher::start(&shared, door.sessions).map_err(StartError::Thread)?;
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn("acceptor", move || acceptor::run(&listener, &accepting, &arrivals));
        let (acceptor, usher) = (Some(acceptor.map_err(StartError::Thread)?), Some(usher));
        let (stop, keeper) = (Some(stop), Some(keeper));
        Ok(Self { shared, address, stop, acceptor, usher, couriers, control, keeper })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What people compare.
    pub fn fingerprint(&self) -> String {
        self.shared.service.realm().fingerprint()
    }

    /// Stops accepting, tells everybody, waits for the sessions for a while and ends. Dropping it does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        let shared = &self.shared;
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.stop = None;
        if wake(self.address) {
            acceptor.join();
        } else {
            // It cannot be reached; it ends with the process.
            acceptor.detach();
        }
        shared.passwords.close();
        shared.handshakes.close();
        shared.couriers.close_all();
        shared.hall.cut_strangers();
        self.keeper = None;
        if let Some(control) = self.control.take() {
            control.stop();
        }
        if let Some(usher) = self.usher.take() {
            usher.stop(deadline);
        }
        shared.couriers.stop();
        self.couriers.clear();
        tracing::info!(counts = %shared.counts, "stopped");
    }
}

// The acceptor sits in `accept`; a connection gets it out. Where IPv6 is switched off, its unspecified address can be
// listened on while its loopback cannot be reached: there IPv4's is.
fn wake(address: SocketAddr) -> bool {
    let ips: Vec<IpAddr> = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        IpAddr::V4(ip) if ip.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
        ip => vec![ip],
    };
    let reached = |ip: IpAddr| {
        let address = SocketAddr::new(ip, address.port());
        let woken = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        // Where nobody listens any more, it has ended by itself: somebody else connected after it was told to.
        let has_ended = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        woken
            .inspect_err(|error| tracing::debug!(%error, "could not wake the acceptor"))
            .map_or_else(|e| has_ended(&e), |_| true)
    };
    ips.into_iter().any(reached)
}

/// The only clock of the registry.
struct Clock {
    start: Instant,
}

impl Clock {
    fn now(&self) -> Now {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Now { monotonic: Monotonic(millis(self.start.elapsed())), wall: UnixMillis(millis(wall)) }
    }
}

/// All of stopping takes less than the five seconds that operators are promised.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
