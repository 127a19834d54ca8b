//! A link: the engine seals and writes what there is to say by itself while nothing waits; what the socket does not take
//! at once, and everything after it, goes through `link-N-write`, many messages to a frame. `link-N-read` opens and
//! decodes. Silence is broken by pings; a link that is silent in spite of them is dead.

#![expect(clippy::disallowed_methods, reason = "how long a frame takes is held against the clock")]

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::limits::{BATCH_BYTES_MAX, LINK_DEAD_AFTER, LINK_PING_AFTER};
use common::message::peer::PeerMessage;
use common::queue::{self, Receiver, Sender};
use common::secure::seal::Opener;
use common::thread::{self, Handle};
use common::wire::batch;
use common::wire::codec;
use common::wire::frame::FrameDecoder;
use crossbeam_channel::{RecvTimeoutError, TrySendError};

use super::outward::{Outward, Taken};
use super::{Established, Inbox, NetEvent, end_unacknowledged};
use crate::ports::LinkId;

/// The engine's end of a link. Dropping it closes the socket, which ends both threads, and waits for them.
#[derive(Debug)]
pub(crate) struct LinkHandle {
    // `None` only while dropping: the writer ends when the outbox is gone.
    outbox: Option<Sender<Outgoing>>,
    outward: Arc<Outward>,
    /// Said and not handed over: encoded messages one after the other, as many to a piece as fit a batch.
    pieces: Vec<Vec<u8>>,
    closing: Arc<AtomicBool>,
    stream: Arc<TcpStream>,
    /// Disconnected when the writer has ended.
    written: crossbeam_channel::Receiver<()>,
    reader: Option<Handle>,
    writer: Option<Handle>,
}

#[derive(Debug)]
enum Outgoing {
    /// Encoded messages that fit a batch.
    Piece(Vec<u8>),
    /// Sealed bytes wait that the socket did not take.
    Rest,
    /// Say goodbye and end.
    Close,
}

/// How much silence is borne.
#[derive(Debug, Clone, Copy)]
struct Silence {
    ping_after: Duration,
    dead_after: Duration,
}

/// Starts both threads of an authenticated link.
pub(crate) fn start(link: LinkId, established: Established, inbox: Inbox) -> io::Result<LinkHandle> {
    start_with(SILENCE, link, established, inbox)
}

fn start_with(silence: Silence, link: LinkId, established: Established, inbox: Inbox) -> io::Result<LinkHandle> {
    let Established { stream, sealer, opener, decoder, early, .. } = established;
    // Set once: a read or write that makes no progress for this long ends the link.
    stream.set_read_timeout(Some(silence.dead_after))?;
    stream.set_write_timeout(Some(silence.dead_after))?;
    end_unacknowledged(&stream)?;
    // What does not fit means that the far end does not read: the link is cut and resumes from acknowledgements.
    let (outbox, outgoing) = queue::bounded(OUTBOX_PIECES_MAX);
    let outward = Arc::new(Outward::new(Arc::clone(&stream), sealer));
    let (writing, written) = crossbeam_channel::bounded(0);
    let (socket, sealing) = (Arc::clone(&stream), Arc::clone(&outward));
    let writer = thread::spawn(&format!("link-{}-write", link.0), move || {
        let _writing: crossbeam_channel::Sender<()> = writing;
        if let Err(error) = write(&sealing, &outgoing, silence.ping_after) {
            tracing::debug!(link = link.0, %error, "writing ended");
            let _ = socket.shutdown(Shutdown::Both);
        }
    })?;
    let socket = Arc::clone(&stream);
    let answers = Answers { outbox: outbox.clone(), outward: Arc::clone(&outward) };
    let closing = Arc::new(AtomicBool::new(false));
    let is_closing = Arc::clone(&closing);
    let body = move || {
        let frame_within = FRAME_WITHIN * silence.dead_after;
        let mut reader =
            Reader { link, stream: &socket, opener, decoder, inbox: &inbox, answers, is_closing, frame_within };
        let (clean, reason) = reader.run(early);
        drop(reader);
        let _ = socket.shutdown(Shutdown::Both);
        let _ = inbox.send(NetEvent::Down { link, clean, reason });
    };
    let reader = match thread::spawn(&format!("link-{}-read", link.0), body) {
        Ok(reader) => reader,
        Err(error) => {
            // The writer ends when nobody holds the outbox any more.
            drop(outbox);
            let _ = stream.shutdown(Shutdown::Both);
            return Err(error);
        }
    };
    let (reader, writer) = (Some(reader), Some(writer));
    let outbox = Some(outbox);
    Ok(LinkHandle { outbox, outward, pieces: Vec::new(), closing, stream, written, reader, writer })
}

/// A message as links carry it.
pub(crate) fn encoded(message: &PeerMessage) -> Vec<u8> {
    codec::encode(message)
}

impl LinkHandle {
    /// Takes a message, [`encoded`]; it goes out with the next [`LinkHandle::flush`].
    pub(crate) fn send(&mut self, message: &[u8]) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() + message.len() <= BATCH_BYTES_MAX => piece.extend_from_slice(message),
            _ => self.pieces.push(message.to_vec()),
        }
    }

    /// Whether something waits for a flush.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Has everything taken so far sent: by this thread as far as the socket takes it now. `false`: the far end does
    /// not keep up, and the link has to go.
    #[must_use]
    pub(crate) fn flush(&mut self) -> bool {
        let Some(outbox) = &self.outbox else { return true };
        let handed_over = match self.outward.try_write(&self.pieces) {
            Taken::Whole => {
                self.pieces.clear();
                return true;
            }
            Taken::Partly => {
                self.pieces.clear();
                outbox.try_send(Outgoing::Rest)
            }
            Taken::Not => self.pieces.drain(..).try_for_each(|piece| {
                self.outward.queue(piece.len());
                outbox.try_send(Outgoing::Piece(piece))
            }),
        };
        // A writer that has ended means a link that is going down: the reader says so.
        !matches!(handed_over, Err(TrySendError::Full(_))) && self.outward.queued_bytes() <= OUTBOX_BYTES_MAX
    }

    /// What was taken still goes out, then goodbye. The reader reports the end; whatever the far end goes on sending,
    /// it takes one more read.
    pub(crate) fn close(&mut self) {
        let keeps_up = self.flush();
        self.closing.store(true, Ordering::Release);
        if !keeps_up || self.outbox.as_ref().is_none_or(|outbox| outbox.try_send(Outgoing::Close).is_err()) {
            self.cut();
        }
    }

    /// Ends at once.
    pub(crate) fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Waits until everything queued was written after `close`, but not past `deadline`.
    pub(crate) fn drained_by(&self, deadline: Instant) {
        let _ = self.written.recv_deadline(deadline);
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.cut();
        self.outbox = None;
        drop(self.reader.take());
        drop(self.writer.take());
    }
}

/// The reader's way to the writer.
struct Answers {
    outbox: Sender<Outgoing>,
    outward: Arc<Outward>,
}

struct Reader<'a> {
    link: LinkId,
    stream: &'a TcpStream,
    opener: Opener,
    decoder: FrameDecoder,
    inbox: &'a Inbox,
    answers: Answers,
    is_closing: Arc<AtomicBool>,
    /// A far end that is alive sends whole frames: bytes that never become one are no sign of life.
    frame_within: Duration,
}

impl Reader<'_> {
    /// Reads until the end: whether it was a goodbye, and why.
    fn run(&mut self, early: Vec<PeerMessage>) -> (bool, String) {
        let mut messages = Vec::new();
        let mut whole_at = Instant::now();
        if let Some(end) = self.sort(early, &mut messages) {
            return end;
        }
        loop {
            // One read, one hand-over: a burst wakes the engine once.
            loop {
                match self.next_batch() {
                    Ok(Some(batch)) => {
                        whole_at = Instant::now();
                        if let Some(end) = self.sort(batch, &mut messages) {
                            self.hand_over(&mut messages);
                            return end;
                        }
                    }
                    Ok(None) => break,
                    Err(reason) => return (false, reason),
                }
            }
            if !self.hand_over(&mut messages) {
                return (true, "closing".to_owned());
            }
            if self.is_closing.load(Ordering::Acquire) {
                return (true, "closed".to_owned());
            }
            if whole_at.elapsed() > self.frame_within {
                return (false, "it sends no whole frame any more".to_owned());
            }
            match self.decoder.fill(&mut &*self.stream) {
                Ok(0) => return (false, "the connection was cut".to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return (false, "it has been silent for too long".to_owned()),
                Err(error) => return (false, error.to_string()),
            }
        }
    }

    fn next_batch(&mut self) -> Result<Option<Vec<PeerMessage>>, String> {
        let Some(frame) = self.decoder.next_frame().map_err(|error| error.to_string())? else { return Ok(None) };
        let plaintext = self.opener.open(frame).map_err(|error| error.to_string())?;
        batch::read(plaintext).map(Some).map_err(|error| error.to_string())
    }

    /// Takes out what the link itself deals with.
    fn sort(&mut self, batch: Vec<PeerMessage>, messages: &mut Vec<PeerMessage>) -> Option<(bool, String)> {
        for message in batch {
            match message {
                PeerMessage::Ping => {
                    let pong = codec::encode(&PeerMessage::Pong);
                    self.answers.outward.queue(pong.len());
                    // A full outbox is a sign of life of its own, of a link that is about to be cut.
                    let _ = self.answers.outbox.try_send(Outgoing::Piece(pong));
                }
                PeerMessage::Pong => {}
                PeerMessage::Bye => return Some((true, "it said goodbye".to_owned())),
                message => messages.push(message),
            }
        }
        None
    }

    fn hand_over(&mut self, messages: &mut Vec<PeerMessage>) -> bool {
        if messages.is_empty() {
            return true;
        }
        let messages = std::mem::take(messages);
        self.inbox.send(NetEvent::Received { link: self.link, messages }).is_ok()
    }
}

fn write(outward: &Outward, outgoing: &Receiver<Outgoing>, ping_after: Duration) -> io::Result<()> {
    let mut pieces = Vec::new();
    let mut open = true;
    while open {
        let mut next = match outgoing.recv_timeout(ping_after) {
            Ok(first) => Some(first),
            // The engine may have spoken meanwhile; then the far end knows that we are there.
            Err(RecvTimeoutError::Timeout) if outward.was_used() => continue,
            Err(RecvTimeoutError::Timeout) => {
                let ping = codec::encode(&PeerMessage::Ping);
                outward.queue(ping.len());
                Some(Outgoing::Piece(ping))
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let mut bytes = 0;
        // Never waits in order to batch: what is there goes into as few frames as it fits.
        while let Some(out) = next {
            match out {
                Outgoing::Piece(piece) => {
                    bytes += piece.len();
                    pieces.push(piece);
                }
                Outgoing::Rest => {}
                Outgoing::Close => open = false,
            }
            let more = open && bytes < WRITE_BYTES_MAX;
            next = if more { outgoing.try_recv().ok() } else { None };
        }
        if !open {
            pieces.push(codec::encode(&PeerMessage::Bye));
        }
        outward.write(&pieces, bytes)?;
        pieces.clear();
    }
    outward.end();
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

const SILENCE: Silence = Silence { ping_after: LINK_PING_AFTER, dead_after: LINK_DEAD_AFTER };

/// As many times the silence that is borne: the largest frame gets through at a kilobyte a second.
const FRAME_WITHIN: u32 = 2;
/// Pieces and bytes that may wait for a far end that does not read. Beyond, the link is cut; nothing is lost with
/// it, for what was not acknowledged is sent again.
const OUTBOX_PIECES_MAX: usize = 8192;
const OUTBOX_BYTES_MAX: usize = 8 * 1024 * 1024;
/// As much as is sealed before the socket hears of it.
const WRITE_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::pair;
    use std::io::Write;

    const BRIEF: Silence = Silence { ping_after: Duration::from_millis(50), dead_after: Duration::from_millis(500) };

    #[test]
    fn a_far_end_that_does_not_answer_pings_is_dead_and_one_that_does_is_not() {
        let (inbox, heard) = queue::bounded(64);
        let [ours, theirs] = pair();
        // The far end's machine is there and takes every byte; its program does nothing.
        let dead = start_with(BRIEF, LinkId(1), ours, inbox.clone()).unwrap();
        let [ours, answering] = pair();
        let alive = start_with(BRIEF, LinkId(2), ours, inbox.clone()).unwrap();
        let patient = Silence { ping_after: Duration::from_secs(60), ..SILENCE };
        let answering = start_with(patient, LinkId(3), answering, inbox).unwrap();
        match heard.recv_timeout(Duration::from_secs(20)).unwrap() {
            NetEvent::Down { link: LinkId(1), clean: false, reason } => {
                assert_eq!(reason, "it has been silent for too long");
            }
            other => panic!("{other:?}"),
        }
        // As long again: nothing but pings and their answers keep the other one.
        assert!(heard.recv_timeout(2 * BRIEF.dead_after).is_err(), "a link that answers was given up");
        drop((dead, alive, answering, theirs));
    }

    #[test]
    fn a_frame_that_never_ends_is_no_sign_of_life() {
        let (inbox, heard) = queue::bounded(64);
        let [ours, theirs] = pair();
        let link = start_with(BRIEF, LinkId(1), ours, inbox).unwrap();
        let drip = move || {
            // Of the largest frame there is, a byte now and then.
            let frame = 60_000u16.to_be_bytes().into_iter().chain(std::iter::repeat(0));
            for byte in frame {
                if (&*theirs.stream).write_all(&[byte]).is_err() {
                    return;
                }
                let _ = crossbeam_channel::after(BRIEF.ping_after).recv();
            }
        };
        let drip = common::thread::spawn("drip", drip).unwrap();
        match heard.recv_timeout(Duration::from_secs(20)).unwrap() {
            NetEvent::Down { clean: false, reason, .. } => assert_eq!(reason, "it sends no whole frame any more"),
            other => panic!("{other:?}"),
        }
        drop(link);
        drip.join();
    }
}
