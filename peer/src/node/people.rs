//! People: the key each name was first seen with, whether they are online, and the way to them. A name that shows
//! another key is blocked until the user decides, unless the key before has signed it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::ids::{IdentityKey, RootKey};
use common::message::registry::{Code, Refusal};
use common::names::UserName;
use common::secure::certificate::{self, Credentials, Person};
use common::secure::identity::DeviceStatement;
use common::secure::rotation::Lineage;
use common::time::{Monotonic, UnixMillis};

use super::context::Context;
use crate::api::Event;
use crate::ports::{Claimant, DialId, LinkId, Pin, Write};

#[derive(Debug, Default)]
pub(super) struct People {
    by_name: BTreeMap<UserName, Contact>,
    /// Counts what changes who is there and can be reached.
    pub(super) version: u64,
    names: BTreeMap<IdentityKey, UserName>,
    /// Counts when anybody may have changed, and when somebody is dialled next as of a count.
    touched: u64,
    next_dial: Cell<Option<(u64, Option<Monotonic>)>>,
}

/// What is known of one person.
#[derive(Debug, Default)]
pub(super) struct Contact {
    pub(super) pin: Option<Pin>,
    /// The registry says so; a live link says so too.
    pub(super) listed_online: bool,
    pub(super) link: Option<LinkId>,
    pub(super) dial: Dial,
    /// Links in a row on which they said nothing before they were gone.
    pub(super) unheard: u32,
    /// The newest attempt to reach them, whatever came of it.
    pub(super) attempt: Option<Attempt>,
    /// Where they may be found, the best place first.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) away: Option<String>,
    told_online: bool,
    /// That somebody shows a key which they gave up is said once.
    told_given_up: bool,
}

/// What came of checking somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    Known,
    New,
    /// Under the key that follows the one they were known by.
    Rotated,
}

/// How far we are in reaching somebody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Dial {
    #[default]
    Idle,
    /// Waits before trying (again).
    Waiting {
        until: Monotonic,
        failures: u32,
    },
    LookingUp {
        failures: u32,
    },
    /// Whoever dials says how it went; if not even that, it counts as failed at `until`.
    Dialing {
        dial: DialId,
        failures: u32,
        until: Monotonic,
    },
}

/// One attempt to reach somebody: what there is to say to whoever asks why there is no link.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) at: UnixMillis,
    /// All were tried at once.
    pub(super) addresses: Vec<SocketAddr>,
    /// What each answered, in words; nothing while the attempt lasts, or if it led to a link.
    pub(super) tried: Vec<(SocketAddr, String)>,
}

impl Dial {
    /// It was tried again and again in vain, and is tried again by itself.
    pub(super) fn is_given_time(&self) -> bool {
        matches!(self, Self::Waiting { failures: VAIN_DIALS.., .. })
    }

    pub(super) fn failures(&self) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Waiting { failures, .. } | Self::LookingUp { failures } | Self::Dialing { failures, .. } => *failures,
        }
    }
}

impl Contact {
    pub(super) fn is_online(&self) -> bool {
        self.listed_online || self.link.is_some()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.blocked_by.is_some())
    }

    pub(super) fn identity(&self) -> Option<IdentityKey> {
        self.pin.as_ref().map(|pin| pin.identity)
    }

    /// What they showed last, if the name belongs to this identity.
    pub(super) fn statement_of(&self, identity: &IdentityKey) -> Option<DeviceStatement> {
        let pin = self.pin.as_ref().filter(|pin| pin.identity == *identity)?;
        pin.credentials.statement.claim().ok().filter(|claim| claim.identity == *identity)
    }

    /// The name belongs to another key.
    pub(super) fn is_other_than(&self, identity: &IdentityKey) -> bool {
        self.identity().is_some_and(|pinned| pinned != *identity)
    }
}

impl People {
    pub(super) fn load(pins: Vec<Pin>, addresses: Vec<(UserName, Vec<SocketAddr>)>) -> Self {
        let mut people = Self::default();
        for pin in pins {
            people.names.insert(pin.identity, pin.user.clone());
            people.by_name.insert(pin.user.clone(), Contact { pin: Some(pin), ..Contact::default() });
        }
        for (user, addresses) in addresses {
            people.entry(&user).addresses = addresses;
        }
        people
    }

    pub(super) fn get(&self, user: &UserName) -> Option<&Contact> {
        self.by_name.get(user)
    }

    pub(super) fn entry(&mut self, user: &UserName) -> &mut Contact {
        self.touched += 1;
        self.by_name.entry(user.clone()).or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&UserName, &Contact)> {
        self.by_name.iter()
    }

    pub(super) fn contacts_mut(&mut self) -> impl Iterator<Item = &mut Contact> {
        self.touched += 1;
        self.by_name.values_mut()
    }

    /// When an attempt to reach somebody begins or counts as failed. It is asked for all the time, and rarely changes.
    pub(super) fn next_dial(&self) -> Option<Monotonic> {
        if let Some((touched, at)) = self.next_dial.get()
            && touched == self.touched
        {
            return at;
        }
        let until = |dial: &Dial| match dial {
            Dial::Waiting { until, .. } | Dial::Dialing { until, .. } => Some(*until),
            Dial::Idle | Dial::LookingUp { .. } => None,
        };
        let at = self.by_name.values().filter_map(|contact| until(&contact.dial)).min();
        self.next_dial.set(Some((self.touched, at)));
        at
    }

    /// From now on the name belongs to another key.
    pub(super) fn re_pin(&mut self, pin: Pin) {
        self.names.retain(|_, user| *user != pin.user);
        self.names.insert(pin.identity, pin.user.clone());
        let user = pin.user.clone();
        self.entry(&user).pin = Some(pin);
    }

    /// The name whose pinned key this is.
    pub(super) fn name_of(&self, identity: &IdentityKey) -> Option<&UserName> {
        self.names.get(identity)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &UserName> {
        self.by_name.keys()
    }

    /// Notes what the registry says about somebody, and tells the user if that changes who is there.
    pub(super) fn set_listed(&mut self, cx: &mut Context, user: &UserName, online: bool, tell: bool) {
        self.entry(user).listed_online = online;
        self.presence_may_have_changed(cx, user, tell);
    }

    /// Tells the user if somebody came or went since the last time; without `tell` only takes note.
    pub(super) fn presence_may_have_changed(&mut self, cx: &mut Context, user: &UserName, tell: bool) {
        let contact = self.entry(user);
        let online = contact.is_online();
        if contact.told_online != online {
            contact.told_online = online;
            self.version += 1;
            if tell {
                cx.tell(Event::Presence { user: user.clone(), online });
            }
        }
    }

    /// Whether these credentials are of before somebody got the key that they are known by: from whoever else may have
    /// that key, or from long ago. Such nobody is linked to or heard; the user is told once.
    pub(super) fn is_given_up(&mut self, cx: &mut Context, user: &UserName, credentials: &Credentials) -> bool {
        let contact = self.entry(user);
        let is_older = contact.pin.as_ref().is_some_and(|pin| lineage(pin, credentials) == Lineage::Older);
        if is_older && !std::mem::replace(&mut contact.told_given_up, true) {
            cx.tell(Event::Refused(given_up(user)));
        }
        is_older
    }

    /// Checks what somebody shows against what was seen before. First sight pins; a key that follows the one before takes
    /// its place; any other blocks. What is to be remembered is added to `writes`.
    pub(super) fn check(
        &mut self,
        cx: &mut Context,
        person: &Person,
        credentials: &Credentials,
        writes: &mut Vec<Write>,
    ) -> Result<Met, Refusal> {
        let contact = self.by_name.entry(person.user.clone()).or_default();
        match &mut contact.pin {
            None => {
                let pin = Pin {
                    user: person.user.clone(),
                    identity: person.identity,
                    credentials: credentials.clone(),
                    verified: false,
                    accepted: None,
                    blocked_by: None,
                };
                writes.push(Write::Pin(Box::new(pin.clone())));
                self.names.insert(person.identity, person.user.clone());
                contact.pin = Some(pin);
                Ok(Met::New)
            }
            Some(pin) if pin.blocked_by.is_none() && lineage(pin, credentials) == Lineage::Newer => {
                let (old, new, verified) = (pin.key().to_string(), person.key.to_string(), pin.verified);
                (pin.credentials, pin.verified) = (credentials.clone(), false);
                writes.push(Write::Pin(Box::new(pin.clone())));
                cx.tell(Event::KeyRotated { user: person.user.clone(), old, new, verified });
                Ok(Met::Rotated)
            }
            Some(pin) if pin.blocked_by.is_none() && lineage(pin, credentials) == Lineage::Same => {
                // What mail brings may be older than what a link has shown since.
                let known = pin.credentials.certificate.claim().map_or(UnixMillis(0), |claim| claim.expires);
                if pin.credentials != *credentials && known <= person.expires {
                    pin.credentials = credentials.clone();
                    writes.push(Write::Pin(Box::new(pin.clone())));
                }
                Ok(Met::Known)
            }
            Some(pin) => {
                let is_known = |claimant: &Claimant| claimant.key() == person.key;
                let is_another = lineage(pin, credentials) == Lineage::Foreign;
                if is_another && !pin.blocked_by.as_ref().is_some_and(is_known) {
                    let credentials = Some(Box::new(credentials.clone()));
                    pin.blocked_by = Some(Claimant { identity: person.identity, credentials });
                    writes.push(Write::Pin(Box::new(pin.clone())));
                    cx.tell(key_changed(pin, &person.key));
                }
                Err(key_blocked(&person.user))
            }
        }
    }
}

/// The person behind credentials that the registry handed out for `user`.
pub(super) fn vouched(
    cx: &Context,
    root: &RootKey,
    user: &UserName,
    credentials: &Credentials,
) -> Result<Person, Refusal> {
    let person = certificate::verify(credentials, root, cx.now.wall).ok().filter(|person| person.user == *user);
    person.ok_or_else(|| {
        let text = format!("Can't trust what the registry says about {user}: its certificate does not hold.");
        Refusal::new(Code::Internal, &text)
    })
}

pub(super) fn key_blocked(user: &UserName) -> Refusal {
    let text = format!(
        "{user} shows another key than before, so nothing is sent and nothing shown. Ask {user} in another way, then \
         /accept-key {user} or /reject-key {user}."
    );
    Refusal::new(Code::KeyBlocked, &text)
}

pub(super) fn given_up(user: &UserName) -> Refusal {
    let text = format!(
        "Somebody shows the key that {user} had before the present one, and was turned away. If that is not {user}, \
         somebody else has that key."
    );
    Refusal::new(Code::KeyBlocked, &text)
}

/// How the keys that somebody shows stand to those that are pinned.
fn lineage(pin: &Pin, credentials: &Credentials) -> Lineage {
    let claims = credentials.statement.claim().ok().zip(pin.credentials.statement.claim().ok());
    match claims {
        // A log of an older program may have accepted a key without what it came with.
        Some((shown, known)) if known.identity == pin.identity => shown.against(&known),
        Some((shown, _)) if shown.identity == pin.identity => Lineage::Same,
        _ => Lineage::Foreign,
    }
}

/// What the user is told of somebody who shows `new` under a pinned name.
pub(super) fn key_changed(pin: &Pin, new: &IdentityKey) -> Event {
    let (user, old, new) = (pin.user.clone(), pin.key().to_string(), new.to_string());
    Event::KeyChanged { user, old, new, verified: pin.verified }
}
/// After so many attempts in a row somebody is not where the registry says.
const VAIN_DIALS: u32 = 3;
