//! Edits, deletions and reactions; where a message is, and why there is no link.

use peer::api::{Act, Code, Command, DeliveryState, Event, Reference, Target, Via, WhyState};
use tests::world::{Who, World};

use tests::world::stories::{
    LONG, command, create, deliveries, enter, holds, is_refused, is_signed_in, is_told_delivery, say, wait, world_of,
};

#[test]
fn an_edit_reaches_whoever_was_away() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "deploy is gren");
    wait(&mut world, "the text at bob's", |world| world.shown(bob) == ["deploy is gren"]);
    world.crash(bob);
    command(&mut world, alice, Command::Query { target: target("@bob"), text: None });
    edit(&mut world, alice, Reference::Mine { back: 0 }, "deploy is green");
    wait(&mut world, "alice told that it waits", |world| is_told_delivery(world, alice, DeliveryState::Queued));
    world.start(bob);
    wait(&mut world, "the edit at bob's", |world| acts(world, bob) == ["deploy is gren -> deploy is green"]);
    wait(&mut world, "alice told that it has arrived", |world| deliveries(world, alice) == 2);
    command(&mut world, bob, Command::Query { target: target("@alice"), text: None });
    let theirs = Reference::By(world.host(alice).name.clone());
    edit(&mut world, bob, theirs, "deploy is red");
    wait(&mut world, "bob refused", |world| is_refused(world, bob, Code::NotPermitted));
    for (who, with) in [(alice, "@bob"), (bob, "@alice")] {
        assert_eq!(history(&mut world, who, with), ["deploy is green (edited)"]);
    }
    holds(&mut world);
}

#[test]
fn a_message_and_what_became_of_it_arrive_together() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "the first text on bob's disk", |world| deliveries(world, alice) == 1);
    world.crash(bob);
    command(&mut world, alice, Command::Query { target: target("@bob"), text: None });
    say(&mut world, alice, "@bob", "one");
    edit(&mut world, alice, Reference::Newest { back: 0 }, "two");
    edit(&mut world, alice, Reference::Newest { back: 0 }, "three");
    say(&mut world, alice, "@bob", "a slip");
    command(&mut world, alice, Command::Delete { reference: Reference::Mine { back: 0 } });
    wait(&mut world, "all of it on alice's disk", |world| acts(world, alice).len() == 3);
    world.start(bob);
    wait(&mut world, "all of it at bob's", |world| {
        acts(world, bob) == ["one -> two", "two -> three", "a slip deleted"]
    });
    assert_eq!(world.shown(bob), ["one", "a slip"]);
    for life in 0..2 {
        assert_eq!(history(&mut world, bob, "@alice"), ["hello", "three (edited)", " (deleted)"], "life {life}");
        world.crash(bob);
        world.start(bob);
    }
    command(&mut world, alice, Command::Delete { reference: Reference::Mine { back: 0 } });
    wait(&mut world, "alice told that it is deleted", |world| is_refused(world, alice, Code::Usage));
    holds(&mut world);
}

#[test]
fn reactions_add_up_for_everybody() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    say(&mut world, alice, "#dev", "deploy is green");
    wait(&mut world, "the text at carol's", |world| world.shown(carol).len() == 1 && world.shown(bob).len() == 1);
    for (who, word) in [(bob, Some("+1")), (carol, Some("wow")), (carol, Some("+1")), (bob, None)] {
        let word = word.map(str::to_owned);
        command(&mut world, who, Command::React { reference: Reference::Newest { back: 0 }, word });
    }
    for who in [alice, bob, carol] {
        wait(&mut world, "every reaction", |world| acts(world, who).len() == 4);
        assert_eq!(history(&mut world, who, "#dev"), ["deploy is green +1:carol"]);
    }
    holds(&mut world);
}

#[test]
fn a_reaction_that_overtakes_its_message_is_told_behind_it() {
    let (mut world, [alice, bob, carol]) = world_of(["alice", "bob", "carol"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    enter(&mut world, carol, "#dev");
    world.run_for(LONG);
    world.cut(alice, bob);
    say(&mut world, bob, "#dev", "deploy is green");
    wait(&mut world, "the text at carol's", |world| world.shown(carol) == ["deploy is green"]);
    command(
        &mut world,
        carol,
        Command::React { reference: Reference::Newest { back: 0 }, word: Some("wow".to_owned()) },
    );
    wait(&mut world, "the reaction at alice's", |world| acts(world, alice) == ["deploy is green wow"]);
    assert_eq!(world.shown(alice), ["deploy is green"]);
    holds(&mut world);
}

#[test]
fn a_message_can_be_traced_and_its_way_is_remembered() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    for (who, with) in [(alice, "@bob"), (bob, "@alice")] {
        command(&mut world, who, Command::Query { target: target(with), text: None });
    }
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "the text delivered", |world| deliveries(world, alice) == 1);
    let known = ["accepted", "sent bob +route", "delivered bob +route"];
    assert_eq!(trace(&mut world, alice, Reference::Mine { back: 0 }), known);
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "alice to be back", |world| is_signed_in(world, alice));
    command(&mut world, alice, Command::Query { target: target("@bob"), text: None });
    assert_eq!(trace(&mut world, alice, Reference::Mine { back: 0 }), known);
    let theirs = Reference::By(world.host(alice).name.clone());
    assert_eq!(trace(&mut world, bob, theirs), ["written", "received +route from its author", "stored"]);
    world.crash(bob);
    say(&mut world, alice, "@bob", "anybody there?");
    wait(&mut world, "alice told that it waits", |world| is_told_delivery(world, alice, DeliveryState::Queued));
    let waits = trace(&mut world, alice, Reference::Newest { back: 0 });
    assert_eq!(
        (waits.first().map(String::as_str), waits.last().map(String::as_str)),
        (Some("accepted"), Some("queued bob"))
    );
}

#[test]
fn why_there_is_no_link_is_told() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    let states = |world: &World| {
        let told = world.told(alice).filter_map(|event| if let Event::Why(why) = event { Some(why) } else { None });
        told.map(|why| (why.state, why.waiting)).collect::<Vec<_>>()
    };
    let user = world.host(bob).name.clone();
    let ask = |world: &mut World, count: usize| {
        command(world, alice, Command::Why { user: user.clone() });
        wait(world, "an answer", |world| states(world).len() == count);
    };
    ask(&mut world, 1);
    say(&mut world, alice, "@bob", "hello");
    wait(&mut world, "the text delivered", |world| deliveries(world, alice) == 1);
    ask(&mut world, 2);
    world.crash(bob);
    world.run_for(LONG * 4);
    say(&mut world, alice, "@bob", "you left");
    wait(&mut world, "alice told that it waits", |world| is_told_delivery(world, alice, DeliveryState::Queued));
    ask(&mut world, 3);
    assert_eq!(states(&world), [(WhyState::Idle, 0), (WhyState::Linked, 0), (WhyState::Offline, 1)]);
}

fn target(name: &str) -> Target {
    Target::parse(name).expect("a story names a person or a room")
}

fn edit(world: &mut World, who: Who, reference: Reference, text: &str) {
    world.command(who, Command::Edit { reference, text: text.to_owned() });
}

/// What somebody was told to have become of messages.
fn acts(world: &World, who: Who) -> Vec<String> {
    let changes = world.told(who).filter_map(|event| match event {
        Event::Changed(change) => Some(match &change.act {
            Act::Edited { text } => format!("{} -> {text}", change.before),
            Act::Deleted => format!("{} deleted", change.before),
            Act::Reacted { word } => format!("{} {word}", change.before),
        }),
        _ => None,
    });
    changes.collect()
}

/// The answer to a command, by how many of its kind were there before.
fn answer<T>(world: &mut World, who: Who, asked: Command, is_it: impl Fn(&Event) -> Option<T>) -> T {
    let count = |world: &World| world.told(who).filter_map(&is_it).count();
    let before = count(world);
    command(world, who, asked);
    wait(world, "an answer", |world| count(world) > before);
    world.told(who).filter_map(&is_it).last().expect("it was there a moment ago")
}

fn history(world: &mut World, who: Who, with: &str) -> Vec<String> {
    let asked = Command::History { target: Some(target(with)), count: 100, since: None };
    answer(world, who, asked, |event| {
        let Event::History { items, .. } = event else { return None };
        let shown = items.iter().map(|item| {
            let mut text = item.text.clone();
            text.push_str(if item.changes.edited && !item.changes.deleted { " (edited)" } else { "" });
            text.push_str(if item.changes.deleted { " (deleted)" } else { "" });
            for (word, people) in &item.changes.reactions {
                let people: Vec<&str> = people.iter().map(|user| user.as_str()).collect();
                text.push_str(&format!(" {word}:{}", people.join(",")));
            }
            text
        });
        Some(shown.collect())
    })
}

fn trace(world: &mut World, who: Who, reference: Reference) -> Vec<String> {
    answer(world, who, Command::Trace { reference }, |event| {
        let Event::Trace(trace) = event else { return None };
        let steps = trace.steps.iter().map(|step| {
            let mut shown = format!("{:?}", step.state).to_lowercase();
            shown.push_str(&step.to.as_ref().map_or(String::new(), |to| format!(" {to}")));
            shown.push_str(if step.route.is_some() && step.at.is_some() { " +route" } else { "" });
            match &step.via {
                None => {}
                Some(Via::Author) => shown.push_str(" from its author"),
                Some(Via::Member(member)) => shown.push_str(&format!(" from {member}")),
                Some(Via::Mailbox) => shown.push_str(" from the mailbox"),
            }
            shown
        });
        Some(steps.collect())
    })
}
