//! What owners decide and what follows, rule by rule, and then everything that four people can try.

use super::*;
use crate::ids::RealmId;
use crate::limits::CUTS_MAX;
use crate::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use crate::message::room::{Genesis, History, Invite, check_genesis, check_join};
use crate::names::RoomName;
use crate::secret::Secret;
use crate::secure::identity::{KEYS_BYTES, Keys};
use crate::time::UnixMillis;
use crate::wire::bounded::{List, Text};
use proptest::prelude::*;

const REALM: RealmId = RealmId([8; 32]);
const CHAIN: ChainId = ChainId([1; 16]);
/// What owners have seen of whom they remove.
const CUT: u64 = 3;

/// Somebody, by number: 0 founds the room.
fn keys(who: usize) -> Keys {
    Keys::from_seed(&Secret::new([u8::try_from(who + 1).unwrap(); KEYS_BYTES]))
}

fn identity(who: usize) -> IdentityKey {
    keys(who).identity()
}

fn name(who: usize) -> UserName {
    UserName::parse(["alice", "bob", "carol", "dave"][who]).unwrap()
}

fn room(private: bool) -> (RoomId, Genesis) {
    let genesis = Genesis {
        realm: REALM,
        name: RoomName::parse("#dev").unwrap(),
        owner: identity(0),
        owner_name: name(0),
        private,
        history: History::All,
        nonce: ChainId([0; 16]),
        at: UnixMillis(0),
        rotations: List::default(),
    };
    check_genesis(&Signed::sign(&genesis, keys(0).identity_signer())).unwrap()
}

fn removal(who: usize, number: u64) -> Removal {
    let cut: List<Cut, CUTS_MAX> = List::cut(vec![Cut { chain: CHAIN, number }]);
    Removal { identity: identity(who), user: name(who), cut, reason: Text::cut("enough") }
}

fn unban(who: usize) -> Act {
    Act::Unban { identity: identity(who), user: name(who) }
}

fn transfer(who: usize) -> Act {
    Act::Transfer { identity: identity(who), user: name(who) }
}

/// The next entry of a log, by whoever.
fn entry(fold: &Moderation, signer: usize, act: Act) -> Signed<LogEntry> {
    entry_by(fold, &keys(signer), act)
}

fn entry_by(fold: &Moderation, signer: &Keys, act: Act) -> Signed<LogEntry> {
    let (index, previous) = (fold.head() + 1, fold.last());
    let entry = LogEntry { room: fold.room, index, previous, at: UnixMillis(0), act };
    Signed::sign(&entry, signer.identity_signer())
}

/// What somebody's keys are followed by.
fn successor(of: &Keys, byte: u8) -> Keys {
    of.succeeded_by(&Secret::new([byte; KEYS_BYTES])).unwrap()
}

/// The entry by which an owner goes on with other keys, signed by these.
fn rotates(fold: &mut Moderation, keys: &Keys, signer: &Keys) -> bool {
    let signed = entry_by(fold, signer, Act::Rotate { rotations: keys.rotations().clone() });
    take(fold, &signed)
}

/// Whether the entry was taken in.
fn take(fold: &mut Moderation, signed: &Signed<LogEntry>) -> bool {
    let checked = fold.check(signed);
    checked.map(|entry| fold.apply(EntryId(signed.id()), entry)).is_ok()
}

fn acts(fold: &mut Moderation, signer: usize, act: Act) -> bool {
    let signed = entry(fold, signer, act);
    take(fold, &signed)
}

fn fresh(private: bool) -> (Genesis, Moderation) {
    let (id, genesis) = room(private);
    let fold = Moderation::new(id, &genesis);
    (genesis, fold)
}

fn invite(fold: &Moderation, signer: usize, guest: usize, head: u32) -> Signed<Invite> {
    let (at, expires) = (UnixMillis(0), UnixMillis(100));
    let invite = Invite { room: fold.room, invitee: identity(guest), head, at, expires };
    Signed::sign(&invite, keys(signer).identity_signer())
}

fn join(fold: &Moderation, who: usize, head: u32, number: u64, invite: Option<Signed<Invite>>) -> WireEvent {
    let statement = keys(who).statement(REALM, name(who));
    let (kind, body) = Content::Join(Box::new(Join { statement, invite })).encode().unwrap();
    Event {
        conversation: fold.room.into(),
        author: identity(who),
        chain: CHAIN,
        number,
        previous: NO_EVENT,
        parents: List::default(),
        head,
        lamport: number,
        at: UnixMillis(number),
        kind,
        body,
    }
    .sign(keys(who).event_signer())
}

fn lets_in(genesis: &Genesis, fold: &Moderation, join: &WireEvent) -> bool {
    check_join(fold.room, genesis, fold.owners(), join).is_ok_and(|membership| fold.admits(&membership))
}

#[test]
fn a_removal_ends_what_was_before_it_and_a_newer_join_begins_anew() {
    let (genesis, mut fold) = fresh(false);
    let before = join(&fold, 1, 0, 1, None);
    assert!(lets_in(&genesis, &fold, &before));
    assert!(acts(&mut fold, 0, Act::Remove(removal(1, 5))));
    assert!(!lets_in(&genesis, &fold, &before));
    assert!(!lets_in(&genesis, &fold, &join(&fold, 1, 2, 9, None)), "it names entries that nobody has");
    assert!(lets_in(&genesis, &fold, &join(&fold, 1, 1, 9, None)));
}

#[test]
fn a_ban_lasts_until_it_is_lifted_and_coming_back_takes_a_join_after_that() {
    let (genesis, mut fold) = fresh(false);
    assert!(acts(&mut fold, 0, Act::Ban(removal(1, 5))));
    assert!(!lets_in(&genesis, &fold, &join(&fold, 1, 1, 9, None)));
    assert_eq!(fold.bans().map(|(_, known)| known.ban.clone().unwrap()).collect::<Vec<_>>(), ["enough"]);
    assert!(acts(&mut fold, 0, unban(1)));
    assert!(!lets_in(&genesis, &fold, &join(&fold, 1, 1, 9, None)), "signed while the ban lasted");
    assert!(lets_in(&genesis, &fold, &join(&fold, 1, 2, 9, None)));
    assert_eq!(fold.bans().count(), 0);
}

#[test]
fn in_a_private_room_a_removal_burns_the_invitation_too() {
    let (genesis, mut fold) = fresh(true);
    let old = invite(&fold, 0, 1, 0);
    assert!(lets_in(&genesis, &fold, &join(&fold, 1, 0, 1, Some(old.clone()))));
    assert!(acts(&mut fold, 0, Act::Remove(removal(1, 5))));
    assert!(!lets_in(&genesis, &fold, &join(&fold, 1, 1, 9, Some(old))));
    let new = invite(&fold, 0, 1, 1);
    assert!(lets_in(&genesis, &fold, &join(&fold, 1, 1, 9, Some(new))));
}

#[test]
fn the_owner_in_force_signs_entries_and_invitations() {
    let (genesis, mut fold) = fresh(true);
    assert!(!acts(&mut fold, 1, transfer(1)), "nobody takes a room");
    assert!(!acts(&mut fold, 0, Act::Remove(removal(0, 0))), "nobody removes themselves");
    assert!(acts(&mut fold, 0, transfer(1)));
    assert!(!acts(&mut fold, 0, Act::Ban(removal(1, 0))), "the old owner decides nothing more");
    assert_eq!((fold.owner(), fold.owner_name()), (identity(1), &name(1)));
    assert!(lets_in(&genesis, &fold, &join(&fold, 0, 0, 1, None)), "who founded it came by right");
    assert!(lets_in(&genesis, &fold, &join(&fold, 1, 1, 1, None)), "an owner needs no invitation");
    let by = |signer, head| join(&fold, 2, 1, 1, Some(invite(&fold, signer, 2, head)));
    assert!(lets_in(&genesis, &fold, &by(1, 1)));
    assert!(lets_in(&genesis, &fold, &by(0, 0)), "made while it was theirs to make");
    assert!(!lets_in(&genesis, &fold, &by(0, 1)));
    assert!(!lets_in(&genesis, &fold, &by(1, 0)));
}

#[test]
fn a_closed_room_has_no_members_and_no_further_entries() {
    let (genesis, mut fold) = fresh(false);
    let owner = join(&fold, 0, 0, 1, None);
    assert!(acts(&mut fold, 0, Act::Close { reason: Text::cut("done") }));
    assert!(!lets_in(&genesis, &fold, &owner));
    assert!(!acts(&mut fold, 0, Act::Topic { text: Text::cut("again") }));
}

#[test]
fn words_beyond_the_cut_count_never_and_words_of_a_new_membership_do() {
    let (_, mut fold) = fresh(false);
    let counts = |fold: &Moderation, number, head, is_in| fold.counts(&identity(1), &CHAIN, number, head, is_in);
    assert!(counts(&fold, 9, 0, true));
    assert!(acts(&mut fold, 0, Act::Remove(removal(1, 5))));
    assert!(counts(&fold, 5, 0, false));
    assert!(!counts(&fold, 6, 0, false));
    assert!(!counts(&fold, 6, 0, true), "written before they knew, whether they came back or not");
    assert!(!counts(&fold, 6, 1, false), "written after, by nobody who is in");
    assert!(counts(&fold, 6, 1, true));
    assert!(!fold.counts(&identity(1), &ChainId([2; 16]), 1, 0, true), "of a chain that is not named, nothing");
    assert_eq!((fold.limit(&identity(1), &CHAIN), fold.limit(&identity(2), &CHAIN)), (5, u64::MAX));
    assert!(acts(&mut fold, 0, Act::Ban(removal(1, 7))));
    assert!(!counts(&fold, 8, 2, true), "not while the ban lasts");
    assert!(acts(&mut fold, 0, unban(1)));
    assert!(!counts(&fold, 8, 2, true));
    assert!(counts(&fold, 8, 3, true));
}

/// One thing that somebody tries.
#[derive(Debug, Clone)]
enum Try {
    Entry { signer: usize, act: Deed, whom: usize },
    Invite { signer: usize, guest: usize },
    Join { who: usize, with: usize, behind: u32 },
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Remove,
    Ban,
    Unban,
    Transfer,
    Topic,
    Close,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let who = || 0..4_usize;
    let deed = prop_oneof![
        4 => prop::sample::select(vec![Deed::Remove, Deed::Ban, Deed::Unban, Deed::Transfer, Deed::Topic]),
        1 => Just(Deed::Close),
    ];
    let entry = (who(), deed, who()).prop_map(|(signer, act, whom)| Try::Entry { signer, act, whom });
    let invite = (who(), who()).prop_map(|(signer, guest)| Try::Invite { signer, guest });
    let join = (who(), 0..8_usize, 0..3_u32).prop_map(|(who, with, behind)| Try::Join { who, with, behind });
    prop::collection::vec(prop_oneof![3 => entry, 2 => invite, 3 => join], 1..24)
}

/// Who is in by the fold: the newest join of each that holds at all, if it counts.
fn members(genesis: &Genesis, fold: &Moderation, joins: &[WireEvent]) -> Vec<usize> {
    let is_in = |who: &usize| {
        let holds = joins.iter().filter_map(|join| check_join(fold.room, genesis, fold.owners(), join).ok());
        let theirs = holds.filter(|membership| membership.event.author == identity(*who));
        theirs.max_by_key(|membership| membership.event.number).is_some_and(|newest| fold.admits(&newest))
    };
    (0..4).filter(is_in).collect()
}

#[test]
fn an_owner_goes_on_with_the_key_that_followed() {
    let (_, mut fold) = fresh(true);
    let [first, second] = [keys(0), successor(&keys(0), 100)];
    let third = successor(&second, 101);
    assert!(!rotates(&mut fold, &second, &first), "the new key signs, not the old one");
    assert!(!rotates(&mut fold, &successor(&keys(1), 100), &successor(&keys(1), 100)), "somebody else's");
    assert!(!rotates(&mut fold, &first, &first), "nothing follows");
    let topic = || Act::Topic { text: Text::cut("lunch") };
    let early = entry_by(&fold, &second, topic());
    assert!(!take(&mut fold, &early), "not before the log says so");
    assert!(rotates(&mut fold, &third, &third), "two steps at once");
    assert!(!acts(&mut fold, 0, topic()), "the key before decides nothing more");
    assert!(!rotates(&mut fold, &second, &second), "nor does one in between");
    assert!(!rotates(&mut fold, &successor(&first, 102), &successor(&first, 102)), "nor a second successor of it");
    let late = entry_by(&fold, &third, topic());
    assert!(take(&mut fold, &late));
    assert_eq!((fold.owner(), fold.owners().now().key), (identity(0), third.key()));
    assert_eq!(fold.owners().at(0).map(|reign| reign.key), Some(identity(0)), "what was signed before holds");
}

#[test]
fn somebody_with_another_key_than_the_first_is_given_a_room() {
    let (_, mut fold) = fresh(false);
    let bob = successor(&keys(1), 100);
    assert!(acts(&mut fold, 0, transfer(1)));
    let topic = || Act::Topic { text: Text::cut("lunch") };
    let unproven = entry_by(&fold, &bob, topic());
    assert!(!take(&mut fold, &unproven), "first the log has to say whose key that is");
    assert!(rotates(&mut fold, &bob, &bob));
    let proven = entry_by(&fold, &bob, topic());
    assert!(take(&mut fold, &proven));
}

#[test]
fn another_key_is_no_way_around_a_ban() {
    let (genesis, mut fold) = fresh(false);
    assert!(acts(&mut fold, 0, Act::Ban(removal(1, 5))));
    let bob = successor(&keys(1), 100);
    let mut event = join(&fold, 1, 1, 9, None).claim().unwrap();
    let statement = bob.statement(REALM, name(1));
    (event.kind, event.body) = Content::Join(Box::new(Join { statement, invite: None })).encode().unwrap();
    let renewed = event.sign(bob.event_signer());
    let membership = check_join(fold.room, &genesis, fold.owners(), &renewed).unwrap();
    assert_eq!(membership.event.author, identity(1));
    assert!(!fold.admits(&membership));
}

#[test]
fn an_invitation_is_for_the_person_under_whichever_key() {
    let (genesis, fold) = fresh(true);
    let invited = invite(&fold, 0, 1, 0);
    let by = |keys: &Keys, at: u64| {
        let mut event = join(&fold, 1, 0, 1, None).claim().unwrap();
        let statement = keys.statement(REALM, name(1));
        let body = Join { statement, invite: Some(invited.clone()) };
        (event.kind, event.body) = Content::Join(Box::new(body)).encode().unwrap();
        event.at = UnixMillis(at);
        check_join(fold.room, &genesis, fold.owners(), &event.sign(keys.event_signer())).is_ok()
    };
    let bob = successor(&keys(1), 100);
    assert!(by(&keys(1), 100) && by(&bob, 100));
    assert!(!by(&keys(1), 101), "it has expired");
    assert!(by(&bob, 101), "it may have been used in time, under the key before");
    assert!(!by(&successor(&keys(2), 100), 100), "somebody else's keys");
}

#[test]
fn a_room_begins_with_any_of_its_founders_keys() {
    let (_, genesis) = room(false);
    let alice = successor(&keys(0), 100);
    let genesis = Genesis { rotations: alice.rotations().clone(), ..genesis };
    let check = |by: &Keys| check_genesis(&Signed::sign(&genesis, by.identity_signer()));
    let (id, kept) = check(&alice).unwrap();
    assert!(check(&keys(0)).is_err(), "the key before");
    let mut fold = Moderation::new(id, &kept);
    let first = entry_by(&fold, &alice, Act::Topic { text: Text::cut("lunch") });
    assert!(take(&mut fold, &first));
    assert_eq!(fold.owner(), identity(0));
}

/// Rights as a plain table of what was granted when: everything that happened, in its true order.
#[derive(Debug)]
struct Granted {
    private: bool,
    closed: bool,
    owner: usize,
    head: u32,
    /// Of each: when they came to own it, if they do or did; the newest invitation; when they were last ended.
    invited: [Vec<u32>; 4],
    ended: [u32; 4],
    banned: [bool; 4],
    reigns: Vec<(u32, usize)>,
}

impl Granted {
    fn new(private: bool) -> Self {
        let (invited, ended, banned) = Default::default();
        Self { private, closed: false, owner: 0, head: 0, invited, ended, banned, reigns: vec![(0, 0)] }
    }

    fn entry(&mut self, signer: usize, act: Deed, whom: usize) -> bool {
        let is_wrong = match act {
            Deed::Remove | Deed::Ban => whom == self.owner,
            Deed::Transfer => whom == self.owner || self.banned[whom],
            Deed::Unban | Deed::Topic | Deed::Close => false,
        };
        if signer != self.owner || is_wrong || self.closed {
            return false;
        }
        self.head += 1;
        match act {
            Deed::Remove => self.ended[whom] = self.head,
            Deed::Ban => (self.ended[whom], self.banned[whom]) = (self.head, true),
            Deed::Unban if self.banned[whom] => (self.ended[whom], self.banned[whom]) = (self.head, false),
            Deed::Unban | Deed::Topic => {}
            Deed::Close => self.closed = true,
            Deed::Transfer => {
                self.owner = whom;
                self.reigns.push((self.head, whom));
            }
        }
        true
    }

    fn may_be_in(&self, who: usize, head: u32) -> bool {
        let owned = self.reigns.iter().rev().find(|(from, _)| *from <= head).is_some_and(|(_, owner)| *owner == who);
        let invited = self.invited[who].iter().any(|at| *at >= self.ended[who]);
        !self.closed && self.is_free(who, head) && (owned || invited || !self.private)
    }

    /// Whether no removal stands against what somebody did who knew this many entries.
    fn is_free(&self, who: usize, head: u32) -> bool {
        !self.banned[who] && head >= self.ended[who]
    }
}

fn act(deed: Deed, whom: usize) -> Act {
    match deed {
        Deed::Remove => Act::Remove(removal(whom, CUT)),
        Deed::Ban => Act::Ban(removal(whom, CUT)),
        Deed::Unban => unban(whom),
        Deed::Transfer => transfer(whom),
        Deed::Topic => Act::Topic { text: Text::cut("lunch") },
        Deed::Close => Act::Close { reason: Text::cut("done") },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Four people try everything, rightly or not, under several owners of a room. Nobody gets in who was not let in,
    /// nobody's entry counts but the owner's, nobody is heard beyond a removal that was not taken back, and who hears
    /// of it in another order, twice, and with entries that come too early, ends with the same members.
    #[test]
    fn no_sequence_of_acts_gives_a_right_that_nobody_granted(
        private in any::<bool>(), tries in tries(), order in any::<u64>(),
    ) {
        let (genesis, mut fold) = fresh(private);
        let mut granted = Granted::new(private);
        let mut invites: Vec<Signed<Invite>> = Vec::new();
        let (mut joins, mut entries) = (Vec::new(), Vec::new());
        for (number, tried) in (1..).zip(tries) {
            match tried {
                Try::Entry { signer, act: deed, whom } => {
                    let signed = entry(&fold, signer, act(deed, whom));
                    let right = granted.entry(signer, deed, whom);
                    prop_assert_eq!(take(&mut fold, &signed), right);
                    entries.push(signed);
                }
                Try::Invite { signer, guest } => {
                    invites.push(invite(&fold, signer, guest, fold.head()));
                    if signer == granted.owner {
                        granted.invited[guest].push(granted.head);
                    }
                }
                Try::Join { who, with, behind } => {
                    let with = invites.get(with).cloned();
                    joins.push(join(&fold, who, fold.head().saturating_sub(behind), number, with));
                }
            }
        }
        let inside = members(&genesis, &fold, &joins);
        for who in &inside {
            let heads = joins.iter().map(|join| join.claim().unwrap());
            let mut heads = heads.filter(|event| event.author == identity(*who)).map(|event| event.head);
            prop_assert!(heads.any(|head| granted.may_be_in(*who, head)), "{who} is in, and nobody let them in");
        }

        prop_assert_eq!((fold.owner(), fold.is_closed()), (identity(granted.owner), granted.closed));
        for (who, identity) in (0..4).map(|who| (who, identity(who))) {
            let counts = |number, head, is_in| fold.counts(&identity, &CHAIN, number, head, is_in);
            let is_plain = granted.ended[who] == 0;
            for head in 0..=granted.head {
                prop_assert!(counts(CUT, head, false), "seen by whoever removed {who}");
                prop_assert_eq!(counts(CUT + 1, head, false), is_plain, "{} is out", who);
                prop_assert_eq!(counts(CUT + 1, head, true), is_plain || granted.is_free(who, head), "{} is in", who);
            }
        }

        // Another member hears it in another order, and everything twice.
        let (_, mut late) = fresh(private);
        let mut heard: Vec<_> = entries.iter().chain(&entries).collect();
        let mut state = order;
        for place in (1..heard.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            heard.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
        for _ in 0..=entries.len() {
            heard.iter().for_each(|signed| { take(&mut late, signed); });
        }
        prop_assert_eq!(&late, &fold);
        joins.reverse();
        prop_assert_eq!(members(&genesis, &late, &joins), inside);
    }
}
