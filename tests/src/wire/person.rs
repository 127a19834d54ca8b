//! Somebody with keys made from their name: the same name is the same person in every test.

use common::ids::{AuthKey, ChainId, ConversationId, EventId, RealmId};
use common::message::event::{Content, Event, WireEvent};
use common::names::UserName;
use common::secret::Secret;
use common::secure::identity::{DeviceStatement, KEYS_BYTES, Keys};
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::List;

pub struct Person {
    pub name: UserName,
    pub keys: Keys,
    pub auth: AuthKey,
}

impl Person {
    pub fn new(name: &str) -> Self {
        let name = UserName::parse(name).expect("a good name");
        let part = |use_: &str| common::ids::hash(use_, &[name.as_str().as_bytes()]);
        let seed: Vec<u8> = ["identity", "device", "event"].into_iter().flat_map(part).collect();
        let seed: [u8; KEYS_BYTES] = seed.try_into().expect("three keys");
        Self { keys: Keys::from_seed(&Secret::new(seed)), auth: AuthKey(part("auth")), name }
    }

    pub fn statement(&self, realm: RealmId) -> Signed<DeviceStatement> {
        self.keys.statement(realm, self.name.clone())
    }

    /// Any event of theirs, signed by their own key.
    pub fn event(&self, conversation: ConversationId, number: u64, previous: EventId, content: &Content) -> WireEvent {
        let (kind, body) = content.encode().expect("a short text");
        let event = Event {
            conversation,
            author: self.keys.identity(),
            chain: ChainId([7; 16]),
            number,
            previous,
            parents: List::default(),
            head: 0,
            lamport: number,
            at: now(),
            kind,
            body,
        };
        event.sign(self.keys.event_signer())
    }
}

pub fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("it is long before the end of time"))
}
