//! Stories of people who are never online at the same time, in a simulated world: what the mailbox makes of them.

use std::time::Duration;

use common::ids::EventId;
use common::names::UserName;
use peer::api::{Code, Command, DeliveryState, Event};
use tests::world::stories::{LONG, create, enter, holds, is_signed_in, room, say, wait};
use tests::world::{Journal, Who, World};

#[test]
fn two_who_never_meet_have_a_whole_conversation() {
    let (mut world, [alice, bob]) = strangers(1);
    alone(&mut world, alice);
    for number in 1..=20 {
        say(&mut world, alice, "@bob", &format!("from alice {number}"));
    }
    wait(&mut world, "all of it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 20);
    world.crash(alice);
    alone(&mut world, bob);
    let expected: Vec<String> = (1..=20).map(|number| format!("from alice {number}")).collect();
    wait(&mut world, "all of it at bob's", |world| world.shown(bob).len() == 20);
    assert_eq!(world.shown(bob), expected, "in order, once");
    assert!(world.told(bob).all(|event| !matches!(event, Event::Message(message) if !message.own && !message.late)));
    for number in 1..=3 {
        say(&mut world, bob, "@alice", &format!("from bob {number}"));
    }
    wait(&mut world, "the answers in alice's mailbox", |world| told(world, bob, DeliveryState::Mailbox) == 3);
    world.run_for(A_WHILE);
    world.crash(bob);
    alone(&mut world, alice);
    wait(&mut world, "the answers at alice's", |world| world.shown(alice).len() == 3);
    wait(&mut world, "alice told that bob has hers", |world| told(world, alice, DeliveryState::Delivered) == 20);
    assert_eq!(world.shown(alice), ["from bob 1", "from bob 2", "from bob 3"]);
    world.run_for(A_WHILE);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "bob told that alice has his", |world| told(world, bob, DeliveryState::Delivered) == 3);
    assert!(world.shown(bob).is_empty(), "shown again: {:?}", world.shown(bob));
    world.run_for(A_WHILE);
    assert_eq!(world.mail_left(), 0, "nothing goes back and forth for ever");
    assert_eq!(world.links_made(alice, bob), 0);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn a_registry_that_loses_its_mail_loses_no_message() {
    let (mut world, [alice, bob]) = strangers(2);
    alone(&mut world, alice);
    say(&mut world, alice, "@bob", "one");
    wait(&mut world, "it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
    world.lose_mail();
    say(&mut world, alice, "@bob", "two");
    wait(&mut world, "the second there, too", |world| told(world, alice, DeliveryState::Mailbox) == 2);
    world.crash(alice);
    alone(&mut world, bob);
    world.run_for(A_WHILE);
    assert!(world.shown(bob).is_empty(), "a hole comes before it: {:?}", world.shown(bob));
    assert!(world.told(bob).any(|event| matches!(event, Event::Gap { missing: 2, .. })), "the hole is told");
    world.crash(bob);
    alone(&mut world, alice);
    wait(&mut world, "all of it left anew", |world| told(world, alice, DeliveryState::Mailbox) == 2);
    world.run_for(A_WHILE);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "both at bob's", |world| world.shown(bob) == ["one", "two"]);
    world.run_for(A_WHILE);
    world.crash(bob);
    alone(&mut world, alice);
    wait(&mut world, "alice told so", |world| told(world, alice, DeliveryState::Delivered) == 2);
    world.start(bob);
    holds(&mut world);
}

#[test]
fn a_full_mailbox_is_told_once_and_what_did_not_fit_goes_later() {
    let (mut world, [alice, bob]) = strangers(3);
    world.limit_mailboxes(2);
    world.expect(Code::TooLarge);
    alone(&mut world, alice);
    for text in ["one", "two", "three"] {
        say(&mut world, alice, "@bob", text);
        world.run_for(A_WHILE);
    }
    assert_eq!(told(&world, alice, DeliveryState::Mailbox), 1, "half of two items");
    world.run_for(LONG * 10);
    let refusals = world.told(alice).filter(|event| matches!(event, Event::Refused(_))).count();
    assert_eq!(refusals, 1, "told once, however often it was tried");
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "what fitted", |world| world.shown(bob) == ["one"]);
    world.run_for(A_WHILE);
    world.crash(bob);
    alone(&mut world, alice);
    wait(&mut world, "the rest in the mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 2);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "the rest", |world| world.shown(bob) == ["two", "three"]);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn what_nobody_fetched_in_time_is_told_to_have_expired_and_left_anew() {
    let (mut world, [alice, bob]) = strangers(4);
    alone(&mut world, alice);
    say(&mut world, alice, "@bob", "are you there?");
    wait(&mut world, "it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
    world.run_for(DAY * 13);
    assert_eq!(told(&world, alice, DeliveryState::Expired), 0);
    world.run_for(DAY + LONG * 60);
    assert_eq!(told(&world, alice, DeliveryState::Expired), 1);
    assert_eq!(told(&world, alice, DeliveryState::Mailbox), 2, "left anew");
    assert_eq!(world.mail_left(), 1, "the expired one was swept");
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "it at bob's", |world| world.shown(bob) == ["are you there?"]);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn a_recipient_who_crashes_before_the_mail_is_dropped_shows_it_once() {
    for seed in 10..60 {
        let (mut world, [alice, bob]) = strangers(seed);
        alone(&mut world, alice);
        for number in 0..5 {
            say(&mut world, alice, "@bob", &format!("line {number}"));
            world.run_for(Duration::from_secs(2));
        }
        let own = |event: &Event| match event {
            Event::Message(message) if message.own => Some(message.id),
            _ => None,
        };
        let lines: Vec<EventId> = world.told(alice).filter_map(own).collect();
        world.crash(alice);
        alone(&mut world, bob);
        // A little later with every seed: before the commit, after it, after the drop.
        let steps = seed - 9;
        world.run_for(Duration::from_millis(steps * 2));
        world.crash(bob);
        alone(&mut world, bob);
        world.run_for(A_WHILE);
        // The world itself objects to a line shown again that was on the disk.
        let kept = lines.iter().filter(|id| world.host(bob).disk.holds(id)).count();
        assert_eq!(kept, 5, "seed {seed}: what was dropped was not on the disk");
        world.start(alice);
        holds(&mut world);
        assert_eq!(world.mail_left(), 0, "seed {seed}");
    }
}

#[test]
fn members_of_a_room_who_never_meet_hear_each_other() {
    for private in [false, true] {
        let mut world = World::new(5, Journal::kept());
        let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
        alone(&mut world, alice);
        create(&mut world, alice, "#dev", private);
        say(&mut world, alice, "#dev", "before anybody came");
        if private {
            alone(&mut world, bob);
            world.run_for(A_WHILE);
            world.invite(alice, bob, room("#dev"));
            world.run_for(A_WHILE);
            world.crash(bob);
        }
        world.run_for(LONG * 2);
        world.crash(alice);
        alone(&mut world, bob);
        enter(&mut world, bob, "#dev");
        say(&mut world, bob, "#dev", "hello from bob");
        wait(&mut world, "it in alice's mailbox", |world| told(world, bob, DeliveryState::Mailbox) == 1);
        world.crash(bob);
        alone(&mut world, alice);
        wait(&mut world, "bob heard", |world| world.shown(alice) == ["hello from bob"]);
        say(&mut world, alice, "#dev", "hello from alice");
        wait(&mut world, "the answer in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
        world.run_for(A_WHILE);
        world.crash(alice);
        alone(&mut world, bob);
        let last = |world: &World| world.shown(bob).last() == Some(&"hello from alice");
        wait(&mut world, "alice heard", last);
        assert_eq!(world.shown(bob).len(), if private { 1 } else { 2 }, "a public room's history comes along");
        world.start(alice);
        holds(&mut world);
    }
}

#[test]
fn who_quits_right_after_writing_leaves_it_in_the_mailbox() {
    for seed in 20..40 {
        let (mut world, [alice, bob]) = strangers(seed);
        alone(&mut world, alice);
        say(&mut world, alice, "@bob", "and I am gone");
        world.command(alice, Command::Quit { patience_ms: 1000 });
        wait(&mut world, "alice gone", |world| !world.host(alice).is_running());
        assert_eq!(world.mail_left(), 1, "seed {seed}");
        alone(&mut world, bob);
        wait(&mut world, "it at bob's", |world| world.shown(bob) == ["and I am gone"]);
    }
}

#[test]
fn who_signs_up_and_quits_at_once_can_be_written_to() {
    for seed in 40..60 {
        let mut world = World::new(seed, Journal::kept());
        let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
        world.weather.resets = true;
        world.start(bob);
        wait(&mut world, "bob signed in", |world| is_signed_in(world, bob));
        world.command(bob, Command::Quit { patience_ms: 1000 });
        wait(&mut world, "bob gone", |world| !world.host(bob).is_running());
        world.vanish(bob);
        alone(&mut world, alice);
        say(&mut world, alice, "@bob", "welcome");
        wait(&mut world, "it in the mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
    }
}

#[test]
fn mail_of_a_stranger_under_a_known_name_is_not_shown() {
    let (mut world, [alice, bob]) = strangers(6);
    alone(&mut world, alice);
    say(&mut world, alice, "@bob", "is that you?");
    world.run_for(A_WHILE);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "bob knows alice", |world| world.shown(bob) == ["is that you?"]);
    world.run_for(A_WHILE);
    world.crash(bob);
    world.lose_everything(alice);
    world.lose_account(bob);
    world.wipe_registry();
    world.expect(Code::KeyBlocked);
    alone(&mut world, bob);
    world.crash(bob);
    alone(&mut world, alice);
    say(&mut world, alice, "@bob", "it is me, really");
    wait(&mut world, "it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
    world.crash(alice);
    alone(&mut world, bob);
    wait(&mut world, "bob warned", |world| world.told(bob).any(|event| matches!(event, Event::KeyChanged { .. })));
    world.run_for(A_WHILE);
    assert!(world.shown(bob).is_empty(), "shown from a stranger: {:?}", world.shown(bob));
    assert_eq!(world.mail_left(), 0, "it is held on bob's disk, for him to decide");
    let user = UserName::parse("alice").unwrap();
    world.command(bob, Command::AcceptKey { user });
    wait(&mut world, "what was held", |world| world.shown(bob) == ["it is me, really"]);
}

#[test]
fn prekeys_are_replaced_every_week_and_old_ones_destroyed() {
    let (mut world, [alice, bob]) = strangers(7);
    alone(&mut world, bob);
    world.run_for(DAY * 40);
    assert_eq!(world.host(bob).disk.prekeys(), [3, 4, 5, 6], "the first was made on day 0, the sixth on day 35");
    alone(&mut world, alice);
    world.crash(bob);
    world.run_for(LONG);
    say(&mut world, alice, "@bob", "sealed to the newest");
    wait(&mut world, "it in bob's mailbox", |world| told(world, alice, DeliveryState::Mailbox) == 1);
    world.crash(alice);
    // He comes back long after the week of that prekey.
    world.run_for(DAY * 12);
    alone(&mut world, bob);
    wait(&mut world, "it at bob's", |world| world.shown(bob) == ["sealed to the newest"]);
    world.start(alice);
    holds(&mut world);
}

#[test]
fn two_who_are_both_there_and_cannot_link_talk_by_mail() {
    let (mut world, [alice, bob]) = strangers(8);
    world.weather.dial_failures = 100;
    alone(&mut world, alice);
    alone(&mut world, bob);
    for number in 1..=3 {
        say(&mut world, alice, "@bob", &format!("ping {number}"));
        wait(&mut world, "it at bob's", |world| world.shown(bob).len() == number);
        say(&mut world, bob, "@alice", &format!("pong {number}"));
        wait(&mut world, "the answer at alice's", |world| world.shown(alice).len() == number);
    }
    wait(&mut world, "alice told that bob has all", |world| told(world, alice, DeliveryState::Delivered) == 3);
    wait(&mut world, "bob told that alice has all", |world| told(world, bob, DeliveryState::Delivered) == 3);
    assert_eq!(world.links_made(alice, bob), 0);
    world.weather.dial_failures = 0;
    holds(&mut world);
}

/// Two people with accounts who have never seen each other; neither is there.
fn strangers(seed: u64) -> (World, [Who; 2]) {
    let mut world = World::new(seed, Journal::kept());
    let people = ["alice", "bob"].map(|name| world.person(name));
    for who in people {
        alone(&mut world, who);
        world.run_for(A_WHILE);
        world.crash(who);
        world.run_for(A_WHILE);
    }
    (world, people)
}

/// Starts somebody while nobody else is there.
fn alone(world: &mut World, who: Who) {
    world.run_for(A_WHILE);
    world.start(who);
    wait(world, "somebody to be signed in", |world| is_signed_in(world, who));
}

fn told(world: &World, who: Who, state: DeliveryState) -> usize {
    world.told(who).filter(|event| matches!(event, Event::Delivery(told) if told.state == state)).count()
}

/// Long enough for whoever died to be taken off the list.
const A_WHILE: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);
