//! The one writer: a thread that runs what has queued as one transaction and answers after its commit. A job that
//! fails is undone alone; a commit that fails is reported to everybody in it.

use std::io;

use common::thread;
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;

use super::Fault;
use crate::store::StoreError;

/// Handle of the writer thread.
pub(super) struct Writer {
    // Dropped before the thread is joined: its end is what ends the thread.
    jobs: Option<Sender<Job>>,
    _thread: thread::Handle,
}

/// Runs inside the transaction, if there is one, and returns what is to be told once the commit's outcome is known.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Told + Send>;
type Told = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        // Full: whoever wants to write waits. The writer waits for nobody, so that cannot lock up.
        let (jobs, inbox) = bounded(QUEUE_MAX);
        let thread = thread::spawn("store", move || run(connection, &inbox))?;
        Ok(Self { jobs: Some(jobs), _thread: thread })
    }

    /// Runs `work` and waits until it is on disk.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = bounded(1);
        self.submit(Box::new(move |connection| {
            let result = connection.and_then(|connection| run_alone(connection, work));
            Box::new(move |commit| {
                let _ = sender.send(commit.and(result));
            })
        }))?;
        receiver.recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` some time soon; a failure is only logged.
    pub(super) fn write_later(&self, work: impl FnOnce(&Connection) -> Result<(), Fault> + Send + 'static) {
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| run_alone(connection, work));
            Box::new(move |commit| {
                if let Err(error) = commit.and(result) {
                    tracing::error!(%error, "a write nobody waits for failed");
                }
            })
        });
        if let Err(error) = self.submit(job) {
            tracing::error!(%error, "a write nobody waits for was not taken");
        }
    }

    fn submit(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns its connection and closes it when it ends")]
fn run(connection: Connection, inbox: &Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let queued = std::iter::once(first).chain(inbox.try_iter().take(BATCH_MAX - 1));
        let told: Vec<Told> = queued.map(|job| job(within(&connection))).collect();
        let commit = begun.and_then(|()| connection.execute_batch("COMMIT")).map_err(|error| {
            tracing::error!(%error, "the database did not commit");
            StoreError::Database(error.to_string())
        });
        if !connection.is_autocommit() {
            // A commit that failed may leave its transaction open; the next one must not find it.
            let _ = connection.execute_batch("ROLLBACK");
        }
        told.into_iter().for_each(|tell| tell(commit.clone()));
    }
}

// Some errors, a full disk among them, end the whole transaction: what comes after must not commit by itself.
fn within(connection: &Connection) -> Result<&Connection, StoreError> {
    let lost = || StoreError::Database("its transaction was rolled back".to_owned());
    if connection.is_autocommit() { Err(lost()) } else { Ok(connection) }
}

fn run_alone<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
    connection.execute_batch("SAVEPOINT job").map_err(Fault::Sql)?;
    let result = work(connection);
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    let ended = connection.execute_batch(end);
    // The first error is the one that tells.
    let value = result.map_err(StoreError::from)?;
    ended.map_err(Fault::Sql)?;
    Ok(value)
}

/// Jobs waiting: every one has a session thread behind it.
const QUEUE_MAX: usize = 1024;
/// Jobs in one transaction: keeps the wait of the first among many short.
const BATCH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    type Work = Box<dyn FnOnce(&Connection) -> Result<usize, Fault> + Send>;

    fn insert(number: u32) -> impl FnOnce(&Connection) -> Result<usize, Fault> + Send {
        move |connection| Ok(connection.execute("INSERT INTO note VALUES (?1)", [number])?)
    }

    // Hands over `jobs` so that they share one transaction, and returns what each was told.
    fn together(writer: &Writer, jobs: Vec<Work>) -> Vec<bool> {
        let (open, gate) = bounded::<()>(0);
        let (sender, told) = bounded(jobs.len());
        let hold: Job = Box::new(move |_| {
            let _ = gate.recv();
            Box::new(|_| {})
        });
        writer.submit(hold).unwrap();
        for work in jobs {
            let sender = sender.clone();
            let job: Job = Box::new(move |connection| {
                let result = connection.and_then(|connection| run_alone(connection, work));
                Box::new(move |commit| sender.send(commit.and(result).is_ok()).unwrap())
            });
            writer.submit(job).unwrap();
        }
        drop((open, sender));
        told.iter().collect()
    }

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE note (number INTEGER)").unwrap();
        Writer::start(connection).unwrap()
    }

    fn count(writer: &Writer) -> u32 {
        writer.write(|c| Ok(c.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?)).unwrap()
    }

    #[test]
    fn a_job_that_fails_is_undone_alone() {
        let writer = writer();
        let half = |connection: &Connection| {
            connection.execute("INSERT INTO note VALUES (2)", [])?;
            Err(Fault::Store(StoreError::Closed))
        };
        let told = together(&writer, vec![Box::new(insert(1)), Box::new(half), Box::new(insert(3))]);
        assert_eq!((told, count(&writer)), (vec![true, false, true], 2));
    }

    #[test]
    fn a_transaction_that_ends_early_takes_everybody_with_it() {
        let writer = writer();
        let lose = |connection: &Connection| {
            connection.execute_batch("ROLLBACK")?;
            Err(Fault::Store(StoreError::Closed))
        };
        let told = together(&writer, vec![Box::new(insert(1)), Box::new(lose), Box::new(insert(3))]);
        assert_eq!((told, count(&writer)), (vec![false; 3], 0));
        assert_eq!((writer.write(insert(4)), count(&writer)), (Ok(1), 1), "the next one is fine");
    }
}
