//! The numbers in `vectors.txt`, made again from this code: whoever writes another client compares with the same.
//! The handshakes are played by a bare Noise library with fixed ephemeral keys, and against this crate's own.

#![expect(clippy::unwrap_used, reason = "a vector that does not hold is a failed test")]

use std::fmt::Write;

use common::ids::{
    self, ChainId, ConversationId, EntryId, EventId, EventKey, IdentityKey, MailSalt, RealmId, RoomId, RootKey,
};
use common::limits::PARENTS_MAX;
use common::message::event::{Content, EVENT_CONTEXT, Event, Join, NO_EVENT, Parent, WireEvent};
use common::message::mail::Mail;
use common::message::moderation::Owners;
use common::message::peer::{Have, Hello, Holding, PeerMessage};
use common::message::receipt::Receipt;
use common::message::registry::{Reply, Request, ToRegistry};
use common::message::room::{self, Act, Cut, Genesis, History, Invite, LogEntry, NO_ENTRY, Removal};
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::secure::certificate::{self, Certificate, Credentials};
use common::secure::handshake::{
    Handshake, PEER_PATTERN, PEER_PURPOSE, PeerGreeting, REGISTRY_PATTERN, REGISTRY_PURPOSE, RegistryProof,
};
use common::secure::identity::{DeviceSecret, DeviceStatement, KEYS_BYTES, Keys};
use common::secure::mail::{MAIL_PATTERN, MAIL_PURPOSE, Prekey};
use common::secure::password;
use common::secure::safety;
use common::secure::sign::{Signable, Signed};
use common::time::UnixMillis;
use common::wire::bounded::{List, Text};
use common::wire::{PREAMBLE, batch, codec, frame};
use ed25519_dalek::SigningKey;

#[test]
fn vectors_are_those_that_others_were_given() {
    let made = vectors();
    let kept = include_str!("../vectors.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!(made.lines().eq(kept), "vectors.txt should hold:\n{made}");
}

#[test]
fn our_handshakes_are_the_plain_noise_ones() {
    for (pattern, purpose) in [(REGISTRY_PATTERN, REGISTRY_PURPOSE), (PEER_PATTERN, PEER_PURPOSE)] {
        let is_registry = pattern == REGISTRY_PATTERN;
        let mut plain = noise(pattern, purpose, true);
        let (device, link) = (device_secret(ALICE), DeviceSecret::from_bytes(answerer_secret(pattern)));
        let mut ours = if is_registry { Handshake::registry_answerer(&link) } else { Handshake::peer_answerer(&link) };
        ours.read(&plain_write(&mut plain, b"")).unwrap();
        plain_read(&mut plain, &ours.write(b"two").unwrap());
        assert_eq!(ours.read(&plain_write(&mut plain, b"three")).unwrap(), b"three");

        let mut plain = noise(pattern, purpose, false);
        let mut ours = if is_registry {
            Handshake::registry_dialer(&device)
        } else {
            Handshake::peer_dialer(&device, link.public())
        };
        plain_read(&mut plain, &ours.write(b"").unwrap());
        assert_eq!(ours.read(&plain_write(&mut plain, b"two")).unwrap(), b"two");
        plain_read(&mut plain, &ours.write(b"three").unwrap());
    }
}

/// Everything that `vectors.txt` lists, one `name: value` a line.
fn vectors() -> String {
    let mut out = Lines::default();
    realm_and_names(&mut out);
    passwords(&mut out);
    people(&mut out);
    let [alice, bob] = [("alice", ALICE), ("bob", BOB)].map(|(user, byte)| (name(user), keys(byte).identity()));
    out.text("safety_number.alice.bob", &safety::safety_number(&realm(), (&bob.0, &bob.1), (&alice.0, &alice.1)));
    rooms(&mut out);
    events(&mut out);
    mail(&mut out);
    batches(&mut out);
    registry_handshake(&mut out);
    peer_handshake(&mut out);
    out.text
}

fn realm_and_names(out: &mut Lines) {
    out.hex("root.secret", &ROOT);
    out.hex("root.public", root().verifying_key().as_bytes());
    out.hex("realm.id", realm().as_bytes());
    out.text("realm.fingerprint", &realm().fingerprint());
    out.hex("conversation.direct.alice.bob", direct().as_bytes());
}

fn passwords(out: &mut Lines) {
    let password = Secret::new(PASSWORD.to_owned());
    let salt = ids::hash("p2p-chat password salt v1", &[realm().as_bytes(), b"alice"]);
    let stretched = password::stretch(&password, &salt, password::ARGON2_KIB, password::ARGON2_PASSES);
    out.text("password", PASSWORD);
    out.hex("password.salt", &salt);
    out.hex("password.argon2id", &stretched);
    out.hex("password.k_auth", password::auth_key(&password, &realm(), &name("alice")).expose().as_bytes());
}

fn people(out: &mut Lines) {
    for (who, byte) in [("alice", ALICE), ("bob", BOB)] {
        let keys = keys(byte);
        for (index, key) in ["identity", "device", "event"].into_iter().enumerate() {
            out.hex(&format!("{who}.{key}.secret"), &keys.to_seed().expose()[index * 32..(index + 1) * 32]);
        }
        out.hex(&format!("{who}.identity.public"), keys.identity().as_bytes());
        out.hex(&format!("{who}.device.public"), keys.device().as_bytes());
        out.hex(&format!("{who}.event.public"), keys.event().as_bytes());
        let Credentials { statement, certificate } = credentials(byte, who);
        out.signed(&format!("{who}.statement"), &statement);
        out.signed(&format!("{who}.certificate"), &certificate);
    }
    let next = keys(BOB).succeeded_by(&Secret::new([BOB + 1; KEYS_BYTES])).unwrap();
    let step = &next.rotations()[0];
    out.hex("bob.next.key.public", step.key.as_bytes());
    out.hex("bob.next.key.signature", step.signature.as_bytes());
    out.signed("bob.next.statement", &next.statement(realm(), name("bob")));
}

fn rooms(out: &mut Lines) {
    out.signed("genesis", &genesis());
    out.hex("room.id", room_id().as_bytes());
    out.signed("entry.1", &entry(1, NO_ENTRY, "lunch at noon"));
    out.signed("entry.2", &entry(2, EntryId(entry(1, NO_ENTRY, "lunch at noon").id()), ""));
    out.signed("entry.3", &removal(EntryId(entry(2, EntryId(entry(1, NO_ENTRY, "lunch at noon").id()), "").id())));
    out.signed("invite", &invite());
    let (id, genesis) = room::check_genesis(&genesis()).unwrap();
    room::check_join(id, &genesis, &Owners::after(&genesis, Vec::new(), 3), &join()).expect("the vector holds");
}

fn events(out: &mut Lines) {
    let first = text_event(1, NO_EVENT, "hello bob");
    out.event("event.1", &first);
    out.event("event.2", &text_event(2, first.id(), "are you there?"));
    out.event("join", &join());
    let (conversation, member, from) = (room_id().into(), keys(BOB).identity(), 1);
    let (number, last) = (2, Some(text_event(2, first.id(), "are you there?").id()));
    let holding = Holding { author: keys(ALICE).identity(), chain: ChainId([ALICE; 16]), number, last };
    let receipt = Receipt { conversation, member, from, holding };
    out.signed("receipt", &Signed::sign(&receipt, keys(BOB).event_signer()));
}

/// Alice's first line for Bob, sealed to a prekey of his with a fixed ephemeral key.
fn mail(out: &mut Lines) {
    let salt = MailSalt([0x61; 32]);
    let (number, at, expires) = (1, NOW, NOW.plus(common::limits::PREKEY_LIFETIME));
    let key = keys(BOB).mail_secret(&salt).public();
    let prekey = Prekey { realm: realm(), user: name("bob"), number, key, at, expires };
    out.signed("prekey", &Signed::sign(&prekey, keys(BOB).identity_signer()));
    let mail = Mail {
        credentials: credentials(ALICE, "alice"),
        have: Have { conversation: direct(), head: 0, entry: None, holdings: List::default() },
        join: None,
        skipped: 0,
        events: List::cut(vec![text_event(1, NO_EVENT, "hello bob")]),
        again: false,
    };
    let content = codec::encode(&mail);
    let seed = Secret::new(DIALER_EPHEMERAL);
    let item = common::secure::mail::seal(&content, &keys(BOB).identity(), &prekey, seed).unwrap();
    let secret = keys(BOB).mail_secret(&salt);
    assert_eq!(common::secure::mail::open(&item, &keys(BOB).identity(), &secret).unwrap(), content);
    out.text("mail.protocol", MAIL_PATTERN);
    let number = number.to_be_bytes();
    out.hex("mail.prologue", &[&prologue(MAIL_PURPOSE), &keys(BOB).identity().0[..], &number].concat());
    out.hex("mail.ephemeral.secret", &DIALER_EPHEMERAL);
    out.hex("mail.content", &content);
    out.hex("mail.item", &item);
}

fn batches(out: &mut Lines) {
    let ping = codec::encode(&PeerMessage::Ping);
    let have = codec::encode(&PeerMessage::Have(have()));
    out.hex("message.ping", &ping);
    out.hex("message.have", &have);
    let request = ToRegistry { id: 7, request: Request::Resume { user: name("alice") } };
    out.hex("message.resume", &codec::encode(&request));
    let mut batch = batch::Batch::default();
    assert!(batch.push_encoded(&ping) && batch.push_encoded(&have));
    let mut plaintext = Vec::new();
    batch.take_padded(&mut plaintext);
    out.hex("batch.ping.have", &plaintext);
}

fn registry_handshake(out: &mut Lines) {
    let link = DeviceSecret::from_bytes(answerer_secret(REGISTRY_PATTERN));
    let proof = RegistryProof::new(&root(), &link, "1.0.0");
    let greeting = PeerGreeting { version: Text::cut("1.0.0") };
    let payloads = [Vec::new(), codec::encode(&proof), codec::encode(&greeting)];
    let request = ToRegistry { id: 1, request: Request::Ping };
    let reply = common::message::registry::FromRegistry::Reply { id: 1, reply: Box::new(Reply::Done) };
    let plaintexts = [batch::single(&request).unwrap(), batch::single(&reply).unwrap()];
    play("xx", REGISTRY_PATTERN, REGISTRY_PURPOSE, &payloads, &plaintexts, out);
}

fn peer_handshake(out: &mut Lines) {
    let payloads = [Vec::new(), Vec::new(), codec::encode(&credentials(ALICE, "alice"))];
    let hello = |credentials| {
        let hello = Hello { version: Text::cut("1.0.0"), capabilities: List::default(), credentials };
        batch::single(&PeerMessage::Hello(Box::new(hello))).unwrap()
    };
    let plaintexts = [hello(None), hello(Some(credentials(BOB, "bob")))];
    play("xk", PEER_PATTERN, PEER_PURPOSE, &payloads, &plaintexts, out);
}

/// A whole handshake with fixed ephemeral keys, and the first frame each way after it.
fn play(
    prefix: &str,
    pattern: &str,
    purpose: &str,
    payloads: &[Vec<u8>; 3],
    plaintexts: &[Vec<u8>; 2],
    out: &mut Lines,
) {
    let (mut dialer, mut answerer) = (noise(pattern, purpose, true), noise(pattern, purpose, false));
    out.text(&format!("{prefix}.protocol"), pattern);
    out.hex(&format!("{prefix}.prologue"), &prologue(purpose));
    out.hex(&format!("{prefix}.dialer.static.secret"), &secret_part(ALICE, 1));
    out.hex(&format!("{prefix}.dialer.ephemeral.secret"), &DIALER_EPHEMERAL);
    out.hex(&format!("{prefix}.answerer.static.secret"), &answerer_secret(pattern));
    out.hex(&format!("{prefix}.answerer.ephemeral.secret"), &ANSWERER_EPHEMERAL);
    for (index, payload) in payloads.iter().enumerate() {
        let (from, to) = if index == 1 { (&mut answerer, &mut dialer) } else { (&mut dialer, &mut answerer) };
        let message = plain_write(from, payload);
        assert_eq!(plain_read(to, &message), *payload);
        assert!(message.len() <= common::limits::HANDSHAKE_BYTES_MAX, "{} bytes", message.len());
        out.hex(&format!("{prefix}.message.{}.payload", index + 1), payload);
        out.hex(&format!("{prefix}.message.{}", index + 1), &message);
    }
    out.hex(&format!("{prefix}.handshake.hash"), dialer.get_handshake_hash());
    let ends = [(dialer, "dialer"), (answerer, "answerer")];
    for ((state, end), plaintext) in ends.into_iter().zip(plaintexts) {
        let state = state.into_stateless_transport_mode().unwrap();
        let mut sealed = vec![0; plaintext.len() + 16];
        state.write_message(0, plaintext, &mut sealed).unwrap();
        let mut framed = Vec::new();
        frame::write_frame(&sealed, &mut framed);
        out.hex(&format!("{prefix}.{end}.first.plaintext"), plaintext);
        out.hex(&format!("{prefix}.{end}.first.frame"), &framed);
    }
}

fn noise(pattern: &str, purpose: &str, is_dialer: bool) -> snow::HandshakeState {
    let (secret, ephemeral) = match is_dialer {
        true => (secret_part(ALICE, 1), DIALER_EPHEMERAL),
        false => (answerer_secret(pattern), ANSWERER_EPHEMERAL),
    };
    let answerer = DeviceSecret::from_bytes(answerer_secret(pattern)).public();
    let prologue = prologue(purpose);
    let builder = snow::Builder::new(pattern.parse().unwrap());
    let builder = builder.prologue(&prologue).unwrap().local_private_key(&secret).unwrap();
    let builder = builder.fixed_ephemeral_key_for_testing_only(&ephemeral);
    match (is_dialer, pattern == PEER_PATTERN) {
        (true, true) => builder.remote_public_key(answerer.as_bytes()).unwrap().build_initiator().unwrap(),
        (true, false) => builder.build_initiator().unwrap(),
        (false, _) => builder.build_responder().unwrap(),
    }
}

fn plain_write(state: &mut snow::HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 65_535];
    let length = state.write_message(payload, &mut message).unwrap();
    message.truncate(length);
    message
}

fn plain_read(state: &mut snow::HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 65_535];
    let length = state.read_message(message, &mut payload).unwrap();
    payload.truncate(length);
    payload
}

fn prologue(purpose: &str) -> Vec<u8> {
    [PREAMBLE.as_slice(), purpose.as_bytes()].concat()
}

/// The answerer is the registry in the one handshake and Bob in the other.
fn answerer_secret(pattern: &str) -> [u8; 32] {
    if pattern == REGISTRY_PATTERN { REGISTRY_LINK } else { secret_part(BOB, 1) }
}

fn secret_part(byte: u8, index: usize) -> [u8; 32] {
    keys(byte).to_seed().expose()[index * 32..(index + 1) * 32].try_into().unwrap()
}

fn device_secret(byte: u8) -> DeviceSecret {
    DeviceSecret::from_bytes(secret_part(byte, 1))
}

fn keys(byte: u8) -> Keys {
    let seed: Vec<u8> = (0..KEYS_BYTES).map(|index| byte + u8::try_from(index / 32).unwrap()).collect();
    Keys::from_seed(&Secret::new(seed.try_into().unwrap()))
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&ROOT)
}

fn realm() -> RealmId {
    RealmId::of(&RootKey(root().verifying_key().to_bytes()))
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn direct() -> ConversationId {
    ConversationId::direct(&realm(), &name("bob"), &name("alice"))
}

fn credentials(byte: u8, user: &str) -> Credentials {
    let statement: Signed<DeviceStatement> = keys(byte).statement(realm(), name(user));
    let certificate: Signed<Certificate> = certificate::issue(&statement.claim().unwrap(), NOW, &root());
    Credentials { statement, certificate }
}

fn genesis() -> Signed<Genesis> {
    let genesis = Genesis {
        realm: realm(),
        name: RoomName::parse("#dev").unwrap(),
        owner: keys(ALICE).identity(),
        owner_name: name("alice"),
        private: true,
        history: History::Joined,
        nonce: ChainId([0x51; 16]),
        at: NOW,
        rotations: List::default(),
    };
    Signed::sign(&genesis, keys(ALICE).identity_signer())
}

fn room_id() -> RoomId {
    RoomId(genesis().id())
}

fn entry(index: u32, previous: EntryId, topic: &str) -> Signed<LogEntry> {
    let entry = LogEntry { room: room_id(), index, previous, at: NOW, act: Act::Topic { text: Text::cut(topic) } };
    Signed::sign(&entry, keys(ALICE).identity_signer())
}

/// Bob has to go; of what he said, one event counts.
fn removal(previous: EntryId) -> Signed<LogEntry> {
    let cut = List::cut(vec![Cut { chain: ChainId([BOB; 16]), number: 1 }]);
    let removal = Removal { identity: keys(BOB).identity(), user: name("bob"), cut, reason: Text::cut("enough") };
    let entry = LogEntry { room: room_id(), index: 3, previous, at: NOW, act: Act::Remove(removal) };
    Signed::sign(&entry, keys(ALICE).identity_signer())
}

fn invite() -> Signed<Invite> {
    let expires = NOW.plus(common::limits::INVITE_LIFETIME);
    let invite = Invite { room: room_id(), invitee: keys(BOB).identity(), head: 2, at: NOW, expires };
    Signed::sign(&invite, keys(ALICE).identity_signer())
}

fn text_event(number: u64, previous: EventId, text: &str) -> WireEvent {
    sign(ALICE, direct(), 0, number, previous, &Content::Text(text.to_owned()))
}

/// Bob enters Alice's private room.
fn join() -> WireEvent {
    let statement = credentials(BOB, "bob").statement;
    let content = Content::Join(Box::new(Join { statement, invite: Some(invite()) }));
    sign(BOB, room_id().into(), 2, 1, NO_EVENT, &content)
}

fn sign(
    byte: u8,
    conversation: ConversationId,
    head: u32,
    number: u64,
    previous: EventId,
    content: &Content,
) -> WireEvent {
    let (kind, body) = content.encode().unwrap();
    let (author, chain): (IdentityKey, _) = (keys(byte).identity(), ChainId([byte; 16]));
    let parents = parents(number);
    let event =
        Event { conversation, author, chain, number, previous, parents, head, lamport: number, at: NOW, kind, body };
    let wire = event.sign(keys(byte).event_signer());
    let key: EventKey = keys(byte).event();
    assert_eq!(wire.verify(&key).unwrap(), event);
    wire
}

/// Of everything after a first event: bob's first.
fn parents(number: u64) -> List<Parent, PARENTS_MAX> {
    let parent = Parent { author: keys(BOB).identity(), chain: ChainId([BOB; 16]), number: 1 };
    if number == 1 { List::default() } else { List::cut(vec![parent]) }
}

fn have() -> Have {
    let last = text_event(2, text_event(1, NO_EVENT, "hello bob").id(), "are you there?").id();
    let holding = Holding { author: keys(ALICE).identity(), chain: ChainId([ALICE; 16]), number: 2, last: Some(last) };
    Have { conversation: direct(), head: 0, entry: None, holdings: List::cut(vec![holding]) }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn text(&mut self, name: &str, value: &str) {
        writeln!(self.text, "{name}: {value}").unwrap();
    }

    fn hex(&mut self, name: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return self.text(name, "(empty)");
        }
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.text(name, &digits);
    }

    fn signed<T: Signable>(&mut self, name: &str, signed: &Signed<T>) {
        self.text(&format!("{name}.context"), T::CONTEXT);
        self.hex(name, &signed.to_bytes());
        self.hex(&format!("{name}.id"), &signed.id());
    }

    fn event(&mut self, name: &str, wire: &WireEvent) {
        self.text(&format!("{name}.context"), EVENT_CONTEXT);
        self.hex(&format!("{name}.bytes"), &wire.bytes);
        self.hex(&format!("{name}.signature"), wire.signature.unwrap().as_bytes());
        self.hex(name, &codec::encode(wire));
        self.hex(&format!("{name}.id"), wire.id().as_bytes());
    }
}

const ROOT: [u8; 32] = [0x0a; 32];
const ALICE: u8 = 0x11;
const BOB: u8 = 0x21;
const REGISTRY_LINK: [u8; 32] = [0x31; 32];
const DIALER_EPHEMERAL: [u8; 32] = [0x41; 32];
const ANSWERER_EPHEMERAL: [u8; 32] = [0x42; 32];
const PASSWORD: &str = "correct horse battery staple";
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
