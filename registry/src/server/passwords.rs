//! Where passwords are checked: a few at once, each in a thread that lets all others go first. A check takes a core for
//! as long as a thousand requests do, and whoever waits for one expects that.

use common::thread;
use crossbeam_channel::bounded;

use super::ceilings::{Priority, lower_priority};
use super::door::Rank;
use super::permits::{NoPermit, Permits};
use crate::service::{PasswordDone, PasswordJob};

/// See the module.
#[derive(Debug)]
pub(super) struct Passwords {
    permits: Permits,
}

/// A password that was not checked.
#[derive(Debug)]
pub(super) enum NotRun {
    /// Too many wait already; after so many seconds it may be otherwise.
    Busy {
        job: Box<PasswordJob>,
        retry_after: u32,
    },
    Closed,
}

impl Passwords {
    /// As [`Permits::new`].
    pub(super) fn new(at_once: u32, queue: u32) -> Self {
        Self { permits: Permits::new(at_once, queue) }
    }

    /// Runs it, when it is its turn, and waits for it.
    pub(super) fn run(&self, job: PasswordJob, cost: u32) -> Result<PasswordDone, NotRun> {
        let _permit = match self.permits.acquire(Rank::default(), None) {
            Ok(permit) => permit,
            Err(NoPermit::Busy { retry_after }) => return Err(NotRun::Busy { job: Box::new(job), retry_after }),
            Err(NoPermit::Closed | NoPermit::Late) => return Err(NotRun::Closed),
        };
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the operating system has random bytes");
        // Left here, so that a thread that cannot be started does not take it along.
        let (give, take) = bounded(1);
        give.send(job).expect("there is room for one");
        let taken = take.clone();
        let body = move || {
            lower_priority(Priority::Lowest);
            taken.recv().map(|job| job.run(cost, salt))
        };
        match thread::spawn_small("password", STACK_BYTES, body) {
            Ok(thread) => Ok(thread.join().expect("the job was given before")),
            Err(error) => {
                tracing::warn!(%error, "no thread for a password");
                let job = Box::new(take.recv().expect("nobody else took it"));
                Err(NotRun::Busy { job, retry_after: NO_THREAD_RETRY_AFTER })
            }
        }
    }

    /// Nobody's turn comes any more.
    pub(super) fn close(&self) {
        self.permits.close();
    }
}

/// bcrypt's tables, twice over, and some to spare.
const STACK_BYTES: usize = 128 * 1024;
/// Seconds in which somebody else may have gone.
const NO_THREAD_RETRY_AFTER: u32 = 5;
