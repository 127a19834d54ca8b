//! A load generator: thousands of sessions with a registry in one process and few threads, over the real protocol.
//! Accounts are put into the registry's store before it starts, with their devices enrolled, so that neither bcrypt
//! nor Argon2 is spent on any of them.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use common::ids::{RealmId, hash};
use common::message::registry::{News, Reply, Request};
use common::names::UserName;
use common::time::UnixMillis;
use common::wire::bounded::List;
use registry::store::folder::Folder;
use registry::store::sqlite::SqliteStore;
use registry::store::{Account, Accounts};
use rusqlite::{Connection, ToSql};

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
        Self::start_with(accounts, &[])
    }

    /// The same with more settings, each `KEY=VALUE`.
    pub(super) fn start_with(accounts: usize, settings: &[&str]) -> Self {
        Self::start_among(accounts, 0, settings)
    }

    /// The same among so many more accounts, which nobody can sign in to.
    pub(super) fn start_among(accounts: usize, others: usize, settings: &[&str]) -> Self {
        // A sign-in by password or two, and people who are no part of it.
        let sessions = (accounts + SPARE).min(SESSIONS_MAX).to_string();
        let keys = ["sessions", "sessions_per_source", "unauthenticated", "unauthenticated_per_source"];
        let limits: Vec<String> = keys.iter().map(|key| format!("limits.{key}={sessions}")).collect();
        let all = limits.iter().map(String::as_str).chain(settings.iter().copied());
        let words: Vec<&str> = all.flat_map(|setting| ["--set", setting]).collect();
        let registry = Registry::start_prepared(&words, |folder| {
            enrol(folder, accounts).expect("an empty folder");
            fill(&folder.join("registry.db"), others).expect("tables that nobody uses");
        });
        Self { registry, accounts }
    }

    /// A connection on which nobody has signed in yet.
    pub(super) fn connect(&self, number: usize) -> io::Result<RegistryLink> {
        RegistryLink::try_connect(self.registry.address(), &person(number))
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

/// Has every session told when one of `names` comes and goes.
pub(super) fn watch(links: &mut [RegistryLink], names: &[UserName]) -> io::Result<()> {
    each(links, |link| {
        let names = List::cut(names.to_vec());
        match link.ask(Request::Watch { names }) {
            Ok(Reply::Watching { .. }) => Ok(()),
            other => Err(io::Error::other(format!("a watch was answered with {other:?}"))),
        }
    })
}

/// Waits until every session was told that all of `names` are there, or are not.
pub(super) fn told(links: &mut [RegistryLink], names: &[&UserName], online: bool) -> io::Result<()> {
    each(links, |link| {
        let mut awaited = names.to_vec();
        while !awaited.is_empty() {
            let News::Presence { changes } = link.next_news().map_err(|_| io::Error::other("news did not come"))?
            else {
                continue;
            };
            let is_told =
                |name: &UserName| changes.iter().any(|change| change.user == *name && change.online == online);
            awaited.retain(|name| !is_told(name));
        }
        Ok(())
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
pub(super) fn each<T: Send>(links: &mut [T], act: impl Fn(&mut T) -> io::Result<()> + Sync) -> io::Result<()> {
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

/// Rows straight into the tables: a million takes seconds. What they claim is somebody else's word; a name and keys are
/// their own.
fn fill(database: &Path, others: usize) -> io::Result<()> {
    let mut connection = Connection::open(database).map_err(io::Error::other)?;
    let changes = connection.transaction().map_err(io::Error::other)?;
    let claim = person(0).statement(RealmId([0; 32])).to_bytes();
    for number in 0..others {
        let (name, key) = (format!("other{number}"), |use_| hash(use_, &[&number.to_be_bytes()]));
        let account = "INSERT INTO account (name, identity, password, created) VALUES (?1, ?2, ?3, 0)";
        let device = "INSERT INTO device (key, account, number, statement) VALUES (?1, ?2, 1, ?3)";
        let put = |query: &str, values: &[&dyn ToSql]| changes.prepare_cached(query)?.execute(values);
        put(account, &[&name, &key("identity"), &NO_PASSWORD])
            .and_then(|_| put(device, &[&key("device"), &name, &claim]))
            .map_err(io::Error::other)?;
    }
    changes.commit().map_err(io::Error::other)
}

/// How long something took, in milliseconds.
pub(super) fn millis(begun: Instant) -> f64 {
    Duration::as_secs_f64(&begun.elapsed()) * 1000.0
}

/// No password has this hash: these people sign in by their devices.
const NO_PASSWORD: &str = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// The most a registry takes.
const SESSIONS_MAX: usize = 15_000;
const SPARE: usize = 64;
/// The client side is to cost what two cores have.
const THREADS: usize = 4;
const WRITERS: usize = 64;
