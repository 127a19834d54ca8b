//! Takes connections and hands those the door lets in to the usher, who starts their threads: so cheap that a crowd cannot
//! hold anybody up in the backlog, where order is the kernel's.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::door::{Admission, Closed};
use super::{Shared, ceilings};
use crate::service::SessionId;

/// A connection that was let in and has no thread yet.
pub(super) struct Arrival {
    pub(super) id: SessionId,
    pub(super) socket: Arc<TcpStream>,
    pub(super) source: SocketAddr,
    pub(super) admission: Admission,
    /// Deadlines count from here.
    pub(super) accepted: Instant,
}

/// What it remembers from one connection to the next.
#[derive(Default)]
struct Acceptor {
    // Memory is looked at now and then, not for every connection of a storm.
    memory_seen: Option<Look>,
    // One line in the log tells of many failures.
    complained: Complaint,
}

/// At the memory in use.
struct Look {
    at: Instant,
    kib: u64,
    /// Let in since then.
    connections: u32,
}

/// Accepts until the server stops.
pub(super) fn run(listener: &TcpListener, shared: &Shared, arrivals: &Sender<Arrival>) {
    let mut acceptor = Acceptor::default();
    for number in 0.. {
        let accepted = listener.accept();
        if shared.is_stopping() {
            break;
        }
        match accepted {
            Ok((socket, source)) => {
                if let Some(arrival) = acceptor.admit(shared, SessionId(number), socket, source) {
                    // Fails only when the server is gone.
                    let _ = arrivals.send(arrival);
                }
            }
            Err(error) => acceptor.pause(shared, &error),
        }
    }
}

impl Acceptor {
    fn admit(&mut self, shared: &Shared, id: SessionId, socket: TcpStream, source: SocketAddr) -> Option<Arrival> {
        let accepted = Instant::now();
        let counts = &shared.counts;
        counts.accepted.up();
        if self.is_memory_short(shared.memory_kib_max, accepted) {
            counts.refused_memory.up();
            return None;
        }
        let socket = Arc::new(socket);
        match shared.door.admit(source.ip(), &socket) {
            Ok(admitted) => {
                if admitted.has_evicted {
                    counts.evicted.up();
                }
                Some(Arrival { id, socket, source, admission: admitted.admission, accepted })
            }
            Err(closed) => {
                tracing::debug!(%source, ?closed, "refused");
                match closed {
                    Closed::Full => counts.refused_full.up(),
                    Closed::Source => counts.refused_source.up(),
                }
                None
            }
        }
    }

    fn is_memory_short(&mut self, most_kib: u64, now: Instant) -> bool {
        if most_kib == 0 {
            return false;
        }
        if let Some(seen) = &mut self.memory_seen
            && now.duration_since(seen.at) < MEMORY_KNOWN_FOR
            && (seen.kib > most_kib || seen.connections < CONNECTIONS_PER_LOOK)
        {
            seen.connections += 1;
            return seen.kib > most_kib;
        }
        let mut kib = ceilings::memory_kib();
        if kib > most_kib {
            // What sessions have left behind is still counted as in use: without this it would stay too much for ever.
            ceilings::give_back();
            kib = ceilings::memory_kib();
        }
        self.memory_seen = Some(Look { at: now, kib, connections: 0 });
        kib > most_kib
    }

    // Out of descriptors, most likely: waiting for a session to end is better than asking again at once. Whoever
    // connects meanwhile waits in the backlog.
    fn pause(&mut self, shared: &Shared, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
            return;
        }
        shared.counts.refused_descriptors.up();
        self.complained.about(error, "cannot accept");
        shared.rest(PAUSE);
    }
}

/// When it was last said that something fails.
#[derive(Debug, Default)]
pub(super) struct Complaint(Option<Instant>);

impl Complaint {
    pub(super) fn about(&mut self, error: &io::Error, what: &str) {
        let now = Instant::now();
        if self.0.is_none_or(|before| now.duration_since(before) >= COMPLAIN_EVERY) {
            self.0 = Some(now);
            tracing::warn!(%error, "{what}");
        }
    }
}

/// A session ends meanwhile, or the next attempt fails as well.
const PAUSE: Duration = Duration::from_millis(100);
/// How old a look at the memory in use may be.
const MEMORY_KNOWN_FOR: Duration = Duration::from_millis(100);
/// Thousands of connections come within that time; so many take a megabyte or two.
const CONNECTIONS_PER_LOOK: u32 = 64;
/// What goes wrong a thousand times a second is told once in a while.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
