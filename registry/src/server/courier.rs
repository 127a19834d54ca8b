//! News on its way to sessions. Two fixed threads, each with half of the sessions, so that news for one session stays
//! in order; no send blocks. What many are told is encoded once and sealed for each. Presence goes out as what is true
//! when it is told, however often it changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use common::limits::NAMES_PER_PAGE;
use common::message::registry::{FromRegistry, News, PresenceChange};
use common::names::UserName;
use common::wire::batch;
use common::wire::bounded::List;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::Shared;
use super::outbound::{Outbound, RETRY_AFTER, Sent};
use super::presence::{Changed, Presence};
use crate::service::{Notice, Service, SessionId};

/// From session threads and the server's handle to a courier.
#[derive(Debug)]
pub(super) enum Errand {
    Deliver {
        to: Vec<SessionId>,
        news: Arc<News>,
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

    pub(super) fn post(&self, notices: Vec<Notice>) {
        for Notice { to, news } in notices {
            let news = Arc::new(news);
            for (number, sender) in self.senders.iter().enumerate() {
                let to: Vec<SessionId> = to.iter().copied().filter(|&session| shard(session) == number).collect();
                if !to.is_empty() {
                    // Fails only once the couriers have stopped, and then nobody is to be told anything.
                    let _ = sender.send(Errand::Deliver { to, news: Arc::clone(&news) });
                }
            }
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
        presence: Presence::new(shared.timing.coalesce),
        told: Told::default(),
        sealed: Vec::new(),
        watched: Vec::new(),
        watch_at: Instant::now(),
    };
    loop {
        match next_errand(&inbox, courier.next_wake()) {
            Ok(Errand::Deliver { to, news }) => courier.deliver(&to, &news),
            Ok(Errand::CloseAll) => courier.close_all(),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        // A few of many: what changes meanwhile is told to the others together with it.
        (0..AT_ONCE).for_each(|_| courier.tell_next());
        courier.watch(Instant::now());
    }
}

// Waiting for what is over already would spin for a while.
fn next_errand(inbox: &Receiver<Errand>, wake: Option<Instant>) -> Result<Errand, RecvTimeoutError> {
    match wake {
        Some(wake) if wake <= Instant::now() => inbox.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        }),
        Some(wake) => inbox.recv_deadline(wake),
        None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

struct Courier<'a> {
    shared: &'a Shared,
    number: usize,
    presence: Presence,
    // What was told last: of one change, everybody is told the same.
    told: Told,
    // Room to seal in.
    sealed: Vec<u8>,
    // Outboxes that did not drain at once, and connections that were told to end.
    watched: Vec<Watched>,
    watch_at: Instant,
}

struct Watched {
    outbound: Arc<Outbound>,
    until: Instant,
    is_ending: bool,
}

/// Presence as it goes out.
#[derive(Debug, Default)]
struct Told {
    changed: Changed,
    plaintexts: Vec<Vec<u8>>,
}

impl Told {
    fn now(service: &Service, changed: Changed) -> Self {
        let users: BTreeSet<&UserName> = changed.iter().map(|user| &**user).collect();
        let users: Vec<&UserName> = users.into_iter().collect();
        let change = |&user: &&UserName| PresenceChange { user: user.clone(), online: service.is_online(user) };
        let changes = |users: &[&UserName]| List::cut(users.iter().map(change).collect());
        let pages = users.chunks(NAMES_PER_PAGE).map(|users| News::Presence { changes: changes(users) });
        let plaintexts = pages.filter_map(plaintext).collect();
        Self { changed, plaintexts }
    }

    // The very same changes, not only the same people: the state was asked after them.
    fn is_of(&self, changed: &Changed) -> bool {
        let is_same = |(one, other): (&Arc<UserName>, &Arc<UserName>)| Arc::ptr_eq(one, other);
        self.changed.len() == changed.len() && self.changed.iter().zip(changed).all(is_same)
    }
}

/// `None`, and a complaint, if it is too long.
fn plaintext(news: News) -> Option<Vec<u8>> {
    let plaintext = batch::single(&FromRegistry::News(Box::new(news)));
    if plaintext.is_none() {
        tracing::error!("news does not fit a frame");
    }
    plaintext
}

impl Courier<'_> {
    fn next_wake(&self) -> Option<Instant> {
        let retry = (!self.watched.is_empty()).then_some(self.watch_at);
        self.presence.next_wake(Instant::now()).into_iter().chain(retry).min()
    }

    fn deliver(&mut self, to: &[SessionId], news: &News) {
        if let News::Presence { changes } = news {
            let now = Instant::now();
            return changes.iter().for_each(|change| self.presence.changed(now, (&change.user, change.online), to));
        }
        let Some(plaintext) = plaintext(news.clone()) else { return };
        let is_ending = matches!(news, News::Replaced | News::Closing);
        for &session in to {
            if let Some(outbound) = self.shared.hall.outbound(session) {
                self.send(outbound, &plaintext, is_ending);
            }
        }
    }

    fn tell_next(&mut self) {
        let Some((to, changed)) = self.presence.next(Instant::now()) else { return };
        let Some(outbound) = self.shared.hall.outbound(to) else { return };
        let told = std::mem::take(&mut self.told);
        let told = if told.is_of(&changed) { told } else { Told::now(&self.shared.service, changed) };
        for plaintext in &told.plaintexts {
            self.send(Arc::clone(&outbound), plaintext, false);
        }
        self.told = told;
    }

    fn send(&mut self, outbound: Arc<Outbound>, plaintext: &[u8], is_ending: bool) {
        let timing = &self.shared.timing;
        let sent = outbound.send(plaintext, &mut self.sealed, is_ending);
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
        let Some(plaintext) = plaintext(News::Closing) else { return };
        let mut guests = self.shared.hall.guests();
        guests.retain(|(session, _)| shard(*session) == self.number);
        for (_, outbound) in guests {
            self.send(outbound, &plaintext, true);
        }
    }
}

fn shard(session: SessionId) -> usize {
    usize::try_from(session.0 % COURIERS).expect("the remainder is small")
}

const COURIERS: u64 = 2;
/// News waiting per courier, each with the sessions it is for: at most some ten thousand of eight bytes.
const ERRANDS_MAX: usize = 512;
/// Who is told of presence before a courier looks for more news.
const AT_ONCE: usize = 16;
