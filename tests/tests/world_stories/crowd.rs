//! A room with more members than one is linked with: what is said is passed on, and acknowledged, by the others.

use std::time::Duration;

use peer::api::{Command, Event};
use tests::world::crowd::RoomOfMany;
use tests::world::{Traffic, Who};

use tests::world::stories::room;

#[test]
fn in_a_crowd_all_is_passed_on_and_acknowledged() {
    let mut crowd = entered(40, 1);
    for who in crowd.people.clone() {
        let links = crowd.world.links_of(who);
        assert!((4..=LINKS_MAX).contains(&links), "{links} links");
    }
    crowd.world.count_traffic();
    let texts = [crowd.says(crowd.people[7]), crowd.says(crowd.people[31])];
    everybody_hears(&mut crowd, &texts);
    told(crowd.await_delivered(&texts, SOON));
    let counted = crowd.world.count_traffic();
    let most = counted.first.values().map(|(steps, _)| *steps).max().unwrap_or(0);
    assert!((2..=4).contains(&most), "{most} steps");
    assert!(counted.duplicates < counted.first.len() as u64, "{} copies too many", counted.duplicates);
    assert!(of_kind(&counted, "receipts") > 0);
    told(crowd.everybody_has_everything());
}

#[test]
fn a_crowd_does_without_a_fifth_that_vanishes_and_serves_it_when_it_is_back() {
    for seed in 1..=3 {
        let mut crowd = entered(30, seed);
        let (lost, left) = crowd.lose_a_fifth();
        let texts: Vec<String> = left.iter().step_by(6).map(|who| crowd.says(*who)).collect();
        told(crowd.await_shown(&left, &texts, SOON));
        told(crowd.await_delivered(&texts, SOON));
        lost.iter().for_each(|who| crowd.world.start(*who));
        everybody_hears(&mut crowd, &texts);
        told(crowd.await_delivered(&texts, LONG));
        told(crowd.everybody_has_everything());
    }
}

#[test]
fn without_receipts_an_author_asks_each_over_a_link() {
    let mut crowd = entered(24, 1);
    crowd.world.loses_receipts = true;
    let texts = [crowd.says(crowd.people[3])];
    everybody_hears(&mut crowd, &texts);
    assert!(crowd.await_delivered(&texts, Duration::from_secs(10)).is_err(), "there is no other way yet");
    told(crowd.await_delivered(&texts, LONG));
}

#[test]
fn a_receipt_counts_only_with_the_signature_of_whoever_has_it() {
    let mut crowd = entered(20, 1);
    let people = crowd.people.clone();
    people[1..].iter().for_each(|who| crowd.world.forges_receipts(*who));
    // Of whoever is away nobody has anything to show.
    crowd.world.crash(people[19]);
    let texts = [crowd.says(people[0])];
    told(crowd.await_shown(&people[..19], &texts, SOON));
    told(crowd.await_delivered(&texts, SOON));
    crowd.world.start(people[19]);
    told(crowd.await_shown(&people, &texts, LONG));
    told(crowd.await_delivered(&texts, LONG));
}

#[test]
fn whoever_is_put_out_of_a_crowd_is_passed_nothing_more() {
    let mut crowd = entered(20, 2);
    let (owner, out) = (crowd.people[0], crowd.people[11]);
    let user = crowd.world.host(out).name.clone();
    crowd.world.command(owner, Command::Kick { user, room: Some(room("#crowd")), reason: "enough".to_owned() });
    crowd.world.run_for(Duration::from_secs(20));
    let texts = [crowd.says(crowd.people[5])];
    let others: Vec<Who> = crowd.people.iter().copied().filter(|who| *who != out).collect();
    told(crowd.await_shown(&others, &texts, SOON));
    crowd.world.run_for(LONG);
    assert!(!crowd.world.shown(out).contains(&texts[0].as_str()));
    assert!(crowd.world.told(out).any(|event| matches!(event, Event::Room { .. })));
    assert_eq!(crowd.world.violation(), None);
}

fn entered(members: usize, seed: u64) -> RoomOfMany {
    RoomOfMany::enter(members, seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"))
}

fn everybody_hears(crowd: &mut RoomOfMany, texts: &[String]) {
    let people = crowd.people.clone();
    told(crowd.await_shown(&people, texts, LONG));
}

fn told<T>(outcome: Result<T, String>) {
    if let Err(wrong) = outcome {
        panic!("{wrong}");
    }
}

fn of_kind(counted: &Traffic, kind: &str) -> u64 {
    counted.kinds.get(kind).copied().unwrap_or(0)
}

/// Two neighbours on each ring, and some that nobody has closed yet.
const LINKS_MAX: usize = 12;
/// A few looks of everybody at who is there.
const SOON: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(150);
