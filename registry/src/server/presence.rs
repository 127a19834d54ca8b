//! Whose coming and going a session is to be told of, and when: that somebody came at once, that somebody went after a
//! rest, in which they may be back, and anything more only once it has rested, so that twenty changes cost little more than one. Decides, no more: a courier asks what is true, and tells it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::names::UserName;

use crate::service::SessionId;

/// See the module.
#[derive(Debug)]
pub(super) struct Presence {
    rest: Duration,
    // Everybody with something to be told, and everybody who rests.
    receivers: HashMap<SessionId, Changed>,
    // Those who may be told now, whoever came first.
    due: VecDeque<SessionId>,
    // Those told a moment ago, by the end of their rest: it is the same for all, so this stays sorted.
    resting: VecDeque<(Instant, SessionId)>,
}

/// Who came or went, in the order it happened; somebody who did both is in it twice. Shared by all who are to be told.
pub(super) type Changed = Vec<Arc<UserName>>;

impl Presence {
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, receivers: HashMap::new(), due: VecDeque::new(), resting: VecDeque::new() }
    }

    /// Somebody `came` or went, and these are to hear of it.
    pub(super) fn changed(&mut self, now: Instant, (user, came): (&UserName, bool), to: &[SessionId]) {
        let user = Arc::new(user.clone());
        for &receiver in to {
            let (due, resting, rested) = (&mut self.due, &mut self.resting, now + self.rest);
            let changed = self.receivers.entry(receiver).or_insert_with(|| {
                if came {
                    due.push_back(receiver);
                } else {
                    resting.push_back((rested, receiver));
                }
                Changed::new()
            });
            changed.push(Arc::clone(&user));
        }
    }

    /// When there may be something to tell.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        if self.due.is_empty() { self.resting.front().map(|(rested, _)| *rested) } else { Some(now) }
    }

    /// Somebody who may be told now, and of whom; they rest from now on.
    pub(super) fn next(&mut self, now: Instant) -> Option<(SessionId, Changed)> {
        let receiver = match self.due.pop_front() {
            Some(receiver) => receiver,
            None => self.next_rested(now)?,
        };
        let changed = std::mem::take(self.receivers.get_mut(&receiver)?);
        self.resting.push_back((now + self.rest, receiver));
        Some((receiver, changed))
    }

    // Of those whose rest is over, the first with something to be told; the ones before are forgotten.
    fn next_rested(&mut self, now: Instant) -> Option<SessionId> {
        while let Some((_, receiver)) = self.resting.pop_front_if(|(rested, _)| *rested <= now) {
            if self.receivers.get(&receiver).is_some_and(|changed| !changed.is_empty()) {
                return Some(receiver);
            }
            self.receivers.remove(&receiver);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(50);
    const FIRST: SessionId = SessionId(1);
    const SECOND: SessionId = SessionId(2);

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn told(presence: &mut Presence, now: Instant) -> Vec<(SessionId, String)> {
        let names = |changed: Changed| changed.iter().map(|user| user.as_str()).collect::<Vec<_>>().join(" ");
        std::iter::from_fn(|| presence.next(now)).map(|(to, changed)| (to, names(changed))).collect()
    }

    #[test]
    fn the_first_change_is_told_at_once_and_what_follows_after_a_rest() {
        let (begun, mut presence) = (Instant::now(), Presence::new(REST));
        let now = begun;
        let at = |millis| begun + Duration::from_millis(millis);
        presence.changed(now, (&user("alice"), true), &[FIRST, SECOND]);
        assert_eq!(presence.next_wake(begun), Some(begun));
        assert_eq!(told(&mut presence, begun), [(FIRST, "alice".into()), (SECOND, "alice".into())]);
        presence.changed(now, (&user("bob"), true), &[SECOND]);
        presence.changed(now, (&user("alice"), true), &[SECOND]);
        assert_eq!(told(&mut presence, at(49)), []);
        assert_eq!(presence.next_wake(at(49)), Some(at(50)));
        assert_eq!(told(&mut presence, at(50)), [(SECOND, "bob alice".into())]);
        presence.changed(now, (&user("carol"), true), &[FIRST, SECOND]);
        assert_eq!(told(&mut presence, at(60)), [(FIRST, "carol".into())], "it had rested");
        assert_eq!(told(&mut presence, at(100)), [(SECOND, "carol".into())]);
    }

    #[test]
    fn what_comes_before_somebody_was_told_is_told_together() {
        let (now, mut presence) = (Instant::now(), Presence::new(REST));
        presence.changed(now, (&user("alice"), true), &[FIRST, SECOND]);
        assert_eq!(presence.next(now).map(|(to, _)| to), Some(FIRST));
        presence.changed(now, (&user("bob"), true), &[FIRST, SECOND]);
        assert_eq!(told(&mut presence, now), [(SECOND, "alice bob".into())]);
    }

    #[test]
    fn whoever_is_back_in_a_moment_was_not_gone() {
        let (now, mut presence) = (Instant::now(), Presence::new(REST));
        presence.changed(now, (&user("alice"), false), &[FIRST]);
        presence.changed(now, (&user("alice"), true), &[FIRST]);
        assert_eq!(told(&mut presence, now), []);
        assert_eq!(presence.next_wake(now), Some(now + REST));
        assert_eq!(told(&mut presence, now + REST), [(FIRST, "alice alice".into())], "the courier asks what is true");
    }

    #[test]
    fn nobody_is_kept_after_a_rest_in_which_nothing_changed() {
        let (now, mut presence) = (Instant::now(), Presence::new(REST));
        presence.changed(now, (&user("alice"), true), &[FIRST]);
        assert_eq!(told(&mut presence, now).len(), 1);
        assert_eq!(told(&mut presence, now + REST), []);
        assert_eq!(presence.next_wake(now + REST), None);
        assert!(presence.receivers.is_empty());
    }
}
