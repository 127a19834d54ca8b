//! Reaching somebody: all addresses at once, and a handshake on the first that connects. One thread per attempt, one
//! short-lived one per address.

#![expect(clippy::disallowed_methods, reason = "outgoing connections to peers are made here")]

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::secure::certificate::Person;
use crossbeam_channel::Sender;

use super::NetEvent;
use super::establish::dialed;
use crate::ports::{DialId, LocalIdentity};

/// Tries to reach `person`; the inbox hears of the link or of the failure, once.
pub(crate) fn dial(
    dial: DialId,
    person: Box<Person>,
    addresses: Vec<SocketAddr>,
    identity: Arc<LocalIdentity>,
    inbox: Sender<NetEvent>,
) {
    let name = format!("dial-{}", dial.0);
    let failed = inbox.clone();
    let body = move || {
        let event = match reach(&name_of(dial), &person, addresses, &identity) {
            Ok(established) => NetEvent::Established { established: Box::new(established), dial: Some(dial) },
            Err(reason) => NetEvent::DialFailed { dial, reason },
        };
        // The engine may have ended meanwhile.
        let _ = inbox.send(event);
    };
    match common::thread::spawn(&name, body) {
        // It ends by itself within the connect and sign-in deadlines.
        Ok(handle) => handle.detach(),
        Err(error) => {
            let reason = format!("no thread to dial with: {error}");
            // The engine calls this; its own inbox must not block it.
            let _ = failed.try_send(NetEvent::DialFailed { dial, reason });
        }
    }
}

fn name_of(dial: DialId) -> String {
    format!("dial-{}", dial.0)
}

fn reach(
    name: &str,
    person: &Person,
    addresses: Vec<SocketAddr>,
    identity: &LocalIdentity,
) -> Result<super::Established, String> {
    let mut reasons = Vec::new();
    let count = addresses.len();
    let (connected, attempts) = crossbeam_channel::bounded(count.max(1));
    for (index, address) in addresses.into_iter().enumerate() {
        let connected = connected.clone();
        let attempt = move || {
            let result = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            // Whoever is slower than the first finds nobody waiting, and closes.
            let _ = connected.send((address, result));
        };
        match common::thread::spawn(&format!("{name}-{index}"), attempt) {
            Ok(handle) => handle.detach(),
            Err(error) => reasons.push(format!("{address}: {error}")),
        }
    }
    drop(connected);
    for (address, result) in attempts {
        let outcome = result
            .map_err(|error| error.to_string())
            .and_then(|stream| dialed(stream, identity, person).map_err(|error| error.to_string()));
        match outcome {
            Ok(established) => return Ok(established),
            Err(reason) => reasons.push(format!("{address}: {reason}")),
        }
    }
    Err(reasons.join("; "))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
