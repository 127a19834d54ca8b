//! Somebody gets another key, signed by the one before: everybody goes on, in conversations of two and in rooms, whoever
//! was there when it happened, and whatever broke in the middle of it.

use std::time::Duration;

use common::names::UserName;
use common::secret::Secret;
use peer::api::{Code, Command, Event, RoomChange};
use tests::world::{Who, World};

use tests::world::stories::{
    LONG, changes, command, create, enter, holds, is_in, is_refused, is_signed_in, room, say, wait, world_of,
};

#[test]
fn a_new_key_is_told_and_stops_nothing() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    for to in ["@bob", "@carol"] {
        say(&mut world, alice, to, &format!("hello {to}"));
    }
    wait(&mut world, "both to know alice", |world| [bob, carol].iter().all(|who| world.shown(*who).len() == 1));
    world.run_for(LONG / 10);
    world.crash(carol);
    say(&mut world, alice, "@carol", "before, one");
    say(&mut world, alice, "@carol", "before, two");
    world.run_for(Duration::from_secs(1));
    rotate(&mut world, alice);
    wait(&mut world, "bob told", |world| is_told(world, bob));
    say(&mut world, alice, "@carol", "after");
    say(&mut world, alice, "@bob", "the same to bob");
    say(&mut world, bob, "@alice", "as ever");
    wait(&mut world, "both lines", |world| {
        world.shown(bob).last() == Some(&"the same to bob") && world.shown(alice) == ["as ever"]
    });
    world.start(carol);
    wait(&mut world, "carol told", |world| is_told(world, carol));
    wait(&mut world, "everything at carol's", |world| world.shown(carol) == ["before, one", "before, two", "after"]);
    assert!([alice, bob, carol].iter().all(|who| !is_warned(&world, *who)));

    // Another start on every side, and another key.
    for who in [alice, bob] {
        world.crash(who);
        world.start(who);
    }
    say(&mut world, alice, "@bob", "and after a start");
    wait(&mut world, "the line at bob's", |world| world.shown(bob) == ["and after a start"]);
    assert!(!is_told(&world, bob), "once is enough");
    rotate(&mut world, alice);
    wait(&mut world, "bob told again", |world| is_told(world, bob));
    holds(&mut world);
}

#[test]
fn a_private_room_goes_on_under_its_owners_new_key() {
    let (mut world, [alice, bob, carol, dave]) = world_of(["alice", "bob", "carol", "dave"]);
    create(&mut world, alice, "#dev", true);
    come_in(&mut world, alice, bob, "bob");
    come_in(&mut world, alice, carol, "carol");
    world.run_for(Duration::from_secs(1));
    world.crash(carol);
    say(&mut world, alice, "#dev", "one");
    rotate(&mut world, alice);
    say(&mut world, alice, "#dev", "two");
    say(&mut world, bob, "#dev", "three");
    wait(&mut world, "the others' lines", |world| {
        world.shown(bob) == ["one", "two"] && world.shown(alice) == ["three"]
    });
    // What the owner decides counts, and the members of before are members.
    command(&mut world, alice, Command::Topic { room: Some(room("#dev")), text: Some("lunch".to_owned()) });
    wait(&mut world, "the topic", |world| changes(world, bob, RoomChange::Topic, "alice") == 1);
    come_in(&mut world, alice, dave, "dave");
    world.start(carol);
    wait(&mut world, "everything at carol's", |world| {
        let shown = world.shown(carol);
        ["one", "two", "three"].iter().all(|text| shown.iter().filter(|line| *line == text).count() == 1)
    });
    let position = |world: &World, text: &str| world.shown(carol).iter().position(|line| *line == text);
    assert!(position(&world, "one") < position(&world, "two"), "in order: {:?}", world.shown(carol));
    rotate(&mut world, bob);
    say(&mut world, bob, "#dev", "four");
    for who in [alice, carol, dave] {
        wait(&mut world, "bob's line", |world| world.shown(who).last() == Some(&"four"));
    }
    assert!([alice, bob, carol, dave].iter().all(|who| !is_warned(&world, *who)));
    holds(&mut world);
}

#[test]
fn somebody_who_never_met_them_hears_a_rotated_member_by_way_of_another() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, bob, "#dev", false);
    enter(&mut world, alice, "#dev");
    enter(&mut world, carol, "#dev");
    world.run_for(Duration::from_secs(1));
    world.crash(carol);
    rotate(&mut world, alice);
    say(&mut world, alice, "#dev", "under the new key");
    wait(&mut world, "it at bob's", |world| world.shown(bob) == ["under the new key"]);
    world.run_for(LONG / 10);
    world.crash(alice);
    world.start(carol);
    wait(&mut world, "it at carol's", |world| world.shown(carol) == ["under the new key"]);
    world.start(alice);
    say(&mut world, carol, "#dev", "heard you");
    wait(&mut world, "the answer", |world| world.shown(alice).last() == Some(&"heard you"));
    assert!(!is_warned(&world, carol));
    holds(&mut world);
}

#[test]
fn another_key_leads_around_no_ban_and_a_room_can_be_given_to_it() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    let ban = Command::Ban { user: name("carol"), room: Some(room("#dev")), reason: "enough".to_owned() };
    command(&mut world, alice, ban);
    wait(&mut world, "carol out", |world| changes(world, carol, RoomChange::Banned, "carol") == 1);
    rotate(&mut world, carol);
    world.expect(Code::Banned);
    command(&mut world, carol, Command::Join { room: room("#dev") });
    wait(&mut world, "carol kept out", |world| is_refused(world, carol, Code::Banned));

    rotate(&mut world, bob);
    command(&mut world, alice, Command::Own { user: name("bob"), room: Some(room("#dev")) });
    wait(&mut world, "bob the owner", |world| changes(world, bob, RoomChange::Owner, "bob") == 1);
    world.run_for(Duration::from_secs(1));
    command(&mut world, bob, Command::Unban { user: name("carol"), room: Some(room("#dev")) });
    wait(&mut world, "carol let in again", |world| changes(world, bob, RoomChange::Unbanned, "carol") == 1);
    command(&mut world, carol, Command::Join { room: room("#dev") });
    wait(&mut world, "carol in", |world| changes(world, carol, RoomChange::Joined, "carol") == 2);
    say(&mut world, carol, "#dev", "thank you");
    for who in [alice, bob] {
        wait(&mut world, "her line", |world| world.shown(who).last() == Some(&"thank you"));
    }
    holds(&mut world);
}

#[test]
fn what_somebody_said_after_coming_back_outlives_their_next_key() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    let kick = Command::Kick { user: name("bob"), room: Some(room("#dev")), reason: String::new() };
    command(&mut world, alice, kick);
    wait(&mut world, "bob out", |world| changes(world, bob, RoomChange::Kicked, "bob") == 1);
    command(&mut world, bob, Command::Join { room: room("#dev") });
    wait(&mut world, "bob back", |world| changes(world, bob, RoomChange::Joined, "bob") == 2);
    world.run_for(Duration::from_secs(3));
    world.crash(carol);
    world.crash(alice);
    say(&mut world, bob, "#dev", "for whoever comes back");
    world.run_for(Duration::from_secs(1));
    rotate(&mut world, bob);
    world.lose_mail();
    world.crash(bob);
    world.start(bob);
    world.start(carol);
    wait(&mut world, "it at carol's", |world| world.shown(carol) == ["for whoever comes back"]);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn a_room_made_under_a_later_key_is_as_good_as_any() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    rotate(&mut world, alice);
    create(&mut world, alice, "#dev", true);
    come_in(&mut world, alice, bob, "bob");
    say(&mut world, bob, "#dev", "hello");
    wait(&mut world, "the line", |world| world.shown(alice) == ["hello"]);
    holds(&mut world);
}

#[test]
fn a_crash_at_any_moment_of_it_locks_nobody_out() {
    // From the command to its answer it takes about a second and a half here.
    for millis in (0..2_000).step_by(125) {
        let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
        create(&mut world, alice, "#dev", false);
        enter(&mut world, bob, "#dev");
        say(&mut world, alice, "@bob", "before");
        wait(&mut world, "it at bob's", |world| world.shown(bob) == ["before"]);
        world.run_for(LONG / 10);
        command(&mut world, alice, rotation());
        world.run_for(Duration::from_millis(millis));
        world.crash(alice);
        if millis % 250 == 0 {
            // And the registry is not there for the next start.
            world.restart_registry(LONG / 3);
        }
        world.start(alice);
        wait(&mut world, "alice back", |world| is_signed_in(world, alice));
        for (to, text) in [("@bob", "after"), ("#dev", "in the room")] {
            say(&mut world, alice, to, text);
            wait(&mut world, "the line at bob's", |world| world.shown(bob).last() == Some(&text));
        }
        world.run_for(LONG);
        let topic = Command::Topic { room: Some(room("#dev")), text: Some("still mine".to_owned()) };
        command(&mut world, alice, topic);
        wait(&mut world, "her word", |world| changes(world, bob, RoomChange::Topic, "alice") == 1);
        assert!(!is_warned(&world, bob), "cut off after {millis} ms\n{}", world.journal());
        holds(&mut world);
    }
}

#[test]
fn a_registry_from_an_old_backup_is_shown_the_new_key_again() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", true);
    come_in(&mut world, alice, bob, "bob");
    world.run_for(LONG / 10);
    world.back_up_registry();
    rotate(&mut world, alice);
    wait(&mut world, "bob told", |world| is_told(world, bob));
    world.restore_registry(Duration::from_secs(5));
    world.run_for(LONG);
    world.crash(bob);
    world.start(bob);
    say(&mut world, alice, "@bob", "still me");
    say(&mut world, alice, "#dev", "and here");
    wait(&mut world, "both lines", |world| ["still me", "and here"].iter().all(|text| world.shown(bob).contains(text)));
    let topic = Command::Topic { room: Some(room("#dev")), text: Some("lunch".to_owned()) };
    command(&mut world, alice, topic);
    wait(&mut world, "her word", |world| changes(world, bob, RoomChange::Topic, "alice") == 1);
    // The same for a program that starts when the registry is old already.
    world.crash(alice);
    world.restore_registry(Duration::from_secs(5));
    world.run_for(LONG / 3);
    world.start(alice);
    wait(&mut world, "alice back", |world| is_signed_in(world, alice));
    say(&mut world, bob, "@alice", "welcome back");
    wait(&mut world, "the line", |world| world.shown(alice).contains(&"welcome back"));
    assert!([alice, bob].iter().all(|who| !is_warned(&world, *who)));
}

fn rotation() -> Command {
    Command::Rotate { password: Secret::new("correct horse".to_owned()) }
}

/// Somebody gets another key, and it is done.
fn rotate(world: &mut World, who: Who) {
    let count = |world: &World| world.told(who).filter(|event| matches!(event, Event::Rotated { .. })).count();
    let before = count(world);
    command(world, who, rotation());
    wait(world, "the new key", |world| count(world) == before + 1);
}

fn come_in(world: &mut World, owner: Who, who: Who, user: &str) {
    world.invite(owner, who, room("#dev"));
    wait(world, "the invitation", |world| world.told(who).any(|event| matches!(event, Event::Invited(_))));
    command(world, who, Command::Accept { room: room("#dev") });
    wait(world, "somebody inside", |world| is_in(world, who, user));
}

fn is_told(world: &World, who: Who) -> bool {
    world.told(who).any(|event| matches!(event, Event::KeyRotated { .. }))
}

fn is_warned(world: &World, who: Who) -> bool {
    world.told(who).any(|event| matches!(event, Event::KeyChanged { .. }))
}

fn name(text: &str) -> UserName {
    UserName::parse(text).expect("a story names its people well")
}
