//! The operator's way into a running registry: a socket in its data folder that nobody else can reach. One order per
//! connection, one connection at a time, each with a deadline; the other end is `registry user …` and `registry stats`.

#![expect(clippy::disallowed_methods, reason = "the control socket, its file and the randomness of tokens live here")]

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::ids::SignUpToken;
use common::thread;
use crossbeam_channel::never;

use super::{Shared, ceilings};
use crate::refusal::Failure;
use crate::service::Order;

/// The running control socket. Stopped and removed by [`Control::stop`].
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    thread: thread::Handle,
}

/// Why a running registry did not do as it was told, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{0}")]
    Refused(String),
    #[error("The registry did not answer: {0}. Look into its log.")]
    Io(#[from] io::Error),
}

/// Gives an order to the registry behind `path`; what it says. `None`: there is none running.
pub fn ask(path: &Path, order: &Order) -> Result<Option<Vec<String>>, ControlError> {
    let socket = match Address::of(path).and_then(|address| UnixStream::connect(&address.path)) {
        Ok(socket) => socket,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    (&socket).write_all(format!("{order}\n").as_bytes())?;
    let mut answer = String::new();
    (&socket).read_to_string(&mut answer)?;
    let mut lines = answer.lines().map(str::to_owned);
    match lines.next().as_deref() {
        Some(DONE) => Ok(Some(lines.collect())),
        Some(_) => Err(ControlError::Refused(lines.collect::<Vec<_>>().join(" "))),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

impl Control {
    /// Listens at `path`; what an earlier run left there is removed. The caller holds the folder.
    pub(super) fn start(path: &Path, shared: &Arc<Shared>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(path)?;
        let listener = UnixListener::bind(&address.path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let shared = Arc::clone(shared);
        let thread = thread::spawn("control", move || run(&listener, &shared))?;
        Ok(Self { path: path.to_owned(), thread })
    }

    /// The server is stopping already; this ends the thread.
    pub(super) fn stop(self) {
        let woken = Address::of(&self.path).and_then(|address| UnixStream::connect(&address.path));
        match woken {
            Ok(_) => self.thread.join(),
            // Somebody has removed the socket: it ends with the process.
            Err(_) => self.thread.detach(),
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn run(listener: &UnixListener, shared: &Shared) {
    for socket in listener.incoming() {
        if shared.is_stopping() {
            return;
        }
        let served = match socket {
            Ok(socket) => serve(&socket, shared),
            Err(error) => {
                // Out of descriptors, most likely: asking again at once would only burn a core.
                let _: Result<(), _> = never().recv_timeout(ACCEPT_PAUSE);
                Err(error)
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "an order was not carried out");
        }
    }
}

fn serve(mut socket: &UnixStream, shared: &Shared) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(socket.take(ORDER_BYTES_MAX)).read_line(&mut line)?;
    let answer = match line.trim_end().parse::<Order>() {
        Ok(order) => obey(shared, &order).map_err(|failure| failure.into_refusal().text.as_str().to_owned()),
        Err(error) => Err(format!("The registry does not understand: {error}.")),
    };
    let lines = match answer {
        Ok(lines) => [vec![DONE.to_owned()], lines].concat(),
        Err(text) => vec![FAILED.to_owned(), text],
    };
    socket.write_all((lines.join("\n") + "\n").as_bytes())
}

fn obey(shared: &Shared, order: &Order) -> Result<Vec<String>, Failure> {
    let mut random = [0; SignUpToken::LENGTH];
    getrandom::fill(&mut random).expect("the operating system has random bytes");
    let obeyed = shared.service.obey(shared.clock.now(), order, random)?;
    shared.couriers.post(obeyed.news);
    let now = if *order == Order::Stats { live(shared) } else { Vec::new() };
    Ok([now, obeyed.lines].concat())
}

fn live(shared: &Shared) -> Vec<String> {
    let numbers = shared.door.numbers();
    let up_s = shared.clock.now().monotonic.0 / 1000;
    let mut lines = vec![
        format!("up_s={up_s}"),
        format!("sessions={}", numbers.sessions),
        format!("strangers={}", numbers.strangers),
        format!("online={}", shared.service.online_count()),
        format!("memory_kib={}", ceilings::memory_kib()),
    ];
    lines.extend(shared.counts.lines());
    lines
}

/// What a socket is bound to. A path that is too long for one goes by way of its folder's descriptor.
struct Address {
    path: PathBuf,
    // Held while the path is used.
    _folder: Option<File>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() < SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const DONE: &str = "done";
const FAILED: &str = "failed";
/// A verb and a name.
const ORDER_BYTES_MAX: u64 = 256;
/// `sun_path` has 108 bytes, with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A disk may be slow; an operator who says nothing is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
