//! The listening socket: reachable at once after a restart, and with a backlog for everybody reconnecting at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;

/// Listens on `address`, or on the default port of every address: IPv6 and IPv4 where there are both.
pub(super) fn bind(address: Option<SocketAddr>) -> Result<TcpListener, StartError> {
    if let Some(address) = address {
        return listen(address).map_err(|source| explain(address, source));
    }
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
    let only_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
    match listen(both) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(explain(both, error)),
        Err(_) => listen(only_v4).map_err(|source| explain(only_v4, source)),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn explain(address: SocketAddr, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { address },
        _ => StartError::Listen { address, source },
    }
}

pub(super) const DEFAULT_PORT: u16 = 15_600;
/// With std's 128 a storm of reconnects takes minutes; with this 10,000 are in after a second.
const BACKLOG: i32 = 4096;
