//! Private rooms: who was not invited does not see them, does not get in, and hears nothing from any member.

use std::time::Duration;

use common::ids::ConversationId;
use common::message::event::Content;
use common::message::peer::{Events, Have, PeerMessage};
use common::message::registry::{Reply, Request};
use common::wire::bounded::List;
use tests::wire::{PeerLink, Person, RegistryLink, Room};
use tests::{JsonPeer, Registry};

#[test]
fn only_the_invited_get_in() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.must("/create #board --private --topic Plans", "created");
    assert!(carol.must("/rooms", "rooms").items("rooms").is_empty(), "carol does not see it");
    let refusal = carol.ask("/join #board");
    assert!(matches!(refusal.text("code"), "no_such_room" | "not_invited"), "{refusal}");
    carol.refused("/accept #board", "not_invited");
    bob.refused("/invite carol #board", "not_member");

    alice.ask("/invite bob #board");
    let invited = bob.wait("the invitation", |event| event.is("invited"));
    assert_eq!((invited.text("conversation"), invited.text("by")), ("#board", "alice"));
    assert!(bob.must("/invites", "invites").to_string().contains("#board"));
    bob.must("/accept #board", "joined");
    alice.wait("bob joining", |event| event.is("joined") && event.text("user") == "bob");
    alice.says("#board between us");
    bob.hears("#board", "alice", "between us");
    bob.says("#board nobody else");
    alice.hears("#board", "bob", "nobody else");
    assert!(bob.must("/rooms", "rooms").to_string().contains("#board"), "members see it");

    // An invitation is for one person, and only the owner may write one.
    bob.refused("/invite carol #board", "not_permitted");
    carol.ask("/join #board");
    alice.ask("/invite carol #board");
    carol.wait("the invitation", |event| event.is("invited"));
    carol.must("/decline #board", "declined");
    assert!(carol.must("/invites", "invites").items("invites").is_empty());
    let heard = carol.so_far().iter().any(|event| event.is("message") || event.is("joined"));
    carol.transcript().check(!heard, "carol hears of nothing");
    let dave = JsonPeer::start(&registry, "dave");
    alice.must("/invite dave #board", "invite_sent");
    dave.wait("the invitation", |event| event.is("invited"));
    dave.must("/join #board", "joined");
    dave.says("#board I was invited");
    bob.hears("#board", "dave", "I was invited");
}

#[test]
fn a_room_that_was_left_needs_a_new_invitation() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #board --private", "created");
    alice.must("/invite bob #board", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #board", "joined");
    bob.must("/part #board", "parted");
    alice.wait("bob leaving", |event| event.is("parted"));
    alice.must("#board alone again", "message");
    alice.must("/invite bob #board", "invite_sent");
    bob.must("/accept #board", "joined");
    alice.wait("bob coming back", |event| event.is("joined") && event.text("user") == "bob");
    alice.says("#board together again");
    bob.hears("#board", "alice", "together again");
}

/// Mallory has an account and, from somebody careless, everything about the room but an invitation.
#[test]
fn a_stranger_who_dials_a_member_gets_nothing_of_the_room() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #board --private", "created");
    alice.must("/invite bob #board", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #board", "joined");
    alice.says("#board a secret");

    let [dave, mallory] = ["dave", "mallory"].map(Person::new);
    let mut at_dave = RegistryLink::sign_up(registry.address(), &dave);
    alice.must("/invite dave #board", "invite_sent");
    let leaked = Room::find(&mut at_dave, "#board");
    let mut at_mallory = RegistryLink::sign_up(registry.address(), &mallory);

    // At the registry, without and with dave's invitation.
    for invite in [None, leaked.invite.clone()] {
        let join = leaked.join(&mallory, &at_mallory, invite);
        let refusal = at_mallory.ask(Request::JoinRoom { join }).unwrap_err();
        assert!(matches!(refusal.code.as_str(), "not_invited" | "no_such_room" | "not_permitted"), "{refusal:?}");
    }
    let members = at_mallory.ask(Request::Members { room: leaked.id, after: None });
    assert!(!matches!(members, Ok(Reply::Members { .. })), "{members:?}");

    // At a member's link, with the same two joins and with words of her own.
    let record = at_mallory.lookup("bob");
    let device = record.credentials.certificate.claim().unwrap().device;
    let credentials = at_mallory.credentials.clone().unwrap();
    let mut link = PeerLink::dial(&bob.listen(), device, &mallory, &credentials).expect("mallory has an account");
    let conversation = ConversationId::from(leaked.id);
    for invite in [None, leaked.invite.clone()] {
        let join = leaked.join(&mallory, &at_mallory, invite);
        let genesis = Box::new(leaked.genesis.clone());
        link.sealed.send(&PeerMessage::RoomHello { room: leaked.id, genesis, join: join.clone() });
        let text = leaked.event(&mallory, 2, join.id(), &Content::Text("let me in".to_owned()));
        let events = List::cut(vec![join, text]);
        link.sealed.send(&PeerMessage::Events(Events { conversation, late: false, events }));
        link.sealed.send(&PeerMessage::Have(Have { conversation, head: 0, entry: None, holdings: List::default() }));
    }
    let heard = link.hear(Duration::from_secs(2));
    let of_the_room = heard.iter().any(|message| match message {
        PeerMessage::Events(events) => events.conversation == conversation,
        PeerMessage::Have(have) => have.conversation == conversation,
        PeerMessage::RoomHello { .. } | PeerMessage::RoomLog { .. } => true,
        _ => false,
    });
    assert!(!of_the_room, "mallory heard {heard:?}");
    alice.says("#board still between us");
    bob.hears("#board", "alice", "still between us");
    let shown = bob.so_far().iter().any(|event| event.to_string().contains("mallory"));
    bob.transcript().check(!shown, "bob is told nothing of mallory");
}
