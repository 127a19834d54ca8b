//! What becomes of a message after it was said: edited, deleted, reacted to, traced; as a program reads it and as a
//! person sees it. And that nobody changes what another said.

use std::time::{Duration, Instant};

use common::ids::{ConversationId, EventId};
use common::message::event::{Content, Event as ChainEvent, NO_EVENT, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::message::registry::Request;
use common::names::UserName;
use common::wire::address::Address;
use common::wire::bounded::List;
use tests::wire::{PeerLink, Person, RegistryLink};
use tests::{DEADLINE, Event, JsonPeer, Registry};

use super::terminal::on_terminal;

#[test]
fn messages_are_edited_deleted_and_reacted_to() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let gren = alice.says("@bob deploy is gren");
    let slip = alice.says("@bob a slip");
    alice.send("/query bob");
    let edited = does(&alice, "/edit ^2 deploy is green", "edited");
    assert_eq!((edited.text("id"), edited.text("text")), (gren.text("id"), "deploy is green"));
    assert_eq!((edited.text("conversation"), edited.text("from"), edited.flag("own")), ("@bob", "alice", true));
    let heard = bob.wait("the edit", |event| event.is("edited"));
    assert_eq!((heard.text("id"), heard.text("event")), (gren.text("id"), edited.text("event")));
    assert!(heard.text("conversation") == "@alice" && !heard.flag("own") && !heard.flag("late"), "{heard}");
    does(&alice, "/delete", "deleted");
    let heard = bob.wait("the deletion", |event| event.is("deleted"));
    assert_eq!((heard.text("id"), heard.text("text"), heard.text("from")), (slip.text("id"), "", "alice"));
    // By the beginning of an id, in whatever conversation is current; digits make it an id.
    let beginning = beginning_with_a_digit(gren.text("id"));
    does(&bob, &format!("/react {beginning} 👍"), "reaction");
    let heard = alice.wait("the reaction", |event| event.is("reaction"));
    assert_eq!((heard.text("id"), heard.text("text"), heard.text("from")), (gren.text("id"), "👍", "bob"));
    bob.send("/query alice");
    for _ in 0..2 {
        for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
            let items = peer.must(&format!("/history {with}"), "history").objects("items");
            let [first, second] = &items[..] else { panic!("{items:?}") };
            assert_eq!((first.text("text"), first.flag("edited")), ("deploy is green", true));
            assert_eq!(first.field("reactions").to_string(), r#"{"👍":["bob"]}"#);
            assert_eq!((second.text("text"), second.flag("deleted")), ("", true));
            assert!(second.field("reactions").is_null() && first.field("deleted").is_null(), "only where there is one");
        }
        bob.kill9();
        bob.restart();
        bob.send("/query alice");
    }
    bob.refused("/edit ^alice I owe you money", "not_permitted");
    bob.refused("/delete", "usage");
    bob.refused("/react ^alice 123456789012345678901234567890123", "too_large");
    alice.refused("/delete ^", "usage");
    alice.refused("/edit ^7 nothing there", "usage");
    alice.refused("/trace 0123456789abcdef", "usage");
    assert_eq!(alice.must("/history bob 1d", "history").items("items").len(), 2);
    assert_eq!(alice.must("/history bob 2099-01-01", "history").items("items").len(), 0);
}

#[test]
fn where_a_message_is_and_why_can_be_asked() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let own = alice.says("@bob hello");
    bob.hears("@alice", "alice", "hello");
    alice.send("/query bob");
    let trace = alice.must("/trace", "trace");
    assert_eq!((trace.text("id"), trace.text("from")), (own.text("id"), "alice"));
    let steps = trace.objects("steps");
    let states: Vec<&str> = steps.iter().map(|step| step.text("state")).collect();
    assert_eq!(states, ["accepted", "sent", "delivered"]);
    assert_eq!(steps[2].text("to"), "bob");
    assert!(steps.iter().all(|step| !step.text("at").is_empty()) && steps[2].text("route").contains(':'), "{trace}");
    bob.send("/query alice");
    let trace = bob.must("/trace ^alice", "trace");
    let states: Vec<Event> = trace.objects("steps");
    assert_eq!((states[1].text("state"), states[1].text("via")), ("received", "author"));
    let why = alice.must("/why bob", "why");
    assert_eq!((why.text("state"), why.number("waiting")), ("linked", Some(0)));
    assert!(why.text("address").contains(':') && why.text("text").contains("bob"), "{why}");
    bob.quit();
    alice.wait("bob being gone", |event| event.is("presence") && !event.flag("online"));
    alice.must("@bob are you there?", "message");
    alice.wait("the text waiting", |event| event.is("delivery") && event.text("state") == "queued");
    let why = alice.must("/why bob", "why");
    assert_eq!((why.text("state"), why.number("waiting")), ("offline", Some(1)));
    let trace = alice.must("/trace", "trace").objects("steps");
    assert_eq!(trace.last().map(|step| step.text("state")), Some("queued"));
    alice.refused("/why alice", "usage");
    alice.refused("/why nobody-there", "no_such_user");
}

#[test]
fn what_each_address_answered_is_told() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let mut at_mallory = RegistryLink::sign_up(registry.address(), &Person::new("mallory"));
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let announced = Request::Announce { addresses: List::cut(vec![Address(closed)]) };
    at_mallory.ask(announced).unwrap();
    alice.must("@mallory hello", "message");
    alice.wait("the text waiting", |event| event.is("delivery") && event.text("state") == "queued");
    let deadline = Instant::now() + DEADLINE;
    let why = loop {
        let why = alice.must("/why mallory", "why");
        if why.text("state") == "waiting" {
            break why;
        }
        alice.transcript().check(Instant::now() < deadline, "no attempt failed");
    };
    assert_eq!(why.number("waiting"), Some(1));
    let tried = why.objects("tried");
    let refused = tried.iter().find(|tried| tried.text("address") == closed.to_string());
    assert!(refused.is_some_and(|tried| !tried.text("error").is_empty()), "{why}");
}

#[test]
fn nobody_changes_what_another_said() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let mallory = Person::new("mallory");
    let mut at_mallory = RegistryLink::sign_up(registry.address(), &mallory);
    let said = alice.must("@mallory I owe you nothing", "message");
    let target = event_id(said.text("id"));
    let device = at_mallory.lookup("alice").credentials.certificate.claim().unwrap().device;
    let name = |name: &str| UserName::parse(name).unwrap();
    let conversation = ConversationId::direct(&at_mallory.realm(), &name("alice"), &name("mallory"));
    let mut events: Vec<WireEvent> = Vec::new();
    let mut add = |content: Content| {
        let (kind, body) = content.encode().unwrap();
        let number = u64::try_from(events.len()).unwrap() + 1;
        let event = ChainEvent {
            conversation,
            author: mallory.keys.identity(),
            chain: common::ids::ChainId([5; 16]),
            number,
            previous: events.last().map_or(NO_EVENT, WireEvent::id),
            parents: Default::default(),
            head: 0,
            lamport: 100 + number,
            at: common::time::UnixMillis(1_800_000_000_000),
            kind,
            body,
        };
        events.push(event.sign(mallory.keys.event_signer()));
        events.last().unwrap().id()
    };
    add(Content::Edit { target, text: "I owe you money".to_owned() });
    add(Content::Delete { target });
    add(Content::Edit { target: EventId([9; 32]), text: "of nothing".to_owned() });
    let own = add(Content::Text("my own".to_owned()));
    add(Content::Edit { target: own, text: "my own, changed".to_owned() });
    let credentials = at_mallory.credentials.clone().unwrap();
    let mut link = PeerLink::dial(&alice.listen(), device, &mallory, &credentials).expect("mallory has an account");
    let message = Events { conversation, late: false, events: List::cut(events) };
    link.sealed.send(&PeerMessage::Events(message));
    let changed = alice.wait("mallory's change of her own", |event| event.is("edited"));
    assert_eq!((changed.text("text"), changed.text("from")), ("my own, changed", "mallory"));
    let items = alice.must("/history mallory", "history").objects("items");
    let texts: Vec<&str> = items.iter().map(|item| item.text("text")).collect();
    assert_eq!(texts, ["I owe you nothing", "my own, changed"]);
    let told = alice.so_far().iter().any(|event| event.is("deleted") || event.to_string().contains("I owe you money"));
    alice.transcript().check(!told, "a change by somebody else was told");
    link.hear(Duration::from_millis(10));
}

#[test]
fn a_person_sees_what_became_of_lines() {
    let registry = Registry::start(&[]);
    let [alice, bob] = ["alice", "bob"].map(|name| on_terminal(&registry, name));
    alice.enter("/query bob");
    alice.enter("deploy is gren");
    bob.wait_screen("deploy is gren");
    bob.enter("/query alice");
    bob.wait_screen("[@alice");
    alice.enter("/edit deploy is green");
    alice.wait_screen(r#"* you edited "#);
    bob.wait_screen(r#"* alice edited "deploy is gren" → "deploy is green""#);
    alice.wait_screen(r#"→ "deploy is green"  ✓"#);
    bob.enter("/refs on");
    bob.wait_screen("refs");
    bob.enter("/react ^alice +1");
    alice.wait_screen(r#"* bob reacted +1 to "deploy is green""#);
    alice.enter("/delete");
    bob.wait_screen(r#"* alice deleted a message ("deploy is green")"#);
    bob.enter("/history");
    bob.wait_screen("<alice> (deleted)");
    alice.enter("/trace");
    alice.wait_screen("on their disk (");
    alice.enter("/why bob");
    alice.wait_screen("bob is linked directly at ");
    for person in [alice, bob] {
        person.enter("/quit");
        assert_eq!(person.end(), 0);
        person.check_sane();
    }
}

/// Does something to a message, and waits until as many people as there are have it on disk.
#[track_caller]
fn does(peer: &JsonPeer, line: &str, kind: &str) -> Event {
    let own = peer.must(line, kind);
    peer.wait(&format!("'{line}' being delivered"), |event| {
        event.is("delivery") && event.text("id") == own.text("event") && event.number("done") == event.number("of")
    });
    own
}

fn beginning_with_a_digit(id: &str) -> &str {
    let digit = id.find(|c: char| c.is_ascii_digit()).unwrap();
    &id[..digit.max(7) + 1]
}

fn event_id(digits: &str) -> EventId {
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
    EventId::from_slice(&bytes).unwrap()
}
