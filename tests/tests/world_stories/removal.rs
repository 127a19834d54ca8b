//! What somebody says on their way out: where the owner's word cuts them off, it does so for everybody.

use std::time::Duration;

use common::ids::EventId;
use peer::api::{Command, DeliveryState, Event, RoomChange};
use tests::world::{Who, World};

use tests::world::stories::{
    LONG, changes, command, create, deliveries, enter, holds, is_own, room, say, wait, world_of,
};

#[test]
fn what_is_under_way_beyond_the_cut_counts_nowhere() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    say(&mut world, bob, "#dev", "in time");
    wait(&mut world, "it at both", |world| deliveries(world, bob) == 2);
    world.run_for(LONG);
    world.weather.latency = (Duration::from_secs(1), Duration::from_secs(1));
    let (user, reason) = (world.host(bob).name.clone(), "enough".to_owned());
    command(&mut world, alice, Command::Kick { user, room: Some(room("#dev")), reason });
    // The word is out at the registry, and a second from everybody.
    wait(&mut world, "the registry to know", |world| world.listed(&room("#dev")) == ["alice", "carol"]);
    say(&mut world, bob, "#dev", "too late");
    wait(&mut world, "it on bob's disk", |world| world.told(bob).filter(|event| is_own(event)).count() == 2);
    assert_eq!(changes(&world, bob, RoomChange::Kicked, "bob"), 0, "he knows already");
    wait(&mut world, "everybody to know", |world| {
        [alice, bob, carol].iter().all(|who| changes(world, *who, RoomChange::Kicked, "bob") == 1)
    });
    world.run_for(LONG);

    let [in_time, too_late] = own_texts(&world, bob)[..] else { panic!("{}", world.journal()) };
    for who in [alice, carol] {
        assert_eq!(world.shown(who), ["in time"], "{}", world.journal());
        let disk = &world.host(who).disk;
        assert_eq!((disk.holds(&in_time), disk.holds(&too_late)), (true, false));
    }
    assert_eq!(told_of(&world, bob, too_late), [("alice", DeliveryState::Refused), ("carol", DeliveryState::Refused)]);
    // Those who stay go on from the same place, and so does he if he comes back.
    say(&mut world, alice, "#dev", "we go on");
    wait(&mut world, "it at carol's", |world| world.shown(carol) == ["in time", "we go on"]);
    enter_again(&mut world, bob);
    say(&mut world, bob, "#dev", "sorry");
    for who in [alice, carol] {
        wait(&mut world, "his word", |world| world.shown(who).last() == Some(&"sorry"));
        assert!(!world.shown(who).contains(&"too late"));
    }
    holds(&mut world);
}

fn enter_again(world: &mut World, who: Who) {
    let user = world.host(who).name.to_string();
    command(world, who, Command::Join { room: room("#dev") });
    wait(world, "somebody back", |world| changes(world, who, RoomChange::Joined, &user) == 2);
}

fn own_texts(world: &World, who: Who) -> Vec<EventId> {
    let own = world.told(who).filter_map(|event| match event {
        Event::Message(message) if message.own => Some(message.id),
        _ => None,
    });
    own.collect()
}

/// What became of a text of somebody's, and with whom.
fn told_of(world: &World, who: Who, id: EventId) -> Vec<(&str, DeliveryState)> {
    let told = world.told(who).filter_map(|event| match event {
        Event::Delivery(told) if told.id == id => Some((told.to.as_str(), told.state)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(to, _)| *to);
    told
}
