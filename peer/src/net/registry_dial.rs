//! One connection to the registry, from the name to the sealed link. The registry proves its root key before anything
//! of ours is sent.

#![expect(clippy::disallowed_methods, reason = "the registry is dialled here, against deadlines")]

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use common::ids::{RealmId, RootKey};
use common::limits::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX};
use common::secure::handshake::{Handshake, HandshakeError, PeerGreeting, RegistryProof};
use common::secure::identity::DeviceSecret;
use common::secure::seal::{Opener, Sealer};
use common::secure::sign::SignError;
use common::wire::bounded::Text;
use common::wire::codec::{self, DecodeError};
use common::wire::frame::{BadFrameLength, FrameDecoder, write_frame};
use common::wire::stream::{ReadError, read_frame, write_all};
use common::wire::{PREAMBLE, PROTOCOL_VERSION};

use super::{end_unacknowledged, not_connected};

/// A registry that has proven its root key and heard nothing from us yet.
pub(super) struct Proven {
    stream: TcpStream,
    handshake: Handshake,
    decoder: FrameDecoder,
    pub(super) root: RootKey,
    deadline: Instant,
}

/// A sealed link to the registry.
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) decoder: FrameDecoder,
    pub(super) local: SocketAddr,
}

/// Why there is no link, in words for a person.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0} is not an address: {1}")]
    Address(String, io::Error),
    #[error("{0}")]
    Connect(String),
    #[error("it speaks version {0} of the protocol, this program version {PROTOCOL_VERSION}")]
    Version(u8),
    #[error("it is not a registry of this chat")]
    NotARegistry,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it shows another root key")]
    Changed(RealmId),
}

impl From<HandshakeError> for DialError {
    fn from(_: HandshakeError) -> Self {
        Self::NotARegistry
    }
}

impl From<DecodeError> for DialError {
    fn from(_: DecodeError) -> Self {
        Self::NotARegistry
    }
}

impl From<SignError> for DialError {
    fn from(_: SignError) -> Self {
        Self::NotARegistry
    }
}

/// Connects and lets the registry prove its root key.
pub(super) fn prove(registry: &str, device: &DeviceSecret) -> Result<Proven, DialError> {
    let stream = connect(registry)?;
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut handshake = Handshake::registry_dialer(device);
    let mut opening = PREAMBLE.to_vec();
    write_frame(&handshake.write(&[])?, &mut opening);
    write_all(&stream, &opening, deadline)?;
    let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    let second = match read_frame(&stream, &mut decoder, deadline) {
        Err(ReadError::Length(error)) => return Err(other_version(&decoder, error)),
        second => second?,
    };
    let proof: RegistryProof = codec::decode(&handshake.read(&second)?)?;
    let link_key = handshake.remote().ok_or(DialError::NotARegistry)?;
    proof.verify(link_key)?;
    Ok(Proven { stream, handshake, decoder, root: proof.root, deadline })
}

impl Proven {
    /// Shows our device key, but only to the registry that is pinned.
    pub(super) fn connect(mut self, pinned: &RootKey) -> Result<Connected, DialError> {
        if self.root != *pinned {
            return Err(DialError::Changed(RealmId::of(&self.root)));
        }
        let greeting = PeerGreeting { version: Text::cut(env!("CARGO_PKG_VERSION")) };
        let mut third = Vec::new();
        write_frame(&self.handshake.write(&codec::encode(&greeting))?, &mut third);
        write_all(&self.stream, &third, self.deadline)?;
        let (sealer, opener) = self.handshake.finish()?;
        self.decoder.set_frame_bytes_max(FRAME_BYTES_MAX);
        let local = self.stream.local_addr()?;
        Ok(Connected { stream: self.stream, sealer, opener, decoder: self.decoder, local })
    }
}

fn connect(registry: &str) -> Result<TcpStream, DialError> {
    let addresses = registry.to_socket_addrs().map_err(|error| DialError::Address(registry.to_owned(), error))?;
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                end_unacknowledged(&stream)?;
                return Ok(stream);
            }
            Err(error) => reason = not_connected(&error),
        }
    }
    Err(DialError::Connect(reason))
}

/// A registry of another version answers with its own preamble, which is no frame.
fn other_version(decoder: &FrameDecoder, _: BadFrameLength) -> DialError {
    match decoder.pending() {
        [b'P', b'2', b'C', version, ..] => DialError::Version(*version),
        _ => DialError::NotARegistry,
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
