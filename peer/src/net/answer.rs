//! One thread per connection that came in, until it is an authenticated link or closed. A few at a time: where they are
//! too many, the oldest one of the address that has the most is cut, so that no crowd keeps a friend out.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::establish::answered;
use super::{Inbox, NetEvent};
use crate::ports::LocalIdentity;

/// The handshakes under way, oldest first. Only the listener looks at it.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    from: IpAddr,
    // The thread's own: when that is done with it, it is closed.
    socket: Weak<TcpStream>,
    // Set by the thread when it is done.
    is_over: Arc<AtomicBool>,
    is_cut: bool,
}

/// Says that a handshake is over, also one that panicked.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl HalfOpen {
    /// A place for one more; `None` while even those that were cut have not ended.
    fn enter(&mut self, from: IpAddr, socket: &Arc<TcpStream>) -> Option<Over> {
        self.places.retain(|place| !place.is_over.load(Ordering::Acquire));
        if self.places.len() >= HALF_OPEN_MAX + LEAVING_MAX {
            return None;
        }
        if self.places.iter().filter(|place| !place.is_cut).count() >= HALF_OPEN_MAX {
            self.cut_one();
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let place = Place { from, socket: Arc::downgrade(socket), is_over: Arc::clone(&is_over), is_cut: false };
        self.places.push(place);
        Some(Over(is_over))
    }

    fn cut_one(&mut self) {
        let waiting = || self.places.iter().enumerate().filter(|(_, place)| !place.is_cut);
        let count = |from: IpAddr| waiting().filter(|(_, place)| place.from == from).count();
        let busiest = waiting().max_by_key(|(at, place)| (count(place.from), std::cmp::Reverse(*at)));
        let Some(at) = busiest.map(|(at, _)| at) else { return };
        self.places[at].is_cut = true;
        if let Some(socket) = self.places[at].socket.upgrade() {
            // It may have ended by itself, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Shakes hands on a thread of its own.
pub(super) fn start(
    number: u64,
    stream: TcpStream,
    from: IpAddr,
    identity: Arc<LocalIdentity>,
    half_open: &mut HalfOpen,
    inbox: Inbox,
) {
    let stream = Arc::new(stream);
    let Some(over) = half_open.enter(from, &stream) else {
        tracing::debug!(number, "too many handshakes at once");
        return;
    };
    let body = move || {
        let _over = over;
        match answered(stream, &identity) {
            Ok(established) => {
                // The engine may have ended meanwhile; then the link closes with its socket.
                let _ = inbox.send(NetEvent::Established { established: Box::new(established), dial: None });
            }
            Err(error) => tracing::debug!(number, %error, "a connection was not answered"),
        }
    };
    match common::thread::spawn(&format!("answer-{number}"), body) {
        // It ends by itself within the sign-in deadline, or when the process does.
        Ok(handle) => handle.detach(),
        Err(error) => tracing::warn!(%error, "no thread for a connection"),
    }
}

/// Handshakes under way at once.
const HALF_OPEN_MAX: usize = 32;
/// Cut and still ending.
const LEAVING_MAX: usize = 32;

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the sockets under test are opened here")]

    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn a_crowd_makes_room_and_those_who_are_alone_stay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (Arc::new(listener.accept().unwrap().0), far)
        };
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut half_open = HalfOpen::default();
        let (alone, alone_far) = pair();
        let mut places = vec![half_open.enter(address(1), &alone).unwrap()];
        let crowd: Vec<_> = (1..HALF_OPEN_MAX).map(|_| pair()).collect();
        places.extend(crowd.iter().map(|(socket, _)| half_open.enter(address(2), socket).unwrap()));
        let (friend, _far) = pair();
        places.push(half_open.enter(address(3), &friend).unwrap());
        assert_eq!((&crowd[0].1).read(&mut [0; 1]).unwrap(), 0, "the oldest of the crowd");
        alone_far.set_nonblocking(true).unwrap();
        assert!((&alone_far).read(&mut [0; 1]).is_err(), "whoever is alone waits on");
        let more: Vec<_> = (1..LEAVING_MAX).map(|_| half_open.enter(address(2), &pair().0)).collect();
        assert!(more.iter().all(Option::is_some));
        assert!(half_open.enter(address(4), &pair().0).is_none(), "what was cut has to end first");
        drop((places, more));
        assert!(half_open.enter(address(4), &pair().0).is_some());
    }
}
