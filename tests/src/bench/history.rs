//! A long history: the log of a real peer, filled with messages of one other person. Made once for each length and kept
//! for the run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::event::{Content, Event, WireEvent};
use common::names::UserName;
use common::queue::{Receiver, bounded};
use common::secret::Secret;
use common::secure::password::{ARGON2_KIB, ARGON2_PASSES, stretch};
use common::time::UnixMillis;
use common::wire::bounded::Blob;
use common::wire::codec;
use peer::disk::{Profile, worker};
use peer::ports::{DiskJob, DiskReply, StoredEvent, Survives, Write};

use super::peers::Face;
use crate::programs::{JsonPeer, Launch, Registry};

/// The logs of a run, by their lengths.
#[derive(Clone, Default)]
pub(super) struct Shelf(Rc<RefCell<BTreeMap<usize, Rc<LongLog>>>>);

/// A profile whose log holds so many messages, and the registry it belongs to.
pub(super) struct LongLog {
    pub(super) launch: Launch,
    registry: Registry,
}

impl Shelf {
    /// The log with so many messages, all of them in the index of words.
    pub(super) fn of(&self, count: usize) -> io::Result<Rc<LongLog>> {
        let mut logs = self.0.borrow_mut();
        if let Some(log) = logs.get(&count) {
            return Ok(Rc::clone(log));
        }
        let registry = Registry::start(&[]);
        let log = LongLog { launch: long_log(&registry, count as u64), registry };
        let mut face = log.start()?;
        face.await_line(r#""type":"signed_in""#)?;
        // The first search waits for the index.
        face.tell("/search release")?;
        face.await_patiently(PATIENCE, r#""type":"found""#)?;
        face.quit()?;
        let log = Rc::new(log);
        logs.insert(count, Rc::clone(&log));
        Ok(log)
    }
}

impl LongLog {
    /// Whose log it is, started again.
    pub(super) fn start(&self) -> io::Result<Face> {
        debug_assert_eq!(self.launch.registry, self.registry.address());
        Face::start(&self.launch.again())
    }
}

/// Somebody who has heard so many messages of one other, and is not running.
pub fn long_log(registry: &Registry, count: u64) -> Launch {
    let [alice, bob] = JsonPeer::start_all(registry, ["alice", "bob"]);
    bob.says("@alice the first line");
    alice.hears("@bob", "bob", "the first line");
    alice.quit();
    bob.quit();
    fill(&alice.launch, registry, count);
    alice.launch.clone()
}

/// What opening the sealed keys takes on this machine now, in milliseconds.
pub(super) fn unsealing_ms() -> f64 {
    let begun = Instant::now();
    let key = stretch(&Secret::new("correct horse".to_owned()), b"a salt of some bytes", ARGON2_KIB, ARGON2_PASSES);
    std::hint::black_box(key);
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Goes on with Bob's chain where he left it. Nothing is signed: what is in a log was checked before it came there.
pub fn fill(launch: &Launch, registry: &Registry, count: u64) {
    let profile = Profile::open(&launch.data_dir()).expect("the profile is free");
    let root = profile.pinned(registry.address()).expect("it can be read").expect("the registry is known");
    let ((jobs, to_do), (done, replies)) = (bounded(4), bounded(64));
    let thread = worker::start(profile, to_do, done).expect("a thread");
    let user = UserName::parse(&launch.name).expect("a good name");
    let open = DiskJob::Open { realm: common::ids::RealmId::of(&root), user, fresh_chain: ChainId([0; 16]) };
    jobs.send(open).expect("the disk works");
    let DiskReply::Opened(log) = reply(&replies) else { panic!("the log does not open") };
    let conversation = log.conversations.first().expect("one conversation");
    let theirs = conversation.theirs.first().expect("one chain");
    let (id, author, chain, from) = (conversation.id, theirs.author, theirs.chain, theirs.number);
    for first in (0..count).step_by(COMMIT_EVENTS) {
        let numbers = first..count.min(first + COMMIT_EVENTS as u64);
        let mut writes: Vec<Write> = numbers.map(|number| line(id, author, chain, from + 1 + number)).collect();
        writes.push(Write::Told { conversation: id, author, chain, number: from + first + COMMIT_EVENTS as u64 });
        // Nobody loses anything with a measurement: the disk need not have it at once.
        jobs.send(DiskJob::Commit { ticket: first, writes, survives: Survives::Program }).expect("the disk works");
        let committed = reply(&replies);
        assert!(matches!(committed, DiskReply::Committed { .. }), "{committed:?}");
    }
    jobs.send(DiskJob::Close).expect("the disk works");
    drop(jobs);
    drop(thread);
}

fn reply(replies: &Receiver<DiskReply>) -> DiskReply {
    replies.recv_timeout(PATIENCE).expect("the disk answers")
}

fn line(conversation: ConversationId, author: IdentityKey, chain: ChainId, number: u64) -> Write {
    let (kind, body) = Content::Text(text(number)).encode().expect("a short text");
    let at = UnixMillis(1_700_000_000_000 + number * 1000);
    let previous = common::message::event::NO_EVENT;
    let event = Event {
        conversation,
        author,
        chain,
        number,
        previous,
        parents: Default::default(),
        head: 0,
        lamport: number,
        at,
        kind,
        body,
    };
    let bytes = Blob::new(codec::encode(&event)).expect("a short event");
    let wire = WireEvent { bytes, signature: None };
    let id = wire.id();
    let event = StoredEvent { conversation, author, chain, number, id, lamport: number, at, kind, late: false, wire };
    Write::Event { event: Box::new(event), recipients: None }
}

/// Ordinary lines: a few words that are in every tenth, many that are rare, some of another script.
fn text(number: u64) -> String {
    let word = |salt: u64| {
        let drawn = (number.wrapping_mul(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 20_000;
        format!("w{drawn}")
    };
    let common = match number % 10 {
        0 => "the release is green",
        1 => "東京で会いましょう",
        2 => "relay is down again, alice",
        _ => "and so on",
    };
    let rare = if number.is_multiple_of(10_007) { " needle" } else { "" };
    format!("{} {} {common} {} {} line {number}{rare}", word(3), word(5), word(7), word(11))
}

const COMMIT_EVENTS: usize = 10_000;
/// A disk that is slow, or busy with a million lines.
const PATIENCE: Duration = Duration::from_secs(900);
