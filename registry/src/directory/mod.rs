//! Who is online and where (`online`), and which rooms exist (`rooms`). The service calls it; it signs nobody in.

pub mod mailbox;
pub mod online;
pub mod rooms;
