//! Lies about rooms: members that are none, members that are hidden, rooms and owners that are invented, logs from
//! before, and presence that is not so.

use std::time::Duration;

use common::ids::{ChainId, RealmId, RoomId};
use common::message::event::WireEvent;
use common::message::registry::{Code, FromRegistry, Invitation, MemberRecord, News, Refusal, Reply, Request};
use common::message::room::{Genesis, History, Invite};
use common::names::RoomName;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::List;
use tests::evil::EvilRegistry;
use tests::programs::Kept;
use tests::wire::{Person, RegistryLink, Room};
use tests::{Event, JsonPeer};

use super::{answered, in_room, is_told, looks_up, name, people, presence, shown};

#[test]
fn nobody_is_made_a_member_of_a_private_room() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    let mallory = Person::new("mallory");
    let at_mallory = RegistryLink::sign_up(registry.address(), &mallory);
    alice.must("/create #board --private", "created");
    alice.must("/invite bob #board", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    let room = room_asked_for(&registry, &bob, "#board");
    let invite = Invite {
        room: room.id,
        invitee: mallory.keys.identity(),
        head: 0,
        at: UnixMillis(0),
        expires: UnixMillis(u64::MAX / 2),
    };
    let signed_by_herself = Signed::sign(&invite, mallory.keys.identity_signer());
    for join in [
        room.join(&mallory, &at_mallory, None),
        room.join(&mallory, &at_mallory, Some(signed_by_herself)),
        room.join(&mallory, &at_mallory, room.invite.clone()),
    ] {
        invent(&registry, &["alice", "bob"], room.id, "mallory", join);
    }
    for peer in [&alice, &bob] {
        let members = peer.must("/names #board", "members").to_string();
        peer.transcript().check(!members.contains("mallory"), &members);
    }
    let own = alice.says("#board between us");
    let told = alice.seen();
    let delivery = told.iter().find(|event| event.is("delivery") && event.text("id") == own.text("id")).unwrap();
    assert_eq!(delivery.number("of"), Some(1), "bob alone is a recipient");
    bob.hears("#board", "alice", "between us");
    assert!(!told_of(&bob, "mallory") && !told_of(&alice, "mallory"));
}

#[test]
fn an_invented_member_does_not_get_a_known_name() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob we know each other");
    in_room(&[&alice], "#dev");
    let room = room_asked_for(&registry, &bob, "#dev");
    bob.must("/part #dev", "parted");
    alice.wait("bob leaving", |event| event.is("parted"));
    // In a public room everybody's join counts; this one is signed, but not by whom alice knows as bob.
    let fake = Person::new("bob");
    let at_registry = RegistryLink::connect(registry.address(), &fake);
    invent(&registry, &["alice"], room.id, "bob", room.join(&fake, &at_registry, None));
    let members = alice.must("/names #dev", "members").to_string();
    alice.transcript().check(!members.contains("bob"), &members);
    let joined = alice.so_far().iter().filter(|event| event.is("joined") && event.text("user") == "bob").count();
    assert_eq!(joined, 1, "when he really did");
}

#[test]
fn a_hidden_member_is_found_by_the_others() {
    let registry = EvilRegistry::start();
    let [alice, bob, carol] = people(&registry, ["alice", "bob", "carol"]);
    in_room(&[&bob, &carol], "#dev");
    hide(&registry, &[("alice", "bob")], true);
    alice.must("/join #dev", "joined");
    bob.wait("alice joining", |event| event.is("joined") && event.text("user") == "alice");
    bob.says("#dev can you hear me?");
    alice.hears("#dev", "bob", "can you hear me?");
    alice.says("#dev I can");
    bob.hears("#dev", "alice", "I can");
    carol.hears("#dev", "alice", "I can");
    assert!(alice.must("/names #dev", "members").to_string().contains("bob"));
}

#[test]
fn two_who_are_hidden_from_each_other_meet_through_a_third() {
    let registry = EvilRegistry::start();
    let [alice, bob, carol] = people(&registry, ["alice", "bob", "carol"]);
    hide(&registry, &[("alice", "bob"), ("bob", "alice")], true);
    in_room(&[&carol, &alice], "#dev");
    alice.says("#dev is there nobody but carol?");
    bob.must("/join #dev", "joined");
    bob.hears("#dev", "alice", "is there nobody but carol?");
    alice.wait("bob joining", |event| event.is("joined") && event.text("user") == "bob");
    let own = alice.must("#dev there you are", "message");
    alice.wait("both having it", |event| {
        event.text("id") == own.text("id") && is_told(event, "delivered") && event.number("done") == Some(2)
    });
    bob.says("#dev I was here all along");
    alice.hears("#dev", "bob", "I was here all along");
    for peer in [&alice, &bob, &carol] {
        let members = peer.must("/names #dev", "members").objects("members");
        let members: Vec<_> = members.iter().map(|member| member.text("user").to_owned()).collect();
        assert_eq!(members, ["alice", "bob", "carol"], "by {}", peer.name());
    }
    assert_eq!(shown(&bob, "#dev", "alice"), ["is there nobody but carol?", "there you are"]);
}

/// There is no way from one to the other: all of it arrives, and none of it is said to have.
#[test]
fn two_who_cannot_find_each_other_hear_each_other_through_a_third() {
    let registry = EvilRegistry::start();
    let [alice, bob, carol] = people(&registry, ["alice", "bob", "carol"]);
    hide(&registry, &[("alice", "bob"), ("bob", "alice")], false);
    in_room(&[&carol, &alice, &bob], "#dev");
    for text in ["can you", "hear me?"] {
        alice.must(&format!("#dev {text}"), "message");
    }
    bob.must("#dev I can", "message");
    // Carol offers what she holds soon after somebody came, and once a minute.
    bob.wait_for(MINUTES, "it by way of carol", |event| event.is_message("#dev", "alice"));
    alice.wait_for(MINUTES, "the answer by way of carol", |event| event.is_message("#dev", "bob"));
    bob.hears("#dev", "alice", "hear me?");
    assert_eq!(shown(&bob, "#dev", "alice"), ["can you", "hear me?"]);
    let own = alice.must("#dev and now?", "message");
    alice.wait("carol having it", |event| {
        event.text("id") == own.text("id") && is_told(event, "delivered") && event.number("of") == Some(2)
    });
    let by_bob = alice.so_far().into_iter().find(|event| is_told(event, "delivered") && event.text("to") == "bob");
    alice.transcript().check(by_bob.is_none(), &format!("bob cannot have said so: {by_bob:?}"));
}

#[test]
fn invented_rooms_and_owners_are_refused() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob we know each other");
    let [fake_bob, ghost] = ["bob", "ghost"].map(Person::new);
    let genesis = |owner: &Person, room: &str, realm| Genesis {
        realm,
        name: RoomName::parse(room).unwrap(),
        owner: owner.keys.identity(),
        owner_name: owner.name.clone(),
        private: false,
        history: History::All,
        nonce: ChainId([1; 16]),
        at: UnixMillis(1_800_000_000_000),
        rotations: List::default(),
    };
    let realm = registry.realm();
    let sign = |genesis: &Genesis, by: &Person| Signed::sign(genesis, by.keys.identity_signer());
    let lies = [
        ("another name", sign(&genesis(&ghost, "#other", realm), &ghost), "internal"),
        ("not signed by its owner", sign(&genesis(&ghost, "#plans", realm), &fake_bob), "internal"),
        ("another realm", sign(&genesis(&ghost, "#plans", RealmId([1; 32])), &ghost), "internal"),
        ("bob's, with other keys", sign(&genesis(&fake_bob, "#plans", realm), &fake_bob), "key_blocked"),
    ];
    for (what, genesis, code) in lies {
        let reply = Reply::Room { genesis: Box::new(genesis), invite: None };
        registry.bend(move |about, message| match about.request {
            Some(Request::FindRoom { .. }) => answered(&message, reply.clone()),
            _ => vec![message],
        });
        let refusal = alice.ask("/join #plans");
        alice.transcript().check(refusal.text("code") == code, &format!("{what}: {refusal}"));
    }
    // A name that is known means the room it meant before.
    registry.repent();
    in_room(&[&alice, &bob], "#dev");
    alice.must("/part #dev", "parted");
    let other = sign(&genesis(&ghost, "#dev", realm), &ghost);
    registry.bend(move |about, message| match about.request {
        Some(Request::FindRoom { .. }) => {
            answered(&message, Reply::Room { genesis: Box::new(other.clone()), invite: None })
        }
        _ => vec![message],
    });
    alice.refused("/join #dev", "not_permitted");

    // Invitations in bob's name are not his; those of ghosts are told a few times and no more.
    registry.repent();
    let invited = |owner: &Person, room: &str, to: &common::ids::IdentityKey| {
        let genesis = sign(&Genesis { private: true, ..genesis(owner, room, realm) }, owner);
        let (id, expires) = (RoomId(genesis.id()), UnixMillis(u64::MAX / 2));
        let invite = Invite { room: id, invitee: *to, head: 0, at: UnixMillis(0), expires };
        News::Invited(Box::new(Invitation { genesis, invite: Signed::sign(&invite, owner.keys.identity_signer()) }))
    };
    let mut asking = RegistryLink::sign_up(registry.address(), &ghost);
    let me = asking.lookup("alice").credentials.statement.claim().unwrap().identity;
    assert!(registry.tell("alice", invited(&fake_bob, "#secret", &me)));
    for number in 0..200 {
        assert!(registry.tell("alice", invited(&ghost, &format!("#ghosts-{}", number % 100), &me)));
    }
    let invitations: Vec<Event> = alice.so_far().into_iter().filter(|event| event.is("invited")).collect();
    assert!(invitations.iter().all(|event| event.text("by") == "ghost"), "{invitations:?}");
    assert!((1..=32).contains(&invitations.len()), "{} were told", invitations.len());
    alice.quit();
    assert_eq!(Kept::of(&alice.launch).rooms(), 1, "none of them was stored");
}

#[test]
fn an_old_log_of_a_room_undoes_nothing_and_a_hidden_one_comes_from_members() {
    let registry = EvilRegistry::start();
    let [alice, bob, carol] = people(&registry, ["alice", "bob", "carol"]);
    in_room(&[&alice, &bob], "#dev");
    for topic in ["first", "second"] {
        alice.must(&format!("/topic {topic}"), "topic");
        bob.wait("the topic", |event| event.is("topic") && event.text("text") == topic);
    }
    let entries: Vec<News> = registry
        .heard("alice")
        .into_iter()
        .filter_map(|request| match request {
            Request::AddEntry { entry } => Some(News::Entry { entry: Box::new(entry) }),
            _ => None,
        })
        .collect();
    assert_eq!(entries.len(), 2);
    for entry in entries.iter().chain(&entries) {
        assert!(registry.tell("bob", entry.clone()));
    }
    assert_eq!(bob.must("/topic", "topic").text("text"), "second");
    let told = bob.so_far().iter().filter(|event| event.is("topic") && event.text("by") == "alice").count();
    assert_eq!(told, 2, "each once");

    registry.bend_replies(|_, reply| {
        if let Reply::Log { entries, more } = reply {
            (*entries, *more) = (List::default(), false);
        }
    });
    carol.must("/join #dev", "joined");
    carol.wait("the topic, from a member", |event| event.is("topic") && event.text("text") == "second");
    assert_eq!(carol.must("/topic", "topic").text("text"), "second");
}

/// However many rooms somebody has left, a registry that knows it is not told so again.
#[test]
fn a_leave_is_said_once_to_a_registry_that_has_it_and_again_to_one_that_lies_about_it() {
    let registry = EvilRegistry::start();
    let [mut alice] = people(&registry, ["alice"]);
    let parts = || {
        let heard = registry.heard("alice").into_iter();
        heard.filter(|request| matches!(request, Request::PartRoom { .. })).count()
    };
    for room in ["#one", "#two", "#three"] {
        alice.must(&format!("/create {room}"), "created");
        alice.must(&format!("/part {room}"), "parted");
    }
    let room = registry.heard("alice").into_iter().find_map(|request| match request {
        Request::CreateRoom { genesis, .. } => Some(RoomId(genesis.id())),
        _ => None,
    });
    let room = room.unwrap();
    for (said, is_lying) in [(3, false), (4, true), (4, false)] {
        registry.bend_replies(move |_, reply| match reply {
            Reply::Memberships { rooms, .. } if is_lying => *rooms = List::cut(vec![room]),
            _ => {}
        });
        alice.quit();
        alice.restart();
        // Twice, for what the first answer led to was asked before the second.
        alice.must("/who", "online");
        alice.must("/who", "online");
        assert_eq!(parts(), said, "lying: {is_lying}");
    }
}

#[test]
fn forged_presence_delays_nothing_and_strangers_are_nobodys_news() {
    let registry = EvilRegistry::start();
    let [alice, mut bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    // He is said to be gone, and is not.
    assert!(registry.tell("alice", presence("bob", false)));
    alice.says("@bob you are there, whatever they say");
    bob.hears("@alice", "alice", "you are there, whatever they say");
    for number in 0..500 {
        assert!(registry.tell("alice", presence(&format!("ghost-{number}"), true)));
    }
    assert!(!told_of(&alice, "ghost-"), "nobody whom alice has anything with");
    // He is said to be there, and is gone.
    bob.quit();
    registry.bend_replies(|_, reply| {
        if let Reply::Person(record) = reply {
            record.online = true;
        }
    });
    for _ in 0..20 {
        assert!(registry.tell("alice", presence("bob", true)));
    }
    alice.must("@bob and now?", "message");
    alice.wait("the text waiting", is_waiting);
    bob.restart();
    bob.hears("@alice", "alice", "and now?");
    assert_eq!(shown(&bob, "@alice", "alice"), ["and now?"]);
}

/// For the first of each pair the second is in no room, and perhaps not even to be found by name.
fn hide(registry: &EvilRegistry, pairs: &[(&'static str, &'static str)], is_found: bool) {
    let pairs = pairs.to_vec();
    registry.bend(move |about, mut message| {
        let Some((_, hidden)) = pairs.iter().find(|(user, _)| *user == about.user) else { return vec![message] };
        match &mut message {
            FromRegistry::Reply { id, .. } if !is_found && looks_up(about.request, hidden) => {
                vec![FromRegistry::Refused { id: *id, refusal: Refusal::new(Code::NoSuchUser, "Nobody of that name.") }]
            }
            FromRegistry::Reply { reply, .. } => {
                if let Reply::Members { members, .. } = &mut **reply {
                    let seen = members.iter().filter(|record| record.user.as_str() != *hidden).cloned();
                    *members = List::cut(seen.collect());
                }
                vec![message]
            }
            FromRegistry::News(news) if matches!(**news, News::Member { .. } | News::Presence { .. }) => Vec::new(),
            _ => vec![message],
        }
    });
}

/// What the registry itself tells of a room to `peer`, who enters it.
fn room_asked_for(registry: &EvilRegistry, peer: &JsonPeer, room: &str) -> Room {
    let (tell, told) = std::sync::mpsc::channel();
    registry.bend_replies(move |_, reply| {
        if let Reply::Room { genesis, invite } = reply {
            let _ = tell.send((genesis.clone(), invite.clone()));
        }
    });
    peer.must(&format!("/join {room}"), "joined");
    registry.repent();
    let (genesis, invite) = told.recv().unwrap();
    Room { id: RoomId(genesis.id()), genesis: *genesis, invite }
}

/// Says to `people` that somebody has entered.
fn invent(registry: &EvilRegistry, people: &[&str], room: RoomId, user: &str, join: WireEvent) {
    let record = MemberRecord { user: name(user), online: true, join, part: None };
    for person in people {
        assert!(registry.tell(person, News::Member { room, member: Box::new(record.clone()) }));
    }
}

fn told_of(peer: &JsonPeer, who: &str) -> bool {
    peer.so_far().iter().any(|event| event.to_string().contains(who))
}

fn is_waiting(event: &Event) -> bool {
    is_told(event, "queued") || is_told(event, "mailbox")
}

const MINUTES: Duration = Duration::from_secs(150);
