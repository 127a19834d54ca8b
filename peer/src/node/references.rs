//! From what a person types to name a message to the message: the disk is asked, and the command goes on with what it
//! finds.

use common::ids::{ConversationId, EventId, IdentityKey};
use common::message::registry::{Code, Refusal};

use super::account::Account;
use super::changes;
use super::context::Context;
use super::reads::Read;
use crate::api::{Reference, To};
use crate::ports::{DiskJob, Output, StoredEvent, Wanted};

/// What a command is about to do with the message it named.
#[derive(Debug)]
pub(super) enum Errand {
    Edit {
        text: String,
    },
    Delete,
    /// An empty word takes back.
    React {
        word: String,
    },
    Trace,
}

impl Account {
    /// Looks for the message that a command names; the command goes on in [`Account::referred`].
    pub(super) fn refer(&mut self, cx: &mut Context, re: Option<String>, reference: Reference, errand: Errand) {
        match self.wanted(&reference) {
            Err(refusal) => cx.refuse(re, refusal),
            Ok(wanted) => {
                cx.wait(re);
                let ticket = cx.number();
                self.disk.reads.insert(ticket, Read::Referred(errand));
                cx.out.push_back(Output::Disk(DiskJob::ReadEvents { ticket, wanted }));
            }
        }
    }

    /// The disk has looked.
    pub(super) fn referred(
        &mut self,
        cx: &mut Context,
        errand: Errand,
        events: Vec<StoredEvent>,
        changes: Vec<StoredEvent>,
    ) {
        let mut events = events;
        let (event, more) = (events.pop(), !events.is_empty());
        let Some(event) = event.filter(|event| self.conversations.contains_key(&event.conversation)) else {
            return cx.fail(no_such_message());
        };
        if more {
            let text = "More than one message begins like that. Give more of its digits.";
            return cx.fail(Refusal::new(Code::Usage, text));
        }
        if matches!(errand, Errand::Trace) {
            return self.trace(cx, event);
        }
        match changes::fold(vec![event], &changes).pop() {
            Some(message) => {
                let re = cx.done();
                self.change(cx, re, message, errand);
            }
            None => cx.fail(no_such_message()),
        }
    }

    fn wanted(&self, reference: &Reference) -> Result<Wanted, Refusal> {
        let newest = |author: Option<IdentityKey>, back: u32| {
            let conversation = self.current_id()?;
            Ok(Wanted::Newest { conversation, author, back })
        };
        match reference {
            Reference::Newest { back } => newest(None, *back),
            Reference::Mine { back } => newest(Some(self.me), *back),
            Reference::By(user) if *user == self.user => newest(Some(self.me), 0),
            Reference::By(user) => {
                let room = self.current_id().ok().and_then(|id| self.conversations.get(&id)?.room());
                let member = room.and_then(|room| room.members.iter().find(|(_, member)| member.user == *user));
                let identity = member.map(|(identity, _)| *identity).or_else(|| self.identity_of(user));
                newest(Some(identity.ok_or_else(no_such_message)?), 0)
            }
            Reference::Id(digits) => {
                let end = |fill: char| {
                    let missing = (2 * EventId::LENGTH).saturating_sub(digits.len());
                    event_id(&format!("{digits}{}", fill.to_string().repeat(missing))).ok_or_else(no_such_message)
                };
                Ok(Wanted::Between { first: end('0')?, last: end('f')? })
            }
        }
    }

    fn current_id(&self) -> Result<ConversationId, Refusal> {
        self.conversation_of(&self.addressee(&To::Current)?)
    }
}

pub(super) fn no_such_message() -> Refusal {
    Refusal::new(Code::Usage, "There is no such message. '^' is the last here, '^3' the third last, '^bob' bob's last.")
}

fn event_id(digits: &str) -> Option<EventId> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    EventId::from_slice(&bytes?)
}
