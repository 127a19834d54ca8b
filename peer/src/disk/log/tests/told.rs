//! What was stored and not shown: what the next run of a program is to tell.

use super::super::told;
use super::*;

fn untold(desk: &Desk) -> Vec<u64> {
    desk.load().untold.iter().map(|event| event.number).collect()
}

fn told_to(number: u64) -> Write {
    Write::Told { conversation: TALK, author: BOB, chain: BOBS, number }
}

#[test]
fn what_lies_behind_the_mark_is_untold_and_the_mark_never_goes_back() {
    let desk = Desk::with_bob();
    desk.write(&[theirs(bobs(1)), theirs(bobs(2)), theirs(bobs(3)), own(mine(1), &[BOB])]);
    assert_eq!(untold(&desk), [1, 2, 3, 1], "others' and mine, in order of arrival");
    assert!(!desk.load().conversations[0].theirs[0].is_told);
    desk.write(&[told_to(2)]);
    assert!(desk.load().conversations[0].theirs[0].is_told);
    desk.write(&[told_to(1), Write::Told { conversation: TALK, author: ME, chain: MINE, number: 1 }]);
    assert_eq!(untold(&desk), [3]);
    desk.write(&[told_to(3)]);
    assert!(untold(&desk).is_empty());
}

#[test]
fn what_lies_behind_a_hole_comes_again_with_what_fills_it() {
    let desk = Desk::with_bob();
    desk.write(&[theirs(bobs(1)), theirs(bobs(3))]);
    assert_eq!(untold(&desk), [1]);
}

#[test]
fn only_messages_are_untold_and_a_mark_in_an_unknown_chain_is_nothing() {
    let desk = Desk::with_bob();
    let join = StoredEvent { kind: KIND_JOIN, ..bobs(1) };
    desk.write(&[told_to(9), theirs(join)]);
    assert!(untold(&desk).is_empty());
}

#[test]
fn a_long_log_is_not_read_for_what_is_untold() {
    let desk = Desk::with_bob();
    let (log, _) = desk.open();
    let mut plan = log.connection.prepare(&format!("EXPLAIN QUERY PLAN {}", told::UNTOLD)).unwrap();
    let plan: Vec<String> = plan.query_map([1], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(plan.iter().any(|line| line.contains("SEARCH events") && line.contains("number>?")), "{plan:?}");
    assert!(!plan.iter().any(|line| line.contains("SCAN events")), "{plan:?}");
}
