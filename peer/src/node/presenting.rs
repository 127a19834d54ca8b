//! Rooms of mine that the registry has lost or does not have me in, and rooms that I have left and it still has me in,
//! perhaps because it came back from an old backup: it is shown again what was signed, and takes it or says why not.
//! Membership is decided by signatures, so whatever it says, all goes on among the members; only the owner's log puts me
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{ConversationId, RoomId};
use common::message::event::WireEvent;
use common::message::registry::{Code, MemberRecord, Refusal, Request};
use common::time::Monotonic;

use super::account::Account;
use super::calls::{Call, PAGES_MAX, PagePlace};
use super::conduct::goes_on;
use super::context::Context;
use super::conversation::Room;
use crate::api::Event;

/// What the registry was shown since signing in.
#[derive(Debug, Default)]
pub(super) struct Presenting {
    /// Once is enough, whatever its lists say then.
    shown_in: BTreeSet<ConversationId>,
    /// Rooms that it may take me into when others have brought it what it lacks, and how often it did not.
    not_yet: BTreeMap<ConversationId, u32>,
    again_at: Option<Monotonic>,
    /// How much it has of the logs of rooms that I bring back.
    brought: BTreeMap<ConversationId, u32>,
    /// Rooms that it will not take me into by the join that it was shown.
    refused: BTreeSet<ConversationId>,
}

impl Presenting {
    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.again_at
    }

    /// Whether only another join would help.
    pub(super) fn is_refused(&self, id: ConversationId) -> bool {
        self.refused.contains(&id)
    }
}

impl Account {
    /// What the registry has of a room of mine: the owner's log and who belongs to it.
    pub(super) fn compare_with_registry(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(room) = self.room(id).filter(|room| room.joined) else { return };
        // The last one I know again: whether the registry has it, too.
        let (room, from) = (room.id, room.head().max(1));
        self.ask(cx, Request::Log { room, from }, Call::LogOf { room: id, from });
        self.ask_members(cx, id);
    }

    /// Asks in which rooms the registry has me.
    pub(super) fn ask_memberships(&mut self, cx: &mut Context, after: Option<RoomId>, pages: u32) {
        self.ask(cx, Request::Memberships { after }, Call::Memberships { after, pages });
    }

    /// A page of the rooms that it has me in: where I have left, it is told so once more.
    pub(super) fn memberships(
        &mut self,
        cx: &mut Context,
        (after, pages): (Option<RoomId>, u32),
        rooms: &[RoomId],
        more: bool,
    ) {
        if !goes_on(after.as_ref(), rooms) {
            return self.registry_misbehaved(cx, "its lists go round in circles");
        }
        for room in rooms {
            self.repeat_part(cx, (*room).into());
        }
        if let Some(last) = rooms.last().filter(|_| more && pages < PAGES_MAX) {
            self.ask_memberships(cx, Some(*last), pages + 1);
        }
    }

    fn ask_members(&mut self, cx: &mut Context, id: ConversationId) {
        let call = Call::MembersOf { room: id, announce: true, place: PagePlace::default() };
        self.ask(cx, Request::Members { room: id.into(), after: None }, call);
    }

    /// A page of who belongs to a room of mine: if I should be on it, I am, or show why.
    pub(super) fn look_for_me(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        place: &PagePlace,
        members: &[MemberRecord],
        more: bool,
    ) {
        let Some(mine) = self.room(id).and_then(|room| room.members.get(&self.me)) else { return };
        let begins = place.after.as_ref().is_none_or(|after| *after < self.user);
        let ends = !more || members.last().is_some_and(|last| last.user >= self.user);
        let is_mine = |record: &MemberRecord| record.user == self.user && record.join == mine.join;
        if members.iter().any(|record| is_mine(record) && record.part.is_none()) {
            self.registry.presenting.not_yet.remove(&id);
        } else if begins && ends {
            self.present(cx, id);
        }
    }

    /// The registry does not tell me who belongs to a room of mine.
    pub(super) fn members_refused(&mut self, cx: &mut Context, id: ConversationId, refusal: Refusal) {
        match refusal.code {
            Code::NotMember => self.present(cx, id),
            Code::NoSuchRoom => self.bring_back(cx, id),
            _ => {}
        }
    }

    fn present(&mut self, cx: &mut Context, id: ConversationId) {
        if self.registry.presenting.shown_in.insert(id) {
            // Behind as much of the log as it took before.
            self.bring_log(cx, id);
        }
    }

    fn show_join(&mut self, cx: &mut Context, id: ConversationId) {
        if let Some(join) = self.my_join(id) {
            self.ask(cx, Request::JoinRoom { join }, Call::Present { room: id });
        }
    }

    /// The registry has lost a room. Every member has what makes it one: its genesis, the owner's log, and their join.
    fn bring_back(&mut self, cx: &mut Context, id: ConversationId) {
        let genesis = self.mine(id).map(|room| Box::new(room.signed.clone()));
        if let Some((genesis, join)) = genesis.zip(self.my_join(id))
            && self.registry.presenting.shown_in.insert(id)
        {
            self.ask(cx, Request::CreateRoom { genesis, join }, Call::BringBack { room: id });
        }
    }

    /// It has the room again, with nobody in it.
    pub(super) fn brought_back(&mut self, cx: &mut Context, id: ConversationId) {
        self.registry.presenting.brought.entry(id).or_default();
        self.bring_log(cx, id);
    }

    pub(super) fn entry_brought(&mut self, cx: &mut Context, id: ConversationId, number: u32) {
        self.registry.presenting.brought.insert(id, number);
        self.bring_log(cx, id);
    }

    /// The next entry of a room that I bring back; behind the last, and in any other room, the join that they let in.
    fn bring_log(&mut self, cx: &mut Context, id: ConversationId) {
        let number = self.registry.presenting.brought.get(&id).map(|brought| brought + 1);
        let next = number.and_then(|number| Some((number, self.mine(id)?.entry(number)?.clone())));
        match next {
            Some((number, entry)) => {
                self.ask(cx, Request::AddEntry { entry }, Call::BringEntry { room: id, number });
            }
            None => self.show_join(cx, id),
        }
    }

    /// Others are in by a log of their own, or it takes more later.
    pub(super) fn entry_not_brought(&mut self, cx: &mut Context, id: ConversationId, refusal: Refusal) {
        match refusal.code {
            Code::Busy | Code::Throttled | Code::NoSuchUser => self.not_presented(cx, id, refusal),
            _ => self.show_join(cx, id),
        }
    }

    fn my_join(&self, id: ConversationId) -> Option<WireEvent> {
        self.mine(id).and_then(|room| room.members.get(&self.me)).map(|mine| mine.join.clone())
    }

    /// The registry has me in again: it may lack what was decided, and know whom I do not.
    pub(super) fn presented(&mut self, cx: &mut Context, id: ConversationId) {
        self.registry.presenting.not_yet.remove(&id);
        self.compare_with_registry(cx, id);
    }

    pub(super) fn not_presented(&mut self, cx: &mut Context, id: ConversationId, refusal: Refusal) {
        let Some(room) = self.mine(id) else { return };
        let (name, owner, is_owner) =
            (&room.genesis.name, room.moderation.owner_name(), room.moderation.owner() == self.me);
        // Not known, or not with all that my join names, or not those whom the log names.
        let lacks = matches!(refusal.code, Code::NoSuchRoom | Code::Usage | Code::NoSuchUser);
        let text = if lacks && !is_owner {
            let whom = if refusal.code == Code::NoSuchRoom { &room.genesis.owner_name } else { owner };
            format!("The registry has lost {name} as it is. Those in it hear you; it is whole when {whom} signs in.")
        } else {
            format!(
                "The registry does not have you in {name} any more; those in it hear you. {}",
                refusal.text.as_str()
            )
        };
        let presenting = &mut self.registry.presenting;
        if lacks || matches!(refusal.code, Code::Busy | Code::Throttled) {
            presenting.again_at.get_or_insert(cx.now.monotonic.plus(AGAIN_AFTER));
            let times = presenting.not_yet.entry(id).or_default();
            *times += 1;
            if *times != TOLD_AT {
                return;
            }
        } else {
            presenting.refused.insert(id);
        }
        cx.tell(Event::Refused(Refusal::new(refusal.code, &text)));
    }

    pub(super) fn presenting_timer(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let presenting = &mut self.registry.presenting;
        if presenting.again_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let due: Vec<_> = presenting.not_yet.keys().copied().collect();
        for id in due {
            self.registry.presenting.shown_in.remove(&id);
            self.ask_members(cx, id);
        }
    }

    /// A room that I am in by all that was signed; not one that I am about to leave.
    fn mine(&self, id: ConversationId) -> Option<&Room> {
        self.room(id).filter(|room| room.joined && room.is_member(&self.me))
    }
}

/// After an old backup the others come back within this, and bring what is theirs.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// The first time, whoever brings it may only be a little later than I am.
const TOLD_AT: u32 = 2;
