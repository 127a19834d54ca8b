//! Reaching somebody: all addresses at once, and a handshake on the first that connects. One thread per attempt, one
//! short-lived one per address.

#![expect(clippy::disallowed_methods, reason = "outgoing connections to peers are made here")]

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::secure::certificate::Person;

use super::establish::dialed;
use super::{Inbox, NetEvent, not_connected};
use crate::ports::{DialId, LocalIdentity};

/// Tries to reach `person`; the inbox hears of the link or of the failure, once.
pub(crate) fn dial(
    dial: DialId,
    person: Box<Person>,
    addresses: Vec<SocketAddr>,
    identity: Arc<LocalIdentity>,
    inbox: Inbox,
) {
    let name = format!("dial-{}", dial.0);
    let (failed, all) = (inbox.clone(), addresses.clone());
    let body = move || {
        let event = match reach(&name_of(dial), &person, addresses, &identity) {
            Ok(established) => NetEvent::Established { established: Box::new(established), dial: Some(dial) },
            Err(tried) => NetEvent::DialFailed { dial, tried },
        };
        // The engine may have ended meanwhile.
        let _ = inbox.send(event);
    };
    match common::thread::spawn(&name, body) {
        // It ends by itself within the connect and sign-in deadlines.
        Ok(handle) => handle.detach(),
        Err(error) => {
            let tried = all.into_iter().map(|address| (address, no_thread(&error))).collect();
            // The engine calls this; its own inbox must not block it.
            let _ = failed.try_send(NetEvent::DialFailed { dial, tried });
        }
    }
}

fn name_of(dial: DialId) -> String {
    format!("dial-{}", dial.0)
}

fn no_thread(error: &io::Error) -> String {
    format!("no thread to dial with: {error}")
}

/// The first address behind which `person` answers, or what each said.
fn reach(
    name: &str,
    person: &Person,
    addresses: Vec<SocketAddr>,
    identity: &LocalIdentity,
) -> Result<super::Established, Vec<(SocketAddr, String)>> {
    let mut tried = Vec::new();
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
            Err(error) => tried.push((address, no_thread(&error))),
        }
    }
    drop(connected);
    for (address, result) in attempts {
        let outcome = result
            .map_err(|error| not_connected(&error))
            .and_then(|stream| dialed(stream, identity, person).map_err(|error| error.to_string()));
        match outcome {
            Ok(established) => return Ok(established),
            Err(reason) => tried.push((address, reason)),
        }
    }
    Err(tried)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::{identity, person};
    use std::io::Read;
    use std::net::{Shutdown, TcpListener};

    #[test]
    fn a_failed_dial_says_what_each_address_answered() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = vec![closed, stranger.local_addr().unwrap()];
        // It takes the connection and hangs up without a word.
        let hangs_up = move || {
            let (mut stream, _) = stranger.accept().unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        };
        let hangs_up = common::thread::spawn("stranger", hangs_up).unwrap();
        let (inbox, heard) = common::queue::bounded(1);
        dial(DialId(7), Box::new(person("bob")), addresses.clone(), Arc::new(identity("alice")), inbox);
        let NetEvent::DialFailed { dial: DialId(7), mut tried } = heard.recv_timeout(Duration::from_secs(20)).unwrap()
        else {
            panic!("nobody was there");
        };
        tried.sort_by_key(|(address, _)| *address != closed);
        let answers = ["nobody listens there", "the other side closed the connection"].map(str::to_owned);
        assert_eq!(tried, addresses.into_iter().zip(answers).collect::<Vec<_>>());
        hangs_up.join();
    }
}
