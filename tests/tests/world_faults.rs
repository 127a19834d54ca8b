//! What the random worlds break at any time, each once on its own: a split network, a full disk, wrong clocks, an old
//! backup of the registry, a member that lies.

use std::collections::BTreeSet;
use std::time::Duration;

use peer::api::{Event, LinkState};
use tests::world::stories::{create, deliveries, enter, holds, is_signed_in, say, wait, world_of};
use tests::world::{Place, Who, World};

#[test]
fn both_sides_of_a_split_room_have_everything_after_it_heals() {
    let people = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let (mut world, people) = world_of(people);
    room_of(&mut world, &people, "#dev");
    world.split(people[3..].iter().copied().map(Place::Person).collect::<BTreeSet<_>>());
    for round in 0..30 {
        for who in people {
            let text = format!("{} {round}", world.host(who).name);
            say(&mut world, who, "#dev", &text);
        }
        world.run_for(Duration::from_secs(3));
    }
    assert!(people.iter().all(|who| world.shown(*who).len() < 5 * 30), "the split let something through");
    world.heal();
    wait(&mut world, "everything at everybody's", |world| people.iter().all(|who| world.shown(*who).len() == 5 * 30));
    holds(&mut world);
}

#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "before");
    wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
    world.fill_disk(bob, Duration::from_secs(60));
    say(&mut world, alice, "@bob", "meanwhile");
    world.run_for(Duration::from_secs(50));
    assert_eq!(deliveries(&world, alice), 1, "acknowledged by a full disk");
    wait(&mut world, "space again, and the rest", |world| deliveries(world, alice) == 2);
    holds(&mut world);
}

#[test]
fn clocks_that_are_hours_apart_keep_nobody_from_talking() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    world.set_clock(alice, 20 * HOUR_MS);
    world.set_clock(bob, -20 * HOUR_MS);
    say(&mut world, alice, "@bob", "good morning");
    say(&mut world, bob, "@alice", "good night");
    let both = |world: &World| world.shown(alice) == ["good night"] && world.shown(bob) == ["good morning"];
    wait(&mut world, "both texts", both);
    holds(&mut world);
}

#[test]
fn whoever_an_old_backup_of_the_registry_does_not_know_signs_up_again_as_the_same_person() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "good to know you");
    wait(&mut world, "bob heard it", |world| world.shown(bob) == ["good to know you"]);
    world.back_up_registry();
    let carol = world.person("carol");
    world.start(carol);
    wait(&mut world, "carol signed in", |world| is_signed_in(world, carol));
    say(&mut world, carol, "@alice", "hello");
    wait(&mut world, "carol heard", |world| world.shown(alice).last() == Some(&"hello"));
    world.restore_registry(Duration::from_secs(10));
    say(&mut world, alice, "@bob", "still there?");
    wait(&mut world, "bob heard it", |world| world.shown(bob).last() == Some(&"still there?"));
    let online = |world: &World| world.told(carol).filter(|event| is_link(event, LinkState::Online)).count();
    // In the same life of her program, and without a word from her.
    wait(&mut world, "carol back", |world| online(world) == 2 && is_signed_in(world, carol));
    world.cut(alice, carol);
    say(&mut world, alice, "@carol", "is that you?");
    wait(&mut world, "carol heard it", |world| world.shown(carol).contains(&"is that you?"));
    say(&mut world, carol, "@alice", "with the same key");
    wait(&mut world, "alice heard it", |world| world.shown(alice).contains(&"with the same key"));
    holds(&mut world);
}

#[test]
fn who_is_lied_to_still_hears_everybody_else() {
    let (mut world, people) = world_of(["alice", "bob", "mallory"]);
    let [alice, bob, mallory] = people;
    room_of(&mut world, &people, "#dev");
    world.lies(mallory);
    for round in 0..20 {
        for who in people {
            let text = format!("{} {round}", world.host(who).name);
            say(&mut world, who, "#dev", &text);
        }
        world.run_for(Duration::from_secs(1));
    }
    let from =
        |world: &World, who: Who, name: &str| world.shown(who).iter().filter(|text| text.starts_with(name)).count();
    let heard = |world: &World| from(world, alice, "bob") == 20 && from(world, bob, "alice") == 20;
    wait(&mut world, "what honest people said", heard);
    holds(&mut world);
}

/// A public room that the first of these makes and all are in.
fn room_of(world: &mut World, people: &[Who], name: &str) {
    let (first, others) = people.split_first().expect("somebody makes the room");
    create(world, *first, name, false);
    for who in others {
        enter(world, *who, name);
    }
    world.run_for(Duration::from_secs(5));
}

fn is_link(event: &Event, wanted: LinkState) -> bool {
    matches!(event, Event::RegistryLink { state, .. } if *state == wanted)
}

const HOUR_MS: i64 = 3_600_000;
