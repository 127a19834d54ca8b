//! Stories that only real processes, sockets and terminals can show, one a file. Each starts its own registry and
//! peers on free ports and in temporary folders, waits for what happens, and never sleeps.

#![expect(clippy::disallowed_methods, reason = "stories write files and open sockets of their own")]
#![expect(clippy::unwrap_used, reason = "all of this is tests, also the functions they share")]

mod absence;
mod abuse;
mod asking;
mod capture;
mod ceilings;
mod changes;
mod crash;
mod demo;
mod disk;
mod errors;
mod forks;
mod hostile_peer_link;
mod hostile_registry_link;
mod hostile_text;
mod impostor;
mod introduced;
mod keys;
mod lying_registry;
mod mailbox;
mod measuring;
mod moderation;
mod one_to_one;
mod passwords;
mod presence;
mod private_rooms;
mod restart;
mod rooms;
mod rotation;
mod secrecy;
mod shutdown;
mod sign_up;
mod stopped;
mod terminal;
mod unreadable;
mod wrong_fields;
