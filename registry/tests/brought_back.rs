//! Rooms that this registry has lost, by going back to an old backup, and that come back from whoever was in them: the
//! service without sockets. It takes nobody's word for anything.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use common::ids::EntryId;
use common::message::registry::{Code, MemberRecord, Refusal, Reply, Request};
use common::message::room::{Act, LogEntry, NO_ENTRY, Removal};
use common::secure::sign::Signed;
use common::time::{Monotonic, Now};
use common::wire::bounded::{List, Text};
use registry::service::{Service, SessionId, Step};
use registry::store::memory::MemoryStore;
use support::{NOON, Person, RoomPlan, person, realm_keys, settings};

/// A registry that has these people and no room.
struct Desk {
    service: Service,
    people: Vec<Person>,
}

impl Desk {
    fn of(names: &[&str]) -> Self {
        let service = Service::new(Arc::new(MemoryStore::default()), realm_keys(), &settings().service);
        let desk = Self { service, people: names.iter().map(|name| person(name)).collect() };
        for (person, session) in desk.people.iter().zip(0..) {
            desk.service.open(SessionId(session), person.keys.device(), "192.0.2.7:5000".parse().unwrap());
            desk.ask(&person.name.to_string(), person.sign_up()).unwrap();
        }
        desk
    }

    fn ask(&self, name: &str, request: Request) -> Result<Reply, Refusal> {
        let place = self.people.iter().position(|person| person.name.as_str() == name).unwrap();
        let (session, now) = (SessionId(place.try_into().unwrap()), Now { monotonic: Monotonic(0), wall: NOON });
        match self.service.handle(now, session, request) {
            Step::Answer(answer) => answer.reply,
            Step::Hash(job) => self.service.finish(now, session, job.run(4, [5; 16])).reply,
        }
    }

    fn refused(&self, name: &str, request: Request) -> Code {
        self.ask(name, request).expect_err("this should have been refused").code
    }

    fn members(&self, name: &str, plan: &RoomPlan) -> Vec<String> {
        match self.ask(name, Request::Members { room: plan.id, after: None }) {
            Ok(Reply::Members { members, .. }) => {
                let present = members.iter().filter(|member: &&MemberRecord| member.part.is_none());
                present.map(|member| member.user.to_string()).collect()
            }
            other => panic!("members were asked for: {other:?}"),
        }
    }
}

#[test]
fn whoever_was_in_a_room_brings_it_back_and_enters_by_its_log() {
    let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(person);
    let desk = Desk::of(&["alice", "bob", "mallory"]);
    let plan = alice.plan("#dev", false);
    let removal = Removal {
        identity: mallory.keys.identity(),
        user: mallory.name.clone(),
        cut: List::default(),
        reason: Text::cut("enough"),
    };
    let ban = entry(&plan, &alice, 1, NO_ENTRY, Act::Ban(removal));
    let (identity, user) = (bob.keys.identity(), bob.name.clone());
    let transfer = entry(&plan, &alice, 2, EntryId(ban.id()), Act::Transfer { identity, user });
    let topic = entry(&plan, &bob, 3, EntryId(transfer.id()), Act::Topic { text: Text::cut("bob's") });

    assert_eq!(desk.ask("bob", bob.create(&plan)), Ok(Reply::Done));
    assert_eq!(desk.ask("bob", bob.create(&plan)), Ok(Reply::Done), "its answer may have been lost");
    assert!(desk.members("bob", &plan).is_empty(), "nobody is in it by another's word, not even who brought it");
    let add = |entry: &Signed<LogEntry>| Request::AddEntry { entry: entry.clone() };
    let forged = entry(&plan, &mallory, 1, NO_ENTRY, Act::Topic { text: Text::cut("mallory's") });
    assert_eq!(desk.refused("mallory", add(&forged)), Code::NotPermitted);
    assert_eq!(desk.refused("bob", add(&transfer)), Code::Usage, "it does not follow");
    for known in [&ban, &transfer, &topic, &topic] {
        assert_eq!(desk.ask("bob", add(known)), Ok(Reply::Done));
    }
    assert_eq!(desk.refused("mallory", mallory.join(&plan, 1)), Code::Banned);
    assert_eq!(desk.ask("bob", bob.join(&plan, 1)), Ok(Reply::Done));
    // Now that somebody is in, strangers bring nothing more.
    let next = entry(&plan, &bob, 4, EntryId(topic.id()), Act::Topic { text: Text::cut("another") });
    assert_eq!(desk.refused("mallory", add(&next)), Code::NotPermitted);
    assert_eq!(desk.ask("mallory", add(&topic)), Ok(Reply::Done), "what is there already changes nothing");
    assert_eq!(desk.ask("bob", add(&next)), Ok(Reply::Done), "the room is bob's");
    assert_eq!(desk.ask("alice", alice.join(&plan, 1)), Ok(Reply::Done));
    assert_eq!(desk.members("alice", &plan), ["alice", "bob"]);
}

#[test]
fn nobody_brings_back_what_was_none_of_theirs() {
    let [alice, bob] = ["alice", "bob"].map(person);
    let desk = Desk::of(&["alice", "bob"]);
    let private = alice.plan("#board", true);
    assert_eq!(desk.refused("bob", bob.create(&private)), Code::NotInvited);
    assert_eq!(desk.refused("bob", alice.create(&alice.plan("#dev", false))), Code::Usage, "another's join");
    let foreign = person("alice").of(common::ids::RealmId([1; 32]));
    assert_eq!(desk.refused("bob", bob.create(&foreign.plan("#dev", false))), Code::Usage, "of another realm");
    let ghost = person("ghost");
    assert_eq!(desk.refused("bob", bob.create(&ghost.plan("#dev", false))), Code::NoSuchRoom, "its founder is none");
    let invite = alice.invitation(&private, &bob, 0, 1000);
    let create = Request::CreateRoom {
        genesis: Box::new(private.genesis.clone()),
        join: bob.join_event(&private, 1, Some(invite.clone())),
    };
    assert_eq!(desk.ask("bob", create), Ok(Reply::Done));
    assert_eq!(desk.ask("bob", bob.join_with(&private, 1, &invite)), Ok(Reply::Done));
    assert_eq!(desk.members("bob", &private), ["bob"]);
}

fn entry(plan: &RoomPlan, by: &Person, index: u32, previous: EntryId, act: Act) -> Signed<LogEntry> {
    let entry = LogEntry { room: plan.id, index, previous, at: NOON, act };
    Signed::sign(&entry, by.keys.identity_signer())
}
