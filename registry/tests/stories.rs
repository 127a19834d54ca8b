//! The service without sockets: one story per rule about accounts, presence and rooms.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use common::ids::{EntryId, MailKey};
use common::message::registry::{Code, News, Refusal, Reply, Request};
use common::message::room::{Act, LogEntry, NO_ENTRY, Removal};
use common::names::RoomName;
use common::secure::certificate;
use common::secure::mail::Prekey;
use common::secure::sign::Signed;
use common::time::{Monotonic, Now, UnixMillis};
use common::wire::address::Address;
use common::wire::bounded::{Blob, List, Text};
use registry::service::{Answer, Limits, Service, SessionId, SignUps, Step};
use registry::store::memory::MemoryStore;
use support::{NOON, Person, RoomPlan, each, person, realm_keys, settings, user};

/// A service, a clock that a test moves, and the news that was made.
struct World {
    service: Service,
    seconds: u64,
    sessions: u64,
    news: Vec<(SessionId, News)>,
}

impl World {
    fn new() -> Self {
        Self::with(&settings().service)
    }

    fn with(limits: &Limits) -> Self {
        let service = Service::new(Arc::new(MemoryStore::default()), realm_keys(), limits);
        Self { service, seconds: 0, sessions: 0, news: Vec::new() }
    }

    fn now(&self) -> Now {
        Now { monotonic: Monotonic(self.seconds * 1000), wall: UnixMillis(NOON.0 + self.seconds * 1000) }
    }

    fn open(&mut self, person: &Person) -> SessionId {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.service.open(session, person.keys.device(), "[::ffff:192.0.2.7]:5000".parse().unwrap());
        session
    }

    fn ask(&mut self, session: SessionId, request: Request) -> Result<Reply, Refusal> {
        let answer = match self.service.handle(self.now(), session, request) {
            Step::Answer(answer) => answer,
            Step::Hash(job) => self.service.finish(self.now(), session, job.run(4, [5; 16])),
        };
        let Answer { reply, news, close } = answer;
        self.news.extend(each(news));
        close.into_iter().for_each(|session| self.news.extend(each(self.service.close(self.now(), session))));
        reply
    }

    fn refused(&mut self, session: SessionId, request: Request) -> Code {
        let refusal = self.ask(session, request).expect_err("this should have been refused");
        let text = refusal.text.as_str();
        assert!(text.len() > 20 && text.ends_with('.') && !text.contains('\n'), "{text}");
        refusal.code
    }

    fn member(&mut self, name: &str) -> (Person, SessionId) {
        let person = person(name);
        let session = self.open(&person);
        assert!(matches!(self.ask(session, person.sign_up()), Ok(Reply::SignedIn { .. })));
        self.news.clear();
        (person, session)
    }

    /// A room of alice's with bob in it.
    fn room(&mut self, private: bool) -> (RoomPlan, [(Person, SessionId); 2]) {
        let [(alice, at_alice), (bob, at_bob)] = ["alice", "bob"].map(|name| self.member(name));
        let plan = alice.plan("#dev", private);
        assert_eq!(self.ask(at_alice, alice.create(&plan)), Ok(Reply::Done));
        let join = if private {
            let invite = alice.invitation(&plan, &bob, 0, 1_000_000);
            assert_eq!(self.ask(at_alice, Request::Invite { invite: invite.clone() }), Ok(Reply::Done));
            bob.join_with(&plan, 2, &invite)
        } else {
            bob.join(&plan, 2)
        };
        assert_eq!(self.ask(at_bob, join), Ok(Reply::Done));
        self.news.clear();
        (plan, [(alice, at_alice), (bob, at_bob)])
    }

    fn heard(&mut self) -> Vec<(u64, &'static str)> {
        let name = |news: &News| match news {
            News::Presence { changes } if changes[0].online => "came",
            News::Presence { .. } => "went",
            News::Member { member, .. } if member.part.is_none() => "joined",
            News::Member { .. } => "parted",
            News::Entry { .. } => "entry",
            News::Invited(_) => "invited",
            News::Mail => "mail",
            News::Replaced => "replaced",
            News::Closing => "closing",
        };
        std::mem::take(&mut self.news).iter().map(|(session, news)| (session.0, name(news))).collect()
    }
}

fn find(name: &str) -> Request {
    Request::FindRoom { name: RoomName::parse(name).unwrap() }
}

fn topic(owner: &Person, plan: &RoomPlan, index: u32, previous: EntryId, text: &str) -> Signed<LogEntry> {
    let entry = LogEntry { room: plan.id, index, previous, at: NOON, act: Act::Topic { text: Text::cut(text) } };
    Signed::sign(&entry, owner.keys.identity_signer())
}

#[test]
fn a_sign_up_gives_a_certificate_that_others_believe() {
    let mut world = World::new();
    let alice = person("alice");
    let session = world.open(&alice);
    let Ok(Reply::SignedIn { certificate, seen, .. }) = world.ask(session, alice.sign_up()) else {
        panic!("signed in")
    };
    assert_eq!(seen.0.to_string(), "192.0.2.7:5000");
    let statement = alice.keys.statement(support::realm(), alice.name.clone());
    let credentials = certificate::Credentials { statement, certificate };
    let root = realm_keys().root_key();
    assert_eq!(certificate::verify(&credentials, &root, NOON).unwrap().user, alice.name);
}

#[test]
fn a_lost_reply_to_a_sign_up_is_no_harm_but_the_name_stays_taken() {
    let mut world = World::new();
    let (alice, _) = world.member("alice");
    let again = world.open(&alice);
    assert!(matches!(world.ask(again, alice.sign_up()), Ok(Reply::SignedIn { .. })));
    let mut other = person("mallory");
    other.name = user("alice");
    let session = world.open(&other);
    assert_eq!(world.refused(session, other.sign_up()), Code::NameTaken);
    let mut same_keys = person("alice");
    same_keys.name = user("alice2");
    let session = world.open(&same_keys);
    assert_eq!(world.refused(session, same_keys.sign_up()), Code::NotPermitted);
    let stranger = world.open(&person("mallory"));
    assert_eq!(world.refused(stranger, person("carol").sign_up()), Code::Credentials, "carol's keys, another's line");
}

#[test]
fn an_unknown_name_and_a_wrong_password_sound_the_same() {
    let mut world = World::new();
    let (alice, _) = world.member("alice");
    let session = world.open(&alice);
    let wrong = world.ask(session, alice.sign_in(9));
    let nobody = person("nobody-here");
    let session = world.open(&nobody);
    assert_eq!(world.ask(session, nobody.sign_in(9)), wrong);
    assert_eq!(wrong.unwrap_err().code, Code::Credentials);
}

#[test]
fn the_right_password_signs_in_and_can_be_changed() {
    let mut world = World::new();
    let (alice, session) = world.member("alice");
    let change = |old, new| Request::ChangePassword { old: alice.auth(old), new: alice.auth(new) };
    assert_eq!(world.refused(session, change(9, 2)), Code::Credentials);
    assert_eq!(world.ask(session, change(1, 2)), Ok(Reply::Done));
    let again = world.open(&alice);
    assert_eq!(world.refused(again, alice.sign_in(1)), Code::Credentials);
    assert!(matches!(world.ask(again, alice.sign_in(2)), Ok(Reply::SignedIn { .. })));
    assert_eq!(world.heard(), [(session.0, "replaced")]);
}

#[test]
fn sign_ups_can_be_closed_and_are_limited_per_source() {
    let mut limits = settings().service;
    limits.accounts.throttle.sign_ups_per_source_hour = 1;
    let mut world = World::with(&limits);
    world.member("alice");
    let bob = person("bob");
    let session = world.open(&bob);
    let refusal = world.ask(session, bob.sign_up()).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after), (Code::Throttled, Some(3600)));
    world.seconds = 3600;
    assert!(world.ask(session, bob.sign_up()).is_ok());
    limits.accounts.sign_ups = SignUps::Closed;
    let mut world = World::with(&limits);
    let session = world.open(&bob);
    assert_eq!(world.refused(session, bob.sign_up()), Code::NotPermitted);
}

#[test]
fn a_password_job_that_finds_no_room_is_held_against_nobody() {
    let mut limits = settings().service;
    limits.accounts.throttle.password_failures = 1;
    let mut world = World::with(&limits);
    let (alice, _) = world.member("alice");
    let session = world.open(&alice);
    for _ in 0..3 {
        let Step::Hash(job) = world.service.handle(world.now(), session, alice.sign_in(1)) else { panic!("a job") };
        let refusal = world.service.give_up(job, 7).reply.unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after), (Code::Busy, Some(7)));
    }
    assert!(world.ask(session, alice.sign_in(1)).is_ok());
}

#[test]
fn who_is_not_signed_in_gets_nowhere() {
    let mut world = World::new();
    let alice = person("alice");
    let session = world.open(&alice);
    let who = || Request::Who { pattern: None, after: None };
    assert_eq!(world.ask(session, Request::Ping), Ok(Reply::Done));
    assert_eq!(world.refused(session, who()), Code::NotSignedIn);
    assert_eq!(world.refused(session, Request::SignOut), Code::NotSignedIn);
    assert_eq!(world.refused(session, alice.create(&alice.plan("#dev", false))), Code::NotSignedIn);
    assert!(world.ask(session, alice.sign_up()).is_ok());
    assert_eq!(world.refused(session, alice.resume()), Code::AlreadySignedIn);
    assert_eq!(world.ask(session, Request::SignOut), Ok(Reply::Done));
    assert_eq!(world.refused(session, who()), Code::NotSignedIn);
    assert!(world.ask(session, alice.resume()).is_ok());
}

#[test]
fn presence_goes_to_those_who_share_a_room_or_watch_and_to_nobody_else() {
    let mut world = World::new();
    let (_, [(_, at_alice), (bob, at_bob)]) = world.room(false);
    let (_, at_carol) = world.member("carol");
    let (_, _) = world.member("dave");
    world.ask(at_carol, Request::Watch { names: List::cut(vec![bob.name.clone()]) }).unwrap();
    assert_eq!(world.ask(at_bob, Request::SignOut), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_alice.0, "went"), (at_carol.0, "went")]);
    world.ask(at_bob, bob.resume()).unwrap();
    assert_eq!(world.heard(), [(at_alice.0, "came"), (at_carol.0, "came")]);
    let newer = world.open(&bob);
    world.ask(newer, bob.resume()).unwrap();
    assert_eq!(world.heard(), [(at_bob.0, "replaced")], "bob was never gone");
    assert_eq!(world.refused(at_bob, Request::Ping), Code::NotSignedIn);
    assert_eq!(each(world.service.close(world.now(), newer)).count(), 2);
}

#[test]
fn a_look_up_tells_where_somebody_is_and_when_they_were_last_seen() {
    let mut world = World::new();
    let [(_, at_alice), (bob, at_bob)] = ["alice", "bob"].map(|name| world.member(name));
    let at = |text: &str| Address(text.parse().unwrap());
    let announced = vec![at("10.0.0.2:41000"), at("0.0.0.0:41000"), at("10.0.0.2:0")];
    world.ask(at_bob, Request::Announce { addresses: List::cut(announced) }).unwrap();
    let look_up = || Request::Lookup { user: user("bob") };
    let Ok(Reply::Person(record)) = world.ask(at_alice, look_up()) else { panic!("bob's record") };
    assert!(record.online && record.last_seen.is_none());
    assert_eq!(*record.addresses, [at("192.0.2.7:41000"), at("10.0.0.2:41000")]);
    assert!(certificate::verify(&record.credentials, &realm_keys().root_key(), NOON).is_ok());
    world.seconds = 60;
    world.service.close(world.now(), at_bob);
    let Ok(Reply::Person(record)) = world.ask(at_alice, look_up()) else { panic!("bob's record") };
    assert_eq!((record.online, record.addresses.len()), (false, 0));
    assert_eq!(record.last_seen, Some(world.now().wall));
    assert_eq!(world.refused(at_alice, Request::Lookup { user: user("zoe") }), Code::NoSuchUser);
    drop(bob);
}

#[test]
fn a_public_room_is_found_entered_and_left_and_the_others_hear_of_it() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), (bob, at_bob)]) = world.room(false);
    assert_eq!(world.ask(at_alice, alice.create(&plan)), Ok(Reply::Done), "its reply may have been lost");
    let taken = bob.plan("#dev", false);
    assert_eq!(world.refused(at_bob, bob.create(&taken)), Code::RoomExists);
    assert_eq!(world.refused(at_bob, alice.create(&alice.plan("#other", false))), Code::Usage);
    assert_eq!(world.refused(at_bob, find("#nothing")), Code::NoSuchRoom);

    let (carol, at_carol) = world.member("carol");
    assert!(matches!(world.ask(at_carol, find("#dev")), Ok(Reply::Room { invite: None, .. })));
    assert_eq!(world.refused(at_carol, bob.join(&plan, 9)), Code::Usage, "nobody joins for another");
    assert_eq!(world.refused(at_carol, carol.part(&plan, 2)), Code::NotMember);
    assert_eq!(world.ask(at_carol, carol.join(&plan, 3)), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_alice.0, "joined"), (at_bob.0, "joined")]);
    assert_eq!(world.ask(at_carol, carol.join(&plan, 3)), Ok(Reply::Done));
    assert_eq!(world.heard(), [], "no news");

    assert_eq!(world.ask(at_bob, bob.part(&plan, 5)), Ok(Reply::Done));
    assert_eq!(world.ask(at_bob, bob.part(&plan, 5)), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_alice.0, "parted"), (at_carol.0, "parted")]);
    assert_eq!(world.refused(at_bob, bob.join(&plan, 2)), Code::NotPermitted, "an old join");
    let Ok(Reply::Members { members, more: false }) =
        world.ask(at_carol, Request::Members { room: plan.id, after: None })
    else {
        panic!("members")
    };
    let told: Vec<_> = members.iter().map(|m| (m.user.as_str(), m.online, m.part.is_some())).collect();
    assert_eq!(told, [("alice", true, false), ("bob", true, true), ("carol", true, false)]);
    assert_eq!(world.ask(at_bob, bob.join(&plan, 6)), Ok(Reply::Done));
}

#[test]
fn a_private_room_is_hidden_until_its_owner_invites() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), (bob, at_bob)]) = world.room(true);
    let (carol, at_carol) = world.member("carol");
    let (_, at_dave) = world.member("dave");
    assert_eq!(world.refused(at_carol, find("#dev")), Code::NotInvited);
    assert_eq!(world.refused(at_carol, carol.join(&plan, 3)), Code::NotInvited);
    assert_eq!(world.refused(at_carol, Request::Members { room: plan.id, after: None }), Code::NotMember);
    assert_eq!(world.refused(at_carol, Request::Log { room: plan.id, from: 1 }), Code::NotInvited);
    let forged = bob.invitation(&plan, &carol, 0, 50_000);
    assert_eq!(world.refused(at_bob, Request::Invite { invite: forged.clone() }), Code::NotPermitted);
    assert_eq!(world.refused(at_carol, carol.join_with(&plan, 3, &forged)), Code::Usage);

    let invite = alice.invitation(&plan, &carol, 0, 50_000);
    assert_eq!(world.ask(at_alice, Request::Invite { invite: invite.clone() }), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_carol.0, "invited")]);
    assert_eq!(world.refused(at_dave, find("#dev")), Code::NotInvited);
    assert!(matches!(world.ask(at_carol, find("#dev")), Ok(Reply::Room { invite: Some(_), .. })));
    assert!(matches!(world.ask(at_carol, Request::Log { room: plan.id, from: 1 }), Ok(Reply::Log { .. })));
    assert_eq!(world.ask(at_carol, carol.join_with(&plan, 3, &invite)), Ok(Reply::Done));
    assert_eq!(world.ask(at_carol, Request::Invites), Ok(Reply::Invites { invites: List::default() }));

    world.ask(at_carol, carol.part(&plan, 4)).unwrap();
    assert_eq!(world.refused(at_carol, carol.join_with(&plan, 5, &invite)), Code::NotInvited, "it is used up");
    let newer = alice.invitation(&plan, &carol, 10, 50_000);
    assert_eq!(world.ask(at_carol, carol.join_with(&plan, 6, &newer)), Ok(Reply::Done), "never seen, but newer");
}

#[test]
fn an_invitation_ends_by_time_or_by_a_no() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), _]) = world.room(true);
    let (carol, at_carol) = world.member("carol");
    let invite = alice.invitation(&plan, &carol, 0, 50_000);
    world.ask(at_alice, Request::Invite { invite: invite.clone() }).unwrap();
    assert_eq!(world.ask(at_carol, Request::Decline { room: plan.id }), Ok(Reply::Done));
    assert_eq!(world.refused(at_carol, Request::Decline { room: plan.id }), Code::NotInvited);
    assert_eq!(world.refused(at_carol, carol.join_with(&plan, 3, &invite)), Code::NotInvited);
    let second = alice.invitation(&plan, &carol, 10, 50_000);
    world.ask(at_alice, Request::Invite { invite: second.clone() }).unwrap();
    world.seconds = 51;
    assert_eq!(world.refused(at_carol, carol.join_with(&plan, 3, &second)), Code::NotInvited);
    assert_eq!(world.refused(at_alice, Request::Invite { invite: second }), Code::Usage, "expired");
    let invite = alice.invitation(&plan, &person("zoe"), 0, 100_000);
    assert_eq!(world.refused(at_alice, Request::Invite { invite }), Code::NoSuchUser);
}

#[test]
fn invitations_are_for_private_rooms() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), _]) = world.room(false);
    let (carol, _) = world.member("carol");
    let invite = alice.invitation(&plan, &carol, 0, 50_000);
    let refusal = world.ask(at_alice, Request::Invite { invite }).unwrap_err();
    assert_eq!((refusal.code, refusal.text.as_str()), (Code::Usage, "#dev is public: anyone can /join it."));
}

#[test]
fn the_owner_sets_the_topic_and_the_log_grows_in_order() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), (bob, at_bob)]) = world.room(false);
    let first = topic(&alice, &plan, 1, NO_ENTRY, "lunch");
    let add = |entry: &Signed<LogEntry>| Request::AddEntry { entry: entry.clone() };
    assert_eq!(world.refused(at_bob, add(&topic(&bob, &plan, 1, NO_ENTRY, "mine"))), Code::NotPermitted);
    assert_eq!(world.ask(at_alice, add(&first)), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_bob.0, "entry")]);
    assert_eq!(world.ask(at_alice, add(&first)), Ok(Reply::Done), "its reply may have been lost");
    assert_eq!(world.heard(), []);
    assert_eq!(world.refused(at_alice, add(&topic(&alice, &plan, 1, NO_ENTRY, "other"))), Code::Usage);
    let second = topic(&alice, &plan, 2, EntryId(first.id()), "tea");
    assert_eq!(world.ask(at_alice, add(&second)), Ok(Reply::Done));
    let shown = world.ask(at_bob, Request::Rooms { pattern: None, after: None });
    let Ok(Reply::Rooms { rooms, more: false }) = shown else { panic!("rooms") };
    assert_eq!((rooms[0].topic.as_str(), rooms[0].members, rooms[0].joined), ("tea", 2, true));
    let log = Reply::Log { entries: List::cut(vec![first, second]), more: false };
    assert_eq!(world.ask(at_bob, Request::Log { room: plan.id, from: 1 }), Ok(log));
}

#[test]
fn who_was_removed_reads_why_and_nothing_after() {
    let mut world = World::new();
    let (plan, [(alice, at_alice), (bob, at_bob)]) = world.room(true);
    let (identity, user, cut, reason) = (bob.keys.identity(), bob.name, List::default(), Text::default());
    let act = Act::Remove(Removal { identity, user, cut, reason });
    let entry = LogEntry { room: plan.id, index: 1, previous: NO_ENTRY, at: NOON, act };
    let first = Signed::sign(&entry, alice.keys.identity_signer());
    for entry in [first.clone(), topic(&alice, &plan, 2, EntryId(first.id()), "without bob")] {
        assert!(world.ask(at_alice, Request::AddEntry { entry }).is_ok());
    }
    assert_eq!(world.heard(), [(at_bob.0, "entry")], "he is told of the first");
    let log = Reply::Log { entries: List::cut(vec![first]), more: false };
    assert_eq!(world.ask(at_bob, Request::Log { room: plan.id, from: 1 }), Ok(log));
}

#[test]
fn pages_of_rooms_follow_each_other() {
    let mut limits = settings().service;
    limits.rooms_per_account = 60;
    let mut world = World::with(&limits);
    let (alice, session) = world.member("alice");
    for number in 0..60 {
        let plan = alice.plan(&format!("#room-{number:02}"), number % 2 == 0);
        assert_eq!(world.ask(session, alice.create(&plan)), Ok(Reply::Done));
    }
    assert_eq!(world.refused(session, alice.create(&alice.plan("#one-more", false))), Code::NotPermitted);
    let list = |after: Option<&str>| Request::Rooms {
        pattern: Some(Text::cut("ROOM")),
        after: after.map(|name| RoomName::parse(name).unwrap()),
    };
    let Ok(Reply::Rooms { rooms, more: true }) = world.ask(session, list(None)) else { panic!("a full page") };
    assert_eq!((rooms.len(), rooms[49].name.as_str()), (50, "#room-49"));
    let Ok(Reply::Rooms { rooms, more: false }) = world.ask(session, list(Some("#room-49"))) else {
        panic!("the rest")
    };
    assert_eq!(rooms.len(), 10);
    let (_, at_bob) = world.member("bob");
    let Ok(Reply::Rooms { rooms, more: false }) = world.ask(at_bob, list(None)) else { panic!("public ones") };
    assert_eq!(rooms.len(), 30);
}

fn leave(to: &str, text: &str) -> Request {
    Request::PutMail { to: user(to), item: Blob::new(text.as_bytes().to_vec()).unwrap() }
}

fn watch(names: &[&str]) -> Request {
    Request::Watch { names: List::cut(names.iter().map(|name| user(name)).collect()) }
}

fn mail(world: &mut World, session: SessionId, after: u64) -> Vec<(u64, String)> {
    let Ok(Reply::Mail { items, more: false }) = world.ask(session, Request::Mail { after }) else { panic!("mail") };
    items.iter().map(|kept| (kept.id, String::from_utf8(kept.item.to_vec()).unwrap())).collect()
}

#[test]
fn mail_is_taken_from_those_who_share_a_conversation_and_kept_until_dropped() {
    let mut world = World::new();
    let (_, [(_, at_alice), (bob, at_bob)]) = world.room(false);
    let (_, at_carol) = world.member("carol");
    assert_eq!(world.ask(at_alice, leave("bob", "of the room")), Ok(Reply::Done));
    assert_eq!(world.heard(), [(at_bob.0, "mail")], "he is there after all");
    assert_eq!(world.refused(at_carol, leave("bob", "of nobody")), Code::NotPermitted);
    assert_eq!(world.refused(at_carol, leave("carol", "to myself")), Code::NotPermitted);
    assert_eq!(world.refused(at_carol, leave("dave", "to nobody")), Code::NoSuchUser);
    assert!(world.ask(at_carol, watch(&["bob"])).is_ok());
    assert_eq!(world.ask(at_carol, leave("bob", "of a conversation")), Ok(Reply::Done));
    let _ = world.service.close(world.now(), at_bob);
    world.news.clear();
    assert_eq!(world.ask(at_alice, leave("bob", "away")), Ok(Reply::Done));
    assert_eq!(world.heard(), [], "nobody is there to hear");
    let back = world.open(&bob);
    assert!(world.ask(back, Request::Resume { user: user("bob") }).is_ok());
    let kept = mail(&mut world, back, 0);
    let texts: Vec<&str> = kept.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["of the room", "of a conversation", "away"]);
    assert_eq!(mail(&mut world, back, kept[1].0), kept[2..]);
    let ids = List::cut(kept[..2].iter().map(|(id, _)| *id).collect());
    assert_eq!(world.ask(at_carol, Request::DropMail { ids: ids.clone() }), Ok(Reply::Done));
    assert_eq!(mail(&mut world, back, 0).len(), 3, "it was not hers to drop");
    assert_eq!(world.ask(back, Request::DropMail { ids }), Ok(Reply::Done));
    assert_eq!(mail(&mut world, back, 0), kept[2..]);
}

#[test]
fn a_mailbox_is_bounded_shared_and_swept() {
    let mut limits = settings().service;
    limits.mail.items = 4;
    let mut world = World::with(&limits);
    let [(_, at_alice), (_, at_bob), (_, at_carol)] = ["alice", "bob", "carol"].map(|name| world.member(name));
    for session in [at_alice, at_carol] {
        assert!(world.ask(session, watch(&["bob"])).is_ok());
        assert_eq!(world.ask(session, leave("bob", "one")), Ok(Reply::Done));
    }
    assert_eq!(world.ask(at_alice, leave("bob", "two")), Ok(Reply::Done));
    assert_eq!(world.refused(at_alice, leave("bob", "three")), Code::TooLarge);
    assert_eq!(world.ask(at_carol, leave("bob", "two")), Ok(Reply::Done), "half of it is nobody else's");
    let refusal = world.ask(at_carol, leave("bob", "three")).unwrap_err();
    assert!(refusal.text.as_str().starts_with("The mailbox of bob is full."), "{refusal:?}");
    world.seconds += 14 * 24 * 3600 + 1;
    assert_eq!(mail(&mut world, at_bob, 0), [], "expired");
    assert_eq!(world.ask(at_carol, leave("bob", "four")), Ok(Reply::Done));
    assert_eq!(mail(&mut world, at_bob, 0).len(), 1);
}

#[test]
fn a_prekey_is_its_owners_and_is_handed_out() {
    let mut world = World::new();
    let [(alice, at_alice), (bob, at_bob)] = ["alice", "bob"].map(|name| world.member(name));
    let prekey = |signer: &Person, name: &str| {
        let (user, key) = (user(name), MailKey([7; 32]));
        let prekey = Prekey { realm: support::realm(), user, number: 1, key, at: NOON, expires: NOON };
        Signed::sign(&prekey, signer.keys.identity_signer())
    };
    let put = |prekey: &Signed<Prekey>| Request::PutPrekey { prekey: prekey.clone() };
    assert_eq!(world.refused(at_bob, put(&prekey(&alice, "bob"))), Code::Usage);
    assert_eq!(world.refused(at_bob, put(&prekey(&bob, "alice"))), Code::Usage);
    let good = prekey(&bob, "bob");
    assert_eq!(world.ask(at_bob, put(&good)), Ok(Reply::Done));
    let Ok(Reply::Person(record)) = world.ask(at_alice, Request::Lookup { user: user("bob") }) else { panic!("bob") };
    assert_eq!(record.prekey, Some(good));
}
