//! The `registry-link` thread: dials the registry, writes requests, and comes back with growing pauses when the link
//! is gone. A second thread, `registry-read`, lives as long as one connection.

#![expect(clippy::disallowed_methods, reason = "deadlines are kept against the clock")]

use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::RootKey;
use common::limits::{REGISTRY_DEAD_AFTER, SIGN_IN_TIMEOUT};
use common::message::registry::{FromRegistry, Request, ToRegistry};
use common::secure::identity::DeviceSecret;
use common::secure::seal::{Opener, Sealer};
use common::thread::{self, Handle};
use common::wire::batch::{self, Batch};
use common::wire::codec;
use common::wire::frame::FrameDecoder;
use common::wire::stream::{ReadError, fill, write_all};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};

use super::registry_dial::{Connected, DialError, prove};
use super::{Inbox, NetEvent, fill_random, interfaces, jitter_millis};
use crate::ports::{RegistryInput, RegistryOutput};

/// The engine's end. Dropping it hangs up and ends the thread.
#[derive(Debug)]
pub(crate) struct RegistryLink {
    // Declared above the thread: it ends when this is gone.
    calls: Option<Sender<RegistryOutput>>,
    ended: Receiver<()>,
    thread: Option<Handle>,
}

/// Starts the thread; it does nothing until told to connect.
pub(crate) fn start(registry: String, inbox: Inbox) -> std::io::Result<RegistryLink> {
    // The node asks a handful of things at a time; while they wait for a slow registry it goes on.
    let (calls, requests) = crossbeam_channel::bounded(CALLS_MAX);
    let (ending, ended) = crossbeam_channel::bounded::<()>(0);
    let thread = thread::spawn("registry-link", move || {
        let _ending = ending;
        Dialer { registry, requests, inbox }.run();
    })?;
    Ok(RegistryLink { calls: Some(calls), ended, thread: Some(thread) })
}

impl RegistryLink {
    /// Hands a call over. `false`: the registry has not taken hundreds of requests, so there is no link worth the name.
    #[must_use]
    pub(crate) fn perform(&self, call: RegistryOutput) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.try_send(call).is_ok())
    }
}

impl Drop for RegistryLink {
    fn drop(&mut self) {
        drop(self.calls.take());
        // It may be waiting for a host that does not answer; nothing of ours depends on that any more.
        let ended = self.ended.recv_timeout(END_TIMEOUT) != Err(crossbeam_channel::RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take()
            && !ended
        {
            thread.detach();
        }
    }
}

struct Dialer {
    registry: String,
    requests: Receiver<RegistryOutput>,
    inbox: Inbox,
}

/// Whom to be while connected.
struct Wanted {
    device: Box<DeviceSecret>,
    pinned: RootKey,
}

/// Where a connection begins, and what else this machine is reached at.
struct Place {
    local: SocketAddr,
    interfaces: Vec<IpAddr>,
}

/// Our end of the connection is no address of this machine any more: nothing will come back.
struct Gone;

/// Why a connection, or the wait for one, is over.
enum End {
    /// The engine is gone.
    Gone,
    /// Nobody wants a connection, or a different one.
    Call(RegistryOutput),
    Lost(String),
}

impl Dialer {
    fn run(&self) {
        let mut wanted: Option<Wanted> = None;
        let mut pauses = Pauses::new();
        loop {
            let end = match &wanted {
                None => self.requests.recv().map_or(End::Gone, End::Call),
                Some(who) => match self.connected(who, &mut pauses) {
                    End::Lost(reason) => {
                        self.tell(RegistryInput::Down { reason });
                        self.wait(Instant::now() + pauses.next())
                    }
                    end => end,
                },
            };
            match end {
                End::Gone => return,
                End::Call(RegistryOutput::Connect { device, pinned }) => {
                    pauses = Pauses::new();
                    wanted = Some(Wanted { device, pinned });
                }
                End::Call(RegistryOutput::Reconnect) => pauses = Pauses::new(),
                End::Call(RegistryOutput::Disconnect) => wanted = None,
                End::Call(RegistryOutput::Probe) => self.probe(),
                // Meant for a connection that is gone; the node heard of that.
                End::Call(RegistryOutput::Send(_)) | End::Lost(_) => {}
            }
        }
    }

    /// Waits before the next attempt, unless something is asked meanwhile.
    fn wait(&self, until: Instant) -> End {
        loop {
            match self.requests.recv_deadline(until) {
                Ok(RegistryOutput::Send(_)) => {}
                Ok(call) => return End::Call(call),
                Err(RecvTimeoutError::Timeout) => return End::Lost(String::new()),
                Err(RecvTimeoutError::Disconnected) => return End::Gone,
            }
        }
    }

    /// Looks at the root key under a throw-away device key.
    fn probe(&self) {
        let mut bytes = [0; 32];
        let seen = match fill_random(&mut bytes) {
            Ok(()) => prove(&self.registry, &DeviceSecret::from_bytes(bytes)).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match seen {
            Ok(proven) => self.tell(RegistryInput::RealmSeen { root: proven.root }),
            Err(reason) => self.tell(RegistryInput::Down { reason }),
        }
    }

    /// One connection, from dialling to its end.
    fn connected(&self, who: &Wanted, pauses: &mut Pauses) -> End {
        let connected = prove(&self.registry, &who.device).and_then(|proven| proven.connect(&who.pinned));
        let Connected { stream, mut sealer, opener, decoder, local } = match connected {
            Ok(connected) => connected,
            Err(DialError::Changed(shown)) => {
                self.tell(RegistryInput::RealmChanged { shown });
                return End::Lost("it shows another root key".to_owned());
            }
            Err(error) => return End::Lost(error.to_string()),
        };
        let stream = Arc::new(stream);
        let (lost, losses) = crossbeam_channel::bounded(1);
        let (socket, inbox) = (Arc::clone(&stream), self.inbox.clone());
        let reader = thread::spawn("registry-read", move || {
            let reason = read(&socket, opener, decoder, &inbox);
            let _ = lost.send(reason);
        });
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => return End::Lost(error.to_string()),
        };
        let begun = Instant::now();
        let end = self.stale_calls().unwrap_or_else(|| {
            let interfaces = interfaces::addresses();
            self.tell(RegistryInput::Up { local, interfaces: interfaces.clone() });
            self.serve(&stream, &mut sealer, &losses, &mut Place { local, interfaces })
        });
        let _ = stream.shutdown(Shutdown::Both);
        drop(reader);
        // One that always hangs up at once is not asked more and more often.
        if begun.elapsed() >= STEADY_AFTER {
            *pauses = Pauses::new();
        }
        end
    }

    /// Passes over requests that were meant for an earlier connection, up to a call that is none.
    fn stale_calls(&self) -> Option<End> {
        self.requests.try_iter().find(|call| !matches!(call, RegistryOutput::Send(_))).map(End::Call)
    }

    fn serve(&self, stream: &TcpStream, sealer: &mut Sealer, losses: &Receiver<String>, place: &mut Place) -> End {
        loop {
            let first = select! {
                recv(losses) -> reason => return End::Lost(reason.unwrap_or_default()),
                recv(self.requests) -> call => match call {
                    Ok(RegistryOutput::Send(request)) => request,
                    Ok(call) => return End::Call(call),
                    Err(_) => return End::Gone,
                },
            };
            // What has queued goes as one frame; a call that is no request comes after it.
            let (mut batch, mut after) = (vec![first], None);
            while after.is_none() && batch.len() < REQUESTS_PER_WRITE_MAX {
                match self.requests.try_recv() {
                    Ok(RegistryOutput::Send(request)) => batch.push(request),
                    Ok(call) => after = Some(call),
                    Err(_) => break,
                }
            }
            if let Err(error) = write(stream, sealer, &batch) {
                return End::Lost(error.to_string());
            }
            if batch.iter().any(|asked| matches!(asked.request, Request::Ping))
                && let Err(Gone) = self.look_around(place)
            {
                return End::Lost("this machine has another address now".to_owned());
            }
            if let Some(call) = after {
                return End::Call(call);
            }
        }
    }

    /// Looks whether the addresses of this machine are still the same, as often as the registry is pinged.
    fn look_around(&self, place: &mut Place) -> Result<(), Gone> {
        let interfaces = interfaces::addresses();
        if interfaces == place.interfaces || interfaces.is_empty() {
            return Ok(());
        }
        place.interfaces.clone_from(&interfaces);
        let local = place.local.ip().to_canonical();
        if !interfaces.iter().any(|ip| ip.to_canonical() == local) {
            return Err(Gone);
        }
        self.tell(RegistryInput::Moved { local: place.local, interfaces });
        Ok(())
    }

    fn tell(&self, input: RegistryInput) {
        // The engine may have ended; the closed call channel says so next.
        let _ = self.inbox.send(NetEvent::Registry(input));
    }
}

/// The pauses between attempts: they grow, less in the first minutes than later.
struct Pauses {
    longest_so_far: Duration,
    since: Instant,
}

impl Pauses {
    fn new() -> Self {
        Self { longest_so_far: PAUSE_MIN, since: Instant::now() }
    }

    /// Half of each is jitter, so that a thousand peers do not come back at once.
    fn next(&mut self) -> Duration {
        let pause = self.longest_so_far;
        let longest = if self.since.elapsed() < AT_FIRST { PAUSE_AT_FIRST_MAX } else { PAUSE_MAX };
        self.longest_so_far = (pause * 2).min(longest);
        pause / 2 + Duration::from_millis(jitter_millis(millis(pause))) / 2
    }
}

fn write(stream: &TcpStream, sealer: &mut Sealer, requests: &[ToRegistry]) -> Result<(), ReadError> {
    let (mut batch, mut frames) = (Batch::default(), Vec::new());
    for request in requests {
        // What stands for the password may be among it.
        let bytes = codec::encode_secret(request);
        if !batch.push_encoded(&bytes) {
            sealer.seal_secrets(&mut batch, &mut frames);
            let fits = batch.push_encoded(&bytes);
            debug_assert!(fits, "the largest request fits an empty batch");
        }
    }
    sealer.seal_secrets(&mut batch, &mut frames);
    write_all(stream, &frames, Instant::now() + SIGN_IN_TIMEOUT)
}

fn read(stream: &TcpStream, mut opener: Opener, mut decoder: FrameDecoder, inbox: &Inbox) -> String {
    loop {
        loop {
            let messages = match next_batch(&mut decoder, &mut opener) {
                Ok(Some(messages)) => messages,
                Ok(None) => break,
                Err(reason) => return reason,
            };
            if inbox.send(NetEvent::Registry(RegistryInput::Received(messages))).is_err() {
                return "closing".to_owned();
            }
        }
        let deadline = Instant::now() + REGISTRY_DEAD_AFTER;
        if let Err(error) = fill(&mut &*stream, &mut decoder, deadline) {
            return error.to_string();
        }
    }
}

fn next_batch(decoder: &mut FrameDecoder, opener: &mut Opener) -> Result<Option<Vec<FromRegistry>>, String> {
    let Some(frame) = decoder.next_frame().map_err(|error| error.to_string())? else { return Ok(None) };
    let plaintext = opener.open(frame).map_err(|error| error.to_string())?;
    batch::read(plaintext).map(Some).map_err(|error| error.to_string())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const CALLS_MAX: usize = 1024;
const REQUESTS_PER_WRITE_MAX: usize = 64;
/// A connection that held for so long was a good one.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// First and longest pause between attempts; half of each is jitter.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A network that was down for a minute or two is noticed within seconds when it is back.
const AT_FIRST: Duration = Duration::from_secs(180);
const PAUSE_AT_FIRST_MAX: Duration = Duration::from_secs(3);
const END_TIMEOUT: Duration = Duration::from_secs(1);
