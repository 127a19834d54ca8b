//! The pieces that every message passes through, one by one: `cargo bench --package tests`. What they come to together
//! is measured by `scripts/bench.sh`.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{ChainId, ConversationId, RealmId};
use common::limits::FRAME_BYTES_MAX;
use common::message::event::{self, Content, Event, NO_EVENT, Position, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::names::UserName;
use common::queue::bounded;
use common::secure::handshake::Handshake;
use common::secure::seal::{Opener, Sealer};
use common::time::UnixMillis;
use common::wire::batch::{self, Batch};
use common::wire::bounded::List;
use common::wire::codec;
use common::wire::frame::FrameDecoder;
use divan::Bencher;
use divan::counter::ItemsCount;
use peer::api::{Command, DeliveryState, Event as Told, MessageKind, Target, To};
use peer::disk::{Profile, worker};
use peer::ports::{DiskJob, DiskReply, StoredEvent, Survives, Write};
use tests::wire::Person;
use tests::world::{Journal, Who, World};

fn main() {
    divan::main();
}

const TALK: ConversationId = ConversationId([1; 32]);
const CHAIN: ChainId = ChainId([2; 16]);
const RUNS: [u64; 2] = [1, 64];

/// A run of somebody's lines of 128 bytes, its last one signed.
fn run(author: &Person, length: u64) -> Vec<WireEvent> {
    let mut previous = NO_EVENT;
    let line = |number| {
        let (kind, body) = Content::Text("x".repeat(128)).encode().expect("a short text");
        let event = Event {
            conversation: TALK,
            author: author.keys.identity(),
            chain: CHAIN,
            number,
            previous,
            parents: List::default(),
            head: 0,
            lamport: number,
            at: UnixMillis(1_700_000_000_000),
            kind,
            body,
        };
        let mut wire = event.sign(author.keys.event_signer());
        wire.signature = wire.signature.filter(|_| number == length);
        previous = wire.id();
        wire
    };
    (1..=length).map(line).collect()
}

fn events(length: u64) -> PeerMessage {
    let events = List::new(run(&Person::new("alice"), length)).expect("a short run");
    PeerMessage::Events(Events { conversation: TALK, late: false, events })
}

#[divan::bench(args = RUNS)]
fn encode_a_run(bencher: Bencher<'_, '_>, length: u64) {
    let message = events(length);
    bencher.counter(ItemsCount::new(length)).bench_local(|| codec::encode(&message));
}

#[divan::bench(args = RUNS)]
fn decode_a_run(bencher: Bencher<'_, '_>, length: u64) {
    let bytes = codec::encode(&events(length));
    bencher.counter(ItemsCount::new(length)).bench_local(|| codec::decode::<PeerMessage>(&bytes));
}

#[divan::bench(args = RUNS)]
fn check_a_run(bencher: Bencher<'_, '_>, length: u64) {
    let author = Person::new("alice");
    let (run, key) = (run(&author, length), author.keys.event());
    let (author, previous) = (author.keys.identity(), Some(NO_EVENT));
    let at = Position { conversation: TALK, author, chain: CHAIN, number: 1, previous };
    bencher.counter(ItemsCount::new(length)).bench_local(|| event::verify_run(&run, at, &key));
}

/// One direction of a link.
fn halves() -> (Sealer, Opener) {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut dialer = Handshake::peer_dialer(alice.keys.device_secret(), bob.keys.device());
    let mut answerer = Handshake::peer_answerer(bob.keys.device_secret());
    let fits = "two ends of one handshake fit";
    answerer.read(&dialer.write(&[]).expect(fits)).expect(fits);
    dialer.read(&answerer.write(&[]).expect(fits)).expect(fits);
    answerer.read(&dialer.write(&[]).expect(fits)).expect(fits);
    (dialer.finish().expect(fits).0, answerer.finish().expect(fits).1)
}

#[divan::bench(args = RUNS)]
fn batch_seal_and_open(bencher: Bencher<'_, '_>, length: u64) {
    let (mut sealer, mut opener) = halves();
    let bytes = codec::encode(&events(length));
    let (mut batch, mut plaintext, mut frames) = (Batch::default(), Vec::new(), Vec::new());
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    bencher.counter(ItemsCount::new(length)).bench_local(|| {
        assert!(batch.push_encoded(&bytes), "a short run fits a batch");
        batch.take_padded(&mut plaintext);
        frames.clear();
        sealer.seal(&plaintext, &mut frames);
        decoder.push(&frames);
        let frame = decoder.next_frame().expect("a good length").expect("a whole frame");
        batch::read::<PeerMessage>(opener.open(frame).expect("sealed well")).expect("a good batch")
    });
}

/// Both nodes, from a command to the word that it is on the other's disk; disks, sockets and clock are simulated.
#[divan::bench(args = RUNS, sample_count = 20, sample_size = 1)]
fn two_nodes(bencher: Bencher<'_, '_>, length: u64) {
    let mut world = World::new(1, Journal::default());
    let people = ["alice", "bob"].map(|name| world.person(name));
    people.iter().for_each(|who| world.start(*who));
    let signed_in = |world: &World, who: &Who| world.told(*who).any(|told| matches!(told, Told::SignedIn { .. }));
    assert!(world.run_until(PATIENCE, |world| people.iter().all(|who| signed_in(world, who))));
    let [alice, _] = people;
    let mut said = 0;
    bencher.counter(ItemsCount::new(length)).bench_local(|| {
        // All different: the world takes the same text again for the same message.
        let line = |number| {
            let to = To::Named(Target::parse("@bob").expect("a good name"));
            Command::Say { to, text: format!("{number:0>128}"), kind: MessageKind::Text }
        };
        world.paste(alice, (said..said + length).map(line).collect());
        said += length;
        assert!(world.run_until(PATIENCE, |world| delivered(world, alice) == said));
    });
}

fn delivered(world: &World, who: Who) -> u64 {
    let done = |told: &&Told| matches!(told, Told::Delivery(told) if told.state == DeliveryState::Delivered);
    world.told(who).filter(done).count() as u64
}

/// A group of events of somebody else, on the disk when it returns.
#[divan::bench(args = RUNS, sample_count = 50)]
fn group_commit(bencher: Bencher<'_, '_>, length: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ((jobs, to_do), (done, replies)) = (bounded(64), bounded(64));
    let profile = Profile::open(folder.path()).expect("an empty folder");
    let _thread = worker::start(profile, to_do, done).expect("a thread");
    let user = UserName::parse("alice").expect("a good name");
    let open = DiskJob::Open { realm: RealmId([7; 32]), user, fresh_chain: ChainId([8; 16]) };
    let talk = Write::Conversation { id: TALK, with: UserName::parse("bob").expect("a good name") };
    jobs.send(open).expect("the disk works");
    let commit = |writes| {
        let writes = Arc::new(writes);
        jobs.send(DiskJob::Commit { ticket: 1, writes, survives: Survives::Machine }).expect("the disk works");
        let reply = replies.recv_timeout(PATIENCE).expect("the disk answers");
        assert!(matches!(reply, DiskReply::Committed { .. }), "{reply:?}");
    };
    assert!(matches!(replies.recv_timeout(PATIENCE), Ok(DiskReply::Opened(_))));
    commit(vec![talk]);
    let author = Person::new("bob");
    let wires = run(&author, 1);
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(length))
        .with_inputs(|| {
            let line = |_| {
                number += 1;
                stored(&author, number, &wires[0])
            };
            (0..length).map(line).collect::<Vec<_>>()
        })
        .bench_local_values(commit);
    drop(jobs);
}

fn stored(author: &Person, number: u64, wire: &WireEvent) -> Write {
    let mut id = wire.id();
    id.0[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let event = StoredEvent {
        conversation: TALK,
        author: author.keys.identity(),
        chain: CHAIN,
        number,
        id,
        lamport: number,
        at: UnixMillis(0),
        kind: event::KIND_TEXT,
        late: false,
        wire: wire.clone(),
    };
    Write::Event { event: Box::new(event), recipients: None }
}

const PATIENCE: Duration = Duration::from_secs(60);
