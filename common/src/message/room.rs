//! What makes a room: its genesis, its owner's log and its invitations, each signed by the key that speaks for the
//! owner's identity, so that every member can check who belongs without asking the registry.

use serde::{Deserialize, Serialize};

use super::event::{Content, Event, WireEvent};
use super::moderation::{Owners, Reign};
use crate::ids::{ChainId, EntryId, IdentityKey, RealmId, RoomId};
use crate::limits::{CUTS_MAX, REASON_BYTES_MAX, TOPIC_BYTES_MAX};
use crate::names::{RoomName, UserName};
use crate::secure::identity::{self, DeviceStatement};
use crate::secure::rotation::{self, Rotations};
use crate::secure::sign::{SignError, Signable, Signed};
use crate::time::UnixMillis;
use crate::wire::bounded::{List, Text};

/// The beginning of a room. Its hash is the room's id, so nothing in it can ever change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    pub realm: RealmId,
    pub name: RoomName,
    pub owner: IdentityKey,
    pub owner_name: UserName,
    pub private: bool,
    pub history: History,
    /// Keeps two rooms of the same name and owner apart.
    pub nonce: ChainId,
    pub at: UnixMillis,
    /// How the key that signed this came to speak for `owner`.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub rotations: Rotations,
}

impl Signable for Genesis {
    const CONTEXT: &'static str = "p2p-chat room genesis v1";
}

impl Genesis {
    /// Whose word counts at first.
    pub fn reign(&self) -> Reign {
        Reign { from: 0, identity: self.owner, key: rotation::newest(&self.owner, &self.rotations) }
    }
}

/// What somebody who joins is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum History {
    /// Everything from the beginning.
    All,
    /// What was said since one's first join.
    Joined,
}

/// One entry of the owner's log; entries are numbered from 1 and each names the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub room: RoomId,
    pub index: u32,
    /// Zeros in the first entry.
    pub previous: EntryId,
    pub at: UnixMillis,
    pub act: Act,
}

impl Signable for LogEntry {
    const CONTEXT: &'static str = "p2p-chat room log entry v1";
}

/// What an owner decides. What follows from it is folded in [`super::moderation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    Topic {
        text: Text<TOPIC_BYTES_MAX>,
    },
    /// Ends every join and burns every invitation that this person has by now.
    Remove(Removal),
    /// The same, and no join of theirs counts until they are unbanned.
    Ban(Removal),
    Unban {
        identity: IdentityKey,
        user: UserName,
    },
    /// Whoever signs what follows.
    Transfer {
        identity: IdentityKey,
        user: UserName,
    },
    /// The owner has another key: it signs this entry and what follows. These are all its steps from the identity on.
    Rotate {
        rotations: Rotations,
    },
    /// Nobody is a member any more, for good.
    Close {
        reason: Text<REASON_BYTES_MAX>,
    },
}

/// Who has to go, and how much of what they said counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub identity: IdentityKey,
    /// For people; decides nothing.
    pub user: UserName,
    /// Of a chain that is not named, nothing counts.
    pub cut: List<Cut, CUTS_MAX>,
    pub reason: Text<REASON_BYTES_MAX>,
}

/// Of this chain, what comes after `number` does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub chain: ChainId,
    pub number: u64,
}

/// The owner lets one person into a private room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    pub room: RoomId,
    pub invitee: IdentityKey,
    /// Entries in the owner's log when it was made: a later removal burns it.
    pub head: u32,
    pub at: UnixMillis,
    pub expires: UnixMillis,
}

impl Signable for Invite {
    const CONTEXT: &'static str = "p2p-chat room invitation v1";
}

/// A join that holds, checked by [`check_join`]. Whether it still counts is [`super::moderation::Moderation::admits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub statement: DeviceStatement,
    pub event: Event,
    /// Entries in the owner's log when the invitation was made, where one is needed.
    pub invited: Option<u32>,
}

/// Why somebody is not a member, or a room is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    #[error(transparent)]
    Signature(#[from] SignError),
    #[error("the join does not hold together: {0}")]
    Event(#[from] super::event::EventError),
    #[error("it is not a join of this room by this person")]
    NotAJoin,
    #[error("a private room needs an invitation of its owner")]
    NotInvited,
    #[error("it names entries of the owner's log that are not known here")]
    Ahead,
    #[error("the log of the room's owner is broken at entry {0}")]
    Log(u32),
}

/// The genesis, if the owner it names signed it, and the room's id.
pub fn check_genesis(signed: &Signed<Genesis>) -> Result<(RoomId, Genesis), RoomError> {
    let claim = signed.claim()?;
    let genesis = signed.verify(rotation::check(&claim.owner, &claim.rotations)?.as_bytes())?;
    Ok((RoomId(signed.id()), genesis))
}

/// The membership that `join` proves in the room of `genesis`: the statement signed by the identity, the event signed
/// by that statement's key, and in a private room an invitation of exactly this identity, signed by whoever owned the
/// room then, not expired when the join was signed. Whoever owns the room at that time needs none. Under a key that
/// followed another the join may be an earlier one renewed, so that its time says nothing.
pub fn check_join(room: RoomId, genesis: &Genesis, owners: &Owners, join: &WireEvent) -> Result<Membership, RoomError> {
    let claim = join.claim()?;
    let Content::Join(body) = claim.content()? else { return Err(RoomError::NotAJoin) };
    let statement = identity::check_statement(&body.statement)?;
    let event = join.verify(&statement.event)?;
    let fits =
        event.conversation == room.into() && event.author == statement.identity && statement.realm == genesis.realm;
    if !fits {
        return Err(RoomError::NotAJoin);
    }
    let owner = owners.at(event.head).ok_or(RoomError::Ahead)?;
    if !genesis.private || event.author == owner.identity {
        return Ok(Membership { statement, event, invited: None });
    }
    let invite = body.invite.ok_or(RoomError::NotInvited)?;
    let head = invite.claim()?.head;
    let invite = invite.verify(owners.at(head).ok_or(RoomError::Ahead)?.key.as_bytes())?;
    let is_late = event.at > invite.expires && statement.rotations.is_empty();
    if invite.room != room || invite.invitee != event.author || is_late {
        return Err(RoomError::NotInvited);
    }
    Ok(Membership { statement, event, invited: Some(head) })
}

/// The entry, if it is the word of whoever owns the room: signed with their key, or with one that follows it.
pub fn verify_entry(owner: &Reign, signed: &Signed<LogEntry>) -> Result<LogEntry, SignError> {
    let key = match signed.claim()?.act {
        Act::Rotate { rotations } => rotation::successor(&owner.identity, &owner.key, &rotations)?,
        _ => owner.key,
    };
    signed.verify(key.as_bytes())
}

/// The entry, if the room's `owner` signed it and it is the one that follows `head` entries ending in `previous`.
pub fn check_entry(
    room: RoomId,
    owner: &Reign,
    signed: &Signed<LogEntry>,
    head: u32,
    previous: EntryId,
) -> Result<LogEntry, RoomError> {
    let entry = verify_entry(owner, signed)?;
    let follows = entry.room == room && head.checked_add(1) == Some(entry.index) && entry.previous == previous;
    if follows { Ok(entry) } else { Err(RoomError::Log(entry.index)) }
}

/// The entry before the first one.
pub const NO_ENTRY: EntryId = EntryId([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::event::{Join, NO_EVENT};
    use crate::secret::Secret;
    use crate::secure::identity::{KEYS_BYTES, Keys};

    const REALM: RealmId = RealmId([8; 32]);

    fn keys(byte: u8) -> Keys {
        Keys::from_seed(&Secret::new([byte; KEYS_BYTES]))
    }

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn room(private: bool) -> (RoomId, Genesis) {
        let owner = keys(1);
        let genesis = Genesis {
            realm: REALM,
            name: RoomName::parse("#dev").unwrap(),
            owner: owner.identity(),
            owner_name: name("alice"),
            private,
            history: History::All,
            nonce: ChainId([0; 16]),
            at: UnixMillis(0),
            rotations: Rotations::default(),
        };
        check_genesis(&Signed::sign(&genesis, owner.identity_signer())).unwrap()
    }

    fn join(room: RoomId, keys: &Keys, invite: Option<Signed<Invite>>) -> WireEvent {
        let statement = keys.statement(REALM, name("bob"));
        let (kind, body) = Content::Join(Box::new(Join { statement, invite })).encode().unwrap();
        Event {
            conversation: room.into(),
            author: keys.identity(),
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
        .sign(keys.event_signer())
    }

    fn invite(room: RoomId, signer: &Keys, invitee: &Keys, expires: u64) -> Signed<Invite> {
        let invite =
            Invite { room, invitee: invitee.identity(), head: 0, at: UnixMillis(0), expires: UnixMillis(expires) };
        Signed::sign(&invite, signer.identity_signer())
    }

    #[test]
    fn only_the_owners_invitation_opens_a_private_room() {
        let (id, genesis) = room(true);
        let [owner, bob, mallory] = [1, 2, 3].map(keys);
        let owners = Owners::new(&genesis);
        let admitted = |keys: &Keys, invite| check_join(id, &genesis, &owners, &join(id, keys, invite)).is_ok();
        assert!(admitted(&owner, None));
        assert!(admitted(&bob, Some(invite(id, &owner, &bob, 100))));
        assert!(!admitted(&bob, None));
        assert!(!admitted(&bob, Some(invite(id, &owner, &bob, 49))), "expired when the join was signed");
        assert!(!admitted(&mallory, Some(invite(id, &owner, &bob, 100))), "another's invitation");
        assert!(!admitted(&mallory, Some(invite(id, &mallory, &mallory, 100))), "her own invitation");
        assert!(!admitted(&bob, Some(invite(RoomId([0; 32]), &owner, &bob, 100))), "another room's");
    }

    #[test]
    fn a_public_room_takes_anyone_but_only_for_themselves() {
        let (id, genesis) = room(false);
        let owners = Owners::new(&genesis);
        assert!(check_join(id, &genesis, &owners, &join(id, &keys(2), None)).is_ok());
        let mut stolen = join(id, &keys(2), None).claim().unwrap();
        stolen.author = keys(3).identity();
        assert!(check_join(id, &genesis, &owners, &stolen.sign(keys(2).event_signer())).is_err());
        assert!(check_join(RoomId([0; 32]), &genesis, &owners, &join(id, &keys(2), None)).is_err());
    }

    #[test]
    fn log_entries_come_in_order_and_from_the_owner() {
        let (id, genesis) = room(false);
        let entry = |index, previous, signer: &Keys| {
            let act = Act::Topic { text: Text::cut("lunch") };
            let entry = LogEntry { room: id, index, previous, at: UnixMillis(0), act };
            Signed::sign(&entry, signer.identity_signer())
        };
        let first = entry(1, NO_ENTRY, &keys(1));
        assert!(check_entry(id, &genesis.reign(), &first, 0, NO_ENTRY).is_ok());
        assert!(check_entry(id, &genesis.reign(), &entry(1, NO_ENTRY, &keys(2)), 0, NO_ENTRY).is_err());
        let second = entry(2, EntryId(first.id()), &keys(1));
        assert!(check_entry(id, &genesis.reign(), &second, 1, EntryId(first.id())).is_ok());
        assert_eq!(check_entry(id, &genesis.reign(), &second, 0, NO_ENTRY), Err(RoomError::Log(2)));
    }
}
