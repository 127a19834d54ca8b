//! Those in the middle: an operator who lies with the real keys of a realm, somebody who only holds the wires, and an
//! ear where nobody should be dialled. What they attack are the programs; they share no code with the peer.

mod ear;
mod frames;
mod registry;
mod schedule;

pub use ear::{Ear, Impostor};
pub use frames::Middle;
pub use registry::{About, EvilRegistry};
pub use schedule::{Fault, NOTICED_WITHIN, Schedules};
