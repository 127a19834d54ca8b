//! A member who tells different people different things: as soon as those people talk, both know it, and each has what
//! the other was told.

use common::ids::ConversationId;
use common::message::event::Content;
use common::message::peer::{Events, Have, PeerMessage};
use common::message::registry::{Reply, Request};
use common::wire::bounded::List;
use tests::wire::{PeerLink, Person, RegistryLink, Room};
use tests::{JsonPeer, Registry};

#[test]
fn who_was_told_something_else_gets_it_from_the_others() {
    let registry = Registry::start(&[]);
    let [bob, mut carol] = JsonPeer::start_all(&registry, ["bob", "carol"]);
    bob.must("/create #dev", "created");
    carol.must("/join #dev", "joined");
    let mallory = Person::new("mallory");
    let mut at_mallory = RegistryLink::sign_up(registry.address(), &mallory);
    let room = Room::find(&mut at_mallory, "#dev");
    let join = room.join(&mallory, &at_mallory, None);
    assert_eq!(at_mallory.ask(Request::JoinRoom { join: join.clone() }), Ok(Reply::Done));

    let credentials = at_mallory.credentials.clone().unwrap();
    let mut links = Vec::new();
    for (peer, text) in [(&bob, "yes"), (&carol, "no")] {
        peer.wait("mallory joining", |event| event.is("joined") && event.text("user") == "mallory");
        let device = at_mallory.lookup(peer.name()).credentials.certificate.claim().unwrap().device;
        let mut link = PeerLink::dial(&peer.listen(), device, &mallory, &credentials).expect("mallory is known");
        let (conversation, genesis) = (ConversationId::from(room.id), Box::new(room.genesis.clone()));
        let have = Have { conversation, head: 0, entry: None, holdings: List::default() };
        link.sealed.send(&PeerMessage::RoomHello { room: room.id, genesis, join: join.clone() });
        link.sealed.send(&PeerMessage::Have(have));
        let said = room.event(&mallory, 2, join.id(), &Content::Text(text.to_owned()));
        let events = List::cut(vec![join.clone(), said]);
        link.sealed.send(&PeerMessage::Events(Events { conversation, late: false, events }));
        peer.hears("#dev", "mallory", text);
        links.push(link);
    }

    // The next time the two link, they compare.
    carol.quit();
    carol.restart();
    for (peer, other) in [(&bob, "no"), (&carol, "yes")] {
        let told = peer.wait("mallory's lie", |event| event.is("fork"));
        assert_eq!((told.text("conversation"), told.text("from")), ("#dev", "mallory"));
        let shown = peer.hears("#dev", "mallory", other);
        assert!(shown.flag("late"), "{shown}");
        let history = peer.must("/history #dev", "history").objects("items");
        let mut texts: Vec<_> = history.iter().map(|item| item.text("text")).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["no", "yes"]);
    }

    // Both were shown: a new start tells neither again.
    carol.quit();
    carol.restart();
    let told = carol.so_far().into_iter().find(|event| event.is_message("#dev", "mallory"));
    assert!(told.is_none(), "told again: {told:?}");
}
