//! Another key for an account, by the word of the one before: the service without sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use common::limits::ROTATIONS_MAX;
use common::message::registry::{Code, News, Refusal, Reply, Request};
use common::secret::Secret;
use common::secure::certificate::{self, Credentials};
use common::secure::identity::KEYS_BYTES;
use common::time::{Monotonic, Now};
use registry::service::{Answer, Service, SessionId, Step};
use registry::store::memory::MemoryStore;
use support::{NOON, Person, each, person, realm_keys, settings};

struct Desk {
    service: Service,
    sessions: u64,
}

impl Desk {
    fn new(store: MemoryStore) -> Self {
        Self { service: Service::new(Arc::new(store), realm_keys(), &settings().service), sessions: 0 }
    }

    fn open(&mut self, person: &Person) -> SessionId {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.service.open(session, person.keys.device(), "192.0.2.7:5000".parse().unwrap());
        session
    }

    fn answer(&self, session: SessionId, request: Request) -> Answer {
        let now = Now { monotonic: Monotonic(0), wall: NOON };
        match self.service.handle(now, session, request) {
            Step::Answer(answer) => answer,
            Step::Hash(job) => self.service.finish(now, session, job.run(4, [5; 16])),
        }
    }

    fn ask(&self, session: SessionId, request: Request) -> Result<Reply, Refusal> {
        self.answer(session, request).reply
    }

    fn is_refused(&self, session: SessionId, request: Request) -> bool {
        self.ask(session, request).is_err_and(|refusal| refusal.code == Code::Credentials)
    }

    fn signed_up(person: &Person) -> (Self, SessionId) {
        let mut desk = Self::new(MemoryStore::default());
        let session = desk.open(person);
        assert!(matches!(desk.ask(session, person.sign_up()), Ok(Reply::SignedIn { .. })));
        (desk, session)
    }
}

/// Somebody with the keys that follow theirs.
fn next(person: &Person, byte: u8) -> Person {
    let keys = person.keys.succeeded_by(&Secret::new([byte; KEYS_BYTES])).unwrap();
    Person { name: person.name.clone(), keys, realm: person.realm }
}

fn rotate(person: &Person) -> Request {
    Request::Rotate { statement: person.keys.statement(person.realm, person.name.clone()) }
}

#[test]
fn keys_that_follow_take_the_place_of_those_before() {
    let alice = person("alice");
    let (mut desk, before) = Desk::signed_up(&alice);
    let later = next(&alice, 7);
    let session = desk.open(&later);
    assert!(desk.is_refused(session, later.resume()), "not known yet");
    let answer = desk.answer(session, rotate(&later));
    let Ok(Reply::SignedIn { certificate, .. }) = answer.reply else { panic!("{:?}", answer.reply) };
    assert_eq!(answer.close, vec![before]);
    assert_eq!(each(answer.news).collect::<Vec<_>>(), [(before, News::Replaced)]);
    let statement = later.keys.statement(later.realm, later.name.clone());
    let shown = certificate::verify(&Credentials { statement, certificate }, &realm_keys().root_key(), NOON).unwrap();
    assert_eq!((shown.identity, shown.key), (alice.keys.identity(), later.keys.key()));

    // Once more, since answers get lost; the old device is out, the password is what it was.
    let again = desk.open(&later);
    assert!(matches!(desk.ask(again, rotate(&later)), Ok(Reply::SignedIn { .. })));
    let old = desk.open(&alice);
    assert!(desk.is_refused(old, alice.resume()));
    assert!(desk.is_refused(old, rotate(&alice)), "there is no way back");
    assert_eq!(desk.ask(old, alice.sign_in(1)).unwrap_err().code, Code::NotPermitted, "a device too many");
    let third = desk.open(&later);
    assert!(matches!(desk.ask(third, later.resume()), Ok(Reply::SignedIn { .. })));
    let fourth = desk.open(&later);
    assert!(matches!(desk.ask(fourth, later.sign_in(1)), Ok(Reply::SignedIn { .. })));
}

#[test]
fn a_registry_that_missed_some_steps_takes_them_at_once() {
    let alice = person("alice");
    let (mut desk, _) = Desk::signed_up(&alice);
    let mut last = next(&alice, 50);
    while last.keys.rotations().len() < ROTATIONS_MAX {
        last = next(&last, 60 + u8::try_from(last.keys.rotations().len()).unwrap());
    }
    let session = desk.open(&last);
    assert!(matches!(desk.ask(session, rotate(&last)), Ok(Reply::SignedIn { .. })));
}

#[test]
fn keys_that_do_not_follow_get_nothing() {
    let alice = person("alice");
    let (mut desk, _) = Desk::signed_up(&alice);
    let [right, other] = [7, 8].map(|byte| next(&alice, byte));
    // On another's line, for a device that nobody proved.
    let mallory = person("mallory");
    let session = desk.open(&mallory);
    assert!(desk.is_refused(session, rotate(&right)));
    // Her own keys under alice's name, and under one that nobody has: the same answer.
    for name in ["alice", "nobody-here"] {
        let mut posing = next(&mallory, 9);
        posing.name = common::names::UserName::parse(name).unwrap();
        let session = desk.open(&posing);
        assert!(desk.is_refused(session, rotate(&posing)));
    }
    // The first successor counts, not a second one of the same key; and nobody is asked twice who is signed in.
    let session = desk.open(&right);
    assert!(matches!(desk.ask(session, rotate(&right)), Ok(Reply::SignedIn { .. })));
    assert_eq!(desk.ask(session, rotate(&right)).unwrap_err().code, Code::AlreadySignedIn);
    let session = desk.open(&other);
    assert!(desk.is_refused(session, rotate(&other)));
    let session = desk.open(&next(&other, 9));
    assert!(desk.is_refused(session, rotate(&next(&other, 9))));
}
