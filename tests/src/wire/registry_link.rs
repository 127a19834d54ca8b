//! A scripted person's connection to a registry.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use common::ids::{RealmId, RootKey};
use common::limits::HANDSHAKE_BYTES_MAX;
use common::message::registry::{FromRegistry, News, PersonRecord, Refusal, Reply, Request, ToRegistry};
use common::names::UserName;
use common::secure::certificate::Credentials;
use common::secure::handshake::{Handshake, PeerGreeting, RegistryProof};
use common::wire::bounded::Text;
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{ReadError, read_frame, write_all};
use common::wire::{PREAMBLE, codec};

use super::person::Person;
use super::raw::connect_from;
use super::sealed::{Late, Sealed};
use crate::programs::DEADLINE;

/// A connection on which only the first message was sent: many can be under way at once.
pub struct Knock {
    stream: TcpStream,
    handshake: Handshake,
}

impl Knock {
    /// Connects from an address of this machine and says the first.
    pub fn from(source: Ipv4Addr, registry: &str, person: &Person) -> io::Result<Self> {
        Self::over(connect_from(source, registry)?, person)
    }

    fn over(stream: TcpStream, person: &Person) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut handshake = Handshake::registry_dialer(person.keys.device_secret());
        let mut opening = PREAMBLE.to_vec();
        write_frame(&handshake.write(&[]).expect("the first message"), &mut opening);
        write_all(&stream, &opening, Instant::now() + DEADLINE).map_err(failed)?;
        Ok(Self { stream, handshake })
    }

    /// Waits for the registry's message and ends the handshake.
    pub fn enter(self) -> io::Result<RegistryLink> {
        let Self { stream, mut handshake } = self;
        let deadline = Instant::now() + DEADLINE;
        let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
        let second = read_frame(&stream, &mut decoder, deadline).map_err(failed)?;
        let proof = handshake.read(&second).expect("the second message");
        let proof: RegistryProof = codec::decode(&proof).expect("the registry's proof");
        let greeting = PeerGreeting { version: Text::cut("\u{1b}]0;a test\u{7}") };
        let mut third = Vec::new();
        write_frame(&handshake.write(&codec::encode(&greeting)).expect("the third message"), &mut third);
        write_all(&stream, &third, deadline).map_err(failed)?;
        let sealed = Sealed::new(stream, handshake, decoder);
        Ok(RegistryLink { sealed, root: proof.root, credentials: None, news: Vec::new(), number: 0 })
    }
}

pub struct RegistryLink {
    pub sealed: Sealed<FromRegistry>,
    pub root: RootKey,
    /// After signing up: what this person shows to others.
    pub credentials: Option<Credentials>,
    pub news: Vec<News>,
    number: u32,
}

impl RegistryLink {
    /// Connects and shakes hands, no more.
    pub fn connect(registry: &str, person: &Person) -> Self {
        Self::try_connect(registry, person).expect("the registry listens and answers")
    }

    /// The same where the registry may not be there.
    pub fn try_connect(registry: &str, person: &Person) -> io::Result<Self> {
        Self::over(TcpStream::connect(registry)?, person)
    }

    /// The same from another address of this machine: everything below 127.0.0.0/8 is.
    pub fn connect_from(source: Ipv4Addr, registry: &str, person: &Person) -> Self {
        Self::try_connect_from(source, registry, person).expect("the registry listens and answers")
    }

    /// The same where it may not be let in.
    pub fn try_connect_from(source: Ipv4Addr, registry: &str, person: &Person) -> io::Result<Self> {
        Self::over(connect_from(source, registry)?, person)
    }

    fn over(stream: TcpStream, person: &Person) -> io::Result<Self> {
        Knock::over(stream, person)?.enter()
    }

    /// A new account, signed in.
    pub fn sign_up(registry: &str, person: &Person) -> Self {
        let mut link = Self::connect(registry, person);
        let statement = person.statement(link.realm());
        let reply = link.ask(Request::SignUp { auth: person.auth, statement: statement.clone(), token: None });
        let Ok(Reply::SignedIn { certificate, .. }) = reply else { panic!("{} signs up: {reply:?}", person.name) };
        link.credentials = Some(Credentials { statement, certificate });
        link
    }

    pub fn realm(&self) -> RealmId {
        RealmId::of(&self.root)
    }

    /// Asks and waits for the answer; news on the way are kept.
    pub fn ask(&mut self, request: Request) -> Result<Reply, Refusal> {
        self.try_ask(request).expect("the registry answers in time")
    }

    /// The same where the registry may hang up instead.
    pub fn try_ask(&mut self, request: Request) -> io::Result<Result<Reply, Refusal>> {
        self.send(request);
        self.answer()
    }

    /// Asks, and does not wait.
    pub fn send(&mut self, request: Request) {
        self.number += 1;
        self.sealed.send(&ToRegistry { id: self.number, request });
    }

    /// Waits for the answer to what was asked last.
    pub fn answer(&mut self) -> io::Result<Result<Reply, Refusal>> {
        loop {
            match self.sealed.next(DEADLINE).map_err(|Late| io::ErrorKind::TimedOut)? {
                Some(FromRegistry::Reply { id, reply }) if id == self.number => return Ok(Ok(*reply)),
                Some(FromRegistry::Refused { id, refusal }) if id == self.number => return Ok(Err(refusal)),
                Some(FromRegistry::News(news)) => self.news.push(*news),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                other => panic!("an answer to request {} was awaited, not {other:?}", self.number),
            }
        }
    }

    /// The next news: of those that came with answers, or waited for.
    pub fn next_news(&mut self) -> Result<News, Late> {
        if !self.news.is_empty() {
            return Ok(self.news.remove(0));
        }
        match self.sealed.next(DEADLINE)? {
            Some(FromRegistry::News(news)) => Ok(*news),
            other => panic!("news was awaited, not {other:?}"),
        }
    }

    /// What the registry tells of somebody.
    pub fn lookup(&mut self, name: &str) -> PersonRecord {
        let user = UserName::parse(name).expect("a good name");
        match self.ask(Request::Lookup { user }) {
            Ok(Reply::Person(record)) => *record,
            other => panic!("{name} was looked up: {other:?}"),
        }
    }
}

fn failed(error: ReadError) -> io::Error {
    match error {
        ReadError::Closed => io::ErrorKind::UnexpectedEof.into(),
        ReadError::Late => io::ErrorKind::TimedOut.into(),
        ReadError::Length(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        ReadError::Io(error) => error,
    }
}
