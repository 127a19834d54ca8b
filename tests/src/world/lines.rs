//! The registry, and everybody's connection to it: the real service with a store in memory, and what its server and
//! the peers' link to it do around it. Requests and answers keep their order on a connection; it may break at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::ids::RootKey;
use common::limits::{MAILBOX_DAYS, MAILBOX_ITEMS};
use common::message::registry::{FromRegistry, News, PresenceChange, Refusal, Reply, ToRegistry};
use common::names::{RoomName, UserName};
use common::secure::identity::DeviceSecret;
use common::time::{Monotonic, UnixMillis};
use common::wire::bounded::List;
use peer::ports::{Input, RegistryInput, RegistryOutput};
use registry::accounts::AccountLimits;
use registry::service::{Answer, Limits, MailLimits, Notice, Service, SessionId, SignUps, Step, ThrottleLimits};
use registry::store::folder::RealmKeys;
use registry::store::memory::MemoryStore;
use registry::store::{Mailboxes, Members, Page, Rooms};

use super::faults::Place;
use super::host::{Host, Who};
use super::random::Random;
use super::{Happening, World};

pub(super) struct RegistryHost {
    /// `None` while it is down.
    service: Option<Service>,
    pub(super) store: Arc<MemoryStore>,
    /// What was stored at some time.
    pub(super) backup: Option<MemoryStore>,
    keys: RealmKeys,
    sessions: BTreeMap<u64, Session>,
    next_session: u64,
    mailbox_items: u32,
    /// Whom it keeps from hearing of each other.
    pub(super) hidden: BTreeSet<(Who, Who)>,
}

/// One peer's connection, as both ends know it.
#[derive(Debug)]
struct Session {
    who: Who,
    life: u64,
    /// Arrival of the last thing under way, either way.
    to_registry: Monotonic,
    to_peer: Monotonic,
    /// The registry ended it, or the peer did.
    closed: bool,
}

/// A peer's wish for a connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    wanted: Option<DeviceSecret>,
    /// Connected, or about to be told that this is over.
    session: Option<u64>,
    attempt: u64,
    failures: u32,
}

impl std::fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryHost").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl RegistryHost {
    pub(super) fn new(random: &mut Random) -> Self {
        let (root, link) = (random.bytes(), random.bytes());
        let seeds: Vec<u8> = root.into_iter().chain(link).collect();
        let keys = RealmKeys::from_seeds(seeds[..].try_into().expect("twice 32 bytes"));
        let (store, sessions) = (Arc::new(MemoryStore::default()), BTreeMap::new());
        let (service, mailbox_items) = (Some(service(&store, &keys, MAILBOX_ITEMS)), MAILBOX_ITEMS);
        let hidden = BTreeSet::new();
        Self { service, store, backup: None, keys, sessions, next_session: 0, mailbox_items, hidden }
    }

    pub(super) fn root_key(&self) -> RootKey {
        self.keys.root_key()
    }
}

impl World {
    /// The registry dies and comes back after a while.
    pub fn restart_registry(&mut self, after: Duration) {
        self.journal.note(self.now, || "the registry DIES".to_owned());
        self.registry.service = None;
        let sessions: Vec<u64> = self.registry.sessions.keys().copied().collect();
        for session in sessions {
            if let Some(session) = self.registry.sessions.get_mut(&session) {
                session.closed = true;
            }
            let latency = self.latency();
            self.plan(latency, Happening::LineDown { session });
        }
        self.plan(after, Happening::RegistryStarts);
    }

    /// The registry comes back with none of its accounts and rooms, but the same keys.
    pub fn wipe_registry(&mut self) {
        self.registry.store = Arc::new(MemoryStore::default());
        self.restart_registry(Duration::from_secs(1));
    }

    /// The registry loses what people left with each other there.
    pub fn lose_mail(&mut self) {
        self.journal.note(self.now, || "the registry LOSES all mail".to_owned());
        self.registry.store.sweep_mail(UnixMillis(u64::MAX)).expect("memory does not fail");
    }

    /// Items that lie in somebody's mailbox.
    pub fn mail_left(&self) -> usize {
        let all = Page { count_max: usize::MAX, bytes_max: usize::MAX };
        let of =
            |host: &Host| self.registry.store.mail(&host.name, 0, UnixMillis(0), all).map_or(0, |items| items.len());
        self.hosts.iter().map(of).sum()
    }

    /// From its next start on, a mailbox of the registry holds this many items.
    pub fn limit_mailboxes(&mut self, items: u32) {
        self.registry.mailbox_items = items;
        self.restart_registry(Duration::from_secs(1));
    }

    /// One connection to the registry breaks; both ends notice in their own time.
    pub fn cut_line(&mut self, who: Who) {
        let Some(session) = self.hosts[who.0].line.session else { return };
        let name = &self.hosts[who.0].name;
        self.journal.note(self.now, || format!("CUT between {name} and the registry"));
        if let Some(session) = self.registry.sessions.get_mut(&session) {
            session.closed = true;
        }
        let (from, to) = self.weather.notice;
        let notice = [(); 2].map(|()| self.random.between(from, to));
        self.plan(notice[0], Happening::LineDown { session });
        self.plan(notice[1], Happening::SessionLost { session });
    }

    pub fn registry_runs(&self) -> bool {
        self.registry.service.is_some()
    }

    /// A room's conversation, by what the registry has stored.
    pub fn room_id(&self, room: &RoomName) -> Option<common::ids::ConversationId> {
        self.registry.store.room_named(room).ok().flatten().map(|kept| kept.id.into())
    }

    /// Who is in a room by what the registry has stored.
    pub fn listed(&self, room: &RoomName) -> Vec<String> {
        let kept = self.registry.store.room_named(room).ok().flatten();
        let present = kept.and_then(|kept| self.registry.store.present(&kept.id).ok()).unwrap_or_default();
        present.iter().map(UserName::to_string).collect()
    }

    pub(super) fn start_registry(&mut self) {
        if self.registry.service.is_none() {
            self.journal.note(self.now, || "the registry starts".to_owned());
            let RegistryHost { store, keys, mailbox_items, .. } = &self.registry;
            self.registry.service = Some(service(store, keys, *mailbox_items));
        }
    }

    pub(super) fn registry_output(&mut self, who: Who, output: RegistryOutput) {
        let (latency, life) = (self.latency(), self.hosts[who.0].life);
        match output {
            RegistryOutput::Probe => self.plan(latency * 4, Happening::Probed { who, life }),
            RegistryOutput::Connect { device, pinned: _ } => {
                self.hang_up(who, latency);
                let line = &mut self.hosts[who.0].line;
                (line.wanted, line.failures) = (Some(*device), 0);
                self.try_line(who, latency * 4);
            }
            RegistryOutput::Send(message) => {
                let Some(number) = self.hosts[who.0].line.session else { return };
                let Some(session) = self.registry.sessions.get_mut(&number) else { return };
                session.to_registry = session.to_registry.max(self.now.plus(latency));
                let at = session.to_registry;
                self.plan_at(at, Happening::LineAsked { session: number, message: Box::new(message) });
            }
            RegistryOutput::Reconnect => {
                self.hang_up(who, latency);
                self.hosts[who.0].line.failures = 0;
                self.try_line(who, latency * 4);
            }
            RegistryOutput::Disconnect => {
                self.hosts[who.0].line.wanted = None;
                self.hang_up(who, latency);
            }
        }
    }

    pub(super) fn probed(&mut self, who: Who, life: u64) {
        let service = self.registry.service.as_ref().filter(|_| !self.are_apart(Place::Registry, Place::Person(who)));
        let input = match service {
            Some(_) => RegistryInput::RealmSeen { root: self.registry.root_key() },
            None => RegistryInput::Down { reason: "nobody listens there".to_owned() },
        };
        self.give(who, life, Input::Registry(input));
    }

    pub(super) fn line_tried(&mut self, who: Who, life: u64, attempt: u64) {
        let line = &mut self.hosts[who.0].line;
        if line.attempt != attempt || line.session.is_some() || self.hosts[who.0].life != life {
            return;
        }
        let Some(device) = self.hosts[who.0].line.wanted.as_ref().map(DeviceSecret::public) else { return };
        let are_apart = self.are_apart(Place::Registry, Place::Person(who));
        let Some(service) = self.registry.service.as_ref().filter(|_| !are_apart) else {
            let line = &mut self.hosts[who.0].line;
            line.failures += 1;
            let pause = Duration::from_secs(1 << line.failures.min(3)).min(RECONNECT_PAUSE_MAX);
            let jitter = self.random.between(Duration::ZERO, pause / 2);
            self.try_line(who, pause + jitter);
            let reason = "nobody listens there".to_owned();
            return self.give(who, life, Input::Registry(RegistryInput::Down { reason }));
        };
        let number = self.registry.next_session;
        self.registry.next_session += 1;
        service.open(SessionId(number), device, Host::address(who));
        let session = Session { who, life, to_registry: self.now, to_peer: self.now, closed: false };
        self.registry.sessions.insert(number, session);
        let line = &mut self.hosts[who.0].line;
        (line.session, line.failures) = (Some(number), 0);
        let local = Host::address(who);
        self.give(who, life, Input::Registry(RegistryInput::Up { local, interfaces: vec![local.ip()] }));
    }

    pub(super) fn line_asked(&mut self, session: u64, ToRegistry { id, request }: ToRegistry) {
        let now = self.clocks();
        let open = self.registry.sessions.get(&session).is_some_and(|session| !session.closed);
        let Some(service) = self.registry.service.as_ref().filter(|_| open) else { return };
        let answer = match service.handle(now, SessionId(session), request) {
            Step::Answer(answer) => answer,
            Step::Hash(job) => service.finish(now, SessionId(session), job.run(BCRYPT_COST, [7; 16])),
        };
        let Answer { reply, news, close } = answer;
        self.answer(session, envelope(id, reply));
        for (to, news) in news.into_iter().flat_map(each) {
            match news {
                News::Presence { changes } => {
                    for change in changes {
                        let (user, wait) = (change.user.clone(), self.latency() + PRESENCE_WAITS);
                        self.plan(wait, Happening::Presence { session: to.0, user });
                    }
                }
                news => self.answer(to.0, FromRegistry::News(Box::new(news))),
            }
        }
        for SessionId(closed) in close {
            if let Some(session) = self.registry.sessions.get_mut(&closed) {
                session.closed = true;
                let at = session.to_peer;
                self.plan_at(at, Happening::LineDown { session: closed });
            }
        }
    }

    /// Presence is told late, and as it is by then.
    pub(super) fn presence(&mut self, session: u64, user: UserName) {
        let Some(service) = &self.registry.service else { return };
        let online = service.is_online(&user);
        let changes = List::cut(vec![PresenceChange { user, online }]);
        self.answer(session, FromRegistry::News(Box::new(News::Presence { changes })));
    }

    pub(super) fn line_answered(&mut self, session: u64, messages: Vec<FromRegistry>) {
        let Some((who, life)) = self.peer_of(session) else { return };
        self.give(who, life, Input::Registry(RegistryInput::Received(messages)));
    }

    /// The peer notices that its connection is over.
    pub(super) fn line_down(&mut self, session: u64) {
        let Some((who, life)) = self.peer_of(session) else { return };
        self.hosts[who.0].line.session = None;
        let pause = self.random.between(Duration::ZERO, Duration::from_secs(1));
        self.try_line(who, pause);
        let reason = "the registry closed the connection".to_owned();
        self.give(who, life, Input::Registry(RegistryInput::Down { reason }));
    }

    /// The registry notices that a peer is gone.
    pub(super) fn session_lost(&mut self, session: u64) {
        let now = self.clocks();
        let Some(service) = &self.registry.service else { return };
        for (to, news) in service.close(now, SessionId(session)).into_iter().flat_map(each) {
            if let News::Presence { changes } = news {
                for change in changes {
                    let wait = self.latency() + PRESENCE_WAITS;
                    self.plan(wait, Happening::Presence { session: to.0, user: change.user.clone() });
                }
            }
        }
    }

    /// A program is gone; the registry may take its time to notice.
    pub(super) fn drop_line(&mut self, who: Who) {
        let (from, to) = self.weather.notice;
        let notice = self.random.between(from, to);
        self.hang_up(who, notice);
        self.hosts[who.0].line = Line::default();
    }

    fn hang_up(&mut self, who: Who, notice: Duration) {
        let Some(number) = self.hosts[who.0].line.session.take() else { return };
        let Some(session) = self.registry.sessions.get_mut(&number) else { return };
        session.closed |= self.weather.resets;
        // What was sent before still arrives.
        let at = self.now.plus(notice).max(session.to_registry);
        self.plan_at(at, Happening::SessionLost { session: number });
    }

    fn try_line(&mut self, who: Who, after: Duration) {
        let host = &mut self.hosts[who.0];
        host.line.attempt += 1;
        let (life, attempt) = (host.life, host.line.attempt);
        self.plan(after, Happening::LineTried { who, life, attempt });
    }

    fn answer(&mut self, number: u64, message: FromRegistry) {
        let latency = self.latency();
        let reader = self.registry.sessions.get(&number).map(|session| session.who);
        let Some(message) = reader.and_then(|who| self.without_hidden(who, message)) else { return };
        let Some(session) = self.registry.sessions.get_mut(&number).filter(|session| !session.closed) else { return };
        session.to_peer = session.to_peer.max(self.now.plus(latency));
        let at = session.to_peer;
        self.plan_at(at, Happening::LineAnswered { session: number, messages: vec![message] });
    }

    // Whoever still takes this connection for theirs.
    fn peer_of(&self, number: u64) -> Option<(Who, u64)> {
        let session = self.registry.sessions.get(&number)?;
        let host = &self.hosts[session.who.0];
        let holds = host.life == session.life && host.line.session == Some(number);
        holds.then_some((session.who, session.life))
    }
}

fn each(notice: Notice) -> impl Iterator<Item = (SessionId, News)> {
    notice.to.into_iter().map(move |to| (to, notice.news.clone()))
}

fn envelope(id: u32, reply: Result<Reply, Refusal>) -> FromRegistry {
    match reply {
        Ok(reply) => FromRegistry::Reply { id, reply: Box::new(reply) },
        Err(refusal) => FromRegistry::Refused { id, refusal },
    }
}

/// The registry's own service, with limits that leave everybody alone.
pub(crate) fn service(store: &Arc<MemoryStore>, keys: &RealmKeys, mailbox_items: u32) -> Service {
    let accounts = AccountLimits {
        sign_ups: SignUps::Open,
        throttle: ThrottleLimits {
            password_failures: 5,
            password_failures_hour: 1000,
            password_failures_per_source_hour: 1000,
            sign_ups_per_source_hour: 1000,
            sign_ups_hour: 1000,
            invites_per_owner_hour: 1000,
            invites_to_one_hour: 1000,
        },
    };
    let mail = MailLimits { items: mailbox_items, items_from_sender: 100_000, days: MAILBOX_DAYS };
    let limits = Limits { accounts, rooms_per_account: 100, mail };
    Service::new(Arc::<MemoryStore>::clone(store), keys.clone(), &limits)
}

/// The cheapest that bcrypt has.
const BCRYPT_COST: u32 = 4;
/// Couriers hold presence back for a moment.
const PRESENCE_WAITS: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(15);
