//! A registry that never stops talking: lists without an end, floods, answers to nothing and of other kinds. Memory and
//! time stay bounded; it is hung up on, the user is told once, links to people stay, and it may come back.

use std::cell::{Cell, RefCell};

use common::message::registry::{FromRegistry, MailItem, MemberRecord, News, Reply, Request, RoomSummary};
use common::names::RoomName;
use common::wire::bounded::{Blob, List, Text};
use tests::JsonPeer;
use tests::evil::EvilRegistry;

use super::super::hostile_peer_link::resident_kib;
use super::{complaints, name, people, presence};

#[test]
fn lists_that_never_end_are_given_up() {
    // What is typed, which answer has no end, and at most how many requests that takes.
    type Lie = fn(&mut Reply);
    let lies: [(&str, Lie, usize); 5] = [
        ("/who", who_in_circles, 3),
        ("/who", who_for_ever, 30),
        ("/rooms", rooms_in_circles, 3),
        ("/join #dev", members_in_circles, 3),
        ("/whoami", mail_for_ever, 130),
    ];
    for (line, lie, requests_max) in lies {
        let registry = EvilRegistry::start();
        let [alice] = people(&registry, ["alice"]);
        alice.must("/create #dev", "created");
        alice.must("/part #dev", "parted");
        let before = (resident_kib(alice.pid()), registry.heard("alice").len());
        registry.bend_replies(move |_, reply| lie(reply));
        assert!(registry.tell("alice", News::Mail));
        alice.ask(line);
        if line != "/who" || requests_max < 10 {
            hung_up(&alice);
        }
        let grown = resident_kib(alice.pid()).saturating_sub(before.0);
        let asked = registry.heard("alice").len() - before.1;
        let told = complaints(&alice);
        alice.transcript().check(grown < 24 * 1024, &format!("{line}: alice grew by {grown} KiB"));
        alice.transcript().check(asked <= requests_max + 4, &format!("{line}: she asked {asked} times"));
        alice.transcript().check(told <= 1, &format!("{line}: she was told {told} times"));
    }
}

#[test]
fn a_flood_is_cut_off_and_told_once_and_hurts_nobody() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    let before = resident_kib(alice.pid());
    let news = presence("bob", true);
    let count = (0..FLOOD).take_while(|_| registry.tell("alice", news.clone())).count();
    alice.transcript().check(count < FLOOD, "all of the flood was taken");
    hung_up(&alice);
    // The next flood comes as soon as it is spoken to again; people go on talking all the while.
    alice.says("@bob meanwhile");
    bob.hears("@alice", "alice", "meanwhile");
    let stray = FromRegistry::Reply { id: 4_000_000_000, reply: Box::new(Reply::Done) };
    alice.wait("the link", |event| event.is("link") && event.text("state") == "online");
    let count = (0..FLOOD).take_while(|_| registry.say("alice", &stray)).count();
    alice.transcript().check(count < FLOOD, "all answers to nothing were taken");
    hung_up(&alice);
    alice.says("@bob after");
    bob.hears("@alice", "alice", "after");
    let grown = resident_kib(alice.pid()).saturating_sub(before);
    alice.transcript().check(grown < 24 * 1024, &format!("alice grew by {grown} KiB"));
    assert_eq!(complaints(&alice), 1, "told once");
}

#[test]
fn answers_of_another_kind_end_the_connection_and_no_link() {
    for line in ["/whois bob", "/who", "/rooms", "/join #dev", "/invites"] {
        let registry = EvilRegistry::start();
        let [alice, bob] = people(&registry, ["alice", "bob"]);
        alice.says("@bob before");
        bob.must("/create #dev", "created");
        registry.bend_replies(|about, reply| {
            if !matches!(about.request, Some(Request::Ping)) {
                *reply = Reply::Watching { online: List::cut(vec![name("mallory")]) };
            }
        });
        let refusal = alice.ask(line);
        alice.transcript().check(refusal.is("error"), &format!("{line}: {refusal}"));
        hung_up(&alice);
        assert_eq!(complaints(&alice), 1, "{line}");
        alice.says("@bob after");
        bob.hears("@alice", "alice", "after");
        registry.repent();
        alice.wait("the link", |event| event.is("link") && event.text("state") == "online");
        assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"], "it is given another chance");
    }
}

fn hung_up(peer: &JsonPeer) {
    peer.wait("the end of the connection", |event| event.is("link") && event.text("state") == "offline");
}

fn who_in_circles(reply: &mut Reply) {
    if let Reply::Online { users, more } = reply {
        (*users, *more) = (List::cut((0..1000).map(|number| name(&format!("ghost-{number:04}"))).collect()), true);
    }
}

/// Other names on each page, as long as somebody asks.
fn who_for_ever(reply: &mut Reply) {
    thread_local!(static PAGES: Cell<u64> = const { Cell::new(0) });
    if let Reply::Online { users, more } = reply {
        let page = PAGES.replace(PAGES.get() + 1);
        let names = (0..1000).map(|number| name(&format!("ghost-{page:08}-{number:04}")));
        (*users, *more) = (List::cut(names.collect()), true);
    }
}

fn rooms_in_circles(reply: &mut Reply) {
    if let Reply::Rooms { rooms, more } = reply {
        let numbered = (0..50).map(|number| RoomSummary {
            name: RoomName::parse(&format!("#ghosts-{number:02}")).unwrap(),
            private: false,
            members: 1,
            owner: name("ghost"),
            topic: Text::default(),
            joined: false,
        });
        (*rooms, *more) = (List::cut(numbered.collect()), true);
    }
}

fn members_in_circles(reply: &mut Reply) {
    thread_local!(static FIRST: RefCell<Vec<MemberRecord>> = const { RefCell::new(Vec::new()) });
    if let Reply::Members { members, more } = reply {
        let first = FIRST.with_borrow_mut(|first| {
            first.extend(members.iter().filter(|_| first.is_empty()).cloned().collect::<Vec<_>>());
            first.clone()
        });
        (*members, *more) = (List::cut(first), true);
    }
}

/// Rubbish under numbers that grow, as long as somebody asks.
fn mail_for_ever(reply: &mut Reply) {
    thread_local!(static NEXT: Cell<u64> = const { Cell::new(1) });
    if let Reply::Mail { items, more } = reply {
        let begin = NEXT.replace(NEXT.get() + 64);
        let rubbish = (begin..begin + 64).map(|id| MailItem { id, item: Blob::new(vec![0; 300]).unwrap() });
        (*items, *more) = (List::cut(rubbish.collect()), true);
    }
}

const FLOOD: usize = 60_000;
