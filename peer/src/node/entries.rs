//! The log of a room's owner, whoever brings it: entries are taken in by their numbers, and what follows from each is
//! done and told. Two entries of one number, both signed by the owner, freeze the room.

use common::ids::{ConversationId, EntryId, IdentityKey, RoomId};
use common::limits::ENTRIES_PER_PAGE;
use common::message::event::WireEvent;
use common::message::peer::{Have, PeerMessage};
use common::message::registry::Request;
use common::message::room::{Act, LogEntry, verify_entry};
use common::names::UserName;
use common::secure::sign::Signed;
use common::wire::bounded::List;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::{Conversation, Room};
use crate::api::{Delivery, DeliveryState, Event, RoomChange};
use crate::ports::{LinkId, LinkOutput, Output, Write};

impl Account {
    /// Entries on a link: what is new goes to the others, too.
    pub(super) fn log_heard(&mut self, cx: &mut Context, room: RoomId, entries: Vec<Signed<LogEntry>>) {
        let id = ConversationId::from(room);
        let head = |account: &Self| account.room(id).map_or(0, Room::head);
        let before = head(self);
        self.entries_received(cx, room, entries, true);
        if head(self) > before {
            self.say_log_head(id);
        }
    }

    /// Everybody who is linked is told what is known of the log now: whoever knows less, or something else, says so.
    fn say_log_head(&mut self, id: ConversationId) {
        let heard = self.links.iter().filter(|(_, live)| live.conversations.contains_key(&id));
        let heard: Vec<_> = heard.map(|(link, _)| (link, id)).collect();
        self.links.haves.extend(heard);
    }

    /// Takes in consecutive entries of a room owner's log; what is known or does not follow is passed over. With
    /// `announce` the user is told.
    pub(super) fn entries_received(
        &mut self,
        cx: &mut Context,
        room: RoomId,
        entries: Vec<Signed<LogEntry>>,
        announce: bool,
    ) {
        let (mut writes, id) = (Vec::new(), ConversationId::from(room));
        let was_frozen = self.is_frozen(id);
        for signed in entries {
            let told = self.entry_received(cx, room, signed, &mut writes);
            told.filter(|_| announce).into_iter().for_each(|event| cx.tell(event));
        }
        if self.is_frozen(id) && !was_frozen {
            self.say_log_head(id);
        }
        if !writes.is_empty() {
            self.commit(cx, writes, Vec::new());
        }
        self.sign_anew(cx, id);
    }

    /// Takes in an entry; what there is to tell of it.
    pub(super) fn entry_received(
        &mut self,
        cx: &mut Context,
        id: RoomId,
        signed: Signed<LogEntry>,
        writes: &mut Vec<Write>,
    ) -> Option<Event> {
        let conversation = ConversationId::from(id);
        let room = self.conversations.get_mut(&conversation).and_then(Conversation::room_mut)?;
        if signed.claim().is_ok_and(|claim| claim.index <= room.head()) {
            return self.compare_entry(conversation, signed, writes);
        }
        let entry = room.moderation.check(&signed).ok()?;
        let by = room.moderation.owner_name().clone();
        let present: Vec<_> = room.members.iter().filter(|(_, member)| member.is_current()).collect();
        let present: Vec<IdentityKey> = present.into_iter().map(|(identity, _)| *identity).collect();
        // What I decide myself I am told, also before I am in.
        let (was_in, is_told) = (room.joined, room.joined || room.moderation.owner() == self.me);
        room.apply(entry.clone(), signed.clone());
        writes.push(Write::Entry { room: id, index: entry.index, entry: signed });
        let early = room.take_early();
        let gone: Vec<_> = present.iter().filter(|identity| !room.is_member(identity)).copied().collect();
        let told = self.change_told(conversation, &entry.act, by, &present);
        for identity in &gone {
            self.member_ended(conversation, identity);
        }
        if gone.contains(&self.me) && was_in {
            self.put_out(cx, conversation);
        }
        early.iter().for_each(|join: &WireEvent| self.member_joined(cx, conversation, join, true, writes));
        told.filter(|_| is_told)
    }

    /// What an entry is told as; `None` where it changes nothing that anybody sees.
    fn change_told(&self, id: ConversationId, act: &Act, by: UserName, present: &[IdentityKey]) -> Option<Event> {
        let room = self.room(id)?;
        // Names in the log are their owner's words; those in joins are their bearers'.
        let named = |identity: &IdentityKey, user: &UserName| {
            room.members.get(identity).map_or_else(|| user.clone(), |member| member.user.clone())
        };
        let (change, user, text) = match act {
            Act::Topic { text } => (RoomChange::Topic, by.clone(), text.as_str()),
            Act::Remove(removal) if !present.contains(&removal.identity) => return None,
            Act::Remove(removal) => {
                (RoomChange::Kicked, named(&removal.identity, &removal.user), removal.reason.as_str())
            }
            Act::Ban(removal) => (RoomChange::Banned, named(&removal.identity, &removal.user), removal.reason.as_str()),
            Act::Unban { identity, user } => (RoomChange::Unbanned, named(identity, user), ""),
            Act::Transfer { identity, user } => (RoomChange::Owner, named(identity, user), ""),
            // Whoever knows the owner is told by themselves.
            Act::Rotate { .. } => return None,
            Act::Close { reason } => (RoomChange::Closed, by.clone(), reason.as_str()),
        };
        let (conversation, text) = (room.genesis.name.clone(), text.to_owned());
        Some(Event::Room { conversation, change, user, by, text })
    }

    /// Somebody is a member no more: nobody waits for them, and of what waits of theirs only what counts is taken in.
    fn member_ended(&mut self, id: ConversationId, identity: &IdentityKey) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        conversation.forget_recipient(identity);
        let keys: Vec<_> = conversation.held_back.iter().filter(|(author, _)| author == identity).copied().collect();
        for key in keys {
            let limit = conversation.limit(&key);
            let Some(held) = conversation.theirs.get_mut(&key) else { continue };
            held.waiting.retain(|arrived| arrived.event.number <= limit);
            if held.waiting.is_empty() {
                conversation.held_back.remove(&key);
            }
        }
        self.limit_known(id, identity);
    }

    /// I am out: of what I said, what does not count is told to be refused, and the rest is the others' business.
    fn put_out(&mut self, cx: &mut Context, id: ConversationId) {
        self.tell_joins(cx, |join| join.room == id);
        self.leave_quietly(cx, id);
        let me = self.me;
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let target = conversation.target();
        let limits: Vec<_> = conversation.own.keys().map(|chain| (*chain, conversation.limit(&(me, *chain)))).collect();
        let is_closed = conversation.room().is_some_and(|room| room.moderation.is_closed());
        let mut refused = Vec::new();
        for (chain, limit) in limits {
            let Some(log) = conversation.own.get_mut(&chain) else { continue };
            log.withdraw_beyond(limit);
            for (number, event) in std::mem::take(&mut log.pending) {
                let acked = |to: &IdentityKey| log.acked.get(to).is_some_and(|acked| *acked >= number);
                let of = u32::try_from(event.recipients.len()).unwrap_or(u32::MAX);
                let lacking: Vec<_> = event.recipients.iter().filter(|to| !acked(to)).copied().collect();
                let done = of.saturating_sub(u32::try_from(lacking.len()).unwrap_or(u32::MAX));
                if number > limit || is_closed {
                    refused.extend(lacking.into_iter().map(|to| (event.id, to, done, of)));
                }
            }
        }
        let conversation = target;
        for (id_of, to, done, of) in refused {
            let known = self.conversations.get(&id).and_then(|known| self.name_in(known, &to));
            let Some(to) = known else { continue };
            let (conversation, state) = (conversation.clone(), DeliveryState::Refused);
            cx.tell(Event::Delivery(Delivery { conversation, id: id_of, state, to, done, of }));
        }
        self.watch(cx);
        self.tell_roster(cx);
    }

    /// What I wrote in the chain in use before I knew that it did not count stays behind: what I say from now on goes
    /// into another one, which everybody can follow from its beginning.
    pub(super) fn leave_what_was_cut(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let number = conversation.own.get(&self.chain).map_or(0, |log| log.number);
        let limit = conversation.room().map_or(u64::MAX, |room| room.moderation.limit(&self.me, &self.chain));
        if number > limit {
            (self.chain, self.chain_is_fresh) = (cx.chain_id(), true);
            self.commit(cx, vec![Write::Chain(self.chain)], Vec::new());
        }
    }

    /// The far end says how much of the owner's log it knows: whoever knows less is told, or asks.
    pub(super) fn compare_logs(&mut self, cx: &mut Context, link: LinkId, id: ConversationId, have: &Have) {
        let Some(room) = self.room(id).filter(|room| room.joined) else { return };
        if have.head > room.head() {
            return self.want_log(cx, link, id);
        }
        let is_ours = |entry: &EntryId| room.entry(have.head).is_some_and(|ours| EntryId(ours.id()) == *entry);
        let agrees = have.entry.as_ref().is_none_or(is_ours);
        self.send_newer_entries(cx, link, id, if agrees { have.head } else { have.head.saturating_sub(1) });
    }

    pub(super) fn want_log(&self, cx: &mut Context, link: LinkId, id: ConversationId) {
        if let Some(room) = self.room(id).filter(|room| room.joined) {
            let message = PeerMessage::WantLog { room: room.id, from: room.head() + 1 };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
    }

    /// The far end knows less of the owner's log than I do. Whoever was removed is shown why, and nothing after it.
    pub(super) fn send_newer_entries(&self, cx: &mut Context, link: LinkId, id: ConversationId, head: u32) {
        let (Some(room), Some(live)) = (self.room(id), self.links.get(link)) else { return };
        let identity = live.person.identity;
        let last = match room.ended_by(&identity) {
            Some(ended) => ended,
            None if room.is_member(&identity) => room.head(),
            None => return,
        };
        let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let newer = room.entries.get(place(head)..place(last)).unwrap_or_default();
        if !newer.is_empty() {
            let entries = List::cut(newer.iter().take(ENTRIES_PER_PAGE).cloned().collect());
            let message = PeerMessage::RoomLog { room: room.id, entries };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
    }

    /// A page of the registry's copy, from the last entry that was known before the question.
    pub(super) fn log_page(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        from: u32,
        entries: Vec<Signed<LogEntry>>,
        more: bool,
    ) {
        let last = entries.last().and_then(|entry| entry.claim().ok()).map_or(from - 1, |entry| entry.index);
        let is_empty = entries.is_empty();
        self.entries_received(cx, id.into(), entries, true);
        let Some(room) = self.room(id) else { return };
        let page = u32::try_from(ENTRIES_PER_PAGE).unwrap_or(u32::MAX);
        let next = match (is_empty, more) {
            (true, _) if from > 1 => from.saturating_sub(page).max(1),
            (false, true) => last + 1,
            _ => {
                // A registry that was put back from a copy may lack some: it is brought them.
                let place = usize::try_from(last).unwrap_or(usize::MAX);
                let lacking: Vec<_> = room.entries.iter().skip(place).take(ENTRIES_PER_PAGE).cloned().collect();
                let is_member = room.is_member(&self.me);
                for entry in lacking.into_iter().filter(|_| is_member) {
                    self.ask(cx, Request::AddEntry { entry }, Call::Routine);
                }
                return;
            }
        };
        if next <= room.head() || more {
            self.ask(cx, Request::Log { room: id.into(), from: next }, Call::LogOf { room: id, from: next });
        }
    }

    /// An entry under a number that is taken. If it is another one, and whoever owned the room then signed it, both are
    /// kept, and nothing goes on there.
    fn compare_entry(
        &mut self,
        id: ConversationId,
        signed: Signed<LogEntry>,
        writes: &mut Vec<Write>,
    ) -> Option<Event> {
        let room = self.conversations.get_mut(&id).and_then(Conversation::room_mut)?;
        let index = signed.claim().ok()?.index;
        let ours = room.entry(index)?.clone();
        let owner = room.moderation.owners().at(index.checked_sub(1)?)?;
        let entry = verify_entry(&owner, &signed).ok()?;
        if room.other.is_some() || ours.id() == signed.id() || entry.room != room.id {
            return None;
        }
        writes.push(Write::OtherEntry { room: room.id, entry: signed.clone() });
        room.other = Some(signed);
        let by = room.moderation.owner_name().clone();
        let entries = [ours.claim().ok()?.act, entry.act].map(|act| described(&act));
        Some(Event::Frozen { conversation: room.genesis.name.clone(), by, number: index, entries })
            .filter(|_| room.joined)
    }

    pub(super) fn is_frozen(&self, id: ConversationId) -> bool {
        self.room(id).is_some_and(|room| room.other.is_some())
    }

    pub(super) fn keep_early(&mut self, id: ConversationId, author: &IdentityKey, join: &WireEvent) {
        if let Some(room) = self.conversations.get_mut(&id).and_then(Conversation::room_mut) {
            room.keep_early(*author, join.clone());
        }
    }
}

/// What an entry does, for a person to compare.
fn described(act: &Act) -> String {
    match act {
        Act::Topic { text } => format!("the topic is \"{}\"", text.as_str()),
        Act::Remove(removal) => format!("{} is removed", removal.user),
        Act::Ban(removal) => format!("{} is banned", removal.user),
        Act::Unban { user, .. } => format!("{user} is no longer banned"),
        Act::Transfer { user, .. } => format!("the room is {user}'s"),
        Act::Rotate { .. } => "the owner has another key".to_owned(),
        Act::Close { .. } => "the room is closed".to_owned(),
    }
}
