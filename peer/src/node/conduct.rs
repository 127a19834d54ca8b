//! How the registry behaves: what it says unasked is counted, and answers have to be answers that lead somewhere. One
//! that floods or makes no sense is hung up on, told to the user once, and tried again after pauses that grow.

use std::time::Duration;

use common::ids::IdentityKey;
use common::message::registry::{Code, Refusal};
use common::names::UserName;
use common::time::Monotonic;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::Kind;
use crate::api::Event;
use crate::ports::{Output, RegistryOutput};

/// What is remembered of a registry's conduct.
#[derive(Debug)]
pub(super) struct Conduct {
    /// So much it may still say unasked, as of `counted_at`.
    unasked_left: u64,
    counted_at: Monotonic,
    /// How often it was hung up on.
    failures: u32,
    connect_at: Option<Monotonic>,
}

impl Conduct {
    pub(super) fn new(now: Monotonic) -> Self {
        Self { unasked_left: UNASKED_MAX, counted_at: now, failures: 0, connect_at: None }
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.connect_at
    }

    /// One thing more that nobody asked for. `false`: it is too much.
    fn may_say_unasked(&mut self, now: Monotonic) -> bool {
        let seconds = now.since(self.counted_at).as_secs();
        if seconds > 0 {
            self.unasked_left = UNASKED_MAX.min(self.unasked_left.saturating_add(seconds * UNASKED_PER_SECOND));
            self.counted_at = now;
        }
        let left = self.unasked_left.checked_sub(1);
        self.unasked_left = left.unwrap_or(0);
        left.is_some()
    }
}

impl Account {
    /// Counts news, and answers to what is not asked (any more).
    pub(super) fn said_unasked(&mut self, cx: &mut Context) -> bool {
        let is_fair = self.conduct.may_say_unasked(cx.now.monotonic);
        if !is_fair {
            self.registry_misbehaved(cx, "it says more than anybody asked");
        }
        is_fair
    }

    /// An answer that is none to what was asked.
    pub(super) fn replied_unexpectedly(&mut self, cx: &mut Context, call: Call) {
        self.call_failed(cx, call);
        self.registry_misbehaved(cx, "it gives answers to other questions");
    }

    /// The registry broke the protocol: nothing more of this connection counts.
    pub(super) fn registry_misbehaved(&mut self, cx: &mut Context, what: &str) {
        tracing::warn!(what, "the registry broke the protocol");
        cx.out.push_back(Output::Registry(RegistryOutput::Disconnect));
        self.registry_down(cx);
        let pause = PAUSE_MAX.min(PAUSE * 2u32.saturating_pow(self.conduct.failures.min(PAUSE_DOUBLINGS)));
        self.conduct.connect_at = Some(cx.now.monotonic.plus(pause));
        self.conduct.failures = self.conduct.failures.saturating_add(1);
        if self.conduct.failures == 1 {
            let registry = &cx.settings.registry;
            let text = format!(
                "The registry at {registry} breaks the protocol: {what}. It was hung up on, and is tried again later; links to people stay."
            );
            cx.tell(Event::Refused(Refusal::new(Code::Internal, &text)));
        }
    }

    /// It is given another chance.
    pub(super) fn conduct_timer(&mut self, cx: &mut Context) {
        if self.conduct.connect_at.take_if(|at| *at <= cx.now.monotonic).is_some() {
            self.conduct = Conduct { failures: self.conduct.failures, ..Conduct::new(cx.now.monotonic) };
            let device = Box::new(self.keys.device_secret().clone());
            cx.out.push_back(Output::Registry(RegistryOutput::Connect { device, pinned: self.root }));
        }
    }

    /// Whether somebody's coming and going is any business of mine: a conversation, a room, or something left to say.
    /// Whoever else the registry speaks of is not remembered.
    pub(super) fn is_concerned_with(&self, user: &UserName) -> bool {
        self.conversations.values().any(|conversation| match &conversation.kind {
            Kind::Direct { with } => with == user,
            Kind::Room(room) => {
                let mut named = room.others(&self.me).filter(|(_, member)| member.user == *user);
                named.any(|(identity, _)| room.joined || conversation.awaits(identity))
            }
        })
    }

    /// Whether a name may be that of an identity: nobody else was seen under it.
    pub(super) fn may_be(&self, user: &UserName, identity: &IdentityKey) -> bool {
        match self.people.get(user).and_then(super::people::Contact::identity) {
            Some(pinned) => pinned == *identity,
            None => *user != self.user || *identity == self.me,
        }
    }
}

/// Whether a page of a list goes on where the one before ended, so that asking for the next leads to an end.
pub(super) fn goes_on<'a, T: Ord + 'a>(before: Option<&'a T>, page: impl IntoIterator<Item = &'a T>) -> bool {
    before.into_iter().chain(page).is_sorted_by(|one, other| one < other)
}

/// Said unasked at once: everybody of the largest network coming and going in a minute, many times over; and as much
/// again with time.
const UNASKED_MAX: u64 = 4096;
const UNASKED_PER_SECOND: u64 = 64;

// Everybody enters the largest room at once, comes, goes, and comes again.
const _: () = assert!(UNASKED_MAX >= 4 * common::limits::MEMBERS_MAX as u64);
/// A registry that was replaced by a better one is found again within minutes; one that was not costs little.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(600);
const PAUSE_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_noticed_and_a_busy_registry_is_not_taken_for_one() {
        let mut conduct = Conduct::new(Monotonic(0));
        let heard = (0..2 * UNASKED_MAX).take_while(|_| conduct.may_say_unasked(Monotonic(10))).count();
        assert_eq!(u64::try_from(heard), Ok(UNASKED_MAX));
        let mut conduct = Conduct::new(Monotonic(0));
        let busy = |conduct: &mut Conduct, second: u64| {
            (0..UNASKED_PER_SECOND / 2).all(|_| conduct.may_say_unasked(Monotonic(second * 1000)))
        };
        assert!((1..10_000).all(|second| busy(&mut conduct, second)));
    }

    #[test]
    fn pages_have_to_lead_to_an_end() {
        assert!(goes_on(None, &[1, 2, 5]));
        assert!(goes_on(Some(&2), &[3, 4]));
        assert!(goes_on(Some(&2), &[]));
        assert!(!goes_on(Some(&3), &[3, 4]), "again from where it was");
        assert!(!goes_on(None, &[1, 1]), "the same twice");
        assert!(!goes_on(None, &[2, 1]), "backwards");
    }
}
