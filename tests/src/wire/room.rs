//! A room as a scripted person knows it, and the joins they may sign for it, rightly or not.

use std::time::Duration;

use common::ids::{ChainId, IdentityKey, RoomId};
use common::message::event::{Content, Join, NO_EVENT, WireEvent};
use common::message::registry::{Reply, Request};
use common::message::room::{Genesis, History, Invite};
use common::names::RoomName;
use common::secure::sign::Signed;
use common::wire::bounded::List;

use super::person::{Person, now};
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

    /// A public room that `owner` makes, and their join.
    pub fn create(link: &mut RegistryLink, owner: &Person, name: &str) -> (Self, WireEvent) {
        Self::made(link, owner, name, false)
    }

    /// A private one.
    pub fn create_private(link: &mut RegistryLink, owner: &Person, name: &str) -> (Self, WireEvent) {
        Self::made(link, owner, name, true)
    }

    fn made(link: &mut RegistryLink, owner: &Person, name: &str, private: bool) -> (Self, WireEvent) {
        let genesis = Genesis {
            realm: link.realm(),
            name: RoomName::parse(name).expect("a good name"),
            owner: owner.keys.identity(),
            owner_name: owner.name.clone(),
            private,
            history: History::All,
            nonce: ChainId([7; 16]),
            at: now(),
            rotations: List::default(),
        };
        let genesis = Signed::sign(&genesis, owner.keys.identity_signer());
        let room = Self { id: RoomId(genesis.id()), genesis: genesis.clone(), invite: None };
        let join = room.join(owner, link, None);
        link.ask(Request::CreateRoom { genesis: Box::new(genesis), join: join.clone() }).expect("the name is free");
        (room, join)
    }

    /// An invitation of somebody, signed by the owner.
    pub fn invitation(&self, owner: &Person, invitee: IdentityKey) -> Signed<Invite> {
        let at = now();
        let invite = Invite { room: self.id, invitee, head: 0, at, expires: at.plus(Duration::from_secs(3600)) };
        Signed::sign(&invite, owner.keys.identity_signer())
    }

    /// The first event of `person` in this room.
    pub fn join(&self, person: &Person, link: &RegistryLink, invite: Option<Signed<Invite>>) -> WireEvent {
        let join = Join { statement: person.statement(link.realm()), invite };
        self.event(person, 1, NO_EVENT, &Content::Join(Box::new(join)))
    }

    /// Any event of `person`, signed by their own key.
    pub fn event(&self, person: &Person, number: u64, previous: common::ids::EventId, content: &Content) -> WireEvent {
        person.event(self.id.into(), number, previous, content)
    }
}
