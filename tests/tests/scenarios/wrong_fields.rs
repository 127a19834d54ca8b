//! A person with an account who says everything a peer can say, each time with one field wrong: each field of each
//! message and of an event once in every way. It ends the link or is passed over; nothing of it is shown or stored.

use std::time::Duration;

use common::ids::{ChainId, ConversationId, DeviceKey, EntryId, EventId};
use common::message::event::{COUNT_MAX, Content, EVENT_CONTEXT, Event, KIND_EDIT, KIND_JOIN, NO_EVENT, WireEvent};
use common::message::peer::{Events, Have, Hello, Holding, PeerMessage, Want};
use common::message::receipt::{Receipt, Receipts};
use common::message::room::{Act, LogEntry};
use common::secure::certificate::Credentials;
use common::secure::sign::{Signed, sign_bytes};
use common::time::UnixMillis;
use common::wire::bounded::{Blob, List, Text};
use common::wire::codec;
use tests::programs::Kept;
use tests::wire::{PeerLink, Person, RegistryLink, Room, mutants};
use tests::{JsonPeer, Registry};

use super::hostile_peer_link::resident_kib;

#[test]
fn one_wrong_field_anywhere_is_cut_or_passed_over_and_never_shown() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    let mut mallory = Mallory::new(&registry, &bob);
    let before = resident_kib(bob.pid());
    let mut messages: Vec<(String, Vec<u8>)> = Vec::new();
    for message in mallory.everything() {
        let bytes = codec::encode(&message);
        let wrong = mutants(&bytes, &["number", "from"]);
        messages.extend(wrong);
    }
    messages.push(("an unknown message".to_owned(), codec::encode(&"Pang")));
    let events = mallory.wrong_events();
    messages.extend(
        events.into_iter().map(|(what, wire)| (format!("event: {what}"), codec::encode(&mallory.events(wire)))),
    );
    assert!(messages.len() > 200, "{} ways to be wrong", messages.len());
    let (mut cut, mut passed_over) = (0, 0);
    for (what, bytes) in &messages {
        match mallory.says(bytes) {
            Some(true) => cut += 1,
            Some(false) => passed_over += 1,
            None => bob.transcript().fail(&format!("after {what} bob neither answered nor closed")),
        }
    }
    bob.transcript().check(cut > messages.len() / 2, &format!("{cut} cut, {passed_over} passed over"));
    alice.says("@bob still here?");
    bob.hears("@alice", "alice", "still here?");
    bob.says("#dev I am");
    alice.hears("#dev", "bob", "I am");
    let grown = resident_kib(bob.pid()).saturating_sub(before);
    bob.transcript().check(grown < 16 * 1024, &format!("bob grew by {grown} KiB"));
    // That she is there, and that she contradicts herself, may be said of her; none of her words.
    let told = bob.so_far().into_iter().find(|event| {
        let text = event.to_string();
        text.contains(WORDS) || text.contains("mallory") && !event.is("presence") && !event.is("fork")
    });
    bob.transcript().check(told.is_none(), &format!("bob was told {told:?}"));
    bob.quit();
    assert_eq!(Kept::of(&bob.launch).texts(), ["still here?", "I am"]);
}

struct Mallory {
    person: Person,
    credentials: Credentials,
    room: Room,
    join: WireEvent,
    address: String,
    device: DeviceKey,
    direct: ConversationId,
    link: Option<PeerLink>,
}

impl Mallory {
    fn new(registry: &Registry, bob: &JsonPeer) -> Self {
        let person = Person::new("mallory");
        let mut at_registry = RegistryLink::sign_up(registry.address(), &person);
        let record = at_registry.lookup("bob");
        let claim = record.credentials.certificate.claim().unwrap();
        let room = Room::find(&mut at_registry, "#dev");
        let join = room.join(&person, &at_registry, None);
        let direct = ConversationId::direct(&at_registry.realm(), &person.name, &claim.user);
        let credentials = at_registry.credentials.clone().unwrap();
        Self { person, credentials, room, join, address: bob.listen(), device: claim.device, direct, link: None }
    }

    /// One of each message, as she might say it.
    fn everything(&self) -> Vec<PeerMessage> {
        let (author, chain) = (self.person.keys.identity(), ChainId([5; 16]));
        let holding = Holding { author, chain, number: 1, last: Some(EventId([3; 32])) };
        let act = Act::Topic { text: Text::cut(WORDS) };
        let entry = LogEntry { room: self.room.id, index: 1, previous: EntryId([0; 32]), at: UnixMillis(0), act };
        let entry = Signed::sign(&entry, self.person.keys.identity_signer());
        let receipt = Receipt { conversation: self.room.id.into(), member: author, from: 1, holding };
        let credentials = Some(self.credentials.clone());
        let capabilities = List::cut(vec![Text::cut("telepathy")]);
        vec![
            PeerMessage::Hello(Box::new(Hello { version: Text::cut(WORDS), capabilities, credentials })),
            PeerMessage::RoomHello {
                room: self.room.id,
                genesis: Box::new(self.room.genesis.clone()),
                join: self.join.clone(),
            },
            PeerMessage::Have(Have {
                conversation: self.direct,
                head: 0,
                entry: Some(EntryId([4; 32])),
                holdings: List::cut(vec![holding]),
            }),
            PeerMessage::Member { room: self.room.id, join: self.join.clone(), part: None },
            PeerMessage::WantLog { room: self.room.id, from: 1 },
            PeerMessage::Want(Want { conversation: self.direct, author, chain, from: 1 }),
            self.events(self.event().sign(self.person.keys.event_signer())),
            PeerMessage::Skip { conversation: self.direct, chain, number: 1 },
            PeerMessage::RoomLog { room: self.room.id, entries: List::cut(vec![entry]) },
            PeerMessage::Receipts(Receipts {
                conversation: self.room.id.into(),
                author,
                hops: 0,
                receipts: List::cut(vec![Signed::sign(&receipt, self.person.keys.event_signer())]),
            }),
            PeerMessage::Status { away: Some(Text::cut("mallory is away")) },
        ]
    }

    fn events(&self, wire: WireEvent) -> PeerMessage {
        PeerMessage::Events(Events { conversation: self.direct, late: false, events: List::cut(vec![wire]) })
    }

    fn event(&self) -> Event {
        let (kind, body) = Content::Text(WORDS.to_owned()).encode().unwrap();
        Event {
            conversation: self.direct,
            author: self.person.keys.identity(),
            chain: ChainId([5; 16]),
            number: 1,
            previous: NO_EVENT,
            parents: List::default(),
            head: 0,
            lamport: 1,
            at: UnixMillis(1_800_000_000_000),
            kind,
            body,
        }
    }

    /// Events that she signed, every one of them wrong.
    fn wrong_events(&self) -> Vec<(String, WireEvent)> {
        let keys = &self.person.keys;
        // Any time and any body is hers to choose.
        let ill_formed = mutants(&codec::encode(&self.event()), &["at", "body"]).into_iter().map(|(what, bytes)| {
            let signature = Some(sign_bytes(EVENT_CONTEXT, &bytes, keys.event_signer()));
            (what, Blob::new(bytes).map(|bytes| WireEvent { bytes, signature }))
        });
        // What is longer than any event cannot even be sent.
        let ill_formed = ill_formed.filter_map(|(what, wire)| Some((what, wire.ok()?)));
        let good = self.event();
        let not_text = Blob::new(vec![0xff, 0xfe]).unwrap();
        let wrong = [
            ("of another conversation", Event { conversation: ConversationId([1; 32]), ..good.clone() }),
            ("in a room that she is not in", Event { conversation: self.room.id.into(), ..good.clone() }),
            ("of another author", Event { author: common::ids::IdentityKey([1; 32]), ..good.clone() }),
            ("number nothing", Event { number: 0, ..good.clone() }),
            ("number two, after nothing", Event { number: 2, ..good.clone() }),
            ("a number beyond all", Event { number: COUNT_MAX + 1, ..good.clone() }),
            ("a Lamport number beyond all", Event { lamport: COUNT_MAX + 1, ..good.clone() }),
            ("no UTF-8", Event { body: not_text.clone(), ..good.clone() }),
            ("a join that is none", Event { kind: KIND_JOIN, ..good.clone() }),
            ("an edit of nothing", Event { kind: KIND_EDIT, body: not_text, ..good.clone() }),
            ("after another", Event { chain: ChainId([6; 16]), previous: EventId([9; 32]), ..good.clone() }),
        ];
        let signed = wrong.map(|(what, event)| (what.to_owned(), event.sign(keys.event_signer())));
        let unsigned = WireEvent { signature: None, ..good.sign(keys.event_signer()) };
        let by_another = good.sign(Person::new("eve").keys.event_signer());
        let others = [("not signed".to_owned(), unsigned), ("signed by another".to_owned(), by_another)];
        ill_formed.chain(signed).chain(others).collect()
    }

    /// Says it and waits for what becomes of the link: `true` if it is cut.
    fn says(&mut self, bytes: &[u8]) -> Option<bool> {
        let link = self.link.take();
        let mut link = link
            .or_else(|| PeerLink::dial(&self.address, self.device, &self.person, &self.credentials))
            .expect("mallory has an account");
        let length = u16::try_from(bytes.len()).expect("it fits a frame").to_be_bytes();
        let mut plaintext = [length.as_slice(), bytes].concat();
        let sizes = common::limits::PADDED_BYTES;
        let size = sizes.into_iter().find(|size| *size >= plaintext.len()).expect("it fits a frame");
        plaintext.resize(size, 0);
        link.sealed.send_plaintext(&plaintext);
        link.sealed.send(&PeerMessage::Ping);
        loop {
            match link.sealed.next(AT_ONCE) {
                Ok(Some(PeerMessage::Pong)) => {
                    self.link = Some(link);
                    return Some(false);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Some(true),
                Err(_) => return None,
            }
        }
    }
}

const WORDS: &str = "words of somebody who is wrong";
const AT_ONCE: Duration = Duration::from_secs(10);
