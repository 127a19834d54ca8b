//! The only sockets of a peer: listening, dialling, links with a reader and a writer thread each, and the link to the
//! registry. The engine starts them and hears from them through its inboxes; nothing here decides anything.

mod answer;
mod dialer;
mod establish;
mod interfaces;
mod link;
mod listener;
mod outward;
mod registry_dial;
mod registry_link;
#[cfg(test)]
mod tests;

pub(crate) use dialer::dial;
pub(crate) use establish::Established;
pub(crate) use link::{LinkHandle, encoded, start as start_link};
pub(crate) use listener::{Listener, bind, start as start_listener};
pub(crate) use registry_link::{RegistryLink, start as start_registry_link};

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::ports::{DialId, LinkId, RegistryInput};
use common::message::peer::PeerMessage;

/// Where this floor is heard: the engine's inbox. A sender waits while it is full.
pub(crate) type Inbox = common::queue::Sender<NetEvent>;

/// What the net floor tells the engine. Sending blocks while the engine is busy, so TCP slows the far end down.
#[derive(Debug)]
pub(crate) enum NetEvent {
    /// A link is authenticated; its threads are started by the engine, which gives it its number.
    Established {
        established: Box<Established>,
        dial: Option<DialId>,
    },
    /// With what each address answered.
    DialFailed {
        dial: DialId,
        tried: Vec<(SocketAddr, String)>,
    },
    Received {
        link: LinkId,
        messages: Vec<PeerMessage>,
    },
    Down {
        link: LinkId,
        clean: bool,
        reason: String,
    },
    Registry(RegistryInput),
}

/// Why nobody was reached at an address, in words for a person.
fn not_connected(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        _ => error.to_string(),
    }
}

/// Lets the kernel end a connection whose far end acknowledges nothing that was sent: what a person says to a machine
/// that has vanished is known not to arrive long before the silence of the link is noticed.
fn end_unacknowledged(stream: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    let _ = stream;
    Ok(())
}

/// Half of the silence after which a link is dead; longer than a walk between two access points takes.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Random numbers for pauses; not for keys.
pub(crate) fn jitter_millis(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without randomness pauses are merely less spread.
    if fill_random(&mut bytes).is_err() {
        return 0;
    }
    u64::from_be_bytes(bytes) % bound.max(1)
}

#[expect(clippy::disallowed_methods, reason = "the net floor is a shell: it may ask for randomness")]
fn fill_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}
