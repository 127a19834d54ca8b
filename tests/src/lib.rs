//! What the tests of the whole are made of: the two programs as processes, people who speak the wire protocol by
//! script, an operator who lies, a seeded world of many nodes, crowds that mean ill, a harness that kills real ones, and
//! one that measures. The scenarios stand in `tests/tests`, one story a file.

#![expect(clippy::disallowed_methods, reason = "tests run processes, sockets and clocks")]

pub mod abuse;
pub mod bench;
pub mod cores;
pub mod crash;
pub mod evil;
pub mod fuzz;
pub mod programs;
pub mod wire;
pub mod world;

pub use programs::{DEADLINE, Ended, Event, JsonPeer, Launch, Registry, SmallDisk, TermPeer, Transcript};
