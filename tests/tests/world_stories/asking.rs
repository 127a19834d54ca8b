//! What was said is unread until it is read, is found again, and is copied into files: with what became of it since.

use peer::api::{Command, Event, Export, MessageShown, Reference, Search, Target, Typeset};
use tests::world::{Who, World};

use tests::world::stories::{LONG, command, create, deliveries, enter, holds, say, wait, world_of};

#[test]
fn what_was_not_read_is_unread_after_a_crash_and_what_was_read_is_not() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    create(&mut world, alice, "#dev", false);
    enter(&mut world, bob, "#dev");
    say(&mut world, bob, "#dev", "read at once");
    for text in ["one", "two, alice", "three"] {
        say(&mut world, bob, "@alice", text);
    }
    wait(&mut world, "all of it at alice's", |world| world.shown(alice).len() == 4);
    // What is read is written when the disk has time for it.
    world.run_for(LONG);
    world.crash(alice);
    world.start(alice);
    wait(&mut world, "what is unread", |world| unread(world, alice) == [("@bob".to_owned(), 3, 1)]);
    say(&mut world, bob, "@alice", "four");
    wait(&mut world, "one more", |world| world.shown(alice) == ["four"]);
    command(&mut world, alice, Command::Query { target: Target::parse("bob").expect("a name"), text: None });
    wait(&mut world, "the lines and their mark", |world| {
        world.told(alice).any(|event| match event {
            Event::Backlog { mark, items, .. } => mark.count == 4 && mark.first == items[0].id && items.len() == 4,
            _ => false,
        })
    });
    command(&mut world, alice, Command::CatchUp);
    let nothing = |event: &Event| matches!(event, Event::CaughtUp { conversations, .. } if conversations.is_empty());
    wait(&mut world, "nothing to catch up with", |world| world.told(alice).any(nothing));
    world.run_for(LONG);
    world.crash(alice);
    world.start(alice);
    world.run_for(LONG);
    assert!(unread(&world, alice).is_empty(), "{:?}", unread(&world, alice));
    holds(&mut world);
}

#[test]
fn a_catching_up_and_a_search_and_a_copy_tell_of_everything_in_order() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    for number in 0..8 {
        say(&mut world, bob, "@alice", &format!("line {number}"));
    }
    wait(&mut world, "all of it at alice's", |world| world.shown(alice).len() == 8);
    command(&mut world, alice, Command::CatchUp);
    wait(&mut world, "eight unread, the last five shown", |world| {
        world.told(alice).any(|event| match event {
            Event::CaughtUp { conversations, .. } => conversations[0].count == 8 && conversations[0].items.len() == 5,
            _ => false,
        })
    });
    let words = vec!["line".to_owned()];
    command(&mut world, alice, Command::Search(Search { words, context: Some(1), ..Search::default() }));
    wait(&mut world, "all eight, the oldest first", |world| {
        world.told(alice).any(|event| match event {
            Event::Found { items, .. } => items.len() == 8 && items[0].message.text == "line 0",
            _ => false,
        })
    });
    let typeset = Typeset(|_, messages| messages.iter().map(|message| message.text.clone() + "\n").collect());
    let path = "/a/copy".to_owned();
    command(&mut world, alice, Command::Export(Export { path, target: None, since: None, typeset }));
    let whole = |event: &Event| matches!(event, Event::Exported { path, count: 8 } if path == "/a/copy");
    wait(&mut world, "a copy of several pages", |world| world.told(alice).any(whole));
    holds(&mut world);
}

#[test]
fn what_was_edited_or_deleted_is_told_as_it_is_now() {
    let (mut world, [alice, bob]) = world_of(["alice", "bob"]);
    for text in ["deploy is gren", "a slip", "as it was"] {
        say(&mut world, bob, "@alice", text);
    }
    command(&mut world, bob, Command::Query { target: Target::parse("alice").expect("a name"), text: None });
    let (text, reference) = ("deploy is green, alice".to_owned(), |back| Reference::Mine { back });
    command(&mut world, bob, Command::Edit { reference: reference(2), text });
    command(&mut world, bob, Command::Delete { reference: reference(1) });
    let changed = |event: &&Event| matches!(event, Event::Changed(_));
    wait(&mut world, "both changes at alice's", |world| world.told(alice).filter(changed).count() == 2);
    wait(&mut world, "all of it on alice's disk", |world| deliveries(world, bob) == 5);
    let now = ["deploy is green, alice (edited)", " (deleted)", "as it was"];
    world.crash(alice);
    world.start(alice);
    for (word, expected) in [("green", &now[..1]), ("gren", &[]), ("slip", &[]), ("was", &now[2..])] {
        let words = vec![word.to_owned()];
        command(&mut world, alice, Command::Search(Search { words: words.clone(), ..Search::default() }));
        let is_it = |event: &Event| match event {
            Event::Found { words: of, items } if *of == words => {
                told(items.iter().map(|found| &found.message)) == expected
            }
            _ => false,
        };
        wait(&mut world, word, |world| world.told(alice).any(is_it));
    }
    let around = Search { words: vec!["was".to_owned()], context: Some(2), ..Search::default() };
    command(&mut world, alice, Command::Search(around));
    wait(&mut world, "the lines around one", |world| {
        world.told(alice).any(|event| match event {
            Event::Found { items, .. } => {
                let around = items.iter().filter_map(|found| found.around.as_ref());
                around.into_iter().any(|around| told(&around.before) == now[..2])
            }
            _ => false,
        })
    });
    command(&mut world, alice, Command::CatchUp);
    wait(&mut world, "what is unread", |world| {
        world.told(alice).any(|event| match event {
            Event::CaughtUp { mentions, conversations } => {
                told(mentions) == now[..1] && conversations[0].mentions == 1 && told(&conversations[0].items) == now
            }
            _ => false,
        })
    });
    let typeset = Typeset(|_, messages| {
        assert_eq!(told(messages), ["deploy is green, alice (edited)", " (deleted)", "as it was"]);
        String::new()
    });
    let path = "/a/copy".to_owned();
    command(&mut world, alice, Command::Export(Export { path, target: None, since: None, typeset }));
    let whole = |event: &Event| matches!(event, Event::Exported { count: 3, .. });
    wait(&mut world, "a copy", |world| world.told(alice).any(whole));
    holds(&mut world);
}

/// Texts with what became of them.
fn told<'a>(messages: impl IntoIterator<Item = &'a MessageShown>) -> Vec<String> {
    let told = messages.into_iter().map(|message| {
        let changed = match &message.changes {
            changes if changes.deleted => " (deleted)",
            changes if changes.edited => " (edited)",
            _ => "",
        };
        message.text.clone() + changed
    });
    told.collect()
}

/// What was told to be unread: where, how many, how many with one's name in them.
fn unread(world: &World, who: Who) -> Vec<(String, u32, u32)> {
    let told = world.told(who).filter_map(|event| match event {
        Event::Unread { conversation, count, mentions } => Some((conversation.to_string(), *count, *mentions)),
        _ => None,
    });
    told.collect()
}
