//! What is said on the wire and what people sign. Only these types are serialised; a change here is a change of the
//! protocol and comes with its line in `PROTOCOL.md` and its snapshot.

pub mod event;
pub mod mail;
pub mod moderation;
pub mod peer;
pub mod receipt;
pub mod registry;
pub mod room;
