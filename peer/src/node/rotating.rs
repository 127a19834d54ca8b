//! Another key of my own: sealed beside the one before, shown to the registry, and only then used, everywhere at once.
//! What was said before stays signed as it was. Whatever is cut off on the way goes on from where it was: by then the
//! keys are on the disk, and it is the registry that says which of them count.

use common::ids::ConversationId;
use common::limits::ROTATIONS_MAX;
use common::message::event::{Content, Join};
use common::message::registry::{Code, Refusal, Request};
use common::message::room::{Act, check_join};
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::{self, Certificate, Credentials};
use common::secure::identity::Keys;
use common::secure::sign::Signed;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::outgoing::After;
use crate::api::{Event, LinkState};
use crate::ports::{LinkOutput, Output, RegistryOutput, VaultJob, Write};

/// How far another key has got. `is_asked`: a command waits for it.
#[derive(Debug, Default)]
pub(super) enum Rotating {
    #[default]
    No,
    /// On the disk; the registry is to take it, over a connection of the device that came with it.
    Sealed { keys: Box<Keys>, is_asked: bool },
    /// The registry has taken it, and signed us in if it is still there; the disk is to keep that. `linked` are those
    /// who shall hear of it first.
    Taken { is_signed_in: bool, is_asked: bool, linked: Vec<UserName> },
    /// The registry refused: it is thrown away.
    Discarded { refusal: Refusal, is_asked: bool },
}

impl Account {
    /// The user wants another key.
    pub(super) fn rotate(&mut self, cx: &mut Context, re: Option<String>, password: Secret<String>) {
        if !self.needs_registry(cx, &re, "Can't change your key") {
            return;
        }
        if let Err(refusal) = self.may_rotate() {
            return cx.refuse(re, refusal);
        }
        cx.wait(re);
        let job = VaultJob::Succeed { realm: self.realm, user: self.user.clone(), password };
        cx.out.push_back(Output::Vault(job));
    }

    fn may_rotate(&self) -> Result<(), Refusal> {
        self.no_other_keys()?;
        if self.disk.is_failing() {
            let text = "The disk takes nothing just now, so your key stays as it is. Make room, then try again.";
            return Err(Refusal::new(Code::Storage, text));
        }
        if self.keys.rotations().len() >= ROTATIONS_MAX {
            let text = format!(
                "This account has had {} keys, as many as one may. Ask the registry's operator for a token to begin anew.",
                ROTATIONS_MAX + 1
            );
            return Err(Refusal::new(Code::NotPermitted, &text));
        }
        Ok(())
    }

    /// What is sealed may not be sealed again before it is clear which keys count.
    pub(super) fn no_other_keys(&self) -> Result<(), Refusal> {
        match self.rotating {
            Rotating::No => Ok(()),
            _ => Err(Refusal::new(
                Code::Busy,
                "Your new key is still on its way to the registry. Try again in a moment.",
            )),
        }
    }

    /// They lie beside the ones in use.
    pub(super) fn keys_sealed(&mut self, cx: &mut Context, keys: Box<Keys>) {
        self.begin_rotation(cx, keys, true);
    }

    /// Connects as the new device. Until the registry has taken it, all goes on with the keys before.
    pub(super) fn begin_rotation(&mut self, cx: &mut Context, keys: Box<Keys>, is_asked: bool) {
        self.registry_left(cx);
        let (device, pinned) = (Box::new(keys.device_secret().clone()), self.root);
        self.rotating = Rotating::Sealed { keys, is_asked };
        cx.out.push_back(Output::Registry(RegistryOutput::Connect { device, pinned }));
    }

    /// What shows the registry that keys follow others: those that it is to take, or mine, which it may have lost.
    pub(super) fn rotation_shown(&self) -> Request {
        let keys = match &self.rotating {
            Rotating::Sealed { keys, .. } => keys,
            _ => &self.keys,
        };
        Request::Rotate { statement: keys.statement(self.realm, self.user.clone()) }
    }

    /// It has them now.
    pub(super) fn rotation_taken(&mut self, cx: &mut Context, certificate: Signed<Certificate>) {
        let Some((keys, is_asked)) = self.take_sealed() else { return self.resumed(cx, certificate) };
        let credentials = Credentials { statement: keys.statement(self.realm, self.user.clone()), certificate };
        let me = certificate::verify(&credentials, &self.root, cx.now.wall);
        let Some(me) = me.ok().filter(|me| me.device == keys.device()) else {
            self.rotating = Rotating::Sealed { keys, is_asked };
            return self
                .rotation_refused(cx, Refusal::new(Code::Internal, "Its certificate for the new key does not hold."));
        };
        // What was said so far is signed with the key before, for the last time.
        self.keep_said(cx);
        (self.keys, self.credentials, self.expires) = (*keys, credentials, me.expires);
        let linked = self.links.iter().map(|(_, live)| live.person.user.clone()).collect();
        self.rotating = Rotating::Taken { is_signed_in: true, is_asked, linked };
        self.take_over(cx);
    }

    /// From here on everything is signed with the new key, in chains of its own; but nothing of it goes out before it is
    /// certain that a restart would go on with it.
    pub(super) fn take_over(&mut self, cx: &mut Context) {
        self.leave_links(cx);
        cx.out.push_back(Output::Link(LinkOutput::Identity(None)));
        (self.chain, self.chain_is_fresh) = (cx.chain_id(), true);
        let certificate = Box::new(self.credentials.certificate.clone());
        let mut writes = vec![Write::Chain(self.chain), Write::Certificate(certificate)];
        self.replace_prekeys(cx, &mut writes);
        let rooms: Vec<_> = self.conversations.keys().copied().collect();
        let joins: Vec<_> = rooms.into_iter().filter_map(|id| self.renew_join(cx, id, &mut writes)).collect();
        let after = joins.into_iter().chain([After::KeysKept]).collect();
        self.commit(cx, writes, after);
    }

    /// A restart would go on with the new keys: the ones before are destroyed, and everybody may see these.
    pub(super) fn keys_kept(&mut self, cx: &mut Context) {
        let Rotating::Taken { is_signed_in, linked, .. } = &mut self.rotating else { return };
        let (is_signed_in, linked) = (*is_signed_in, std::mem::take(linked));
        cx.out.push_back(Output::Vault(VaultJob::Confirm { realm: self.realm, user: self.user.clone() }));
        self.leave_links(cx);
        self.show_identity(cx);
        // What lies in mailboxes says so with the key before: it is left again.
        let people: Vec<_> = self.people.names().cloned().collect();
        let conversations: Vec<_> = self.conversations.keys().copied().collect();
        for user in people {
            let Some(identity) = self.identity_of(&user) else { continue };
            conversations.iter().for_each(|id| self.mail_again(cx, &user, *id, &identity));
        }
        if is_signed_in {
            let registry = cx.settings.registry.clone();
            cx.tell(Event::RegistryLink { state: LinkState::Online, registry });
            self.registry_signed_in(cx);
            linked.iter().for_each(|user| self.dial_now(cx, user));
        } else {
            self.reach_everybody(cx);
        }
    }

    /// The keys before are gone.
    pub(super) fn rotation_done(&mut self, cx: &mut Context) {
        let Rotating::Taken { is_asked, .. } = std::mem::take(&mut self.rotating) else { return };
        let event = Event::Rotated { user: self.user.clone(), key: self.keys.key().to_string() };
        if is_asked { cx.finish(event) } else { cx.tell(event) }
    }

    /// The registry is gone before it has answered: it is asked again as soon as it is back.
    pub(super) fn rotation_waits(&mut self, cx: &mut Context) {
        match &mut self.rotating {
            Rotating::Sealed { is_asked, .. } => {
                if !std::mem::take(is_asked) {
                    return;
                }
                let text = "The registry is unreachable, so your key is still the one before. The new one is kept, and \
                            takes its place when the registry is back.";
                cx.fail(Refusal::new(Code::Unreachable, text));
            }
            Rotating::Taken { is_signed_in, .. } => *is_signed_in = false,
            _ => {}
        }
    }

    /// The registry does not take the keys: for now, or at all.
    pub(super) fn rotation_refused(&mut self, cx: &mut Context, refusal: Refusal) {
        let Some((keys, is_asked)) = self.take_sealed() else {
            // Mine, which it may have lost: it may have lost all of the account.
            return self.reclaim(cx, refusal);
        };
        if matches!(refusal.code, Code::Busy | Code::Throttled | Code::Storage | Code::Internal) {
            self.rotating = Rotating::Sealed { keys, is_asked: false };
            if is_asked {
                cx.fail(refusal.clone());
            }
            return self.resume_later(cx, &refusal);
        }
        self.rotating = Rotating::Discarded { refusal, is_asked };
        cx.out.push_back(Output::Vault(VaultJob::Discard { realm: self.realm, user: self.user.clone() }));
    }

    /// The new keys are gone: back to the registry with the ones before. `false` if there were none.
    pub(super) fn rotation_discarded(&mut self, cx: &mut Context) -> bool {
        let Rotating::Discarded { refusal, is_asked } = std::mem::take(&mut self.rotating) else { return false };
        self.registry_left(cx);
        let (device, pinned) = (Box::new(self.keys.device_secret().clone()), self.root);
        cx.out.push_back(Output::Registry(RegistryOutput::Connect { device, pinned }));
        if is_asked {
            cx.fail(refusal)
        } else {
            cx.tell(Event::Refused(refusal))
        }
        true
    }

    /// What is to be taken, which is not so any more.
    fn take_sealed(&mut self) -> Option<(Box<Keys>, bool)> {
        match std::mem::take(&mut self.rotating) {
            Rotating::Sealed { keys, is_asked } => Some((keys, is_asked)),
            other => {
                self.rotating = other;
                None
            }
        }
    }

    /// No link outlives the keys that it was made with.
    fn leave_links(&mut self, cx: &mut Context) {
        for link in self.links.ids() {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
            self.link_lost(cx, link);
        }
    }

    /// My membership of a room, said again with the new key: it claims nothing that the one before did not.
    fn renew_join(&mut self, cx: &mut Context, id: ConversationId, writes: &mut Vec<Write>) -> Option<After> {
        let (room, me) = (self.room(id)?, self.me);
        let mine = room.members.get(&me).filter(|mine| room.joined && mine.is_current())?;
        let before = mine.join.claim().ok()?;
        let Content::Join(body) = before.content().ok()? else { return None };
        let (statement, invite, part) = (self.credentials.statement.clone(), body.invite, mine.part.clone());
        let join = Content::Join(Box::new(Join { statement, invite }));
        let appended = self.append_knowing(cx, id, &join, before.head)?;
        let (wire, number) = (appended.wire.clone(), appended.number);
        let room = self.conversations.get_mut(&id)?.room_mut()?;
        let membership = check_join(room.id, &room.genesis, room.moderation.owners(), &wire).ok()?;
        room.put_member(membership, wire.clone(), part.clone(), false);
        writes.push(appended.into_write());
        writes.push(Write::Member { room: room.id, identity: me, join: wire, part: part.map(|(_, part)| part) });
        Some(After::Own { conversation: id, chain: self.chain, number, re: None, tell: None })
    }

    /// In a room of mine the log says with which key I go on, or nothing that I decide counts.
    pub(super) fn sign_anew(&mut self, cx: &mut Context, id: ConversationId) {
        let Some(room) = self.room(id).filter(|room| room.joined && room.is_member(&self.me)) else { return };
        let owner = room.moderation.owners().now();
        let is_due = owner.identity == self.me && owner.key != self.keys.key() && !room.moderation.is_closed();
        let may = self.registry.is_online() && !self.registry.is_signing_anew(id) && !self.is_frozen(id);
        if !is_due || !may {
            return;
        }
        if let Some(entry) = self.sign_entry(cx, id, Act::Rotate { rotations: self.keys.rotations().clone() }) {
            let call = Call::SignAnew { room: id, entry: Box::new(entry.clone()) };
            self.ask(cx, Request::AddEntry { entry }, call);
        }
    }
}
