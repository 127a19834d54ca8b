//! What makes a room, signed by anybody in any order: nobody is a member whom the owner did not let in, nobody but the
//! owner of the moment adds to the log, and what it says of people is what was signed.

use std::sync::OnceLock;

use super::Choices;
use crate::ids::{ChainId, EntryId, IdentityKey, RealmId, RoomId};
use crate::message::event::{Content, Event, Join, NO_EVENT, WireEvent};
use crate::message::moderation::Moderation;
use crate::message::room::{Act, Cut, Genesis, History, Invite, LogEntry, Removal, check_genesis, check_join};
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
    fold: Moderation,
    /// What the log says, kept in the simplest way: who owns the room from which entry on, and of each actor up to
    /// which entry joins have ended, and whether a ban lasts.
    reigns: Vec<(u32, usize)>,
    ended: [u32; ACTORS],
    banned: [bool; ACTORS],
    is_closed: bool,
}

impl Room {
    fn new(private: bool) -> Self {
        let genesis = Genesis {
            realm: REALM,
            name: RoomName::parse("#dev").expect("a good name"),
            owner: identity(OWNER),
            owner_name: name(OWNER),
            private,
            history: History::All,
            nonce: ChainId([0; 16]),
            at: UnixMillis(0),
            rotations: List::default(),
        };
        let signed = Signed::sign(&genesis, actors()[OWNER].identity_signer());
        let (id, genesis) = check_genesis(&signed).expect("an honest genesis holds");
        let fold = Moderation::new(id, &genesis);
        let (ended, banned) = ([0; ACTORS], [false; ACTORS]);
        Self { id, genesis, signed, fold, reigns: vec![(0, OWNER)], ended, banned, is_closed: false }
    }

    /// Somebody adds to the log. What is signed by somebody else than the owner, or does not come next, is refused.
    fn entry(&mut self, choices: &mut Choices<'_>) {
        let (signer, aim) = (choices.below(ACTORS), choices.below(ACTORS));
        let skipped = choices.below(8).saturating_sub(6);
        let index = self.fold.head() + 1 + u32::try_from(skipped).expect("it is 0 or 1");
        let (is_elsewhere, forgets) = (choices.below(8) == 1, choices.below(8) == 1);
        let act = act(choices, aim);
        let entry = LogEntry {
            room: if is_elsewhere { ELSEWHERE } else { self.id },
            index,
            previous: if forgets { EntryId([9; 32]) } else { self.fold.last() },
            at: UnixMillis(1),
            act,
        };
        let signed = Signed::sign(&entry, actors()[signer].identity_signer());
        let checked = self.fold.check(&signed);
        let may = signer == self.owner() && skipped == 0 && !is_elsewhere && !forgets && !self.is_closed;
        let Ok(entry) = checked else { return };
        assert!(may, "{entry:?} was believed");
        self.keep(&entry, aim);
        self.fold.apply(EntryId(signed.id()), entry);
        assert!(self.fold.check(&signed).is_err(), "an entry counted twice");
        assert_eq!(self.fold.owner(), identity(self.owner()));
        assert_eq!(self.fold.is_closed(), self.is_closed);
    }

    fn keep(&mut self, entry: &LogEntry, aim: usize) {
        match &entry.act {
            Act::Topic { .. } | Act::Rotate { .. } => {}
            Act::Remove(_) => self.ended[aim] = entry.index,
            Act::Ban(_) => (self.ended[aim], self.banned[aim]) = (entry.index, true),
            Act::Unban { .. } => {
                if self.banned[aim] {
                    (self.ended[aim], self.banned[aim]) = (entry.index, false);
                }
            }
            Act::Transfer { .. } => self.reigns.push((entry.index, aim)),
            Act::Close { .. } => self.is_closed = true,
        }
    }

    fn owner(&self) -> usize {
        self.owner_at(self.fold.head()).expect("a room has an owner")
    }

    fn owner_at(&self, head: u32) -> Option<usize> {
        let known = head <= self.fold.head();
        self.reigns.iter().rev().find(|(from, _)| known && *from <= head).map(|(_, owner)| *owner)
    }

    /// Somebody enters: in a public room everybody may whom no ban keeps out, in a private one whom the owner of the
    /// time invited.
    fn join(&self, choices: &mut Choices<'_>) {
        let [author, stated, signer] = [0; 3].map(|_: u8| choices.below(ACTORS));
        let is_elsewhere = choices.below(8) == 1;
        let is_invited = choices.flag();
        let [inviter, invitee] = [0; 2].map(|_: u8| choices.below(ACTORS));
        let [expires, at] = [0; 2].map(|_: u8| u64::from(choices.byte()));
        let invited_elsewhere = choices.below(8) == 1;
        let bound = usize::try_from(self.fold.head()).expect("a log is short") + 2;
        let [head, invited_at] = [0; 2].map(|_: u8| u32::try_from(choices.below(bound)).expect("a log is short"));
        let invite = is_invited.then(|| {
            let room = if invited_elsewhere { ELSEWHERE } else { self.id };
            let (at, expires) = (UnixMillis(0), UnixMillis(expires));
            let invite = Invite { room, invitee: identity(invitee), head: invited_at, at, expires };
            Signed::sign(&invite, actors()[inviter].identity_signer())
        });
        let join = Join { statement: actors()[stated].statement(REALM, name(stated)), invite };
        let mut event = event(self.id, author, join);
        (event.at, event.head) = (UnixMillis(at), head);
        if is_elsewhere {
            event.conversation = ELSEWHERE.into();
        }
        let join = event.sign(actors()[signer].event_signer());
        let checked = check_join(self.id, &self.genesis, self.fold.owners(), &join);
        let is_oneself = author == stated && stated == signer && !is_elsewhere;
        let needs_invite = self.genesis.private && self.owner_at(head) != Some(author);
        let is_let_in = is_invited
            && self.owner_at(invited_at) == Some(inviter)
            && invitee == author
            && !invited_elsewhere
            && at <= expires;
        let holds = is_oneself && self.owner_at(head).is_some() && (!needs_invite || is_let_in);
        assert_eq!(checked.is_ok(), holds, "{checked:?}");
        let Ok(membership) = checked else { return };
        let is_fresh = head >= self.ended[author] && (!needs_invite || invited_at >= self.ended[author]);
        let counts = !self.is_closed && !self.banned[author] && is_fresh;
        assert_eq!(self.fold.admits(&membership), counts, "{membership:?}");
    }

    /// The bytes of the owner's join, changed on their way.
    fn changed_join(&self, choices: &mut Choices<'_>) {
        let join = Join { statement: actors()[OWNER].statement(REALM, name(OWNER)), invite: None };
        let honest = event(self.id, OWNER, join).sign(actors()[OWNER].event_signer());
        let Ok(changed) = codec::decode::<WireEvent>(&choices.changed(&codec::encode(&honest))) else { return };
        if check_join(self.id, &self.genesis, self.fold.owners(), &changed).is_ok() {
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

fn act(choices: &mut Choices<'_>, aim: usize) -> Act {
    let (identity, user) = (identity(aim), name(aim));
    let removal = |choices: &mut Choices<'_>| {
        let cut = Cut { chain: ChainId([1; 16]), number: u64::from(choices.byte()) };
        let cut = List::cut(vec![cut; choices.below(3)]);
        Removal { identity, user: user.clone(), cut, reason: Text::cut("why") }
    };
    match choices.below(6) {
        0 => Act::Topic { text: Text::cut("lunch") },
        1 => Act::Remove(removal(choices)),
        2 => Act::Ban(removal(choices)),
        3 => Act::Unban { identity, user },
        4 => Act::Transfer { identity, user },
        _ => Act::Close { reason: Text::cut("done") },
    }
}

fn event(room: RoomId, author: usize, join: Join) -> Event {
    let (kind, body) = Content::Join(Box::new(join)).encode().expect("a join is short");
    Event {
        conversation: room.into(),
        author: identity(author),
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

fn identity(actor: usize) -> IdentityKey {
    actors()[actor].identity()
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
