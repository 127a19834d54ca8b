//! News on its way to sessions. Two fixed threads, each with half of the sessions, so that news for one session stays
//! in order; no send blocks. Presence waits a moment and goes out as what is true by then, however often it changed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use common::limits::NAMES_PER_PAGE;
use common::message::registry::{FromRegistry, News, PresenceChange};
use common::names::UserName;
use common::wire::batch::Batch;
use common::wire::bounded::List;
use common::wire::codec;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Shared;
use super::outbound::{Outbound, RETRY_AFTER, Sent};
use crate::service::SessionId;

/// From session threads and the server's handle to a courier.
#[derive(Debug)]
pub(super) enum Errand {
    Deliver {
        to: SessionId,
        news: News,
    },
    /// Say good-bye to everybody.
    CloseAll,
    Stop,
}

/// Where news is handed over.
#[derive(Debug)]
pub(super) struct Couriers {
    senders: Vec<Sender<Errand>>,
}

impl Couriers {
    pub(super) fn new() -> (Self, Vec<Receiver<Errand>>) {
        // Full: the session thread that has news waits. A courier waits for nobody, so that cannot lock up.
        let (senders, inboxes) = (0..COURIERS).map(|_| bounded(ERRANDS_MAX)).unzip();
        (Self { senders }, inboxes)
    }

    pub(super) fn post(&self, news: Vec<(SessionId, News)>) {
        for (to, news) in news {
            // Fails only once the couriers have stopped, and then nobody is to be told anything.
            let _ = self.senders[shard(to)].send(Errand::Deliver { to, news });
        }
    }

    pub(super) fn close_all(&self) {
        self.tell(|| Errand::CloseAll);
    }

    pub(super) fn stop(&self) {
        self.tell(|| Errand::Stop);
    }

    fn tell(&self, errand: impl Fn() -> Errand) {
        for sender in &self.senders {
            let _ = sender.send(errand());
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns its inbox: when it ends, senders must notice")]
pub(super) fn run(shared: Arc<Shared>, number: usize, inbox: Receiver<Errand>) {
    let mut courier = Courier {
        shared: &shared,
        number,
        presence: HashMap::new(),
        due: VecDeque::new(),
        watched: Vec::new(),
        watch_at: Instant::now(),
    };
    loop {
        let errand = match courier.next_wake() {
            Some(wake) => inbox.recv_deadline(wake),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match errand {
            Ok(Errand::Deliver { to, news }) => courier.deliver(to, news),
            Ok(Errand::CloseAll) => courier.close_all(),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        courier.send_due_presence(now);
        courier.watch(now);
    }
}

struct Courier<'a> {
    shared: &'a Shared,
    number: usize,
    // Names whose presence changed, per receiver; what is true is asked when it is sent.
    presence: HashMap<SessionId, BTreeSet<UserName>>,
    // The same receivers by when they are due: the wait is the same for all, so this stays sorted.
    due: VecDeque<(Instant, SessionId)>,
    // Outboxes that did not drain at once, and connections that were told to end.
    watched: Vec<Watched>,
    watch_at: Instant,
}

struct Watched {
    outbound: Arc<Outbound>,
    until: Instant,
    is_ending: bool,
}

impl Courier<'_> {
    fn next_wake(&self) -> Option<Instant> {
        let due = self.due.front().map(|(due, _)| *due);
        let retry = (!self.watched.is_empty()).then_some(self.watch_at);
        due.into_iter().chain(retry).min()
    }

    fn deliver(&mut self, to: SessionId, news: News) {
        match news {
            News::Presence { changes } => {
                let names = changes.into_iter().map(|change| change.user);
                let due = Instant::now() + self.shared.timing.coalesce;
                let waiting = self.presence.entry(to).or_insert_with(|| {
                    self.due.push_back((due, to));
                    BTreeSet::new()
                });
                waiting.extend(names);
            }
            news => {
                let Some(outbound) = self.shared.hall.outbound(to) else { return };
                self.send(outbound, news);
            }
        }
    }

    fn send_due_presence(&mut self, now: Instant) {
        while self.due.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, to)) = self.due.pop_front() else { return };
            let names: Vec<UserName> = self.presence.remove(&to).unwrap_or_default().into_iter().collect();
            let Some(outbound) = self.shared.hall.outbound(to) else { continue };
            for names in names.chunks(NAMES_PER_PAGE) {
                let change = |user: &UserName| PresenceChange {
                    user: user.clone(),
                    online: self.shared.service.is_online(user),
                };
                let changes = List::cut(names.iter().map(change).collect());
                self.send(Arc::clone(&outbound), News::Presence { changes });
            }
        }
    }

    fn send(&mut self, outbound: Arc<Outbound>, news: News) {
        let is_ending = matches!(news, News::Replaced | News::Closing);
        let mut batch = Batch::default();
        if !batch.push_encoded(&codec::encode(&FromRegistry::News(Box::new(news)))) {
            tracing::error!("news does not fit a frame");
            return;
        }
        let timing = &self.shared.timing;
        let sent = outbound.send(&mut batch, is_ending);
        if sent == Sent::Cut {
            self.shared.counts.slow.up();
        }
        if sent != Sent::Partly && !is_ending {
            return;
        }
        let patience = if is_ending { timing.linger } else { timing.drain };
        self.watched.push(Watched { outbound, until: Instant::now() + patience, is_ending });
    }

    fn watch(&mut self, now: Instant) {
        if now < self.watch_at {
            return;
        }
        self.watch_at = now + RETRY_AFTER;
        let counts = &self.shared.counts;
        self.watched.retain(|watched| {
            let sent = watched.outbound.flush();
            if now >= watched.until {
                if sent == Sent::Partly {
                    counts.slow.up();
                }
                watched.outbound.cut();
            }
            now < watched.until && sent != Sent::Never && (watched.is_ending || sent == Sent::Partly)
        });
    }

    fn close_all(&mut self) {
        let mut guests = self.shared.hall.guests();
        guests.retain(|(session, _)| shard(*session) == self.number);
        for (_, outbound) in guests {
            self.send(outbound, News::Closing);
        }
    }
}

fn shard(session: SessionId) -> usize {
    usize::try_from(session.0 % COURIERS).expect("the remainder is small")
}

const COURIERS: u64 = 2;
/// News waiting per courier; a large room makes 64 at once.
const ERRANDS_MAX: usize = 4096;
