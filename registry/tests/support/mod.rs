//! People for the registry's tests: their keys, what they sign, and a line to a running registry.

#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(unreachable_pub, reason = "the same")]
#![allow(clippy::unwrap_used, reason = "this is a test, in a function without the attribute")]
#![allow(clippy::disallowed_methods, reason = "the far ends of the sockets under test are opened here")]

pub mod running;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::{AuthKey, ChainId, RealmId, RoomId};
use common::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use common::message::registry::{Code, FromRegistry, News, Refusal, Reply, Request, ToRegistry};
use common::message::room::{Genesis, History, Invite};
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::secure::handshake::{Handshake, PeerGreeting, RegistryProof};
use common::secure::identity::{KEYS_BYTES, Keys};
use common::secure::seal::{Opener, Sealer};
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::{List, Text};
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::{PREAMBLE, batch, codec, stream};
use registry::config::Config;
use registry::server::{Server, Settings};
use registry::service::{Notice, SessionId};
use registry::store::folder::{RealmKeys, SEEDS_BYTES};
use registry::store::memory::MemoryStore;

pub struct Person {
    pub name: UserName,
    pub keys: Keys,
    pub realm: RealmId,
}

pub fn person(name: &str) -> Person {
    let mut seed = [0; KEYS_BYTES];
    let text = name.bytes().cycle().zip(0u8..);
    seed.iter_mut().zip(text).for_each(|(slot, (byte, number))| *slot = byte ^ number.wrapping_mul(37));
    Person { name: user(name), keys: Keys::from_seed(&Secret::new(seed)), realm: realm() }
}

pub fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub fn realm_keys() -> RealmKeys {
    RealmKeys::from_seeds(&[7; SEEDS_BYTES])
}

pub fn realm() -> RealmId {
    realm_keys().realm()
}

/// Far enough from 1970 that nothing underflows.
pub const NOON: UnixMillis = UnixMillis(1_800_000_000_000);

/// News for each session it is for.
pub fn each(notices: Vec<Notice>) -> impl Iterator<Item = (SessionId, News)> {
    notices.into_iter().flat_map(|Notice { to, news }| to.into_iter().map(move |session| (session, news.clone())))
}

/// A room in the making: what its owner signed.
pub struct RoomPlan {
    pub id: RoomId,
    pub genesis: Signed<Genesis>,
}

impl Person {
    /// The same person at another registry.
    pub fn of(self, realm: RealmId) -> Self {
        Self { realm, ..self }
    }

    pub fn auth(&self, password: u8) -> AuthKey {
        let mut auth = AuthKey([password; 32]);
        auth.0[0] = self.name.as_str().as_bytes()[0];
        auth
    }

    pub fn sign_up(&self) -> Request {
        let statement = self.keys.statement(self.realm, self.name.clone());
        Request::SignUp { auth: self.auth(1), statement, token: None }
    }

    pub fn sign_in(&self, password: u8) -> Request {
        Request::SignIn { auth: self.auth(password), statement: self.keys.statement(self.realm, self.name.clone()) }
    }

    pub fn resume(&self) -> Request {
        Request::Resume { user: self.name.clone() }
    }

    pub fn plan(&self, name: &str, private: bool) -> RoomPlan {
        let genesis = Genesis {
            realm: self.realm,
            name: RoomName::parse(name).unwrap(),
            owner: self.keys.identity(),
            owner_name: self.name.clone(),
            private,
            history: History::All,
            nonce: ChainId([3; 16]),
            at: NOON,
            rotations: List::default(),
        };
        let genesis = Signed::sign(&genesis, self.keys.identity_signer());
        RoomPlan { id: RoomId(genesis.id()), genesis }
    }

    pub fn create(&self, plan: &RoomPlan) -> Request {
        Request::CreateRoom { genesis: Box::new(plan.genesis.clone()), join: self.join_event(plan, 1, None) }
    }

    pub fn join(&self, plan: &RoomPlan, lamport: u64) -> Request {
        Request::JoinRoom { join: self.join_event(plan, lamport, None) }
    }

    pub fn join_with(&self, plan: &RoomPlan, lamport: u64, invite: &Signed<Invite>) -> Request {
        Request::JoinRoom { join: self.join_event(plan, lamport, Some(invite.clone())) }
    }

    pub fn part(&self, plan: &RoomPlan, lamport: u64) -> Request {
        Request::PartRoom { part: self.event(plan, lamport, &Content::Part("off to lunch".into())) }
    }

    pub fn invitation(&self, plan: &RoomPlan, guest: &Person, at: u64, expires: u64) -> Signed<Invite> {
        let at = UnixMillis(NOON.0 + at);
        let invite = Invite {
            room: plan.id,
            invitee: guest.keys.identity(),
            head: 0,
            at,
            expires: UnixMillis(NOON.0 + expires),
        };
        Signed::sign(&invite, self.keys.identity_signer())
    }

    pub fn join_event(&self, plan: &RoomPlan, lamport: u64, invite: Option<Signed<Invite>>) -> WireEvent {
        let statement = self.keys.statement(self.realm, self.name.clone());
        self.event(plan, lamport, &Content::Join(Box::new(Join { statement, invite })))
    }

    fn event(&self, plan: &RoomPlan, lamport: u64, content: &Content) -> WireEvent {
        let (kind, body) = content.encode().unwrap();
        let event = Event {
            conversation: plan.id.into(),
            author: self.keys.identity(),
            chain: ChainId([1; 16]),
            number: lamport,
            previous: NO_EVENT,
            parents: List::default(),
            head: 0,
            lamport,
            at: UnixMillis(NOON.0 + lamport),
            kind,
            body,
        };
        event.sign(self.keys.event_signer())
    }
}

/// Quick passwords, and doors wide enough for every test on one address.
pub fn settings() -> Settings {
    let mut settings = Config::default().settings;
    settings.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    settings.passwords.bcrypt_cost = 4;
    settings.service.accounts.throttle.sign_ups_per_source_hour = 10_000;
    settings
}

pub fn start(settings: &Settings) -> Server {
    Server::start(settings, &realm_keys(), Arc::new(MemoryStore::default())).unwrap()
}

/// A signed-in or not yet signed-in connection of somebody.
pub struct Line {
    pub socket: TcpStream,
    decoder: FrameDecoder,
    sealer: Sealer,
    opener: Opener,
    next_id: u32,
    // Messages of a frame that were not asked for yet.
    waiting: VecDeque<FromRegistry>,
    /// News that came while something else was awaited.
    pub news: Vec<News>,
}

/// More than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn connect(server: &Server) -> TcpStream {
    connect_to(server.address())
}

fn connect_to(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Shakes hands, and checks that the registry is who it should be.
pub fn dial(server: &Server, person: &Person) -> Line {
    dial_at(server.address(), person)
}

pub fn dial_at(address: SocketAddr, person: &Person) -> Line {
    let socket = connect_to(address);
    let deadline = Instant::now() + PATIENCE;
    let mut handshake = Handshake::registry_dialer(person.keys.device_secret());
    let mut decoder = FrameDecoder::new(common::limits::FRAME_BYTES_MAX);
    let mut hello = PREAMBLE.to_vec();
    write_frame(&handshake.write(&[]).unwrap(), &mut hello);
    stream::write_all(&socket, &hello, deadline).unwrap();
    let answer = stream::read_frame(&socket, &mut decoder, deadline).unwrap();
    let proof: RegistryProof = codec::decode(&handshake.read(&answer).unwrap()).unwrap();
    assert_eq!(proof.verify(handshake.remote().unwrap()), Ok(person.realm));
    let greeting = codec::encode(&PeerGreeting { version: Text::cut("test") });
    let mut third = Vec::new();
    write_frame(&handshake.write(&greeting).unwrap(), &mut third);
    stream::write_all(&socket, &third, deadline).unwrap();
    let (sealer, opener) = handshake.finish().unwrap();
    Line { socket, decoder, sealer, opener, next_id: 1, waiting: VecDeque::new(), news: Vec::new() }
}

pub fn signed_up(server: &Server, person: &Person) -> Line {
    let mut line = dial(server, person);
    assert!(matches!(line.ask(person.sign_up()), Ok(Reply::SignedIn { .. })));
    line
}

impl Line {
    /// Sends one request and waits for its answer; news on the way is kept.
    pub fn ask(&mut self, request: Request) -> Result<Reply, Refusal> {
        let id = self.send(&[request]);
        loop {
            match self.next().expect("the registry closed the line") {
                FromRegistry::Reply { id: of, reply } if of == id => return Ok(*reply),
                FromRegistry::Refused { id: of, refusal } if of == id => return Err(refusal),
                FromRegistry::News(news) => self.news.push(*news),
                other => panic!("an answer nobody asked for: {other:?}"),
            }
        }
    }

    pub fn refused(&mut self, request: Request) -> Code {
        self.ask(request).expect_err("this should have been refused").code
    }

    /// Sends requests as one frame; the number of the last.
    pub fn send(&mut self, requests: &[Request]) -> u32 {
        let mut batch = batch::Batch::default();
        for request in requests {
            let message = ToRegistry { id: self.next_id, request: request.clone() };
            assert!(batch.push_encoded(&codec::encode(&message)));
            self.next_id += 1;
        }
        let (mut plaintext, mut frame) = (Vec::new(), Vec::new());
        batch.take_padded(&mut plaintext);
        self.sealer.seal(&plaintext, &mut frame);
        stream::write_all(&self.socket, &frame, Instant::now() + PATIENCE).unwrap();
        self.next_id - 1
    }

    /// Sends requests as one frame, unless the registry does not take them any more.
    pub fn try_send(&mut self, requests: &[Request]) -> bool {
        let mut batch = batch::Batch::default();
        for request in requests {
            assert!(batch.push_encoded(&codec::encode(&ToRegistry { id: 0, request: request.clone() })));
        }
        let (mut plaintext, mut frame) = (Vec::new(), Vec::new());
        batch.take_padded(&mut plaintext);
        self.sealer.seal(&plaintext, &mut frame);
        stream::write_all(&self.socket, &frame, Instant::now() + PATIENCE).is_ok()
    }

    /// Sends a sealed frame of anything.
    pub fn send_sealed(&mut self, plaintext: &[u8]) {
        let mut frame = Vec::new();
        self.sealer.seal(plaintext, &mut frame);
        stream::write_all(&self.socket, &frame, Instant::now() + PATIENCE).unwrap();
    }

    /// The next piece of news.
    pub fn hear(&mut self) -> News {
        if !self.news.is_empty() {
            return self.news.remove(0);
        }
        match self.next().expect("the registry closed the line") {
            FromRegistry::News(news) => *news,
            other => panic!("news was awaited: {other:?}"),
        }
    }

    /// The next message, or `None` once the registry has closed.
    pub fn next(&mut self) -> Option<FromRegistry> {
        while self.waiting.is_empty() {
            let deadline = Instant::now() + PATIENCE;
            let frame = match stream::read_frame(&self.socket, &mut self.decoder, deadline) {
                Ok(frame) => frame,
                Err(stream::ReadError::Closed | stream::ReadError::Io(_)) => return None,
                Err(error) => panic!("{error}"),
            };
            self.waiting.extend(batch::read(self.opener.open(&frame).unwrap()).unwrap());
        }
        self.waiting.pop_front()
    }
}

/// Waits until the registry closes; how long that took.
pub fn closed_after(socket: &TcpStream, since: Instant) -> Duration {
    let mut decoder = FrameDecoder::new(common::limits::FRAME_BYTES_MAX);
    loop {
        match stream::fill(&mut &*socket, &mut decoder, Instant::now() + PATIENCE) {
            Ok(()) => {}
            Err(stream::ReadError::Late) => panic!("the registry did not close"),
            Err(_) => return since.elapsed(),
        }
    }
}
