//! What the owner of a room decides: who has to go, who may come back, whose the room is and when it ends. Every member
//! sees the same, those who were away too, and whoever was removed hears nothing more.

use common::message::peer::PeerMessage;
use common::message::registry::{Reply, Request};
use common::message::room::{Act, LogEntry, NO_ENTRY};
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::{List, Text};
use tests::wire::{PeerLink, Person, RegistryLink, Room};
use tests::{Event, JsonPeer, Registry};

/// A public room of the first, with the others in it.
fn room_of<const N: usize>(registry: &Registry, names: [&str; N]) -> [JsonPeer; N] {
    let peers = JsonPeer::start_all(registry, names);
    peers[0].must("/create #dev", "created");
    for peer in &peers[1..] {
        peer.must("/join #dev", "joined");
        peers[0].wait("somebody joining", |event| event.is("joined") && event.text("user") == peer.name());
    }
    peers
}

fn is_about(event: &Event, kind: &str, user: &str) -> bool {
    event.is(kind) && event.text("conversation") == "#dev" && event.text("user") == user
}

fn members(peer: &JsonPeer) -> Vec<(String, bool)> {
    let listed = peer.must("/names #dev", "members").objects("members");
    listed.iter().map(|member| (member.text("user").to_owned(), member.flag("owner"))).collect()
}

#[test]
fn who_is_kicked_is_told_why_and_hears_nothing_more() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = room_of(&registry, ["alice", "bob", "carol"]);
    bob.says("#dev before");
    let refusal = bob.refused("/kick carol", "not_permitted");
    assert!(refusal.text("text").contains("alice"), "it names the owner: {refusal}");
    alice.refused("/kick dave", "no_such_user");
    alice.refused("/kick alice", "usage");

    let told = alice.must("/kick bob keep it friendly", "kicked");
    assert_eq!((told.text("user"), told.text("by"), told.text("text")), ("bob", "alice", "keep it friendly"));
    for peer in [&bob, &carol] {
        let told = peer.wait("bob being kicked", |event| is_about(event, "kicked", "bob"));
        assert_eq!((told.text("by"), told.text("text")), ("alice", "keep it friendly"));
    }
    alice.says("#dev without bob");
    carol.hears("#dev", "alice", "without bob");
    bob.refused("#dev am I here?", "not_member");
    let heard = bob.so_far().iter().any(|event| event.text("text") == "without bob");
    bob.transcript().check(!heard, "bob is out");
    assert_eq!(members(&carol), [("alice".to_owned(), true), ("carol".to_owned(), false)]);
    alice.refused("/kick bob", "not_member");
    assert_eq!(alice.must("/rooms dev", "rooms").objects("rooms")[0].number("members"), Some(2));

    // It is a public room, and nobody banned bob.
    bob.must("/join #dev", "joined");
    carol.wait("bob coming back", |event| is_about(event, "joined", "bob"));
    bob.says("#dev sorry");
    carol.hears("#dev", "bob", "sorry");
    alice.says("#dev good");
    bob.hears("#dev", "alice", "good");
}

#[test]
fn who_is_banned_stays_out_until_the_ban_is_lifted() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = room_of(&registry, ["alice", "bob", "carol"]);
    let dave = JsonPeer::start(&registry, "dave");
    alice.must("/ban bob spam", "banned");
    bob.wait("being banned", |event| is_about(event, "banned", "bob") && event.text("text") == "spam");
    carol.wait("bob being banned", |event| is_about(event, "banned", "bob"));
    let refusal = bob.refused("/join #dev", "banned");
    assert!(refusal.text("text").contains("alice"), "it names whom to ask: {refusal}");
    alice.must("/ban #dev dave", "banned");
    dave.refused("/join #dev", "banned");
    let bans = alice.must("/bans", "bans").objects("bans");
    let listed: Vec<_> = bans.iter().map(|ban| (ban.text("user"), ban.text("text"))).collect();
    assert_eq!(listed, [("bob", "spam"), ("dave", "")]);
    carol.refused("/bans", "not_permitted");
    carol.refused("/unban bob", "not_permitted");

    alice.refused("/unban carol", "usage");
    alice.must("/unban bob", "unbanned");
    carol.wait("the ban being lifted", |event| is_about(event, "unbanned", "bob"));
    assert_eq!(alice.must("/bans", "bans").objects("bans").len(), 1);
    bob.must("/join #dev", "joined");
    bob.says("#dev thank you");
    carol.hears("#dev", "bob", "thank you");
}

#[test]
fn a_room_that_was_given_away_obeys_its_new_owner() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = room_of(&registry, ["alice", "bob", "carol"]);
    let dave = JsonPeer::start(&registry, "dave");
    alice.refused("/owner dave", "not_member");
    let told = alice.must("/owner bob", "owner");
    assert_eq!((told.text("user"), told.text("by")), ("bob", "alice"));
    for peer in [&bob, &carol] {
        peer.wait("the new owner", |event| is_about(event, "owner", "bob") && event.text("by") == "alice");
    }
    assert_eq!(members(&carol)[..2], [("alice".to_owned(), false), ("bob".to_owned(), true)]);
    assert_eq!(dave.must("/rooms dev", "rooms").objects("rooms")[0].text("owner"), "bob");
    let refusal = alice.refused("/kick carol", "not_permitted");
    assert!(refusal.text("text").contains("bob"), "{refusal}");
    alice.refused("/topic mine", "not_permitted");
    bob.must("/topic bob's", "topic");
    carol.wait("the topic", |event| event.is("topic") && event.text("text") == "bob's");
    bob.must("/kick alice your turn", "kicked");
    alice.wait("being kicked", |event| is_about(event, "kicked", "alice") && event.text("by") == "bob");
    carol.says("#dev two of us");
    bob.hears("#dev", "carol", "two of us");
}

#[test]
fn a_closed_room_is_over_for_everybody_and_stays_readable() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = room_of(&registry, ["alice", "bob"]);
    alice.says("#dev last words");
    bob.hears("#dev", "alice", "last words");
    bob.refused("/close #dev", "not_permitted");
    alice.refused("/close", "usage");
    let told = alice.must("/close --yes", "closed");
    assert_eq!((told.text("conversation"), told.text("by")), ("#dev", "alice"));
    bob.wait("the room being closed", |event| event.is("closed") && event.text("by") == "alice");
    for peer in [&alice, &bob] {
        peer.refused("#dev anybody?", "not_member");
        peer.refused("/join #dev", "no_such_room");
        assert!(peer.must("/rooms", "rooms").items("rooms").is_empty());
    }
    alice.refused("/create #dev", "room_exists");
    bob.quit();
    bob.restart();
    bob.refused("#dev anybody?", "not_member");
    let history = bob.must("/history #dev", "history");
    assert!(history.to_string().contains("last words"), "{history}");
}

/// The owner is gone again when bob comes back: he learns of it from the registry, and what he says before that reaches
/// nobody.
#[test]
fn who_was_away_learns_of_it_on_return_without_the_owner() {
    let registry = Registry::start(&[]);
    let [alice, mut bob, carol] = room_of(&registry, ["alice", "bob", "carol"]);
    bob.quit();
    alice.must("/kick bob", "kicked");
    carol.wait("bob being kicked", |event| is_about(event, "kicked", "bob"));
    alice.quit();
    bob.restart();
    bob.wait("having been kicked", |event| is_about(event, "kicked", "bob") && event.text("by") == "alice");
    bob.refused("#dev hello?", "not_member");
    carol.must("#dev just me", "message");
    let heard = bob.so_far().iter().any(|event| event.text("text") == "just me");
    bob.transcript().check(!heard, "bob is out");
}

/// Without a registry, another member says so; and what bob wrote meanwhile is refused, not lost in silence.
#[test]
fn a_member_tells_whoever_comes_back_while_the_registry_is_away() {
    let mut registry = Registry::start(&[]);
    let [alice, mut bob, carol] = room_of(&registry, ["alice", "bob", "carol"]);
    bob.quit();
    alice.must("/ban bob spam", "banned");
    carol.wait("bob being banned", |event| is_about(event, "banned", "bob"));
    alice.quit();
    registry.kill();
    bob.restart();
    let own = bob.must("#dev hello carol", "message");
    bob.wait("being told", |event| is_about(event, "banned", "bob") && event.text("text") == "spam");
    bob.wait("what was said being refused", |event| {
        event.is("delivery") && event.text("id") == own.text("id") && event.text("state") == "refused"
    });
    let heard = carol.so_far().iter().any(|event| event.text("text") == "hello carol");
    carol.transcript().check(!heard, "what bob said counts no more");
    registry.restart();
}

#[test]
fn who_was_removed_from_a_private_room_needs_a_new_invitation() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev --private", "created");
    alice.must("/invite bob", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #dev", "joined");
    alice.wait("bob joining", |event| is_about(event, "joined", "bob"));
    alice.must("/kick bob", "kicked");
    bob.wait("being kicked", |event| is_about(event, "kicked", "bob"));
    assert!(bob.must("/rooms", "rooms").items("rooms").is_empty(), "he does not see it");
    bob.refused("/join #dev", "not_invited");
    alice.must("#dev a secret", "message");
    let heard = bob.so_far().iter().any(|event| event.text("text") == "a secret");
    bob.transcript().check(!heard, "he is not in");
    alice.must("/invite bob", "invite_sent");
    bob.wait("the new invitation", |event| event.is("invited"));
    bob.must("/accept #dev", "joined");
    alice.wait("bob coming back", |event| is_about(event, "joined", "bob"));
    alice.says("#dev together again");
    bob.hears("#dev", "alice", "together again");
}

/// Carol never knew the room while it was alice's: whose the invitation is she learns from its log.
#[test]
fn a_new_owner_invites_and_removes_in_a_private_room() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.must("/create #dev --private", "created");
    alice.must("/invite bob", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #dev", "joined");
    alice.wait("bob joining", |event| is_about(event, "joined", "bob"));
    alice.must("/owner bob", "owner");
    bob.wait("the room", |event| is_about(event, "owner", "bob"));
    alice.refused("/invite carol", "not_permitted");
    bob.must("/invite carol", "invite_sent");
    let invited = carol.wait("the invitation", |event| event.is("invited"));
    assert_eq!((invited.text("conversation"), invited.text("by")), ("#dev", "bob"));
    carol.must("/accept #dev", "joined");
    carol.says("#dev thanks");
    bob.must("/kick alice", "kicked");
    carol.wait("alice being kicked", |event| is_about(event, "kicked", "alice"));
    alice.refused("/join #dev", "not_invited");
    carol.says("#dev between us");
    bob.hears("#dev", "carol", "between us");
}

/// Olga's program signs one decision for bob and another, under the same number, for everybody else.
#[test]
fn an_owner_who_decides_twice_under_one_number_freezes_the_room() {
    let registry = Registry::start(&[]);
    let olga = Person::new("olga");
    let mut at_olga = RegistryLink::sign_up(registry.address(), &olga);
    let (room, _) = Room::create(&mut at_olga, &olga, "#dev");
    let [bob, carol] = JsonPeer::start_all(&registry, ["bob", "carol"]);
    for peer in [&bob, &carol] {
        peer.must("/join #dev", "joined");
    }
    bob.wait("carol joining", |event| is_about(event, "joined", "carol"));
    bob.must("#dev still fine", "message");
    carol.hears("#dev", "bob", "still fine");
    let entry = |text: &str| {
        let act = Act::Topic { text: Text::cut(text) };
        let entry = LogEntry { room: room.id, index: 1, previous: NO_ENTRY, at: UnixMillis(1), act };
        Signed::sign(&entry, olga.keys.identity_signer())
    };
    let [tea, coffee] = ["tea", "coffee"].map(entry);

    let device = at_olga.lookup("bob").credentials.certificate.claim().unwrap().device;
    let credentials = at_olga.credentials.clone().unwrap();
    let mut link = PeerLink::dial(&bob.listen(), device, &olga, &credentials).expect("olga has an account");
    let entries = List::cut(vec![tea]);
    link.sealed.send(&PeerMessage::RoomLog { room: room.id, entries });
    bob.wait("the topic for bob", |event| event.is("topic") && event.text("text") == "tea");
    assert_eq!(at_olga.ask(Request::AddEntry { entry: coffee }), Ok(Reply::Done));
    for peer in [&bob, &carol] {
        let frozen = peer.wait("the room being frozen", |event| event.is("frozen"));
        assert_eq!(
            (frozen.text("conversation"), frozen.text("by"), frozen.number("number")),
            ("#dev", "olga", Some(1))
        );
        let mut shown = frozen.texts("entries");
        shown.sort_unstable();
        assert_eq!(shown, ["the topic is \"coffee\"", "the topic is \"tea\""]);
        let refusal = peer.refused("#dev hello?", "not_permitted");
        assert!(refusal.text("text").contains("olga"), "{refusal}");
        assert!(peer.must("/history #dev", "history").to_string().contains("still fine"));
    }
}
