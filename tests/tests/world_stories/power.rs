//! Machines that stop: what a program was told to be safe is there afterwards.

use std::time::Duration;

use peer::api::Code;

use tests::world::stories::{LONG, deliveries, holds, is_own, is_refused, is_signed_in, say, seeded, wait};

#[test]
fn a_machine_that_stops_takes_back_only_the_newest_lines_and_no_number_means_two() {
    let mut lost = 0;
    for seed in 0..60 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        say(&mut world, alice, "@bob", "one");
        wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
        say(&mut world, alice, "@bob", "two");
        wait(&mut world, "alice told that it is sent", |world| {
            world.told(alice).filter(|event| is_own(event)).count() == 2
        });
        world.run_for(Duration::from_millis(seed));
        world.lose_power(alice);
        world.run_for(Duration::from_secs(1));
        world.start(alice);
        wait(&mut world, "alice to be signed in", |world| is_signed_in(world, alice));
        say(&mut world, alice, "@bob", "three");
        wait(&mut world, "the next text at bob's", |world| world.shown(bob).last() == Some(&"three"));
        world.run_for(LONG);
        assert_eq!(world.violation(), None, "seed {seed}\n{}", world.journal());
        assert!(!is_refused(&world, alice, Code::Storage), "bob had to tell her: seed {seed}\n{}", world.journal());
        let all = world.shown(bob) == ["one", "two", "three"];
        assert!(all || world.shown(bob) == ["one", "three"], "seed {seed}: {:?}", world.shown(bob));
        lost += usize::from(!all);
    }
    assert!((1..60).contains(&lost), "a line was lost for both in {lost} of 60 worlds");
}

#[test]
fn what_was_sent_a_moment_ago_or_acknowledged_outlives_the_machine() {
    for seed in 0..20 {
        let (mut world, [alice, bob]) = seeded(seed, ["alice", "bob"]);
        say(&mut world, alice, "@bob", "one");
        wait(&mut world, "the first text delivered", |world| deliveries(world, alice) == 1);
        world.lose_power(bob);
        say(&mut world, alice, "@bob", "two");
        world.run_for(Duration::from_millis(200));
        world.lose_power(alice);
        [alice, bob].into_iter().for_each(|who| world.start(who));
        holds(&mut world);
    }
}
