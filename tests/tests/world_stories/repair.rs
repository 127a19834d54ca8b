//! What is missing is fetched from whoever has it, also by those who lost it themselves.

use std::time::Duration;

use peer::api::{Code, Command, Event, RoomChange};
use tests::world::World;

use tests::world::stories::{
    LONG, changes, command, create, deliveries, enter, gap, holds, is_in, is_refused, is_signed_in, room, say, seeded,
    wait, world_of,
};

#[test]
fn an_older_copy_of_a_log_speaks_in_a_chain_of_its_own_and_gets_back_what_it_lacks() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "one");
    wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
    let copy = world.copy_log(alice);
    say(&mut world, alice, "@bob", "two");
    wait(&mut world, "the second text delivered", |world| deliveries(world, alice) == 2);
    world.put_log_back_unnoticed(alice, copy);
    world.expect(Code::Storage);
    world.start(alice);
    wait(&mut world, "alice told that her log is a copy", |world| is_refused(world, alice, Code::Storage));
    say(&mut world, alice, "@bob", "three");
    wait(&mut world, "the next text at bob's", |world| world.shown(bob) == ["one", "two", "three"]);
    let is_back = |event: &Event| matches!(event, Event::Message(told) if told.own && told.late && told.text == "two");
    wait(&mut world, "the second text back at alice's", |world| world.told(alice).any(is_back));
    say(&mut world, bob, "@alice", "understood");
    wait(&mut world, "bob's answer", |world| world.shown(alice) == ["understood"]);
    world.crash(alice);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn what_an_older_copy_said_under_used_numbers_is_said_again() {
    for lines in 1..4 {
        let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
        say(&mut world, alice, "@bob", "one");
        wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
        let copy = world.copy_log(alice);
        say(&mut world, alice, "@bob", "two");
        say(&mut world, alice, "@bob", "three");
        wait(&mut world, "the other texts delivered", |world| deliveries(world, alice) == 3);
        world.run_for(Duration::from_millis(100));
        world.crash(bob);
        world.put_log_back_unnoticed(alice, copy);
        world.expect(Code::Storage);
        world.start(alice);
        wait(&mut world, "alice to be signed in", |world| is_signed_in(world, alice));
        let again: Vec<String> = (0..lines).map(|line| format!("again {line}")).collect();
        again.iter().for_each(|text| say(&mut world, alice, "@bob", text));
        world.run_for(LONG);
        world.start(bob);
        wait(&mut world, "what the copy said at bob's", |world| world.shown(bob) == again);
        world.run_for(LONG);
        assert_eq!(world.violation(), None, "with {lines} lines");
    }
}

#[test]
fn what_its_author_cannot_send_any_more_comes_from_another() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    world.crash(bob);
    let texts = ["one", "two", "three"];
    texts.iter().for_each(|text| say(&mut world, alice, "#dev", text));
    wait(&mut world, "the texts at carol's", |world| world.shown(carol) == texts);
    world.run_for(Duration::from_secs(1));
    world.crash(alice);
    world.start(bob);
    wait(&mut world, "the texts at bob's", |world| world.shown(bob) == texts);
    assert!(
        world.told(bob).all(|event| !matches!(event, Event::Gap { .. })),
        "it was filled before it was worth a word"
    );
    world.crash(carol);
    world.start(alice);
    wait(&mut world, "alice told that bob has them", |world| {
        let is_bobs = |event: &&Event| matches!(event, Event::Delivery(told) if told.to.as_str() == "bob");
        world.told(alice).filter(is_bobs).count() == 3
    });
    world.start(carol);
    holds(&mut world);
}

#[test]
fn a_newcomer_is_served_by_whoever_is_there() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    for number in 0..5 {
        say(&mut world, alice, "#dev", &format!("question {number}"));
        wait(&mut world, "the question at bob's", |world| world.shown(bob).len() == number + 1);
        say(&mut world, bob, "#dev", &format!("answer {number}"));
        wait(&mut world, "the answer at alice's", |world| world.shown(alice).len() == number + 1);
    }
    world.crash(alice);
    enter(&mut world, carol, "#dev");
    wait(&mut world, "everything at carol's", |world| world.shown(carol).len() == 10);
    let expected: Vec<String> = (0..5).flat_map(|n| [format!("question {n}"), format!("answer {n}")]).collect();
    assert_eq!(world.shown(carol), expected);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn an_answer_is_shown_after_what_it_answers() {
    for seed in 0..50 {
        let (mut world, [alice, bob, carol]) = seeded(seed, ["alice", "bob", "carol"]);
        create(&mut world, alice, "#dev", false);
        enter(&mut world, bob, "#dev");
        enter(&mut world, carol, "#dev");
        world.run_for(LONG);
        world.weather.latency = (Duration::from_millis(1), Duration::from_millis(1500));
        say(&mut world, alice, "#dev", "question");
        wait(&mut world, "the question at bob's", |world| world.shown(bob) == ["question"]);
        say(&mut world, bob, "#dev", "answer");
        wait(&mut world, "both at carol's", |world| world.shown(carol).len() == 2);
        assert_eq!(world.shown(carol), ["question", "answer"], "seed {seed}\n{}", world.journal());
        holds(&mut world);
    }
}

#[test]
fn a_hole_that_stays_is_told_and_so_is_its_end() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    world.crash(bob);
    say(&mut world, alice, "#dev", "one");
    say(&mut world, alice, "#dev", "two");
    wait(&mut world, "the texts at carol's", |world| world.shown(carol).len() == 2);
    world.run_for(Duration::from_secs(1));
    world.crash(alice);
    world.start(bob);
    wait(&mut world, "bob to be signed in", |world| is_signed_in(world, bob));
    world.weather.disk = (Duration::from_millis(2200), Duration::from_secs(3));
    let gaps = |world: &World| world.told(bob).filter_map(gap).collect::<Vec<_>>();
    wait(&mut world, "the hole to be told", |world| gaps(world) == [2]);
    assert!(world.shown(bob).is_empty(), "shown before the hole was told");
    wait(&mut world, "the hole to be filled", |world| gaps(world) == [2, 0]);
    assert_eq!(world.shown(bob), ["one", "two"], "{}", world.journal());
}

#[test]
fn a_private_rooms_text_comes_from_another_and_counts_when_its_author_agrees() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#plans", true);
    for (invitee, user) in [(carol, "carol"), (bob, "bob")] {
        world.invite(alice, invitee, room("#plans"));
        wait(&mut world, "the invitation", |world| world.told(invitee).any(|event| matches!(event, Event::Invited(_))));
        if invitee == carol {
            command(&mut world, carol, Command::Accept { room: room("#plans") });
            wait(&mut world, "carol inside", |world| is_in(world, carol, user));
        }
    }
    say(&mut world, alice, "#plans", "before bob");
    world.run_for(LONG);
    // Nobody can reach bob while he enters and alice writes for him.
    for one in [alice, carol] {
        world.cut(one, bob);
    }
    world.weather.dial_failures = 100;
    command(&mut world, bob, Command::Accept { room: room("#plans") });
    wait(&mut world, "bob inside", |world| is_in(world, bob, "bob"));
    wait(&mut world, "alice to know", |world| changes(world, alice, RoomChange::Joined, "bob") == 1);
    say(&mut world, alice, "#plans", "after bob");
    wait(&mut world, "the text at carol's", |world| world.shown(carol) == ["before bob", "after bob"]);
    world.run_for(Duration::from_secs(1));
    world.crash(alice);
    world.weather.dial_failures = 0;
    wait(&mut world, "the text at bob's", |world| world.shown(bob) == ["after bob"]);
    world.start(alice);
    wait(&mut world, "alice told that bob has it", |world| {
        world.told(alice).any(|event| matches!(event, Event::Delivery(told) if told.to.as_str() == "bob"))
    });
    assert_eq!(world.shown(bob), ["after bob"]);
    holds(&mut world);
}
