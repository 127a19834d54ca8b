//! One honest value of every kind, from fixed keys.

use common::ids::{AuthKey, ChainId, EntryId, IdentityKey, MailKey, RealmId, RoomId, RootKey, SignUpToken};
use common::message::event::{Content, Event, Join, NO_EVENT, Parent, WireEvent};
use common::message::mail::Mail;
use common::message::peer::{Events, Have, Hello, Holding, Want};
use common::message::receipt::{Receipt, Receipts};
use common::message::registry::{
    Code, Invitation, MailItem, MemberRecord, PersonRecord, PresenceChange, Refusal, RoomSummary,
};
use common::message::room::{Act, Cut, Genesis, History, Invite, LogEntry, NO_ENTRY, Removal};
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::secure::certificate::{self, Credentials};
use common::secure::handshake::{PeerGreeting, RegistryProof};
use common::secure::identity::{DeviceSecret, DeviceStatement, KEYS_BYTES, Keys};
use common::secure::mail::Prekey;
use common::secure::rotation::Rotations;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::address::Address;
use common::wire::bounded::{Blob, List, Text};
use ed25519_dalek::SigningKey;

pub(crate) fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

pub(crate) fn dev() -> RoomName {
    RoomName::parse("#dev").unwrap()
}

pub(crate) fn auth() -> AuthKey {
    AuthKey([0xaa; 32])
}

pub(crate) fn token() -> SignUpToken {
    SignUpToken([0xee; 16])
}

pub(crate) fn chain() -> ChainId {
    ChainId([0xcc; 16])
}

pub(crate) fn addresses() -> Vec<Address> {
    ["192.0.2.7:41000", "[2001:db8::7]:41000"].map(|text| Address(text.parse().unwrap())).to_vec()
}

pub(crate) fn credentials() -> Credentials {
    let statement = statement();
    let certificate = certificate::issue(&statement.claim().unwrap(), NOW, &root());
    Credentials { statement, certificate }
}

pub(crate) fn statement() -> Signed<DeviceStatement> {
    keys().statement(realm(), alice())
}

/// Of keys that followed others.
pub(crate) fn later_statement() -> Signed<DeviceStatement> {
    successor().statement(realm(), alice())
}

pub(crate) fn rotations() -> Rotations {
    successor().rotations().clone()
}

fn successor() -> Keys {
    keys().succeeded_by(&Secret::new([4; KEYS_BYTES])).unwrap()
}

pub(crate) fn proof() -> RegistryProof {
    RegistryProof::new(&root(), &DeviceSecret::from_bytes([3; 32]), "1.0.0")
}

pub(crate) fn greeting() -> PeerGreeting {
    PeerGreeting { version: Text::cut("1.0.0") }
}

pub(crate) fn hello() -> Hello {
    let capabilities = List::cut(vec![Text::cut("edits")]);
    Hello { version: Text::cut("1.0.0"), capabilities, credentials: Some(credentials()) }
}

pub(crate) fn genesis() -> Signed<Genesis> {
    let genesis = Genesis {
        realm: realm(),
        name: dev(),
        owner: keys().identity(),
        owner_name: alice(),
        private: true,
        history: History::Joined,
        nonce: ChainId([1; 16]),
        at: NOW,
        rotations: List::default(),
    };
    Signed::sign(&genesis, keys().identity_signer())
}

pub(crate) fn room() -> RoomId {
    RoomId(genesis().id())
}

pub(crate) fn entry() -> Signed<LogEntry> {
    let act = Act::Topic { text: Text::cut("lunch") };
    let entry = LogEntry { room: room(), index: 1, previous: NO_ENTRY, at: NOW, act };
    Signed::sign(&entry, keys().identity_signer())
}

pub(crate) fn removal() -> Removal {
    let cut = List::cut(vec![Cut { chain: chain(), number: 300 }]);
    Removal { identity: IdentityKey([0xbb; 32]), user: alice(), cut, reason: Text::cut("enough") }
}

pub(crate) fn invite() -> Signed<Invite> {
    let invitee = IdentityKey([0xbb; 32]);
    let invite = Invite { room: room(), invitee, head: 1, at: NOW, expires: UnixMillis(NOW.0 + 1) };
    Signed::sign(&invite, keys().identity_signer())
}

pub(crate) fn invitation() -> Invitation {
    Invitation { genesis: genesis(), invite: invite() }
}

pub(crate) fn join() -> WireEvent {
    event(&Content::Join(Box::new(Join { statement: statement(), invite: Some(invite()) })))
}

pub(crate) fn part() -> WireEvent {
    event(&Content::Part("bye".to_owned()))
}

pub(crate) fn event(content: &Content) -> WireEvent {
    let (kind, body) = content.encode().unwrap();
    let event = Event {
        conversation: room().into(),
        author: keys().identity(),
        chain: chain(),
        number: 1,
        previous: NO_EVENT,
        parents: List::cut(vec![parent()]),
        head: 0,
        lamport: 300,
        at: NOW,
        kind,
        body,
    };
    event.sign(keys().event_signer())
}

fn parent() -> Parent {
    Parent { author: IdentityKey([0xbb; 32]), chain: ChainId([0xbc; 16]), number: 7 }
}

pub(crate) fn want() -> Want {
    Want { conversation: room().into(), author: keys().identity(), chain: chain(), from: 70_001 }
}

pub(crate) fn events() -> Events {
    let unsigned = WireEvent { signature: None, ..part() };
    Events { conversation: room().into(), late: true, events: List::cut(vec![unsigned, part()]) }
}

pub(crate) fn receipts() -> Receipts {
    let (conversation, author, receipts) = (room().into(), keys().identity(), List::cut(vec![receipt()]));
    Receipts { conversation, author, hops: 3, receipts }
}

pub(crate) fn receipt() -> Signed<Receipt> {
    let member = IdentityKey([0xbb; 32]);
    let receipt = Receipt { conversation: room().into(), member, from: 1, holding: holding() };
    Signed::sign(&receipt, keys().event_signer())
}

fn holding() -> Holding {
    Holding { author: keys().identity(), chain: chain(), number: 70_000, last: Some(join().id()) }
}

pub(crate) fn have() -> Have {
    let holding = holding();
    let entry = Some(EntryId(entry().id()));
    Have { conversation: room().into(), head: 1, entry, holdings: List::cut(vec![holding]) }
}

pub(crate) fn person() -> PersonRecord {
    PersonRecord {
        credentials: credentials(),
        online: false,
        addresses: List::cut(addresses()),
        last_seen: Some(NOW),
        prekey: Some(prekey()),
    }
}

pub(crate) fn prekey() -> Signed<Prekey> {
    let (key, expires) = (MailKey([0xdd; 32]), UnixMillis(NOW.0 + 1));
    let prekey = Prekey { realm: realm(), user: alice(), number: 3, key, at: NOW, expires };
    Signed::sign(&prekey, keys().identity_signer())
}

pub(crate) fn item() -> MailItem {
    MailItem { id: 300, item: Blob::new(vec![0xee; 308]).unwrap() }
}

pub(crate) fn mail() -> Mail {
    let events = List::cut(vec![part()]);
    Mail { credentials: credentials(), have: have(), join: Some(join()), skipped: 300, events, again: false }
}

pub(crate) fn member() -> MemberRecord {
    MemberRecord { user: alice(), online: true, join: join(), part: Some(part()) }
}

pub(crate) fn summary() -> RoomSummary {
    RoomSummary { name: dev(), private: true, members: 3, owner: alice(), topic: Text::cut("lunch"), joined: true }
}

pub(crate) fn change() -> PresenceChange {
    PresenceChange { user: alice(), online: true }
}

pub(crate) fn refusal() -> Refusal {
    Refusal::later(Code::Throttled, "Too many. Try again in 30 s.", 30)
}

fn keys() -> Keys {
    let seed: Vec<u8> = (0..KEYS_BYTES).map(|index| if index < 32 { 7 } else { 8 + u8::from(index < 64) }).collect();
    Keys::from_seed(&Secret::new(seed.try_into().unwrap()))
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn realm() -> RealmId {
    RealmId::of(&RootKey(root().verifying_key().to_bytes()))
}

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
