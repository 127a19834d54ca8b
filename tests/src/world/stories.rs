//! What stories have in common: a world with people in it, and words for what they do and are told. Where one does not go
//! on as it should, all of it is told.

use std::time::Duration;

use super::{Journal, Who, World};
use common::names::RoomName;
use peer::api::{Code, Command, DeliveryState, Event, History, MessageKind, NewRoom, RoomChange, Target, To};

pub fn world_of<const N: usize>(names: [&str; N]) -> (World, [Who; N]) {
    seeded(1, names)
}

/// A world in which these people are signed in.
pub fn seeded<const N: usize>(seed: u64, names: [&str; N]) -> (World, [Who; N]) {
    let mut world = World::new(seed, Journal::kept());
    let people = names.map(|name| world.person(name));
    for who in people {
        world.start(who);
    }
    wait(&mut world, "everybody to be signed in", |world| people.iter().all(|who| is_signed_in(world, *who)));
    world.run_for(Duration::from_secs(1));
    (world, people)
}

pub fn wait(world: &mut World, what: &str, done: impl FnMut(&World) -> bool) {
    if !world.run_until(LONG, done) {
        let wrong = world.violation().map(str::to_owned);
        panic!("{}\n\nwaited for {what}: {}", world.journal(), wrong.as_deref().unwrap_or("it never came"));
    }
}

/// Lets everything come to an end, and looks whether anything is missing.
pub fn holds(world: &mut World) {
    world.run_for(LONG);
    world.settled();
    if let Some(wrong) = world.violation() {
        panic!("{}\n\n{wrong}", world.journal());
    }
}

pub fn say(world: &mut World, who: Who, to: &str, text: &str) {
    let to = To::Named(Target::parse(to).expect("a story names a person or a room"));
    world.command(who, Command::Say { to, text: text.to_owned(), kind: MessageKind::Text });
}

pub fn command(world: &mut World, who: Who, command: Command) {
    world.command(who, command);
}

pub fn create(world: &mut World, who: Who, name: &str, private: bool) {
    let history = if private { History::Joined } else { History::All };
    world.command(who, Command::Create(NewRoom { name: room(name), private, history, topic: None }));
    wait(world, "the room to be there", |world| {
        world.told(who).any(|event| matches!(event, Event::Room { change: RoomChange::Joined, .. }))
    });
}

pub fn enter(world: &mut World, who: Who, name: &str) {
    world.command(who, Command::Join { room: room(name) });
    let user = world.host(who).name.to_string();
    wait(world, "somebody to be in the room", |world| is_in(world, who, &user));
}

pub fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a story names its rooms well")
}

pub fn is_signed_in(world: &World, who: Who) -> bool {
    world.told(who).any(|event| matches!(event, Event::SignedIn { .. }))
}

pub fn gap(event: &Event) -> Option<u64> {
    match event {
        Event::Gap { missing, .. } => Some(*missing),
        _ => None,
    }
}

pub fn is_own(event: &Event) -> bool {
    matches!(event, Event::Message(message) if message.own)
}

pub fn is_in(world: &World, who: Who, user: &str) -> bool {
    changes(world, who, RoomChange::Joined, user) > 0
}

pub fn changes(world: &World, who: Who, wanted: RoomChange, name: &str) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Room { change, user, .. } if *change == wanted && user.as_str() == name);
    world.told(who).filter(is_it).count()
}

pub fn is_refused(world: &World, who: Who, code: Code) -> bool {
    world.told(who).any(|event| matches!(event, Event::Refused(refusal) if refusal.code == code))
}

pub fn is_told_delivery(world: &World, who: Who, state: DeliveryState) -> bool {
    world.told(who).any(|event| matches!(event, Event::Delivery(delivery) if delivery.state == state))
}

pub fn deliveries(world: &World, who: Who) -> usize {
    let done = |event: &&Event| matches!(event, Event::Delivery(told) if told.state == DeliveryState::Delivered);
    world.told(who).filter(done).count()
}

/// Simulated time is cheap.
pub const LONG: Duration = Duration::from_secs(90);
