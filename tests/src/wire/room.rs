//! A room as a scripted person knows it, and the joins they may sign for it, rightly or not.

use common::ids::{ChainId, RoomId};
use common::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use common::message::registry::{Reply, Request};
use common::message::room::{Genesis, History, Invite};
use common::names::RoomName;
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::bounded::List;

use super::person::Person;
use super::registry_link::RegistryLink;

pub struct Room {
    pub id: RoomId,
    pub genesis: Signed<Genesis>,
    pub invite: Option<Signed<Invite>>,
}

impl Room {
    /// The room as the registry tells of it to somebody about to join.
    pub fn find(link: &mut RegistryLink, name: &str) -> Self {
        match link.ask(Request::FindRoom { name: RoomName::parse(name).expect("a good name") }) {
            Ok(Reply::Room { genesis, invite }) => Self { id: RoomId(genesis.id()), genesis: *genesis, invite },
            other => panic!("{name} was looked for: {other:?}"),
        }
    }

    /// A public room that `owner` makes.
    pub fn create(link: &mut RegistryLink, owner: &Person, name: &str) -> Self {
        let genesis = Genesis {
            realm: link.realm(),
            name: RoomName::parse(name).expect("a good name"),
            owner: owner.keys.identity(),
            owner_name: owner.name.clone(),
            private: false,
            history: History::All,
            nonce: ChainId([7; 16]),
            at: now(),
            rotations: List::default(),
        };
        let genesis = Signed::sign(&genesis, owner.keys.identity_signer());
        let room = Self { id: RoomId(genesis.id()), genesis: genesis.clone(), invite: None };
        let join = room.join(owner, link, None);
        link.ask(Request::CreateRoom { genesis: Box::new(genesis), join }).expect("the name is free");
        room
    }

    /// The first event of `person` in this room.
    pub fn join(&self, person: &Person, link: &RegistryLink, invite: Option<Signed<Invite>>) -> WireEvent {
        let join = Join { statement: person.statement(link.realm()), invite };
        self.event(person, 1, NO_EVENT, &Content::Join(Box::new(join)))
    }

    /// Any event of `person`, signed by their own key.
    pub fn event(&self, person: &Person, number: u64, previous: common::ids::EventId, content: &Content) -> WireEvent {
        let (kind, body) = content.encode().expect("a short text");
        let event = Event {
            conversation: self.id.into(),
            author: person.keys.identity(),
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
        event.sign(person.keys.event_signer())
    }
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("it is long before the end of time"))
}
