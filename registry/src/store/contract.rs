//! What every back end means by the store's traits, as one suite that each of them runs.
#![cfg(test)]

mod accounts;

use common::ids::{ChainId, EntryId, IdentityKey, MailKey, RealmId};
use common::limits::MEMBERS_MAX;
use common::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use common::message::room::{Act, Genesis, History, Invite, LogEntry, NO_ENTRY, check_genesis};
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::secure::identity::{KEYS_BYTES, Keys};
use common::secure::mail::Prekey;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::{Blob, List, Text};

use self::accounts::{
    a_name_that_begins_anew_keeps_nothing_of_anothers, a_token_makes_one_account_once,
    accounts_are_unique_in_name_and_keys, keys_are_replaced_by_those_that_follow_them_once,
    suspensions_are_kept_and_listed,
};
use super::memory::MemoryStore;
use super::sqlite::SqliteStore;
use super::{
    Account, Accounts, BoxLimits, Creation, Effect, Joining, Member, NewMail, Page, Posting, Room, RoomCreation, Rooms,
    Standing, Store,
};

const REALM: RealmId = RealmId([8; 32]);

/// A person with an account in the making.
struct Somebody {
    name: UserName,
    keys: Keys,
}

fn somebody(name: &str, seed: u8) -> Somebody {
    Somebody { name: UserName::parse(name).unwrap(), keys: Keys::from_seed(&Secret::new([seed; KEYS_BYTES])) }
}

fn one_of_many(number: usize) -> Somebody {
    let mut seed = [9; KEYS_BYTES];
    seed.chunks_exact_mut(32).for_each(|key| key[..8].copy_from_slice(&number.to_be_bytes()));
    let name = UserName::parse(&format!("member-{number}")).unwrap();
    Somebody { name, keys: Keys::from_seed(&Secret::new(seed)) }
}

impl Somebody {
    fn account(&self) -> Account {
        let statement = self.keys.statement(REALM, self.name.clone());
        let claim = statement.claim().unwrap();
        Account { statement, claim, password: "$2b$04$first".into(), last_seen: None }
    }

    fn enrolled(self, store: &dyn Store) -> Self {
        assert_eq!(store.create_account(&self.account(), UnixMillis(1)), Ok(Creation::Created));
        self
    }

    fn room(&self, name: &str, private: bool) -> Room {
        let genesis = Genesis {
            realm: REALM,
            name: RoomName::parse(name).unwrap(),
            owner: self.keys.identity(),
            owner_name: self.name.clone(),
            private,
            history: History::All,
            nonce: ChainId([0; 16]),
            at: UnixMillis(1),
            rotations: List::default(),
        };
        let signed = Signed::sign(&genesis, self.keys.identity_signer());
        let (id, genesis) = check_genesis(&signed).unwrap();
        Room::new(id, signed, genesis)
    }

    fn event(&self, room: &Room, lamport: u64, content: &Content) -> WireEvent {
        self.event_knowing(room, lamport, 0, content)
    }

    /// An event of somebody who knows `head` entries of the room's log.
    fn event_knowing(&self, room: &Room, lamport: u64, head: u32, content: &Content) -> WireEvent {
        let (kind, body) = content.encode().unwrap();
        let (chain, number, at) = (ChainId([1; 16]), lamport, UnixMillis(lamport));
        let (conversation, author, previous) = (room.id.into(), self.keys.identity(), NO_EVENT);
        let parents = List::default();
        Event { conversation, author, chain, number, previous, parents, head, lamport, at, kind, body }
            .sign(self.keys.event_signer())
    }

    fn member(&self, room: &Room, lamport: u64) -> Member {
        self.member_knowing(room, lamport, 0)
    }

    fn member_knowing(&self, room: &Room, lamport: u64, head: u32) -> Member {
        let statement = self.keys.statement(REALM, self.name.clone());
        let content = Content::Join(Box::new(Join { statement, invite: None }));
        let join = self.event_knowing(room, lamport, head, &content);
        Member::new(self.name.clone(), join)
    }

    fn part(&self, room: &Room, lamport: u64) -> WireEvent {
        self.event(room, lamport, &Content::Part(String::new()))
    }

    fn invite(&self, room: &Room, guest: &Self, at: u64, expires: u64) -> Signed<Invite> {
        let (invitee, at, expires) = (guest.keys.identity(), UnixMillis(at), UnixMillis(expires));
        Signed::sign(&Invite { room: room.id, invitee, head: 0, at, expires }, self.keys.identity_signer())
    }

    fn topic(&self, room: &Room, index: u32, text: &str) -> (Signed<LogEntry>, Effect) {
        let act = Act::Topic { text: Text::cut(text) };
        let entry = LogEntry { room: room.id, index, previous: NO_ENTRY, at: UnixMillis(1), act };
        (Signed::sign(&entry, self.keys.identity_signer()), Effect::Topic(Text::cut(text)))
    }
}

fn rooms_have_one_name_for_ever_and_owners_a_limit(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let dev = alice.room("#dev", false);
    assert_eq!(store.create_room(&dev, Some(&alice.member(&dev, 1)), 2), Ok(RoomCreation::Created));
    assert_eq!(store.room(&dev.id), Ok(Some(dev.clone())));
    assert_eq!(store.room_named(&dev.genesis.name), Ok(Some(dev.clone())));
    let other = bob.room("#dev", false);
    assert_eq!(store.create_room(&other, Some(&bob.member(&other, 1)), 2), Ok(RoomCreation::NameTaken));
    let attic = alice.room("#attic", true);
    assert_eq!(store.create_room(&attic, Some(&alice.member(&attic, 1)), 2), Ok(RoomCreation::Created));
    let third = alice.room("#third", false);
    assert_eq!(store.create_room(&third, Some(&alice.member(&third, 1)), 2), Ok(RoomCreation::TooMany));
    let names = |caller: &Somebody, pattern: &str, after: Option<&RoomName>, limit| -> Vec<String> {
        let rooms = store.rooms(&caller.name, pattern, after, limit).unwrap();
        rooms.into_iter().map(|room| room.name.to_string()).collect()
    };
    assert_eq!(names(&alice, "", None, 9), ["#attic", "#dev"]);
    assert_eq!(names(&bob, "", None, 9), ["#dev"], "a private room is its members' business");
    assert_eq!(names(&alice, "", Some(&attic.genesis.name), 9), ["#dev"]);
    assert_eq!(names(&alice, "", None, 1), ["#attic"]);
    assert_eq!(names(&alice, "att", None, 9), ["#attic"]);
    assert_eq!(names(&alice, "%", None, 9), [""; 0], "a pattern is plain text");
}

fn members_come_go_and_come_back_in_the_order_they_signed(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
    let first = bob.member(&dev, 2);
    assert_eq!(store.join(&dev.id, &first, None), Ok(Joining::Entered));
    assert_eq!(store.join(&dev.id, &first, None), Ok(Joining::Already));
    assert_eq!(store.join(&dev.id, &bob.member(&dev, 3), None), Ok(Joining::Renewed));
    assert_eq!(store.join(&dev.id, &first, None), Ok(Joining::Already), "an older one changes nothing");
    assert_eq!(store.companions(&alice.name), Ok(vec![bob.name.clone()]));
    assert_eq!(store.memberships(&bob.name, None, 9), Ok(vec![dev.id]));
    assert_eq!(store.memberships(&bob.name, Some(&dev.id), 9), Ok(vec![]));
    let summary = &store.rooms(&bob.name, "dev", None, 1).unwrap()[0];
    assert_eq!((summary.members, summary.joined, &summary.owner), (2, true, &alice.name));

    let part = bob.part(&dev, 5);
    assert_eq!(store.part(&dev.id, &bob.name, &part), Ok(true));
    assert_eq!(store.part(&dev.id, &bob.name, &part), Ok(false));
    assert_eq!(store.present(&dev.id), Ok(vec![alice.name.clone()]));
    assert_eq!((store.companions(&alice.name), store.memberships(&bob.name, None, 9)), (Ok(vec![]), Ok(vec![])));
    let kept = store.members(&dev.id, Some(&alice.name), 9).unwrap();
    assert_eq!(kept, [Member { part: Some(part), ..bob.member(&dev, 3) }]);
    assert_eq!(store.join(&dev.id, &bob.member(&dev, 4), None), Ok(Joining::Stale));
    assert_eq!(store.join(&dev.id, &bob.member(&dev, 6), None), Ok(Joining::Entered));
    assert_eq!(store.member(&dev.id, &bob.name), Ok(Some(bob.member(&dev, 6))));
}

fn a_room_takes_no_more_than_its_limit(store: &dyn Store) {
    let alice = somebody("alice", 1).enrolled(store);
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
    let crowd: Vec<Somebody> = (0..MEMBERS_MAX).map(|number| one_of_many(number).enrolled(store)).collect();
    let (last, fitting) = crowd.split_last().unwrap();
    for person in fitting {
        assert_eq!(store.join(&dev.id, &person.member(&dev, 2), None), Ok(Joining::Entered));
    }
    assert_eq!(store.join(&dev.id, &last.member(&dev, 2), None), Ok(Joining::Full));
    assert_eq!(store.join(&dev.id, &fitting[0].member(&dev, 3), None), Ok(Joining::Renewed));
    store.part(&dev.id, &fitting[0].name, &fitting[0].part(&dev, 4)).unwrap();
    assert_eq!(store.join(&dev.id, &last.member(&dev, 2), None), Ok(Joining::Entered));
    assert_eq!(store.members(&dev.id, None, 10).unwrap().len(), 10);
}

fn a_log_grows_by_one_entry_per_number(store: &dyn Store) {
    let alice = somebody("alice", 1).enrolled(store);
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
    assert_eq!(store.log_head(&dev.id), Ok((0, NO_ENTRY)));
    let (lunch, text) = alice.topic(&dev, 1, "lunch");
    assert_eq!(store.add_entry(&dev.id, 1, &lunch, &text), Ok(true));
    let (other, other_text) = alice.topic(&dev, 1, "other");
    assert_eq!(store.add_entry(&dev.id, 1, &other, &other_text), Ok(false));
    assert_eq!(store.log_head(&dev.id), Ok((1, EntryId(lunch.id()))));
    assert_eq!(store.room(&dev.id).unwrap().unwrap().topic.as_str(), "lunch");
    assert_eq!(store.entries(&dev.id, 1, 9), Ok(vec![lunch]));
    assert_eq!(store.entries(&dev.id, 2, 9), Ok(vec![]));
}

fn a_removal_ends_a_membership_and_a_ban_keeps_out(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
    let join = bob.member(&dev, 2);
    assert_eq!(store.join(&dev.id, &join, None), Ok(Joining::Entered));
    let invite = alice.invite(&dev, &bob, 1, 100);
    store.put_invite(&dev.id, &bob.name, &invite, 9, UnixMillis(1)).unwrap();
    let add = |index, effect: Effect| {
        let (entry, _) = alice.topic(&dev, index, "whatever it says");
        assert_eq!(store.add_entry(&dev.id, index, &entry, &effect), Ok(true));
    };
    let user = bob.name.clone();
    assert_eq!(store.standing(&dev.id, &user), Ok(Standing::default()));
    add(1, Effect::Ended { user: user.clone(), is_banned: false });
    assert_eq!(store.member(&dev.id, &user).unwrap().unwrap().removed, Some(1));
    assert_eq!(store.present(&dev.id), Ok(vec![alice.name.clone()]));
    assert_eq!(store.companions(&user), Ok(vec![]));
    assert!(!store.rooms(&user, "dev", None, 1).unwrap()[0].joined);
    assert!(!store.invite(&dev.id, &user).unwrap().unwrap().is_open);
    assert_eq!(store.join(&dev.id, &bob.member(&dev, 9), None), Ok(Joining::Stale), "signed without knowing");
    let newer = bob.member_knowing(&dev, 9, 1);
    assert_eq!(store.join(&dev.id, &newer, None), Ok(Joining::Entered));
    assert_eq!(store.member(&dev.id, &user), Ok(Some(newer)));
    add(2, Effect::Ended { user: user.clone(), is_banned: true });
    add(3, Effect::Ended { user: user.clone(), is_banned: false });
    assert_eq!(store.standing(&dev.id, &user), Ok(Standing { ended: 3, is_banned: true }));
    assert_eq!(store.join(&dev.id, &bob.member_knowing(&dev, 10, 3), None), Ok(Joining::Banned));
    add(4, Effect::Unbanned { user: user.clone() });
    assert_eq!(store.standing(&dev.id, &user), Ok(Standing { ended: 4, is_banned: false }));
    assert_eq!(store.join(&dev.id, &bob.member_knowing(&dev, 10, 3), None), Ok(Joining::Stale));
    assert_eq!(store.join(&dev.id, &bob.member_knowing(&dev, 11, 4), None), Ok(Joining::Entered));
}

fn a_room_is_given_away_and_closed_for_good(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let dev = alice.room("#dev", false);
    store.create_room(&dev, Some(&alice.member(&dev, 1)), 1).unwrap();
    store.join(&dev.id, &bob.member(&dev, 2), None).unwrap();
    let add = |index, effect: Effect| {
        let (entry, _) = alice.topic(&dev, index, "whatever it says");
        store.add_entry(&dev.id, index, &entry, &effect).unwrap();
        store.room(&dev.id).unwrap().unwrap()
    };
    let (founder, heir) = (alice.keys.identity(), bob.keys.identity());
    let owners = |room: &Room| [0, 1, 2, 3].map(|head| room.owners.at(head).map(|reign| (reign.identity, reign.key)));
    let room = add(1, Effect::Owned { user: bob.name.clone(), identity: heir });
    assert_eq!(room.owner, bob.name);
    assert_eq!(owners(&room), [Some((founder, founder)), Some((heir, heir)), None, None]);
    let key = IdentityKey([77; 32]);
    let room = add(2, Effect::Rotated { key });
    assert_eq!((&room.owner, owners(&room)[2]), (&bob.name, Some((heir, key))));
    assert_eq!(store.rooms(&bob.name, "dev", None, 1).unwrap()[0].owner, bob.name);
    let other = bob.room("#other", false);
    let made = store.create_room(&other, Some(&bob.member(&other, 1)), 1);
    assert_eq!(made, Ok(RoomCreation::Created), "not of his making");
    let room = add(3, Effect::Closed);
    assert!(room.is_closed);
    assert_eq!(store.present(&dev.id), Ok(vec![]));
    assert_eq!(store.member(&dev.id, &alice.name).unwrap().unwrap().removed, Some(3));
    assert_eq!(store.rooms(&bob.name, "dev", None, 1), Ok(vec![]));
}

fn an_invitation_is_open_until_it_is_used_declined_or_expired(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let attic = alice.room("#attic", true);
    store.create_room(&attic, Some(&alice.member(&attic, 1)), 9).unwrap();
    let open = |now| store.invites_of(&bob.name, UnixMillis(now), 9).unwrap();
    let first = alice.invite(&attic, &bob, 1, 100);
    assert_eq!(store.put_invite(&attic.id, &bob.name, &first, 1, UnixMillis(1)), Ok(true));
    assert_eq!(open(100), [(attic.id, first.clone())]);
    assert_eq!(open(101), []);
    let carol = somebody("carol", 3).enrolled(store);
    let crowded = alice.invite(&attic, &carol, 1, 100);
    assert_eq!(store.put_invite(&attic.id, &carol.name, &crowded, 1, UnixMillis(100)), Ok(false));
    assert_eq!(store.decline(&attic.id, &bob.name), Ok(true));
    assert_eq!(store.decline(&attic.id, &bob.name), Ok(false));
    assert!(!store.invite(&attic.id, &bob.name).unwrap().unwrap().is_open);
    let second = alice.invite(&attic, &bob, 2, u64::MAX);
    assert_eq!(
        store.put_invite(&attic.id, &bob.name, &second, 1, UnixMillis(1)),
        Ok(true),
        "in place of the one before"
    );
    assert_eq!(open(101), [(attic.id, second.clone())]);
    assert_eq!(store.join(&attic.id, &bob.member(&attic, 1), Some(&second)), Ok(Joining::Entered));
    assert_eq!(open(101), []);
}

fn an_expired_invitation_takes_nobodys_place(store: &dyn Store) {
    let [alice, bob, carol] =
        [somebody("alice", 1), somebody("bob", 2), somebody("carol", 3)].map(|person| person.enrolled(store));
    let attic = alice.room("#attic", true);
    store.create_room(&attic, Some(&alice.member(&attic, 1)), 9).unwrap();
    let put = |guest: &Somebody, now| {
        let invite = alice.invite(&attic, guest, now, now + 100);
        store.put_invite(&attic.id, &guest.name, &invite, 1, UnixMillis(now)).unwrap()
    };
    assert!(put(&bob, 1));
    assert!(!put(&carol, 101), "it holds to the last millisecond");
    assert!(put(&carol, 102));
}

fn mail_is_kept_in_order_for_its_recipient_alone(store: &dyn Store) {
    let [alice, bob, carol] =
        [somebody("alice", 1), somebody("bob", 2), somebody("carol", 3)].map(|person| person.enrolled(store));
    let limits = BoxLimits { items: 3, items_per_sender: 2, items_from_sender: 3, since: UnixMillis(0) };
    let put = |from: &Somebody, to: &Somebody, at, text: &str| {
        let item = Blob::new(text.as_bytes().to_vec()).unwrap();
        let mail = NewMail { to: to.name.clone(), from: from.name.clone(), at: UnixMillis(at), item };
        store.put_mail(&mail, &limits).unwrap()
    };
    let read = |who: &Somebody, after, since, count_max, bytes_max| {
        let page = Page { count_max, bytes_max };
        let found = store.mail(&who.name, after, UnixMillis(since), page).unwrap();
        let texts = found.iter().map(|kept| String::from_utf8(kept.item.to_vec()).unwrap()).collect::<Vec<_>>();
        (texts.join(" "), found.iter().map(|kept| kept.id).collect::<Vec<_>>())
    };
    assert_eq!(put(&alice, &bob, 1, "one"), Posting::Kept);
    assert_eq!(put(&alice, &bob, 2, "two"), Posting::Kept);
    assert_eq!(put(&alice, &bob, 3, "three"), Posting::ShareFull);
    assert_eq!(put(&carol, &bob, 3, "three"), Posting::Kept);
    assert_eq!(put(&carol, &bob, 3, "four"), Posting::BoxFull);
    assert_eq!(put(&alice, &carol, 3, "hers"), Posting::Kept, "another's box is another matter");
    assert_eq!(put(&alice, &carol, 3, "more"), Posting::SenderFull);
    let (texts, ids) = read(&bob, 0, 0, 9, 99);
    assert_eq!(texts, "one two three");
    assert!(ids.is_sorted());
    assert_eq!(read(&bob, ids[0], 0, 9, 99).0, "two three");
    assert_eq!(read(&bob, 0, 0, 2, 99).0, "one two");
    assert_eq!(read(&bob, 0, 0, 9, 7).0, "one two", "as many as the bytes hold");
    assert_eq!(read(&bob, 0, 0, 9, 1).0, "one", "and one at least");
    assert_eq!(read(&bob, 0, 2, 9, 99).0, "two three", "what has expired is not shown");
    store.drop_mail(&carol.name, &ids).unwrap();
    assert_eq!(read(&bob, 0, 0, 9, 99).0, "one two three", "nobody drops another's");
    store.drop_mail(&bob.name, &ids[1..]).unwrap();
    assert_eq!(read(&bob, 0, 0, 9, 99).0, "one");
    put(&carol, &bob, 4, "new");
    assert!(read(&bob, ids[0], 0, 9, 99).1[0] > ids[2], "an id is used once");
}

fn mail_is_swept_when_it_has_expired(store: &dyn Store) {
    let [alice, bob] = [somebody("alice", 1), somebody("bob", 2)].map(|person| person.enrolled(store));
    let put = |at, since| {
        let item = Blob::new(vec![7]).unwrap();
        let mail = NewMail { to: bob.name.clone(), from: alice.name.clone(), at: UnixMillis(at), item };
        store
            .put_mail(
                &mail,
                &BoxLimits { items: 1, items_per_sender: 1, items_from_sender: 1, since: UnixMillis(since) },
            )
            .unwrap()
    };
    let page = Page { count_max: 9, bytes_max: 99 };
    assert_eq!(put(1, 0), Posting::Kept);
    assert_eq!(put(2, 1), Posting::BoxFull);
    assert_eq!(put(2, 2), Posting::Kept, "the expired one is gone");
    store.sweep_mail(UnixMillis(3)).unwrap();
    assert_eq!(store.mail(&bob.name, 0, UnixMillis(0), page), Ok(vec![]));
}

fn the_newest_prekey_is_the_one_kept(store: &dyn Store) {
    let bob = somebody("bob", 2).enrolled(store);
    assert_eq!(store.prekey(&bob.name), Ok(None));
    for number in [1, 2] {
        let (user, key) = (bob.name.clone(), MailKey([7; 32]));
        let prekey = Prekey { realm: REALM, user, number, key, at: UnixMillis(1), expires: UnixMillis(9) };
        let signed = Signed::sign(&prekey, bob.keys.identity_signer());
        store.put_prekey(&bob.name, &signed).unwrap();
        assert_eq!(store.prekey(&bob.name), Ok(Some(signed)));
    }
}

macro_rules! suite {
    ($($case:ident,)+) => {
        mod memory_store {
            $(#[test]
            fn $case() {
                super::$case(&super::MemoryStore::default());
            })+
        }

        mod sqlite_store {
            $(#[test]
            fn $case() {
                let folder = tempfile::tempdir().unwrap();
                super::$case(&super::SqliteStore::open(&folder.path().join("registry.db"), &super::REALM).unwrap());
            })+
        }
    };
}

suite! {
    accounts_are_unique_in_name_and_keys,
    keys_are_replaced_by_those_that_follow_them_once,
    suspensions_are_kept_and_listed,
    a_token_makes_one_account_once,
    a_name_that_begins_anew_keeps_nothing_of_anothers,
    rooms_have_one_name_for_ever_and_owners_a_limit,
    members_come_go_and_come_back_in_the_order_they_signed,
    a_room_takes_no_more_than_its_limit,
    a_log_grows_by_one_entry_per_number,
    a_removal_ends_a_membership_and_a_ban_keeps_out,
    a_room_is_given_away_and_closed_for_good,
    an_invitation_is_open_until_it_is_used_declined_or_expired,
    an_expired_invitation_takes_nobodys_place,
    mail_is_kept_in_order_for_its_recipient_alone,
    mail_is_swept_when_it_has_expired,
    the_newest_prekey_is_the_one_kept,
}

#[test]
fn sqlite_keeps_everything_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let alice = somebody("alice", 1);
    let dev = alice.room("#dev", false);
    {
        let store = SqliteStore::open(&path, &REALM).unwrap();
        store.create_account(&alice.account(), UnixMillis(1)).unwrap();
        store.create_room(&dev, Some(&alice.member(&dev, 1)), 9).unwrap();
        store.set_last_seen(&alice.name, UnixMillis(5));
        store.flush().unwrap();
    }
    let store: &dyn Store = &SqliteStore::open(&path, &REALM).unwrap();
    assert_eq!(store.account(&alice.name).unwrap().unwrap().last_seen, Some(UnixMillis(5)));
    assert_eq!(store.present(&dev.id), Ok(vec![alice.name]));
}

#[test]
fn many_writers_at_once_share_their_commits_and_each_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(&folder.path().join("registry.db"), &REALM).unwrap());
    let writers: Vec<_> = (0..16u8)
        .map(|number| {
            let store = std::sync::Arc::clone(&store);
            let person = somebody(&format!("same-{}", number % 8), number + 1);
            let create = move || store.create_account(&person.account(), UnixMillis(1)).unwrap();
            common::thread::spawn("writer", create).unwrap()
        })
        .collect();
    let created = writers.into_iter().map(common::thread::Handle::join).filter(|c| *c == Creation::Created);
    assert_eq!(created.count(), 8);
}
