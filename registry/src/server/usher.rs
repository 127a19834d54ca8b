//! Starts the thread of every connection, and holds the handles. Whoever comes gets a thread at the door, which lets others
//! go first: what strangers want costs those who are inside nothing. Whoever is in goes on in a fresh thread, because one
//! begins with the priority of the one that starts it. Few start at a time, by rank and the newest first: of a thousand
//! threads that begin together, each would get its first turn on a core after all the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::thread;
use crossbeam_channel::{Receiver, Sender, at, bounded, never, select};

use super::acceptor::{Arrival, Complaint};
use super::ceilings::{Priority, lower_priority};
use super::door::Rank;
use super::session::Session;
use super::stack::{SESSION_STACK_BYTES, Stack};
use super::{Shared, ceilings, permits, session};
use crate::service::SessionId;

/// The running usher.
pub(super) struct Usher {
    words: Sender<Word>,
    thread: thread::Handle,
}

/// What cannot wait.
enum Word {
    /// A thread has begun, and waits for its client from now on.
    Begun,
    /// Somebody has signed in and needs another thread; the one at the door is at its end.
    SignedIn(Box<Session>, Farewell),
    /// The server stops: everybody is waited for until then, and whoever is not done is left behind.
    Stop(Instant),
}

/// Says that a session has ended when it is dropped, also when its thread panics.
struct Farewell {
    id: SessionId,
    ends: Sender<SessionId>,
}

/// Says that a thread has begun when it is dropped.
pub(super) struct Beginning(Sender<Word>);

impl Usher {
    /// For at most so many sessions; whoever the door lets in is sent to the channel.
    pub(super) fn start(shared: &Arc<Shared>, sessions_max: u32) -> io::Result<(Self, Sender<Arrival>)> {
        let most = sessions_max as usize + 16;
        // Every session says two words and once that it ends, and they are heard no later than more are led in: neither
        // ever fills.
        let (words, heard) = bounded(2 * most);
        let (ends, ending) = bounded(2 * most);
        let (arrivals, arriving) = bounded(ARRIVALS);
        let at_work = AtWork {
            shared: Arc::clone(shared),
            words: words.clone(),
            heard,
            ends,
            ending,
            arriving,
            waiting: BTreeMap::new(),
            beginning: 0,
            threads: HashMap::new(),
            leaving: VecDeque::new(),
            memory_seen: None,
            complained: Complaint::default(),
        };
        let thread = thread::spawn("usher", move || at_work.run())?;
        Ok((Self { words, thread }, arrivals))
    }

    /// Waits for everybody until `deadline`.
    pub(super) fn stop(self, deadline: Instant) {
        // Fails only if it has panicked, which joining tells.
        let _ = self.words.send(Word::Stop(deadline));
        self.thread.join();
    }
}

struct AtWork {
    shared: Arc<Shared>,
    // What every thread gets a copy of.
    words: Sender<Word>,
    heard: Receiver<Word>,
    ends: Sender<SessionId>,
    // Thousands may end together, and what others need does not wait for that.
    ending: Receiver<SessionId>,
    arriving: Receiver<Arrival>,
    // In the order of their turns.
    waiting: BTreeMap<(Rank, Reverse<SessionId>), Arrival>,
    // Threads that were started and have not begun to wait for their client.
    beginning: u32,
    threads: HashMap<SessionId, thread::Handle>,
    // After their last word, in the order of these. Threads of low priority take their time from there to their end, and
    // nobody waits for that.
    leaving: VecDeque<(Instant, SessionId, thread::Handle)>,
    // Looked at now and then, not for every connection of a storm.
    memory_seen: Option<Look>,
    complained: Complaint,
}

/// At the memory in use.
struct Look {
    at: Instant,
    kib: u64,
    /// Begun since then.
    connections: u32,
}

impl AtWork {
    fn run(mut self) {
        let deadline = loop {
            if let Some(deadline) = self.next() {
                break deadline;
            }
        };
        self.waiting.clear();
        while !self.threads.is_empty() {
            select! {
                // Nobody is led in any more: whoever was about to be has ended with that.
                recv(self.heard) -> word => drop(word),
                recv(self.ending) -> id => {
                    if let Ok(id) = id {
                        self.ended(id);
                    }
                }
                recv(at(deadline)) -> _ => break,
            }
        }
        if !self.threads.is_empty() {
            tracing::warn!(count = self.threads.len(), "sessions did not end in time");
        }
        std::mem::take(&mut self.threads).into_values().for_each(thread::Handle::detach);
        std::mem::take(&mut self.leaving).into_iter().for_each(|(_, id, thread)| self.join(id, thread));
    }

    // A little of everything, so that no crowd of one kind holds up the others. When to stop, if it is time.
    fn next(&mut self) -> Option<Instant> {
        self.join_finished();
        while let Ok(arrival) = self.arriving.try_recv() {
            self.wait(arrival);
        }
        let mut is_idle = true;
        if let Ok(word) = self.heard.try_recv() {
            is_idle = false;
            if let Some(deadline) = self.hear(word) {
                return Some(deadline);
            }
        }
        if self.beginning < permits::at_the_door()
            && let Some((_, arrival)) = self.waiting.pop_first()
        {
            is_idle = false;
            self.begin(arrival);
        }
        if let Ok(id) = self.ending.try_recv() {
            is_idle = false;
            self.ended(id);
        }
        if is_idle { self.idle() } else { None }
    }

    fn idle(&mut self) -> Option<Instant> {
        let again = self.leaving.front().map_or_else(never, |(last_word, ..)| at(*last_word + FINISHED_AFTER));
        select! {
            recv(again) -> _ => None,
            recv(self.heard) -> word => word.ok().and_then(|word| self.hear(word)),
            recv(self.ending) -> id => {
                if let Ok(id) = id {
                    self.ended(id);
                }
                None
            }
            recv(self.arriving) -> arrival => {
                match arrival {
                    Ok(arrival) => self.wait(arrival),
                    Err(_) => self.arriving = never(),
                }
                None
            }
        }
    }

    fn hear(&mut self, word: Word) -> Option<Instant> {
        match word {
            Word::Begun => self.beginning -= 1,
            Word::SignedIn(session, farewell) => self.lead_in(session, farewell),
            Word::Stop(deadline) => return Some(deadline),
        }
        None
    }

    fn wait(&mut self, arrival: Arrival) {
        self.waiting.insert((arrival.admission.rank(), Reverse(arrival.id)), arrival);
    }

    // A thread at the door, if there is memory for one.
    fn begin(&mut self, arrival: Arrival) {
        if self.is_memory_short(Instant::now()) {
            return self.shared.counts.refused_memory.up();
        }
        self.beginning += 1;
        let (id, words) = (arrival.id, self.words.clone());
        let priority = if arrival.admission.rank().is_known() { Priority::Low } else { Priority::Lowest };
        let (farewell, beginning) = (Farewell { id, ends: self.ends.clone() }, Beginning(words.clone()));
        let shared = Arc::clone(&self.shared);
        let body = move || {
            // Dropped last, also when the session panics.
            let farewell = farewell;
            lower_priority(priority);
            if let Some(session) = session::run(&shared, arrival, beginning) {
                // There is room for everybody. Fails only when the server is gone, and then the session ends.
                let _ = words.try_send(Word::SignedIn(session, farewell));
            }
        };
        self.start(id, &format!("door-{}", id.0), body);
    }

    fn is_memory_short(&mut self, now: Instant) -> bool {
        let most_kib = self.shared.memory_kib_max;
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

    // Somebody goes on in a thread of usual priority.
    fn lead_in(&mut self, session: Box<Session>, farewell: Farewell) {
        let id = farewell.id;
        self.ended(id);
        let body = move || {
            let stack = Stack::of_this_thread(SESSION_STACK_BYTES);
            // Dropped last, also when the session panics.
            let _farewell = farewell;
            session.go_on(stack);
        };
        self.start(id, &format!("session-{}", id.0), body);
    }

    // One that cannot be started says that it ended, too.
    fn start(&mut self, id: SessionId, name: &str, body: impl FnOnce() + Send + 'static) {
        match thread::spawn_small(name, SESSION_STACK_BYTES, body) {
            Ok(thread) => drop(self.threads.insert(id, thread)),
            Err(error) => {
                self.shared.counts.refused_full.up();
                self.complained.about(&error, "no thread for a session");
            }
        }
    }

    fn ended(&mut self, id: SessionId) {
        if let Some(thread) = self.threads.remove(&id) {
            self.leaving.push_back((Instant::now(), id, thread));
        }
    }

    fn join_finished(&mut self) {
        while self.leaving.front().is_some_and(|(last_word, ..)| last_word.elapsed() >= FINISHED_AFTER)
            && let Some((_, id, thread)) = self.leaving.pop_front()
        {
            self.join(id, thread);
        }
    }

    fn join(&self, id: SessionId, thread: thread::Handle) {
        if thread.join_quietly().is_err() {
            self.shared.counts.panicked.up();
            tracing::error!(session = id.0, "a session panicked");
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Fails only when the server is gone.
        let _ = self.ends.try_send(self.id);
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // Fails only when the server is gone.
        let _ = self.0.try_send(Word::Begun);
    }
}

/// After its last word, a thread has finished by then.
const FINISHED_AFTER: Duration = Duration::from_millis(100);
/// How old a look at the memory in use may be.
const MEMORY_KNOWN_FOR: Duration = Duration::from_millis(100);
/// Thousands of connections begin within that time; so many take a megabyte or two.
const CONNECTIONS_PER_LOOK: u32 = 64;
/// Between the acceptor and the usher. When it is full, the acceptor waits, and newcomers wait in the backlog.
const ARRIVALS: usize = 256;
