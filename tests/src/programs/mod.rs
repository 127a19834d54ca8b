//! The two programs as processes, started, driven and watched from a test. Nothing here sleeps: reader threads feed
//! channels, and every wait has a deadline and fails with the transcript of everybody.

mod build;
mod emulator;
mod event;
mod json_peer;
mod kept;
mod launch;
mod process;
mod registry;
mod small_disk;
mod sockets;
mod terminal_peer;
mod tmux;
mod transcript;

pub use build::{of_this_package, program, target_folder, use_programs_of, workspace};
pub use emulator::{Deeds, controls};
pub use event::Event;
pub use json_peer::JsonPeer;
pub use kept::{Kept, Pinned};
pub use launch::{Launch, password_of};
pub use process::{DEADLINE, Ended, Process};
pub use registry::{Registry, command as registry_command};
pub use small_disk::SmallDisk;
pub use sockets::{connections, slow_down};
pub use terminal_peer::TermPeer;
pub use tmux::{Looked, look_at};
pub use transcript::Transcript;
