//! Takes connections and hands those the door lets in to the usher, who starts their threads: so cheap that a crowd cannot
//! hold anybody up in the backlog, where order is the kernel's.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::Shared;
use super::door::{Admission, Closed};
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

/// Accepts until the server stops.
pub(super) fn run(listener: &TcpListener, shared: &Shared, arrivals: &Sender<Arrival>) {
    let mut complained = Complaint::default();
    for number in 0.. {
        let accepted = listener.accept();
        if shared.is_stopping() {
            break;
        }
        match accepted {
            Ok((socket, source)) => {
                if let Some(arrival) = admit(shared, SessionId(number), socket, source) {
                    // Fails only when the server is gone.
                    let _ = arrivals.send(arrival);
                }
            }
            Err(error) => pause(shared, &error, &mut complained),
        }
    }
}

fn admit(shared: &Shared, id: SessionId, socket: TcpStream, source: SocketAddr) -> Option<Arrival> {
    let accepted = Instant::now();
    let counts = &shared.counts;
    counts.accepted.up();
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

// Out of descriptors, most likely: waiting for a session to end is better than asking again at once. Whoever
// connects meanwhile waits in the backlog.
fn pause(shared: &Shared, error: &io::Error, complained: &mut Complaint) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        return;
    }
    shared.counts.refused_descriptors.up();
    complained.about(error, "cannot accept");
    shared.rest(PAUSE);
}

/// When it was last said that something fails: one line in the log tells of many failures.
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
/// What goes wrong a thousand times a second is told once in a while.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
