//! Stories that only real processes, sockets and terminals can show, one a file. Each starts its own registry and
//! peers on free ports and in temporary folders, waits for what happens, and never sleeps.

#![expect(clippy::disallowed_methods, reason = "stories write files and open sockets of their own")]
#![expect(clippy::unwrap_used, reason = "all of this is tests, also the functions they share")]

mod absence;
mod asking;
mod capture;
mod changes;
mod crash;
mod demo;
mod disk;
mod errors;
mod hostile_peer_link;
mod hostile_registry_link;
mod mailbox;
mod measuring;
mod one_to_one;
mod presence;
mod private_rooms;
mod restart;
mod rooms;
mod shutdown;
mod sign_up;
mod stopped;
mod terminal;
