//! The codec on every kind of value that travels, and events with the chains they make.

use std::any::type_name;
use std::fmt::Debug;
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Choices;
use crate::ids::{ChainId, ConversationId, EventId};
use crate::message::event::{Content, Event, Join, NO_EVENT, Position, WireEvent, verify_run};
use crate::message::mail::Mail;
use crate::message::peer::{Events, PeerMessage};
use crate::message::registry::{FromRegistry, News, Refusal, Reply, Request, ToRegistry};
use crate::message::room::{Act, Genesis, History, Invite, LogEntry};
use crate::secret::Secret;
use crate::secure::certificate::{Certificate, Credentials};
use crate::secure::handshake::{PeerGreeting, RegistryProof};
use crate::secure::identity::{DeviceStatement, KEYS_BYTES, Keys};
use crate::secure::mail::Prekey;
use crate::time::UnixMillis;
use crate::wire::bounded::List;
use crate::wire::codec;

macro_rules! kinds {
    ($($kind:ty,)+) => {
        /// Append only: the corpora name kinds by their places.
        const KINDS: &[(fn() -> &'static str, fn(&[u8]))] = &[$((type_name::<$kind>, comes_back::<$kind>),)+];
    };
}

kinds! {
    ToRegistry,
    FromRegistry,
    PeerMessage,
    Request,
    Reply,
    News,
    Refusal,
    Mail,
    Event,
    Join,
    WireEvent,
    Credentials,
    DeviceStatement,
    Certificate,
    Genesis,
    LogEntry,
    Act,
    History,
    Invite,
    Prekey,
    RegistryProof,
    PeerGreeting,
}

/// One byte for the kind, then the bytes of a value.
pub fn fuzz_messages(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (_, check) = KINDS[choices.below(KINDS.len())];
    check(choices.rest());
}

/// The byte that chooses `T`, if it is one of the kinds.
pub fn message_kind<T>() -> Option<u8> {
    let place = KINDS.iter().position(|(name, _)| name() == type_name::<T>())?;
    u8::try_from(place).ok()
}

/// Whatever is understood can be said again, and is understood the same.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = codec::decode::<T>(bytes) else { return };
    let encoded = codec::encode(&value);
    let again = codec::decode::<T>(&encoded);
    assert_eq!(again.as_ref(), Ok(&value));
    assert_eq!(codec::encode(&value), encoded);
    assert!(encoded.len() <= GROWTH_MAX * bytes.len() + GROWTH_MAX, "a value grew");
}

/// Changes to an honest run of events, or the bytes of a single one: what is believed was signed, and every body means
/// what it says.
pub fn fuzz_events(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.flag() {
        if let Ok(event) = codec::decode::<Event>(choices.rest()) {
            means_what_it_says(&event);
        }
        return;
    }
    let Run { keys, events, ids } = Run::honest();
    let Ok(message) = codec::decode::<Events>(&choices.changed(events)) else { return };
    let position = Position {
        conversation: CONVERSATION,
        author: keys.identity(),
        chain: CHAIN,
        number: 1,
        previous: Some(NO_EVENT),
    };
    let Ok(believed) = verify_run(&message.events, position, &keys.event()) else { return };
    for ((id, event), honest) in believed.iter().zip(ids) {
        assert_eq!(id, honest, "an event was believed that nobody signed");
        means_what_it_says(event);
    }
    assert!(believed.len() <= ids.len());
}

fn means_what_it_says(event: &Event) {
    let Ok(content) = event.content() else { return };
    let is_plain = !matches!(content, Content::Unknown | Content::Join(_));
    if is_plain {
        assert_eq!(content.encode(), Ok((event.kind, event.body.clone())));
    } else if let Content::Join(join) = &content {
        assert_eq!(codec::decode::<Join>(&codec::encode(join.as_ref())).as_ref(), Ok(join.as_ref()));
    }
}

/// Four events of which the second and the last are signed.
struct Run {
    keys: Keys,
    events: Vec<u8>,
    ids: Vec<EventId>,
}

impl Run {
    fn honest() -> &'static Self {
        static HONEST: OnceLock<Run> = OnceLock::new();
        HONEST.get_or_init(|| {
            let keys = Keys::from_seed(&Secret::new([3; KEYS_BYTES]));
            let target = EventId([7; 32]);
            let contents = [
                Content::Text("hi".to_owned()),
                Content::Action("waves".to_owned()),
                Content::Edit { target, text: "hello".to_owned() },
                Content::Reaction { target, word: "+1".to_owned() },
            ];
            let (mut previous, mut events) = (NO_EVENT, Vec::new());
            for (content, number) in contents.iter().zip(1..) {
                let mut wire = event(&keys, content, number, previous).sign(keys.event_signer());
                previous = wire.id();
                wire.signature = wire.signature.filter(|_| number % 2 == 0);
                events.push(wire);
            }
            let ids = events.iter().map(WireEvent::id).collect();
            let message = Events { conversation: CONVERSATION, late: false, events: List::cut(events) };
            Run { keys, events: codec::encode(&message), ids }
        })
    }
}

fn event(keys: &Keys, content: &Content, number: u64, previous: EventId) -> Event {
    let (kind, body) = content.encode().expect("short texts");
    Event {
        conversation: CONVERSATION,
        author: keys.identity(),
        chain: CHAIN,
        number,
        previous,
        parents: List::default(),
        head: 0,
        lamport: number,
        at: UnixMillis(0),
        kind,
        body,
    }
}

const CONVERSATION: ConversationId = ConversationId([1; 32]);
const CHAIN: ChainId = ChainId([2; 16]);

/// Names of fields that a newer or older program left out, and nil for what is missing.
const GROWTH_MAX: usize = 64;
