//! People who speak the wire protocol by script, whole or broken, and ears on the wire. What they know of the protocol
//! is what `common` and its PROTOCOL.md say; they share no code with the programs they talk to.

mod capture;
mod mutants;
mod peer_link;
mod person;
mod proxy;
mod raw;
mod registry_link;
mod room;
mod sealed;

pub use capture::Capture;
pub use mutants::mutants;
pub use peer_link::PeerLink;
pub use person::{Person, now};
pub use proxy::Proxy;
pub use raw::{Raw, connect_from};
pub use registry_link::{Knock, RegistryLink};
pub use room::Room;
pub use sealed::Sealed;
