//! Members whom only another member knows: what that one shows of them is checked as if they had come themselves.

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::limits::STRANGERS_MAX;
use common::message::event::{Content, WireEvent};
use common::message::peer::{Events, Have, Holding, PeerMessage, Want};
use common::message::registry::Request;
use common::wire::bounded::List;
use tests::wire::{PeerLink, Person, RegistryLink, Room};
use tests::{DEADLINE, JsonPeer, Registry};

#[test]
fn a_private_rooms_invitation_is_asked_of_whoever_is_introduced() {
    let (alice, mut carol) = with_carol();
    let (dave, honest) = carol.invited(&alice, "dave");
    let mallory = Person::new("mallory");
    let [own, stolen] =
        [None, carol.room.invite.clone()].map(|invite| carol.room.join(&mallory, &carol.at_registry, invite));
    for join in [&own, &stolen] {
        carol.offers([mallory.keys.identity()], 2);
        assert_eq!(carol.is_asked().author, mallory.keys.identity());
        carol.introduces(&mallory, join, "let me in");
    }
    // What nobody asked for introduces nobody.
    for join in [&stolen, &honest] {
        carol.link.sealed.send(&PeerMessage::Member { room: carol.room.id, join: join.clone(), part: None });
    }
    carol.offers([dave.keys.identity()], 2);
    assert_eq!(carol.is_asked().author, dave.keys.identity());
    let members = alice.must("/names #board", "members").to_string();
    alice.transcript().check(!members.contains("dave"), &format!("too soon: {members}"));
    carol.introduces(&dave, &honest, "I was invited");
    alice.wait("dave joining", |event| event.is("joined") && event.text("user") == "dave");
    alice.hears("#board", "dave", "I was invited");
    let members = alice.must("/names #board", "members").to_string();
    alice.transcript().check(members.contains("dave"), &members);
    let told = alice.so_far().into_iter().find(|event| event.to_string().contains("mallory"));
    alice.transcript().check(told.is_none(), &format!("alice was told {told:?}"));
}

#[test]
fn only_so_many_strangers_are_asked_for_on_a_link() {
    let (alice, mut carol) = with_carol();
    let (dave, honest) = carol.invited(&alice, "dave");
    carol.offers([dave.keys.identity()], 2);
    carol.is_asked();
    carol.introduces(&dave, &honest, "the first of them");
    alice.hears("#board", "dave", "the first of them");
    carol.offers((0..=u8::MAX).map(|number| IdentityKey([number; 32])), 2);
    // Whoever is known comes after those of whom nothing is here.
    carol.offers([dave.keys.identity()], 3);
    let asked = std::iter::from_fn(|| {
        let Want { author, .. } = carol.is_asked();
        carol.answers(Vec::new());
        (author != dave.keys.identity()).then_some(author)
    });
    assert_eq!(asked.count(), STRANGERS_MAX - 1, "and dave");
}

/// A member of alice's private room, by script.
struct Carol {
    room: Room,
    at_registry: RegistryLink,
    link: PeerLink,
    registry: Registry,
}

fn with_carol() -> (JsonPeer, Carol) {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    alice.must("/create #board --private", "created");
    let person = Person::new("carol");
    let mut at_registry = RegistryLink::sign_up(registry.address(), &person);
    alice.must("/invite carol #board", "invite_sent");
    let room = Room::find(&mut at_registry, "#board");
    let join = room.join(&person, &at_registry, room.invite.clone());
    at_registry.ask(Request::JoinRoom { join: join.clone() }).unwrap();
    alice.wait("carol joining", |event| event.is("joined") && event.text("user") == "carol");
    let device = at_registry.lookup("alice").credentials.certificate.claim().unwrap().device;
    let credentials = at_registry.credentials.clone().unwrap();
    let mut link = PeerLink::dial(&alice.listen(), device, &person, &credentials).expect("carol has an account");
    link.sealed.send(&PeerMessage::RoomHello { room: room.id, genesis: Box::new(room.genesis.clone()), join });
    (alice, Carol { room, at_registry, link, registry })
}

impl Carol {
    /// Somebody whom alice invites, and a join that the registry never hears of.
    fn invited(&self, alice: &JsonPeer, name: &str) -> (Person, WireEvent) {
        let person = Person::new(name);
        let mut at_registry = RegistryLink::sign_up(self.registry.address(), &person);
        alice.must(&format!("/invite {name} #board"), "invite_sent");
        let room = Room::find(&mut at_registry, "#board");
        let join = room.join(&person, &at_registry, room.invite.clone());
        (person, join)
    }

    /// Says to hold this much of these people's chains.
    fn offers(&mut self, authors: impl IntoIterator<Item = IdentityKey>, number: u64) {
        let holdings =
            authors.into_iter().map(|author| Holding { author, chain: ChainId([7; 16]), number, last: None });
        let holdings = List::new(holdings.collect()).unwrap();
        self.link.sealed.send(&PeerMessage::Have(Have { conversation: self.id(), head: 0, entry: None, holdings }));
    }

    fn is_asked(&mut self) -> Want {
        loop {
            match self.link.sealed.next(DEADLINE).expect("carol is asked in time") {
                Some(PeerMessage::Want(want)) => return want,
                Some(_) => {}
                None => panic!("alice closed the link"),
            }
        }
    }

    /// Shows how somebody is a member, and what they said.
    fn introduces(&mut self, person: &Person, join: &WireEvent, text: &str) {
        self.link.sealed.send(&PeerMessage::Member { room: self.room.id, join: join.clone(), part: None });
        let text = self.room.event(person, 2, join.id(), &Content::Text(text.to_owned()));
        self.answers(vec![join.clone(), text]);
    }

    fn answers(&mut self, events: Vec<WireEvent>) {
        let events = List::new(events).unwrap();
        self.link.sealed.send(&PeerMessage::Events(Events { conversation: self.id(), late: true, events }));
    }

    fn id(&self) -> ConversationId {
        self.room.id.into()
    }
}
