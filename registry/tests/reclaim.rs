//! Accounts that a registry has lost, asked back with the certificate it gave: the service without sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use common::message::registry::{Code, Refusal, Reply, Request};
use common::secure::certificate;
use common::time::{Monotonic, Now, UnixMillis};
use registry::accounts::SignUps;
use registry::service::{Service, SessionId, Step};
use registry::store::memory::MemoryStore;
use support::{NOON, Person, person, realm_keys, settings};

/// A registry of the one realm that has nothing yet.
struct Desk {
    service: Service,
    seconds: u64,
    sessions: u64,
}

impl Desk {
    fn new(is_sign_up_open: bool) -> Self {
        let mut limits = settings().service;
        limits.accounts.sign_ups = if is_sign_up_open { SignUps::Open } else { SignUps::Closed };
        let service = Service::new(Arc::new(MemoryStore::default()), realm_keys(), &limits);
        Self { service, seconds: 0, sessions: 0 }
    }

    fn open(&mut self, person: &Person) -> SessionId {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.service.open(session, person.keys.device(), "192.0.2.7:5000".parse().unwrap());
        session
    }

    fn ask(&mut self, session: SessionId, request: Request) -> Result<Reply, Refusal> {
        let millis = self.seconds * 1000;
        let now = Now { monotonic: Monotonic(millis), wall: UnixMillis(NOON.0 + millis) };
        match self.service.handle(now, session, request) {
            Step::Answer(answer) => answer.reply,
            Step::Hash(job) => self.service.finish(now, session, job.run(4, [5; 16])).reply,
        }
    }

    fn refused(&mut self, session: SessionId, request: Request) -> Code {
        self.ask(session, request).expect_err("this should have been refused").code
    }
}

#[test]
fn an_account_that_was_lost_comes_back_by_its_certificate() {
    let mut before = Desk::new(true);
    let alice = person("alice");
    let session = before.open(&alice);
    let Ok(Reply::SignedIn { certificate, .. }) = before.ask(session, alice.sign_up()) else { panic!("signed in") };
    let statement = alice.keys.statement(support::realm(), alice.name.clone());
    let credentials = certificate::Credentials { statement, certificate };
    let reclaim = |auth| Request::Reclaim { credentials: Box::new(credentials.clone()), auth };

    // Signing up is closed, and that is no matter.
    let mut world = Desk::new(false);
    let session = world.open(&alice);
    assert_eq!(world.refused(session, alice.resume()), Code::Credentials);
    assert_eq!(world.refused(session, alice.sign_in(1)), Code::Credentials);
    let thief = world.open(&person("mallory"));
    assert_eq!(world.refused(thief, reclaim(None)), Code::Credentials, "on another's line");
    let back = world.ask(session, reclaim(None));
    assert!(matches!(back, Ok(Reply::SignedIn { lacks_password: true, .. })), "{back:?}");
    // The device sets a password; until then nobody gets in with any.
    let mut other = person("mallory");
    other.name = alice.name.clone();
    let elsewhere = world.open(&other);
    assert_eq!(world.refused(elsewhere, other.sign_in(1)), Code::Credentials);
    let change = |old, new| Request::ChangePassword { old: alice.auth(old), new: alice.auth(new) };
    assert_eq!(world.ask(session, change(2, 2)), Ok(Reply::Done));
    assert_eq!(world.refused(elsewhere, other.sign_in(2)), Code::NotPermitted, "right, from a second device");
    assert_eq!(world.refused(session, change(9, 3)), Code::Credentials);
    let again = world.open(&alice);
    assert!(matches!(world.ask(again, alice.resume()), Ok(Reply::SignedIn { lacks_password: false, .. })));

    // With the password at once, and only while the certificate holds.
    let mut world = Desk::new(false);
    let session = world.open(&alice);
    assert!(matches!(
        world.ask(session, reclaim(Some(alice.auth(1)))),
        Ok(Reply::SignedIn { lacks_password: false, .. })
    ));
    let mut world = Desk::new(false);
    world.seconds = 30 * 24 * 3600;
    let session = world.open(&alice);
    assert_eq!(world.refused(session, reclaim(None)), Code::Credentials);
}

#[test]
fn a_name_that_was_taken_since_is_not_given_back() {
    let mut before = Desk::new(true);
    let alice = person("alice");
    let session = before.open(&alice);
    let Ok(Reply::SignedIn { certificate, .. }) = before.ask(session, alice.sign_up()) else { panic!("signed in") };
    let statement = alice.keys.statement(support::realm(), alice.name.clone());
    let credentials = Box::new(certificate::Credentials { statement, certificate });
    let mut world = Desk::new(true);
    let mut other = person("mallory");
    other.name = alice.name.clone();
    let taken = world.open(&other);
    assert!(matches!(world.ask(taken, other.sign_up()), Ok(Reply::SignedIn { .. })));
    let session = world.open(&alice);
    for auth in [None, Some(alice.auth(1))] {
        let reclaim = Request::Reclaim { credentials: credentials.clone(), auth };
        assert_eq!(world.refused(session, reclaim), Code::NameTaken);
    }
}
