//! From a connected socket to an authenticated link, from either end: Noise XK, then both credentials, then one
//! `Hello` each. Until both ends have checked each other nothing has any effect.

#![expect(clippy::disallowed_methods, reason = "deadlines and certificates are checked against the clock")]

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use common::ids::DeviceKey;
use common::limits::{FIRST_FRAME_TIMEOUT, FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, SIGN_IN_TIMEOUT};
use common::message::peer::{Hello, PeerMessage};
use common::secure::certificate::{self, Credentials, CredentialsError, Person};
use common::secure::handshake::{Handshake, HandshakeError};
use common::secure::seal::{NotSealed, Opener, Sealer};
use common::time::UnixMillis;
use common::wire::batch::{self, BatchError};
use common::wire::bounded::{List, Text};
use common::wire::codec::{self, DecodeError};
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{ReadError, read_frame, read_preamble, write_all};
use common::wire::{PREAMBLE, PROTOCOL_VERSION};

use crate::ports::{Direction, LocalIdentity};

/// An authenticated link without its threads.
pub(crate) struct Established {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    /// May hold the beginning of what comes next.
    pub(crate) decoder: FrameDecoder,
    /// What came in one frame with the other end's `Hello`.
    pub(crate) early: Vec<PeerMessage>,
    /// As which device we shook hands.
    pub(crate) own: DeviceKey,
    pub(crate) person: Person,
    pub(crate) credentials: Box<Credentials>,
    pub(crate) direction: Direction,
    pub(crate) address: SocketAddr,
}

/// Why no link came about; one line each, for `/why` and the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EstablishError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("it does not speak this protocol (version {PROTOCOL_VERSION})")]
    Preamble,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("its credentials: {0}")]
    Credentials(#[from] CredentialsError),
    #[error("it is not who was expected")]
    SomebodyElse,
    #[error(transparent)]
    Sealed(#[from] NotSealed),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("it did not begin with a hello")]
    NoHello,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl std::fmt::Debug for Established {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Established({} at {})", self.person.user, self.address)
    }
}

/// Dials `expected` over a fresh connection.
pub(crate) fn dialed(
    stream: TcpStream,
    identity: &LocalIdentity,
    expected: &Person,
) -> Result<Established, EstablishError> {
    let deadline = Instant::now() + SIGN_IN_TIMEOUT;
    stream.set_nodelay(true)?;
    let mut handshake = Handshake::peer_dialer(identity.keys.device_secret(), expected.device);
    let mut opening = PREAMBLE.to_vec();
    write_frame(&handshake.write(&[])?, &mut opening);
    write_all(&stream, &opening, deadline)?;
    let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    handshake.read(&read_frame(&stream, &mut decoder, deadline)?)?;
    let mut third = Vec::new();
    write_frame(&handshake.write(&codec::encode(&identity.credentials))?, &mut third);
    write_all(&stream, &third, deadline)?;
    let (mut sealer, mut opener) = handshake.finish()?;
    let (hello, early) = read_hello(&stream, &mut decoder, &mut opener, deadline)?;
    let credentials = Box::new(hello.credentials.ok_or(EstablishError::NoHello)?);
    let person = certificate::verify(&credentials, &identity.root, wall_clock())?;
    let same = (&person.user, person.identity, person.device) == (&expected.user, expected.identity, expected.device);
    if !same {
        return Err(EstablishError::SomebodyElse);
    }
    write_all(&stream, &sealed_hello(&mut sealer, None), deadline)?;
    let address = stream.peer_addr()?;
    let (stream, own, direction) = (Arc::new(stream), identity.keys.device(), Direction::Dialed);
    Ok(Established { stream, sealer, opener, decoder, early, own, person, credentials, direction, address })
}

/// Answers whoever connected. Anyone who does not know our device key, or shows no good certificate, gets silence.
pub(crate) fn answered(stream: Arc<TcpStream>, identity: &LocalIdentity) -> Result<Established, EstablishError> {
    let begun = Instant::now();
    let (first, deadline) = (begun + FIRST_FRAME_TIMEOUT, begun + SIGN_IN_TIMEOUT);
    stream.set_nodelay(true)?;
    let socket = &*stream;
    if read_preamble(socket, first)? != PREAMBLE {
        return Err(EstablishError::Preamble);
    }
    let mut handshake = Handshake::peer_answerer(identity.keys.device_secret());
    let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    handshake.read(&read_frame(socket, &mut decoder, first)?)?;
    let mut second = Vec::new();
    write_frame(&handshake.write(&[])?, &mut second);
    write_all(socket, &second, deadline)?;
    let payload = handshake.read(&read_frame(socket, &mut decoder, deadline)?)?;
    let credentials: Box<Credentials> = Box::new(codec::decode(&payload)?);
    let person = certificate::verify(&credentials, &identity.root, wall_clock())?;
    if handshake.remote() != Some(person.device) {
        return Err(EstablishError::SomebodyElse);
    }
    let (mut sealer, mut opener) = handshake.finish()?;
    let hello = sealed_hello(&mut sealer, Some(identity.credentials.clone()));
    write_all(socket, &hello, deadline)?;
    let (_, early) = read_hello(socket, &mut decoder, &mut opener, deadline)?;
    let address = stream.peer_addr()?;
    let (own, direction) = (identity.keys.device(), Direction::Answered);
    Ok(Established { stream, sealer, opener, decoder, early, own, person, credentials, direction, address })
}

fn sealed_hello(sealer: &mut Sealer, credentials: Option<Credentials>) -> Vec<u8> {
    let version = Text::cut(env!("CARGO_PKG_VERSION"));
    let hello = Hello { version, capabilities: List::default(), credentials };
    let plaintext = batch::single(&PeerMessage::Hello(Box::new(hello))).expect("credentials are far below a frame");
    let mut frame = Vec::new();
    sealer.seal(&plaintext, &mut frame);
    frame
}

fn read_hello(
    stream: &TcpStream,
    decoder: &mut FrameDecoder,
    opener: &mut Opener,
    deadline: Instant,
) -> Result<(Hello, Vec<PeerMessage>), EstablishError> {
    decoder.set_frame_bytes_max(FRAME_BYTES_MAX);
    let frame = read_frame(stream, decoder, deadline)?;
    let mut messages = batch::read::<PeerMessage>(opener.open(&frame)?)?.into_iter();
    match messages.next() {
        Some(PeerMessage::Hello(hello)) => Ok((*hello, messages.collect())),
        _ => Err(EstablishError::NoHello),
    }
}

pub(super) fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
