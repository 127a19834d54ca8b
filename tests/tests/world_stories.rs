//! Single stories in a simulated world, each with the ending that people rely on.

use std::time::Duration;

use common::names::RoomName;
use peer::api::{Code, Command, DeliveryState, Event, Export, MessageKind, RoomChange, Search, Target, To, Typeset};
use tests::world::{Journal, Who, World};

#[test]
fn somebody_offline_gets_it_once_when_back() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "first");
    wait(&mut world, "the first text at bob's", |world| deliveries(world, alice) == 1);
    world.crash(bob);
    say(&mut world, alice, "@bob", "while you slept");
    wait(&mut world, "alice told that it waits", |world| is_told_delivery(world, alice, DeliveryState::Queued));
    world.start(bob);
    wait(&mut world, "the second text at bob's", |world| world.shown(bob) == ["while you slept"]);
    wait(&mut world, "alice told that it has arrived", |world| deliveries(world, alice) == 2);
    world.crash(bob);
    world.start(bob);
    world.run_for(LONG);
    assert!(world.shown(bob).is_empty(), "shown again: {:?}", world.shown(bob));
    holds(&mut world);
}

#[test]
fn an_author_who_restarts_still_owes_what_was_not_acknowledged() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "hello at bob's", |world| world.shown(bob) == ["hello"]);
    world.crash(bob);
    say(&mut world, alice, "@bob", "kept");
    wait(&mut world, "alice's disk to have it", |world| world.told(alice).filter(|event| is_own(event)).count() == 2);
    world.crash(alice);
    world.start(bob);
    world.run_for(LONG);
    world.start(alice);
    wait(&mut world, "the text at bob's", |world| world.shown(bob) == ["kept"]);
    holds(&mut world);
}

#[test]
fn two_links_at_once_settle_to_one() {
    for seed in 0..50 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        say(&mut world, alice, "@bob", "from alice");
        say(&mut world, bob, "@alice", "from bob");
        let both = |world: &World| world.shown(alice) == ["from bob"] && world.shown(bob) == ["from alice"];
        wait(&mut world, "both texts", both);
        world.run_for(LONG);
        assert_eq!(world.links_between(alice, bob), 1, "seed {seed}, of {} made", world.links_made(alice, bob));
        // The end that lost its link can still make another.
        world.cut(alice, bob);
        say(&mut world, alice, "@bob", "again");
        wait(&mut world, "a text on a new link", |world| world.shown(bob).len() == 2);
        holds(&mut world);
    }
}

#[test]
fn a_changed_identity_key_blocks() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "is that you?");
    wait(&mut world, "the text at bob's", |world| world.shown(bob) == ["is that you?"]);
    world.lose_everything(bob);
    world.lose_account(alice);
    world.wipe_registry();
    world.run_for(LONG);
    world.start(alice);
    world.start(bob);
    wait(&mut world, "both signed up anew", |world| [alice, bob].iter().all(|who| is_signed_in(world, *who)));
    world.expect(Code::KeyBlocked);
    say(&mut world, bob, "@alice", "it is me, really");
    wait(&mut world, "alice warned", |world| world.told(alice).any(|event| matches!(event, Event::KeyChanged { .. })));
    say(&mut world, alice, "@bob", "who are you?");
    wait(&mut world, "alice stopped", |world| is_refused(world, alice, Code::KeyBlocked));
    world.run_for(LONG);
    assert!(world.shown(alice).is_empty(), "shown from a stranger: {:?}", world.shown(alice));
    assert!(world.shown(bob).is_empty(), "sent to a stranger: {:?}", world.shown(bob));
}

#[test]
fn a_private_rooms_history_begins_with_the_join() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#plans", true);
    say(&mut world, alice, "#plans", "before bob");
    world.run_for(LONG);
    command(&mut world, bob, Command::Join { room: room("#plans") });
    wait(&mut world, "bob kept out", |world| is_refused(world, bob, Code::NotInvited));
    world.invite(alice, bob, room("#plans"));
    wait(&mut world, "the invitation", |world| world.told(bob).any(|event| matches!(event, Event::Invited(_))));
    world.run_for(LONG);
    command(&mut world, bob, Command::Accept { room: room("#plans") });
    wait(&mut world, "bob inside", |world| is_in(world, bob, "bob"));
    say(&mut world, alice, "#plans", "after bob");
    wait(&mut world, "what is said since", |world| world.shown(bob) == ["after bob"]);
    say(&mut world, bob, "#plans", "from bob");
    wait(&mut world, "bob heard", |world| world.shown(alice) == ["from bob"]);
    holds(&mut world);
}

#[test]
fn a_public_rooms_history_is_served_whole() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    say(&mut world, alice, "#dev", "one");
    say(&mut world, alice, "#dev", "two");
    world.run_for(LONG);
    enter(&mut world, bob, "#dev");
    wait(&mut world, "history at bob's", |world| world.shown(bob) == ["one", "two"]);
    say(&mut world, bob, "#dev", "three");
    enter(&mut world, carol, "#dev");
    wait(&mut world, "history at carol's", |world| world.shown(carol).len() == 3);
    holds(&mut world);
}

#[test]
fn a_rejoin_works_on_the_same_link() {
    for seed in 0..50 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        create(&mut world, alice, "#dev", false);
        enter(&mut world, bob, "#dev");
        for round in 0..3 {
            command(&mut world, bob, Command::Part { room: Some(room("#dev")) });
            wait(&mut world, "bob outside", |world| changes(world, bob, RoomChange::Parted, "bob") == round + 1);
            command(&mut world, bob, Command::Join { room: room("#dev") });
            for text in ["and", "so", "on"] {
                say(&mut world, alice, "#dev", &format!("{text} {round}"));
            }
            wait(&mut world, "bob back", |world| changes(world, bob, RoomChange::Joined, "bob") == round + 2);
            wait(&mut world, "everything at bob's", |world| world.shown(bob).len() == 3 * (round + 1));
            say(&mut world, bob, "#dev", &format!("back {round}"));
            wait(&mut world, "bob heard", |world| world.shown(alice).len() == round + 1);
        }
        assert_eq!(world.links_made(alice, bob), 1, "seed {seed}: it was about one link");
        holds(&mut world);
    }
}

#[test]
fn people_who_know_each_other_talk_without_a_registry() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "one");
    wait(&mut world, "the first text", |world| world.shown(bob) == ["one"]);
    world.restart_registry(LONG * 4);
    world.run_for(Duration::from_secs(2));
    say(&mut world, bob, "@alice", "on the link");
    wait(&mut world, "a text on the link", |world| world.shown(alice) == ["on the link"]);
    world.cut(alice, bob);
    world.run_for(LONG);
    say(&mut world, alice, "@bob", "on a new link");
    wait(&mut world, "a text on a new link", |world| world.shown(bob).last() == Some(&"on a new link"));
    assert!(!world.registry_runs(), "the registry was to be gone all the while");
    holds(&mut world);
}

#[test]
fn who_is_told_to_have_joined_is_in_after_a_crash() {
    for seed in 0..20 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        create(&mut world, alice, "#dev", false);
        command(&mut world, bob, Command::Join { room: room("#dev") });
        enter(&mut world, bob, "#dev");
        world.crash(bob);
        world.start(bob);
        wait(&mut world, "bob to be signed in", |world| is_signed_in(world, bob));
        say(&mut world, bob, "#dev", "still in");
        wait(&mut world, "his text at alice's", |world| world.shown(alice) == ["still in"]);
        holds(&mut world);
    }
}

#[test]
fn an_older_copy_of_a_log_speaks_in_a_chain_of_its_own() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "one");
    wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
    let copy = world.copy_log(alice);
    say(&mut world, alice, "@bob", "two");
    wait(&mut world, "the second text delivered", |world| deliveries(world, alice) == 2);
    world.put_log_back(alice, copy);
    world.expect(Code::Storage);
    world.start(alice);
    wait(&mut world, "alice told that her log is a copy", |world| is_refused(world, alice, Code::Storage));
    say(&mut world, alice, "@bob", "three");
    wait(&mut world, "the next text at bob's", |world| world.shown(bob) == ["one", "two", "three"]);
    wait(&mut world, "alice told that it has arrived", |world| deliveries(world, alice) == 1);
    say(&mut world, bob, "@alice", "understood");
    wait(&mut world, "bob's answer", |world| world.shown(alice) == ["understood"]);
}

fn world_of<const N: usize>(names: [&str; N]) -> (World, [Who; N]) {
    seeded(1, names)
}

/// A world in which these people are signed in.
fn seeded<const N: usize>(seed: u64, names: [&str; N]) -> (World, [Who; N]) {
    let mut world = World::new(seed, Journal::kept());
    let people = names.map(|name| world.person(name));
    for who in people {
        world.start(who);
    }
    wait(&mut world, "everybody to be signed in", |world| people.iter().all(|who| is_signed_in(world, *who)));
    world.run_for(Duration::from_secs(1));
    (world, people)
}

fn wait(world: &mut World, what: &str, done: impl FnMut(&World) -> bool) {
    if !world.run_until(LONG, done) {
        let wrong = world.violation().map(str::to_owned);
        panic!("{}\n\nwaited for {what}: {}", world.journal(), wrong.as_deref().unwrap_or("it never came"));
    }
}

#[test]
fn what_was_not_read_is_unread_after_a_crash_and_what_was_read_is_not() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    say(&mut world, bob, "#dev", "read at once");
    for text in ["one", "two, alice", "three"] {
        say(&mut world, bob, "@alice", text);
    }
    wait(&mut world, "all of it at alice's", |world| world.shown(alice).len() == 4);
    // What is read is written when the disk has time for it.
    world.run_for(LONG);
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "what is unread", |world| unread(world, alice) == [("@bob".to_owned(), 3, 1)]);
    say(&mut world, bob, "@alice", "four");
    wait(&mut world, "one more", |world| world.shown(alice) == ["four"]);
    command(&mut world, alice, Command::Query { target: Target::parse("bob").expect("a name"), text: None });
    wait(&mut world, "the lines and their mark", |world| {
        world.told(alice).any(|event| match event {
            Event::Backlog { mark, items, .. } => mark.count == 4 && mark.first == items[0].id && items.len() == 4,
            _ => false,
        })
    });
    command(&mut world, alice, Command::CatchUp);
    let nothing = |event: &Event| matches!(event, Event::CaughtUp { conversations, .. } if conversations.is_empty());
    wait(&mut world, "nothing to catch up with", |world| world.told(alice).any(nothing));
    world.run_for(LONG);
    world.crash(alice);
    world.start(alice);
    world.run_for(LONG);
    assert!(unread(&world, alice).is_empty(), "{:?}", unread(&world, alice));
    holds(&mut world);
}

#[test]
fn a_catching_up_and_a_search_and_a_copy_tell_of_everything_in_order() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    for number in 0..8 {
        say(&mut world, bob, "@alice", &format!("line {number}"));
    }
    wait(&mut world, "all of it at alice's", |world| world.shown(alice).len() == 8);
    command(&mut world, alice, Command::CatchUp);
    wait(&mut world, "eight unread, the last five shown", |world| {
        world.told(alice).any(|event| match event {
            Event::CaughtUp { conversations, .. } => conversations[0].count == 8 && conversations[0].items.len() == 5,
            _ => false,
        })
    });
    let words = vec!["line".to_owned()];
    command(&mut world, alice, Command::Search(Search { words, context: Some(1), ..Search::default() }));
    wait(&mut world, "all eight, the oldest first", |world| {
        world.told(alice).any(|event| match event {
            Event::Found { items, .. } => items.len() == 8 && items[0].message.text == "line 0",
            _ => false,
        })
    });
    let typeset = Typeset(|_, messages| messages.iter().map(|message| message.text.clone() + "\n").collect());
    let path = "/a/copy".to_owned();
    command(&mut world, alice, Command::Export(Export { path, target: None, since: None, typeset }));
    let whole = |event: &Event| matches!(event, Event::Exported { path, count: 8 } if path == "/a/copy");
    wait(&mut world, "a copy of several pages", |world| world.told(alice).any(whole));
    holds(&mut world);
}

/// Lets everything come to an end, and looks whether anything is missing.
fn holds(world: &mut World) {
    world.run_for(LONG);
    world.settled();
    if let Some(wrong) = world.violation() {
        panic!("{}\n\n{wrong}", world.journal());
    }
}

fn say(world: &mut World, who: Who, to: &str, text: &str) {
    let to = To::Named(Target::parse(to).expect("a story names a person or a room"));
    world.command(who, Command::Say { to, text: text.to_owned(), kind: MessageKind::Text });
}

fn command(world: &mut World, who: Who, command: Command) {
    world.command(who, command);
}

fn create(world: &mut World, who: Who, name: &str, private: bool) {
    world.command(who, Command::Create { room: room(name), private, topic: None });
    wait(world, "the room to be there", |world| {
        world.told(who).any(|event| matches!(event, Event::Room { change: RoomChange::Joined, .. }))
    });
}

fn enter(world: &mut World, who: Who, name: &str) {
    world.command(who, Command::Join { room: room(name) });
    let user = world.host(who).name.to_string();
    wait(world, "somebody to be in the room", |world| is_in(world, who, &user));
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a story names its rooms well")
}

fn is_signed_in(world: &World, who: Who) -> bool {
    world.told(who).any(|event| matches!(event, Event::SignedIn { .. }))
}

fn is_own(event: &Event) -> bool {
    matches!(event, Event::Message(message) if message.own)
}

fn is_in(world: &World, who: Who, user: &str) -> bool {
    changes(world, who, RoomChange::Joined, user) > 0
}

fn changes(world: &World, who: Who, wanted: RoomChange, name: &str) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Room { change, user, .. } if *change == wanted && user.as_str() == name);
    world.told(who).filter(is_it).count()
}

fn is_refused(world: &World, who: Who, code: Code) -> bool {
    world.told(who).any(|event| matches!(event, Event::Refused(refusal) if refusal.code == code))
}

fn is_told_delivery(world: &World, who: Who, state: DeliveryState) -> bool {
    world.told(who).any(|event| matches!(event, Event::Delivery(delivery) if delivery.state == state))
}

fn deliveries(world: &World, who: Who) -> usize {
    let done = |event: &&Event| matches!(event, Event::Delivery(told) if told.state == DeliveryState::Delivered);
    world.told(who).filter(done).count()
}

/// What was told to be unread: where, how many, how many with one's name in them.
fn unread(world: &World, who: Who) -> Vec<(String, u32, u32)> {
    let told = world.told(who).filter_map(|event| match event {
        Event::Unread { conversation, count, mentions } => Some((conversation.to_string(), *count, *mentions)),
        _ => None,
    });
    told.collect()
}

/// Simulated time is cheap.
const LONG: Duration = Duration::from_secs(90);
