//! The user's commands, for a signed-in account: what can be answered at once is, the rest begins here and ends where
//! the answer arrives.

use std::time::Duration;

use common::ids::ConversationId;
use common::limits::{REASON_BYTES_MAX, TEXT_BYTES_MAX};
use common::message::registry::{Code, Refusal, Request};
use common::names::{RoomName, UserName};
use common::wire::bounded::Text;

use super::account::Account;
use super::calls::Call;
use super::context::{Context, no_registry};
use super::moderation::Decision;
use super::people;
use super::reads::Read;
use super::references::Errand;
use crate::api::{Command, Event, MessageKind, Since, Target, To};
use crate::ports::{DiskJob, Output, Write};

impl Account {
    pub(super) fn command(&mut self, cx: &mut Context, re: Option<String>, command: Command) {
        self.check_early(cx);
        if !matches!(command, Command::Say { .. }) {
            // Whatever it looks up or changes comes after what was said before it.
            self.keep_said(cx);
        }
        match command {
            Command::Say { to, text, kind } => self.say_to(cx, re, &to, text, kind),
            Command::Query { target, text } => self.query(cx, re, target, text),
            Command::Search(search) => self.search(cx, re, search),
            Command::CatchUp => self.catch_up(cx, re),
            Command::Export(export) => self.export(cx, re, export),
            Command::History { target, count, since } => self.history(cx, re, target, count, since),
            Command::Edit { reference, text } => self.edit(cx, re, reference, text),
            Command::Delete { reference } => self.refer(cx, re, reference, Errand::Delete),
            Command::React { reference, word } => self.react(cx, re, reference, word),
            Command::Trace { reference } => self.refer(cx, re, reference, Errand::Trace),
            Command::Why { user } => self.why(cx, re, user),
            Command::ChangePassword { old, new } => self.reseal(cx, re, old, new),
            Command::Rotate { password } => self.rotate(cx, re, password),
            Command::Fingerprint => {
                let (user, identity) = (self.user.clone(), self.keys.key().to_string());
                let (realm, registry) = (self.realm.fingerprint(), cx.settings.registry.clone());
                cx.answer(re, Event::Fingerprints { user, identity, realm, registry });
            }
            Command::Who { pattern } => {
                let request = Request::Who { pattern: pattern.as_deref().map(Text::cut), after: None };
                self.begin_call(cx, re, request, Call::Who { pattern, users: Vec::new() });
            }
            Command::WhoIs { user } => self.ask_who_is(cx, re, user),
            Command::Verify { user, digits } => self.verify(cx, re, user, digits),
            Command::AcceptKey { user } => self.accept_key(cx, re, user),
            Command::RejectKey { user } => self.reject_key(cx, re, user),
            Command::Away { text } => self.set_away(cx, re, Some(text)),
            Command::Back => self.set_away(cx, re, None),
            Command::Create(new) => self.create(cx, re, new),
            Command::Rooms { pattern } => {
                let request = Request::Rooms { pattern: pattern.as_deref().map(Text::cut), after: None };
                self.begin_call(cx, re, request, Call::Rooms { pattern, rooms: Vec::new() });
            }
            Command::Join { room } => self.join(cx, re, room, false),
            Command::Accept { room } => self.join(cx, re, room, true),
            Command::Part { room } => self.part(cx, re, room),
            Command::Names { room } => self.names(cx, re, room),
            Command::Topic { room, text } => self.topic(cx, re, room, text),
            Command::Invite { user, room } => self.invite(cx, re, user, room),
            Command::Kick { user, room, reason } => self.moderate(cx, re, room, user, Decision::Kick { reason }),
            Command::Ban { user, room, reason } => self.moderate(cx, re, room, user, Decision::Ban { reason }),
            Command::Unban { user, room } => self.moderate(cx, re, room, user, Decision::Unban),
            Command::Own { user, room } => self.moderate(cx, re, room, user, Decision::Own),
            Command::Bans { room } => self.bans(cx, re, room),
            Command::Close { room } => self.close_room(cx, re, room),
            Command::Invites => self.begin_call(cx, re, Request::Invites, Call::Invites),
            Command::Decline { room } => {
                self.begin_call(cx, re, Request::Invites, Call::InvitesToDecline { room });
            }
            Command::Register { .. }
            | Command::LogIn { .. }
            | Command::LogOut
            | Command::TrustRealm { .. }
            | Command::WhoAmI
            | Command::Quit { .. } => unreachable!("the node takes these itself"),
        }
    }

    /// Asks the registry on behalf of a command; the command ends with the answer.
    pub(super) fn begin_call(&mut self, cx: &mut Context, re: Option<String>, request: Request, call: Call) {
        cx.wait(re);
        self.ask(cx, request, call);
    }

    pub(super) fn needs_registry(&self, cx: &mut Context, re: &Option<String>, what: &str) -> bool {
        let online = self.registry.is_online();
        if !online {
            cx.refuse(re.clone(), no_registry(what));
        }
        online
    }

    fn say_to(&mut self, cx: &mut Context, re: Option<String>, to: &To, text: String, kind: MessageKind) {
        if let Err(refusal) = check_text(&text) {
            return cx.refuse(re, refusal);
        }
        match self.addressee(to) {
            Err(refusal) => cx.refuse(re, refusal),
            Ok(Target::Room(room)) => match self.open_room(&room) {
                Ok(id) => self.say(cx, re, id, text, kind, Vec::new()),
                Err(refusal) => cx.refuse(re, refusal),
            },
            Ok(Target::Person(user)) => match self.identity_of(&user) {
                Some(_) => self.say_directly(cx, re, &user, text, kind, Vec::new()),
                None if user == self.user => cx.refuse(re, talking_to_oneself()),
                None => {
                    let call = Call::LookUpToSay { user: user.clone(), text, kind };
                    self.begin_call(cx, re, Request::Lookup { user }, call);
                }
            },
        }
    }

    pub(super) fn addressee(&self, to: &To) -> Result<Target, Refusal> {
        let nobody = |text: &str| Refusal::new(Code::Usage, text);
        match to {
            To::Named(target) => Ok(target.clone()),
            To::Current => self.current.clone().ok_or_else(|| {
                nobody("No conversation is open. /msg NAME TEXT, /query NAME or /join #ROOM opens one.")
            }),
            To::LastHeard => self
                .last_heard
                .clone()
                .map(Target::Person)
                .ok_or_else(|| nobody("Nobody wrote to you privately yet. /msg NAME TEXT writes to somebody.")),
            To::LastSpoken => self
                .last_spoken
                .clone()
                .map(Target::Person)
                .ok_or_else(|| nobody("You wrote to nobody privately yet. /msg NAME TEXT writes to somebody.")),
        }
    }

    /// Says something to somebody whose key is known.
    pub(super) fn say_directly(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        user: &UserName,
        text: String,
        kind: MessageKind,
        mut writes: Vec<Write>,
    ) {
        if self.people.get(user).is_some_and(people::Contact::is_blocked) {
            self.commit(cx, writes, Vec::new());
            return cx.refuse(re, people::key_blocked(user));
        }
        let id = self.open_conversation(cx, user, &mut writes);
        self.say(cx, re, id, text, kind, writes);
    }

    /// The conversation with `user`, made if it is new: then their coming and going matters from now on.
    pub(super) fn open_conversation(
        &mut self,
        cx: &mut Context,
        user: &UserName,
        writes: &mut Vec<Write>,
    ) -> ConversationId {
        let known = self.conversations.len();
        let id = self.open_direct(user, writes);
        if self.conversations.len() > known {
            self.watch(cx);
            // Whoever writes to me first is there.
            self.people.presence_may_have_changed(cx, user, true);
            self.tell_roster(cx);
        }
        id
    }

    fn query(&mut self, cx: &mut Context, re: Option<String>, target: Target, text: Option<String>) {
        if let Some(Err(refusal)) = text.as_deref().map(check_text) {
            return cx.refuse(re, refusal);
        }
        match target {
            Target::Room(room) => match self.open_room(&room) {
                Ok(id) => {
                    self.set_current(cx, Some(Target::Room(room)));
                    match text {
                        Some(text) => self.say(cx, re, id, text, MessageKind::Text, Vec::new()),
                        None => cx.answer(re, Event::Current { conversation: self.current.clone() }),
                    }
                }
                Err(refusal) => cx.refuse(re, refusal),
            },
            Target::Person(user) if user == self.user => cx.refuse(re, talking_to_oneself()),
            Target::Person(user) if self.identity_of(&user).is_some() => {
                self.query_known(cx, re, &user, text, Vec::new());
            }
            Target::Person(user) => {
                let call = Call::LookUpToQuery { user: user.clone(), text };
                self.begin_call(cx, re, Request::Lookup { user }, call);
            }
        }
    }

    pub(super) fn query_known(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        user: &UserName,
        text: Option<String>,
        mut writes: Vec<Write>,
    ) {
        self.set_current(cx, Some(Target::Person(user.clone())));
        self.open_conversation(cx, user, &mut writes);
        match text {
            Some(text) => self.say_directly(cx, re, user, text, MessageKind::Text, writes),
            None => {
                self.commit(cx, writes, Vec::new());
                cx.answer(re, Event::Current { conversation: self.current.clone() });
            }
        }
    }

    fn set_away(&mut self, cx: &mut Context, re: Option<String>, text: Option<String>) {
        let text = text.map(|text| Text::<REASON_BYTES_MAX>::cut(&text).into_string());
        self.away.clone_from(&text);
        self.send_status(cx);
        cx.answer(re, Event::AwaySet { text });
    }

    fn history(
        &mut self,
        cx: &mut Context,
        re: Option<String>,
        target: Option<Target>,
        count: u32,
        since: Option<Since>,
    ) {
        let target = match target.map_or_else(|| self.addressee(&To::Current), Ok) {
            Ok(target) => target,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        let conversation = match self.conversation_of(&target) {
            Ok(conversation) => conversation,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        if !self.conversations.contains_key(&conversation) {
            return cx.answer(re, Event::History { conversation: target, unread: None, items: Vec::new() });
        }
        cx.wait(re);
        let ticket = cx.number();
        self.disk.reads.insert(ticket, Read::History { conversation });
        let count = count.clamp(1, HISTORY_MAX);
        let since = since.map(|since| match since {
            Since::Ago(millis) => cx.now.wall.minus(Duration::from_millis(millis)),
            Since::At(at) => at,
        });
        cx.out.push_back(Output::Disk(DiskJob::ReadHistory { ticket, conversation, count, since }));
    }

    /// The id of a room I am in.
    pub(super) fn open_room(&self, room: &RoomName) -> Result<ConversationId, Refusal> {
        let id = self.rooms.get(room).ok_or_else(|| not_member(room))?;
        let joined =
            self.conversations.get(id).and_then(|conversation| conversation.room()).is_some_and(|room| room.joined);
        if joined { Ok(*id) } else { Err(not_member(room)) }
    }

    /// The room a command means: the one named, or the current conversation.
    pub(super) fn room_meant(&self, room: Option<RoomName>) -> Result<(RoomName, ConversationId), Refusal> {
        let room = match (room, &self.current) {
            (Some(room), _) => room,
            (None, Some(Target::Room(room))) => room.clone(),
            (None, _) => {
                return Err(Refusal::new(
                    Code::Usage,
                    "No room is open. Name one: /rooms lists them, /join #ROOM enters.",
                ));
            }
        };
        let id = self.open_room(&room)?;
        Ok((room, id))
    }
}

pub(super) fn not_member(room: &RoomName) -> Refusal {
    Refusal::new(Code::NotMember, &format!("You are not in {room}. /join {room} first; /rooms lists what there is."))
}

pub(super) fn check_text(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(Code::Usage, "There is no text to send."));
    }
    if text.len() > TEXT_BYTES_MAX {
        let text = format!(
            "That text has {} bytes; a message holds at most {TEXT_BYTES_MAX}. Nothing was sent: split it.",
            text.len()
        );
        return Err(Refusal::new(Code::TooLarge, &text));
    }
    Ok(())
}

fn talking_to_oneself() -> Refusal {
    Refusal::new(Code::Usage, "That is you. Messages go to other people; /who lists who is online.")
}

/// As many messages as one answer may hold in memory.
const HISTORY_MAX: u32 = 10_000;
