//! What makes a room, signed by anybody in any order: nobody is a member whom the owner did not let in, and nobody but
//! the owner adds to the log.

use std::sync::OnceLock;

use super::Choices;
use crate::ids::{ChainId, EntryId, RealmId, RoomId};
use crate::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use crate::message::room::{Act, Genesis, History, Invite, LogEntry, NO_ENTRY, check_entry, check_genesis, check_join};
use crate::names::{RoomName, UserName};
use crate::secret::Secret;
use crate::secure::identity::{KEYS_BYTES, Keys};
use crate::secure::sign::Signed;
use crate::time::UnixMillis;
use crate::wire::bounded::{List, Text};
use crate::wire::codec;

/// A room, then acts of its owner and of two others upon it, each perhaps with one field that is wrong.
pub fn fuzz_rooms(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut room = Room::new(choices.flag());
    for _ in 0..ACTS_MAX {
        if choices.is_empty() {
            break;
        }
        match choices.below(4) {
            0 => room.entry(&mut choices),
            1 => room.join(&mut choices),
            2 => room.changed_join(&mut choices),
            _ => room.changed_genesis(&mut choices),
        }
    }
}

struct Room {
    id: RoomId,
    genesis: Genesis,
    signed: Signed<Genesis>,
    head: u32,
    previous: EntryId,
}

impl Room {
    fn new(private: bool) -> Self {
        let genesis = Genesis {
            realm: REALM,
            name: RoomName::parse("#dev").expect("a good name"),
            owner: actors()[OWNER].identity(),
            owner_name: name(OWNER),
            private,
            history: History::All,
            nonce: ChainId([0; 16]),
            at: UnixMillis(0),
        };
        let signed = Signed::sign(&genesis, actors()[OWNER].identity_signer());
        let (id, genesis) = check_genesis(&signed).expect("an honest genesis holds");
        Self { id, genesis, signed, head: 0, previous: NO_ENTRY }
    }

    /// Somebody adds to the log. The next entry of the owner is taken, and nothing else.
    fn entry(&mut self, choices: &mut Choices<'_>) {
        let signer = choices.below(ACTORS);
        let skipped = choices.below(8).saturating_sub(6);
        let index = self.head + 1 + u32::try_from(skipped).expect("it is 0 or 1");
        let is_wrong_room = choices.below(8) == 1;
        let forgets = choices.below(8) == 1;
        let entry = LogEntry {
            room: if is_wrong_room { ELSEWHERE } else { self.id },
            index,
            previous: if forgets { EntryId([9; 32]) } else { self.previous },
            at: UnixMillis(1),
            act: Act::Topic { text: Text::cut("lunch") },
        };
        let signed = Signed::sign(&entry, actors()[signer].identity_signer());
        let is_right = signer == OWNER && skipped == 0 && !is_wrong_room && !forgets;
        let checked = check_entry(self.id, &self.genesis, &signed, self.head, self.previous);
        assert_eq!(checked.is_ok(), is_right, "{checked:?}");
        if is_right {
            self.head += 1;
            self.previous = EntryId(signed.id());
            let again = check_entry(self.id, &self.genesis, &signed, self.head, self.previous);
            assert!(again.is_err(), "an entry counted twice");
        }
    }

    /// Somebody enters: in a public room everybody may, in a private one whom the owner invited.
    fn join(&self, choices: &mut Choices<'_>) {
        let [author, stated, signer] = [0; 3].map(|_: u8| choices.below(ACTORS));
        let is_elsewhere = choices.below(8) == 1;
        let is_invited = choices.flag();
        let [inviter, invitee] = [0; 2].map(|_: u8| choices.below(ACTORS));
        let [expires, at] = [0; 2].map(|_: u8| u64::from(choices.byte()));
        let invited_elsewhere = choices.below(8) == 1;
        let invite = is_invited.then(|| {
            let room = if invited_elsewhere { ELSEWHERE } else { self.id };
            let invitee = actors()[invitee].identity();
            let invite = Invite { room, invitee, head: 0, at: UnixMillis(0), expires: UnixMillis(expires) };
            Signed::sign(&invite, actors()[inviter].identity_signer())
        });
        let join = Join { statement: actors()[stated].statement(REALM, name(stated)), invite };
        let mut event = event(self.id, author, join);
        event.at = UnixMillis(at);
        if is_elsewhere {
            event.conversation = ELSEWHERE.into();
        }
        let checked = check_join(self.id, &self.genesis, &event.sign(actors()[signer].event_signer()));
        let is_oneself = author == stated && stated == signer && !is_elsewhere;
        let is_let_in = is_invited && inviter == OWNER && invitee == author && !invited_elsewhere && at <= expires;
        let may = is_oneself && (!self.genesis.private || author == OWNER || is_let_in);
        assert_eq!(checked.is_ok(), may, "{checked:?}");
    }

    /// The bytes of the owner's join, changed on their way.
    fn changed_join(&self, choices: &mut Choices<'_>) {
        let join = Join { statement: actors()[OWNER].statement(REALM, name(OWNER)), invite: None };
        let honest = event(self.id, OWNER, join).sign(actors()[OWNER].event_signer());
        let Ok(changed) = codec::decode::<WireEvent>(&choices.changed(&codec::encode(&honest))) else { return };
        if check_join(self.id, &self.genesis, &changed).is_ok() {
            assert_eq!(changed.id(), honest.id(), "a join was believed that nobody signed");
        }
    }

    fn changed_genesis(&self, choices: &mut Choices<'_>) {
        let changed = choices.changed(&codec::encode(&self.signed));
        let Ok(changed) = codec::decode::<Signed<Genesis>>(&changed) else { return };
        if let Ok((id, genesis)) = check_genesis(&changed) {
            assert_eq!((id, genesis.owner), (self.id, self.genesis.owner), "a room was believed that nobody made");
        }
    }
}

fn event(room: RoomId, author: usize, join: Join) -> Event {
    let (kind, body) = Content::Join(Box::new(join)).encode().expect("a join is short");
    Event {
        conversation: room.into(),
        author: actors()[author].identity(),
        chain: ChainId([1; 16]),
        number: 1,
        previous: NO_EVENT,
        parents: List::default(),
        head: 0,
        lamport: 1,
        at: UnixMillis(50),
        kind,
        body,
    }
}

fn actors() -> &'static [Keys; ACTORS] {
    static ACTORS_KEYS: OnceLock<[Keys; ACTORS]> = OnceLock::new();
    ACTORS_KEYS.get_or_init(|| [1, 2, 3].map(|byte| Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))))
}

fn name(actor: usize) -> UserName {
    UserName::parse(["alice", "bob", "mallory"][actor]).expect("a good name")
}

const ACTORS: usize = 3;
const OWNER: usize = 0;
const REALM: RealmId = RealmId([8; 32]);
const ELSEWHERE: RoomId = RoomId([9; 32]);
/// Signatures take time; more acts than that find nothing more.
const ACTS_MAX: usize = 8;
