//! One client from its first byte to its last: handshake, requests in order, replies in batches. Blocks in reading and
//! in password work only. Whatever comes, it ends in time, and nobody else notices. Shaking hands and signing in leave
//! memory behind in their thread, so that whoever is in goes on in a fresh one.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use common::ids::DeviceKey;
use common::limits::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, PADDED_BYTES, SEAL_BYTES};
use common::message::registry::{Code, FromRegistry, Refusal, Reply, ToRegistry};
use common::secret::Secret;
use common::secure::handshake::{Handshake, HandshakeError, PeerGreeting};
use common::secure::seal::{NotSealed, Opener, Sealer};
use common::wire::PREAMBLE;
use common::wire::batch::{self, Batch, BatchError, Values};
use common::wire::codec::{self, DecodeError};
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{self, ReadError};

use super::Shared;
use super::acceptor::Arrival;
use super::ceilings::{Priority, lower_priority};
use super::door::{Admission, Evicted, Rank};
use super::outbound::{Outbound, Sent};
use super::passwords::NotRun;
use super::permits::{NoPermit, Permit};
use super::rate::{Budget, Pause, Spent};
use super::stack::Stack;
use super::usher::Beginning;
use crate::service::{Answer, PasswordJob, SessionId, Step, price};

/// Why a connection ended; the client's doing, all of it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the first bytes are not this protocol")]
    NotOurs,
    #[error("another version of the protocol")]
    Version,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("the greeting: {0}")]
    Greeting(#[from] DecodeError),
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    #[error("a batch: {0}")]
    Batch(#[from] BatchError),
    #[error("it does not take what it asked for")]
    Slow,
    #[error("another session took its place")]
    Replaced,
    #[error("it had to make room for a newcomer")]
    Evicted,
    #[error("it asks on although it was told to wait")]
    Flood,
    #[error("the registry stops")]
    Stopping,
}

/// Serves one connection until somebody has signed in: what goes on then, on another thread. `None`: it has ended.
pub(super) fn run(shared: &Arc<Shared>, arrival: Arrival, beginning: Beginning) -> Option<Box<Session>> {
    let id = arrival.id;
    shared.hall.enter(id, &arrival.socket);
    let guest = Guest { shared: Arc::clone(shared), id };
    drop(beginning);
    match serve(guest, arrival) {
        Ok(session) => Some(session),
        Err(ended) => {
            note(shared, id, &ended);
            None
        }
    }
}

fn note(shared: &Shared, id: SessionId, ended: &Ended) {
    let counts = &shared.counts;
    match ended {
        Ended::Read(ReadError::Closed | ReadError::Io(_)) | Ended::Replaced | Ended::Evicted | Ended::Stopping => {}
        Ended::Flood => counts.flooded.up(),
        Ended::Read(ReadError::Late) => counts.late.up(),
        Ended::Slow => counts.slow.up(),
        _ => counts.misbehaved.up(),
    }
    tracing::debug!(session = id.0, reason = %ended, "ended");
}

fn serve(guest: Guest, arrival: Arrival) -> Result<Box<Session>, Ended> {
    let Guest { shared, id } = &guest;
    let Arrival { socket, source, admission, accepted, .. } = arrival;
    // The stop may have looked for strangers before this one was among them.
    if shared.is_stopping() {
        return Err(Ended::Stopping);
    }
    // Without it a reply would wait for the acknowledgement of the one before; it is not worth an end if it fails.
    let _ = socket.set_nodelay(true);
    let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    let (device, sealer, opener) = shake_hands(shared, &socket, &mut decoder, admission.rank(), accepted)?;
    let outbound = Arc::new(Outbound::new(Arc::clone(&socket), sealer));
    shared.service.open(*id, device, source);
    shared.hall.sit(*id, &outbound);
    // The stop may have looked for strangers and guests in between; then this one sees the flag.
    if shared.is_stopping() {
        return Err(Ended::Stopping);
    }
    decoder.set_frame_bytes_max(STRANGER_FRAME_BYTES_MAX);
    let deadline = accepted + shared.timing.sign_in;
    let budget = Budget::new(shared.rates, shared.clock.now().monotonic);
    let batch = Batch::default();
    let session = Session { guest, socket, decoder, opener, outbound, admission, budget, batch, deadline };
    let mut session = Box::new(session);
    session.read(Until::SignedIn)?;
    Ok(session)
}

// Noise XX, after the preamble. Every byte has to be there by its deadline, counted from the accept.
fn shake_hands(
    shared: &Shared,
    socket: &TcpStream,
    decoder: &mut FrameDecoder,
    rank: Rank,
    accepted: Instant,
) -> Result<(DeviceKey, Sealer, Opener), Ended> {
    let first = accepted + shared.timing.first_frame;
    let whole = accepted + shared.timing.sign_in;
    let preamble = stream::read_preamble(socket, first)?;
    if preamble != PREAMBLE {
        return Err(refuse_preamble(socket, preamble, first));
    }
    let opening = stream::read_frame(socket, decoder, first)?;
    let turn = turn_at_the_door(shared, rank, whole)?;
    let mut handshake = Handshake::registry_answerer(&shared.link);
    handshake.read(&opening)?;
    let mut answer = Vec::new();
    write_frame(&handshake.write(&shared.proof)?, &mut answer);
    drop(turn);
    stream::write_all(socket, &answer, whole)?;
    let ending = stream::read_frame(socket, decoder, whole)?;
    let _turn = turn_at_the_door(shared, rank, whole)?;
    let greeting = handshake.read(&ending)?;
    codec::decode::<PeerGreeting>(&greeting)?;
    let device = handshake.remote().ok_or(HandshakeError)?;
    let (sealer, opener) = handshake.finish()?;
    Ok((device, sealer, opener))
}

fn turn_at_the_door(shared: &Shared, rank: Rank, deadline: Instant) -> Result<Permit<'_>, Ended> {
    shared.handshakes.acquire(rank, Some(deadline)).map_err(|refused| match refused {
        NoPermit::Late => Ended::Read(ReadError::Late),
        NoPermit::Busy { .. } | NoPermit::Closed => Ended::Stopping,
    })
}

// A client of another version is shown ours, so that it can say why. It has to read it before the connection is
// reset, so its own bytes are read away first.
fn refuse_preamble(mut socket: &TcpStream, preamble: [u8; 4], deadline: Instant) -> Ended {
    if preamble[..3] != PREAMBLE[..3] {
        return Ended::NotOurs;
    }
    let mut unread = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
    if stream::write_all(socket, &PREAMBLE, deadline).is_ok() && socket.shutdown(Shutdown::Write).is_ok() {
        while unread.pending().len() < HANDSHAKE_BYTES_MAX && stream::fill(&mut socket, &mut unread, deadline).is_ok() {
        }
    }
    Ended::Version
}

/// How long frames are read.
#[derive(Debug, Clone, Copy)]
enum Until {
    SignedIn,
    /// By a thread of its own, which waits for hours: with as little memory as it can.
    End(Stack),
}

/// A connection past its handshake.
pub(super) struct Session {
    socket: Arc<TcpStream>,
    decoder: FrameDecoder,
    opener: Opener,
    outbound: Arc<Outbound>,
    // A stranger's place, until somebody signs in for the first time; then one of a guest.
    admission: Admission,
    budget: Budget,
    // Replies to the requests of one frame.
    batch: Batch,
    deadline: Instant,
    // Dropped last: the others are told that it is over.
    guest: Guest,
}

impl Session {
    /// Serves it to its end, in a thread that has this stack.
    pub(super) fn go_on(mut self: Box<Self>, stack: Stack) {
        let Err(ended) = self.read(Until::End(stack)) else { return };
        note(&self.guest.shared, self.guest.id, &ended);
    }

    /// Reads and answers.
    fn read(&mut self, until: Until) -> Result<(), Ended> {
        loop {
            while self.answer_next()? {
                if matches!(until, Until::SignedIn) && !self.admission.is_stranger() {
                    return Ok(());
                }
            }
            if let Until::End(stack) = until {
                stack.give_back();
            }
            stream::fill(&mut &*self.socket, &mut self.decoder, self.deadline)?;
        }
    }

    /// Answers one frame, if it has arrived. Not inlined: what it needs of the stack is not kept while waiting.
    #[inline(never)]
    fn answer_next(&mut self) -> Result<bool, Ended> {
        let Some(frame) = self.decoder.next_frame().map_err(ReadError::from)? else { return Ok(false) };
        let plaintext = Secret::new(self.opener.open(frame)?.to_vec());
        // Before more is needed: what is freed stays with the thread, and is used again by the answer.
        self.opener.shrink();
        self.decoder.shrink();
        self.answer(batch::values(plaintext.expose())?)?;
        if !self.admission.is_stranger() {
            self.decoder.set_frame_bytes_max(FRAME_BYTES_MAX);
            self.deadline = Instant::now() + self.guest.shared.timing.dead_after;
        }
        Ok(true)
    }

    // Each is read in its turn: a frame may hold thousands.
    fn answer(&mut self, requests: Values<'_, ToRegistry>) -> Result<(), Ended> {
        let mut told_to_wait = None;
        for request in requests {
            let ToRegistry { id, request } = request?;
            let (shared, session) = (Arc::clone(&self.guest.shared), self.guest.id);
            let now = shared.clock.now();
            match self.budget.spend(price(&request), now.monotonic) {
                Spent::Paid => {}
                Spent::Refused { retry_after } => {
                    shared.counts.throttled_requests.up();
                    told_to_wait = told_to_wait.max(Some(retry_after));
                    self.reply(id, Err(too_many_requests(retry_after)))?;
                    continue;
                }
                Spent::Flood => return Err(Ended::Flood),
            }
            let answer = match shared.service.handle(now, session, request) {
                Step::Answer(answer) => answer,
                Step::Hash(job) => self.hash(job)?,
            };
            let Answer { reply, news, close } = answer;
            self.count(&reply);
            told_to_wait = told_to_wait.max(reply.as_ref().err().and_then(|refusal| refusal.retry_after));
            let welcomed = if matches!(reply, Ok(Reply::SignedIn { .. })) {
                self.budget.welcome();
                self.admission.welcome()
            } else {
                Ok(())
            };
            let replied = self.reply(id, reply);
            // What happened has happened, whether the one who asked hears of it or not.
            // The others in `close` are told `Replaced`, and the courier that tells them ends them.
            shared.couriers.post(news);
            welcomed.map_err(|_: Evicted| Ended::Evicted)?;
            replied?;
            if close.contains(&session) {
                self.flush()?;
                return Err(Ended::Replaced);
            }
            match self.budget.pause(&shared.turns, now.monotonic) {
                Pause::None => {}
                // Others who want this core go first, as many as there are.
                Pause::Yield => std::thread::yield_now(),
                Pause::For(time) => {
                    // From now on: it cannot be undone without being root.
                    lower_priority(Priority::Low);
                    shared.rest(time);
                }
            }
        }
        self.flush()?;
        // Asking on is worth nothing, and costs nobody else anything.
        if let Some(retry_after) = told_to_wait {
            let rest = self.budget.rest(retry_after);
            self.guest.shared.rest(rest);
        }
        Ok(())
    }

    fn count(&self, reply: &Result<Reply, Refusal>) {
        let counts = &self.guest.shared.counts;
        match reply.as_ref().map_err(|refusal| refusal.code) {
            Ok(Reply::SignedIn { .. }) => counts.signed_in.up(),
            Err(Code::Credentials) => counts.wrong_credentials.up(),
            Err(Code::Throttled) => counts.throttled.up(),
            Err(Code::TooLarge) => counts.over_quota.up(),
            _ => {}
        }
    }

    // Time in the queue and at work is not the client's; it does not count against its deadline.
    fn hash(&mut self, job: PasswordJob) -> Result<Answer, Ended> {
        self.flush()?;
        let began = Instant::now();
        let shared = &self.guest.shared;
        let answer = match shared.passwords.run(job, shared.bcrypt_cost) {
            Ok(done) => shared.service.finish(shared.clock.now(), self.guest.id, done),
            Err(NotRun::Busy { job, retry_after }) => {
                shared.counts.busy.up();
                shared.service.give_up(*job, retry_after)
            }
            Err(NotRun::Closed) => return Err(Ended::Stopping),
        };
        self.deadline += began.elapsed();
        Ok(answer)
    }

    fn reply(&mut self, id: u32, reply: Result<Reply, Refusal>) -> Result<(), Ended> {
        let message = match reply {
            Ok(reply) => FromRegistry::Reply { id, reply: Box::new(reply) },
            Err(refusal) => FromRegistry::Refused { id, refusal },
        };
        let encoded = codec::encode(&message);
        if self.batch.push_encoded(&encoded) {
            return Ok(());
        }
        self.flush()?;
        if !self.batch.push_encoded(&encoded) {
            tracing::error!(bytes = encoded.len(), "a reply does not fit a frame");
            return self.reply(id, Err(Refusal::new(Code::Internal, REPLY_TOO_LARGE)));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Ended> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut plaintext = Vec::new();
        std::mem::take(&mut self.batch).take_padded(&mut plaintext);
        let sent = self.outbound.send_and_wait(&plaintext, self.guest.shared.timing.drain);
        match sent {
            Sent::Whole => Ok(()),
            Sent::Partly | Sent::Cut => Err(Ended::Slow),
            Sent::Never => Err(Ended::Read(ReadError::Closed)),
        }
    }
}

/// A connection that is in the hall and perhaps in the service; out of both when dropped, also by a panic.
struct Guest {
    shared: Arc<Shared>,
    id: SessionId,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.hall.leave(self.id);
        let news = self.shared.service.close(self.shared.clock.now(), self.id);
        self.shared.couriers.post(news);
    }
}

fn too_many_requests(retry_after: u32) -> Refusal {
    let text = format!("Too many requests on this connection. Try again in {retry_after} s.");
    Refusal::later(Code::Throttled, &text, retry_after)
}

/// Signing in and the requests that go with it; nobody unknown needs more.
const STRANGER_FRAME_BYTES_MAX: usize = PADDED_BYTES[3] + SEAL_BYTES;

const REPLY_TOO_LARGE: &str = "The answer is too long to send. That is a fault of the registry: tell its operator.";
