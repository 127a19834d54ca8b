//! Lies about mail: items that are dropped, doubled, swapped, in another order, or somebody else's.

use common::message::registry::{MailItem, Reply, Request};
use common::wire::bounded::{Blob, List};
use tests::evil::EvilRegistry;
use tests::programs::Kept;

use super::{is_told, people, shown};

#[test]
fn doubled_and_swapped_mail_comes_once_and_in_order() {
    let registry = EvilRegistry::start();
    let [alice, mut bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob zero");
    bob.quit();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    for text in ["one", "two", "three"] {
        alice.must(&format!("@bob {text}"), "message");
        alice.wait("the mailbox", |event| is_told(event, "mailbox"));
    }
    alice.quit();
    // Each twice, the last first, under numbers that grow as they should.
    registry.bend_replies(|about, reply| {
        if let (Reply::Mail { items, more }, Some(Request::Mail { after: 0 })) = (reply, about.request) {
            let twice = items.iter().rev().chain(items.iter().rev()).map(|item| item.item.clone());
            let renumbered = (1..).zip(twice).map(|(id, item)| MailItem { id, item });
            (*items, *more) = (List::cut(renumbered.collect()), false);
        }
    });
    bob.restart();
    bob.hears("@alice", "alice", "three");
    assert_eq!(shown(&bob, "@alice", "alice"), ["one", "two", "three"]);
    bob.quit();
    assert_eq!(Kept::of(&bob.launch).texts(), ["zero", "one", "two", "three"]);
}

#[test]
fn mail_that_never_comes_is_a_gap_and_then_a_delay() {
    let registry = EvilRegistry::start();
    let [mut alice, mut bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob zero");
    bob.quit();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    for text in ["one", "two"] {
        alice.must(&format!("@bob {text}"), "message");
        alice.wait("the mailbox", |event| is_told(event, "mailbox"));
    }
    alice.quit();
    // The first item is never handed out; nobody is told.
    registry.bend_replies(|_, reply| {
        if let Reply::Mail { items, .. } = reply {
            let smallest = items.iter().map(|item| item.id).min();
            let rest = items.iter().filter(|item| Some(item.id) != smallest).cloned();
            *items = List::cut(rest.collect());
        }
    });
    bob.restart();
    let gap = bob.wait("the gap", |event| event.is("gap") && event.number("missing") == Some(2));
    assert_eq!(gap.text("from"), "alice");
    assert!(shown(&bob, "@alice", "alice").is_empty(), "nothing out of order");
    // The author still has it: the registry was never the only one.
    alice.restart();
    bob.hears("@alice", "alice", "two");
    assert_eq!(shown(&bob, "@alice", "alice"), ["one", "two"]);
}

#[test]
fn mail_of_somebody_else_and_rubbish_are_dropped_unread() {
    let registry = EvilRegistry::start();
    let [alice, mut bob, carol] = people(&registry, ["alice", "bob", "carol"]);
    alice.says("@bob zero");
    alice.says("@carol zero");
    bob.quit();
    carol.quit();
    for person in ["bob", "carol"] {
        alice.must(&format!("@{person} for {person} alone"), "message");
        alice.wait("the mailbox", |event| is_told(event, "mailbox") && event.text("to") == person);
    }
    let items: Vec<_> = registry
        .heard("alice")
        .into_iter()
        .filter_map(|request| match request {
            Request::PutMail { item, .. } => Some(item),
            _ => None,
        })
        .collect();
    let rubbish = [vec![], vec![0; 3], vec![0xff; 300], items[0][..items[0].len() - 1].to_vec()];
    let flipped = {
        let mut bytes = items[0].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let all = items.iter().map(|item| item.to_vec()).chain(rubbish).chain([flipped]);
    let all: Vec<MailItem> = (1..).zip(all).map(|(id, item)| MailItem { id, item: Blob::new(item).unwrap() }).collect();
    let count = u64::try_from(all.len()).unwrap();
    registry.bend_replies(move |about, reply| {
        if let (Reply::Mail { items, more }, Some(Request::Mail { after })) = (reply, about.request) {
            let left = all.iter().filter(|item| item.id > *after).cloned();
            (*items, *more) = (List::cut(left.collect()), false);
        }
    });
    bob.restart();
    bob.hears("@alice", "alice", "for bob alone");
    assert_eq!(shown(&bob, "@alice", "alice"), ["for bob alone"]);
    bob.quit();
    let dropped: Vec<u64> = registry
        .heard("bob")
        .into_iter()
        .filter_map(|request| match request {
            Request::DropMail { ids } => Some(ids.into_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!((1..=count).all(|id| dropped.contains(&id)), "{dropped:?} of {count}");
    assert!(!Kept::of(&bob.launch).texts().contains(&"for carol alone".to_owned()));
}
