//! A bare connection for those who do not care about protocols.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

pub struct Raw(TcpStream);

/// A connection that comes from `source`, one of the many addresses of loopback.
pub fn connect_from(source: Ipv4Addr, address: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

impl Raw {
    pub fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).expect("somebody listens"))
    }

    /// Sends what is still taken.
    #[must_use]
    pub fn send(mut self, bytes: &[u8]) -> Self {
        let _ = self.0.write_all(bytes);
        self
    }

    /// Whether the far side closes within `patience`; what it says before does not matter.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if self.is_closed(left) {
                return true;
            }
        }
        false
    }

    /// The same while one byte of `bytes` is sent every `pause`, for ever: a deadline must hold although something
    /// always comes.
    pub fn is_closed_in_spite_of(&mut self, bytes: &[u8], pause: Duration, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        for byte in bytes.iter().cycle() {
            if Instant::now() >= deadline {
                return false;
            }
            if self.0.write_all(&[*byte]).is_err() || self.is_closed(pause) {
                return true;
            }
        }
        false
    }

    /// Waits for the end for `patience`, or for one read.
    fn is_closed(&mut self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).expect("a time-out above zero");
        match self.0.read(&mut [0; 4096]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }
}
