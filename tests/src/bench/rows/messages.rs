//! Messages: one to one, and to rooms.

use super::super::contenders::ALL;
use super::super::contestant::Candidate;
use super::super::plan::Plan;
use super::super::{limits, peers};

pub(super) fn one_to_one(plan: &Plan) -> Vec<Candidate> {
    let samples = plan.number(2000, 20);
    let contenders = ALL.into_iter().map(|one| one.candidate(move |server| Ok(server.stage(1)?.latency(samples))));
    let limit = Candidate::limit("TCP through two threads", move |_| Ok(limits::two_hops()?.latency(samples)));
    let ours = Candidate::ours("p2p-chat", move |_| Ok(peers::pair()?.latency(samples)));
    [limit, ours].into_iter().chain(contenders).collect()
}

pub(super) fn one_to_one_flow(plan: &Plan) -> Vec<Candidate> {
    let count = plan.number(100_000, 400);
    let contenders = ALL.into_iter().map(|one| one.candidate(move |server| Ok(server.stage(1)?.flow(count))));
    let limit = Candidate::limit("sealed batches over TCP", move |_| Ok(limits::sealed(1)?.flow(count)));
    let ours = Candidate::ours("p2p-chat", move |_| Ok(peers::pair()?.flow(count)));
    [limit, ours].into_iter().chain(contenders).collect()
}

pub(super) fn room_of_10(plan: &Plan) -> Vec<Candidate> {
    room(plan.number(10, 3), plan.number(1000, 10))
}

pub(super) fn room_of_50(plan: &Plan) -> Vec<Candidate> {
    room(plan.number(50, 4), plan.number(300, 5))
}

pub(super) fn room_flow(plan: &Plan) -> Vec<Candidate> {
    let (members, count) = (plan.number(10, 3), plan.number(50_000, 200));
    let (listeners, contenders) = (members - 1, ALL.into_iter().filter(|one| one.has_rooms()));
    let contenders = contenders.map(|one| one.candidate(move |server| Ok(server.stage(listeners)?.flow(count))));
    let limit = Candidate::limit("sealed batches to each", move |_| Ok(limits::sealed(listeners)?.flow(count)));
    let ours = Candidate::ours("p2p-chat", move |_| Ok(peers::room(members)?.flow(count)));
    [limit, ours].into_iter().chain(contenders).collect()
}

/// The same by how many members there are; the more, the longer each message takes.
pub(super) fn room_of(plan: &Plan, members: usize) -> Vec<Candidate> {
    let candidates = room(members, plan.number(300, 5)).into_iter();
    candidates.filter(|one| one.package.is_none_or(|package| package == "ngircd")).collect()
}

fn room(members: usize, samples: usize) -> Vec<Candidate> {
    let (listeners, contenders) = (members - 1, ALL.into_iter().filter(|one| one.has_rooms()));
    let contenders = contenders.map(|one| one.candidate(move |server| Ok(server.stage(listeners)?.latency(samples))));
    let limit =
        Candidate::limit("one thread seals and writes", move |_| Ok(limits::sealed(listeners)?.latency(samples)));
    let ours = Candidate::ours("p2p-chat", move |_| Ok(peers::room(members)?.latency(samples)));
    [limit, ours].into_iter().chain(contenders).collect()
}
