//! Rooms: made, listed, entered, talked in and left, by many at once and in spite of members that fail.

use common::message::registry::{Reply, Request};
use tests::{Event, JsonPeer, Registry};

use super::one_to_one::text_of;

#[test]
fn three_people_share_a_room() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.must("/create #dev --topic What we build", "created");
    alice.wait("the topic being set", |event| event.is("topic"));
    let rooms = bob.must("/rooms", "rooms").objects("rooms");
    assert_eq!(rooms.len(), 1);
    assert_eq!((rooms[0].text("name"), rooms[0].text("owner"), rooms[0].number("members")), ("#dev", "alice", Some(1)));
    assert_eq!(
        (rooms[0].text("topic"), rooms[0].flag("private"), rooms[0].flag("joined")),
        ("What we build", false, false)
    );
    bob.must("/join #dev", "joined");
    carol.must("/join #Dev", "joined");
    alice.wait("bob joining", |event| event.is("joined") && event.text("user") == "bob");
    alice.wait("carol joining", |event| event.is("joined") && event.text("user") == "carol");
    bob.wait("carol joining", |event| event.is("joined") && event.text("user") == "carol");
    assert_eq!(members(&carol, "#dev"), ["alice", "bob", "carol"]);

    let own = alice.says("hello all");
    for peer in [&bob, &carol] {
        let heard = peer.hears("#dev", "alice", "hello all");
        assert_eq!(heard.text("id"), own.text("id"));
    }
    carol.says("#dev hello alice");
    alice.hears("#dev", "carol", "hello alice");
    bob.hears("#dev", "carol", "hello alice");
    alice.must("/topic Something else", "topic");
    bob.wait("the new topic", |event| event.is("topic") && event.text("text") == "Something else");

    bob.must("/part #dev", "parted");
    alice.wait("bob leaving", |event| event.is("parted") && event.text("user") == "bob");
    carol.wait("bob leaving", |event| event.is("parted") && event.text("user") == "bob");
    alice.says("#dev without bob");
    carol.hears("#dev", "alice", "without bob");
    assert!(!bob.so_far().iter().any(|event| event.text("text") == "without bob"), "bob has left");
    bob.refused("#dev am I here?", "not_member");
    // One's own membership of other rooms is untouched, and coming back works.
    bob.must("/join #dev", "joined");
    alice.wait("bob coming back", |event| event.is("joined") && event.text("user") == "bob");
    bob.says("#dev back again");
    alice.hears("#dev", "bob", "back again");
    carol.hears("#dev", "bob", "back again");
}

#[test]
fn rooms_need_a_name_that_is_free() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.refused("/create #dev", "room_exists");
    bob.refused("/create", "usage");
    bob.refused("/join", "usage");
    bob.refused("/create #", "bad_name");
    bob.refused("/create #a room", "bad_name");
    bob.refused("/join #nowhere", "no_such_room");
    bob.refused("/names #dev", "not_member");
}

#[test]
fn fifty_lines_pasted_by_each_of_five_are_all_everywhere_in_order_once() {
    let registry = Registry::start(&[]);
    let names = ["alice", "bob", "carol", "dave", "erin"];
    let peers = JsonPeer::start_all(&registry, names);
    peers[0].must("/create #dev", "created");
    for peer in &peers[1..] {
        peer.must("/join #dev", "joined");
    }
    for peer in &peers {
        let lines: Vec<String> = (0..50).map(|number| format!("#dev {} says {number}", peer.name())).collect();
        peer.send(&lines.join("\n"));
    }
    for peer in &peers {
        for name in names {
            peer.wait(&format!("the last line of {name}"), |event| {
                event.is("message") && event.text("from") == name && event.text("text") == format!("{name} says 49")
            });
        }
    }
    for peer in &peers {
        let events = peer.so_far();
        for name in names {
            let said: Vec<String> = events.iter().filter_map(|event| text_of(event, name)).collect();
            let expected: Vec<String> = (0..50).map(|number| format!("{name} says {number}")).collect();
            let who = peer.name();
            peer.transcript().check(said == expected, &format!("{who} heard of {name}: {said:?}"));
        }
    }
}

#[test]
fn people_who_join_at_the_same_time_all_hear_each_other() {
    let registry = Registry::start(&[]);
    let names = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let peers = JsonPeer::start_all(&registry, names);
    peers[0].must("/create #dev", "created");
    peers[1..].iter().for_each(|peer| peer.send("/join #dev"));
    for peer in &peers[1..] {
        peer.wait("being in the room", |event| event.is("joined") && event.text("user") == peer.name());
    }
    peers.iter().for_each(|peer| peer.send(&format!("#dev hello from {}", peer.name())));
    for peer in &peers {
        for name in names.iter().filter(|name| **name != peer.name()) {
            peer.hears("#dev", name, &format!("hello from {name}"));
        }
        assert_eq!(members(peer, "#dev").len(), names.len());
    }
}

#[test]
fn a_member_that_stops_or_dies_holds_nobody_up() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol, dave] = JsonPeer::start_all(&registry, ["alice", "bob", "carol", "dave"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    carol.must("/join #dev", "joined");
    alice.says("#dev everybody here");

    carol.signal(libc::SIGSTOP);
    for number in 0..20 {
        alice.send(&format!("#dev while carol sleeps {number}"));
    }
    bob.hears("#dev", "alice", "while carol sleeps 19");
    carol.signal(libc::SIGCONT);
    carol.hears("#dev", "alice", "while carol sleeps 19");
    let heard = carol.so_far().iter().filter(|event| event.text("text").starts_with("while carol")).count();
    assert_eq!(heard, 20);

    carol.kill9();
    alice.send("#dev without carol");
    bob.hears("#dev", "alice", "without carol");
    dave.must("/join #dev", "joined");
    dave.send("#dev I am new");
    alice.hears("#dev", "dave", "I am new");
    bob.hears("#dev", "dave", "I am new");
}

#[test]
fn the_last_member_that_fits_gets_the_whole_list_and_the_next_is_refused() {
    use tests::wire::{Person, RegistryLink, Room};
    let registry = Registry::start(&["--set", "passwords.bcrypt_cost=4"]);
    let alice = JsonPeer::start(&registry, "alice");
    alice.must("/create #dev", "created");
    // They enter and are gone again: members need not be there.
    for person in (0..MEMBERS_BUT_TWO).map(|number| Person::new(&format!("member-{number}"))) {
        let mut link = RegistryLink::sign_up(registry.address(), &person);
        let room = Room::find(&mut link, "#dev");
        assert_eq!(link.ask(Request::JoinRoom { join: room.join(&person, &link, None) }), Ok(Reply::Done));
    }
    let last = JsonPeer::start(&registry, "last");
    last.must("/join #dev", "joined");
    assert_eq!(members(&last, "#dev").len(), common::limits::MEMBERS_MAX);
    let late = JsonPeer::start(&registry, "late");
    late.refused("/join #dev", "too_large");
}

fn members(peer: &JsonPeer, room: &str) -> Vec<String> {
    let answer = peer.must(&format!("/names {room}"), "members");
    let mut names: Vec<String> = answer.objects("members").iter().map(user_of).collect();
    names.sort_unstable();
    names
}

fn user_of(member: &Event) -> String {
    member.text("user").to_owned()
}

const MEMBERS_BUT_TWO: usize = common::limits::MEMBERS_MAX - 2;
