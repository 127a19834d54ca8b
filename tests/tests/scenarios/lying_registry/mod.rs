//! An operator who lies with the real keys of the realm. Each story is one lie, and says what people see of it, what is
//! on their disks, and what went over the wire.

mod endless;
mod keys;
mod mail;
mod rooms;

use common::message::registry::{FromRegistry, News, PresenceChange, Reply, Request};
use common::names::UserName;
use common::wire::bounded::List;
use tests::evil::EvilRegistry;
use tests::{Event, JsonPeer, Launch};

/// Newcomers of this registry, signed in.
fn people<const N: usize>(registry: &EvilRegistry, names: [&str; N]) -> [JsonPeer; N] {
    let launch = |name| {
        let launch = Launch::alone(registry.address(), name);
        JsonPeer::launch(launch.with(|launch| launch.transcript = registry.transcript.clone()))
    };
    let people = names.map(launch);
    people.iter().for_each(JsonPeer::signed_in);
    people
}

/// In one public room, the first one's.
fn in_room(people: &[&JsonPeer], room: &str) {
    let (owner, others) = people.split_first().unwrap();
    owner.must(&format!("/create {room}"), "created");
    for other in others {
        other.must(&format!("/join {room}"), "joined");
        owner.wait("them joining", |event| event.is("joined") && event.text("user") == other.name());
    }
}

fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn presence(user: &str, online: bool) -> News {
    News::Presence { changes: List::cut(vec![PresenceChange { user: name(user), online }]) }
}

/// Whether this is a look-up of somebody.
fn looks_up(request: Option<&Request>, person: &str) -> bool {
    matches!(request, Some(Request::Lookup { user }) if user.as_str() == person)
}

/// In place of whatever was the answer.
fn answered(message: &FromRegistry, reply: Reply) -> Vec<FromRegistry> {
    match message {
        FromRegistry::Reply { id, .. } | FromRegistry::Refused { id, .. } => {
            vec![FromRegistry::Reply { id: *id, reply: Box::new(reply) }]
        }
        FromRegistry::News(news) => vec![FromRegistry::News(news.clone())],
    }
}

fn is_told(event: &Event, state: &str) -> bool {
    event.is("delivery") && event.text("state") == state
}

/// Texts of somebody in a conversation that a person was shown, in order.
fn shown(peer: &JsonPeer, conversation: &str, from: &str) -> Vec<String> {
    let events = peer.so_far();
    let messages = events.iter().filter(|event| event.is_message(conversation, from));
    messages.map(|event| event.text("text").to_owned()).collect()
}

/// How often somebody was told that their registry breaks the protocol.
fn complaints(peer: &JsonPeer) -> usize {
    let is_one = |event: &&Event| event.is("error") && event.text("text").contains("breaks the protocol");
    peer.so_far().iter().filter(is_one).count()
}
