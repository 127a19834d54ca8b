//! Members whom the registry did not tell me of, for whatever reason: their chains are asked for where others offer them,
//! and come with what makes their authors members. It is checked as if they had come themselves.

use common::ids::{ConversationId, IdentityKey, RoomId};
use common::limits::{MEMBERS_MAX, STRANGERS_MAX};
use common::message::event::WireEvent;
use common::message::peer::{Holding, PeerMessage};
use common::names::UserName;

use super::account::Account;
use super::context::Context;
use super::conversation::{Conversation, Member};
use super::repair::Claim;
use crate::ports::{LinkId, LinkOutput, Output};

impl Account {
    /// The far end holds a chain of somebody who is no member by what is known here. How much of it is missing is nobody's
    /// news before they are one.
    pub(super) fn stranger_claimed(&mut self, cx: &Context, link: LinkId, id: ConversationId, holding: &Holding) {
        let told = self.links.get_mut(link).and_then(|live| live.conversations.get_mut(&id));
        let Some(told) = told.filter(|_| holding.number > 0) else { return };
        if told.strangers.len() < STRANGERS_MAX || told.strangers.contains(&holding.author) {
            told.strangers.insert(holding.author);
            let claim = Claim { number: holding.number, heard_at: cx.now.monotonic, ours: None };
            self.note(link, id, (holding.author, holding.chain), claim);
        }
    }

    /// Shows by what the author of a chain is a member, to whoever asks for all of it.
    pub(super) fn introduce(&self, cx: &mut Context, link: LinkId, id: ConversationId, author: &IdentityKey) {
        let Some(room) = self.room(id) else { return };
        if let Some(member) = room.members.get(author) {
            let (join, part) = (member.join.clone(), member.part.as_ref().map(|(_, part)| part.clone()));
            let message = PeerMessage::Member { room: room.id, join, part };
            cx.out.push_back(Output::Link(LinkOutput::Send { link, message }));
        }
    }

    /// The author of a chain that was asked for is a member, by what the far end has of them. Where they are, the
    /// registry is asked once: it never said that they are there.
    pub(super) fn introduced(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        room: RoomId,
        join: &WireEvent,
        part: Option<&WireEvent>,
    ) {
        let id = ConversationId::from(room);
        let Some(author) = self.repair.asked_for_whole(link, id) else { return };
        let Some(conversation) = self.conversations.get(&id).filter(|known| known.is_strange(&author)) else { return };
        let members = conversation.room().into_iter().flat_map(|room| room.members.values());
        if members.filter(|member| member.is_current()).count() >= MEMBERS_MAX {
            return;
        }
        let is_theirs = |_: &UserName, by: &IdentityKey| *by == author;
        self.member_shown(cx, id, (join, part), is_theirs, true);
        let member =
            self.room(id).and_then(|room| room.members.get(&author)).filter(|member| Member::is_current(member));
        if let Some(user) = member.map(|member| member.user.clone()) {
            self.look_up_once(cx, &user);
        }
    }
}

impl Conversation {
    /// A room that I am in, and somebody who is not by what is known of it.
    pub(super) fn is_strange(&self, author: &IdentityKey) -> bool {
        self.room().is_some_and(|room| room.joined && !room.members.contains_key(author))
    }
}
