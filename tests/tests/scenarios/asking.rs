//! What was said can be asked for: found, caught up with, copied, and still unread after a restart.

use serde_json::Value;
use tests::{Ended, Event, JsonPeer, Launch, Registry, TermPeer};

/// Alice and Bob in a room, with lines in both of their conversations.
fn talk(registry: &Registry) -> [JsonPeer; 2] {
    let [alice, bob] = JsonPeer::start_all(registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    for line in
        ["#dev is it up?", "#dev deploy is GREEN", "@alice the deploy key is lost", "@alice 明日は東京に行きます"]
    {
        bob.says(line);
    }
    alice.says("#dev deployed again by me");
    alice.hears("@bob", "bob", "明日は東京に行きます");
    [alice, bob]
}

fn texts(event: &Event, field: &str) -> Vec<String> {
    event.objects(field).iter().map(|item| item.text("text").to_owned()).collect()
}

#[test]
fn what_was_said_is_found_by_word_person_place_and_time_also_after_a_restart() {
    let registry = Registry::start(&[]);
    let [mut alice, _bob] = talk(&registry);
    for _ in 0..2 {
        let found = |line: &str| texts(&alice.must(line, "found"), "items");
        let all = ["deploy is GREEN", "the deploy key is lost", "deployed again by me"];
        assert_eq!(found("/search deploy"), all, "over both conversations, oldest first");
        assert_eq!(found("/search deploy from:bob"), all[..2]);
        assert_eq!(found("/search deploy from:alice in:#dev"), all[2..]);
        assert_eq!(found("/search deploy in:@bob after:1h before:2100-01-01"), all[1..2]);
        assert!(found("/search deploy before:1h").is_empty());
        assert_eq!(found("/search 東京"), ["明日は東京に行きます"]);
        assert!(found("/search \"green deploy\"").is_empty() && found("/search from:bob -x NOT 5\"").is_empty());
        assert!(found("/search deploy from:nobody-here").is_empty());
        let around = alice.must("/search green -C 1", "found").objects("items").remove(0);
        let context: Event = Event::parse(&with_type(around.field("context"))).expect("an object");
        assert_eq!(texts(&context, "before"), ["is it up?"]);
        assert_eq!(texts(&context, "after"), ["deployed again by me"]);
        assert_eq!((around.text("conversation"), around.text("from")), ("#dev", "bob"));
        alice.refused("/search \"-\"", "usage");
        alice.refused("/search x in:#nowhere", "not_member");
        assert_eq!(alice.quit(), Ended::Exit(0));
        alice.restart();
    }
}

#[test]
fn what_is_unread_is_still_unread_after_a_restart_until_it_is_caught_up_with() {
    let registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    assert!(alice.must("/catchup", "catchup").items("conversations").is_empty(), "nothing is new");
    bob.says("#dev alice sees this at once");
    for line in ["@alice one", "@alice two, Alice", "#dev three", "@alice four"] {
        bob.says(line);
    }
    alice.hears("@bob", "bob", "four");
    assert_eq!(alice.quit(), Ended::Exit(0));
    alice.restart();
    let unread = alice.wait("what is unread", |event| event.is("unread"));
    assert_eq!(
        (unread.text("conversation"), unread.number("count"), unread.number("mentions")),
        ("@bob", Some(3), Some(1))
    );
    bob.says("#dev five");
    alice.hears("#dev", "bob", "five");
    let caught_up = alice.must("/catchup", "catchup");
    assert_eq!(texts(&caught_up, "mentions"), ["two, Alice"]);
    let conversations = caught_up.items("conversations");
    let told = |conversation: &Value| (conversation["conversation"].clone(), conversation["count"].clone());
    let expected = [("@bob".into(), 3.into()), ("#dev".into(), 1.into())];
    assert_eq!(conversations.iter().map(told).collect::<Vec<(Value, Value)>>(), expected, "people before rooms");
    assert!(alice.must("/catchup", "catchup").items("conversations").is_empty(), "all of it is read");
    assert_eq!(alice.quit(), Ended::Exit(0));
    alice.restart();
    alice.must("/catchup", "catchup");
    assert!(!alice.seen().iter().any(|event| event.is("unread")), "and stays read");
}

#[test]
fn a_copy_is_written_once_privately_as_text_and_as_objects() {
    let registry = Registry::start(&[]);
    let [alice, _bob] = talk(&registry);
    let path = |name: &str| alice.launch.folder().join(name);
    let exported = alice.must("/export ~/all.txt", "exported");
    assert_eq!(exported.text("path"), path("all.txt").display().to_string());
    assert_eq!(exported.number("count"), Some(5));
    let text = std::fs::read_to_string(path("all.txt")).unwrap();
    assert!(text.starts_with("-- ") && text.contains(" #dev <bob> deploy is GREEN\n"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path("all.txt")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let refused = alice.refused("/export ~/all.txt --json", "storage");
    assert!(refused.text("text").contains("is there already"), "{refused}");
    assert_eq!(std::fs::read_to_string(path("all.txt")).unwrap(), text, "left as it is");

    alice.must("/export ~/dev.jsonl --json --since 1h #dev", "exported");
    let lines = std::fs::read_to_string(path("dev.jsonl")).unwrap();
    let copied: Vec<Event> = lines.lines().map(|line| Event::parse(line).expect("an object")).collect();
    let told: Vec<Event> = alice.seen().into_iter().filter(|event| event.text("conversation") == "#dev").collect();
    let told: Vec<&Event> = told.iter().filter(|event| event.is("message")).collect();
    assert_eq!(copied.len(), 3);
    let same = |copy: &Event| {
        told.iter().any(|event| event.text("id") == copy.text("id") && event.text("at") == copy.text("at"))
    };
    assert!(copied.iter().all(|copy| copy.is("message") && same(copy)), "{lines}");
    alice.refused("/export /nowhere/at/all.txt", "storage");
}

#[test]
fn a_person_sees_what_was_unread_where_it_begins_and_what_was_found() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let alice = TermPeer::launch(Launch::new(&registry, "alice"), 40, 100);
    alice.wait_screen("alice> ");
    bob.says("@alice good morning");
    alice.enter("/query bob");
    alice.wait_screen("[@bob] alice> ");
    bob.says("@alice seen while talking");
    alice.wait_screen("seen while talking");
    alice.enter("/create #dev");
    alice.wait_screen("[#dev");
    bob.says("@alice unseen one");
    bob.says("@alice unseen two, alice");
    alice.wait_screen("unseen two");
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);

    let alice = TermPeer::launch(alice.launch.again(), 40, 120);
    alice.wait_screen("2 unread, 1 mention");
    alice.enter("/switch bob");
    alice.wait_screen("unseen two");
    let screen = alice.screen();
    let row = |text: &str| screen.lines().position(|line| line.contains(text));
    if !(row("── 2 unread since ") < row("<bob> unseen one") && row("seen while talking").is_none()) {
        alice.fail("the mark does not stand before what is unread");
    }
    alice.wait_screen("[@bob] alice> ");
    clear(&alice);
    alice.enter("/history");
    alice.wait_screen("-- end --");
    let screen = alice.screen();
    let row = |text: &str| screen.lines().position(|line| line.contains(text));
    if !(row("seen while talking") < row("── 2 unread since ") && row("── 2 unread since ") < row("unseen one"))
    {
        alice.fail("the history has no mark in its place");
    }
    clear(&alice);
    alice.enter("/search MORNING");
    alice.wait_screen("-- 1 found for \"MORNING\" --");
    alice.wait_screen("seen while talking");
    let is_bold = alice.look(|screen| {
        let rows: Vec<String> = screen.rows(0, 120).collect();
        let row = rows.iter().position(|row| row.contains("good morning")).expect("it was found");
        let column = rows[row].split("morning").next().expect("a beginning").chars().count();
        let cell = |column: usize| screen.cell(row as u16, column as u16).expect("a cell");
        cell(column).bold() && !cell(column - 2).bold()
    });
    if !is_bold {
        alice.fail("what was looked for does not stand out");
    }
    alice.enter("/search nothing-like-that");
    alice.wait_screen("Nothing found for \"nothing-like-that\".");
    alice.enter("/quit");
    assert_eq!(alice.end(), 0);
    alice.check_sane();
}

/// Clears the screen and waits until it is clear.
fn clear(person: &TermPeer) {
    person.enter("/clear");
    let is_clear = |screen: &str| screen.contains("The screen is clear") && !screen.contains("-- end --");
    person.wait_until("a clear screen", |screen| is_clear(&screen.contents()));
}

/// The object as an event, to be looked at in the same way.
fn with_type(object: &Value) -> String {
    let mut object = object.clone();
    object["type"] = "context".into();
    object.to_string()
}
