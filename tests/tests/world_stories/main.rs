//! Single stories in a simulated world, each with the ending that people rely on.

mod absence;
mod asking;
mod changes;
mod crowd;
mod direct;
mod hidden;
mod keys;
mod old_backup;
mod power;
mod removal;
mod repair;
mod rooms;
mod rotation;
