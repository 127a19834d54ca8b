//! How a session gets from the thread it came in by to the one it stays in. That one is started here: a thread begins with
//! the priority of the one that starts it, and at the door it is low.

use std::io;
use std::sync::Arc;

use common::thread;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::Shared;
use super::session::Session;
use super::stack::{SESSION_STACK_BYTES, Stack};
use crate::service::SessionId;

/// See the module.
pub(super) struct Usher {
    words: Sender<Word>,
    comers: Sender<Comer>,
    thread: thread::Handle,
}

/// From a session's threads to whoever holds them.
pub(super) enum Word {
    /// It is signed in and goes on in this thread; the one it came in by is at its end.
    Inside(SessionId, thread::Handle),
    Ended(SessionId),
}

/// Says that a session has ended when it is dropped, also when its thread panics.
pub(super) struct Farewell {
    id: SessionId,
    words: Sender<Word>,
}

/// The way to the usher.
pub(super) struct ToUsher(Sender<Comer>);

struct Comer {
    session: Box<Session>,
    farewell: Farewell,
}

impl Usher {
    /// For at most so many sessions; what their threads say is heard at the receiver.
    pub(super) fn start(shared: &Arc<Shared>, sessions_max: u32) -> io::Result<(Self, Receiver<Word>)> {
        let most = sessions_max as usize + 16;
        // Every admitted session says once that it is inside and once that it ended, and is taken out before more are
        // admitted: it never fills.
        let (words, heard) = bounded(2 * most);
        let (comers, coming) = bounded::<Comer>(most);
        let shared = Arc::clone(shared);
        let body = move || coming.iter().for_each(|comer| lead_in(&shared, comer));
        let thread = thread::spawn("usher", body)?;
        Ok((Self { words, comers, thread }, heard))
    }

    /// What the thread of a new session needs.
    pub(super) fn expect(&self, id: SessionId) -> (Farewell, ToUsher) {
        (Farewell { id, words: self.words.clone() }, ToUsher(self.comers.clone()))
    }

    /// Ends when nobody can come any more; it is left behind with those who do not end.
    pub(super) fn end(self, are_left: bool) {
        drop(self.comers);
        if are_left {
            self.thread.detach();
        }
    }
}

impl ToUsher {
    pub(super) fn bring(self, session: Box<Session>, farewell: Farewell) {
        // There is room for everybody. Fails only when the server is gone, and then the session ends.
        let _ = self.0.try_send(Comer { session, farewell });
    }
}

fn lead_in(shared: &Shared, comer: Comer) {
    let Comer { session, farewell } = comer;
    let (id, words) = (farewell.id, farewell.words.clone());
    let body = move || {
        let stack = Stack::of_this_thread(SESSION_STACK_BYTES);
        // Dropped last, also when the session panics.
        let _farewell = farewell;
        session.go_on(stack);
    };
    match thread::spawn_small(&format!("session-{}", id.0), SESSION_STACK_BYTES, body) {
        // Fails only when the server is gone.
        Ok(thread) => drop(words.try_send(Word::Inside(id, thread))),
        Err(error) => {
            shared.counts.refused_full.up();
            tracing::warn!(%error, "no thread for a session");
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Fails only when the server is gone.
        let _ = self.words.try_send(Word::Ended(self.id));
    }
}
