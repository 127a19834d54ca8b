//! Who is a neighbour of whom in a large room, and how far two members are apart: worked out from who belongs to the room
//! and who is there. The members lie on some rings, on each in another order that a hash gives them, and are neighbours
//! of those beside them. A few random rings make an expander: any two of 500 are five steps apart at most, and it holds
//! together when a fifth of them vanishes. Whoever goes leaves the place on each ring to the next.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{self, ConversationId, IdentityKey};

/// Where a member lies on each ring.
pub(super) type Place = [u64; RINGS];

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    /// In their order, and where each lies.
    members: Vec<(IdentityKey, Place)>,
    near: Vec<BTreeSet<usize>>,
    /// To an author, of everybody: worked out when it is asked for.
    distances: BTreeMap<IdentityKey, Vec<u8>>,
}

/// The place of a member of a room.
pub(super) fn place(room: &ConversationId, identity: &IdentityKey) -> Place {
    let hash = ids::hash("p2p-chat overlay v1", &[room.as_bytes(), identity.as_bytes()]);
    let mut place = [0; RINGS];
    for (position, bytes) in place.iter_mut().zip(hash.chunks_exact(size_of::<u64>())) {
        *position = u64::from_be_bytes(bytes.try_into().expect("chunks of eight bytes"));
    }
    place
}

/// The neighbours of whoever lies at `mine`. Each of `others` comes with its place and whether it can be reached, as far
/// as that is known: beyond one that cannot, the next is a neighbour as well.
pub(super) fn neighbours<'a>(
    mine: &Place,
    others: impl Iterator<Item = (&'a IdentityKey, &'a Place, bool)> + Clone,
) -> BTreeSet<IdentityKey> {
    let mut near = BTreeSet::new();
    for (ring, here) in mine.iter().enumerate() {
        for ahead in [true, false] {
            let distance = |place: &Place| match ahead {
                true => place[ring].wrapping_sub(*here),
                false => here.wrapping_sub(place[ring]),
            };
            let nearest = |is_sought: &dyn Fn(bool, u64) -> bool| {
                let sought = others.clone().filter(|(_, place, reached)| is_sought(*reached, distance(place)));
                sought.map(|(identity, place, _)| (distance(place), *identity)).min()
            };
            let next = nearest(&|reached, _| reached);
            // Of those that lie before it, one is still tried.
            let vain = nearest(&|reached, at| !reached && next.is_none_or(|(nearest, _)| at < nearest));
            near.extend(next.into_iter().chain(vain).map(|(_, identity)| identity));
        }
    }
    near
}

impl Graph {
    pub(super) fn new(mut members: Vec<(IdentityKey, Place)>) -> Self {
        members.sort_unstable();
        let mut near = vec![BTreeSet::new(); members.len()];
        let mut order: Vec<usize> = (0..members.len()).collect();
        for ring in 0..RINGS {
            order.sort_unstable_by_key(|member| (members[*member].1[ring], *member));
            for (at, one) in order.iter().enumerate() {
                let next = order[(at + 1) % order.len()];
                if next != *one {
                    near[*one].insert(next);
                    near[next].insert(*one);
                }
            }
        }
        Self { members, near, distances: BTreeMap::new() }
    }

    /// How many steps lie between an author and somebody.
    pub(super) fn distance(&mut self, author: &IdentityKey, member: &IdentityKey) -> Option<u8> {
        let member = self.index(member)?;
        Some(self.distances_to(author)?[member])
    }

    /// Whether `by` passes on to `to` what `author` says: two of those that are nearer to the author do.
    pub(super) fn passes_on(&mut self, author: &IdentityKey, by: &IdentityKey, to: &IdentityKey) -> bool {
        let (Some(by), Some(to)) = (self.index(by), self.index(to)) else { return false };
        let Some(distances) = self.distances_to(author) else { return false };
        let nearer = |member: &usize, than: usize, distances: &[u8]| distances[*member] < distances[than];
        if !nearer(&by, to, distances) || !self.near[to].contains(&by) {
            return false;
        }
        let distances = &self.distances[author];
        let rank = |member: usize| (self.members[member].1[0] ^ self.members[to].1[0], member);
        let before = self.near[to].iter().filter(|other| nearer(other, to, distances) && rank(**other) < rank(by));
        before.count() < PASSED_ON_BY
    }

    pub(super) fn has(&self, member: &IdentityKey) -> bool {
        self.index(member).is_some()
    }

    fn index(&self, member: &IdentityKey) -> Option<usize> {
        self.members.binary_search_by_key(member, |(identity, _)| *identity).ok()
    }

    fn distances_to(&mut self, author: &IdentityKey) -> Option<&[u8]> {
        if !self.distances.contains_key(author) {
            let start = self.index(author)?;
            if self.distances.len() >= DISTANCES_MAX {
                self.distances.clear();
            }
            self.distances.insert(*author, self.search(start));
        }
        self.distances.get(author).map(Vec::as_slice)
    }

    /// From one member outwards, ring of neighbours by ring of neighbours.
    fn search(&self, start: usize) -> Vec<u8> {
        let mut distances = vec![u8::MAX; self.members.len()];
        distances[start] = 0;
        let mut reached = vec![start];
        let mut steps = 0u8;
        while !reached.is_empty() {
            steps = steps.saturating_add(1);
            let mut next = Vec::new();
            for neighbour in reached.iter().flat_map(|member| &self.near[*member]) {
                if distances[*neighbour] == u8::MAX {
                    distances[*neighbour] = steps;
                    next.push(*neighbour);
                }
            }
            reached = next;
        }
        distances
    }
}

/// A member has two neighbours on each.
const RINGS: usize = 4;
/// One more than are needed while all goes well.
const PASSED_ON_BY: usize = 2;
/// Authors who speak at a time; a byte for every member and each of them.
const DISTANCES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: ConversationId = ConversationId([7; 32]);

    fn identity(number: usize) -> IdentityKey {
        IdentityKey(ids::hash("a member", &[&number.to_be_bytes()]))
    }

    fn crowd(count: usize) -> Vec<(IdentityKey, Place)> {
        (0..count).map(|number| (identity(number), place(&ROOM, &identity(number)))).collect()
    }

    fn beside(crowd: &[(IdentityKey, Place)], member: usize) -> BTreeSet<IdentityKey> {
        let others = crowd.iter().filter(|(other, _)| *other != crowd[member].0);
        neighbours(&crowd[member].1, others.map(|(other, place)| (other, place, true)))
    }

    #[test]
    fn both_ends_come_to_the_same_neighbours() {
        for count in [13, 50, 500] {
            let crowd = crowd(count);
            let graph = Graph::new(crowd.clone());
            for member in 0..count {
                let of = |index: &usize| graph.members[*index].0;
                let index = graph.index(&crowd[member].0).unwrap();
                let by_graph: BTreeSet<_> = graph.near[index].iter().map(of).collect();
                assert_eq!(beside(&crowd, member), by_graph);
                assert!(by_graph.len() <= 2 * RINGS);
            }
        }
    }

    #[test]
    fn everybody_is_near_and_hears_from_two() {
        let crowd = crowd(500);
        let mut graph = Graph::new(crowd.clone());
        for author in (0..500).step_by(50) {
            let author = crowd[author].0;
            for (member, _) in crowd.iter().filter(|(member, _)| *member != author) {
                let distance = graph.distance(&author, member).unwrap();
                assert!(distance <= 5, "{distance} steps");
                let by = crowd.iter().filter(|(by, _)| graph.passes_on(&author, by, member)).count();
                assert!((1..=PASSED_ON_BY).contains(&by), "{by} pass it on at {distance} steps");
            }
        }
    }

    #[test]
    fn what_is_left_holds_together_when_a_fifth_vanishes() {
        for start in 0..20 {
            let all = crowd(500);
            let full = Graph::new(all.clone());
            // Nobody has looked for new neighbours yet.
            let is_gone = |index: &usize| (index * 7 + start * 13).is_multiple_of(5);
            let left: Vec<usize> = (0..500).filter(|index| !is_gone(index)).collect();
            let mut reached = BTreeSet::from([left[0]]);
            let mut open = vec![left[0]];
            while let Some(member) = open.pop() {
                for next in full.near[member].iter().filter(|next| !is_gone(next)) {
                    if reached.insert(*next) {
                        open.push(*next);
                    }
                }
            }
            assert_eq!(reached.len(), left.len());
        }
    }

    #[test]
    fn the_next_takes_the_place_of_one_that_cannot_be_reached() {
        let crowd = crowd(100);
        let before = beside(&crowd, 0);
        let lost = *before.first().unwrap();
        let others = crowd[1..].iter().map(|(other, place)| (other, place, *other != lost));
        let after = neighbours(&crowd[0].1, others);
        assert!(after.contains(&lost), "it is still tried");
        assert!(before.is_subset(&after) && after.len() > before.len());
        let others = crowd[1..].iter().filter(|(other, _)| *other != lost);
        let without = neighbours(&crowd[0].1, others.map(|(other, place)| (other, place, true)));
        assert!(without.is_subset(&after) && !without.contains(&lost));
    }
}
