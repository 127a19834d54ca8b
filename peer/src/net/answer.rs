//! One thread per connection that came in, until it is an authenticated link or closed. A few at a time: whoever only
//! connects costs a place for ten seconds at most.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::establish::answered;
use super::{Inbox, NetEvent};
use crate::ports::LocalIdentity;

/// Counts the handshakes under way.
#[derive(Debug, Clone, Default)]
pub(super) struct HalfOpen(Arc<AtomicUsize>);

struct Place(HalfOpen);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl HalfOpen {
    fn place(&self) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.clone());
        (before < HALF_OPEN_MAX).then_some(place)
    }
}

/// Shakes hands on a thread of its own; beyond the limit the connection is closed at once.
pub(super) fn start(number: u64, stream: TcpStream, identity: Arc<LocalIdentity>, half_open: &HalfOpen, inbox: Inbox) {
    let Some(place) = half_open.place() else {
        tracing::debug!(number, "too many handshakes at once");
        return;
    };
    let body = move || {
        let _place = place;
        match answered(stream, &identity) {
            Ok(established) => {
                // The engine may have ended meanwhile; then the link closes with its socket.
                let _ = inbox.send(NetEvent::Established { established: Box::new(established), dial: None });
            }
            Err(error) => tracing::debug!(number, %error, "a connection was not answered"),
        }
    };
    match common::thread::spawn(&format!("answer-{number}"), body) {
        // It ends by itself within the sign-in deadline, or when the process does.
        Ok(handle) => handle.detach(),
        Err(error) => tracing::warn!(%error, "no thread for a connection"),
    }
}

/// Handshakes under way at once.
const HALF_OPEN_MAX: usize = 32;
