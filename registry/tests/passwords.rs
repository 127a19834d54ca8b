//! Password hashes that cost something else than hashes do today: the service without sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use common::message::registry::{Code, Refusal, Reply, Request};
use common::time::{Monotonic, Now};
use registry::service::{Service, SessionId, Step};
use registry::store::Accounts;
use registry::store::memory::MemoryStore;
use support::{NOON, Person, person, realm_keys, settings};

#[test]
fn a_right_password_is_kept_at_todays_cost_from_then_on() {
    let store = Arc::new(MemoryStore::default());
    let alice = person("alice");
    let kept = || store.account(&alice.name).unwrap().unwrap().password;
    for (cost, before) in [(6, ""), (4, "$2b$06$"), (5, "$2b$04$")] {
        let service = Service::new(Arc::<MemoryStore>::clone(&store), realm_keys(), &settings().service);
        let asks = |request| ask(&service, &alice, request, cost);
        if before.is_empty() {
            asks(alice.sign_up()).unwrap();
        } else {
            assert_eq!(asks(alice.sign_in(2)).unwrap_err().code, Code::Credentials);
            assert!(kept().starts_with(before), "a wrong password changes nothing: {}", kept());
            asks(alice.sign_in(1)).unwrap();
        }
        assert!(kept().starts_with(&format!("$2b$0{cost}$")), "{}", kept());
        asks(alice.sign_in(1)).unwrap();
    }
}

/// One request on a connection of its own, with hashes at this cost.
fn ask(service: &Service, person: &Person, request: Request, cost: u32) -> Result<Reply, Refusal> {
    let (session, now) = (SessionId(1), Now { monotonic: Monotonic(0), wall: NOON });
    service.open(session, person.keys.device(), "192.0.2.7:5000".parse().unwrap());
    let reply = match service.handle(now, session, request) {
        Step::Answer(answer) => answer.reply,
        Step::Hash(job) => service.finish(now, session, job.run(cost, [5; 16])).reply,
    };
    service.close(now, session);
    reply
}
