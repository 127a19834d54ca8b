//! A signed-in account: its people, conversations, links and its standing with the registry. The parts of its work
//! stand in the modules beside this one, each an `impl` of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::{AuthKey, ChainId, ConversationId, IdentityKey, RealmId, RootKey};
use common::message::registry::{Code, Refusal, Request};
use common::names::{RoomName, UserName};
use common::secret::Secret;
use common::secure::certificate::Credentials;
use common::secure::identity::Keys;
use common::time::{Monotonic, UnixMillis};

use super::conduct::Conduct;
use super::context::Context;
use super::conversation::{ChainKey, Conversation};
use super::deeds::Deeds;
use super::early::{Early, Shown};
use super::links::Links;
use super::loading;
use super::look_alikes::LookAlikes;
use super::mail::Mail;
use super::outgoing::Disk;
use super::overlay::Overlay;
use super::people::People;
use super::registry::RegistryCalls;
use super::repair::Repair;
use super::restored;
use super::rotating::Rotating;
use super::said::Said;
use super::sign_in::Standing;
use super::unread::UnreadLines;
use super::writing::Writing;
use crate::api::{Event, Target};
use crate::ports::{
    DiskJob, HeldMail, Input, LinkOutput, LoadedLog, LocalIdentity, Output, RegistryOutput, VaultJob, VaultReply, Write,
};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) realm: RealmId,
    pub(super) root: RootKey,
    pub(super) user: UserName,
    pub(super) me: IdentityKey,
    pub(super) keys: Keys,
    pub(super) rotating: Rotating,
    pub(super) credentials: Credentials,
    pub(super) expires: UnixMillis,
    pub(super) away: Option<String>,
    /// The chain that my new events go into.
    pub(super) chain: ChainId,
    /// It was begun by this run of the program.
    pub(super) chain_is_fresh: bool,
    pub(super) people: People,
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    /// A room's name belongs to the first room seen under it.
    pub(super) rooms: BTreeMap<RoomName, ConversationId>,
    pub(super) current: Option<Target>,
    pub(super) last_heard: Option<UserName>,
    pub(super) last_spoken: Option<UserName>,
    pub(super) links: Links,
    pub(super) registry: RegistryCalls,
    pub(super) conduct: Conduct,
    pub(super) disk: Disk,
    /// What was said since outputs were last drained.
    pub(super) said: Said,
    pub(super) unread: UnreadLines,
    pub(super) writing: Writing,
    /// Shown and not checked; and while it is being checked.
    pub(super) early: Option<Early>,
    pub(super) shown_early: Option<Shown>,
    pub(super) repair: Repair,
    pub(super) overlay: Overlay,
    /// How often everybody was told what is held here.
    pub(super) haves_round: u64,
    /// Chains whose author signed two events for one place.
    pub(super) forked: BTreeSet<(ConversationId, ChainKey)>,
    pub(super) mail: Mail,
    /// Mail of people who are blocked, in the order in which it came.
    pub(super) held: Vec<HeldMail>,
    pub(super) look_alikes: LookAlikes,
    /// Conversations in which something waits for what it answers.
    pub(super) held_back: BTreeSet<ConversationId>,
    /// When everybody is told next what is held here.
    pub(super) haves_at: Monotonic,
    pub(super) deeds: Deeds,
    /// My joins that members have not all acknowledged yet.
    pub(super) joining: Vec<Joining>,
    /// How many people and rooms front-ends were told to complete.
    roster: (usize, usize),
}

/// A room entered, but not yet told: online members are given a moment to learn of it.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) room: ConversationId,
    pub(super) re: Option<String>,
    pub(super) number: u64,
    pub(super) waiting: BTreeSet<IdentityKey>,
    pub(super) until: Monotonic,
    /// A restart would find me in the room.
    pub(super) stored: bool,
}

/// What a finished sign-in hands over.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) root: RootKey,
    pub(super) user: UserName,
    pub(super) keys: Keys,
    pub(super) credentials: Credentials,
    pub(super) expires: UnixMillis,
    pub(super) standing: Standing,
    pub(super) rotating: Rotating,
}

/// A newer session of the same device has taken this one's place.
#[derive(Debug)]
pub(super) struct Replaced;

impl Account {
    pub(super) fn begin(cx: &mut Context, beginning: Beginning, log: LoadedLog) -> Self {
        let Beginning { root, user, keys, credentials, expires, standing, rotating } = beginning;
        if log.is_copy {
            cx.tell(Event::Refused(restored::is_a_copy()));
        }
        let me = keys.identity();
        let look_alikes = LookAlikes::load(&log.conversations);
        let loaded = log.conversations.into_iter().filter_map(|loaded| loading::conversation(loaded, &me));
        let conversations: BTreeMap<_, _> = loaded.map(|conversation| (conversation.id, conversation)).collect();
        let rooms = names_of_rooms(&conversations, &keys.identity());
        let mut account = Self {
            realm: RealmId::of(&root),
            root,
            user,
            me: keys.identity(),
            keys,
            rotating,
            credentials,
            expires,
            away: None,
            chain: log.chain,
            chain_is_fresh: log.is_copy,
            people: People::load(log.pins, log.addresses),
            rooms,
            conversations,
            current: None,
            last_heard: None,
            last_spoken: None,
            links: Links::default(),
            registry: RegistryCalls::default(),
            conduct: Conduct::new(cx.now.monotonic),
            disk: Disk::default(),
            said: Said::default(),
            unread: UnreadLines::default(),
            writing: Writing::default(),
            early: None,
            shown_early: None,
            repair: Repair::default(),
            overlay: Overlay::default(),
            haves_round: 0,
            forked: BTreeSet::new(),
            mail: Mail::load(log.prekeys),
            held: log.held,
            look_alikes,
            held_back: BTreeSet::new(),
            haves_at: cx.now.monotonic,
            deeds: Deeds::default(),
            joining: Vec::new(),
            roster: Default::default(),
        };
        account.keys_loaded(cx);
        account.tell_untold(cx, log.untold, &log.untold_changes);
        account.stand(cx, standing);
        if log.certificate.is_none_or(|known| *known != account.credentials.certificate) {
            account.keep_certificate(cx);
        }
        account.tell_roster(cx);
        account.ask_unread(cx);
        account
    }

    /// What the registry knows of this program, and what it has to be told.
    fn stand(&mut self, cx: &mut Context, standing: Standing) {
        match standing {
            _ if matches!(self.rotating, Rotating::Taken { .. }) => {
                self.take_over(cx);
                if standing == Standing::Back {
                    self.resume(cx);
                }
            }
            Standing::SignedIn => self.registry_signed_in(cx),
            Standing::Lost => {
                self.show_identity(cx);
                self.reach_everybody(cx);
            }
            Standing::Back => {
                self.show_identity(cx);
                self.resume(cx);
            }
        }
    }

    pub(super) fn handle(&mut self, cx: &mut Context, input: Input) -> Result<(), Replaced> {
        self.check_early(cx);
        self.keep_said(cx);
        match input {
            Input::Disk(reply) => self.disk_replied(cx, reply),
            Input::Registry(input) => self.registry_input(cx, input)?,
            Input::Link(input) => self.link_input(cx, input),
            Input::Vault(reply) => self.vault_replied(cx, reply),
            Input::Command(_) | Input::Written { .. } | Input::OutputLost | Input::Tick => {}
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, cx: &mut Context) {
        self.check_early(cx);
        self.keep_said(cx);
        self.registry_timers(cx);
        self.conduct_timer(cx);
        self.dial_timers(cx);
        self.joins_told(cx);
        self.disk_timers(cx);
        self.writing_timer(cx);
        self.mail_timers(cx);
        self.release_overdue(cx);
        self.have_timer(cx);
        self.overlay_timers(cx);
        if self.registry.is_online() && cx.now.wall.plus(RENEW_BEFORE) > self.expires && !self.registry.is_renewing() {
            self.renew(cx);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        let joins = self.joining.iter().filter(|joining| joining.stored).map(|joining| joining.until);
        let haves = Some(self.haves_at);
        let (repair, mail) = (self.repair.next_timeout(), self.mail.next_timeout());
        let (disk, writing, conduct) =
            (self.disk.next_timeout(), self.writing.next_timeout(), self.conduct.next_timeout());
        let (dial, overdue, overlay) = (self.people.next_dial(), self.next_overdue(), self.overlay.next_timeout());
        [self.registry.next_timeout(), dial, conduct, disk, writing, repair, mail, overdue, haves, overlay]
            .into_iter()
            .flatten()
            .chain(joins)
            .min()
    }

    /// Keeps and sends what has gathered since outputs were last drained: one commit, and one frame, for many.
    pub(super) fn flush(&mut self, cx: &mut Context) {
        self.check_early(cx);
        self.keep_said(cx);
        self.refresh_overlay(cx);
        self.send_pushes(cx);
        self.send_haves(cx);
        self.repair(cx);
        self.drop_stored_mail(cx);
    }

    /// Whether a certificate that expires then is no older than the one in use.
    pub(super) fn is_newer(&self, expires: UnixMillis) -> bool {
        expires >= self.expires
    }

    /// Certificates change with every sign-in.
    pub(super) fn set_credentials(&mut self, cx: &mut Context, credentials: Credentials, expires: UnixMillis) {
        self.credentials = credentials;
        self.expires = expires;
        self.show_identity(cx);
        self.keep_certificate(cx);
    }

    /// With it this account signs in while the registry is away.
    fn keep_certificate(&mut self, cx: &mut Context) {
        let certificate = Box::new(self.credentials.certificate.clone());
        self.commit(cx, vec![Write::Certificate(certificate)], Vec::new());
    }

    /// From now on links are made as this account.
    pub(super) fn show_identity(&self, cx: &mut Context) {
        let identity =
            LocalIdentity { keys: self.keys.clone(), credentials: self.credentials.clone(), root: self.root };
        cx.out.push_back(Output::Link(LinkOutput::Identity(Some(Box::new(identity)))));
    }

    /// Signs out, closes every link and the log. The disk's `Closed` ends it.
    pub(super) fn close(&mut self, cx: &mut Context) {
        // There may be room by now, and there is no later time.
        self.write_what_failed(cx);
        self.mark_all_written(cx);
        self.flush(cx);
        self.secure(cx);
        cx.out.push_back(Output::Link(LinkOutput::Identity(None)));
        for link in self.links.ids() {
            cx.out.push_back(Output::Link(LinkOutput::Close { link }));
        }
        if self.registry.is_online() {
            let id = cx.request_id();
            let request = common::message::registry::ToRegistry { id, request: Request::SignOut };
            cx.out.push_back(Output::Registry(RegistryOutput::Send(request)));
        }
        cx.out.push_back(Output::Registry(RegistryOutput::Disconnect));
        cx.out.push_back(Output::Disk(DiskJob::Close));
    }

    /// Whether something was accepted or asked that is not on the disk yet.
    pub(super) fn has_unsaved(&self) -> bool {
        self.disk.is_busy() || !self.said.is_empty()
    }

    /// Whether something asked before is still to be answered.
    pub(super) fn has_unanswered(&self) -> bool {
        self.has_unsaved() || !self.joining.is_empty()
    }

    /// Whether it is worth waiting: a text of mine is on its way to somebody who is there, or the registry is being told
    /// something, such as what mail for me is to be sealed to.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        let lacks =
            |identity: &IdentityKey| self.conversations.values().any(|conversation| conversation.awaits(identity));
        let online = self.people.iter().filter(|(_, contact)| contact.is_online());
        !self.joining.is_empty()
            || self.registry.is_told()
            || online.filter_map(|(_, contact)| contact.identity()).any(|identity| lacks(&identity))
    }

    /// The conversation with a person, as an id; it need not exist yet.
    pub(super) fn direct_id(&self, user: &UserName) -> ConversationId {
        ConversationId::direct(&self.realm, &self.user, user)
    }

    pub(super) fn set_current(&mut self, cx: &mut Context, target: Option<Target>) {
        if self.current != target {
            self.current.clone_from(&target);
            cx.tell(Event::Current { conversation: target });
            self.current_changed(cx);
        }
    }

    /// Tells front-ends what to complete, if that changed.
    pub(super) fn tell_roster(&mut self, cx: &mut Context) {
        // Names are never taken away again.
        let roster = (self.people.names().count(), self.rooms.len());
        if std::mem::replace(&mut self.roster, roster) != roster {
            let (people, rooms) = (self.people.names().cloned().collect(), self.rooms.keys().cloned().collect());
            cx.tell(Event::Roster { people, rooms });
        }
    }

    /// The user wants another password.
    pub(super) fn reseal(&mut self, cx: &mut Context, re: Option<String>, old: Secret<String>, new: Secret<String>) {
        if !self.needs_registry(cx, &re, "Can't change the password") {
            return;
        }
        if let Err(refusal) = self.no_other_keys() {
            return cx.refuse(re, refusal);
        }
        cx.wait(re);
        let job = VaultJob::Reseal { realm: self.realm, user: self.user.clone(), old, new };
        cx.out.push_back(Output::Vault(job));
    }

    fn vault_replied(&mut self, cx: &mut Context, reply: VaultReply) {
        match reply {
            VaultReply::Resealed { old, new } => self.change_password(cx, &old, &new),
            VaultReply::WrongPassword => {
                cx.fail(Refusal::new(Code::Credentials, "The present password is wrong. Nothing was changed."));
            }
            VaultReply::Succeeded { keys } => self.keys_sealed(cx, keys),
            VaultReply::Confirmed if !matches!(self.rotating, Rotating::No) => self.rotation_done(cx),
            VaultReply::Confirmed => cx.finish(Event::PasswordChanged),
            VaultReply::Discarded if self.rotation_discarded(cx) => {}
            VaultReply::Discarded => {
                let refusal = self.registry.password_refusal.take();
                let text = "The registry did not take the new password. The old one still holds.";
                cx.fail(refusal.unwrap_or_else(|| Refusal::new(Code::Internal, text)));
            }
            VaultReply::Failed { text } => cx.fail(Refusal::new(Code::Storage, &text)),
            VaultReply::Opened { .. } | VaultReply::Derived { .. } => {}
        }
    }

    fn change_password(&mut self, cx: &mut Context, old: &Secret<AuthKey>, new: &Secret<AuthKey>) {
        let request = Request::ChangePassword { old: *old.expose(), new: *new.expose() };
        self.ask(cx, request, super::calls::Call::ChangePassword);
    }
}

/// Which room a name means: one I am in before one I was in. A room that never came about means nothing.
fn names_of_rooms(
    conversations: &BTreeMap<ConversationId, Conversation>,
    me: &IdentityKey,
) -> BTreeMap<RoomName, ConversationId> {
    let mut rooms = BTreeMap::new();
    for conversation in conversations.values() {
        let Some(room) = conversation.room() else { continue };
        let parted = room.members.get(me).is_some_and(|member| member.part.is_some());
        if room.joined {
            rooms.insert(room.genesis.name.clone(), conversation.id);
        } else if parted || room.members.keys().any(|identity| identity != me) {
            rooms.entry(room.genesis.name.clone()).or_insert(conversation.id);
        }
    }
    rooms
}

/// A certificate lives 30 days; a new one is asked for in its second half.
const RENEW_BEFORE: Duration = Duration::from_secs(15 * 24 * 3600);
