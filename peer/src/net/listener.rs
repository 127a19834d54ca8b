//! The `listener` thread: accepts connections from other peers and hands each to a thread that shakes hands.

#![expect(clippy::disallowed_methods, reason = "the listening socket and the connection that wakes it live here")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::thread::{self, Handle};
use crossbeam_channel::{Receiver, Sender};
use socket2::{Domain, Protocol, Socket, Type};

use super::Inbox;
use super::answer::{self, HalfOpen};
use crate::ports::LocalIdentity;

/// The running listener. Dropping it stops the thread.
#[derive(Debug)]
pub(crate) struct Listener {
    identities: Sender<Option<Arc<LocalIdentity>>>,
    stopping: Arc<AtomicBool>,
    address: SocketAddr,
    // Joined by `drop`, after it was told to stop.
    thread: Option<Handle>,
}

/// Binds and listens. The unspecified IPv6 address takes IPv4 as well, and falls back to it where there is no IPv6.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = bind_exactly(address);
    let unspecified_v6 = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bound {
        Err(error) if unspecified_v6 && error.kind() != io::ErrorKind::AddrInUse => {
            bind_exactly(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        bound => bound,
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Starts accepting. Until an identity is set, whoever connects is closed at once.
pub(crate) fn start(listener: TcpListener, inbox: Inbox) -> io::Result<Listener> {
    let address = listener.local_addr()?;
    // Identities change a few times in a program's life; the thread takes what has queued with each connection.
    let (identities, identity_changes) = crossbeam_channel::unbounded();
    let stopping = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopping);
    let thread = thread::spawn("listener", move || accept(&listener, &identity_changes, &stop, &inbox))?;
    Ok(Listener { identities, stopping, address, thread: Some(thread) })
}

impl Listener {
    /// Connections are answered as this person from now on.
    pub(crate) fn set_identity(&self, identity: Option<Arc<LocalIdentity>>) {
        // The thread lives until `drop`.
        let _ = self.identities.send(identity);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let woken = TcpStream::connect_timeout(&SocketAddr::new(ip, self.address.port()), WAKE_TIMEOUT).is_ok();
        if let Some(thread) = self.thread.take()
            && !woken
        {
            thread.detach();
        }
    }
}

fn accept(
    listener: &TcpListener,
    identity_changes: &Receiver<Option<Arc<LocalIdentity>>>,
    stopping: &AtomicBool,
    inbox: &Inbox,
) {
    let mut identity = None;
    let mut half_open = HalfOpen::default();
    for number in 1.. {
        let accepted = listener.accept();
        if stopping.load(Ordering::Acquire) {
            return;
        }
        if let Some(newest) = identity_changes.try_iter().last() {
            identity = newest;
        }
        match (accepted, &identity) {
            (Ok((stream, from)), Some(identity)) => {
                let from = from.ip().to_canonical();
                answer::start(number, stream, from, Arc::clone(identity), &mut half_open, inbox.clone());
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                // Out of descriptors, mostly: wait for some to come back instead of spinning.
                tracing::warn!(%error, "cannot accept");
                if let Ok(newest) = identity_changes.recv_timeout(ACCEPT_PAUSE) {
                    identity = newest;
                }
            }
        }
    }
}

const LISTEN_BACKLOG: i32 = 128;
const WAKE_TIMEOUT: Duration = Duration::from_millis(500);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
