//! What the registry costs by how much of everything there is: for three curves.

use std::io;
use std::time::Instant;

use common::message::registry::{Reply, Request};

use super::super::child::resident_kib;
use super::super::contestant::{Candidate, each};
use super::super::figures::{Column, quantile};
use super::super::fleet::{self, Fleet, millis, person};
use super::super::plan::Plan;

pub(super) const MEMORY: &[Column] = &[Column::cost("memory", "memory a session", "KiB")];
pub(super) const SIGN_IN: &[Column] = &[Column::cost("sign_in", "connection to signed in", "ms")];

/// Memory that each of so many idle sessions takes.
pub(super) fn sessions_of(_: &Plan, sessions: usize) -> Vec<Candidate> {
    vec![Candidate::ours("p2p-chat", move |_| {
        let mut fleet = Fleet::start(sessions);
        Ok(each(move || {
            let pid = fleet.pid();
            let before = resident_kib(pid)?;
            let mut links = fleet.sign_in_all(0..sessions)?;
            fleet::ping(&mut links)?;
            let grown = resident_kib(pid)? - before;
            drop(links);
            fleet.registry.restart();
            Ok(vec![("memory", grown / sessions as f64)])
        }))
    })]
}

/// A sign-in by device among so many accounts.
pub(super) fn sign_in_among(_: &Plan, accounts: usize) -> Vec<Candidate> {
    vec![Candidate::ours("p2p-chat", move |_| {
        let come = accounts.min(WHO_COME);
        let fleet = Fleet::start_among(come, accounts - come, &[]);
        Ok(each(move || {
            let mut took = (0..come).map(|number| sign_in(&fleet, number)).collect::<io::Result<Vec<_>>>()?;
            Ok(vec![("sign_in", quantile(&mut took, 0.5))])
        }))
    })]
}

fn sign_in(fleet: &Fleet, number: usize) -> io::Result<f64> {
    let begun = Instant::now();
    let mut link = fleet.connect(number)?;
    match link.try_ask(Request::Resume { user: person(number).name })? {
        Ok(Reply::SignedIn { .. }) => Ok(millis(begun)),
        other => Err(io::Error::other(format!("a sign-in was answered with {other:?}"))),
    }
}

const WHO_COME: usize = 200;
