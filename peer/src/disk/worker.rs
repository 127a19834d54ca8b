//! The `disk` thread: owns the log of the account that is signed in, carries out jobs in their order, and groups what
//! has queued into one transaction with one fsync. The engine starts it and takes its replies; it ends when the
//! engine drops the sender of jobs, after everything queued is done.

use std::sync::Arc;
use std::{io, iter};

use common::names::UserName;
use common::queue::{Receiver, Sender};
use common::thread::{self, Handle};
use crossbeam_channel::RecvTimeoutError;

use super::chores::Chores;
use super::log::{ChainName, ChainRead, Log};
use super::profile::Profile;
use crate::ports::{DiskError, DiskJob, DiskReply, Inquiry, Survives, Turns, Write};

/// Starts the thread. It waits for room in `replies` when that is full, and goes on without it when it is gone.
pub fn start(profile: Profile, jobs: Receiver<DiskJob>, replies: Sender<DiskReply>) -> io::Result<Handle> {
    thread::spawn("disk", move || {
        Worker { profile, log: None, turns: Turns::default(), replies, chores: Chores::default() }.run(&jobs);
    })
}

struct Worker {
    profile: Profile,
    /// The log between `Open` and `Close`, and whose it is.
    log: Option<(Log, UserName)>,
    turns: Turns,
    replies: Sender<DiskReply>,
    chores: Chores,
}

/// A commit that waits for the group it will be written with.
struct Queued {
    ticket: u64,
    writes: Arc<Vec<Write>>,
    survives: Survives,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<DiskJob>) {
        let mut group: Vec<Queued> = Vec::new();
        while let Some(first) = self.next(jobs) {
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

    /// The next job. Until it comes, and once even if it is there already, chores are done.
    fn next(&mut self, jobs: &Receiver<DiskJob>) -> Option<DiskJob> {
        loop {
            let answer = self.log.as_mut().and_then(|(log, _)| self.chores.advance_search(log));
            if let Some(answer) = answer {
                self.reply(answer);
            }
            let (Some((log, _)), Some(patience)) = (&mut self.log, self.chores.patience()) else {
                return jobs.recv().ok();
            };
            match jobs.recv_timeout(patience) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => self.chores.index(log),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn commit(&mut self, group: &mut Vec<Queued>) {
        if group.is_empty() {
            return;
        }
        let outcomes = match &mut self.log {
            Some((log, _)) => commit_group(log, &mut self.turns, group),
            None => vec![Err(no_log()); group.len()],
        };
        self.chores.log_changed();
        for (Queued { ticket, writes, .. }, outcome) in group.drain(..).zip(outcomes) {
            // Whoever made them frees them, too: memory does not wander between threads.
            drop(writes);
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
                        self.log = Some((log, user));
                        self.chores.log_changed();
                        self.reply(DiskReply::Opened(Box::new(loaded)));
                    }
                    Err(error) => self.fail(None, error),
                }
            }
            DiskJob::Close => {
                self.close();
                self.reply(DiskReply::Closed);
            }
            DiskJob::Inquire { ticket, inquiry } => self.inquire(ticket, inquiry),
            DiskJob::Commit { .. } => unreachable!("commits are grouped before"),
            read => self.read(read),
        }
    }

    fn inquire(&mut self, ticket: u64, inquiry: Inquiry) {
        let answer = match &self.log {
            Some((log, me)) => self.chores.inquire(log, me, ticket, inquiry),
            None => Err(no_log()),
        };
        match answer {
            Ok(Some(answer)) => self.reply(DiskReply::Answered { ticket, answer }),
            // A search takes its time.
            Ok(None) => {}
            Err(error) => self.fail(Some(ticket), error),
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
            DiskJob::PinRealm { .. }
            | DiskJob::Open { .. }
            | DiskJob::Close
            | DiskJob::Inquire { .. }
            | DiskJob::Commit { .. } => unreachable!("these are done elsewhere"),
        }
    }

    fn open_log(&self) -> Result<&Log, DiskError> {
        self.log.as_ref().map(|(log, _)| log).ok_or_else(no_log)
    }

    fn close(&mut self) {
        self.chores.drop_all();
        self.turns = Turns::default();
        if let Some((log, _)) = self.log.take() {
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

/// Writes the group as one, as safely as the one that has to survive most. If that fails, each alone: what comes before
/// a bad commit does not fail with it.
fn commit_group(log: &mut Log, turns: &mut Turns, group: &[Queued]) -> Vec<Result<(), DiskError>> {
    if turns.is_free() && group.len() > 1 {
        let survives = group.iter().map(|queued| queued.survives).max().unwrap_or(Survives::Machine);
        if log.commit(group.iter().map(|queued| queued.writes.as_slice()), survives).is_ok() {
            return vec![Ok(()); group.len()];
        }
    }
    let mut alone = |queued: &Queued| {
        turns.take(queued.ticket, || log.commit(iter::once(queued.writes.as_slice()), queued.survives))
    };
    group.iter().map(&mut alone).collect()
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
    use common::message::event::{Content, Event, KIND_TEXT, NO_EVENT, WireEvent};
    use common::names::UserName;
    use common::queue::bounded;
    use common::time::UnixMillis;
    use common::wire::bounded::Blob;
    use common::wire::codec;
    use std::time::Duration;
    use tempfile::TempDir;

    use crate::ports::{Answer, LoadedLog, SearchFor, StoredEvent};

    const TALK: ConversationId = ConversationId([1; 32]);
    const BOB: IdentityKey = IdentityKey([2; 32]);
    /// More than any of these tests asks at a time.
    const QUEUE: usize = 4096;

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
            let ((jobs, to_do), (done, replies)) = (bounded(QUEUE), bounded(QUEUE));
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

    /// A line of Bob's that decodes.
    fn said(number: u64, text: &str) -> Write {
        let (kind, body) = Content::Text(text.to_owned()).encode().unwrap();
        let (at, previous, chain) = (UnixMillis(0), NO_EVENT, ChainId([9; 16]));
        let said = Event {
            conversation: TALK,
            author: BOB,
            chain,
            number,
            previous,
            parents: Default::default(),
            head: 0,
            lamport: 1,
            at,
            kind,
            body,
        };
        let wire = WireEvent { bytes: Blob::new(codec::encode(&said)).unwrap(), signature: None };
        let Write::Event { event, .. } = event(number, text) else { unreachable!("it is an event") };
        Write::Event { event: Box::new(StoredEvent { id: wire.id(), wire, ..*event }), recipients: None }
    }

    fn commit(ticket: u64, writes: Vec<Write>) -> DiskJob {
        DiskJob::Commit { ticket, writes: Arc::new(writes), survives: Survives::Machine }
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
    fn what_comes_behind_a_failed_commit_waits_until_it_is_taken() {
        let desk = Desk::start(vec![
            open("alice"),
            commit(1, vec![conversation(), event(1, "one")]),
            commit(2, vec![event(2, "two"), event(1, "a lie")]),
            commit(3, vec![event(3, "three")]),
        ]);
        desk.opened();
        let failed = |awaited| {
            let reply = desk.reply("a failure");
            assert!(matches!(reply, DiskReply::Failed { ticket: Some(which), .. } if which == awaited), "{reply:?}");
        };
        assert!(matches!(desk.reply("the first"), DiskReply::Committed { ticket: 1 }));
        failed(2);
        failed(3);
        desk.ask(commit(5, vec![event(5, "five")]));
        failed(5);
        // What is younger than 3 waits even if the answer about 3 was not heard when 2 was tried again.
        for (ticket, text) in [(2, "two"), (4, "four"), (3, "three"), (4, "four"), (5, "five")] {
            desk.ask(commit(ticket, vec![event(ticket, text)]));
        }
        assert!(matches!(desk.reply("the mended one"), DiskReply::Committed { ticket: 2 }));
        failed(4);
        for awaited in [3, 4, 5] {
            let reply = desk.reply("those behind it");
            assert!(matches!(reply, DiskReply::Committed { ticket } if ticket == awaited), "{reply:?}");
        }
        desk.ask(history(6));
        let reply = desk.reply("the history");
        let DiskReply::HistoryRead { events, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
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
    fn a_search_finds_what_was_committed_right_before_it_and_holds_up_nobody() {
        let words = vec!["needle".to_owned()];
        let search = Inquiry::Search(SearchFor { words, ..SearchFor::default() });
        let mut queued = vec![open("alice"), commit(0, vec![conversation()])];
        queued.extend((1..=1200).map(|number| commit(number, vec![said(number, "hay")])));
        queued.push(commit(1201, vec![said(1201, "a needle")]));
        queued.push(DiskJob::Inquire { ticket: 1202, inquiry: search });
        queued.extend((1203..=1210).map(history));
        let desk = Desk::start(queued);
        desk.opened();
        for ticket in 0..=1201 {
            assert!(matches!(desk.reply("a commit"), DiskReply::Committed { ticket: which } if which == ticket));
        }
        let replies: Vec<DiskReply> = (0..9).map(|_| desk.reply("histories and what was found")).collect();
        let found = replies.iter().position(|reply| match reply {
            DiskReply::Answered { ticket: 1202, answer: Answer::Found { found, .. } } => found[0].event.number == 1201,
            _ => false,
        });
        assert!(found.expect("the needle") > 0, "a job comes between two chunks of indexing");
    }

    #[test]
    fn a_copy_is_made_anew_and_privately_or_not_at_all() {
        let desk = Desk::start(vec![open("alice"), commit(1, vec![conversation(), said(1, "one"), said(2, "two")])]);
        desk.opened();
        desk.reply("the commit");
        let path = desk.folder.path().join("copy.txt");
        let begin = |ticket| {
            let path = path.display().to_string();
            let inquiry = Inquiry::Export { path, conversation: None, not_before: None };
            DiskJob::Inquire { ticket, inquiry }
        };
        let text =
            |ticket, text: &str| DiskJob::Inquire { ticket, inquiry: Inquiry::ExportText { text: text.to_owned() } };
        desk.ask(begin(2));
        let page = desk.reply("a page");
        let DiskReply::Answered { answer: Answer::ExportPage { events, .. }, .. } = &page else { panic!("{page:?}") };
        assert_eq!(events.len(), 2);
        desk.ask(text(2, "one\ntwo\n"));
        let done = desk.reply("the end of the copy");
        assert!(matches!(done, DiskReply::Answered { ticket: 2, answer: Answer::Exported { .. } }), "{done:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        #[cfg(unix)]
        assert_eq!(super::super::files::tests::mode(&path), 0o600);
        desk.ask(begin(3));
        let refused = desk.reply("a refusal");
        let DiskReply::Failed { ticket: Some(3), error } = &refused else { panic!("{refused:?}") };
        assert!(error.text.contains("is there already"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n", "left as it is");
        std::fs::remove_file(&path).unwrap();
        desk.ask(begin(4));
        desk.reply("a page");
        assert!(path.exists());
        desk.ask(text(9, "of another"));
        assert!(matches!(desk.reply("a refusal"), DiskReply::Failed { ticket: Some(9), .. }));
        desk.stop();
        assert!(!path.exists(), "half a copy is none");
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
