//! Events: the one thing people create. Per author and conversation they form a hash chain that the author's device
//! key signs. Nodes make and check them; the disk keeps their exact bytes.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::room::Invite;
use crate::ids::{self, ChainId, ConversationId, EventId, EventKey, IdentityKey, Signature};
use crate::limits::{EVENT_BYTES_MAX, PARENTS_MAX, REACTION_BYTES_MAX, REASON_BYTES_MAX, TEXT_BYTES_MAX};
use crate::secure::identity::DeviceStatement;
use crate::secure::sign::{self, SignError, Signed};
use crate::time::UnixMillis;
use crate::wire::bounded::{Blob, List, Text, TooLong};
use crate::wire::codec::{self, DecodeError};

/// The signed part of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(rename = "conv")]
    pub conversation: ConversationId,
    pub author: IdentityKey,
    pub chain: ChainId,
    /// Position in the chain, from 1, without holes.
    pub number: u64,
    /// The event before it in the chain; zeros before the first.
    #[serde(rename = "prev")]
    pub previous: EventId,
    /// The newest events of others that the author had seen and no earlier one of the conversation names: they are to
    /// be shown before this one.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub parents: List<Parent, PARENTS_MAX>,
    /// Entries of the room owner's log that the author knew; 0 in a conversation of two.
    pub head: u32,
    /// One more than the highest the author had seen in the conversation (Lamport 1978).
    pub lamport: u64,
    /// The author's wall clock: shown, never trusted for order.
    pub at: UnixMillis,
    /// What the body is; a kind not known here is kept, acknowledged and passed over.
    pub kind: u8,
    pub body: Blob<TEXT_BYTES_MAX>,
}

/// An event of another chain, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub author: IdentityKey,
    pub chain: ChainId,
    pub number: u64,
}

/// An event as it travels and is stored. The signature may be missing inside a run: the next signed event of the
/// chain vouches for it through the hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEvent {
    pub bytes: Blob<EVENT_BYTES_MAX>,
    #[serde(rename = "sig")]
    pub signature: Option<Signature>,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// `/me waves`
    Action(String),
    /// The author enters the room.
    Join(Box<Join>),
    /// The author leaves the room, perhaps with a word.
    Part(String),
    /// The author's own message `target` says `text` from now on.
    Edit {
        target: EventId,
        text: String,
    },
    /// The author takes their own message back.
    Delete {
        target: EventId,
    },
    /// What the author thinks of anybody's message; an empty word takes it back.
    Reaction {
        target: EventId,
        word: String,
    },
    /// From a newer program.
    Unknown,
}

/// The body of a join: what lets anybody check the membership without asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    pub statement: Signed<DeviceStatement>,
    /// Needed in a private room by everybody but its owner.
    pub invite: Option<Signed<Invite>>,
}

/// When its author signed an event: what tells the newer of one person's joins and parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub lamport: u64,
    pub chain: ChainId,
    pub at: UnixMillis,
}

/// An event whose bytes do not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    Value(#[from] DecodeError),
    #[error(transparent)]
    Signature(#[from] SignError),
    #[error("the last event of a run is not signed")]
    Unsigned,
    #[error("the chain is broken at number {0}")]
    Chain(u64),
    #[error("the body is not of its kind")]
    Body,
}

impl Content {
    /// The message that this one is about.
    pub fn target(&self) -> Option<&EventId> {
        match self {
            Self::Edit { target, .. } | Self::Delete { target } | Self::Reaction { target, .. } => Some(target),
            Self::Text(_) | Self::Action(_) | Self::Join(_) | Self::Part(_) | Self::Unknown => None,
        }
    }

    /// Kind and body for the wire. A text that is too long is the caller's to refuse; here it is an error.
    pub fn encode(&self) -> Result<(u8, Blob<TEXT_BYTES_MAX>), TooLong> {
        let (kind, body) = match self {
            Self::Text(text) => (KIND_TEXT, text.clone().into_bytes()),
            Self::Action(text) => (KIND_ACTION, text.clone().into_bytes()),
            Self::Join(join) => (KIND_JOIN, codec::encode(join.as_ref())),
            Self::Part(reason) => (KIND_PART, reason.clone().into_bytes()),
            Self::Edit { target, text } => (KIND_EDIT, about(target, text)),
            Self::Delete { target } => (KIND_DELETE, about(target, "")),
            Self::Reaction { target, word } => (KIND_REACTION, about(target, word)),
            Self::Unknown => unreachable!("unknown content is never written"),
        };
        Ok((kind, Blob::new(body)?))
    }
}

/// The body of an event about another one.
fn about(target: &EventId, text: &str) -> Vec<u8> {
    [target.as_bytes().as_slice(), text.as_bytes()].concat()
}

impl Stamp {
    /// Within a chain Lamport numbers decide. A new chain begins low again, after a lost database: there the author's own
    /// later clock is enough.
    pub fn supersedes(&self, old: &Self) -> bool {
        self.lamport > old.lamport || (self.chain != old.chain && self.at > old.at)
    }
}

impl Event {
    pub fn stamp(&self) -> Stamp {
        Stamp { lamport: self.lamport, chain: self.chain, at: self.at }
    }

    /// What the event says, or an error if the body is not of its kind.
    pub fn content(&self) -> Result<Content, EventError> {
        let text = || String::from_utf8(self.body.to_vec()).map_err(|_| EventError::Body);
        Ok(match self.kind {
            KIND_TEXT => Content::Text(text()?),
            KIND_ACTION => Content::Action(text()?),
            KIND_JOIN => Content::Join(Box::new(codec::decode(&self.body)?)),
            KIND_PART => {
                Content::Part(Text::<REASON_BYTES_MAX>::new(text()?).map_err(|_| EventError::Body)?.into_string())
            }
            KIND_EDIT => {
                let (target, text) = self.about()?;
                if text.is_empty() {
                    return Err(EventError::Body);
                }
                Content::Edit { target, text }
            }
            KIND_DELETE => match self.about()? {
                (target, text) if text.is_empty() => Content::Delete { target },
                _ => return Err(EventError::Body),
            },
            KIND_REACTION => {
                let (target, word) = self.about()?;
                let word = Text::<REACTION_BYTES_MAX>::new(word).map_err(|_| EventError::Body)?.into_string();
                Content::Reaction { target, word }
            }
            _ => Content::Unknown,
        })
    }

    /// The message that a body speaks of, and the text behind its id.
    fn about(&self) -> Result<(EventId, String), EventError> {
        let (target, text) = self.body.split_first_chunk().ok_or(EventError::Body)?;
        let text = String::from_utf8(text.to_vec()).map_err(|_| EventError::Body)?;
        Ok((EventId(*target), text))
    }

    /// The event with its signature.
    pub fn sign(&self, key: &SigningKey) -> WireEvent {
        let bytes = codec::encode(self);
        let signature = Some(sign::sign_bytes(EVENT_CONTEXT, &bytes, key));
        WireEvent { bytes: Blob::new(bytes).expect("an event's fields are bounded"), signature }
    }
}

impl WireEvent {
    /// The event's name: SHA-256 over its signed bytes.
    pub fn id(&self) -> EventId {
        EventId(ids::hash(EVENT_CONTEXT, &[&self.bytes]))
    }

    /// What the event says of itself, unchecked.
    pub fn claim(&self) -> Result<Event, EventError> {
        Ok(codec::decode(&self.bytes)?)
    }

    /// The event, if `key` signed it.
    pub fn verify(&self, key: &EventKey) -> Result<Event, EventError> {
        let signature = self.signature.as_ref().ok_or(EventError::Unsigned)?;
        sign::verify_bytes(EVENT_CONTEXT, &self.bytes, signature, key.as_bytes())?;
        self.claim()
    }
}

/// Where a run of events has to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub conversation: ConversationId,
    pub author: IdentityKey,
    pub chain: ChainId,
    pub number: u64,
    /// The event before it; `None` if that is not known, so that the first is tied by its signature alone.
    pub previous: Option<EventId>,
}

/// Checks consecutive events: the first is the one at `position`, every one names the one before it, every signature
/// there is fits, and the last one has one. Returns them with their ids.
pub fn verify_run(run: &[WireEvent], position: Position, key: &EventKey) -> Result<Vec<(EventId, Event)>, EventError> {
    let Position { conversation, author, chain, mut number, mut previous } = position;
    let mut checked: Vec<(EventId, Event)> = Vec::with_capacity(run.len());
    for wire in run {
        let event = if wire.signature.is_some() { wire.verify(key)? } else { wire.claim()? };
        let place = (event.conversation, event.author, event.chain, event.number);
        let countable = (1..=COUNT_MAX).contains(&event.number) && event.lamport <= COUNT_MAX;
        if place != (conversation, author, chain, number)
            || previous.is_some_and(|id| id != event.previous)
            || !countable
        {
            return Err(EventError::Chain(event.number));
        }
        let id = wire.id();
        number += 1;
        previous = Some(id);
        checked.push((id, event));
    }
    match run.last() {
        Some(last) if last.signature.is_none() => Err(EventError::Unsigned),
        _ => Ok(checked),
    }
}

/// The event before the first one.
pub const NO_EVENT: EventId = EventId([0; 32]);

/// The highest number and Lamport number anybody may use: one more still fits 64 bits, and a signed database column.
pub const COUNT_MAX: u64 = i64::MAX as u64;

/// What an event's signature and id are made over.
pub const EVENT_CONTEXT: &str = "p2p-chat event v1";

pub const KIND_TEXT: u8 = 1;
pub const KIND_ACTION: u8 = 2;
pub const KIND_JOIN: u8 = 3;
pub const KIND_PART: u8 = 4;
pub const KIND_EDIT: u8 = 5;
pub const KIND_DELETE: u8 = 6;
pub const KIND_REACTION: u8 = 7;

/// The longest text an edit can give a message: its body also names the message.
pub const EDIT_BYTES_MAX: usize = TEXT_BYTES_MAX - EventId::LENGTH;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::secure::identity::{KEYS_BYTES, Keys};

    fn chain(length: u64) -> (Keys, Vec<WireEvent>) {
        let keys = Keys::from_seed(&Secret::new([3; KEYS_BYTES]));
        let mut previous = NO_EVENT;
        let events = (1..=length).map(|number| {
            let (kind, body) = Content::Text(format!("line {number}")).encode().unwrap();
            let event = Event {
                conversation: ConversationId([1; 32]),
                author: keys.identity(),
                chain: ChainId([2; 16]),
                number,
                previous,
                parents: List::default(),
                head: 0,
                lamport: number,
                at: UnixMillis(0),
                kind,
                body,
            };
            let wire = event.sign(keys.event_signer());
            previous = wire.id();
            wire
        });
        let events = events.collect();
        (keys, events)
    }

    fn verify(run: &[WireEvent], keys: &Keys, number: u64) -> Result<Vec<(EventId, Event)>, EventError> {
        let position = Position {
            conversation: ConversationId([1; 32]),
            author: keys.identity(),
            chain: ChainId([2; 16]),
            number,
            previous: (number == 1).then_some(NO_EVENT),
        };
        verify_run(run, position, &keys.event())
    }

    #[test]
    fn one_signature_vouches_for_the_run_before_it() {
        let (keys, mut events) = chain(3);
        events[0].signature = None;
        events[1].signature = None;
        assert_eq!(verify(&events, &keys, 1).unwrap().len(), 3);
        assert_eq!(verify(&events[..2], &keys, 1), Err(EventError::Unsigned));
    }

    #[test]
    fn an_event_from_elsewhere_does_not_pass_as_the_next() {
        let (keys, events) = chain(2);
        let good = events[1].claim().unwrap();
        let elsewhere = [
            Event { conversation: ConversationId([9; 32]), ..good.clone() },
            Event { author: IdentityKey([9; 32]), ..good.clone() },
            Event { chain: ChainId([9; 16]), ..good.clone() },
            Event { number: 7, ..good.clone() },
        ];
        assert!(verify(&[good.sign(keys.event_signer())], &keys, 2).is_ok());
        for event in elsewhere {
            let number = event.number;
            assert_eq!(verify(&[event.sign(keys.event_signer())], &keys, 2), Err(EventError::Chain(number)));
        }
    }

    #[test]
    fn a_change_names_its_message_and_keeps_to_its_kind() {
        let (_, events) = chain(1);
        let with = |kind: u8, text: &[u8]| {
            let body = Blob::new([&[7; 32], text].concat()).unwrap();
            Event { kind, body, ..events[0].claim().unwrap() }.content()
        };
        let target = EventId([7; 32]);
        assert_eq!(with(KIND_EDIT, b"green"), Ok(Content::Edit { target, text: "green".to_owned() }));
        assert_eq!(with(KIND_DELETE, b""), Ok(Content::Delete { target }));
        assert_eq!(with(KIND_REACTION, b""), Ok(Content::Reaction { target, word: String::new() }));
        let long = [b'x'; REACTION_BYTES_MAX + 1];
        for (kind, text) in [(KIND_EDIT, &b""[..]), (KIND_EDIT, b"\xff"), (KIND_DELETE, b"x"), (KIND_REACTION, &long)] {
            assert_eq!(with(kind, text), Err(EventError::Body), "kind {kind}");
        }
        let short = Event { kind: KIND_DELETE, body: Blob::new(vec![7; 31]).unwrap(), ..events[0].claim().unwrap() };
        assert_eq!(short.content(), Err(EventError::Body));
    }

    #[test]
    fn a_newer_chain_supersedes_by_its_clock() {
        let stamp = |lamport, chain, at| Stamp { lamport, chain: ChainId([chain; 16]), at: UnixMillis(at) };
        assert!(stamp(2, 1, 0).supersedes(&stamp(1, 1, 9)));
        assert!(!stamp(1, 1, 9).supersedes(&stamp(1, 1, 0)));
        assert!(stamp(1, 2, 9).supersedes(&stamp(5, 1, 8)));
        assert!(!stamp(1, 2, 8).supersedes(&stamp(5, 1, 8)));
    }

    #[test]
    fn numbers_that_could_overflow_are_refused() {
        let (keys, events) = chain(1);
        for (number, lamport) in [(0, 1), (COUNT_MAX + 1, 1), (u64::MAX, 1), (1, COUNT_MAX + 1)] {
            let event = Event { number, lamport, ..events[0].claim().unwrap() };
            let run = [event.sign(keys.event_signer())];
            assert_eq!(verify(&run, &keys, number), Err(EventError::Chain(number)));
        }
    }

    #[test]
    fn a_changed_dropped_or_swapped_event_breaks_the_run() {
        let (keys, events) = chain(3);
        let dropped = [events[0].clone(), events[2].clone()];
        assert_eq!(verify(&dropped, &keys, 1), Err(EventError::Chain(3)));
        assert_eq!(verify(&events[1..], &keys, 1), Err(EventError::Chain(2)));
        let mut changed = events.clone();
        let mut bytes = changed[0].bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        changed[0] = WireEvent { bytes: Blob::new(bytes).unwrap(), signature: None };
        assert_eq!(verify(&changed, &keys, 1), Err(EventError::Chain(2)));
    }
}
