//! Reaching people: who is dialled when, and how long it is waited after what went wrong. Whoever is reached becomes a
//! link, which is `links`' business.

use std::net::SocketAddr;
use std::time::Duration;

use common::message::registry::{PersonRecord, Request};
use common::names::UserName;
use common::time::Monotonic;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::people::{self, Attempt, Dial};
use crate::ports::{DialId, LinkOutput, Output};

impl Account {
    /// There is something to say to somebody: a link is made if there is none and they may be there.
    pub(super) fn dial_now(&mut self, cx: &mut Context, user: &UserName) {
        let registry_online = self.registry.is_online();
        let contact = self.people.entry(user);
        let busy = matches!(contact.dial, Dial::LookingUp { .. } | Dial::Dialing { .. });
        if contact.link.is_some() || busy || contact.is_blocked() {
            return;
        }
        let failures = contact.dial.failures();
        if registry_online && contact.listed_online {
            contact.dial = Dial::LookingUp { failures };
            self.ask(cx, Request::Lookup { user: user.clone() }, Call::LookUpToDial { user: user.clone() });
        } else if !registry_online && !contact.addresses.is_empty() {
            self.dial(cx, user);
        } else {
            contact.dial = Dial::Idle;
            self.tell_queued(cx, user);
        }
    }

    /// The same after a pause, if it is still worth it then.
    pub(super) fn dial_soon(&mut self, cx: &mut Context, user: &UserName, after: Duration) {
        if !self.wants_link(user) {
            return;
        }
        let may_be_there = self.may_be_there(user);
        let contact = self.people.entry(user);
        if contact.link.is_none() && contact.dial == Dial::Idle && may_be_there {
            let jitter = Duration::from_millis(cx.below(250));
            contact.dial = Dial::Waiting { until: cx.now.monotonic.plus(after + jitter), failures: 0 };
        }
    }

    /// Whether somebody whom the registry did not name is there, it is asked once.
    pub(super) fn look_up_once(&mut self, cx: &mut Context, user: &UserName) {
        let contact = self.people.entry(user);
        if self.registry.is_online() && contact.link.is_none() && contact.dial == Dial::Idle && !contact.is_blocked() {
            contact.dial = Dial::LookingUp { failures: 0 };
            self.ask(cx, Request::Lookup { user: user.clone() }, Call::LookUpToDial { user: user.clone() });
        }
    }

    pub(super) fn found_to_dial(&mut self, cx: &mut Context, user: &UserName, record: &PersonRecord) {
        let failures = self.people.entry(user).dial.failures();
        self.people.entry(user).dial = Dial::Waiting { until: cx.now.monotonic, failures };
        let Ok(person) = people::vouched(cx, &self.root, user, &record.credentials) else {
            return self.try_later(cx, user);
        };
        let mut writes = Vec::new();
        let accepted = self.check_person(cx, &person, &record.credentials, &mut writes);
        self.commit(cx, writes, Vec::new());
        let contact = self.people.entry(user);
        if accepted.is_err() {
            contact.dial = Dial::Idle;
            return;
        }
        self.addresses_told(cx, user, record);
        self.people.set_listed(cx, user, record.online, true);
        if record.online {
            self.dial(cx, user);
        } else {
            self.people.entry(user).dial = Dial::Idle;
            self.tell_queued(cx, user);
        }
    }

    pub(super) fn look_up_failed(&mut self, cx: &mut Context, user: &UserName) {
        if matches!(self.people.entry(user).dial, Dial::LookingUp { .. }) {
            self.try_later(cx, user);
        }
    }

    fn dial(&mut self, cx: &mut Context, user: &UserName) {
        let root = self.root;
        let contact = self.people.entry(user);
        let failures = contact.dial.failures();
        let credentials = contact.pin.as_ref().map(|pin| pin.credentials.clone());
        let addresses = contact.addresses.clone();
        let person = credentials.and_then(|credentials| people::vouched(cx, &root, user, &credentials).ok());
        let Some(person) = person.filter(|_| !addresses.is_empty()) else { return self.try_later(cx, user) };
        let dial = cx.dial_id();
        let until = cx.now.monotonic.plus(DIAL_TIMEOUT);
        let attempt = Attempt { at: cx.now.wall, addresses: addresses.clone(), tried: Vec::new() };
        let contact = self.people.entry(user);
        (contact.dial, contact.attempt) = (Dial::Dialing { dial, failures, until }, Some(attempt));
        cx.out.push_back(Output::Link(LinkOutput::Dial { dial, person: Box::new(person), addresses }));
    }

    pub(super) fn dial_failed(&mut self, cx: &mut Context, failed: DialId, tried: Vec<(SocketAddr, String)>) {
        let is_it = |dial: &Dial| matches!(dial, Dial::Dialing { dial, .. } if *dial == failed);
        let user = self.people.iter().find(|(_, contact)| is_it(&contact.dial)).map(|(user, _)| user.clone());
        if let Some(user) = user {
            if let Some(attempt) = &mut self.people.entry(&user).attempt {
                attempt.tried = tried;
            }
            self.try_later(cx, &user);
        }
    }

    /// Grows from one second to three, and after some minutes to thirty, with jitter, for as long as they are said to be
    /// online: a network that was down for a minute is noticed at once when it is back.
    fn try_later(&mut self, cx: &mut Context, user: &UserName) {
        self.tell_queued(cx, user);
        let contact = self.people.entry(user);
        let failures = contact.dial.failures().saturating_add(1);
        if contact.link.is_some() {
            contact.dial = Dial::Idle;
            return;
        }
        let longest = if failures < DIALS_AT_FIRST { DIAL_PAUSE_AT_FIRST_MAX } else { DIAL_PAUSE_MAX };
        let pause = longest.min(Duration::from_secs(1) * 2u32.saturating_pow(failures.min(10) - 1));
        let jitter = Duration::from_millis(cx.below(1 + u64::try_from(pause.as_millis()).unwrap_or(0) / 2));
        let until = cx.now.monotonic.plus(pause + jitter);
        self.people.entry(user).dial = Dial::Waiting { until, failures };
        self.people.version += 1;
    }

    pub(super) fn dial_timers(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let unheard = |dial: &Dial| matches!(dial, Dial::Dialing { until, .. } if *until <= now);
        let unheard: Vec<_> =
            self.people.iter().filter(|(_, contact)| unheard(&contact.dial)).map(|(user, _)| user.clone()).collect();
        unheard.iter().for_each(|user| self.try_later(cx, user));
        let due = |dial: &Dial| matches!(dial, Dial::Waiting { until, .. } if *until <= now);
        let due: Vec<_> =
            self.people.iter().filter(|(_, contact)| due(&contact.dial)).map(|(user, _)| user.clone()).collect();
        for user in due {
            if self.wants_link(&user) {
                self.dial_now(cx, &user);
            }
            let contact = self.people.entry(&user);
            if due_still(&contact.dial, now) {
                contact.dial = Dial::Idle;
            }
        }
    }

    /// A link went before the far end had said anything on it: they turn us away, or their link breaks each time. What
    /// waits for them goes another way, and the next attempt comes later and later.
    pub(super) fn turned_away(&mut self, cx: &mut Context, user: &UserName) {
        let contact = self.people.entry(user);
        contact.unheard = contact.unheard.saturating_add(1);
        contact.dial = Dial::Waiting { until: cx.now.monotonic, failures: contact.unheard - 1 };
        self.try_later(cx, user);
    }
}

fn due_still(dial: &Dial, now: Monotonic) -> bool {
    matches!(dial, Dial::Waiting { until, .. } if *until <= now)
}

/// Longer than connecting and shaking hands may take with all their deadlines.
const DIAL_TIMEOUT: Duration = Duration::from_secs(60);
const DIAL_PAUSE_AT_FIRST_MAX: Duration = Duration::from_secs(3);
const DIAL_PAUSE_MAX: Duration = Duration::from_secs(30);
/// An attempt and its pause take six seconds where nothing answers: some four minutes.
const DIALS_AT_FIRST: u32 = 40;
