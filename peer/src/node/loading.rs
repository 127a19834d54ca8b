//! From what the disk read at the start to conversations: nothing is checked again that was checked before it was
//! stored.

use common::ids::{ChainId, IdentityKey, RoomId};
use common::message::event::{Content, WireEvent};
use common::message::room::{Membership, check_genesis};

use super::conversation::{Conversation, Kind, OwnLog, PendingEvent, Room};
use super::held::Held;
use crate::ports::{LoadedConversation, LoadedRoom, OwnChain};

/// The conversation, unless its parts do not decode (which the disk's own checks make impossible but for bad memory).
pub(super) fn conversation(loaded: LoadedConversation, me: &IdentityKey) -> Option<Conversation> {
    let LoadedConversation { id, with, room, lamport, own, theirs } = loaded;
    let kind = match (with, room) {
        (Some(with), _) => Kind::Direct { with },
        (None, Some(room)) => Kind::Room(Box::new(self::room(id.into(), room)?)),
        (None, None) => return None,
    };
    let mut conversation = Conversation::new(id, kind);
    conversation.lamport = lamport;
    let used: Vec<ChainId> = own.iter().map(|chain| chain.chain).collect();
    conversation.own = own.into_iter().enumerate().map(|(order, chain)| (chain.chain, own_log(order, chain))).collect();
    if let Kind::Room(room) = &conversation.kind {
        // Whoever left since is not waited for, and nobody is by whom was removed.
        let is_out = room.ended_by(me).is_some();
        let left = left_behind(room, me, &used);
        for (chain, log) in &mut conversation.own {
            log.pending.values_mut().for_each(|event| {
                event.recipients.retain(|identity| !is_out && room.is_member(identity));
            });
            log.forget_complete();
            if is_out || left.contains(chain) {
                log.withdraw_beyond(room.moderation.limit(me, chain));
            }
        }
    }
    let held = theirs.into_iter().map(|theirs| {
        let mut held = Held::up_to(theirs.number, theirs.last, 0);
        held.borrowed_from = theirs.borrowed_from;
        ((theirs.author, theirs.chain), held)
    });
    conversation.theirs = held.collect();
    Some(conversation)
}

/// Of my chains, in the order of their use, those before the one that I am in a room by: whoever comes back after a
/// removal goes on in another chain if there was something that does not count.
fn left_behind<'a>(room: &Room, me: &IdentityKey, used: &'a [ChainId]) -> &'a [ChainId] {
    // One that was renewed under another key says nothing of what lies before it.
    let mine = room.members.get(me).filter(|mine| mine.statement.rotations.is_empty());
    let join = mine.and_then(|mine| mine.join.claim().ok());
    let first = join.and_then(|join| used.iter().position(|chain| *chain == join.chain));
    &used[..first.unwrap_or(0)]
}

fn own_log(order: usize, chain: OwnChain) -> OwnLog {
    let mut log = OwnLog::new(order);
    log.number = chain.number;
    log.committed = chain.number;
    log.before = chain.number;
    log.last = chain.last;
    log.acked = chain.acked.into_iter().collect();
    log.mailed = chain.mailed.into_iter().collect();
    let mailed = log.mailed.iter().filter_map(|(recipient, runs)| Some((*recipient, runs.last()?.number)));
    log.told_queued = mailed.collect();
    let pending = chain.pending.into_iter();
    log.pending =
        pending.map(|event| (event.number, PendingEvent { id: event.id, recipients: event.recipients })).collect();
    log
}

fn room(id: RoomId, loaded: LoadedRoom) -> Option<Room> {
    let (_, genesis) = check_genesis(&loaded.genesis).ok()?;
    let mut room = Room::new(id, genesis, loaded.genesis);
    (room.joined, room.other) = (loaded.joined, loaded.other);
    for signed in loaded.entries {
        let entry = signed.claim().ok()?;
        room.apply(entry, signed);
    }
    for (join, part) in loaded.members {
        let membership = membership(&room, &join)?;
        let part = part.and_then(|part| part.claim().ok().map(|event| (event.stamp(), part)));
        room.put_member(membership, join, part, false);
    }
    Some(room)
}

fn membership(room: &Room, join: &WireEvent) -> Option<Membership> {
    let event = join.claim().ok()?;
    let Content::Join(body) = event.content().ok()? else { return None };
    let owner = room.moderation.owners().at(event.head).map(|owner| owner.identity);
    let needs_invite = room.genesis.private && owner != Some(event.author);
    let invite = body.invite.filter(|_| needs_invite).and_then(|invite| invite.claim().ok());
    Some(Membership { statement: body.statement.claim().ok()?, event, invited: invite.map(|invite| invite.head) })
}
