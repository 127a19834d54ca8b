//! A load generator: thousands of sessions with a registry in one process and few threads, over the real protocol.
//! Accounts are put into the registry's store before it starts, with their devices enrolled, so that neither bcrypt
//! nor Argon2 is spent on any of them.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use common::message::registry::{News, Reply, Request};
use common::names::UserName;
use common::time::UnixMillis;
use common::wire::bounded::List;
use registry::store::folder::Folder;
use registry::store::sqlite::SqliteStore;
use registry::store::{Account, Accounts};

use crate::programs::Registry;
use crate::wire::{Person, RegistryLink};

/// A registry with accounts, and a number for each.
pub(super) struct Fleet {
    pub(super) registry: Registry,
    pub(super) accounts: usize,
}

impl Fleet {
    /// A registry that knows so many people.
    pub(super) fn start(accounts: usize) -> Self {
        let sessions = (accounts + 64).to_string();
        let keys = ["sessions", "sessions_per_source", "unauthenticated", "unauthenticated_per_source"];
        let limits: Vec<String> = keys.iter().map(|key| format!("limits.{key}={sessions}")).collect();
        let words: Vec<&str> = limits.iter().flat_map(|limit| ["--set", limit.as_str()]).collect();
        let registry = Registry::start_prepared(&words, |folder| enrol(folder, accounts).expect("an empty folder"));
        Self { registry, accounts }
    }

    /// One session, signed in by its device alone.
    pub(super) fn sign_in(&self, number: usize) -> io::Result<RegistryLink> {
        sign_in(self.registry.address(), number)
    }

    /// Sessions of everybody in `numbers`, signed in by some threads at a time.
    pub(super) fn sign_in_all(&self, numbers: std::ops::Range<usize>) -> io::Result<Vec<RegistryLink>> {
        let address = self.registry.address();
        let all: Vec<usize> = numbers.collect();
        let share = all.len().div_ceil(THREADS).max(1);
        std::thread::scope(|scope| {
            let sign_in = |some: &[usize]| {
                let some = some.to_vec();
                scope.spawn(move || {
                    some.into_iter().map(|number| sign_in(address, number)).collect::<io::Result<Vec<_>>>()
                })
            };
            let threads: Vec<_> = all.chunks(share).map(sign_in).collect();
            let mut links = Vec::with_capacity(all.len());
            for thread in threads {
                links.extend(thread.join().map_err(|_| io::Error::other("a sign-in panicked"))??);
            }
            Ok(links)
        })
    }

    pub(super) fn pid(&mut self) -> u32 {
        self.registry.process().pid()
    }
}

/// Signs in over one connection: nothing but the handshake and one request.
fn sign_in(address: &str, number: usize) -> io::Result<RegistryLink> {
    let person = person(number);
    let mut link = RegistryLink::try_connect(address, &person)?;
    match link.ask(Request::Resume { user: person.name }) {
        Ok(Reply::SignedIn { .. }) => Ok(link),
        other => Err(io::Error::other(format!("a sign-in was answered with {other:?}"))),
    }
}

/// Has every session told when `name` comes and goes.
pub(super) fn watch(links: &mut [RegistryLink], name: &UserName) -> io::Result<()> {
    each(links, |link| {
        let names = List::cut(vec![name.clone()]);
        match link.ask(Request::Watch { names }) {
            Ok(Reply::Watching { .. }) => Ok(()),
            other => Err(io::Error::other(format!("a watch was answered with {other:?}"))),
        }
    })
}

/// Waits until every session was told that `name` is there, or is not.
pub(super) fn told(links: &mut [RegistryLink], name: &UserName, online: bool) -> io::Result<()> {
    each(links, |link| {
        let wanted = |news: &News| {
            let News::Presence { changes } = news else { return false };
            changes.iter().any(|change| change.user == *name && change.online == online)
        };
        loop {
            if wanted(&link.next_news().map_err(|_| io::Error::other("news did not come"))?) {
                return Ok(());
            }
        }
    })
}

/// Says that all of them are still there, as programs do every half minute.
pub(super) fn ping(links: &mut [RegistryLink]) -> io::Result<()> {
    each(links, |link| match link.ask(Request::Ping) {
        Ok(Reply::Done) => Ok(()),
        other => Err(io::Error::other(format!("a ping was answered with {other:?}"))),
    })
}

/// The same for all, by some threads at a time.
fn each(links: &mut [RegistryLink], act: impl Fn(&mut RegistryLink) -> io::Result<()> + Sync) -> io::Result<()> {
    let share = links.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            links.chunks_mut(share).map(|some| scope.spawn(|| some.iter_mut().try_for_each(&act))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| io::Error::other("it panicked"))?)
    })
}

/// Somebody with this number; always the same.
pub(super) fn person(number: usize) -> Person {
    Person::new(&format!("one{number}"))
}

/// Puts accounts into a folder that no registry runs on yet.
fn enrol(folder: &Path, accounts: usize) -> io::Result<()> {
    let folder = Folder::open(folder).map_err(io::Error::other)?;
    let realm = folder.keys().map_err(io::Error::other)?.realm();
    let store = SqliteStore::open(&folder.database().map_err(io::Error::other)?, &realm).map_err(io::Error::other)?;
    let numbers: Vec<usize> = (0..accounts).collect();
    // Many at a time, so that they share commits.
    let share = accounts.div_ceil(WRITERS).max(1);
    std::thread::scope(|scope| {
        for some in numbers.chunks(share) {
            let store = &store;
            scope.spawn(move || {
                for number in some {
                    let statement = person(*number).statement(realm);
                    let claim = statement.claim().expect("made a moment ago");
                    let account = Account { statement, claim, password: NO_PASSWORD.to_owned(), last_seen: None };
                    store.create_account(&account, UnixMillis(0)).expect("the store takes a new account");
                }
            });
        }
    });
    Ok(())
}

/// How long something took, in milliseconds.
pub(super) fn millis(begun: Instant) -> f64 {
    Duration::as_secs_f64(&begun.elapsed()) * 1000.0
}

/// No password has this hash: these people sign in by their devices.
const NO_PASSWORD: &str = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// The client side is to cost what two cores have.
const THREADS: usize = 4;
const WRITERS: usize = 64;
