//! What is done now and then, whoever comes: old mail is swept, and the log gets a line with all counts.

use std::sync::Arc;
use std::time::Duration;

use common::thread;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Shared;

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    // Declared above the thread: its end is what ends the thread.
    _stop: Sender<()>,
    _thread: thread::Handle,
}

pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Keeper> {
    let (stop, stopped) = bounded(0);
    let shared = Arc::clone(shared);
    let thread = thread::spawn("keeper", move || run(&shared, &stopped))?;
    Ok(Keeper { _stop: stop, _thread: thread })
}

fn run(shared: &Shared, stopped: &Receiver<()>) {
    while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        shared.service.sweep(shared.clock.now());
        let numbers = shared.door.numbers();
        tracing::info!(sessions = numbers.sessions, strangers = numbers.strangers, counts = %shared.counts, "running");
    }
}

/// Often enough to see when something began, rarely enough to be read.
const EVERY: Duration = Duration::from_secs(600);
