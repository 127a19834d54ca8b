//! Members whom the registry keeps from hearing of each other: whoever knows both brings them together.

use peer::api::{Command, DeliveryState, Event, RoomChange};
use tests::world::{Who, World};

use tests::world::stories::{LONG, changes, command, create, enter, holds, is_in, room, say, seeded, wait, world_of};

#[test]
fn two_who_are_hidden_from_each_other_meet_through_a_third() {
    for seed in 0..20 {
        let (mut world, [alice, bob, carol]) = seeded(seed, ["alice", "bob", "carol"]);
        world.hide_from_each_other(alice, bob);
        create(&mut world, carol, "#dev", false);
        enter(&mut world, alice, "#dev");
        say(&mut world, alice, "#dev", "nobody but carol?");
        enter(&mut world, bob, "#dev");
        wait(&mut world, "what alice said, at bob's", |world| world.shown(bob) == ["nobody but carol?"]);
        wait(&mut world, "both to know", |world| is_in(world, alice, "bob") && is_in(world, bob, "alice"));
        say(&mut world, alice, "#dev", "there you are");
        wait(&mut world, "bob's word for it", |world| is_with_both(world, alice));
        say(&mut world, bob, "#dev", "all along");
        wait(&mut world, "alice's word for it", |world| is_with_both(world, bob));
        assert_eq!(world.shown(alice), ["all along"], "seed {seed}");
        holds(&mut world);
    }
}

#[test]
fn what_is_said_in_a_private_room_arrives_though_its_beginning_is_not_for_everybody() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    world.hide_from_each_other(alice, bob);
    create(&mut world, carol, "#plans", true);
    is_let_in(&mut world, carol, alice, "alice");
    say(&mut world, alice, "#plans", "before bob");
    // Longer than clocks may differ: alice's join is not served any more.
    world.run_for(LONG);
    is_let_in(&mut world, carol, bob, "bob");
    wait(&mut world, "both to know", |world| is_in(world, alice, "bob") && is_in(world, bob, "alice"));
    say(&mut world, alice, "#plans", "since then");
    wait(&mut world, "bob's word for it", |world| is_with_both(world, alice));
    assert_eq!(world.shown(bob), ["since then"]);
    holds(&mut world);
}

#[test]
fn whoever_was_put_out_is_no_member_by_what_others_hold_of_them() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    world.hide_from_each_other(alice, bob);
    create(&mut world, carol, "#dev", false);
    enter(&mut world, alice, "#dev");
    say(&mut world, alice, "#dev", "while I may");
    wait(&mut world, "alice heard", |world| world.shown(carol) == ["while I may"]);
    let user = world.host(alice).name.clone();
    command(&mut world, carol, Command::Ban { room: Some(room("#dev")), user, reason: String::new() });
    wait(&mut world, "alice put out", |world| changes(world, alice, RoomChange::Banned, "alice") == 1);
    enter(&mut world, bob, "#dev");
    wait(&mut world, "what counts of hers, at bob's", |world| world.shown(bob) == ["while I may"]);
    say(&mut world, bob, "#dev", "she is gone");
    world.run_for(LONG);
    assert_eq!((is_in(&world, bob, "alice"), world.links_made(alice, bob)), (false, 0));
    assert!(world.shown(alice).is_empty());
    holds(&mut world);
}

fn is_let_in(world: &mut World, owner: Who, newcomer: Who, name: &str) {
    world.invite(owner, newcomer, room("#plans"));
    wait(world, "the invitation", |world| world.told(newcomer).any(|event| matches!(event, Event::Invited(_))));
    command(world, newcomer, Command::Accept { room: room("#plans") });
    wait(world, "the newcomer inside", |world| is_in(world, newcomer, name));
}

/// Whether somebody was told that the two others have something of theirs.
fn is_with_both(world: &World, who: Who) -> bool {
    world.told(who).any(|event| {
        let Event::Delivery(told) = event else { return false };
        told.state == DeliveryState::Delivered && (told.done, told.of) == (2, 2)
    })
}
