//! Standing with the registry: requests under way and what their answers mean, news, and coming back after it was
//! gone. Links between people do not depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ids::ConversationId;
use common::limits::{REGISTRY_PING_EVERY, WATCHED_MAX};
use common::message::registry::{Code, FromRegistry, News, Refusal, Request, ToRegistry};
use common::names::UserName;
use common::secure::certificate::{self, Certificate, Credentials};
use common::secure::sign::Signed;
use common::time::Monotonic;
use common::wire::bounded::List;

use super::account::{Account, Replaced};
use super::calls::Call;
use super::context::{Context, no_registry};
use super::conversation::Kind;
use super::presenting::Presenting;
use super::rotating::Rotating;
use crate::api::{Event, LinkState};
use crate::ports::{Output, RegistryInput, RegistryOutput};

#[derive(Debug, Default)]
pub(super) struct RegistryCalls {
    state: State,
    under_way: BTreeMap<u32, (Call, Monotonic)>,
    ping_at: Option<Monotonic>,
    /// After coming back, others are given time to come back as well before they count as gone.
    watch_again_at: Option<Monotonic>,
    resume_at: Option<Monotonic>,
    /// Until then it counts as there all the while: it was we who left.
    we_left_until: Option<Monotonic>,
    /// We left and have not been back: commands are kept until then.
    back_by: Option<Monotonic>,
    /// Everybody who was there before me is known: from now on comings and goings are news.
    pub(super) begun: bool,
    told_retrying: bool,
    told_changed: bool,
    /// Invitations told since signing in: an offer is told once, and the rest can be asked for.
    pub(super) invites_told: BTreeSet<[u8; 32]>,
    pub(super) presenting: Presenting,
    /// Why a new password was not taken, until the old keys are in place again.
    pub(super) password_refusal: Option<Refusal>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Offline,
    Resuming,
    Online,
}

impl RegistryCalls {
    pub(super) fn is_online(&self) -> bool {
        self.state == State::Online
    }

    pub(super) fn is_renewing(&self) -> bool {
        self.under_way.values().any(|(call, _)| matches!(call, Call::Renew))
    }

    /// Who belongs to a room is not all known yet.
    pub(super) fn lists_members(&self, id: ConversationId) -> bool {
        self.under_way.values().any(|(call, _)| matches!(call, Call::MembersOf { room, .. } if *room == id))
    }

    pub(super) fn is_signing_anew(&self, id: ConversationId) -> bool {
        self.under_way.values().any(|(call, _)| matches!(call, Call::SignAnew { room, .. } if *room == id))
    }

    /// The registry is being told something: hung up on, it may not read on to what was said last.
    pub(super) fn is_told(&self) -> bool {
        self.under_way.values().any(|(call, _)| matches!(call, Call::Routine))
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        let calls = self.under_way.values().map(|(_, until)| *until).min();
        let presenting = self.presenting.next_timeout();
        [calls, self.ping_at, self.watch_again_at, self.resume_at, self.back_by, presenting].into_iter().flatten().min()
    }

    /// Whether a command should wait a moment for the connection that is being made.
    pub(super) fn is_coming_back(&self) -> bool {
        self.back_by.is_some()
    }
}

impl Account {
    /// Asks the registry; if it cannot be reached, the call fails at once.
    pub(super) fn ask(&mut self, cx: &mut Context, request: Request, call: Call) {
        let signing_in = matches!(request, Request::Resume { .. } | Request::Rotate { .. } | Request::Reclaim { .. });
        if !self.registry.is_online() && !signing_in {
            return self.call_failed(cx, call);
        }
        let id = cx.request_id();
        self.registry.under_way.insert(id, (call, cx.now.monotonic.plus(CALL_TIMEOUT)));
        cx.out.push_back(Output::Registry(RegistryOutput::Send(ToRegistry { id, request })));
    }

    pub(super) fn registry_input(&mut self, cx: &mut Context, input: RegistryInput) -> Result<(), Replaced> {
        match input {
            RegistryInput::Up { local, interfaces } => {
                cx.reached_registry(local, &interfaces);
                self.resume(cx);
            }
            RegistryInput::Moved { local, interfaces } => {
                if cx.reached_registry(local, &interfaces) {
                    self.announce(cx);
                }
            }
            RegistryInput::Down { .. } => self.registry_down(cx),
            RegistryInput::RealmChanged { .. } => self.realm_changed(cx),
            RegistryInput::Received(messages) => {
                for message in messages {
                    self.registry_said(cx, message)?;
                }
            }
            RegistryInput::RealmSeen { .. } => {}
        }
        Ok(())
    }

    /// Signed in: says where I am, asks what I missed, and reaches for everybody I have something with.
    pub(super) fn registry_signed_in(&mut self, cx: &mut Context) {
        (self.registry.state, self.registry.back_by) = (State::Online, None);
        self.registry.ping_at = Some(cx.now.monotonic.plus(REGISTRY_PING_EVERY));
        (self.registry.told_retrying, self.registry.told_changed) = (false, false);
        self.registry.invites_told.clear();
        self.registry.presenting = Presenting::default();
        self.show_identity(cx);
        self.announce(cx);
        self.watch(cx);
        let rooms: Vec<_> = self
            .conversations
            .values()
            .filter_map(|conversation| conversation.room())
            .filter(|room| room.joined)
            .collect();
        let rooms: Vec<_> = rooms.into_iter().map(|room| room.id.into()).collect();
        for room in rooms {
            self.compare_with_registry(cx, room);
        }
        self.ask_memberships(cx, None, 0);
        self.ask(cx, Request::Invites, Call::SeeInvites);
        self.mail_begins(cx);
    }

    pub(super) fn renew(&mut self, cx: &mut Context) {
        self.ask(cx, Request::Renew, Call::Renew);
    }

    /// Tells the registry whose coming and going matters besides the members of my rooms.
    pub(super) fn watch(&mut self, cx: &mut Context) {
        let names: List<_, WATCHED_MAX> = List::cut(self.watched().into_iter().collect());
        self.ask(cx, Request::Watch { names }, Call::Watch);
    }

    /// The people I talk with, and whoever lacks something of mine from a room that I have left.
    fn watched(&self) -> BTreeSet<UserName> {
        let mut names = BTreeSet::new();
        for conversation in self.conversations.values() {
            match &conversation.kind {
                Kind::Direct { with } => {
                    names.insert(with.clone());
                }
                Kind::Room(room) if !room.joined => {
                    let waiting = room.others(&self.me).filter(|(identity, _)| conversation.awaits(identity));
                    names.extend(waiting.map(|(_, member)| member.user.clone()));
                }
                Kind::Room(_) => {}
            }
        }
        names
    }

    pub(super) fn registry_timers(&mut self, cx: &mut Context) {
        let now = cx.now.monotonic;
        let due = |at: &mut Option<Monotonic>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.registry.ping_at) && self.registry.is_online() {
            self.registry.ping_at = Some(now.plus(REGISTRY_PING_EVERY));
            self.ask(cx, Request::Ping, Call::Ping);
        }
        due(&mut self.registry.back_by);
        self.presenting_timer(cx);
        if due(&mut self.registry.watch_again_at) {
            self.watch(cx);
        }
        if due(&mut self.registry.resume_at) {
            self.resume(cx);
        }
        let late: Vec<u32> =
            self.registry.under_way.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id).collect();
        let mut is_dead = false;
        for id in late {
            if let Some((call, _)) = self.registry.under_way.remove(&id) {
                is_dead |= matches!(call, Call::Ping | Call::Resume | Call::Rotate | Call::Reclaim);
                self.call_failed(cx, call);
            }
        }
        if is_dead {
            cx.out.push_back(Output::Registry(RegistryOutput::Reconnect));
            self.registry_down(cx);
        }
    }

    /// Signs in again, by device key, or as the device that shall be mine.
    pub(super) fn resume(&mut self, cx: &mut Context) {
        self.registry.state = State::Resuming;
        match self.rotating {
            Rotating::Sealed { .. } => self.ask(cx, self.rotation_shown(), Call::Rotate),
            _ => self.ask(cx, Request::Resume { user: self.user.clone() }, Call::Resume),
        }
    }

    /// The same for a connection that we close: whoever is not there when we are back has gone meanwhile.
    pub(super) fn registry_left(&mut self, cx: &mut Context) {
        self.registry_down(cx);
        self.registry.we_left_until = Some(cx.now.monotonic.plus(OTHERS_COME_BACK_WITHIN));
        self.registry.back_by = Some(cx.now.monotonic.plus(BACK_WITHIN));
    }

    pub(super) fn registry_down(&mut self, cx: &mut Context) {
        let was_online = std::mem::take(&mut self.registry.state) == State::Online;
        (self.registry.ping_at, self.registry.watch_again_at, self.registry.resume_at) = (None, None, None);
        self.registry.back_by = None;
        self.registry.presenting = Presenting::default();
        let state = if was_online { LinkState::Offline } else { LinkState::Retrying };
        if was_online || !std::mem::replace(&mut self.registry.told_retrying, true) {
            cx.tell(Event::RegistryLink { state, registry: cx.settings.registry.clone() });
        }
        for (_, (call, _)) in std::mem::take(&mut self.registry.under_way) {
            self.call_failed(cx, call);
        }
        self.rotation_waits(cx);
    }

    fn realm_changed(&mut self, cx: &mut Context) {
        self.registry_down(cx);
        if !std::mem::replace(&mut self.registry.told_changed, true) {
            let registry = &cx.settings.registry;
            let text =
                format!("{registry} shows another root key than before. Nothing is sent to it; ask its operator.");
            cx.tell(Event::Refused(Refusal::new(Code::RealmChanged, &text)));
        }
    }

    pub(super) fn call_failed(&mut self, cx: &mut Context, call: Call) {
        match call {
            Call::LookUpToDial { user } => self.look_up_failed(cx, &user),
            Call::Mail => self.mail_not_fetched(cx),
            Call::LookUpToMail { user } => self.mail_failed(cx, &user),
            Call::PutMail { letter } => self.mail_not_kept(cx, &letter, None),
            Call::Join { room } | Call::Create { room, .. } => {
                self.leave_quietly(cx, room);
                cx.fail(no_registry("Can't enter the room"));
            }
            Call::LogToJoin { .. } => cx.fail(no_registry("Can't enter the room")),
            Call::JoinMembers { room, .. } | Call::JoinLog { room } | Call::FirstTopic { room, .. } => {
                self.entered(cx, room)
            }
            Call::Part { room } => self.parted(cx, room),
            Call::LookUpToExplain { user } => {
                let why = self.explained(cx, &user, None);
                cx.finish(Event::Why(why));
            }
            call if call.is_command() => cx.fail(no_registry("Can't do that now")),
            _ => {}
        }
    }

    fn registry_said(&mut self, cx: &mut Context, message: FromRegistry) -> Result<(), Replaced> {
        if self.registry.state == State::Offline {
            // Said before it was hung up on.
            return Ok(());
        }
        match message {
            FromRegistry::Reply { id, reply } => match self.registry.under_way.remove(&id) {
                Some((call, _)) => self.registry_replied(cx, call, *reply),
                // An answer that came too late, perhaps.
                None => {
                    self.said_unasked(cx);
                }
            },
            FromRegistry::Refused { id, refusal } => match self.registry.under_way.remove(&id) {
                Some((call, _)) => self.registry_refused(cx, call, refusal),
                None => {
                    self.said_unasked(cx);
                }
            },
            FromRegistry::News(news) if self.said_unasked(cx) => return self.news(cx, *news),
            FromRegistry::News(_) => {}
        }
        Ok(())
    }

    fn news(&mut self, cx: &mut Context, news: News) -> Result<(), Replaced> {
        match news {
            News::Presence { changes } => {
                for change in changes {
                    if self.is_concerned_with(&change.user) {
                        self.listed_by_registry(cx, &change.user, change.online, true);
                    }
                }
            }
            News::Member { room, member } => {
                self.member_record(cx, room.into(), &member, true);
                self.tell_roster(cx);
            }
            News::Entry { entry } => {
                if let Ok(claim) = entry.claim() {
                    self.entries_received(cx, claim.room, vec![*entry], true);
                }
            }
            News::Invited(invitation) => self.invited(cx, &invitation),
            News::Replaced => {
                let text = "This account was signed in again elsewhere with the same keys, so it is signed out here.";
                cx.tell(Event::Refused(Refusal::new(Code::NotSignedIn, text)));
                return Err(Replaced);
            }
            News::Mail => self.fetch_mail(cx),
            News::Closing => {}
        }
        Ok(())
    }

    /// The registry says whether somebody is there. Who just came is given a moment to dial, unless something waits.
    pub(super) fn listed_by_registry(&mut self, cx: &mut Context, user: &UserName, online: bool, tell: bool) {
        if *user == self.user {
            return;
        }
        self.people.set_listed(cx, user, online, tell);
        let awaits = self.identity_of(user).is_some_and(|identity| self.lacks(&identity));
        match (online, awaits) {
            // Being said to be there once more makes nobody easier to reach.
            (true, _) if self.people.get(user).is_some_and(|contact| contact.dial.is_given_time()) => {}
            (true, true) => self.dial_now(cx, user),
            (true, false) => self.dial_soon(cx, user, NEWCOMER_DIALS_WITHIN),
            (false, _) if self.people.get(user).is_some_and(|contact| contact.link.is_none()) => {
                self.tell_queued(cx, user);
            }
            (false, _) => {}
        }
    }

    pub(super) fn certified(&mut self, cx: &mut Context, certificate: Signed<Certificate>) {
        let credentials = Credentials { statement: self.credentials.statement.clone(), certificate };
        // An older one that the registry still had, or says to have, replaces nothing.
        let me = certificate::verify(&credentials, &self.root, cx.now.wall).ok();
        if let Some(me) = me.filter(|me| self.is_newer(me.expires)) {
            self.set_credentials(cx, credentials, me.expires);
        }
    }

    pub(super) fn resumed(&mut self, cx: &mut Context, certificate: Signed<Certificate>) {
        self.certified(cx, certificate);
        let registry = cx.settings.registry.clone();
        cx.tell(Event::RegistryLink { state: LinkState::Online, registry });
        if self.registry.we_left_until.take().is_none_or(|until| until < cx.now.monotonic) {
            self.registry.watch_again_at = Some(cx.now.monotonic.plus(OTHERS_COME_BACK_WITHIN));
        }
        self.registry_signed_in(cx);
    }

    /// The registry does not know this device. It may know the one of the keys before, from an old backup.
    pub(super) fn show_rotations(&mut self, cx: &mut Context, refusal: Refusal) {
        if refusal.code == Code::Credentials && !self.keys.rotations().is_empty() {
            return self.ask(cx, self.rotation_shown(), Call::Rotate);
        }
        self.reclaim(cx, refusal);
    }

    /// The registry does not know me, perhaps because it has come back from an old backup: what it certified itself
    /// gives the account back, as long as that holds.
    pub(super) fn reclaim(&mut self, cx: &mut Context, refusal: Refusal) {
        if cx.now.wall >= self.expires || refusal.code != Code::Credentials {
            return self.resume_refused(cx, refusal);
        }
        let credentials = Box::new(self.credentials.clone());
        self.ask(cx, Request::Reclaim { credentials, auth: None }, Call::Reclaim);
    }

    pub(super) fn resume_refused(&mut self, cx: &mut Context, refusal: Refusal) {
        if matches!(refusal.code, Code::Credentials | Code::NotPermitted | Code::NameTaken) {
            cx.out.push_back(Output::Registry(RegistryOutput::Disconnect));
        } else {
            self.resume_later(cx, &refusal);
        }
        cx.tell(Event::Refused(refusal));
    }

    pub(super) fn resume_later(&mut self, cx: &Context, refusal: &Refusal) {
        let pause = refusal.retry_after.map_or(RESUME_AGAIN_AFTER, |seconds| Duration::from_secs(seconds.into()));
        self.registry.resume_at = Some(cx.now.monotonic.plus(pause));
    }

    /// The answer to `Watch`: who of my conversations is there.
    pub(super) fn watching(&mut self, cx: &mut Context, online: &[UserName]) {
        let waits_for_others = self.registry.watch_again_at.is_some();
        for user in self.watched() {
            let listed = online.contains(&user);
            if listed || !waits_for_others {
                let tell = self.registry.begun;
                self.people.set_listed(cx, &user, listed, tell);
            }
            if listed && self.wants_link(&user) {
                self.dial_now(cx, &user);
            } else if !listed && self.people.get(&user).is_some_and(|contact| !contact.is_online()) {
                self.tell_queued(cx, &user);
            }
        }
    }
}

/// A registry that is alive answers in milliseconds; one that checks passwords for many may take seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Whoever comes dials everybody; if they do not, we do.
const NEWCOMER_DIALS_WITHIN: Duration = Duration::from_secs(2);
/// A registry that refuses for a passing reason and does not say for how long.
const RESUME_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A connection that we made anew ourselves is there within this, or somebody who typed should hear that it is not.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// After a restart of the registry, peers come back within their first pauses.
const OTHERS_COME_BACK_WITHIN: Duration = Duration::from_secs(10);
