//! Somebody lost everything and comes back under the same name with another key, or somebody else does: what is
//! stopped, what is held, and what becomes of it once the user has decided.

use std::time::Duration;

use common::names::UserName;
use peer::api::{Code, Command, Event, Reference, RoomChange, Target};
use tests::world::{Who, World};

use tests::world::stories::{
    LONG, changes, create, deliveries, enter, holds, is_in, is_refused, is_signed_in, room, say, wait, world_of,
};

#[test]
fn a_changed_key_blocks_until_it_is_accepted() {
    let (mut world, [alice, bob]) = talked();
    say(&mut world, alice, "@bob", "a secret from before");
    wait(&mut world, "the secret at bob's", |world| deliveries(world, alice) == 2);
    world.run_for(LONG / 10);
    comes_back_another(&mut world, alice, bob);
    say(&mut world, bob, "@alice", "it is me, really");
    wait(&mut world, "alice warned", |world| is_warned(world, alice));
    say(&mut world, alice, "@bob", "who are you?");
    wait(&mut world, "alice stopped", |world| is_refused(world, alice, Code::KeyBlocked));
    world.run_for(LONG);
    assert!(world.shown(alice).is_empty(), "shown from a stranger: {:?}", world.shown(alice));
    assert!(world.shown(bob).is_empty(), "sent to a stranger: {:?}", world.shown(bob));
    assert_eq!(world.mail_left(), 0, "it is held on alice's disk");
    assert_eq!(world.links_between(alice, bob), 0);

    // A restart changes nothing, and the user is reminded.
    world.crash(alice);
    world.crash(bob);
    world.start(alice);
    wait(&mut world, "alice warned again", |world| is_warned(world, alice));
    say(&mut world, alice, "@bob", "anybody?");
    wait(&mut world, "alice stopped again", |world| is_refused(world, alice, Code::KeyBlocked));
    assert!(world.shown(alice).is_empty());

    // Bob is away: what was held is shown all the same.
    world.command(alice, Command::AcceptKey { user: name("bob") });
    wait(&mut world, "what was held", |world| world.shown(alice) == ["it is me, really"]);
    let held = |event: &Event| matches!(event, Event::KeyAccepted { held: 1, .. });
    assert!(world.told(alice).any(held), "alice was told how much was held");
    say(&mut world, alice, "@bob", "welcome back");
    world.start(bob);
    wait(&mut world, "alice's answer at bob's", |world| world.shown(bob) == ["welcome back"]);
    say(&mut world, bob, "@alice", "thank you");
    wait(&mut world, "bob's at alice's", |world| world.shown(alice) == ["it is me, really", "thank you"]);
    world.run_for(LONG);
    assert_eq!(world.shown(bob), ["welcome back"], "nothing from before is for the new key");
    holds(&mut world);
}

#[test]
fn what_waited_for_somebody_goes_to_the_accepted_key() {
    let (mut world, [alice, bob]) = talked();
    world.crash(bob);
    say(&mut world, alice, "@bob", "while you were gone");
    world.run_for(LONG);
    comes_back_another(&mut world, alice, bob);
    say(&mut world, bob, "@alice", "hello?");
    wait(&mut world, "alice warned", |world| is_warned(world, alice));
    world.run_for(LONG);
    assert!(world.shown(bob).is_empty());
    world.command(alice, Command::AcceptKey { user: name("bob") });
    wait(&mut world, "what waited", |world| world.shown(bob) == ["while you were gone"]);
    wait(&mut world, "alice told so", |world| deliveries(world, alice) == 1);
    world.run_for(Duration::from_millis(100));
    for who in [alice, bob] {
        world.crash(who);
        world.start(who);
    }
    wait(&mut world, "both back", |world| [alice, bob].iter().all(|who| is_signed_in(world, *who)));
    say(&mut world, alice, "@bob", "still the same conversation");
    wait(&mut world, "it at bob's", |world| world.shown(bob) == ["still the same conversation"]);
    holds(&mut world);
}

#[test]
fn a_rejected_key_leaves_nothing_and_warns_again() {
    let (mut world, [alice, bob]) = talked();
    comes_back_another(&mut world, alice, bob);
    say(&mut world, bob, "@alice", "it is me, really");
    wait(&mut world, "alice warned", |world| is_warned(world, alice));
    world.run_for(LONG);
    world.crash(bob);
    world.command(alice, Command::RejectKey { user: name("bob") });
    let dropped = |event: &Event| matches!(event, Event::KeyRejected { dropped: 1, .. });
    wait(&mut world, "the decision told", |world| world.told(alice).any(dropped));
    world.run_for(LONG);
    assert!(world.shown(alice).is_empty(), "thrown away: {:?}", world.shown(alice));
    let warnings = |world: &World| world.told(alice).filter(|event| is_change(event)).count();
    assert_eq!(warnings(&world), 1);
    world.start(bob);
    say(&mut world, bob, "@alice", "but it is");
    wait(&mut world, "alice warned again", |world| warnings(world) == 2);
    world.run_for(LONG);
    assert!(world.shown(alice).is_empty());
    world.command(alice, Command::AcceptKey { user: name("carol") });
    wait(&mut world, "there is nothing to decide about carol", |world| is_refused(world, alice, Code::Usage));
}

#[test]
fn an_invitation_under_a_known_name_needs_the_known_key() {
    let (mut world, [alice, bob]) = talked();
    comes_back_another(&mut world, alice, bob);
    create(&mut world, bob, "#plans", true);
    world.command(bob, Command::Invite { user: name("alice"), room: Some(room("#plans")) });
    say(&mut world, bob, "@alice", "come in");
    wait(&mut world, "alice warned", |world| is_warned(world, alice));
    world.run_for(LONG);
    world.command(alice, Command::Invites);
    let invites = |world: &World| {
        let counts = world.told(alice).filter_map(|event| match event {
            Event::Invites { invites } => Some(invites.len()),
            _ => None,
        });
        counts.collect::<Vec<_>>()
    };
    wait(&mut world, "no invitation", |world| invites(world) == [0]);
    assert!(!world.told(alice).any(|event| matches!(event, Event::Invited(_))), "nothing of it is shown");
    world.command(alice, Command::AcceptKey { user: name("bob") });
    wait(&mut world, "what was held", |world| world.shown(alice) == ["come in"]);
    world.command(alice, Command::Invites);
    wait(&mut world, "the invitation", |world| invites(world) == [0, 1]);
    holds(&mut world);
}

#[test]
fn a_room_takes_the_accepted_key_in_place_of_the_one_before() {
    let (mut world, [alice, carol]) = world_of(["alice", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, carol, "#dev");
    world.back_up_registry();
    let bob = world.person("bob");
    world.start(bob);
    wait(&mut world, "bob signed in", |world| is_signed_in(world, bob));
    enter(&mut world, bob, "#dev");
    say(&mut world, bob, "#dev", "hello room");
    wait(&mut world, "bob heard", |world| world.shown(alice) == ["hello room"] && world.shown(carol) == ["hello room"]);
    world.expect(Code::KeyBlocked);
    world.lose_everything(bob);
    world.restore_registry(LONG / 10);
    world.run_for(LONG);
    world.start(bob);
    wait(&mut world, "bob signed up anew", |world| is_signed_in(world, bob));
    enter(&mut world, bob, "#dev");
    say(&mut world, bob, "#dev", "hello again");
    wait(&mut world, "both warned", |world| is_warned(world, alice) && is_warned(world, carol));
    say(&mut world, alice, "#dev", "is that bob?");
    wait(&mut world, "it at carol's", |world| world.shown(carol).last() == Some(&"is that bob?"));
    world.run_for(LONG);
    assert_eq!(world.shown(alice), ["hello room"]);
    assert!(world.shown(bob).is_empty(), "sent to a stranger: {:?}", world.shown(bob));

    world.command(alice, Command::AcceptKey { user: name("bob") });
    wait(&mut world, "bob's line at alice's", |world| world.shown(alice).last() == Some(&"hello again"));
    assert_eq!(world.shown(carol), ["hello room", "is that bob?"], "carol has not decided");
    world.command(carol, Command::AcceptKey { user: name("bob") });
    wait(&mut world, "bob's line at carol's", |world| world.shown(carol).last() == Some(&"hello again"));
    say(&mut world, alice, "#dev", "now we are three");
    wait(&mut world, "it at both", |world| {
        [bob, carol].iter().all(|who| world.shown(*who).last() == Some(&"now we are three"))
    });
    // Two members besides alice, not three: the key before stands aside, also after a restart.
    let whole = |event: &Event| matches!(event, Event::Delivery(told) if (told.done, told.of) == (2, 2));
    wait(&mut world, "both told to have it", |world| world.told(alice).any(whole));
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "alice back", |world| is_signed_in(world, alice));
    say(&mut world, alice, "#dev", "and still");
    wait(&mut world, "both told to have that, too", |world| world.told(alice).any(whole));
    assert!(is_in(&world, bob, "bob"));
}

#[test]
fn digits_agree_mark_and_are_lost_with_the_key() {
    let (mut world, [alice, bob]) = talked();
    let verify = |user: &str, digits: Option<&str>| {
        let digits = digits.map(|digits| digits.split(' ').collect());
        Command::Verify { user: name(user), digits }
    };
    world.command(alice, verify("bob", None));
    world.command(bob, verify("alice", None));
    let shown = |world: &World, who: Who| {
        let numbers = world.told(who).filter_map(|event| match event {
            Event::SafetyNumber { digits, verified, .. } => Some((digits.clone(), *verified)),
            _ => None,
        });
        numbers.last()
    };
    wait(&mut world, "both numbers", |world| shown(world, alice).is_some() && shown(world, bob).is_some());
    let (digits, verified) = shown(&world, alice).unwrap();
    assert_eq!(shown(&world, bob), Some((digits.clone(), false)));
    assert!(!verified);
    let is_marked = |event: &Event| matches!(event, Event::Verified { .. });

    let mut wrong: Vec<char> = digits.chars().collect();
    wrong[0] = if wrong[0] == '0' { '1' } else { '0' };
    world.expect(Code::Credentials);
    world.command(alice, verify("bob", Some(&wrong.iter().collect::<String>())));
    wait(&mut world, "the difference told", |world| is_refused(world, alice, Code::Credentials));
    assert!(!world.told(alice).any(is_marked));
    world.command(alice, verify("bob", None));
    wait(&mut world, "the number again", |world| {
        world.told(alice).filter(|event| matches!(event, Event::SafetyNumber { .. })).count() == 2
    });
    assert_eq!(shown(&world, alice), Some((digits.clone(), false)), "nothing was marked");

    world.command(alice, verify("bob", Some(&digits)));
    wait(&mut world, "bob marked", |world| world.told(alice).any(is_marked));
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "alice back", |world| is_signed_in(world, alice));
    world.command(alice, verify("bob", None));
    wait(&mut world, "the mark kept", |world| shown(world, alice) == Some((digits.clone(), true)));

    comes_back_another(&mut world, alice, bob);
    say(&mut world, bob, "@alice", "it is me, really");
    let louder = |event: &Event| matches!(event, Event::KeyChanged { verified: true, .. });
    wait(&mut world, "the louder warning", |world| world.told(alice).any(louder));
    world.command(alice, Command::AcceptKey { user: name("bob") });
    world.command(alice, verify("bob", None));
    wait(&mut world, "another number", |world| {
        shown(world, alice).is_some_and(|(other, verified)| other != digits && !verified)
    });
}

#[test]
fn a_name_that_looks_like_anothers_is_told_once() {
    let (mut world, [alice, bob, fake]) = world_of(["alice", "bob", "b0b"]);
    say(&mut world, bob, "@alice", "I am bob");
    wait(&mut world, "bob's", |world| world.shown(alice) == ["I am bob"]);
    assert!(warnings(&world, alice).is_empty());
    say(&mut world, fake, "@alice", "I am bob, too");
    wait(&mut world, "the other's", |world| world.shown(alice).len() == 2);
    assert_eq!(warnings(&world, alice), ["b0b like bob"]);
    say(&mut world, fake, "@alice", "believe me");
    wait(&mut world, "more of it", |world| world.shown(alice).len() == 3);
    world.run_for(Duration::from_millis(100));
    world.crash(alice);
    world.start(alice);
    say(&mut world, fake, "@alice", "do you?");
    wait(&mut world, "still more", |world| world.shown(alice) == ["do you?"]);
    assert!(warnings(&world, alice).is_empty(), "once is enough");
}

#[test]
fn nothing_that_goes_before_spares_a_look_alike_the_warning() {
    let (mut world, [alice, bob, fake]) = world_of(["alice", "bob", "b0b"]);
    say(&mut world, bob, "@alice", "I am bob");
    say(&mut world, alice, "@b0b", "who are you?");
    wait(&mut world, "the question to arrive", |world| deliveries(world, alice) == 1);
    let (reference, word) = (Reference::Newest { back: 0 }, Some("bob!".to_owned()));
    world.command(fake, Command::Query { target: Target::Person(name("alice")), text: None });
    world.command(fake, Command::React { reference, word });
    wait(&mut world, "a reaction", |world| world.told(alice).any(|event| matches!(event, Event::Changed(_))));
    create(&mut world, alice, "#dev", false);
    for round in 1..3 {
        enter(&mut world, fake, "#dev");
        wait(&mut world, "the other inside", |world| changes(world, alice, RoomChange::Joined, "b0b") == round);
        world.command(fake, Command::Part { room: Some(room("#dev")) });
        wait(&mut world, "the other outside", |world| changes(world, alice, RoomChange::Parted, "b0b") == round);
    }
    world.run_for(LONG / 10);
    world.crash(alice);
    world.start(alice);
    say(&mut world, fake, "@alice", "I am bob, too");
    wait(&mut world, "the warning", |world| warnings(world, alice) == ["b0b like bob"]);

    // It may not have been seen: what it is about comes again as well.
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "the text again", |world| world.shown(alice) == ["I am bob, too"]);
    assert_eq!(warnings(&world, alice), ["b0b like bob"]);
    holds(&mut world);
}

#[test]
fn a_look_alike_that_spoke_before_one_came_is_told_when_it_speaks_again() {
    let (mut world, [alice, bob, fake]) = world_of(["alice", "bob", "b0b"]);
    create(&mut world, bob, "#dev", true);
    for guest in [fake, alice] {
        world.invite(bob, guest, room("#dev"));
        wait(&mut world, "the invitation", |world| world.told(guest).any(|event| matches!(event, Event::Invited(_))));
        world.run_for(LONG / 10);
        world.command(guest, Command::Accept { room: room("#dev") });
        let user = world.host(guest).name.to_string();
        wait(&mut world, "the guest inside", |world| is_in(world, guest, &user));
        say(&mut world, fake, "#dev", "hello");
        say(&mut world, fake, "#dev", "all");
        world.run_for(LONG);
    }
    assert_eq!(world.shown(alice), ["hello", "all"], "what was said before she came is not for her");
    assert_eq!(warnings(&world, alice), ["b0b like bob"]);
    holds(&mut world);
}

/// Who was told of as looking like whom.
fn warnings(world: &World, who: Who) -> Vec<String> {
    let alikes = world.told(who).filter_map(|event| match event {
        Event::LookAlike { user, like } => Some(format!("{user} like {like}")),
        _ => None,
    });
    alikes.collect()
}

/// Alice and bob, who know each other.
fn talked() -> (World, [Who; 2]) {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "is that you?");
    wait(&mut world, "the text at bob's", |world| deliveries(world, alice) == 1);
    // That is on alice's disk then.
    world.run_for(LONG / 10);
    (world, [alice, bob])
}

/// The registry forgets everybody, and bob has lost his keys.
fn comes_back_another(world: &mut World, alice: Who, bob: Who) {
    world.expect(Code::KeyBlocked);
    world.lose_everything(bob);
    world.lose_account(alice);
    world.wipe_registry();
    world.run_for(LONG);
    world.start(alice);
    world.start(bob);
    wait(world, "both signed up anew", |world| [alice, bob].iter().all(|who| is_signed_in(world, *who)));
}

fn is_change(event: &Event) -> bool {
    matches!(event, Event::KeyChanged { .. })
}

fn is_warned(world: &World, who: Who) -> bool {
    world.told(who).any(is_change)
}

fn name(text: &str) -> UserName {
    UserName::parse(text).expect("a story names its people well")
}
