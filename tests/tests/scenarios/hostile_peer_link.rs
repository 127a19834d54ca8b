//! A peer's listener: whoever does not know its key, or shows no good certificate, or then sends garbage, gets nothing
//! and takes nothing from those who talk.

use std::time::Duration;

use common::ids::{ChainId, ConversationId, DeviceKey, EventId, IdentityKey, RealmId};
use common::limits::{FIRST_FRAME_TIMEOUT, SIGN_IN_TIMEOUT};
use common::message::event::{Content, Event, NO_EVENT, WireEvent};
use common::message::peer::{Events, PeerMessage};
use common::names::UserName;
use common::secure::certificate::Credentials;
use common::time::UnixMillis;
use common::wire::PREAMBLE;
use common::wire::bounded::List;
use tests::wire::{PeerLink, Person, Raw, RegistryLink};
use tests::{JsonPeer, Registry};

#[test]
fn bytes_that_are_no_protocol_end_the_connection() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let address = bob.listen();
    let garbage: Vec<u8> = (0..5000u32).map(|number| (number.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    let preambled = |rest: &[u8]| [PREAMBLE.as_slice(), rest].concat();
    let stages: [(&str, Vec<u8>); 7] = [
        ("garbage", garbage.clone()),
        ("another version", [b"P2C\x7f".as_slice(), &[0; 100]].concat()),
        ("a huge frame", preambled(&[0xff, 0xff, 1, 2, 3])),
        ("an empty frame", preambled(&[0, 0])),
        ("a frame of garbage", preambled(&[&[0, 48], &garbage[..48]].concat())),
        ("silence", Vec::new()),
        ("half a frame", preambled(&[0, 48, 1])),
    ];
    let mut raws: Vec<Raw> = stages.iter().map(|(_, bytes)| Raw::connect(&address).send(bytes)).collect();
    for (raw, (what, _)) in raws.iter_mut().zip(&stages) {
        let closed = raw.is_closed_within(FIRST_FRAME_TIMEOUT + SLACK);
        bob.transcript().check(closed, &format!("after {what} the connection stayed open"));
    }
    let mut slow = Raw::connect(&address);
    let closed = slow.is_closed_in_spite_of(&preambled(&[3, 0]), PAUSE, SIGN_IN_TIMEOUT + SLACK);
    bob.transcript().check(closed, "a byte now and then kept the connection open");
    alice.says("@bob anything?");
    bob.hears("@alice", "alice", "anything?");
}

#[test]
fn a_stranger_gets_no_answer() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let [mallory, eve] = ["mallory", "eve"].map(Person::new);
    let mut at_mallory = RegistryLink::sign_up(registry.address(), &mallory);
    let mut record = at_mallory.lookup("bob");
    let device = record.credentials.certificate.claim().unwrap().device;
    let credentials = at_mallory.credentials.clone().unwrap();

    // Without bob's key there is not even a second message.
    let wrong = PeerLink::shake(&bob.listen(), DeviceKey([9; 32]), &mallory, &[]);
    assert!(wrong.is_none(), "a stranger was answered");
    // With his key, but without a certificate of this realm, with bob's own, or with one of somebody else's device.
    let foreign = Credentials { statement: eve.statement(RealmId([3; 32])), ..credentials.clone() };
    let payloads = [
        ("no credentials", &mallory, Vec::new()),
        ("garbage", &mallory, vec![0xc1; 300]),
        ("a statement that does not fit", &eve, common::wire::codec::encode(&foreign)),
        ("bob's own", &mallory, common::wire::codec::encode(&record.credentials)),
        ("mallory's, shown by eve", &eve, common::wire::codec::encode(&credentials)),
    ];
    for (what, person, payload) in payloads {
        let mut sealed = PeerLink::shake(&bob.listen(), device, person, &payload).expect("the key is right");
        let first = sealed.next(SIGN_IN_TIMEOUT + SLACK);
        bob.transcript().check(first == Ok(None), &format!("credentials: {what}: bob said {first:?}"));
    }
    record.addresses = List::default();
    alice.says("@bob anything?");
    bob.hears("@alice", "alice", "anything?");
    let shown = bob.so_far().iter().any(|event| event.to_string().contains("mallory"));
    bob.transcript().check(!shown, "bob is told nothing of strangers");
}

#[test]
fn garbage_on_an_authenticated_link_ends_that_link_alone() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    let (mallory, mut at_mallory) = newcomer(&registry, "mallory");
    let record = at_mallory.lookup("bob");
    let device = record.credentials.certificate.claim().unwrap().device;
    let credentials = at_mallory.credentials.clone().unwrap();
    let dial = || PeerLink::dial(&bob.listen(), device, &mallory, &credentials).expect("mallory has an account");
    let before = resident_kib(bob.pid());
    for plaintext in [vec![], vec![0xc1; 256], [&[0, 250][..], &[0x91; 254]].concat()] {
        let mut link = dial();
        link.sealed.send_plaintext(&plaintext);
        let closed = link.sealed.is_closed_within(AT_ONCE);
        bob.transcript().check(closed, &format!("after {} wrong bytes the link stayed open", plaintext.len()));
    }
    let mut link = dial();
    link.sealed.send_bytes(&[[1, 0].as_slice(), &[0x55; 256]].concat());
    bob.transcript()
        .check(link.sealed.is_closed_within(AT_ONCE), "after a frame that does not open the link stayed open");
    let grown = resident_kib(bob.pid()).saturating_sub(before);
    bob.transcript().check(grown < 16 * 1024, &format!("bob grew by {grown} KiB"));
    alice.says("@bob after");
    bob.hears("@alice", "alice", "after");
}

#[test]
fn nobody_speaks_in_anothers_name() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("@bob I am alice");
    bob.hears("@alice", "alice", "I am alice");
    let (mallory, mut at_mallory) = newcomer(&registry, "mallory");
    let record = at_mallory.lookup("bob");
    let alices = at_mallory.lookup("alice").credentials.certificate.claim().unwrap();
    let device = record.credentials.certificate.claim().unwrap().device;
    let credentials = at_mallory.credentials.clone().unwrap();
    let realm = at_mallory.realm();
    let name = |name: &str| UserName::parse(name).unwrap();
    let with_alice = ConversationId::direct(&realm, &name("alice"), &name("bob"));
    let with_mallory = ConversationId::direct(&realm, &name("mallory"), &name("bob"));
    let signed =
        |conversation, author, number, previous, text| said(&mallory, conversation, author, number, previous, text);
    let forged =
        [(with_alice, alices.identity), (with_mallory, alices.identity), (with_alice, mallory.keys.identity())];
    let honest = signed(with_mallory, mallory.keys.identity(), 1, NO_EVENT, "I am mallory");
    for (conversation, author) in forged {
        let alone = vec![signed(conversation, author, 1, NO_EVENT, MONEY)];
        let behind_an_honest_one = vec![honest.clone(), signed(conversation, author, 2, honest.id(), MONEY)];
        for events in [alone, behind_an_honest_one] {
            let mut link =
                PeerLink::dial(&bob.listen(), device, &mallory, &credentials).expect("mallory has an account");
            let message = Events { conversation: with_mallory, late: false, events: List::cut(events) };
            link.sealed.send(&PeerMessage::Events(Events { conversation, ..message.clone() }));
            link.sealed.send(&PeerMessage::Events(message));
            link.hear(Duration::from_millis(300));
        }
    }
    alice.says("@bob it was not me");
    bob.hears("@alice", "alice", "it was not me");
    let history = bob.ask("/history @alice").to_string();
    let shown = history.contains(MONEY) || bob.so_far().iter().any(|event| event.to_string().contains(MONEY));
    bob.transcript().check(!shown, "bob was shown a forged message");
    bob.kill9();
    bob.restart();
    alice.says("@bob still me");
    bob.hears("@alice", "alice", "still me");
}

#[test]
fn a_line_whose_signature_does_not_hold_is_withdrawn() {
    let registry = Registry::start(&[]);
    let [mut bob] = JsonPeer::start_all(&registry, ["bob"]);
    let (mallory, mut at_mallory) = newcomer(&registry, "mallory");
    let device = at_mallory.lookup("bob").credentials.certificate.claim().unwrap().device;
    let credentials = at_mallory.credentials.clone().unwrap();
    let name = |name: &str| UserName::parse(name).unwrap();
    let conversation = ConversationId::direct(&at_mallory.realm(), &name("mallory"), &name("bob"));
    let line = |number, previous, text| said(&mallory, conversation, mallory.keys.identity(), number, previous, text);
    let first = line(1, NO_EVENT, "one");
    let second = line(2, first.id(), "two");
    let mut third = line(3, second.id(), MONEY);
    // It follows on what bob has, and comes from whom it says; only the signature is another's.
    third.signature = first.signature;
    let mut link = PeerLink::dial(&bob.listen(), device, &mallory, &credentials).expect("mallory has an account");
    let events = |events| PeerMessage::Events(Events { conversation, late: false, events: List::cut(events) });
    link.sealed.send(&events(vec![first, second]));
    bob.hears("@mallory", "mallory", "two");
    link.sealed.send(&events(vec![third]));
    let told = bob.wait("the withdrawal", |event| event.is("error"));
    let expected = format!("Withdrawn: mallory did not say '{MONEY}'.");
    bob.transcript().check(told.text("text").starts_with(&expected), "what was shown is not named");
    bob.transcript().check(link.sealed.is_closed_within(AT_ONCE), "whoever forges stays linked");
    let is_kept = |bob: &JsonPeer| bob.ask("/history @mallory").to_string().contains(MONEY);
    bob.transcript().check(!is_kept(&bob), "what is withdrawn is in the history");
    bob.kill9();
    bob.restart();
    bob.transcript().check(!is_kept(&bob), "what is withdrawn was written");
}

/// A line signed by `signer`, whoever it says it is of.
fn said(
    signer: &Person,
    conversation: ConversationId,
    author: IdentityKey,
    number: u64,
    previous: EventId,
    text: &str,
) -> WireEvent {
    let (kind, body) = Content::Text(text.to_owned()).encode().unwrap();
    let event = Event {
        conversation,
        author,
        chain: ChainId([5; 16]),
        number,
        previous,
        parents: List::default(),
        head: 0,
        lamport: number,
        at: UnixMillis(1_800_000_000_000),
        kind,
        body,
    };
    event.sign(signer.keys.event_signer())
}

fn newcomer(registry: &Registry, name: &str) -> (Person, RegistryLink) {
    let person = Person::new(name);
    let link = RegistryLink::sign_up(registry.address(), &person);
    (person, link)
}

/// Memory that a process holds in RAM.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Processor time a process has used, in hundredths of a second.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, counted from behind the name.
    [11, 12].iter().map(|&index: &usize| fields[index].parse::<u64>().unwrap()).sum()
}

const SLACK: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(400);
const MONEY: &str = "send me your money";
