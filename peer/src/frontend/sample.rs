//! One of every event, for the snapshots of all front-ends.

use std::net::SocketAddr;

use common::ids::EventId;
use common::names::{RoomName, UserName};
use common::time::UnixMillis;
use proptest::prelude::*;

use crate::api::{
    Act, Around, BanShown, CaughtUp, ChangeShown, Changes, Code, Delivery, DeliveryState, Event, Exit, FoundShown,
    InvitationShown, LinkState, MemberShown, MessageKind, MessageShown, PersonShown, Refusal, RoomChange, RoomShown,
    StepShown, StepState, Target, TraceShown, Tried, UnreadMark, Via, WhyShown, WhyState,
};

pub(crate) fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub(crate) fn target(name: &str) -> Target {
    Target::parse(name).unwrap()
}

/// 2026-05-12T14:03:07.042Z.
pub(crate) const NOON: UnixMillis = UnixMillis(1_778_594_587_042);

pub(crate) fn message(conversation: &str, from: &str, text: &str) -> MessageShown {
    MessageShown {
        conversation: target(conversation),
        id: EventId([7; 32]),
        from: user(from),
        text: text.to_owned(),
        kind: MessageKind::Text,
        at: NOON,
        own: from == "alice",
        late: false,
        changes: Changes::default(),
    }
}

pub(crate) fn change_of(conversation: &str, from: &str, act: Act) -> ChangeShown {
    ChangeShown {
        conversation: target(conversation),
        id: EventId([7; 32]),
        before: "deploy is gren".to_owned(),
        event: EventId([8; 32]),
        from: user(from),
        act,
        at: NOON,
        own: from == "alice",
        late: false,
    }
}

/// `/trace` and `/why`.
fn asked() -> Vec<Event> {
    let route: SocketAddr = "192.0.2.7:41000".parse().unwrap();
    let step = |to: Option<&str>, state, at: Option<u64>, route, via| StepShown {
        to: to.map(user),
        state,
        at: at.map(|after| UnixMillis(NOON.0 + after)),
        route,
        via,
    };
    let steps = vec![
        step(None, StepState::Accepted, Some(0), None, None),
        step(Some("bob"), StepState::Sent, Some(3), Some(route), None),
        step(Some("bob"), StepState::Delivered, Some(41), Some(route), None),
        step(Some("christine"), StepState::Queued, None, None, None),
    ];
    let mine = TraceShown {
        conversation: target("#dev"),
        id: EventId([7; 32]),
        from: user("alice"),
        at: NOON,
        own: true,
        steps,
    };
    let via = |via| {
        vec![
            step(None, StepState::Written, Some(0), None, None),
            step(None, StepState::Received, Some(90_000), Some(route), Some(via)),
            step(None, StepState::Stored, None, None, None),
        ]
    };
    let bobs = |brought| TraceShown { from: user("bob"), own: false, steps: via(brought), ..mine.clone() };
    let waiting = WhyShown {
        user: user("bob"),
        state: WhyState::Waiting,
        text: "bob was not reached, 2 times in a row; the next attempt is in 3 s.".to_owned(),
        address: None,
        tried: vec![Tried { address: route.to_string(), error: "connection refused".to_owned() }],
        waiting: 1,
    };
    let linked = WhyShown {
        state: WhyState::Linked,
        text: "bob is linked directly.".to_owned(),
        address: Some(route),
        tried: Vec::new(),
        waiting: 0,
        ..waiting.clone()
    };
    let theirs = [bobs(Via::Author), bobs(Via::Member(user("carol")))];
    let mut events = vec![Event::Trace(mine.clone())];
    events.extend(theirs.map(Event::Trace));
    events.extend([waiting, linked].map(Event::Why));
    events
}

fn changes() -> Vec<Event> {
    let edited = || Act::Edited { text: "deploy is green\n\u{1b}[31m".to_owned() };
    let reacted = |word: &str| Act::Reacted { word: word.to_owned() };
    let late = ChangeShown { late: true, ..change_of("@bob", "bob", Act::Deleted) };
    let told = vec![
        change_of("#dev", "bob", edited()),
        change_of("@bob", "bob", edited()),
        change_of("#dev", "alice", edited()),
        change_of("#dev", "bob", Act::Deleted),
        late,
        change_of("#dev", "carol", reacted("👍")),
        change_of("#dev", "carol", reacted("")),
        change_of("@bob", "alice", reacted("\u{1b}[2J")),
    ];
    let reactions = vec![("+1".to_owned(), vec![user("alice"), user("bob")]), ("👍".to_owned(), vec![user("carol")])];
    let edited = Changes { edited: true, reactions, ..Changes::default() };
    let deleted = Changes { edited: true, deleted: true, ..Changes::default() };
    let items = vec![
        MessageShown { changes: edited, ..message("#dev", "bob", "deploy is green") },
        MessageShown { changes: deleted, ..message("#dev", "alice", "") },
    ];
    let history = Event::History { conversation: target("#dev"), unread: None, items };
    told.into_iter().map(Event::Changed).chain([history]).collect()
}

pub(crate) fn delivery(conversation: &str, to: &str, state: DeliveryState, done: u32, of: u32) -> Delivery {
    Delivery { conversation: target(conversation), id: EventId([7; 32]), state, to: user(to), done, of }
}

pub(crate) fn change(change: RoomChange, who: &str, by: &str, text: &str) -> Event {
    Event::Room { conversation: room("#dev"), change, user: user(who), by: user(by), text: text.to_owned() }
}

pub(crate) fn invitation() -> InvitationShown {
    InvitationShown { conversation: room("#plans"), by: user("bob"), expires: NOON }
}

/// Seen by alice.
pub(crate) fn events() -> Vec<Event> {
    let mut events = account();
    events.extend(talk());
    events.extend(changes());
    events.extend(asked());
    events.extend(rooms());
    events.extend([
        Event::Current { conversation: Some(target("#dev")) },
        Event::Current { conversation: None },
        Event::Roster { people: vec![user("bob")], rooms: vec![room("#dev")] },
        Event::Refused(Refusal::new(Code::NoSuchRoom, "No room '#devv'. Did you mean #dev? /rooms lists all.")),
        Event::Refused(Refusal::later(Code::Busy, "", 3)),
        Event::Bye { reason: "quit".to_owned(), exit: Exit::Done },
    ]);
    events
}

/// The same, with `text` in every place where words of others can stand.
pub(crate) fn events_saying(text: &str) -> Vec<Event> {
    let mut events = events();
    events.iter_mut().for_each(|event| put_words(event, text));
    events
}

fn put_words(event: &mut Event, text: &str) {
    let said = || text.to_owned();
    let say = |shown: &mut MessageShown| {
        (shown.text, shown.changes.reactions) = (said(), vec![(said(), vec![user("bob")])]);
    };
    match event {
        Event::Message(shown) => say(shown),
        Event::History { items, .. } | Event::Backlog { items, .. } => items.iter_mut().for_each(say),
        Event::CaughtUp { mentions, conversations } => {
            let items = conversations.iter_mut().flat_map(|caught_up| &mut caught_up.items);
            mentions.iter_mut().chain(items).for_each(say);
        }
        Event::Found { words, items } => {
            *words = vec![said()];
            items.iter_mut().for_each(|found| {
                say(&mut found.message);
                let around = found.around.iter_mut();
                around.for_each(|around| around.before.iter_mut().chain(&mut around.after).for_each(say));
            });
        }
        Event::Changed(change) => {
            change.before = said();
            if let Act::Edited { text: word } | Act::Reacted { word } = &mut change.act {
                *word = said();
            }
        }
        Event::Person(person) => (person.away, person.identity) = (Some(said()), said()),
        Event::Myself { away, registry, .. } => (*away, *registry) = (Some(said()), said()),
        Event::AwaySet { text: away } | Event::AwaySeen { text: away, .. } => *away = Some(said()),
        Event::Rooms { rooms } => rooms.iter_mut().for_each(|room| room.topic = said()),
        Event::TopicShown { text: topic, .. } | Event::Room { text: topic, .. } => *topic = said(),
        Event::Refused(refusal) => *refusal = Refusal::new(refusal.code, text),
        Event::Bans { bans, .. } => bans.iter_mut().for_each(|ban| ban.text = said()),
        Event::Frozen { entries, .. } => *entries = [said(), said()],
        Event::Why(why) => {
            why.text = said();
            why.tried.iter_mut().for_each(|tried| (tried.address, tried.error) = (said(), said()));
        }
        Event::TrustAsked { registry: word, .. }
        | Event::RegistryLink { registry: word, .. }
        | Event::Fingerprints { registry: word, .. }
        | Event::Exported { path: word, .. }
        | Event::Bye { reason: word, .. } => *word = said(),
        // Names that were parsed, numbers, and digits made here: a new kind of event is sorted in by whoever adds it.
        Event::Ready { .. }
        | Event::Registered { .. }
        | Event::SignedIn { .. }
        | Event::SignedOut { .. }
        | Event::PasswordChanged
        | Event::Online { .. }
        | Event::Presence { .. }
        | Event::KeyChanged { .. }
        | Event::KeyAccepted { .. }
        | Event::KeyRejected { .. }
        | Event::KeyRotated { .. }
        | Event::Rotated { .. }
        | Event::SafetyNumber { .. }
        | Event::Verified { .. }
        | Event::LookAlike { .. }
        | Event::Delivery(_)
        | Event::Gap { .. }
        | Event::Forked { .. }
        | Event::Trace(_)
        | Event::Unread { .. }
        | Event::Members { .. }
        | Event::Invited(_)
        | Event::Invites { .. }
        | Event::InviteSent { .. }
        | Event::Declined { .. }
        | Event::Current { .. }
        | Event::Roster { .. } => {}
    }
}

/// What others may say to take over a screen: characters of every kind that steers or hides, whole attacks, and towers,
/// in any order.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(\\PC|\\p{Cc}|\\p{Cf}|\\p{Mn}|\\p{Zl}|\\p{Zp}|\n){1,12}",
        prop::sample::select(common::fuzz::attacks()),
        (1..200_usize).prop_map(|marks| format!("o{}", "\u{301}".repeat(marks))),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn account() -> Vec<Event> {
    let alice = user("alice");
    let listen = "127.0.0.1:41000".parse().unwrap();
    let registry = "127.0.0.1:15600".to_owned();
    let person = PersonShown {
        user: user("bob"),
        online: true,
        identity: "2f7a 0c11".to_owned(),
        verified: true,
        blocked_by: None,
        route: Some(listen),
        last_seen: None,
        away: Some("lunch".to_owned()),
    };
    let unknown = PersonShown {
        online: false,
        verified: false,
        route: None,
        last_seen: Some(NOON),
        away: None,
        blocked_by: Some("91bc 77aa".to_owned()),
        ..person.clone()
    };
    let mut events = vec![
        Event::Ready { listen },
        Event::TrustAsked { registry: registry.clone(), fingerprint: "00112233445566778899aabbccddeeff".to_owned() },
        Event::Registered { user: alice.clone() },
        Event::SignedIn { user: alice.clone() },
        Event::SignedOut { user: alice.clone() },
        Event::PasswordChanged,
    ];
    for state in [LinkState::Online, LinkState::Offline, LinkState::Retrying] {
        events.push(Event::RegistryLink { state, registry: registry.clone() });
    }
    events.extend([
        Event::Online { users: vec![user("bob"), alice.clone()] },
        Event::Presence { user: user("bob"), online: true },
        Event::Presence { user: user("bob"), online: false },
        Event::Person(Box::new(person)),
        Event::Person(Box::new(unknown)),
        Event::Myself { user: Some(alice.clone()), registry: registry.clone(), listen, away: None },
        Event::Myself { user: None, registry: registry.clone(), listen, away: Some("lunch".to_owned()) },
        Event::Fingerprints { user: alice, identity: "2f7a 0c11".to_owned(), realm: "0011 2233".to_owned(), registry },
        Event::AwaySet { text: Some("lunch".to_owned()) },
        Event::AwaySet { text: None },
        Event::AwaySeen { user: user("bob"), text: Some("lunch".to_owned()) },
        Event::AwaySeen { user: user("bob"), text: None },
        Event::Gap { conversation: target("#dev"), from: user("bob"), missing: 3 },
        Event::Gap { conversation: target("#dev"), from: user("bob"), missing: 0 },
        Event::Forked { conversation: target("#dev"), user: user("bob") },
    ]);
    events.extend(keys());
    events
}

fn keys() -> Vec<Event> {
    let key = || "91bc".to_owned();
    let changed = |verified| Event::KeyChanged { user: user("bob"), old: "2f7a".to_owned(), new: key(), verified };
    let rotated = |verified| Event::KeyRotated { user: user("bob"), old: "2f7a".to_owned(), new: key(), verified };
    let accepted = |held| Event::KeyAccepted { user: user("bob"), key: key(), held };
    let rejected = |dropped| Event::KeyRejected { user: user("bob"), key: key(), dropped };
    let digits = || ["01234"; 12].join(" ");
    vec![
        changed(false),
        changed(true),
        rotated(false),
        rotated(true),
        Event::Rotated { user: user("alice"), key: key() },
        accepted(0),
        accepted(2),
        rejected(0),
        rejected(1),
        Event::SafetyNumber { user: user("bob"), digits: digits(), verified: false },
        Event::Verified { user: user("bob"), digits: digits() },
        Event::LookAlike { user: user("b0b"), like: user("bob") },
    ]
}

fn talk() -> Vec<Event> {
    let action = MessageShown { kind: MessageKind::Action, ..message("#dev", "carol", "stretches") };
    let late = MessageShown { late: true, ..message("@bob", "bob", "was offline") };
    let mark = UnreadMark { first: EventId([7; 32]), since: NOON, count: 2 };
    let question = MessageShown { id: EventId([8; 32]), ..message("#dev", "bob", "is it up?") };
    let around = Around { before: vec![question], after: Vec::new() };
    let found = FoundShown { message: message("#dev", "carol", "deploy is Green now"), around: Some(around) };
    let history = vec![message("#dev", "bob", "first"), message("#dev", "alice", "second"), action.clone()];
    vec![
        Event::Message(message("#dev", "bob", "deploy is green")),
        Event::Message(message("@bob", "bob", "can you look at 4711?")),
        Event::Message(message("@bob", "bob", "two\nlines \u{1b}[31m")),
        Event::Message(action),
        Event::Message(late),
        Event::Message(message("#dev", "alice", "on it")),
        Event::Delivery(delivery("#dev", "bob", DeliveryState::Delivered, 1, 2)),
        Event::Delivery(delivery("@bob", "bob", DeliveryState::Queued, 0, 1)),
        Event::Delivery(delivery("@bob", "bob", DeliveryState::Mailbox, 0, 1)),
        Event::Delivery(delivery("@bob", "bob", DeliveryState::Expired, 0, 1)),
        Event::Delivery(delivery("#dev", "bob", DeliveryState::Refused, 0, 1)),
        Event::History { conversation: target("#dev"), unread: Some(mark.clone()), items: history },
        Event::History { conversation: target("@bob"), unread: None, items: Vec::new() },
        Event::Found { words: vec!["green".to_owned()], items: vec![found] },
        Event::Found { words: vec!["green".to_owned()], items: Vec::new() },
        Event::Unread { conversation: target("@bob"), count: 3, mentions: 1 },
        Event::Backlog { conversation: target("@bob"), mark, items: vec![message("@bob", "bob", "are you there?")] },
        Event::CaughtUp { mentions: vec![message("#dev", "bob", "alice: look")], conversations: vec![caught_up()] },
        Event::CaughtUp { mentions: Vec::new(), conversations: Vec::new() },
        Event::Exported { path: "/tmp/chat.txt".to_owned(), count: 12 },
    ]
}

fn caught_up() -> CaughtUp {
    CaughtUp {
        conversation: target("#dev"),
        count: 12,
        mentions: 1,
        from: vec![user("bob"), user("carol")],
        items: vec![message("#dev", "carol", "bye"), message("#dev", "bob", "alice: look")],
    }
}

fn rooms() -> Vec<Event> {
    let dev = RoomShown {
        name: room("#dev"),
        private: false,
        members: 3,
        owner: user("bob"),
        topic: "Release on Friday".to_owned(),
        joined: true,
    };
    let plans = RoomShown {
        name: room("#plans"),
        private: true,
        members: 1,
        topic: String::new(),
        joined: false,
        ..dev.clone()
    };
    let members = vec![
        MemberShown { user: user("bob"), online: true, owner: true },
        MemberShown { user: user("carol"), online: false, owner: false },
    ];
    vec![
        Event::Rooms { rooms: vec![dev, plans] },
        Event::Rooms { rooms: Vec::new() },
        Event::Members { conversation: room("#dev"), members },
        Event::TopicShown { conversation: room("#dev"), text: "Release on Friday".to_owned() },
        Event::TopicShown { conversation: room("#dev"), text: String::new() },
        change(RoomChange::Created, "alice", "alice", ""),
        change(RoomChange::Joined, "dave", "dave", ""),
        change(RoomChange::Parted, "dave", "dave", ""),
        change(RoomChange::Topic, "bob", "bob", "Release on Monday"),
        change(RoomChange::Kicked, "dave", "bob", "keep it \u{1b}[31mfriendly"),
        change(RoomChange::Kicked, "alice", "bob", ""),
        change(RoomChange::Banned, "dave", "bob", "spam"),
        change(RoomChange::Unbanned, "dave", "bob", ""),
        change(RoomChange::Owner, "alice", "bob", ""),
        change(RoomChange::Owner, "dave", "alice", ""),
        change(RoomChange::Closed, "bob", "bob", ""),
        Event::Bans {
            conversation: room("#dev"),
            bans: vec![BanShown { user: user("dave"), text: "spam".to_owned() }],
        },
        Event::Bans { conversation: room("#dev"), bans: Vec::new() },
        Event::Frozen {
            conversation: room("#dev"),
            by: user("bob"),
            number: 3,
            entries: ["dave is removed".to_owned(), "the topic is \"\u{1b}[2J\"".to_owned()],
        },
        Event::Invited(invitation()),
        Event::Invites { invites: vec![invitation()] },
        Event::Invites { invites: Vec::new() },
        Event::InviteSent { conversation: room("#dev"), user: user("dave") },
        Event::Declined { conversation: room("#plans") },
    ]
}
