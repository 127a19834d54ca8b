//! Crowds that mean ill, and people who work meanwhile: what the scenarios play small and `scripts/abuse.sh` plays large.
//! Everything stays on the loopback addresses 127.0.0.0/8.

mod attack;
mod compare;
mod crowd;
mod guesses;
mod pairs;
mod turns;
mod workers;

use std::net::Ipv4Addr;
use std::time::Duration;

use crossbeam_channel::never;

pub use attack::{Attack, Attacker, PLAY, READY};
pub use compare::{Comparison, Spread};
pub use crowd::{Crowd, Manner};
pub use guesses::{Guessed, Guesses, time_answers};
pub use pairs::Pairs;
pub use turns::{Beside, Timed, Turns};
pub use workers::{Worked, Workers};

/// One of 60,000 sources, none of them 127.0.0.1.
pub fn source(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number).expect("there are fewer").to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

/// There is nothing to wait for but time: a byte a second is what the attack is.
pub fn pause(time: Duration) {
    let _: Result<(), _> = never().recv_timeout(time);
}
