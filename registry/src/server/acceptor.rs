//! Takes connections and gives each a thread of its own, if the door lets it in. Until somebody has signed in, that thread
//! lets others go first: what strangers want costs those who are inside nothing. Whoever is in goes on in a fresh thread,
//! which an usher starts, because a thread begins with the priority of the one that starts it. Holds the threads'
//! handles; a session that ends says so, and is joined at the next connection.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::thread;
use crossbeam_channel::Receiver;

use super::ceilings::{Priority, lower_priority};
use super::counts::Counts;
use super::door::Closed;
use super::stack::SESSION_STACK_BYTES;
use super::usher::{Usher, Word};
use super::{Shared, ceilings, session};
use crate::service::SessionId;

/// The threads of all sessions.
pub(super) struct Sessions {
    threads: HashMap<SessionId, thread::Handle>,
    words: Receiver<Word>,
    usher: Usher,
    // Memory is looked at now and then, not for every connection of a storm.
    memory_seen: Option<Look>,
    // One line in the log tells of many failures.
    complained: Option<Instant>,
}

/// At the memory in use.
struct Look {
    at: Instant,
    kib: u64,
    /// Let in since then.
    connections: u32,
}

/// Accepts until the server stops.
pub(super) fn run(listener: &TcpListener, shared: &Arc<Shared>, mut sessions: Sessions) -> Sessions {
    for number in 0.. {
        let accepted = listener.accept();
        if shared.is_stopping() {
            break;
        }
        sessions.sweep(&shared.counts);
        match accepted {
            Ok((socket, source)) => sessions.start(shared, SessionId(number), socket, source),
            Err(error) => sessions.pause(&error, &shared.counts),
        }
    }
    sessions
}

impl Sessions {
    /// Nobody yet; at most so many at a time.
    pub(super) fn new(shared: &Arc<Shared>, most: u32) -> io::Result<Self> {
        let (usher, words) = Usher::start(shared, most)?;
        Ok(Self { threads: HashMap::new(), words, usher, memory_seen: None, complained: None })
    }

    fn start(&mut self, shared: &Arc<Shared>, id: SessionId, socket: TcpStream, source: SocketAddr) {
        let accepted = Instant::now();
        let counts = &shared.counts;
        counts.accepted.up();
        if self.is_memory_short(shared.memory_kib_max, accepted) {
            return counts.refused_memory.up();
        }
        let socket = Arc::new(socket);
        let admission = match shared.door.admit(source.ip(), &socket) {
            Ok(admitted) => {
                if admitted.has_evicted {
                    counts.evicted.up();
                }
                admitted.admission
            }
            Err(closed) => {
                tracing::debug!(%source, ?closed, "refused");
                return match closed {
                    Closed::Full => counts.refused_full.up(),
                    Closed::Source => counts.refused_source.up(),
                };
            }
        };
        let (farewell, to_usher) = self.usher.expect(id);
        let guests = Arc::clone(shared);
        let body = move || {
            // Dropped last, also when the session panics.
            let farewell = farewell;
            lower_priority(Priority::Low);
            if let Some(session) = session::run(&guests, id, socket, source, admission, accepted) {
                to_usher.bring(session, farewell);
            }
        };
        match thread::spawn_small(&format!("door-{}", id.0), SESSION_STACK_BYTES, body) {
            Ok(thread) => {
                self.threads.insert(id, thread);
            }
            Err(error) => {
                counts.refused_full.up();
                self.complain(&error, "no thread for a session");
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
    fn pause(&mut self, error: &io::Error, counts: &Counts) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
            return;
        }
        counts.refused_descriptors.up();
        self.complain(error, "cannot accept");
        if let Ok(word) = self.words.recv_timeout(Duration::from_millis(100)) {
            self.hear(word, counts);
        }
    }

    fn complain(&mut self, error: &io::Error, what: &str) {
        let now = Instant::now();
        if self.complained.is_none_or(|before| now.duration_since(before) >= COMPLAIN_EVERY) {
            self.complained = Some(now);
            tracing::warn!(%error, "{what}");
        }
    }

    fn sweep(&mut self, counts: &Counts) {
        while let Ok(word) = self.words.try_recv() {
            self.hear(word, counts);
        }
    }

    /// Waits for all of them until `deadline`; whoever is not done by then is left behind.
    pub(super) fn join(mut self, deadline: Instant, counts: &Counts) {
        while !self.threads.is_empty() {
            match self.words.recv_deadline(deadline) {
                Ok(word) => self.hear(word, counts),
                Err(_) => break,
            }
        }
        if !self.threads.is_empty() {
            tracing::warn!(count = self.threads.len(), "sessions did not end in time");
        }
        let late = self.words.try_iter().filter_map(|word| match word {
            Word::Inside(_, thread) => Some(thread),
            Word::Ended(_) => None,
        });
        let are_left = late.chain(self.threads.into_values()).map(thread::Handle::detach).count() > 0;
        self.usher.end(are_left);
    }

    fn hear(&mut self, word: Word, counts: &Counts) {
        let done = match word {
            // An end that was heard before the beginning leaves nothing to hold.
            Word::Inside(id, inside) => match self.threads.get_mut(&id) {
                Some(thread) => Some((id, std::mem::replace(thread, inside))),
                None => Some((id, inside)),
            },
            // A thread that could not be started says that it ended, too.
            Word::Ended(id) => self.threads.remove(&id).map(|thread| (id, thread)),
        };
        let Some((id, thread)) = done else { return };
        if thread.join_quietly().is_err() {
            counts.panicked.up();
            tracing::error!(session = id.0, "a session panicked");
        }
    }
}

/// How old a look at the memory in use may be.
const MEMORY_KNOWN_FOR: Duration = Duration::from_millis(100);
/// Thousands of connections come within that time; so many take a megabyte or two.
const CONNECTIONS_PER_LOOK: u32 = 64;
/// What goes wrong a thousand times a second is told once in a while.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
