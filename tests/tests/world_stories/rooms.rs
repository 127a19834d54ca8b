//! Rooms: who is in, and what they are served.

use std::time::Duration;

use peer::api::{Code, Command, Event, RoomChange};

use tests::world::stories::{
    LONG, changes, command, create, enter, holds, is_in, is_refused, is_signed_in, room, say, seeded, wait, world_of,
};

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
fn whoever_came_back_after_a_removal_is_heard_after_a_restart_too() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    say(&mut world, bob, "#dev", "one");
    wait(&mut world, "bob heard", |world| world.shown(alice) == ["one"]);
    let name = |name: &str| common::names::UserName::parse(name).unwrap();
    let kick = Command::Kick { room: Some(room("#dev")), user: name("bob"), reason: String::new() };
    command(&mut world, alice, kick);
    wait(&mut world, "bob put out", |world| changes(world, bob, RoomChange::Kicked, "bob") == 1);
    command(&mut world, bob, Command::Join { room: room("#dev") });
    wait(&mut world, "bob back", |world| changes(world, bob, RoomChange::Joined, "bob") == 2);
    say(&mut world, bob, "#dev", "two");
    wait(&mut world, "bob heard again", |world| world.shown(alice) == ["one", "two"]);
    world.crash(bob);
    world.start(bob);
    wait(&mut world, "bob to be signed in", |world| is_signed_in(world, bob));
    say(&mut world, bob, "#dev", "three");
    wait(&mut world, "bob heard after a restart", |world| world.shown(alice) == ["one", "two", "three"]);
    holds(&mut world);
}

#[test]
fn whoever_is_banned_while_entering_is_not_told_to_be_in() {
    let mut too_late = 0;
    for seed in 0..30 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        create(&mut world, alice, "#dev", false);
        world.weather.latency = (Duration::from_millis(1), Duration::from_millis(1500));
        command(&mut world, bob, Command::Join { room: room("#dev") });
        wait(&mut world, "alice to see bob come", |world| is_in(world, alice, "bob"));
        let user = common::names::UserName::parse("bob").unwrap();
        command(&mut world, alice, Command::Ban { room: Some(room("#dev")), user, reason: String::new() });
        let told = |world: &tests::world::World| changes(world, bob, RoomChange::Banned, "bob") == 1;
        wait(&mut world, "bob told of it", |world| told(world) || is_refused(world, bob, Code::Banned));
        world.run_for(LONG);
        assert_eq!(is_in(&world, bob, "bob"), told(&world), "seed {seed}: in, or put out: {}", world.journal());
        too_late += usize::from(!told(&world));
        holds(&mut world);
    }
    assert!((1..30).contains(&too_late), "bob was banned while he entered in {too_late} of 30 worlds");
}
