//! What a log keeps, and what it refuses: every case through a real file that is closed and opened again.

use std::fs;

use common::ids::{MailSalt, RoomId};
use common::message::event::{KIND_ACTION, KIND_JOIN, KIND_TEXT, NO_EVENT, WireEvent};
use common::message::room::{Act, Genesis, History, LogEntry, NO_ENTRY};
use common::names::RoomName;
use common::secret::Secret;
use common::secure::certificate::{self, Credentials};
use common::secure::identity::{KEYS_BYTES, Keys};
use common::secure::sign::Signed;
use common::wire::bounded::{Blob, List, Text};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ports::{Claimant, HeldMail, MailedRun, OwnChain, Pending, Pin, StoredPrekey};

mod finding;
mod keys;
mod lookups;
mod origin;
mod refusals;
mod safety;
mod told;
mod versions;
mod without_registry;

const REALM: RealmId = RealmId([7; 32]);
const TALK: ConversationId = ConversationId([1; 32]);
const ME: IdentityKey = IdentityKey([10; 32]);
const BOB: IdentityKey = IdentityKey([11; 32]);
const CAROL: IdentityKey = IdentityKey([12; 32]);
const MINE: ChainId = ChainId([20; 16]);
const BOBS: ChainId = ChainId([21; 16]);

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// A folder with a log in it, opened as often as a test likes.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One that knows the conversation with Bob.
    fn with_bob() -> Self {
        let desk = Self::new();
        desk.write(&[Write::Conversation { id: TALK, with: name("bob") }]);
        desk
    }

    fn try_open(&self) -> Result<(Log, LoadedLog), DiskError> {
        Log::open(self.folder.path(), &REALM, &name("alice"), &MINE)
    }

    fn open(&self) -> (Log, LoadedLog) {
        self.try_open().unwrap()
    }

    fn load(&self) -> LoadedLog {
        let (log, loaded) = self.open();
        log.close();
        loaded
    }

    fn only_conversation(&self) -> LoadedConversation {
        let mut conversations = self.load().conversations;
        assert_eq!(conversations.len(), 1);
        conversations.remove(0)
    }

    fn try_write(&self, writes: &[Write]) -> Result<(), DiskError> {
        let (mut log, _) = self.open();
        let written = log.commit([writes].into_iter(), Survives::Machine);
        log.close();
        written
    }

    fn write(&self, writes: &[Write]) {
        self.try_write(writes).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("messages.db")
    }
}

/// Changes a log as nobody should.
fn sql(path: &Path, text: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(text).unwrap();
    connection.close().unwrap();
}

fn stored(author: IdentityKey, chain: ChainId, number: u64, text: &str) -> StoredEvent {
    let bytes = format!("{author} {number} {text}").into_bytes();
    let signature = number.is_multiple_of(2).then_some(common::ids::Signature([9; 64]));
    let wire = WireEvent { bytes: Blob::new(bytes).unwrap(), signature };
    StoredEvent {
        conversation: TALK,
        author,
        chain,
        number,
        id: wire.id(),
        lamport: number * 10,
        at: UnixMillis(number * 1000),
        kind: KIND_TEXT,
        late: number == 3,
        wire,
    }
}

fn bobs(number: u64) -> StoredEvent {
    stored(BOB, BOBS, number, "hello")
}

fn mine(number: u64) -> StoredEvent {
    stored(ME, MINE, number, "hello back")
}

fn theirs(event: StoredEvent) -> Write {
    Write::Event { event: Box::new(event), recipients: None }
}

fn own(event: StoredEvent, recipients: &[IdentityKey]) -> Write {
    Write::Event { event: Box::new(event), recipients: Some(recipients.to_vec()) }
}

fn acked(recipient: IdentityKey, number: u64) -> Write {
    Write::Acked { conversation: TALK, chain: MINE, recipient, number }
}

fn skip(number: u64) -> Write {
    Write::Skip { conversation: TALK, author: BOB, chain: BOBS, number }
}

fn chain_of(author: IdentityKey, chain: ChainId) -> ChainRead {
    let name = ChainName { conversation: TALK, author, chain };
    ChainRead { name, from: 1, bytes_max: usize::MAX, not_before: None }
}

fn keys(byte: u8) -> Keys {
    Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))
}

fn credentials(user: &str, keys: &Keys) -> Credentials {
    let statement = keys.statement(REALM, name(user));
    let certificate = certificate::issue(&statement.claim().unwrap(), UnixMillis(5), keys.identity_signer());
    Credentials { statement, certificate }
}

fn pin(user: &str, byte: u8, blocked_by: Option<IdentityKey>) -> Write {
    let (identity, credentials) = (keys(byte).identity(), credentials(user, &keys(byte)));
    let blocked_by = blocked_by.map(|identity| Claimant { identity, credentials: None });
    let (user, verified, accepted) = (name(user), false, None);
    Write::Pin(Box::new(Pin { user, identity, credentials, verified, accepted, blocked_by }))
}

fn genesis() -> Signed<Genesis> {
    let owner = keys(1);
    let genesis = Genesis {
        realm: REALM,
        name: RoomName::parse("#dev").unwrap(),
        owner: owner.identity(),
        owner_name: name("alice"),
        private: true,
        history: History::Joined,
        nonce: ChainId([3; 16]),
        at: UnixMillis(77),
        rotations: List::default(),
    };
    Signed::sign(&genesis, owner.identity_signer())
}

fn entry(room: RoomId, index: u32, topic: &str) -> Write {
    let act = Act::Topic { text: Text::cut(topic) };
    let entry = LogEntry { room, index, previous: NO_ENTRY, at: UnixMillis(1), act };
    Write::Entry { room, index, entry: Signed::sign(&entry, keys(1).identity_signer()) }
}

fn other(entry: Write) -> Write {
    let Write::Entry { room, entry, .. } = entry else { panic!("{entry:?}") };
    Write::OtherEntry { room, entry }
}

/// One of everything that can be written.
fn everything() -> Vec<Write> {
    let genesis = genesis();
    let room = RoomId(genesis.id());
    let in_room = StoredEvent { conversation: room.into(), kind: KIND_JOIN, ..mine(1) };
    let (join, part) = (bobs(1).wire, bobs(2).wire);
    vec![
        Write::Conversation { id: TALK, with: name("bob") },
        Write::Room { room, genesis, joined: true },
        entry(room, 1, "lunch"),
        entry(room, 2, "dinner"),
        other(entry(room, 1, "tea")),
        other(entry(room, 2, "one lie is enough")),
        Write::Member { room, identity: BOB, join: join.clone(), part: Some(part) },
        Write::Member { room, identity: CAROL, join, part: None },
        own(in_room, &[BOB, CAROL]),
        own(mine(1), &[BOB]),
        own(mine(2), &[BOB]),
        theirs(bobs(1)),
        theirs(bobs(2)),
        theirs(bobs(3)),
        Write::Skip { conversation: room.into(), author: CAROL, chain: BOBS, number: 40 },
        acked(BOB, 1),
        mailed(vec![run(1, 50)]),
        mailed(vec![run(1, 50), run(2, 60)]),
        Write::Prekey(prekey(1)),
        Write::Prekey(prekey(2)),
        Write::ForgetPrekey { number: 1 },
        pin("bob", 2, None),
        pin("carol", 3, Some(BOB)),
    ]
}

fn run(number: u64, at: u64) -> MailedRun {
    MailedRun { number, at: UnixMillis(at) }
}

fn mailed(runs: Vec<MailedRun>) -> Write {
    Write::Mailed { conversation: TALK, chain: MINE, recipient: BOB, runs }
}

fn prekey(number: u32) -> StoredPrekey {
    StoredPrekey { number, at: UnixMillis(70), salt: MailSalt([b'0' + u8::try_from(number).unwrap(); 32]) }
}

#[test]
fn a_destroyed_prekey_leaves_nothing_in_the_file() {
    let desk = Desk::with_bob();
    desk.write(&[Write::Prekey(prekey(1)), Write::Prekey(prekey(2))]);
    let holds = |salt: &MailSalt| fs::read(desk.path()).unwrap().windows(32).any(|bytes| bytes == salt.0);
    assert!(holds(&prekey(1).salt) && holds(&prekey(2).salt), "the journal was taken in");
    desk.write(&[Write::ForgetPrekey { number: 1 }]);
    assert!(!holds(&prekey(1).salt));
    assert!(holds(&prekey(2).salt));
}

#[test]
fn everything_written_is_there_after_a_restart() {
    let desk = Desk::new();
    desk.write(&everything());
    let loaded = desk.load();
    assert_eq!(loaded.chain, MINE);
    let pins: Vec<Write> = loaded.pins.into_iter().map(|pin| Write::Pin(Box::new(pin))).collect();
    assert_eq!(pins, [pin("bob", 2, None), pin("carol", 3, Some(BOB))]);

    let [talk, room] = &loaded.conversations[..] else { panic!("{:?}", loaded.conversations) };
    assert_eq!((talk.id, &talk.with, talk.room.is_none(), talk.lamport), (TALK, &Some(name("bob")), true, 30));
    let [OwnChain { chain: MINE, number: 2, last, acked, mailed, pending }] = &talk.own[..] else {
        panic!("{:?}", talk.own)
    };
    assert_eq!((*last, &acked[..]), (mine(2).id, &[(BOB, 1)][..]));
    assert_eq!(*mailed, [(BOB, vec![run(1, 50), run(2, 60)])], "what was noted last");
    assert_eq!(loaded.prekeys, [prekey(2)]);
    assert_eq!(*pending, [Pending { number: 2, id: mine(2).id, recipients: vec![BOB] }]);
    let [bob] = &talk.theirs[..] else { panic!("{:?}", talk.theirs) };
    assert_eq!((bob.author, bob.chain, bob.number, bob.last), (BOB, BOBS, 3, Some(bobs(3).id)));

    assert_eq!((room.id, &room.with, room.lamport), (RoomId(genesis().id()).into(), &None, 10));
    assert_eq!((room.theirs[0].author, room.theirs[0].number, room.theirs[0].last), (CAROL, 40, None));
    assert_eq!(room.own[0].pending[0].recipients, [BOB, CAROL]);
    let made = room.room.as_ref().unwrap();
    assert_eq!((made.genesis.id(), made.joined), (genesis().id(), true));
    let entries = made.entries.iter().enumerate().map(|(index, entry)| Write::Entry {
        room: room.id.into(),
        index: u32::try_from(index).unwrap() + 1,
        entry: entry.clone(),
    });
    assert_eq!(entries.collect::<Vec<_>>(), [entry(room.id.into(), 1, "lunch"), entry(room.id.into(), 2, "dinner")]);
    let other_entry = Write::OtherEntry { room: room.id.into(), entry: made.other.clone().unwrap() };
    assert_eq!(other_entry, other(entry(room.id.into(), 1, "tea")));
    assert_eq!(made.members, [(bobs(1).wire, Some(bobs(2).wire)), (bobs(1).wire, None)]);

    let (log, _) = desk.open();
    assert_eq!(log.read_chain(&chain_of(BOB, BOBS)).unwrap(), [bobs(1), bobs(2), bobs(3)]);
    assert_eq!(log.read_chain(&chain_of(ME, MINE)).unwrap(), [mine(1), mine(2)]);
}

#[test]
fn writing_twice_is_writing_once() {
    let desk = Desk::new();
    desk.write(&everything());
    let once = format!("{:?}", desk.load());
    desk.write(&everything());
    desk.write(&[everything(), everything()].concat());
    assert_eq!(format!("{:?}", desk.load()), once);
    assert_eq!(desk.open().0.read_history(TALK, 100, None).unwrap().0.len(), 5);
}

#[test]
fn what_may_change_is_replaced_by_the_newest() {
    let desk = Desk::new();
    desk.write(&everything());
    let (genesis, join) = (genesis(), bobs(7).wire);
    let room = RoomId(genesis.id());
    desk.write(&[
        Write::Room { room, genesis, joined: false },
        Write::Member { room, identity: BOB, join: join.clone(), part: None },
        pin("carol", 4, None),
        Write::Chain(ChainId([77; 16])),
    ]);
    let loaded = desk.load();
    assert_eq!(loaded.chain, ChainId([77; 16]));
    let made = loaded.conversations[1].room.as_ref().unwrap();
    assert!(!made.joined);
    assert_eq!(made.members[0], (join, None));
    assert_eq!((loaded.pins[1].identity, loaded.pins[1].blocked_by.clone()), (keys(4).identity(), None));
    desk.try_write(&[entry(room, 1, "another")]).unwrap_err();
    desk.try_write(&[theirs(stored(BOB, BOBS, 1, "another"))]).unwrap_err();
}

#[test]
fn a_chain_advances_only_over_what_is_held() {
    let desk = Desk::with_bob();
    let head = || {
        let conversation = desk.only_conversation();
        (conversation.theirs[0].number, conversation.theirs[0].last)
    };
    desk.write(&[theirs(bobs(2))]);
    assert_eq!(head(), (0, Some(NO_EVENT)));
    desk.write(&[theirs(bobs(1))]);
    assert_eq!(head(), (2, Some(bobs(2).id)), "the one that came ahead counts now");
    desk.write(&[theirs(bobs(4)), theirs(bobs(5)), theirs(bobs(7))]);
    assert_eq!(head(), (2, Some(bobs(2).id)));
    desk.write(&[skip(1)]);
    assert_eq!(head(), (2, Some(bobs(2).id)));
    desk.write(&[skip(3)]);
    assert_eq!(head(), (5, Some(bobs(5).id)), "to the next hole");
    desk.write(&[skip(9)]);
    assert_eq!(head(), (9, None));
    desk.write(&[theirs(bobs(3)), theirs(bobs(10)), skip(8)]);
    assert_eq!(head(), (10, Some(bobs(10).id)));
    assert_eq!(desk.only_conversation().lamport, 100);
    desk.write(&[skip(u64::MAX), skip(u64::MAX)]);
}

#[test]
fn my_own_chain_never_gets_a_hole() {
    let desk = Desk::with_bob();
    desk.write(&[own(mine(1), &[BOB])]);
    let error = desk.try_write(&[theirs(bobs(1)), own(mine(3), &[BOB])]).unwrap_err();
    assert!(error.text.contains("the line before it"), "{error}");
    let conversation = desk.only_conversation();
    assert_eq!((conversation.own[0].number, conversation.theirs.len()), (1, 0), "all of a commit or nothing");
    let skipped = Write::Skip { conversation: TALK, author: ME, chain: MINE, number: 5 };
    for refused in [own(mine(0), &[]), skipped, theirs(mine(2))] {
        desk.try_write(&[refused]).unwrap_err();
    }
    let elsewhere = StoredEvent { conversation: ConversationId([99; 32]), ..bobs(1) };
    assert!(desk.try_write(&[theirs(elsewhere)]).unwrap_err().text.contains("does not know this conversation"));
}

#[test]
fn a_claim_to_hold_more_than_there_is_counts_for_what_there_is() {
    let desk = Desk::with_bob();
    desk.write(&[acked(BOB, 5), own(mine(1), &[BOB]), acked(BOB, u64::MAX), own(mine(2), &[BOB]), acked(BOB, 0)]);
    let chain = desk.only_conversation().own.remove(0);
    assert_eq!(chain.acked, [(BOB, 1)]);
    assert_eq!(chain.pending, [Pending { number: 2, id: mine(2).id, recipients: vec![BOB] }]);
}

#[derive(Debug, Clone)]
enum Step {
    Say(Vec<u8>),
    Ack(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let say = proptest::sample::subsequence(vec![1u8, 2, 3], 0..=3).prop_map(Step::Say);
    let ack = (1u8..=3, 0u64..12).prop_map(|(who, number)| Step::Ack(who, number));
    proptest::collection::vec(prop_oneof![say, ack], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pending_is_what_some_recipient_lacks(steps in steps()) {
        let desk = Desk::with_bob();
        let (mut said, mut held, mut writes) = (Vec::new(), [0u64; 4], Vec::new());
        for step in steps {
            match step {
                Step::Say(to) => {
                    let number = said.len() as u64 + 1;
                    let recipients: Vec<_> = to.iter().map(|&who| IdentityKey([who; 32])).collect();
                    writes.push(own(mine(number), &recipients));
                    said.push(to);
                }
                Step::Ack(who, number) => {
                    held[usize::from(who)] = held[usize::from(who)].max(number.min(said.len() as u64));
                    writes.push(acked(IdentityKey([who; 32]), number));
                }
            }
        }
        desk.write(&writes);
        let expected: Vec<Pending> = (1u64..).zip(&said)
            .filter(|(number, to)| to.iter().any(|&who| held[usize::from(who)] < *number))
            .map(|(number, to)| {
                let recipients = to.iter().map(|&who| IdentityKey([who; 32])).collect();
                Pending { number, id: mine(number).id, recipients }
            })
            .collect();
        let loaded = desk.only_conversation();
        let pending = loaded.own.into_iter().next().map(|chain| chain.pending).unwrap_or_default();
        prop_assert_eq!(pending, expected);
    }
}

#[test]
fn a_chain_is_read_in_parts_that_hold_together() {
    let desk = Desk::with_bob();
    desk.write(&(1..=9).filter(|&number| number != 7).map(|number| theirs(bobs(number))).collect::<Vec<_>>());
    let (log, _) = desk.open();
    let read = |change: fn(&mut ChainRead)| {
        let mut read = chain_of(BOB, BOBS);
        change(&mut read);
        log.read_chain(&read).unwrap().iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(read(|_| ()), [1, 2, 3, 4, 5, 6], "not past a hole");
    assert_eq!(read(|read| read.from = 7), [8, 9]);
    assert_eq!(read(|read| read.from = 10), [0; 0]);
    assert_eq!(read(|read| read.bytes_max = 1), [1], "at least one");
    assert_eq!(read(|read| read.not_before = Some(UnixMillis(4500))), [5, 6]);
    assert_eq!(read(|read| read.name.author = CAROL), [0; 0]);
    let two = bobs(1).wire.bytes.len() + bobs(2).wire.bytes.len() + 64;
    let mut exact = ChainRead { bytes_max: two, ..chain_of(BOB, BOBS) };
    assert_eq!(log.read_chain(&exact).unwrap().len(), 2);
    exact.bytes_max -= 1;
    assert_eq!(log.read_chain(&exact).unwrap().len(), 1);
}

#[test]
fn a_history_is_the_newest_that_is_shown_by_arrival() {
    let desk = Desk::with_bob();
    let of_kind = |number, kind| theirs(StoredEvent { kind, ..bobs(number) });
    desk.write(&[
        of_kind(1, KIND_TEXT),
        of_kind(3, KIND_TEXT),
        of_kind(2, KIND_ACTION),
        of_kind(4, KIND_JOIN),
        of_kind(5, 200),
        own(mine(1), &[]),
    ]);
    let (log, _) = desk.open();
    let numbers = |count| {
        let (events, _) = log.read_history(TALK, count, None).unwrap();
        events.iter().map(|event| (event.author, event.number)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(100), [(BOB, 1), (BOB, 3), (BOB, 2), (ME, 1)]);
    assert_eq!(numbers(2), [(BOB, 2), (ME, 1)]);
    assert!(log.read_history(ConversationId([5; 32]), 9, None).unwrap().0.is_empty());
    let mut plan = log.connection.prepare(&format!("EXPLAIN QUERY PLAN {}", events::HISTORY)).unwrap();
    let plan: Vec<String> = plan.query_map([1, 1, 0], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(plan.iter().any(|line| line.contains("events_shown")), "{plan:?}");
    assert!(!plan.iter().any(|line| line == "SCAN events" || line.contains("TEMP B-TREE")), "{plan:?}");
}
