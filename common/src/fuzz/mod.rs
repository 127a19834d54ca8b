//! What fuzzers feed: one function for each place where bytes from outside come in. Each takes any bytes and panics if
//! the code panics, or if a promise of that code does not hold. Called by `tests/fuzz` and, seeded, by the tests; the
//! programs never do.

mod attacks;
mod choices;
mod link;
mod message;
mod room;
mod secret;

pub use attacks::attacks;
pub use choices::Choices;
pub use link::{fuzz_batches, fuzz_frames};
pub use message::{fuzz_events, fuzz_messages, message_kind};
pub use room::fuzz_rooms;
pub use secret::{fuzz_credentials, fuzz_handshakes, fuzz_mail};
