//! Keys, signatures and sealed links. Callers get verified values or an error; nothing here opens a connection,
//! reads a clock or decides whom to trust beyond what a signature says.

pub mod certificate;
pub mod handshake;
pub mod identity;
pub mod mail;
pub mod password;
pub mod rotation;
pub mod safety;
pub mod seal;
pub mod sign;
pub mod token;
