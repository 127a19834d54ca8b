//! Messages by what names them, what is about them, and the steps they took.

use common::ids::EventId;
use common::message::event::{Content, Event as ChainEvent};

use super::*;
use crate::ports::{Step, StepRun, Wanted};

/// An event that says what it says: these are decoded.
fn said(author: IdentityKey, number: u64, content: &Content) -> StoredEvent {
    let (kind, body) = content.encode().unwrap();
    let event = ChainEvent {
        conversation: TALK,
        author,
        chain: ChainId([author.as_bytes()[0]; 16]),
        number,
        previous: NO_EVENT,
        parents: Default::default(),
        head: 0,
        lamport: number,
        at: UnixMillis(number * 1000),
        kind,
        body,
    };
    let wire = event.sign(keys(1).event_signer());
    let ChainEvent { chain, lamport, at, kind, .. } = event;
    StoredEvent { conversation: TALK, author, chain, number, id: wire.id(), lamport, at, kind, late: false, wire }
}

fn text(author: IdentityKey, number: u64, text: &str) -> StoredEvent {
    said(author, number, &Content::Text(text.to_owned()))
}

fn edit(author: IdentityKey, number: u64, target: EventId, text: &str) -> StoredEvent {
    said(author, number, &Content::Edit { target, text: text.to_owned() })
}

fn names(events: &[StoredEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

#[test]
fn what_is_about_a_message_is_found_also_if_it_came_first() {
    let desk = Desk::with_bob();
    let (first, second) = (text(BOB, 1, "gren"), text(BOB, 2, "other"));
    let early = said(CAROL, 1, &Content::Reaction { target: first.id, word: "+1".to_owned() });
    let (old, new) = (edit(BOB, 3, first.id, "green"), edit(BOB, 4, first.id, "green!"));
    desk.write(&[early.clone(), first.clone(), second.clone(), old, new.clone()].map(theirs));
    let (events, changes) = desk.open().0.read_history(TALK, 10, None).unwrap();
    assert_eq!(names(&events), [first.id, second.id]);
    assert_eq!(names(&changes), [early.id, new.id], "of each author the newest of a kind");
    let (events, changes) = desk.open().0.read_events(&Wanted::Ids(vec![second.id, EventId([9; 32])])).unwrap();
    assert_eq!((names(&events), changes), (vec![second.id], Vec::new()));
}

#[test]
fn a_message_is_named_by_its_place_or_the_beginning_of_its_id() {
    let desk = Desk::with_bob();
    let bobs = [text(BOB, 1, "one"), text(BOB, 2, "two"), edit(BOB, 3, EventId([1; 32]), "x")];
    let carols = text(CAROL, 1, "three");
    desk.write(&[bobs[0].clone(), bobs[1].clone(), carols.clone(), bobs[2].clone()].map(theirs));
    let (log, _) = desk.open();
    let find = |wanted: Wanted| names(&log.read_events(&wanted).unwrap().0);
    let newest = |author, back| find(Wanted::Newest { conversation: TALK, author, back });
    assert_eq!([newest(None, 0), newest(None, 2), newest(None, 3)], [vec![carols.id], vec![bobs[0].id], vec![]]);
    assert_eq!([newest(Some(BOB), 0), newest(Some(ME), 0)], [vec![bobs[1].id], vec![]]);
    let between = |first, last| find(Wanted::Between { first, last });
    assert_eq!(between(carols.id, carols.id), [carols.id]);
    assert_eq!(between(EventId([0; 32]), EventId([255; 32])).len(), 2, "enough to see that there are several");
}

#[test]
fn nothing_is_looked_up_by_reading_everything() {
    let desk = Desk::with_bob();
    let (log, _) = desk.open();
    for (select, index) in [
        (changes::ABOUT, "changes_about"),
        (changes::NEWEST, "events_shown"),
        (ids::KEPT, "SEARCH ids USING PRIMARY KEY (id>? AND id<?)"),
        (ids::NOT_KEPT, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"),
    ] {
        let mut plan = log.connection.prepare(&format!("EXPLAIN QUERY PLAN {select}")).unwrap();
        let values = vec![1; plan.parameter_count()];
        let plan = plan.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:?}");
        assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:?}");
    }
}

#[test]
fn a_history_can_begin_at_a_time() {
    let desk = Desk::with_bob();
    desk.write(&[1, 2, 3, 4].map(|number| theirs(text(BOB, number, "hi"))));
    let (log, _) = desk.open();
    let since = |count, at| log.read_history(TALK, count, Some(UnixMillis(at))).unwrap().0.len();
    assert_eq!([since(10, 2000), since(10, 2001), since(1, 2000), since(10, 5000)], [3, 2, 1, 0]);
}

#[test]
fn steps_survive_and_a_burst_is_one_run() {
    let desk = Desk::with_bob();
    let run = |step, first, last, at| StepRun {
        conversation: TALK,
        author: ME,
        chain: MINE,
        first,
        last,
        step,
        party: BOB,
        at: UnixMillis(at),
        route: Some("192.0.2.7:41000".parse().unwrap()),
    };
    let steps = [run(Step::Sent, 1, 1, 1000), run(Step::Delivered, 1, 1, 1050), run(Step::Sent, 2, 3, 1005)];
    let later = run(Step::Sent, 4, 4, 5000);
    let foreign = StepRun { chain: BOBS, ..later.clone() };
    desk.write(&[own(mine(1), &[BOB, CAROL]), own(mine(2), &[BOB]), own(mine(3), &[BOB]), own(mine(4), &[BOB])]);
    desk.write(&steps.map(Write::Step));
    desk.write(&[later.clone(), foreign].map(Write::Step));
    let name = ChainName { conversation: TALK, author: ME, chain: MINE };
    let read = |number| desk.open().0.read_steps(&name, number).unwrap();
    let burst = run(Step::Sent, 1, 3, 1000);
    assert_eq!(read(1), (vec![BOB, CAROL], vec![burst.clone(), run(Step::Delivered, 1, 1, 1050)]));
    assert_eq!([read(3), read(4)], [(vec![BOB], vec![burst]), (vec![BOB], vec![later])]);
}

#[test]
fn a_message_is_found_by_its_id_before_and_after_that_is_kept() {
    let desk = Desk::with_bob();
    let many: Vec<StoredEvent> = (1..=1500).map(|number| text(BOB, number, "many")).collect();
    let id = |number: usize| many[number - 1].id;
    let row = |log: &Log| log.connection.query_row("SELECT row FROM ids_kept", [], |row| row.get::<_, i64>(0)).unwrap();
    let found = |log: &Log, id| names(&log.read_events(&Wanted::Ids(vec![id])).unwrap().0);
    desk.write(&many[..300].iter().cloned().map(theirs).collect::<Vec<_>>());
    let (mut log, _) = desk.open();
    assert_eq!((found(&log, id(7)), row(&log)), (vec![id(7)], 0), "a few are looked through");
    while log.index_chunk().unwrap() == Progress::More {}
    assert_eq!((found(&log, id(7)), row(&log)), (vec![id(7)], 300));
    log.close();
    desk.write(&many[300..].iter().cloned().map(theirs).collect::<Vec<_>>());
    let (log, _) = desk.open();
    let both = Wanted::Between { first: EventId([0; 32]), last: EventId([255; 32]) };
    assert_eq!(log.read_events(&both).unwrap().0.len(), 2, "of those kept and those not");
    assert_eq!((found(&log, id(7)), found(&log, id(1400))), (vec![id(7)], vec![id(1400)]));
    assert_eq!(row(&log), 1500, "many are not");
}
