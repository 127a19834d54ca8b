//! What each answer of the registry means to whoever asked. One function takes replies, one takes refusals; what
//! follows stands with its subject.

use common::limits::{NAMES_PER_PAGE, ROOMS_PER_PAGE};
use common::message::registry::{Code, PersonRecord, Refusal, Reply, Request, RoomSummary};
use common::names::UserName;
use common::secure::certificate::Person;
use common::wire::bounded::Text;

use super::account::Account;
use super::calls::Call;
use super::conduct::goes_on;
use super::context::Context;
use super::people;
use crate::api::{Event, PersonShown, RoomShown};
use crate::ports::{Output, Pin, VaultJob};

impl Account {
    pub(super) fn registry_replied(&mut self, cx: &mut Context, call: Call, reply: Reply) {
        match (call, reply) {
            (Call::Resume | Call::Reclaim, Reply::SignedIn { certificate, .. }) => self.resumed(cx, certificate),
            (Call::Rotate, Reply::SignedIn { certificate, .. }) => self.rotation_taken(cx, certificate),
            (Call::Renew, Reply::SignedIn { certificate, .. }) => self.certified(cx, certificate),
            (Call::Watch, Reply::Watching { online }) => self.watching(cx, &online),
            (Call::Mail, Reply::Mail { items, more }) => self.mail_came(cx, &items, more),
            (Call::MembersOf { room, announce, place }, Reply::Members { members, more }) => {
                self.members_page(cx, room, announce, &place, &members, more);
            }
            (Call::Memberships { after, pages }, Reply::Memberships { rooms, more }) => {
                self.memberships(cx, (after, pages), &rooms, more);
            }
            (Call::JoinMembers { room, place }, Reply::Members { members, more }) => {
                self.join_members(cx, room, &place, &members, more);
            }
            (Call::LogOf { room, from }, Reply::Log { entries, more }) => {
                self.log_page(cx, room, from, entries.into_vec(), more);
            }
            (Call::LogOfInvitation { invitation }, Reply::Log { entries, more }) => {
                self.log_of_invitation(cx, *invitation, entries.into_vec(), more);
            }
            (Call::LogToJoin { room, invite, invited }, Reply::Log { entries, more }) => {
                self.log_to_join(cx, room, invite, invited, entries.into_vec(), more);
            }
            (Call::JoinLog { room }, Reply::Log { entries, more }) => self.join_log(cx, room, entries.into_vec(), more),
            (Call::SeeInvites, Reply::Invites { invites }) => {
                invites.iter().for_each(|invitation| self.invited(cx, invitation));
                self.registry.begun = true;
            }
            (Call::Invites, Reply::Invites { invites }) => {
                let invites = invites.iter().filter_map(|invitation| self.invitation(cx, invitation)).collect();
                cx.finish(Event::Invites { invites });
            }
            (Call::InvitesToDecline { room }, Reply::Invites { invites }) => self.decline_found(cx, room, &invites),
            (Call::Who { pattern, users }, Reply::Online { users: page, more }) => {
                self.who_page(cx, pattern, users, page.into_vec(), more);
            }
            (Call::Rooms { pattern, rooms }, Reply::Rooms { rooms: page, more }) => {
                self.rooms_page(cx, pattern, rooms, page.into_vec(), more);
            }
            (Call::FindToJoin { room, invited }, Reply::Room { genesis, invite }) => {
                self.room_found(cx, &room, *genesis, invite, invited);
            }
            (Call::FindToCreate(new), Reply::Room { .. }) => self.room_exists(cx, &new.name),
            (call, Reply::Person(record)) => self.person_came(cx, call, &record),
            (call, Reply::Done) => self.done(cx, call),
            (call, _) => self.replied_unexpectedly(cx, call),
        }
    }

    /// What the registry knows of somebody.
    fn person_came(&mut self, cx: &mut Context, call: Call, record: &PersonRecord) {
        match call {
            Call::LookUpToDial { user } => self.found_to_dial(cx, &user, record),
            Call::LookUpToRemember { user } => self.addresses_told(cx, &user, record),
            Call::LookUpToMail { user } => self.found_to_mail(cx, &user, record),
            Call::WhoIs { user } => self.who_is(cx, &user, record),
            Call::LookUpToExplain { user } => {
                let why = self.explained(cx, &user, Some(record));
                cx.finish(Event::Why(why));
            }
            Call::LookUpToSay { user, text, kind } => {
                if let Some(writes) = self.meet(cx, &user, record) {
                    let re = cx.done();
                    self.say_directly(cx, re, &user, text, kind, writes);
                }
            }
            Call::LookUpToQuery { user, text } => {
                if let Some(writes) = self.meet(cx, &user, record) {
                    let re = cx.done();
                    self.query_known(cx, re, &user, text, writes);
                }
            }
            Call::LookUpToVerify { user, digits } => {
                if let Some(writes) = self.meet(cx, &user, record) {
                    let re = cx.done();
                    self.verify_known(cx, re, user, digits.as_deref(), writes);
                }
            }
            Call::LookUpToInvite { user, room } => {
                self.invitee_found(cx, room, &user, record);
            }
            Call::LookUpToModerate { user, room, decision } => {
                self.found_to_moderate(cx, room, &user, record, decision);
            }
            call => self.replied_unexpectedly(cx, call),
        }
    }

    fn done(&mut self, cx: &mut Context, call: Call) {
        match call {
            Call::Routine | Call::PartAgain | Call::Ping => {}
            Call::PutMail { letter } => self.mail_kept(cx, *letter),
            Call::Present { room } => self.presented(cx, room),
            Call::BringBack { room } => self.brought_back(cx, room),
            Call::BringEntry { room, number } => self.entry_brought(cx, room, number),
            Call::Create { room, topic } => self.created(cx, room, topic),
            Call::Join { room } => self.admitted(cx, room),
            Call::Part { room } => self.parted(cx, room),
            Call::AddEntry { entry } => {
                if let Some(event) = self.entry_added(cx, *entry) {
                    cx.finish(event);
                }
            }
            Call::SignAnew { entry, .. } => {
                self.entry_added(cx, *entry);
            }
            Call::FirstTopic { room, entry } => {
                if let Some(event) = self.entry_added(cx, *entry) {
                    cx.tell(event);
                }
                self.entered(cx, room);
            }
            Call::Invite { room, user } => self.invite_sent(cx, room, user),
            Call::Decline { room } => cx.finish(Event::Declined { conversation: room }),
            Call::ChangePassword => {
                let job = VaultJob::Confirm { realm: self.realm, user: self.user.clone() };
                cx.out.push_back(Output::Vault(job));
            }
            call => self.replied_unexpectedly(cx, call),
        }
    }

    pub(super) fn registry_refused(&mut self, cx: &mut Context, call: Call, refusal: Refusal) {
        match call {
            Call::Resume => self.show_rotations(cx, refusal),
            Call::Rotate => self.rotation_refused(cx, refusal),
            Call::Reclaim => self.resume_refused(cx, refusal),
            Call::LookUpToDial { user } => self.look_up_failed(cx, &user),
            Call::Mail => self.mail_not_fetched(cx),
            Call::LookUpToMail { user } => self.mail_failed(cx, &user),
            Call::PutMail { letter } => self.mail_not_kept(cx, &letter, Some(refusal)),
            Call::WhoIs { user } => self.who_is_refused(cx, &user, refusal),
            Call::FindToCreate(new) if refusal.code == Code::NoSuchRoom => self.create_free(cx, *new),
            Call::FindToCreate(new) if refusal.code == Code::NotInvited => self.room_exists(cx, &new.name),
            Call::Create { room, .. } | Call::Join { room } => {
                self.leave_quietly(cx, room);
                cx.fail(refusal);
            }
            Call::JoinMembers { room, .. } | Call::JoinLog { room } => self.entered(cx, room),
            Call::Part { room } => self.parted(cx, room),
            Call::MembersOf { room, .. } => self.members_refused(cx, room, refusal),
            Call::Present { room } | Call::BringBack { room } => self.not_presented(cx, room, refusal),
            Call::BringEntry { room, .. } => self.entry_not_brought(cx, room, refusal),
            Call::ChangePassword => {
                self.registry.password_refusal = Some(refusal);
                let job = VaultJob::Discard { realm: self.realm, user: self.user.clone() };
                cx.out.push_back(Output::Vault(job));
            }
            Call::SeeInvites => self.registry.begun = true,
            Call::FirstTopic { room, .. } => {
                // The room came about, its topic did not.
                cx.tell(Event::Refused(refusal));
                self.entered(cx, room);
            }
            call if call.is_command() => cx.fail(refusal),
            _ => {}
        }
    }

    /// Pins somebody just looked up by a command; fails the command if that cannot be.
    pub(super) fn meet(
        &mut self,
        cx: &mut Context,
        user: &UserName,
        record: &PersonRecord,
    ) -> Option<Vec<crate::ports::Write>> {
        let mut writes = Vec::new();
        let met = people::vouched(cx, &self.root, user, &record.credentials)
            .and_then(|person| self.check_person(cx, &person, &record.credentials, &mut writes));
        if let Err(refusal) = met {
            self.commit(cx, writes, Vec::new());
            cx.fail(refusal);
            return None;
        }
        self.addresses_told(cx, user, record);
        self.people.set_listed(cx, user, record.online, false);
        Some(writes)
    }

    fn who_page(
        &mut self,
        cx: &mut Context,
        pattern: Option<String>,
        mut users: Vec<UserName>,
        page: Vec<UserName>,
        more: bool,
    ) {
        if !goes_on(users.last(), &page) {
            return self.replied_unexpectedly(cx, Call::Who { pattern, users });
        }
        let after = page.last().cloned();
        // Short pages would make a long list of few names.
        let is_full = page.len() >= NAMES_PER_PAGE / 2;
        users.extend(page);
        if more && is_full && users.len() < NAMES_PER_PAGE * LISTED_PAGES_MAX {
            let request = Request::Who { pattern: pattern.as_deref().map(Text::cut), after };
            return self.ask(cx, request, Call::Who { pattern, users });
        }
        users.sort_unstable();
        users.dedup();
        for user in &users {
            if *user != self.user {
                self.people.entry(user);
            }
        }
        self.tell_roster(cx);
        cx.finish(Event::Online { users });
    }

    fn rooms_page(
        &mut self,
        cx: &mut Context,
        pattern: Option<String>,
        mut rooms: Vec<RoomSummary>,
        page: Vec<RoomSummary>,
        more: bool,
    ) {
        if !goes_on(rooms.last().map(|room| &room.name), page.iter().map(|room| &room.name)) {
            return self.replied_unexpectedly(cx, Call::Rooms { pattern, rooms });
        }
        let after = page.last().map(|room| room.name.clone());
        let is_full = page.len() >= ROOMS_PER_PAGE / 2;
        rooms.extend(page);
        if more && is_full && rooms.len() < NAMES_PER_PAGE * LISTED_PAGES_MAX {
            let request = Request::Rooms { pattern: pattern.as_deref().map(Text::cut), after };
            return self.ask(cx, request, Call::Rooms { pattern, rooms });
        }
        let shown = rooms.into_iter().map(|room| RoomShown {
            name: room.name,
            private: room.private,
            members: room.members,
            owner: room.owner,
            topic: room.topic.into_string(),
            joined: room.joined,
        });
        cx.finish(Event::Rooms { rooms: shown.collect() });
    }

    /// What the registry knows of somebody and what is known here; without it, what is known here.
    pub(super) fn ask_who_is(&mut self, cx: &mut Context, re: Option<String>, user: UserName) {
        match self.person_shown(&user, None).filter(|_| !self.registry.is_online()) {
            Some(shown) => cx.answer(re, Event::Person(Box::new(shown))),
            None => self.begin_call(cx, re, Request::Lookup { user: user.clone() }, Call::WhoIs { user }),
        }
    }

    fn who_is(&mut self, cx: &mut Context, user: &UserName, record: &PersonRecord) {
        let person = match people::vouched(cx, &self.root, user, &record.credentials) {
            Ok(person) => person,
            Err(refusal) => return self.who_is_refused(cx, user, refusal),
        };
        if self.identity_of(user).is_some() {
            // Whoever is known by another key is blocked by this, too; the answer says so.
            let mut writes = Vec::new();
            let _ = self.check_person(cx, &person, &record.credentials, &mut writes);
            self.commit(cx, writes, Vec::new());
        }
        if let Some(shown) = self.person_shown(user, Some((record, &person))) {
            cx.finish(Event::Person(Box::new(shown)));
        }
    }

    /// The registry knows nobody of that name, or says what does not hold: whoever was met is still who they are.
    fn who_is_refused(&mut self, cx: &mut Context, user: &UserName, refusal: Refusal) {
        match self.person_shown(user, None) {
            Some(shown) => {
                cx.tell(Event::Refused(refusal));
                cx.finish(Event::Person(Box::new(shown)));
            }
            None => cx.fail(refusal),
        }
    }

    /// Somebody by the key that was pinned; only of a stranger by what the registry says.
    fn person_shown(&self, user: &UserName, told: Option<(&PersonRecord, &Person)>) -> Option<PersonShown> {
        let contact = self.people.get(user);
        let pin = contact.and_then(|contact| contact.pin.as_ref());
        let link = contact.and_then(|contact| contact.link).and_then(|link| self.links.get(link));
        let claimant = pin.and_then(|pin| pin.blocked_by.as_ref());
        let identity = pin.map(Pin::key).or_else(|| told.map(|(_, person)| person.key))?;
        Some(PersonShown {
            user: user.clone(),
            online: told.is_some_and(|(record, _)| record.online) || link.is_some(),
            identity: identity.to_string(),
            verified: pin.is_some_and(|pin| pin.verified),
            blocked_by: claimant.map(|claimant| claimant.key().to_string()),
            route: link.map(|link| link.address),
            last_seen: told.and_then(|(record, _)| record.last_seen),
            away: contact.and_then(|contact| contact.away.clone()),
        })
    }
}

/// A list longer than this many pages is shown as far as it was read; a pattern makes it shorter.
const LISTED_PAGES_MAX: usize = 20;
