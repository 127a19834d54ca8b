//! Everybody loses the registry at once, and comes back by device, all of them at the same moment; others sign in by
//! password meanwhile.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::message::registry::{Reply, Request};

use super::super::contestant::{Candidate, Values, each};
use super::super::figures::Column;
use super::super::fleet::{Fleet, person};
use super::super::plan::Plan;
use crate::wire::{Knock, Person, RegistryLink};

pub(super) const STORM: &[Column] = &[
    Column::cost("back", "all back after", "s"),
    Column::cost("again", "attempts that failed", ""),
    Column::cost("password", "the slowest password meanwhile", "s"),
];

pub(super) fn storm(plan: &Plan) -> Vec<Candidate> {
    let count = plan.number(5000, 40);
    vec![Candidate::ours("p2p-chat", move |_| {
        let mut fleet = Fleet::start_with(count, AS_SHIPPED);
        let newcomer = Person::new("newcomer");
        drop(RegistryLink::sign_up(fleet.registry.address(), &newcomer));
        Ok(each(move || once(&mut fleet, &newcomer)))
    })]
}

fn once(fleet: &mut Fleet, newcomer: &Person) -> io::Result<Values> {
    let address: Arc<str> = fleet.registry.address().into();
    let before = come_all(&address, fleet.accounts)?;
    fleet.registry.kill();
    drop(before);
    fleet.registry.restart();
    let begun = Instant::now();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let password = scope.spawn(|| slowest_password(&address, newcomer, &is_over));
        let back = come_all(&address, fleet.accounts);
        let seconds = begun.elapsed().as_secs_f64();
        is_over.store(true, Ordering::Relaxed);
        let password = password.join().map_err(|_| io::Error::other("it panicked"))??;
        let (_, failed) = back?;
        Ok(vec![("back", seconds), ("again", failed as f64), ("password", password)])
    })
}

/// Sessions of everybody, and how many attempts failed on the way.
fn come_all(address: &str, count: usize) -> io::Result<(Vec<RegistryLink>, usize)> {
    let all: Vec<usize> = (0..count).collect();
    let share = all.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.chunks(share).map(|some| scope.spawn(|| come(address, some))).collect();
        let (mut links, mut failed) = (Vec::with_capacity(count), 0);
        for thread in threads {
            let (some, again) = thread.join().map_err(|_| io::Error::other("it panicked"))??;
            links.extend(some);
            failed += again;
        }
        Ok((links, failed))
    })
}

/// All of them knock before the first of them enters; who fails tries again after the pause a program makes.
fn come(address: &str, numbers: &[usize]) -> io::Result<(Vec<RegistryLink>, usize)> {
    let (mut inside, mut failed) = (Vec::with_capacity(numbers.len()), 0);
    let mut outside: Vec<usize> = numbers.to_vec();
    let deadline = Instant::now() + PATIENCE;
    while !outside.is_empty() {
        let knock = |number| Knock::from(household(number), address, &person(number));
        let knocks: Vec<_> = outside.iter().map(|&number| (number, knock(number))).collect();
        outside.clear();
        for (number, knock) in knocks {
            match knock.and_then(Knock::enter).and_then(|link| resume(link, number)) {
                Ok(link) => inside.push(link),
                Err(error) if is_outside(&error) => outside.push(number),
                Err(error) => return Err(error),
            }
        }
        failed += outside.len();
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{} are still outside", outside.len())));
        }
        if !outside.is_empty() {
            let _ = crossbeam_channel::after(PAUSE).recv();
        }
    }
    Ok((inside, failed))
}

fn resume(mut link: RegistryLink, number: usize) -> io::Result<RegistryLink> {
    match link.try_ask(Request::Resume { user: person(number).name })? {
        Ok(Reply::SignedIn { .. }) => Ok(link),
        other => Err(io::Error::other(format!("a device was answered with {other:?}"))),
    }
}

/// Signs in by password over and over.
fn slowest_password(address: &str, newcomer: &Person, is_over: &AtomicBool) -> io::Result<f64> {
    let mut slowest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        // Put out to make room for others: a program comes again, and its person waits that long.
        while let Err(error) = sign_in(address, newcomer) {
            if !is_outside(&error) || begun.elapsed() > PATIENCE {
                return Err(error);
            }
            let _ = crossbeam_channel::after(PAUSE).recv();
        }
        slowest = slowest.max(begun.elapsed());
    }
    Ok(slowest.as_secs_f64())
}

fn sign_in(address: &str, newcomer: &Person) -> io::Result<()> {
    let mut link = RegistryLink::try_connect(address, newcomer)?;
    let statement = newcomer.statement(link.realm());
    match link.try_ask(Request::SignIn { auth: newcomer.auth, statement })? {
        Ok(Reply::SignedIn { .. }) => Ok(()),
        other => Err(io::Error::other(format!("a password was answered with {other:?}"))),
    }
}

/// Where somebody lives: some are behind one address.
fn household(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number / HOUSEHOLD + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// It was not let in, or not heard to the end; anything else is an answer that nobody should get.
fn is_outside(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::Other
}

/// What tests set otherwise.
const AS_SHIPPED: &[&str] = &[
    "passwords.bcrypt_cost=12",
    "limits.sessions_per_source=1024",
    "limits.unauthenticated=2048",
    "limits.unauthenticated_per_source=16",
];
const HOUSEHOLD: usize = 10;
/// The client side is to cost what two cores have.
const THREADS: usize = 4;
/// What a program waits before its second attempt, less its jitter.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);
