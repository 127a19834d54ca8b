//! The connections there are, by session: where couriers find an outbox, and what is cut when the registry stops.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::outbound::Outbound;
use crate::service::SessionId;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hall {
    // Guards the map only; an outbox is locked after this is let go.
    seats: Mutex<HashMap<SessionId, Seat>>,
}

#[derive(Debug)]
enum Seat {
    /// In its handshake.
    Stranger(Arc<TcpStream>),
    Guest(Arc<Outbound>),
}

impl Hall {
    pub(super) fn enter(&self, session: SessionId, socket: &Arc<TcpStream>) {
        self.seats().insert(session, Seat::Stranger(Arc::clone(socket)));
    }

    pub(super) fn sit(&self, session: SessionId, outbound: &Arc<Outbound>) {
        self.seats().insert(session, Seat::Guest(Arc::clone(outbound)));
    }

    pub(super) fn leave(&self, session: SessionId) {
        self.seats().remove(&session);
    }

    pub(super) fn outbound(&self, session: SessionId) -> Option<Arc<Outbound>> {
        match self.seats().get(&session)? {
            Seat::Guest(outbound) => Some(Arc::clone(outbound)),
            Seat::Stranger(_) => None,
        }
    }

    /// Every session past its handshake.
    pub(super) fn guests(&self) -> Vec<(SessionId, Arc<Outbound>)> {
        let seats = self.seats();
        let guest = |(session, seat): (&SessionId, &Seat)| match seat {
            Seat::Guest(outbound) => Some((*session, Arc::clone(outbound))),
            Seat::Stranger(_) => None,
        };
        seats.iter().filter_map(guest).collect()
    }

    /// Ends the handshakes under way.
    pub(super) fn cut_strangers(&self) {
        for seat in self.seats().values() {
            if let Seat::Stranger(socket) = seat {
                // It may be gone already, which is as good.
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<SessionId, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
