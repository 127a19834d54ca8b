//! A scripted person's link to a real peer.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::ids::DeviceKey;
use common::limits::HANDSHAKE_BYTES_MAX;
use common::message::peer::{Hello, PeerMessage};
use common::secure::certificate::Credentials;
use common::secure::handshake::Handshake;
use common::wire::bounded::{List, Text};
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{ReadError, read_frame, write_all};
use common::wire::{PREAMBLE, codec};

use super::person::Person;
use super::sealed::{Late, Sealed};
use crate::programs::DEADLINE;

pub struct PeerLink {
    pub sealed: Sealed<PeerMessage>,
    /// What the answerer said of itself.
    pub hello: Hello,
}

impl PeerLink {
    /// Dials whoever holds `device` at `address` and shows `credentials`. `None`: they closed or said nothing.
    pub fn dial(address: &str, device: DeviceKey, person: &Person, credentials: &Credentials) -> Option<Self> {
        let mut sealed = Self::shake(address, device, person, &codec::encode(credentials))?;
        let hello = match sealed.next(DEADLINE) {
            Ok(Some(PeerMessage::Hello(hello))) => *hello,
            Ok(Some(other)) => panic!("a hello was awaited, not {other:?}"),
            Ok(None) | Err(Late) => return None,
        };
        let ours =
            Hello { version: Text::cut("\u{1b}]0;a test\u{7}"), capabilities: List::default(), credentials: None };
        sealed.send(&PeerMessage::Hello(Box::new(ours)));
        Some(Self { sealed, hello })
    }

    /// The handshake alone, with any payload in its third message. `None`: there was no second message.
    pub fn shake(address: &str, device: DeviceKey, person: &Person, payload: &[u8]) -> Option<Sealed<PeerMessage>> {
        let stream = TcpStream::connect(address).expect("the peer listens");
        let deadline = Instant::now() + DEADLINE;
        let mut handshake = Handshake::peer_dialer(person.keys.device_secret(), device);
        let mut opening = PREAMBLE.to_vec();
        write_frame(&handshake.write(&[]).expect("the first message"), &mut opening);
        write_all(&stream, &opening, deadline).expect("the peer reads");
        let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
        let second = match read_frame(&stream, &mut decoder, deadline) {
            Ok(second) => second,
            Err(ReadError::Late) => panic!("a peer neither answered nor closed in {DEADLINE:?}"),
            Err(_) => return None,
        };
        handshake.read(&second).expect("the second message");
        let mut third = Vec::new();
        write_frame(&handshake.write(payload).expect("the third message"), &mut third);
        write_all(&stream, &third, deadline).expect("the peer reads");
        Some(Sealed::new(stream, handshake, decoder))
    }

    /// Everything the peer says within `patience`.
    pub fn hear(&mut self, patience: Duration) -> Vec<PeerMessage> {
        let deadline = Instant::now() + patience;
        let mut heard = Vec::new();
        while let Ok(Some(message)) = self.sealed.next(deadline.saturating_duration_since(Instant::now())) {
            heard.push(message);
        }
        heard
    }
}
