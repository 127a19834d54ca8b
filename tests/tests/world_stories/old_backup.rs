//! A registry that comes back from an old backup: who is in a room is for the members to say, and it hears it from them.

use std::time::Duration;

use peer::api::{Code, Command, Event, RoomChange};
use tests::world::{Who, World};

use tests::world::stories::{
    LONG, changes, command, create, enter, holds, is_in, is_refused, is_signed_in, room, say, wait, world_of,
};

#[test]
fn a_registry_older_than_a_join_has_the_member_again() {
    for private in [false, true] {
        let (mut world, people) = world_of(["alice", "bob", "carol"]);
        let [alice, bob, carol] = people;
        create(&mut world, alice, "#dev", private);
        come_in(&mut world, alice, bob, "bob", private);
        world.back_up_registry();
        come_in(&mut world, alice, carol, "carol", private);
        command(&mut world, alice, Command::Topic { room: Some(room("#dev")), text: Some("lunch".to_owned()) });
        world.run_for(Duration::from_secs(1));
        world.restore_registry(Duration::from_secs(10));
        all_agree(&mut world, &people, &["alice", "bob", "carol"]);
        assert!(people.iter().all(|who| !is_told_of_refusals(&world, *who)), "private: {private}");
        holds(&mut world);
    }
}

#[test]
fn a_join_that_names_what_the_registry_has_lost_comes_behind_it() {
    let (mut world, people) = world_of(["alice", "bob", "carol"]);
    let [alice, bob, carol] = people;
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    world.back_up_registry();
    command(&mut world, alice, Command::Topic { room: Some(room("#dev")), text: Some("lunch".to_owned()) });
    wait(&mut world, "the topic", |world| changes(world, bob, RoomChange::Topic, "alice") == 1);
    enter(&mut world, carol, "#dev");
    world.restore_registry(Duration::from_secs(10));
    all_agree(&mut world, &people, &["alice", "bob", "carol"]);
    holds(&mut world);
}

#[test]
fn a_registry_older_than_a_room_has_it_again_from_any_member() {
    for private in [false, true] {
        let (mut world, people) = world_of(["alice", "bob", "carol"]);
        let [alice, bob, carol] = people;
        world.back_up_registry();
        create(&mut world, alice, "#dev", private);
        come_in(&mut world, alice, bob, "bob", private);
        come_in(&mut world, alice, carol, "carol", private);
        world.run_for(Duration::from_secs(1));
        world.crash(alice);
        world.restore_registry(Duration::from_secs(10));
        world.run_for(LONG);
        assert_eq!(world.listed(&room("#dev")), ["bob", "carol"], "{}", world.journal());
        world.start(alice);
        wait(&mut world, "alice to be signed in", |world| is_signed_in(world, alice));
        all_agree(&mut world, &people, &["alice", "bob", "carol"]);
        assert!(people.iter().all(|who| !is_told_of_refusals(&world, *who)), "private: {private}");
        holds(&mut world);
    }
}

#[test]
fn a_room_comes_back_with_all_that_its_owners_decided() {
    let (mut world, [alice, bob, carol, dave]) = world_of(["alice", "bob", "carol", "dave"]);
    world.back_up_registry();
    create(&mut world, alice, "#dev", false);
    for who in [bob, carol, dave] {
        enter(&mut world, who, "#dev");
    }
    let [bobs, daves] = [bob, dave].map(|who| world.host(who).name.clone());
    let room_named = || Some(room("#dev"));
    command(&mut world, alice, Command::Ban { room: room_named(), user: daves, reason: String::new() });
    wait(&mut world, "dave put out", |world| changes(world, dave, RoomChange::Banned, "dave") == 1);
    command(&mut world, alice, Command::Own { room: room_named(), user: bobs });
    wait(&mut world, "the room being bob's", |world| changes(world, carol, RoomChange::Owner, "bob") == 1);
    // A join that names what the registry has lost: nobody but its founder could make the room by one that does not.
    command(&mut world, carol, Command::Part { room: room_named() });
    wait(&mut world, "carol outside", |world| changes(world, bob, RoomChange::Parted, "carol") == 1);
    command(&mut world, carol, Command::Join { room: room("#dev") });
    wait(&mut world, "carol back", |world| changes(world, carol, RoomChange::Joined, "carol") == 2);
    for gone in [alice, bob] {
        world.crash(gone);
    }
    world.restore_registry(Duration::from_secs(10));
    world.run_for(LONG);
    assert_eq!(world.listed(&room("#dev")), ["carol"], "{}", world.journal());
    command(&mut world, dave, Command::Join { room: room("#dev") });
    wait(&mut world, "dave kept out", |world| is_refused(world, dave, Code::Banned));
    for back in [alice, bob] {
        world.start(back);
        wait(&mut world, "somebody to be back", |world| is_signed_in(world, back));
    }
    all_agree(&mut world, &[alice, bob, carol], &["alice", "bob", "carol"]);
    command(&mut world, bob, Command::Topic { room: room_named(), text: Some("mine now".to_owned()) });
    wait(&mut world, "bob's topic", |world| changes(world, carol, RoomChange::Topic, "bob") == 1);
    holds(&mut world);
}

#[test]
fn a_room_whose_founder_is_lost_as_well_waits_for_them() {
    for private in [false, true] {
        let (mut world, [bob, carol]) = world_of(["bob", "carol"]);
        world.back_up_registry();
        let alice = world.person("alice");
        world.start(alice);
        wait(&mut world, "alice to be signed in", |world| is_signed_in(world, alice));
        let people = [alice, bob, carol];
        create(&mut world, alice, "#dev", private);
        come_in(&mut world, alice, bob, "bob", private);
        come_in(&mut world, alice, carol, "carol", private);
        world.run_for(Duration::from_secs(1));
        world.crash(alice);
        world.restore_registry(Duration::from_secs(10));
        wait(&mut world, "both told why", |world| {
            [bob, carol].iter().all(|who| is_refused(world, *who, Code::NoSuchRoom))
        });
        world.cut(bob, carol);
        say(&mut world, bob, "#dev", "where is everybody?");
        wait(&mut world, "it at carol's", |world| world.shown(carol) == ["where is everybody?"]);
        world.run_for(LONG);
        for who in [bob, carol] {
            let told = world.told(who).filter(|event| matches!(event, Event::Refused(_))).count();
            assert_eq!(told, 1, "told once\n{}", world.journal());
        }
        world.start(alice);
        wait(&mut world, "it at alice's", |world| world.shown(alice) == ["where is everybody?"]);
        all_agree(&mut world, &people, &["alice", "bob", "carol"]);
        holds(&mut world);
    }
}

#[test]
fn a_leave_that_the_registry_has_lost_stays_one() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    world.back_up_registry();
    command(&mut world, bob, Command::Part { room: Some(room("#dev")) });
    wait(&mut world, "bob outside", |world| changes(world, alice, RoomChange::Parted, "bob") == 1);
    world.restore_registry(Duration::from_secs(10));
    all_agree(&mut world, &[alice], &["alice"]);
    say(&mut world, alice, "#dev", "just me");
    world.run_for(LONG);
    assert!(world.shown(bob).is_empty());
    holds(&mut world);
}

fn come_in(world: &mut World, owner: Who, who: Who, user: &str, private: bool) {
    if !private {
        return enter(world, who, "#dev");
    }
    world.invite(owner, who, room("#dev"));
    wait(world, "the invitation", |world| world.told(who).any(|event| matches!(event, Event::Invited(_))));
    command(world, who, Command::Accept { room: room("#dev") });
    wait(world, "somebody inside", |world| is_in(world, who, user));
}

/// Without a word from anybody, the registry and all members have the same people in the room; then they talk.
fn all_agree(world: &mut World, people: &[Who], names: &[&str]) {
    world.run_for(LONG);
    assert!(people.iter().all(|who| is_signed_in(world, *who)));
    assert_eq!(world.listed(&room("#dev")), names, "by the registry\n{}", world.journal());
    for who in people {
        let asked = members(world, *who).len();
        command(world, *who, Command::Names { room: Some(room("#dev")) });
        wait(world, "an answer", |world| members(world, *who).len() > asked);
        let told = members(world, *who).pop().expect("it was there a moment ago");
        assert_eq!(told, names, "by {}\n{}", world.host(*who).name, world.journal());
    }
    for who in people {
        let text = format!("{} is here", world.host(*who).name);
        say(world, *who, "#dev", &text);
        wait(world, "it at everybody's", |world| {
            people.iter().filter(|other| *other != who).all(|other| world.shown(*other).contains(&text.as_str()))
        });
    }
}

/// The answers to `/names` so far.
fn members(world: &World, who: Who) -> Vec<Vec<String>> {
    let answers = world.told(who).filter_map(|event| match event {
        Event::Members { members, .. } => Some(members.iter().map(|member| member.user.to_string()).collect()),
        _ => None,
    });
    answers.collect()
}

fn is_told_of_refusals(world: &World, who: Who) -> bool {
    world.told(who).any(|event| matches!(event, Event::Refused(_)))
}
