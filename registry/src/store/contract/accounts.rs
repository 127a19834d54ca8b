//! What is meant by accounts, their keys, and the operator's word about them.

use common::names::UserName;
use common::secret::Secret;
use common::secure::identity::KEYS_BYTES;
use common::time::UnixMillis;

use super::{Somebody, somebody};
use crate::store::{Account, Creation, Redemption, Replacement, Store, StoredToken};

pub(super) fn accounts_are_unique_in_name_and_keys(store: &dyn Store) {
    assert_eq!(store.dearest_hash(), Ok(None));
    let alice = somebody("alice", 1).enrolled(store);
    let mut kept = store.account(&alice.name).unwrap().unwrap();
    assert_eq!(kept, alice.account());
    assert_eq!(store.create_account(&somebody("alice", 2).account(), UnixMillis(1)), Ok(Creation::NameTaken));
    assert_eq!(store.create_account(&somebody("bob", 1).account(), UnixMillis(1)), Ok(Creation::KeyTaken));
    assert_eq!(store.user_of_identity(&alice.keys.identity()), Ok(Some(alice.name.clone())));
    assert_eq!(store.user_of_identity(&somebody("bob", 2).keys.identity()), Ok(None));
    store.set_password(&alice.name, "$2b$04$second").unwrap();
    store.set_last_seen(&alice.name, UnixMillis(77));
    // Something that waits comes after what does not.
    store.set_password(&alice.name, "$2b$12$third").unwrap();
    kept = store.account(&alice.name).unwrap().unwrap();
    assert_eq!((kept.password.as_str(), kept.last_seen), ("$2b$12$third", Some(UnixMillis(77))));
    somebody("bob", 2).enrolled(store);
    assert_eq!(store.dearest_hash(), Ok(Some(12)));
}

pub(super) fn keys_are_replaced_by_those_that_follow_them_once(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    store.set_password(&alice.name, "$2b$04$second").unwrap();
    let next = |byte: u8| {
        let keys = alice.keys.succeeded_by(&Secret::new([byte; KEYS_BYTES])).unwrap();
        Somebody { keys, ..somebody("alice", 1) }.account()
    };
    let before = alice.account().statement;
    assert_eq!(store.replace_keys(&next(7).statement, &next(8)), Ok(Replacement::Outdated), "those are not its keys");
    assert_eq!(store.replace_keys(&before, &next(2)), Ok(Replacement::KeyTaken), "bob's device");
    assert_eq!(store.replace_keys(&before, &next(7)), Ok(Replacement::Replaced));
    assert_eq!(store.replace_keys(&before, &next(8)), Ok(Replacement::Outdated));
    let kept = store.account(&alice.name).unwrap().unwrap();
    assert_eq!((kept.statement, kept.password), (next(7).statement, "$2b$04$second".to_owned()));
    assert_eq!(store.user_of_identity(&alice.keys.identity()), Ok(Some(alice.name.clone())), "still the same person");
    assert_eq!(store.account(&bob.name), Ok(Some(bob.account())));
}

pub(super) fn suspensions_are_kept_and_listed(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    assert_eq!(store.set_suspended(&somebody("carol", 3).name, true), Ok(false));
    assert_eq!(store.set_suspended(&bob.name, true), Ok(true));
    assert_eq!((store.is_suspended(&alice.name), store.is_suspended(&bob.name)), (Ok(false), Ok(true)));
    let listed = |after: Option<&UserName>, limit| -> Vec<(String, bool)> {
        let found = store.accounts(after, limit).unwrap();
        found.into_iter().map(|account| (account.user.to_string(), account.is_suspended)).collect()
    };
    assert_eq!(listed(None, 9), [("alice".to_owned(), false), ("bob".to_owned(), true)]);
    assert_eq!(listed(Some(&alice.name), 9).len(), 1);
    assert_eq!(listed(None, 1).len(), 1);
    assert_eq!(store.set_suspended(&bob.name, false), Ok(true));
    assert_eq!(store.is_suspended(&bob.name), Ok(false));
    assert_eq!(store.totals().unwrap().accounts, 2);
}

pub(super) fn a_token_makes_one_account_once(store: &dyn Store) {
    let alice = somebody("alice", 1);
    let token = StoredToken { digest: [5; 32], expires: UnixMillis(100) };
    let redeem = |who: &Somebody, digest, now| store.redeem(&who.account(), &[digest; 32], UnixMillis(now)).unwrap();
    assert_eq!(redeem(&alice, 5, 1), Redemption::NoToken);
    store.put_token(&alice.name, &token, UnixMillis(1)).unwrap();
    assert_eq!(store.token(&alice.name), Ok(Some(token)));
    assert_eq!(redeem(&alice, 6, 1), Redemption::NoToken);
    assert_eq!(redeem(&alice, 5, 101), Redemption::NoToken, "it has expired");
    assert_eq!(redeem(&alice, 5, 100), Redemption::Created);
    assert_eq!(store.token(&alice.name), Ok(None));
    assert_eq!(redeem(&alice, 5, 100), Redemption::NoToken, "it was used");
    store.put_token(&alice.name, &token, UnixMillis(1)).unwrap();
    store.put_token(&somebody("bob", 2).name, &token, UnixMillis(101)).unwrap();
    assert_eq!(store.token(&alice.name), Ok(None), "expired ones are dropped when the next is made");
}

pub(super) fn a_name_that_begins_anew_keeps_nothing_of_anothers(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
    store.join(&dev.id, &bob.member(&dev, 2), None).unwrap();
    let token = StoredToken { digest: [5; 32], expires: UnixMillis(100) };
    let begin = |who: &Somebody, password: &str| {
        store.put_token(&bob.name, &token, UnixMillis(1)).unwrap();
        let account = Account { password: password.to_owned(), ..who.account() };
        (store.redeem(&account, &token.digest, UnixMillis(2)).unwrap(), account)
    };
    let (same, account) = begin(&bob, "$2b$04$second");
    assert_eq!((same, store.account(&bob.name)), (Redemption::Replaced, Ok(Some(account))));
    assert_eq!(store.present(&dev.id).unwrap().len(), 2, "the same keys are the same person");
    let (thief, _) = begin(&Somebody { name: bob.name.clone(), ..somebody("thief", 1) }, "$2b$12$third");
    assert_eq!(thief, Redemption::KeyTaken);
    let (other, account) = begin(&Somebody { name: bob.name.clone(), ..somebody("other", 9) }, "$2b$04$fourth");
    assert_eq!((other, store.account(&bob.name)), (Redemption::Replaced, Ok(Some(account))));
    assert_eq!(store.present(&dev.id), Ok(vec![alice.name.clone()]));
    assert_eq!(store.user_of_identity(&bob.keys.identity()), Ok(None));
}
