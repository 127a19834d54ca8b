//! A wire with an ear: passes every byte of every connection on to one address and keeps a copy. A rough one also
//! delays, and cuts connections in the middle of what it carries, as a seed says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::thread::{Handle, spawn};

use crate::world::Random;

/// Listens until dropped.
pub struct Proxy {
    address: String,
    heard: Arc<Mutex<Heard>>,
    // Ends when it is told to and somebody connects once more.
    acceptor: Option<Handle>,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    open: Vec<TcpStream>,
    /// One for each connection: whether what it carries disappears.
    hushed: Vec<Arc<AtomicBool>>,
    is_over: bool,
    /// Draws what becomes of each piece; `None` in calm.
    weather: Option<Random>,
    cuts: u64,
}

/// What becomes of a piece on its way.
enum Fate {
    Passed,
    Late(Duration),
    /// Only so many bytes arrive, and nothing after them.
    CutOff(usize),
}

impl Proxy {
    /// A proxy in front of `target`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let heard = Arc::<Mutex<Heard>>::default();
        let (shared, target) = (Arc::clone(&heard), target.to_owned());
        let accept = move || {
            // The copiers end when their sockets do.
            let mut copiers: Vec<Handle> = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if lock(&shared).is_over {
                    break;
                }
                if let Ok(far) = TcpStream::connect(&target) {
                    copiers.extend(join(&stream, &far, &shared));
                }
            }
        };
        Self { address, heard, acceptor: Some(spawn("proxy", accept).expect("a thread")) }
    }

    /// From now on pieces are late or cut off; `None` ends that.
    pub fn set_weather(&self, weather: Option<Random>) {
        lock(&self.heard).weather = weather;
    }

    /// How many connections the weather has cut since this was last asked.
    pub fn take_cuts(&self) -> u64 {
        std::mem::take(&mut lock(&self.heard).cuts)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every byte so far, of all connections and both directions.
    pub fn heard(&self) -> Vec<u8> {
        lock(&self.heard).bytes.clone()
    }

    /// Every connection there is stays open and takes every byte, and nothing comes out of it any more.
    pub fn hush(&self) {
        for hushed in lock(&self.heard).hushed.drain(..) {
            hushed.store(true, Ordering::Release);
        }
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        for stream in lock(&self.heard).open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.heard).is_over = true;
        self.cut();
        let _ = TcpStream::connect(&self.address);
        self.acceptor = None;
    }
}

impl Heard {
    fn take(&mut self, piece: &[u8]) -> Fate {
        self.bytes.extend_from_slice(piece);
        let Some(random) = &mut self.weather else { return Fate::Passed };
        match random.below(100) {
            0..3 => {
                self.cuts += 1;
                Fate::CutOff(random.below(piece.len()))
            }
            3..20 => Fate::Late(random.between(Duration::ZERO, LATE_MAX)),
            _ => Fate::Passed,
        }
    }
}

fn join(near: &TcpStream, far: &TcpStream, heard: &Arc<Mutex<Heard>>) -> [Handle; 2] {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
    let hushed = Arc::new(AtomicBool::new(false));
    lock(heard).open.extend([copy(near), copy(far)]);
    lock(heard).hushed.push(Arc::clone(&hushed));
    let copier = |mut from: TcpStream, mut to: TcpStream| {
        let (heard, hushed) = (Arc::clone(heard), Arc::clone(&hushed));
        let body = move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if hushed.load(Ordering::Acquire) {
                    continue;
                }
                let fate = lock(&heard).take(&buffer[..count]);
                let arriving = if let Fate::CutOff(some) = fate { some } else { count };
                if let Fate::Late(time) = fate {
                    let _ = crossbeam_channel::after(time).recv();
                }
                if to.write_all(&buffer[..arriving]).is_err() || arriving < count {
                    break;
                }
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        };
        spawn("proxy copier", body).expect("a thread")
    };
    [copier(copy(near), copy(far)), copier(copy(far), copy(near))]
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

const LATE_MAX: Duration = Duration::from_millis(60);
