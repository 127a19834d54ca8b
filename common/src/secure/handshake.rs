//! The two Noise handshakes, as steps without a socket: XX with a registry, XK between peers.
//! The caller moves the messages; see `common::wire::stream`.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use snow::{Builder, HandshakeState};

use super::identity::DeviceSecret;
use super::seal::{self, Opener, Sealer};
use super::sign::{SignError, Signable, Signed};
use crate::ids::{DeviceKey, RealmId, RootKey};
use crate::limits::HANDSHAKE_BYTES_MAX;
use crate::wire::PREAMBLE;
use crate::wire::bounded::Text;

/// One side of a handshake under way.
pub struct Handshake {
    state: HandshakeState,
}

/// A handshake message that does not fit: garbage, another key, another version, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handshake failed")]
pub struct HandshakeError;

/// The registry's proof, in its handshake message: root key `R` signs the Noise static that the handshake uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryProof {
    pub root: RootKey,
    pub link: Signed<RegistryLinkKey>,
    /// The program's version, for people; decides nothing.
    pub version: Text<32>,
}

/// `R` says: this Noise static key is mine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryLinkKey {
    pub key: DeviceKey,
}

impl Signable for RegistryLinkKey {
    const CONTEXT: &'static str = "p2p-chat registry link key v1";
}

/// What a peer says of itself in the registry handshake's last message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGreeting {
    pub version: Text<32>,
}

impl RegistryProof {
    /// Made once at the registry's start.
    pub fn new(root: &SigningKey, link: &DeviceSecret, version: &str) -> Self {
        Self {
            root: RootKey(root.verifying_key().to_bytes()),
            link: Signed::sign(&RegistryLinkKey { key: link.public() }, root),
            version: Text::cut(version),
        }
    }

    /// The realm, if the root key signed exactly the static that this handshake used.
    pub fn verify(&self, link: DeviceKey) -> Result<RealmId, SignError> {
        let signed = self.link.verify(self.root.as_bytes())?;
        if signed.key == link { Ok(RealmId::of(&self.root)) } else { Err(SignError::Forged) }
    }
}

impl Handshake {
    /// A peer dialling its registry.
    pub fn registry_dialer(device: &DeviceSecret) -> Self {
        let prologue = prologue(REGISTRY_PURPOSE);
        Self::build(REGISTRY_PATTERN, |builder| {
            builder.prologue(&prologue)?.local_private_key(device.expose())?.build_initiator()
        })
    }

    /// A registry answering a peer.
    pub fn registry_answerer(link: &DeviceSecret) -> Self {
        let prologue = prologue(REGISTRY_PURPOSE);
        Self::build(REGISTRY_PATTERN, |builder| {
            builder.prologue(&prologue)?.local_private_key(link.expose())?.build_responder()
        })
    }

    /// A peer dialling a person whose device key it knows.
    pub fn peer_dialer(device: &DeviceSecret, remote: DeviceKey) -> Self {
        let prologue = prologue(PEER_PURPOSE);
        Self::build(PEER_PATTERN, |builder| {
            builder
                .prologue(&prologue)?
                .local_private_key(device.expose())?
                .remote_public_key(remote.as_bytes())?
                .build_initiator()
        })
    }

    /// A peer answering whoever knows its device key; anyone else hears nothing.
    pub fn peer_answerer(device: &DeviceSecret) -> Self {
        let prologue = prologue(PEER_PURPOSE);
        Self::build(PEER_PATTERN, |builder| {
            builder.prologue(&prologue)?.local_private_key(device.expose())?.build_responder()
        })
    }

    fn build(pattern: &str, with: impl FnOnce(Builder<'_>) -> Result<HandshakeState, snow::Error>) -> Self {
        let params = pattern.parse().expect("the pattern is a constant that snow knows");
        let state = with(Builder::new(params)).expect("keys have the right length by their types");
        Self { state }
    }

    /// The next message to send, with `payload` inside.
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; HANDSHAKE_BYTES_MAX];
        let length = self.state.write_message(payload, &mut message).map_err(|_| HandshakeError)?;
        message.truncate(length);
        Ok(message)
    }

    /// The payload of the message that came.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        if message.len() > HANDSHAKE_BYTES_MAX {
            return Err(HandshakeError);
        }
        let mut payload = vec![0; HANDSHAKE_BYTES_MAX];
        let length = self.state.read_message(message, &mut payload).map_err(|_| HandshakeError)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The other side's static key, as soon as the handshake has shown it.
    pub fn remote(&self) -> Option<DeviceKey> {
        self.state.get_remote_static().and_then(DeviceKey::from_slice)
    }

    /// The link, once every message was exchanged.
    pub fn finish(self) -> Result<(Sealer, Opener), HandshakeError> {
        let state = self.state.into_stateless_transport_mode().map_err(|_| HandshakeError)?;
        Ok(seal::halves(state))
    }
}

fn prologue(purpose: &str) -> Vec<u8> {
    [PREAMBLE.as_slice(), purpose.as_bytes()].concat()
}

/// Noise protocol names (Noise specification, section 8).
pub const REGISTRY_PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
pub const PEER_PATTERN: &str = "Noise_XK_25519_ChaChaPoly_BLAKE2s";
/// What follows the preamble in the prologue, so that one handshake is never taken for the other.
pub const REGISTRY_PURPOSE: &str = "p2p-chat registry link";
pub const PEER_PURPOSE: &str = "p2p-chat peer link";

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> DeviceSecret {
        DeviceSecret::from_bytes([byte; 32])
    }

    #[test]
    fn registry_handshake_shows_the_proof_before_the_peer_shows_anything() {
        let root = SigningKey::from_bytes(&[5; 32]);
        let proof = RegistryProof::new(&root, &secret(1), "1.0");
        let mut peer = Handshake::registry_dialer(&secret(2));
        let mut registry = Handshake::registry_answerer(&secret(1));
        registry.read(&peer.write(&[]).unwrap()).unwrap();
        let payload = peer.read(&registry.write(&crate::wire::codec::encode(&proof)).unwrap()).unwrap();
        let seen: RegistryProof = crate::wire::codec::decode(&payload).unwrap();
        assert_eq!(seen.verify(peer.remote().unwrap()), Ok(RealmId::of(&proof.root)));
        assert_eq!(seen.verify(secret(3).public()), Err(SignError::Forged));
        assert_eq!(registry.remote(), None, "the peer's key is in the third message");
        registry.read(&peer.write(b"hello").unwrap()).unwrap();
        assert_eq!(registry.remote(), Some(secret(2).public()));
        let ((mut sealer, _), (_, mut opener)) = (peer.finish().unwrap(), registry.finish().unwrap());
        let mut frame = Vec::new();
        sealer.seal(b"plain", &mut frame);
        assert_eq!(opener.open(&frame[2..]).unwrap(), b"plain");
        assert_eq!(opener.open(&frame[2..]), Err(seal::NotSealed), "a repeated frame");
    }

    #[test]
    fn a_stranger_without_the_device_key_cannot_begin_a_peer_handshake() {
        let mut stranger = Handshake::peer_dialer(&secret(2), secret(9).public());
        let mut answerer = Handshake::peer_answerer(&secret(1));
        assert_eq!(answerer.read(&stranger.write(&[]).unwrap()), Err(HandshakeError));
    }
}
