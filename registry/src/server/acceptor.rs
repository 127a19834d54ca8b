//! Takes connections and gives each a thread of its own, if the door lets it in. Holds the threads' handles; a session
//! that ends says so, and is joined at the next connection.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::thread;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::counts::Counts;
use super::door::Closed;
use super::{Shared, ceilings, session};
use crate::service::SessionId;

/// The threads of all sessions.
pub(super) struct Sessions {
    threads: HashMap<SessionId, thread::Handle>,
    ended: Receiver<SessionId>,
    // Memory is looked at now and then, not for every connection of a storm.
    memory_seen: Option<(Instant, u64)>,
    // One line in the log tells of many failures.
    complained: Option<Instant>,
}

/// Accepts until the server stops.
pub(super) fn run(listener: &TcpListener, shared: &Arc<Shared>, sessions_max: u32) -> Sessions {
    // Every admitted session says once that it ended, and is taken out before more are admitted: it never fills.
    let (sender, ended) = bounded(sessions_max as usize + 16);
    let mut sessions = Sessions { threads: HashMap::new(), ended, memory_seen: None, complained: None };
    for number in 0.. {
        let accepted = listener.accept();
        if shared.is_stopping.load(Ordering::SeqCst) {
            break;
        }
        sessions.sweep(&shared.counts);
        match accepted {
            Ok((socket, source)) => sessions.start(shared, SessionId(number), socket, source, &sender),
            Err(error) => sessions.pause(&error, &shared.counts),
        }
    }
    sessions
}

impl Sessions {
    fn start(
        &mut self,
        shared: &Arc<Shared>,
        id: SessionId,
        socket: TcpStream,
        source: SocketAddr,
        ended: &Sender<SessionId>,
    ) {
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
        let farewell = Farewell { id, ended: ended.clone() };
        let guests = Arc::clone(shared);
        let body = move || {
            // Dropped last, also when the session panics.
            let _farewell = farewell;
            session::run(&guests, id, socket, source, admission, accepted);
        };
        match thread::spawn_small(&format!("session-{}", id.0), STACK_BYTES, body) {
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
        let known = self.memory_seen.filter(|(at, _)| now.duration_since(*at) < MEMORY_KNOWN_FOR);
        let (at, kib) = known.unwrap_or_else(|| (now, ceilings::memory_kib()));
        self.memory_seen = Some((at, kib));
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
        if let Ok(id) = self.ended.recv_timeout(Duration::from_millis(100)) {
            self.end(id, counts);
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
        while let Ok(id) = self.ended.try_recv() {
            self.end(id, counts);
        }
    }

    /// Waits for all of them until `deadline`; whoever is not done by then is left behind.
    pub(super) fn join(mut self, deadline: Instant, counts: &Counts) {
        while !self.threads.is_empty() {
            match self.ended.recv_deadline(deadline) {
                Ok(id) => self.end(id, counts),
                Err(_) => break,
            }
        }
        if !self.threads.is_empty() {
            tracing::warn!(count = self.threads.len(), "sessions did not end in time");
        }
        self.threads.into_values().for_each(thread::Handle::detach);
    }

    fn end(&mut self, id: SessionId, counts: &Counts) {
        // A thread that could not be started says that it ended, too.
        let Some(thread) = self.threads.remove(&id) else { return };
        if thread.join_quietly().is_err() {
            counts.panicked.up();
            tracing::error!(session = id.0, "a session panicked");
        }
    }
}

struct Farewell {
    id: SessionId,
    ended: Sender<SessionId>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Fails only when the server is gone.
        let _ = self.ended.try_send(self.id);
    }
}

/// How old a look at the memory in use may be.
const MEMORY_KNOWN_FOR: Duration = Duration::from_millis(100);
/// What goes wrong a thousand times a second is told once in a while.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// Enough for decoding at its depth limit and for Ed25519; ten thousand of them reserve 2.5 GiB of addresses only.
const STACK_BYTES: usize = 256 * 1024;
