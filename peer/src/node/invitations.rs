//! Invitations to private rooms: those that I send as an owner, and those that come to me.

use common::ids::{ConversationId, RoomId};
use common::limits::{ENTRIES_PER_PAGE, INVITE_LIFETIME};
use common::message::moderation::Moderation;
use common::message::registry::{Code, Invitation, PersonRecord, Refusal, Request};
use common::message::room::{Invite, LogEntry, check_genesis};
use common::names::{RoomName, UserName};
use common::secure::sign::Signed;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::conversation::{Conversation, Room};
use super::people::Contact;
use crate::api::{Event, InvitationShown};

impl Account {
    pub(super) fn invite(&mut self, cx: &mut Context, re: Option<String>, user: UserName, room: Option<RoomName>) {
        let (name, id) = match self.room_meant(room) {
            Ok(meant) => meant,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let Some(room) = self.room(id) else { return };
        if !room.genesis.private {
            let text = format!("{name} is public: {user} can simply /join {name}.");
            return cx.refuse(re, Refusal::new(Code::Usage, &text));
        }
        if let Err(refusal) = self.decides(id, "invite to") {
            return cx.refuse(re, refusal);
        }
        let call = Call::LookUpToInvite { user: user.clone(), room: id };
        self.begin_call(cx, re, Request::Lookup { user }, call);
    }

    pub(super) fn invitee_found(
        &mut self,
        cx: &mut Context,
        id: ConversationId,
        user: &UserName,
        record: &PersonRecord,
    ) {
        let Some(writes) = self.meet(cx, user, record) else { return };
        self.commit(cx, writes, Vec::new());
        let (Some(invitee), Some(room)) = (self.identity_of(user), self.room(id)) else { return };
        let invite = Invite {
            room: room.id,
            invitee,
            head: room.head(),
            at: cx.now.wall,
            expires: cx.now.wall.plus(INVITE_LIFETIME),
        };
        let invite = Signed::sign(&invite, self.keys.identity_signer());
        self.ask(cx, Request::Invite { invite }, Call::Invite { room: id, user: user.clone() });
    }

    pub(super) fn invite_sent(&self, cx: &mut Context, id: ConversationId, user: UserName) {
        let Some(room) = self.room(id) else { return };
        cx.finish(Event::InviteSent { conversation: room.genesis.name.clone(), user });
    }

    /// An invitation to me as a front-end shows it, if it holds.
    pub(super) fn invitation(&self, cx: &Context, invitation: &Invitation) -> Option<InvitationShown> {
        let (room, genesis) = check_genesis(&invitation.genesis).ok()?;
        // Of a room that was given away, only who knows its log can tell whose word it is.
        let known = self.room(room.into()).map(|room| &room.moderation);
        let at = |known: &Moderation| known.owners().at(invitation.invite.claim().ok()?.head);
        let owner = known.map_or_else(|| Some(genesis.reign()), at)?;
        let invite = invitation.invite.verify(owner.key.as_bytes()).ok()?;
        let by = known.filter(|known| known.owner() == owner.identity).map(|known| known.owner_name().clone());
        let by = by.unwrap_or(genesis.owner_name);
        let is_blocked = self.people.get(&by).is_some_and(Contact::is_blocked);
        let is_ours = genesis.realm == self.realm && !is_blocked && self.may_be(&by, &owner.identity);
        let holds = is_ours && invite.room == room && invite.invitee == self.me && invite.expires > cx.now.wall;
        holds.then_some(InvitationShown { conversation: genesis.name, by, expires: invite.expires })
    }

    /// Tells of an invitation. If it is not the founder's and the room is unknown here, its log says first whose it is.
    pub(super) fn invited(&mut self, cx: &mut Context, invitation: &Invitation) {
        if let Some(shown) = self.invitation(cx, invitation) {
            return self.tell_invitation(cx, invitation, shown);
        }
        let Ok((room, genesis)) = check_genesis(&invitation.genesis) else { return };
        let is_for_me = invitation.invite.claim().is_ok_and(|invite| invite.room == room && invite.invitee == self.me);
        let unknown = self.conversations.values().filter_map(Conversation::room).filter(|room| room.members.is_empty());
        let is_founders = genesis.realm == self.realm && self.may_be(&genesis.owner_name, &genesis.owner);
        if is_for_me && is_founders && unknown.count() < LOOKED_INTO_MAX {
            self.know_room(cx, room, genesis, invitation.genesis.clone());
            self.ask_whose(cx, invitation.clone());
        }
    }

    fn ask_whose(&mut self, cx: &mut Context, invitation: Invitation) {
        let room = RoomId(invitation.genesis.id());
        let from = self.room(room.into()).map_or(0, Room::head) + 1;
        self.ask(cx, Request::Log { room, from }, Call::LogOfInvitation { invitation: Box::new(invitation) });
    }

    pub(super) fn log_of_invitation(
        &mut self,
        cx: &mut Context,
        invitation: Invitation,
        entries: Vec<Signed<LogEntry>>,
        more: bool,
    ) {
        let room = RoomId(invitation.genesis.id());
        let before = self.room(room.into()).map_or(0, Room::head);
        self.entries_received(cx, room, entries, false);
        if more && self.room(room.into()).is_some_and(|room| room.head() > before) {
            return self.ask_whose(cx, invitation);
        }
        if let Some(shown) = self.invitation(cx, &invitation) {
            self.tell_invitation(cx, &invitation, shown);
        }
    }

    /// Each is told once, and only so many: whoever repeats or invents them is not heard.
    fn tell_invitation(&mut self, cx: &mut Context, invitation: &Invitation, shown: InvitationShown) {
        let told = &mut self.registry.invites_told;
        if told.len() < INVITES_TOLD_MAX && told.insert(invitation.invite.id()) {
            cx.tell(Event::Invited(shown));
        }
    }

    pub(super) fn decline_found(&mut self, cx: &mut Context, name: RoomName, invites: &[Invitation]) {
        let found = invites.iter().find_map(|invitation| {
            let (room, genesis) = check_genesis(&invitation.genesis).ok()?;
            (genesis.name == name).then_some(room)
        });
        match found {
            Some(room) => self.ask(cx, Request::Decline { room }, Call::Decline { room: name }),
            None => {
                let text = format!("There is no invitation to {name}. /invites lists what there is.");
                cx.fail(Refusal::new(Code::NotInvited, &text));
            }
        }
    }
}

/// Rooms kept only to know whose an invitation is: whoever invents them gets no further.
const LOOKED_INTO_MAX: usize = 64;
/// As many as a registry lists; more can be asked for with `/invites`.
const INVITES_TOLD_MAX: usize = ENTRIES_PER_PAGE;
