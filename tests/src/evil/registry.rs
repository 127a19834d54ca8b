//! A registry that lies: the real service behind a socket, with the realm's real keys, whose every answer passes
//! through a script before it is sealed. It hears requests in clear, as an operator does, and says anything unasked.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::ids::RealmId;
use common::limits::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, MAILBOX_ITEMS, REGISTRY_DEAD_AFTER};
use common::message::registry::{FromRegistry, News, PersonRecord, Reply, Request, ToRegistry};
use common::secure::certificate::{self, Credentials};
use common::secure::handshake::{Handshake, RegistryProof};
use common::secure::seal::Sealer;
use common::thread::{Handle, spawn};
use common::time::{Monotonic, Now, UnixMillis};
use common::wire::bounded::List;
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{read_frame, read_preamble, write_all};
use common::wire::{PREAMBLE, batch, codec};
use registry::service::{Answer, Notice, Service, SessionId, Step};
use registry::store::folder::{RealmKeys, SEEDS_BYTES};
use registry::store::memory::MemoryStore;

use crate::programs::{DEADLINE, Transcript};
use crate::wire::Person;
use crate::world;

/// Listens until dropped.
pub struct EvilRegistry {
    pub transcript: Transcript,
    pub keys: RealmKeys,
    address: String,
    inside: Arc<Inside>,
    // Ends when it is told to and somebody connects once more.
    acceptor: Option<Handle>,
}

/// What a script is told of the message that it may bend.
pub struct About<'a> {
    /// Whom it is for, once they said who they are.
    pub user: &'a str,
    /// What it answers; `None` for news.
    pub request: Option<&'a Request>,
}

type Script = Box<dyn FnMut(&About<'_>, FromRegistry) -> Vec<FromRegistry> + Send>;

struct Inside {
    service: Service,
    keys: RealmKeys,
    begun: Instant,
    /// `None` is honest.
    script: Mutex<Option<Script>>,
    heard: Mutex<Vec<(String, Request)>>,
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
    is_over: AtomicBool,
}

struct Session {
    user: Mutex<String>,
    stream: TcpStream,
    // Guards the cipher, so that two threads' frames go out as they are counted.
    sealer: Mutex<Sealer>,
}

impl EvilRegistry {
    /// Starts one that is honest so far, in a realm of its own.
    pub fn start() -> Self {
        let keys = RealmKeys::from_seeds(&[0x5e; SEEDS_BYTES]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let inside = Arc::new(Inside {
            service: world::service(&Arc::new(MemoryStore::default()), &keys, MAILBOX_ITEMS),
            keys: keys.clone(),
            begun: Instant::now(),
            script: Mutex::default(),
            heard: Mutex::default(),
            sessions: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inside);
        let accept = move || {
            // The sessions end when their sockets do.
            let mut sessions: Vec<Handle> = Vec::new();
            for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                if shared.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let inside = Arc::clone(&shared);
                let body = move || {
                    let _ = inside.serve(number, stream);
                };
                sessions.push(spawn("evil session", body).expect("a thread"));
            }
            shared.close_all();
        };
        let acceptor = Some(spawn("evil registry", accept).expect("a thread"));
        Self { transcript: Transcript::default(), keys, address, inside, acceptor }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on every reply and every news becomes what `script` makes of it.
    pub fn bend(&self, script: impl FnMut(&About<'_>, FromRegistry) -> Vec<FromRegistry> + Send + 'static) {
        *lock(&self.inside.script) = Some(Box::new(script));
    }

    /// The same for replies alone: `script` changes what it likes.
    pub fn bend_replies(&self, mut script: impl FnMut(&About<'_>, &mut Reply) + Send + 'static) {
        self.bend(move |about, mut message| {
            if let FromRegistry::Reply { reply, .. } = &mut message {
                script(about, reply);
            }
            vec![message]
        });
    }

    /// The truth again.
    pub fn repent(&self) {
        *lock(&self.inside.script) = None;
    }

    /// Says something to somebody unasked and unbent. `false`: there is no session that takes it.
    pub fn tell(&self, user: &str, news: News) -> bool {
        self.say(user, &FromRegistry::News(Box::new(news)))
    }

    /// Says anything to somebody. `false`: there is no session that takes it.
    pub fn say(&self, user: &str, message: &FromRegistry) -> bool {
        let named = |session: &&Arc<Session>| *lock(&session.user) == user;
        let session = lock(&self.inside.sessions).values().rev().find(named).cloned();
        session.is_some_and(|session| session.send(std::slice::from_ref(message)))
    }

    /// Closes the connection of everybody who is called `user`.
    pub fn cut(&self, user: &str) {
        for session in lock(&self.inside.sessions).values().filter(|session| *lock(&session.user) == user) {
            let _ = session.stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether somebody is connected under this name.
    pub fn has(&self, user: &str) -> bool {
        lock(&self.inside.sessions).values().any(|session| *lock(&session.user) == user)
    }

    /// Everything that `user` asked so far.
    pub fn heard(&self, user: &str) -> Vec<Request> {
        let heard = lock(&self.inside.heard);
        heard.iter().filter(|(name, _)| name == user).map(|(_, request)| request.clone()).collect()
    }

    pub fn realm(&self) -> RealmId {
        self.keys.realm()
    }

    /// Real signatures over what is not so: these keys are that name's.
    pub fn certify(&self, person: &Person) -> Credentials {
        self.certify_at(person, wall())
    }

    /// The same, as if it had been signed at some other time.
    pub fn certify_at(&self, person: &Person, at: UnixMillis) -> Credentials {
        let statement = person.statement(self.realm());
        let claim = statement.claim().expect("it was signed a moment ago");
        let certificate = certificate::issue(&claim, at, &self.keys.root);
        Credentials { statement, certificate }
    }

    /// What it would say to a `Lookup`, if `person` were who they claim to be and listened at `address`.
    pub fn record(&self, person: &Person, address: &str) -> PersonRecord {
        let addresses = vec![common::wire::address::Address(address.parse().expect("an address"))];
        PersonRecord {
            credentials: self.certify(person),
            online: true,
            addresses: List::cut(addresses),
            last_seen: None,
            prekey: None,
        }
    }
}

impl Drop for EvilRegistry {
    fn drop(&mut self) {
        self.inside.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        self.acceptor = None;
    }
}

impl Inside {
    /// One connection, to its end; `None` if it never became a session.
    fn serve(&self, number: u64, stream: TcpStream) -> Option<()> {
        let deadline = Instant::now() + DEADLINE;
        stream.set_nodelay(true).ok()?;
        if read_preamble(&stream, deadline).ok()? != PREAMBLE {
            return None;
        }
        let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
        let mut handshake = Handshake::registry_answerer(&self.keys.link);
        handshake.read(&read_frame(&stream, &mut decoder, deadline).ok()?).ok()?;
        let proof = RegistryProof::new(&self.keys.root, &self.keys.link, "\u{1b}[41mof evil");
        let mut second = Vec::new();
        write_frame(&handshake.write(&codec::encode(&proof)).ok()?, &mut second);
        write_all(&stream, &second, deadline).ok()?;
        handshake.read(&read_frame(&stream, &mut decoder, deadline).ok()?).ok()?;
        let (device, source) = (handshake.remote()?, stream.peer_addr().ok()?);
        let (sealer, mut opener) = handshake.finish().ok()?;
        decoder.set_frame_bytes_max(FRAME_BYTES_MAX);
        let shared = stream.try_clone().ok()?;
        let session = Session { user: Mutex::default(), stream: shared, sealer: Mutex::new(sealer) };
        let session = Arc::new(session);
        self.service.open(SessionId(number), device, source);
        lock(&self.sessions).insert(number, Arc::clone(&session));
        while let Ok(frame) = read_frame(&stream, &mut decoder, Instant::now() + REGISTRY_DEAD_AFTER) {
            let Some(requests) = opener.open(&frame).ok().and_then(|plain| batch::read::<ToRegistry>(plain).ok())
            else {
                break;
            };
            for asked in requests {
                self.asked(number, &session, asked);
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        lock(&self.sessions).remove(&number);
        self.spread(self.service.close(self.now(), SessionId(number)));
        Some(())
    }

    fn asked(&self, number: u64, session: &Session, ToRegistry { id, request }: ToRegistry) {
        let named = match &request {
            Request::Resume { user } => Some(user.clone()),
            Request::SignUp { statement, .. } | Request::SignIn { statement, .. } => {
                statement.claim().ok().map(|statement| statement.user)
            }
            _ => None,
        };
        if let Some(user) = named {
            *lock(&session.user) = user.as_str().to_owned();
        }
        let user = lock(&session.user).clone();
        lock(&self.heard).push((user.clone(), request.clone()));
        let answer = match self.service.handle(self.now(), SessionId(number), request.clone()) {
            Step::Answer(answer) => answer,
            Step::Hash(job) => self.service.finish(self.now(), SessionId(number), job.run(BCRYPT_COST, [7; 16])),
        };
        let Answer { reply, news, close } = answer;
        let message = match reply {
            Ok(reply) => FromRegistry::Reply { id, reply: Box::new(reply) },
            Err(refusal) => FromRegistry::Refused { id, refusal },
        };
        session.send(&self.bent(&About { user: &user, request: Some(&request) }, message));
        self.spread(news);
        for SessionId(closed) in close {
            if let Some(session) = lock(&self.sessions).get(&closed) {
                let _ = session.stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn spread(&self, notices: Vec<Notice>) {
        let each = |notice: Notice| notice.to.into_iter().map(move |to| (to, notice.news.clone()));
        for (SessionId(number), news) in notices.into_iter().flat_map(each) {
            let Some(session) = lock(&self.sessions).get(&number).cloned() else { continue };
            let user = lock(&session.user).clone();
            session.send(&self.bent(&About { user: &user, request: None }, FromRegistry::News(Box::new(news))));
        }
    }

    fn bent(&self, about: &About<'_>, message: FromRegistry) -> Vec<FromRegistry> {
        match &mut *lock(&self.script) {
            Some(script) => script(about, message),
            None => vec![message],
        }
    }

    fn now(&self) -> Now {
        let monotonic = Monotonic(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        Now { monotonic, wall: wall() }
    }

    fn close_all(&self) {
        for session in lock(&self.sessions).values() {
            let _ = session.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Session {
    /// Each in a frame of its own. `false`: it is not taken.
    fn send(&self, messages: &[FromRegistry]) -> bool {
        let mut sealer = lock(&self.sealer);
        messages.iter().all(|message| {
            let mut frame = Vec::new();
            sealer.seal(&batch::single(message).expect("a message of a registry fits a frame"), &mut frame);
            write_all(&self.stream, &frame, Instant::now() + WRITTEN_WITHIN).is_ok()
        })
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn wall() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("it is long before the end of time"))
}

fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cheapest that bcrypt has.
const BCRYPT_COST: u32 = 4;
/// A peer that does not read is given up.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
