//! The `disk` thread: owns the log of the account that is signed in, carries out jobs in their order, and groups what
//! has queued into one transaction with one fsync. The engine starts it and takes its replies; it ends when the
//! engine drops the sender of jobs, after everything queued is done.

use std::{io, iter};

use common::thread::{self, Handle};
use crossbeam_channel::{Receiver, Sender};

use super::log::{ChainName, ChainRead, Log};
use super::profile::Profile;
use crate::ports::{DiskError, DiskJob, DiskReply, Survives, Write};

/// Starts the thread. It waits for room in `replies` when that is full, and goes on without it when it is gone.
pub fn start(profile: Profile, jobs: Receiver<DiskJob>, replies: Sender<DiskReply>) -> io::Result<Handle> {
    thread::spawn("disk", move || Worker { profile, log: None, replies }.run(&jobs))
}

struct Worker {
    profile: Profile,
    /// The log between `Open` and `Close`.
    log: Option<Log>,
    replies: Sender<DiskReply>,
}

/// A commit that waits for the group it will be written with.
struct Queued {
    ticket: u64,
    writes: Vec<Write>,
    survives: Survives,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<DiskJob>) {
        let mut group: Vec<Queued> = Vec::new();
        while let Ok(first) = jobs.recv() {
            for job in iter::once(first).chain(jobs.try_iter().take(GROUP_JOBS_MAX)) {
                match job {
                    DiskJob::Commit { ticket, writes, survives } => group.push(Queued { ticket, writes, survives }),
                    other => {
                        self.commit(&mut group);
                        self.perform(other);
                    }
                }
            }
            self.commit(&mut group);
        }
        self.close();
    }

    fn commit(&mut self, group: &mut Vec<Queued>) {
        if group.is_empty() {
            return;
        }
        let outcomes = match &mut self.log {
            Some(log) => commit_group(log, group),
            None => vec![Err(no_log()); group.len()],
        };
        for (Queued { ticket, .. }, outcome) in group.drain(..).zip(outcomes) {
            match outcome {
                Ok(()) => self.reply(DiskReply::Committed { ticket }),
                Err(error) => self.fail(Some(ticket), error),
            }
        }
    }

    fn perform(&mut self, job: DiskJob) {
        match job {
            DiskJob::PinRealm { registry, root } => {
                if let Err(error) = self.profile.pin(&registry, root) {
                    self.fail(None, error);
                }
            }
            DiskJob::Open { realm, user, fresh_chain } => {
                self.close();
                match Log::open(&self.profile.account(&realm, &user), &realm, &user, &fresh_chain) {
                    Ok((log, loaded)) => {
                        self.log = Some(log);
                        self.reply(DiskReply::Opened(Box::new(loaded)));
                    }
                    Err(error) => self.fail(None, error),
                }
            }
            DiskJob::Close => {
                self.close();
                self.reply(DiskReply::Closed);
            }
            DiskJob::Commit { .. } => unreachable!("commits are grouped before"),
            read => self.read(read),
        }
    }

    fn read(&self, job: DiskJob) {
        match job {
            DiskJob::ReadChain { ticket, conversation, author, chain, from, bytes_max, not_before } => {
                let read = ChainRead { name: ChainName { conversation, author, chain }, from, bytes_max, not_before };
                match self.open_log().and_then(|log| log.read_chain(&read)) {
                    Ok(events) => self.reply(DiskReply::ChainRead { ticket, events }),
                    Err(error) => self.fail(Some(ticket), error),
                }
            }
            DiskJob::ReadHistory { ticket, conversation, count, since } => {
                match self.open_log().and_then(|log| log.read_history(conversation, count, since)) {
                    Ok((events, changes)) => self.reply(DiskReply::HistoryRead { ticket, events, changes }),
                    Err(error) => self.fail(Some(ticket), error),
                }
            }
            DiskJob::ReadEvents { ticket, wanted } => match self.open_log().and_then(|log| log.read_events(&wanted)) {
                Ok((events, changes)) => self.reply(DiskReply::EventsRead { ticket, events, changes }),
                Err(error) => self.fail(Some(ticket), error),
            },
            DiskJob::ReadSteps { ticket, conversation, author, chain, number } => {
                let name = ChainName { conversation, author, chain };
                match self.open_log().and_then(|log| log.read_steps(&name, number)) {
                    Ok((recipients, steps)) => self.reply(DiskReply::StepsRead { ticket, recipients, steps }),
                    Err(error) => self.fail(Some(ticket), error),
                }
            }
            DiskJob::PinRealm { .. } | DiskJob::Open { .. } | DiskJob::Close | DiskJob::Commit { .. } => {
                unreachable!("these do not read")
            }
        }
    }

    fn open_log(&self) -> Result<&Log, DiskError> {
        self.log.as_ref().ok_or_else(no_log)
    }

    fn close(&mut self) {
        if let Some(log) = self.log.take() {
            log.close();
        }
    }

    fn fail(&self, ticket: Option<u64>, error: DiskError) {
        tracing::warn!(ticket, %error, "the disk could not do a job");
        self.reply(DiskReply::Failed { ticket, error });
    }

    fn reply(&self, reply: DiskReply) {
        // Nobody may be left to hear it; what was asked is carried out all the same.
        let _ = self.replies.send(reply);
    }
}

/// Writes the group as one, as safely as the one that has to survive most. If that fails, each alone: one bad commit
/// must not fail the others.
fn commit_group(log: &mut Log, group: &[Queued]) -> Vec<Result<(), DiskError>> {
    let survives = group.iter().map(|queued| queued.survives).max().unwrap_or(Survives::Machine);
    match log.commit(group.iter().map(|queued| queued.writes.as_slice()), survives) {
        Ok(()) => vec![Ok(()); group.len()],
        Err(error) if group.len() == 1 => vec![Err(error)],
        Err(_) => {
            let alone = |queued: &Queued| log.commit(iter::once(queued.writes.as_slice()), queued.survives);
            group.iter().map(alone).collect()
        }
    }
}

fn no_log() -> DiskError {
    DiskError { text: "Can't read or write messages: nobody is signed in.".to_owned() }
}

/// Jobs taken before what they write is committed: a flood still gets its answers, and a group stays in memory.
const GROUP_JOBS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use common::ids::{ChainId, ConversationId, EventId, IdentityKey, RealmId, RootKey};
    use common::message::event::{KIND_TEXT, WireEvent};
    use common::names::UserName;
    use common::time::UnixMillis;
    use common::wire::bounded::Blob;
    use crossbeam_channel::unbounded;
    use std::time::Duration;
    use tempfile::TempDir;

    use crate::ports::{LoadedLog, StoredEvent};

    const TALK: ConversationId = ConversationId([1; 32]);
    const BOB: IdentityKey = IdentityKey([2; 32]);

    /// The thread with both its channels. Jobs sent before `start` are one queue for certain.
    struct Desk {
        jobs: Option<Sender<DiskJob>>,
        replies: Receiver<DiskReply>,
        thread: Option<Handle>,
        folder: TempDir,
    }

    impl Desk {
        fn start(queued: Vec<DiskJob>) -> Self {
            Self::start_in(tempfile::tempdir().unwrap(), queued)
        }

        fn start_in(folder: TempDir, queued: Vec<DiskJob>) -> Self {
            let ((jobs, to_do), (done, replies)) = (unbounded(), unbounded());
            queued.into_iter().for_each(|job| jobs.send(job).unwrap());
            let profile = Profile::open(folder.path()).unwrap();
            let thread = start(profile, to_do, done).unwrap();
            Self { jobs: Some(jobs), replies, thread: Some(thread), folder }
        }

        fn ask(&self, job: DiskJob) {
            self.jobs.as_ref().unwrap().send(job).unwrap();
        }

        fn reply(&self, awaited: &str) -> DiskReply {
            self.replies.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("waited for {awaited}"))
        }

        fn opened(&self) -> LoadedLog {
            match self.reply("the log to open") {
                DiskReply::Opened(loaded) => *loaded,
                other => panic!("{other:?}"),
            }
        }

        /// Disconnects and waits for the thread.
        fn stop(mut self) -> (TempDir, Vec<DiskReply>) {
            self.jobs = None;
            self.thread.take().unwrap().join();
            (self.folder, self.replies.try_iter().collect())
        }
    }

    fn open(user: &str) -> DiskJob {
        let user = UserName::parse(user).unwrap();
        DiskJob::Open { realm: RealmId([7; 32]), user, fresh_chain: ChainId([8; 16]) }
    }

    fn conversation() -> Write {
        Write::Conversation { id: TALK, with: UserName::parse("bob").unwrap() }
    }

    fn event(number: u64, text: &str) -> Write {
        let wire = WireEvent { bytes: Blob::new(format!("{number} {text}").into_bytes()).unwrap(), signature: None };
        let event = StoredEvent {
            conversation: TALK,
            author: BOB,
            chain: ChainId([9; 16]),
            number,
            id: EventId(wire.id().0),
            lamport: number,
            at: UnixMillis(0),
            kind: KIND_TEXT,
            late: false,
            wire,
        };
        Write::Event { event: Box::new(event), recipients: None }
    }

    fn commit(ticket: u64, writes: Vec<Write>) -> DiskJob {
        DiskJob::Commit { ticket, writes, survives: Survives::Machine }
    }

    fn history(ticket: u64) -> DiskJob {
        DiskJob::ReadHistory { ticket, conversation: TALK, count: 1000, since: None }
    }

    #[test]
    fn a_queue_is_answered_in_order_and_a_read_sees_what_was_asked_before_it() {
        let mut queued = vec![open("alice"), commit(0, vec![conversation()])];
        queued.extend((1..=50).map(|number| commit(number, vec![event(number, "hi")])));
        queued.extend([history(51), commit(52, vec![event(51, "hi")]), DiskJob::Close]);
        let desk = Desk::start(queued);
        desk.opened();
        for awaited in 0..=50 {
            let reply = desk.reply("a commit");
            assert!(matches!(reply, DiskReply::Committed { ticket } if ticket == awaited), "{reply:?}");
        }
        let reply = desk.reply("the history");
        assert!(matches!(&reply, DiskReply::HistoryRead { ticket: 51, events, .. } if events.len() == 50), "{reply:?}");
        assert!(matches!(desk.reply("the last commit"), DiskReply::Committed { ticket: 52 }));
        assert!(matches!(desk.reply("the log to close"), DiskReply::Closed));
    }

    #[test]
    fn a_bad_commit_fails_alone() {
        let desk = Desk::start(vec![
            open("alice"),
            commit(1, vec![conversation(), event(1, "one")]),
            commit(2, vec![event(2, "two"), event(1, "a lie")]),
            commit(3, vec![event(2, "two, too")]),
        ]);
        desk.opened();
        assert!(matches!(desk.reply("the first"), DiskReply::Committed { ticket: 1 }));
        let reply = desk.reply("the bad one");
        assert!(matches!(reply, DiskReply::Failed { ticket: Some(2), .. }), "{reply:?}");
        assert!(matches!(desk.reply("the third"), DiskReply::Committed { ticket: 3 }));
        desk.ask(history(4));
        let reply = desk.reply("the history");
        let DiskReply::HistoryRead { events, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(events.iter().map(|event| &*event.wire.bytes).collect::<Vec<_>>(), [b"1 one", &b"2 two, too"[..]]);
    }

    #[test]
    fn what_was_asked_is_done_before_the_thread_ends() {
        let desk = Desk::start(Vec::new());
        desk.ask(open("alice"));
        desk.ask(commit(1, vec![conversation()]));
        for number in 1..=2000 {
            desk.ask(commit(number, vec![event(number, "hi")]));
        }
        let (folder, replies) = desk.stop();
        assert_eq!(replies.iter().filter(|reply| matches!(reply, DiskReply::Committed { .. })).count(), 2001);
        let account =
            Profile::open(folder.path()).unwrap().account(&RealmId([7; 32]), &UserName::parse("alice").unwrap());
        let names = super::super::files::names_in(&account).unwrap();
        assert_eq!(names, ["messages.db", "messages.db.closed"], "the journal is taken in");
        let desk = Desk::start_in(folder, vec![open("alice")]);
        assert_eq!(desk.opened().conversations[0].theirs[0].number, 2000);
    }

    #[test]
    fn accounts_do_not_mix_and_without_one_nothing_is_written() {
        let desk = Desk::start(vec![
            history(1),
            commit(2, vec![conversation()]),
            open("alice"),
            commit(3, vec![conversation()]),
            open("bob"),
            DiskJob::Close,
            commit(4, vec![conversation()]),
            open("alice"),
        ]);
        for ticket in [1, 2] {
            let reply = desk.reply("a refusal");
            assert!(matches!(reply, DiskReply::Failed { ticket: Some(which), .. } if which == ticket), "{reply:?}");
        }
        assert!(desk.opened().conversations.is_empty());
        assert!(matches!(desk.reply("a commit"), DiskReply::Committed { ticket: 3 }));
        assert!(desk.opened().conversations.is_empty());
        assert!(matches!(desk.reply("the log to close"), DiskReply::Closed));
        assert!(matches!(desk.reply("a refusal"), DiskReply::Failed { ticket: Some(4), .. }));
        assert_eq!(desk.opened().conversations.len(), 1);
    }

    #[test]
    fn a_realm_is_kept_and_only_a_failure_is_told() {
        let pin = |root| DiskJob::PinRealm { registry: "home:15600".to_owned(), root: RootKey([root; 32]) };
        let (folder, replies) = Desk::start(vec![pin(1), pin(1), pin(2)]).stop();
        assert!(matches!(&replies[..], [DiskReply::Failed { ticket: None, .. }]), "{replies:?}");
        let profile = Profile::open(folder.path()).unwrap();
        assert_eq!(profile.pinned("home:15600").unwrap(), Some(RootKey([1; 32])));
    }
}
