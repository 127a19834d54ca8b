//! What the registry and its peers agree on: names, ids, limits, the wire, the messages and the keys; and how their threads wait.
//! Both programs call it; it opens no socket and no file, and knows nothing of either program.

#[doc(hidden)]
pub mod fuzz;
pub mod ids;
pub mod limits;
pub mod message;
pub mod names;
pub mod process;
pub mod queue;
pub mod secret;
pub mod secure;
pub mod thread;
pub mod time;
pub mod usage;
pub mod visible;
pub mod wire;
