//! The registry: accounts, who is online and where, and which rooms exist. What people say never comes here.
//! Floors, top to bottom: `server` (sockets, threads), `service` (request to reply), `accounts` and `directory`
//! (who may sign in; who is online, and rooms), `store` (what survives). Imports go down only. Beside them, what `main`
//! is made of: flags and their misuse, configuration, and the operator's orders.

pub mod accounts;
pub mod config;
pub mod directory;
pub mod flags;
pub mod operator;
pub mod refusal;
pub mod server;
pub mod service;
pub mod store;
