//! Two people and what stands between them.

use std::time::Duration;

use peer::api::{Command, DeliveryState, Event};
use tests::world::World;

use tests::world::stories::{
    LONG, deliveries, holds, is_own, is_signed_in, is_told_delivery, say, seeded, wait, world_of,
};

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
    world.run_for(Duration::from_millis(100));
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
    wait(&mut world, "hello on bob's disk", |world| deliveries(world, alice) == 1);
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
fn what_a_program_kept_and_did_not_show_is_shown_late_by_the_next() {
    for seed in 0..20 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        say(&mut world, alice, "@bob", "shown");
        wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
        world.run_for(LONG);
        // From now on nothing that bob is told reaches his screen.
        world.weather.writing = (LONG * 100, LONG * 100);
        say(&mut world, alice, "@bob", "one");
        say(&mut world, alice, "@bob", "two");
        wait(&mut world, "both on bob's disk", |world| deliveries(world, alice) == 3);
        world.crash(bob);
        world.weather.writing = (Duration::ZERO, Duration::ZERO);
        world.start(bob);
        wait(&mut world, "both shown", |world| world.shown(bob).len() == 2);
        assert_eq!(world.shown(bob), ["one", "two"], "seed {seed}");
        assert!(world.told(bob).all(|event| !matches!(event, Event::Message(shown) if !shown.late)), "not marked late");
        // A moment later the mark is in the log.
        world.run_for(Duration::from_millis(200));
        world.crash(bob);
        world.start(bob);
        wait(&mut world, "bob to be back", |world| is_signed_in(world, bob));
        holds(&mut world);
        assert!(world.shown(bob).is_empty(), "seed {seed}: shown again: {:?}", world.shown(bob));
    }
}

#[test]
fn a_line_of_ones_own_that_was_kept_and_never_confirmed_is_told_by_the_next_run() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    world.weather.writing = (LONG * 100, LONG * 100);
    say(&mut world, alice, "@bob", "did that go out?");
    wait(&mut world, "it to be delivered", |world| deliveries(world, alice) == 1);
    world.crash(alice);
    world.weather.writing = (Duration::ZERO, Duration::ZERO);
    world.start(alice);
    wait(&mut world, "alice told of it", |world| world.told(alice).any(is_own));
    assert_eq!(world.shown(bob), ["did that go out?"]);
    holds(&mut world);
}

#[test]
fn whoever_quits_has_seen_what_the_front_end_was_still_writing() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    world.weather.writing = (LONG * 100, LONG * 100);
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "it to be delivered", |world| deliveries(world, alice) == 1);
    world.command(bob, Command::Quit { patience_ms: 0 });
    wait(&mut world, "bob to be back", |world| world.host(bob).is_running() && is_signed_in(world, bob));
    world.run_for(LONG);
    assert!(world.shown(bob).is_empty(), "shown again: {:?}", world.shown(bob));
}
