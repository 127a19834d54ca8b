//! Two who only want to be dialled: an ear that takes what comes and says nothing, and an impostor who answers at a
//! registry's address with a root key of their own. Both keep every byte.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::limits::HANDSHAKE_BYTES_MAX;
use common::secure::handshake::{Handshake, RegistryProof};
use common::thread::{Handle, spawn};
use common::wire::codec;
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{read_frame, read_preamble, write_all};
use registry::store::folder::{RealmKeys, SEEDS_BYTES};

/// Listens until dropped; each connection stays open as long as the other side likes.
pub struct Ear {
    address: String,
    // One for each connection: what came on it, and whether it is over.
    heard: Arc<Mutex<Vec<Heard>>>,
    is_over: Arc<AtomicBool>,
    acceptor: Option<Handle>,
}

#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub bytes: Vec<u8>,
    pub is_closed: bool,
}

/// Somebody with other keys at the address of a registry.
pub struct Impostor(Ear);

impl Ear {
    pub fn listen() -> Self {
        Self::answering("127.0.0.1:0", |_, _| {})
    }

    /// `answer` deals with a new connection; what it reads, it hands over to be kept.
    fn answering(address: &str, answer: impl Fn(&TcpStream, &mut dyn FnMut(&[u8])) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let (heard, is_over) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::new(AtomicBool::new(false)));
        let (shared, over, answer) = (Arc::clone(&heard), Arc::clone(&is_over), Arc::new(answer));
        let accept = move || {
            let mut connections: Vec<(TcpStream, Handle)> = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let (heard, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                let number = lock(&heard).len();
                lock(&heard).push(Heard::default());
                let copy = stream.try_clone().expect("a socket can be shared");
                let body = move || {
                    let mut keep = |bytes: &[u8]| lock(&heard)[number].bytes.extend_from_slice(bytes);
                    answer(&stream, &mut keep);
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = (&stream).read(&mut buffer) {
                        keep(&buffer[..count]);
                    }
                    lock(&heard)[number].is_closed = true;
                };
                connections.push((copy, spawn("ear", body).expect("a thread")));
            }
            for (stream, thread) in connections {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                drop(thread);
            }
        };
        Self { address, heard, is_over, acceptor: Some(spawn("ears", accept).expect("a thread")) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// What came on each connection so far.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    /// The same, once `is_enough`.
    #[track_caller]
    pub fn hears(&self, what: &str, is_enough: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        let deadline = Instant::now() + crate::DEADLINE;
        loop {
            let heard = self.heard();
            if is_enough(&heard) {
                return heard;
            }
            assert!(Instant::now() < deadline, "an ear waited for {what} and heard {heard:?}");
            let _ = crossbeam_channel::after(LOOK_AGAIN).recv();
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        self.acceptor = None;
    }
}

impl Impostor {
    /// At `address`, which is free again: the handshake of a registry, with good signatures of another root key.
    pub fn at(address: &str) -> Self {
        let keys = RealmKeys::from_seeds(&[0x1e; SEEDS_BYTES]);
        Self(Ear::answering(address, move |stream, keep| {
            let _ = second_message(&keys, stream, keep);
        }))
    }

    pub fn ear(&self) -> &Ear {
        &self.0
    }
}

/// Up to the second message of the handshake; `None` if it does not come to that.
fn second_message(keys: &RealmKeys, stream: &TcpStream, keep: &mut dyn FnMut(&[u8])) -> Option<()> {
    let deadline = Instant::now() + crate::DEADLINE;
    keep(&read_preamble(stream, deadline).ok()?);
    let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    let first = read_frame(stream, &mut decoder, deadline).ok()?;
    let mut kept = Vec::new();
    write_frame(&first, &mut kept);
    keep(&kept);
    let mut handshake = Handshake::registry_answerer(&keys.link);
    handshake.read(&first).ok()?;
    let proof = RegistryProof::new(&keys.root, &keys.link, "impostor");
    let mut second = Vec::new();
    write_frame(&handshake.write(&codec::encode(&proof)).ok()?, &mut second);
    keep(decoder.pending());
    write_all(stream, &second, deadline).ok()
}

fn lock(heard: &Mutex<Vec<Heard>>) -> std::sync::MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

const LOOK_AGAIN: Duration = Duration::from_millis(20);
