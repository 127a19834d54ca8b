//! Stories of people who are never online at the same time, in a simulated world: what the mailbox makes of them.

use std::time::Duration;

use peer::api::{Command, DeliveryState, Event, MessageKind, Target, To};
use tests::world::{Journal, Who, World};

#[test]
fn two_who_never_meet_have_a_whole_conversation() {
    let (mut world, [alice, bob]) = strangers(1);
    alone(&mut world, alice);
    for number in 1..=20 {
        say(&mut world, alice, "@bob", &format!("from alice {number}"));
    }
    wait(&mut world, "all of it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 20);
    world.crash(alice);
    alone(&mut world, bob);
    let expected: Vec<String> = (1..=20).map(|number| format!("from alice {number}")).collect();
    wait(&mut world, "all of it at bob's", |world| world.shown(bob).len() == 20);
    assert_eq!(world.shown(bob), expected, "in order, once");
    assert!(world.told(bob).all(|event| !matches!(event, Event::Message(message) if !message.own && !message.late)));
    for number in 1..=3 {
        say(&mut world, bob, "@alice", &format!("from bob {number}"));
    }
    wait(&mut world, "the answers in alice's mailbox", |world| told(world, bob, DeliveryState::Mailbox) == 3);
    world.run_for(A_WHILE);
    world.crash(bob);
    alone(&mut world, alice);
    wait(&mut world, "the answers at alice's", |world| world.shown(alice).len() == 3);
    wait(&mut world, "alice told that bob has hers", |world| told(world, alice, DeliveryState::Delivered) == 20);
    assert_eq!(world.shown(alice), ["from bob 1", "from bob 2", "from bob 3"]);
    world.run_for(A_WHILE);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "bob told that alice has his", |world| told(world, bob, DeliveryState::Delivered) == 3);
    assert!(world.shown(bob).is_empty(), "shown again: {:?}", world.shown(bob));
    world.run_for(A_WHILE);
    assert_eq!(world.mail_left(), 0, "nothing goes back and forth for ever");
    assert_eq!(world.links_made(alice, bob), 0);
    world.start(alice);
    holds(&mut world);
}

/// Two people with accounts who have never seen each other; neither is there.
fn strangers(seed: u64) -> (World, [Who; 2]) {
    let mut world = World::new(seed, Journal::kept());
    let people = ["alice", "bob"].map(|name| world.person(name));
    for who in people {
        alone(&mut world, who);
        world.run_for(A_WHILE);
        world.crash(who);
        world.run_for(A_WHILE);
    }
    (world, people)
}

/// Starts somebody while nobody else is there.
fn alone(world: &mut World, who: Who) {
    world.run_for(A_WHILE);
    world.start(who);
    wait(world, "somebody to be signed in", |world| {
        world.told(who).any(|event| matches!(event, Event::SignedIn { .. }))
    });
}

fn say(world: &mut World, who: Who, to: &str, text: &str) {
    let to = To::Named(Target::parse(to).expect("a story names a person or a room"));
    world.command(who, Command::Say { to, text: text.to_owned(), kind: MessageKind::Text });
}

fn told(world: &World, who: Who, state: DeliveryState) -> usize {
    world.told(who).filter(|event| matches!(event, Event::Delivery(told) if told.state == state)).count()
}

fn wait(world: &mut World, what: &str, done: impl FnMut(&World) -> bool) {
    if !world.run_until(LONG, done) {
        let wrong = world.violation().map(str::to_owned);
        panic!("{}\n\nwaited for {what}: {}", world.journal(), wrong.as_deref().unwrap_or("it never came"));
    }
}

/// Lets everything come to an end, and looks whether anything is missing.
fn holds(world: &mut World) {
    world.run_for(LONG);
    world.settled();
    if let Some(wrong) = world.violation() {
        panic!("{}\n\n{wrong}", world.journal());
    }
}

/// Long enough for whoever died to be taken off the list.
const A_WHILE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(90);
