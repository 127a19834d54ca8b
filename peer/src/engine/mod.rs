//! The thread around the node, and everything started with it: one call gives a front-end its two channels. Only this
//! floor knows node, net and disk together.

mod clock;
mod perform;
mod running;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::message::registry::{Code, Refusal};
use common::queue::{self, Receiver, Sender};
use common::secret::Secret;
use common::thread::{self, Handle};

use crate::api::{Asked, Exit, Told, Written};
use crate::disk::{self, Profile, ProfileError};
use crate::net;
use crate::node::{Node, NodeConfig};
use clock::Clock;
use running::{FrontEnd, Running};

pub use crate::node::Startup;

/// How to run a peer.
#[derive(Debug)]
pub struct EngineConfig {
    /// `HOST:PORT` of the registry.
    pub registry: String,
    /// From `HOST:PORT#FINGERPRINT`.
    pub fingerprint: Option<String>,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub trust_new_realm: bool,
    /// A person may be asked; see [`crate::api::Event::TrustAsked`].
    pub can_ask: bool,
    /// Signs in at once; if that is refused, the program ends.
    pub startup: Option<Startup>,
}

/// A running engine. `events` disconnects when it has ended.
#[derive(Debug)]
pub struct Engine {
    pub commands: Sender<Asked>,
    pub events: Receiver<Told>,
    /// How far whoever takes `events` has written them out.
    pub written: Arc<Written>,
    // The thread ends after `Quit`, or with a panic.
    thread: Handle,
}

/// Why no engine could be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    pub refusal: Refusal,
    pub exit: Exit,
}

/// Takes the data folder, listens, and starts every thread of a peer.
pub fn start(config: EngineConfig) -> Result<Engine, StartError> {
    let profile = Profile::open(&config.data_dir).map_err(|error| match error {
        ProfileError::Held { .. } => failed(Code::Storage, &error.to_string(), Exit::Failed),
        ProfileError::Unusable(_) => failed(Code::Storage, &error.to_string(), Exit::Disk),
    })?;
    let pinned = profile.pinned(&config.registry).map_err(|error| failed(Code::Storage, &error.text, Exit::Disk))?;
    let (listener, listen) = listen(&profile, config.listen).map_err(|error| cannot_listen(config.listen, &error))?;
    // Full: the front-end waits, and with it whoever types or pipes.
    let (commands, asked) = queue::bounded(COMMANDS_MAX);
    // Full: the engine takes nothing from front-end and net until there is room again.
    let (telling, events) = queue::bounded(EVENTS_MAX);
    let seed = random_seed().map_err(|error| failed(Code::Internal, &error.to_string(), Exit::Failed))?;
    let clock = Clock::start();
    let EngineConfig { registry, fingerprint, trust_new_realm, can_ask, startup, .. } = config;
    let written = Arc::new(Written::default());
    let front_end = FrontEnd { commands: asked, events: telling, written: Arc::clone(&written) };
    let running = Running::start(profile, listener, registry.clone(), front_end, clock)
        .map_err(|error| failed(Code::Internal, &format!("Can't start: {error}."), Exit::Failed))?;
    let settings = NodeConfig { registry, fingerprint, pinned, trust_new_realm, can_ask, listen, startup, seed };
    let thread = thread::spawn("engine", move || running.run(Node::new(clock.now(), settings)))
        .map_err(|error| failed(Code::Internal, &format!("Can't start: {error}."), Exit::Failed))?;
    Ok(Engine { commands, events, written, thread })
}

impl Engine {
    /// Waits for the engine, after `Bye` or when `events` has disconnected. `Err`: it panicked.
    pub fn join(self) -> Result<(), EnginePanicked> {
        let Self { commands, events, thread, .. } = self;
        // Whoever is blocked on one of these goes on.
        drop((commands, events));
        thread.join_quietly().map_err(|_| EnginePanicked)
    }
}

/// The engine ended by a bug of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnginePanicked;

/// The registry that was used last from this data folder, if one was.
pub fn last_registry(data_dir: &Path) -> Option<String> {
    disk::last_registry(data_dir)
}

/// Where any port will do, the one used last comes first: without a registry others look for us there.
fn listen(profile: &Profile, address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let last = profile.last_port().filter(|_| address.port() == 0);
    let again = last.and_then(|port| net::bind(SocketAddr::new(address.ip(), port)).ok());
    let listener = again.map_or_else(|| net::bind(address), Ok)?;
    let listen = listener.local_addr()?;
    profile.keep_port(listen.port());
    Ok((listener, listen))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> StartError {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already. Choose another port with --listen".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "that port needs more rights. Choose one above 1023 with --listen".to_owned()
        }
        _ => format!("{error}. Choose another address with --listen"),
    };
    failed(Code::Unreachable, &format!("Can't listen on {address}: {reason}."), Exit::Failed)
}

fn failed(code: Code, text: &str, exit: Exit) -> StartError {
    StartError { refusal: Refusal::new(code, text), exit }
}

#[expect(clippy::disallowed_methods, reason = "the engine is the shell that gives the node its randomness")]
fn random_seed() -> Result<Secret<[u8; 32]>, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Secret::new(seed))
}

const COMMANDS_MAX: usize = 64;
const EVENTS_MAX: usize = 1024;
