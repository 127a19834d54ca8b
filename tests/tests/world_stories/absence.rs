//! A registry that is away, machines that slept, clocks that were set.

use std::time::Duration;

use peer::api::{Event, LinkState};

use tests::world::stories::{LONG, create, deliveries, enter, holds, is_signed_in, say, seeded, wait, world_of};

#[test]
fn people_who_know_each_other_start_and_talk_without_a_registry() {
    for seed in 0..5 {
        let (mut world, [alice, bob, carol]) = seeded(seed, ["alice", "bob", "carol"]);
        create(&mut world, alice, "#dev", false);
        enter(&mut world, bob, "#dev");
        say(&mut world, carol, "@bob", "a conversation that only carol began");
        wait(&mut world, "carol's text delivered", |world| deliveries(world, carol) == 1);
        world.run_for(LONG);
        world.restart_registry(LONG * 4);
        for who in [alice, bob, carol] {
            world.crash(who);
            world.start(who);
            wait(&mut world, "a sign-in without a registry", |world| is_signed_in(world, who));
            let states: Vec<_> = world.told(who).filter_map(link_state).collect();
            assert_eq!(states.first(), Some(&LinkState::Offline), "seed {seed}: it is said to be away");
        }
        say(&mut world, alice, "#dev", "from alice");
        say(&mut world, bob, "#dev", "from bob");
        say(&mut world, bob, "@carol", "an answer");
        wait(&mut world, "bob's text at alice's", |world| world.shown(alice) == ["from bob"]);
        wait(&mut world, "alice's text at bob's", |world| world.shown(bob) == ["from alice"]);
        wait(&mut world, "bob's answer at carol's", |world| world.shown(carol) == ["an answer"]);
        assert!(!world.registry_runs(), "seed {seed}: the registry was to be gone all the while");
        world.run_for(LONG * 4);
        // Nobody has to do anything.
        for who in [alice, bob, carol] {
            wait(&mut world, "somebody to be back at the registry", |world| {
                world.told(who).filter_map(link_state).last() == Some(LinkState::Online)
            });
        }
        enter(&mut world, carol, "#dev");
        say(&mut world, carol, "#dev", "from carol");
        wait(&mut world, "a newcomer heard", |world| world.shown(alice).contains(&"from carol"));
        holds(&mut world);
    }
}

#[test]
fn whoever_wakes_is_back_although_nothing_said_that_connections_died() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    // Nobody notices by themselves within the story.
    world.weather.notice = (LONG * 10, LONG * 10);
    world.cut(alice, bob);
    world.cut_line(alice);
    world.run_for(Duration::from_secs(5));
    world.set_clock(alice, 3_600_000);
    let before = world.told(alice).count();
    world.run_for(Duration::from_secs(5));
    let links: Vec<_> = world.told(alice).skip(before).filter_map(link_state).collect();
    assert_eq!(links, [LinkState::Offline, LinkState::Online], "one reconnection");
    assert_eq!(world.links_between(alice, bob), 1, "the dead link is replaced");
    say(&mut world, bob, "#dev", "good morning");
    wait(&mut world, "bob's text at alice's", |world| world.shown(alice) == ["good morning"]);
    say(&mut world, alice, "@bob", "good morning to you");
    wait(&mut world, "alice's text at bob's", |world| world.shown(bob) == ["good morning to you"]);
    holds(&mut world);
}

#[test]
fn a_clock_set_by_hand_costs_one_reconnection_and_nothing_else() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    let before = world.told(alice).count();
    world.set_clock(alice, 600_000);
    world.run_for(LONG);
    let told: Vec<_> = world.told(alice).skip(before).collect();
    let links: Vec<_> = told.iter().filter_map(|event| link_state(event)).collect();
    assert_eq!(links, [LinkState::Offline, LinkState::Online]);
    assert_eq!(told.len(), links.len(), "nobody seems to have gone: {told:?}");
    say(&mut world, bob, "#dev", "as before");
    wait(&mut world, "bob's text at alice's", |world| world.shown(alice) == ["as before"]);
    // A stranger has to be looked up: what is typed at that very moment waits for the connection.
    world.set_clock(alice, 0);
    say(&mut world, alice, "@carol", "what time is it?");
    wait(&mut world, "alice's text at carol's", |world| world.shown(carol) == ["what time is it?"]);
    holds(&mut world);
}

#[test]
fn a_registry_that_answers_nothing_is_left_and_found_again() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "hello at bob's", |world| world.shown(bob) == ["hello"]);
    world.weather.notice = (LONG * 10, LONG * 10);
    let before = world.told(alice).count();
    world.cut_line(alice);
    wait(&mut world, "alice being back", |world| {
        world.told(alice).skip(before).filter_map(link_state).eq([LinkState::Offline, LinkState::Online])
    });
    holds(&mut world);
}

fn link_state(event: &Event) -> Option<LinkState> {
    match event {
        Event::RegistryLink { state, .. } => Some(*state),
        _ => None,
    }
}
