//! The only place of the peer that touches files: who owns the data folder ([`Profile`]), the sealed keys
//! ([`vault`]), and the log of what was said, kept by the `disk` thread ([`worker`]). The engine calls it and passes
//! on its answers; it decides nothing and never writes over what it cannot read.

#![expect(clippy::disallowed_methods, reason = "this floor owns the files, SQLite and the randomness of new keys")]

mod chores;
mod export;
mod files;
mod log;
mod profile;
mod realms;
mod sealed;
pub mod vault;
pub mod worker;

pub use profile::{Profile, ProfileError, last_registry};
