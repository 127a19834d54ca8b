//! The order of commits on a disk that fails now and then: what is written is always a beginning of what was handed over,
//! so that no line is stored, told or acknowledged behind a later one, and nothing newer is taken back by what it replaced.

use std::collections::BTreeSet;

use super::DiskError;

/// Whose turn it is: the ticket of every commit that failed and did not succeed since.
#[derive(Debug, Default)]
pub struct Turns {
    owed: BTreeSet<u64>,
}

impl Turns {
    /// Does one commit with `write` if nothing older is owed, and remembers how that went.
    pub fn take(&mut self, ticket: u64, write: impl FnOnce() -> Result<(), DiskError>) -> Result<(), DiskError> {
        let is_its_turn = self.owed.first().is_none_or(|oldest| ticket <= *oldest);
        let outcome = if is_its_turn {
            write()
        } else {
            Err(DiskError { text: "It waits for what the disk has not taken before.".to_owned() })
        };
        match outcome {
            Ok(()) => self.owed.remove(&ticket),
            Err(_) => self.owed.insert(ticket),
        };
        outcome
    }

    /// Nothing has failed, so that several may be written as one.
    pub fn is_free(&self) -> bool {
        self.owed.is_empty()
    }
}
