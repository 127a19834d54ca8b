//! A peer of the chat: front-ends speak `api` to the `engine`, which runs the `node` and performs what it decides
//! through `net` and `disk`. The binary is a thin `main` around this library.

pub mod api;
pub mod config;
pub mod disk;
pub mod engine;
pub mod frontend;
#[doc(hidden)]
pub mod fuzz;
mod net;
pub mod node;
pub mod ports;
