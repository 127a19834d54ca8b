//! Keys of people: what follows at once when a name shows another one, and what the user decides about it. A blocked
//! person is sent nothing and linked to by nobody here; what comes from them by mail is held, on the disk and unshown.

use common::ids::IdentityKey;
use common::message::mail::Mail as Content;
use common::message::registry::{Code, Refusal, Request};
use common::names::UserName;
use common::secure::certificate::{self, Credentials, Person};
use common::secure::safety;
use common::wire::codec;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::{Conversation, Room};
use super::outgoing::After;
use super::people::{self, Met};
use crate::api::{Event, RoomChange};
use crate::ports::{Claimant, HeldMail, LinkOutput, Output, Pin, Write};

impl Account {
    /// Checks what somebody shows against what was seen before; whoever is blocked is broken off with.
    pub(super) fn check_person(
        &mut self,
        cx: &mut Context,
        person: &Person,
        credentials: &Credentials,
        writes: &mut Vec<Write>,
    ) -> Result<(), Refusal> {
        if self.people.is_given_up(cx, &person.user, credentials) {
            return Err(people::given_up(&person.user));
        }
        let checked = self.people.check(cx, person, credentials, writes);
        match checked {
            Err(_) => self.break_off(cx, &person.user),
            Ok(Met::New) => self.sort_members(cx, &person.user),
            Ok(Met::Rotated) => self.key_followed(cx, person),
            Ok(Met::Known) => {}
        }
        checked.map(drop)
    }

    /// Somebody goes on with another key, by the word of the one before: a link with the one before is over, and what
    /// lies sealed for that one in their mailbox may not open any more.
    fn key_followed(&mut self, cx: &mut Context, person: &Person) {
        self.break_off(cx, &person.user);
        let conversations: Vec<_> = self.conversations.keys().copied().collect();
        conversations.into_iter().for_each(|id| self.mail_again(cx, &person.user, id, &person.identity));
    }

    /// Reminds the user of everybody who is blocked, and goes on where a decision was interrupted.
    pub(super) fn keys_loaded(&mut self, cx: &mut Context) {
        let pins: Vec<Pin> = self.people.iter().filter_map(|(_, contact)| contact.pin.clone()).collect();
        self.sort_members(cx, &self.user.clone());
        for pin in pins {
            self.sort_members(cx, &pin.user);
            self.re_address(&pin);
            match &pin.blocked_by {
                Some(claimant) => cx.tell(people::key_changed(&pin, &claimant.key())),
                None => self.take_held(cx, &pin.user),
            }
        }
    }

    /// The new key counts from now on, under the same name and in the same conversation.
    pub(super) fn accept_key(&mut self, cx: &mut Context, re: Option<String>, user: UserName) {
        let (pin, claimant) = match self.decision_about(&user) {
            Ok(undecided) => undecided,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let (identity, key, accepted) = (claimant.identity, claimant.key(), Some(cx.now.wall));
        let credentials = claimant.credentials.map_or(pin.credentials, |shown| *shown);
        let pin = Pin { user: user.clone(), identity, credentials, verified: false, accepted, blocked_by: None };
        self.people.re_pin(pin.clone());
        self.re_address(&pin);
        let held = self.count_held(&user, &key);
        let event = Box::new(Event::KeyAccepted { user: user.clone(), key: key.to_string(), held });
        self.commit(cx, vec![Write::Pin(Box::new(pin))], vec![After::Decided { user, re, event }]);
    }

    /// The key from before stays, and what came with the other is thrown away.
    pub(super) fn reject_key(&mut self, cx: &mut Context, re: Option<String>, user: UserName) {
        let (pin, claimant) = match self.decision_about(&user) {
            Ok(undecided) => undecided,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let pin = Pin { blocked_by: None, ..pin };
        self.people.re_pin(pin.clone());
        let dropped = self.count_held(&user, &claimant.key());
        let key = claimant.key().to_string();
        let event = Box::new(Event::KeyRejected { user: user.clone(), key, dropped });
        self.commit(cx, vec![Write::Pin(Box::new(pin))], vec![After::Decided { user, re, event }]);
    }

    /// What the user decided about somebody's key, or compared, is on the disk.
    pub(super) fn decided(&mut self, cx: &mut Context, user: &UserName, re: Option<String>, event: Event) {
        let is_accepted = matches!(event, Event::KeyAccepted { .. });
        cx.answer(re, event);
        self.sort_members(cx, user);
        self.take_held(cx, user);
        self.look_through_mail_again(cx);
        if is_accepted {
            self.dial_now(cx, user);
        }
    }

    /// Shows the number that both sides compare, or compares what the other side read out.
    pub(super) fn verify(&mut self, cx: &mut Context, re: Option<String>, user: UserName, digits: Option<String>) {
        if user == self.user {
            let text = "That is you. A safety number is for you and somebody else; /fingerprint shows your own key.";
            return cx.refuse(re, Refusal::new(Code::Usage, text));
        }
        match self.identity_of(&user) {
            Some(_) => self.verify_known(cx, re, user, digits.as_deref(), Vec::new()),
            None => {
                let call = Call::LookUpToVerify { user: user.clone(), digits };
                self.begin_call(cx, re, Request::Lookup { user }, call);
            }
        }
    }

    pub(super) fn verify_known(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        user: UserName,
        digits: Option<&str>,
        mut writes: Vec<Write>,
    ) {
        let contact = self.people.entry(&user);
        let is_blocked = contact.is_blocked();
        let Some(pin) = contact.pin.as_mut().filter(|_| !is_blocked) else {
            self.commit(cx, writes, Vec::new());
            return cx.refuse(re, people::key_blocked(&user));
        };
        let number = safety::safety_number(&self.realm, (&self.user, &self.keys.key()), (&user, &pin.key()));
        let answer = match digits {
            None => Event::SafetyNumber { user, digits: number, verified: pin.verified },
            Some(digits) if safety::parse_digits(&number).as_deref() == Some(digits) => {
                pin.verified = true;
                writes.push(Write::Pin(Box::new(pin.clone())));
                let event = Box::new(Event::Verified { user: user.clone(), digits: number });
                return self.commit(cx, writes, vec![After::Decided { user, re, event }]);
            }
            Some(_) => Event::Refused(digits_differ(&user)),
        };
        self.commit(cx, writes, Vec::new());
        cx.answer(re, answer);
    }

    /// Keeps opened mail of somebody who is blocked. `false` if there is no room: it stays where it is.
    pub(super) fn hold(&mut self, person: &Person, at: common::time::UnixMillis, content: Vec<u8>) -> Option<Write> {
        let bytes: usize = self.held.iter().map(|held| held.content.len()).sum();
        if self.held.len() >= HELD_ITEMS_MAX || bytes + content.len() > HELD_BYTES_MAX {
            return None;
        }
        let number = self.held.last().map_or(0, |held| held.number) + 1;
        let held = HeldMail { number, user: person.user.clone(), key: person.key, at, content };
        self.held.push(held.clone());
        Some(Write::Hold(Box::new(held)))
    }

    /// Whether this very mail is held already: it was not dropped at the registry the first time.
    pub(super) fn is_held(&self, content: &[u8]) -> bool {
        self.held.iter().any(|held| held.content == content)
    }

    /// No link with somebody who is blocked, whoever is at its other end.
    fn break_off(&mut self, cx: &mut Context, user: &UserName) {
        if let Some(link) = self.people.entry(user).link {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
            self.link_lost(cx, link);
        }
    }

    fn decision_about(&self, user: &UserName) -> Result<(Pin, Claimant), Refusal> {
        let pin = self.people.get(user).and_then(|contact| contact.pin.clone());
        let claimant = pin.as_ref().and_then(|pin| pin.blocked_by.clone());
        pin.zip(claimant).ok_or_else(|| {
            let text = format!("{user} has not shown another key than before, so there is nothing to decide.");
            Refusal::new(Code::Usage, &text)
        })
    }

    /// What waits in the conversation with somebody waits for their present key, and what they were told before it
    /// is not for it.
    fn re_address(&mut self, pin: &Pin) {
        let id = self.direct_id(&pin.user);
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        conversation.key_since = pin.accepted;
        for log in conversation.own.values_mut() {
            log.pending.values_mut().for_each(|event| event.recipients = vec![pin.identity]);
            log.forget_complete();
        }
    }

    /// Of all members of a room under one name only the one with the key that belongs to it counts.
    fn sort_members(&mut self, cx: &mut Context, user: &UserName) {
        let owner = if *user == self.user { Some(self.me) } else { self.identity_of(user) };
        let Some(identity) = owner else { return };
        let mut back = Vec::new();
        for conversation in self.conversations.values_mut() {
            let id = conversation.id;
            let Some(room) = conversation.room_mut() else { continue };
            let before = room.has_member_named(user);
            let others = room.set_aside(user, &identity);
            if room.joined && !before && room.has_member_named(user) {
                back.push((id, room.genesis.name.clone()));
            }
            conversation.wait_no_more_for(&others);
        }
        for (_, conversation) in back.into_iter().filter(|_| *user != self.user) {
            let (change, by, text) = (RoomChange::Joined, user.clone(), String::new());
            cx.tell(Event::Room { conversation, change, user: user.clone(), by, text });
        }
    }

    /// How many events of somebody are held that came with this key.
    fn count_held(&self, user: &UserName, key: &IdentityKey) -> u32 {
        let of = self.held.iter().filter(|held| (&held.user, &held.key) == (user, key));
        let contents = of.filter_map(|held| codec::decode::<Content>(&held.content).ok());
        u32::try_from(contents.map(|content| content.events.len()).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// The user has decided: what is held of somebody is taken in where it came with their key, else thrown away. An
    /// author still has whatever is not acknowledged, so nothing depends on this being the last copy.
    fn take_held(&mut self, cx: &mut Context, user: &UserName) {
        let Some(key) = self.people.get(user).and_then(|contact| contact.pin.as_ref()).map(Pin::key) else { return };
        let (theirs, others) = std::mem::take(&mut self.held).into_iter().partition(|held| held.user == *user);
        self.held = others;
        let theirs: Vec<HeldMail> = theirs;
        let mut writes = Vec::new();
        for held in theirs {
            if held.key == key
                && let Err(reason) = self.take_one_held(cx, &held)
            {
                tracing::warn!(%user, reason, "held mail is dropped");
            }
            writes.push(Write::ForgetHeld { number: held.number });
        }
        self.commit(cx, writes, Vec::new());
    }

    fn take_one_held(&mut self, cx: &mut Context, held: &HeldMail) -> Result<(), &'static str> {
        let content: Content = codec::decode(&held.content).map_err(|_| "it holds no mail")?;
        let person = certificate::verify(&content.credentials, &self.root, held.at)
            .map_err(|_| "its sender's credentials do not hold")?;
        self.take_content(cx, None, &person, &content, Vec::new()).map(drop)
    }
}

impl Room {
    fn has_member_named(&self, user: &UserName) -> bool {
        self.members.values().any(|member| member.user == *user && member.is_current())
    }

    /// Members under this name count only with this key; the others.
    fn set_aside(&mut self, user: &UserName, identity: &IdentityKey) -> Vec<IdentityKey> {
        let named = self.members.iter_mut().filter(|(_, member)| member.user == *user);
        let mut others = Vec::new();
        for (other, member) in named {
            member.stands_aside = other != identity;
            others.extend(member.stands_aside.then_some(*other));
        }
        others
    }
}

impl Conversation {
    /// What these do not have, nobody waits for.
    fn wait_no_more_for(&mut self, identities: &[IdentityKey]) {
        for log in self.own.values_mut().filter(|_| !identities.is_empty()) {
            for pending in log.pending.values_mut() {
                pending.recipients.retain(|recipient| !identities.contains(recipient));
            }
            log.forget_complete();
        }
    }
}

fn digits_differ(user: &UserName) -> Refusal {
    let text = format!(
        "THE DIGITS DIFFER: {user} does not have the key that is {user}'s here, or does not have yours. Somebody may \
         stand between you: trust nothing said here until you know why. {user} was not marked."
    );
    Refusal::new(Code::Credentials, &text)
}

/// Mail of blocked people that is held, of all of them: as much as one mailbox has, and little memory.
const HELD_ITEMS_MAX: usize = 500;
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
