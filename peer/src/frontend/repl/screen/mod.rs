//! What is on the screen and what follows from it: times, day lines, unread counters, lines that are held, hints.
//! Takes events and gives rows; the printer owns it. No clock, no terminal: both are told.

mod holes;
mod keys;
mod moderation;
mod past;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use common::ids::EventId;
use common::names::UserName;
use common::time::{Now, UnixMillis};

use super::answers;
use super::changes;
use super::hints::Hints;
use super::own::{Mine, Own};
use super::prompt::Status;
use super::render::{self, Look, Mark};
use super::theme::Symbol;
use crate::api::{
    ChangeShown, Delivery, DeliveryState, Event, LinkState, MessageShown, Refusal, RoomChange, Target, Told,
};
use crate::frontend::sanitize::{Paint, Safe};
use crate::frontend::settings::{Bell, Settings, Timestamps};

/// One row, and where it goes when output and errors are apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: Safe,
    pub(super) is_data: bool,
}

pub(super) struct Screen {
    pub(super) look: Look,
    pub(super) settings: Settings,
    pub(super) status: Status,
    rows: Vec<Row>,
    own: Own,
    hints: Hints,
    unread: HashMap<Target, Unread>,
    /// Minute and day of the last stamp.
    minute: Option<String>,
    day: Option<String>,
    /// Texts that were asked to be sent and not yet answered.
    said: VecDeque<(String, String)>,
    questions: u64,
    last_link: Option<LinkState>,
    /// People of whom it was said that they cannot be reached now.
    waiting_for: Vec<UserName>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Unread {
    messages: u32,
    mentions: u32,
    /// Some of them came before this run: they are not on the screen.
    from_before: bool,
}

impl Screen {
    pub(super) fn new(look: Look, settings: Settings, hints: Hints) -> Self {
        Self {
            look,
            settings,
            status: Status::default(),
            rows: Vec::new(),
            own: Own::default(),
            hints,
            unread: HashMap::new(),
            minute: None,
            day: None,
            said: VecDeque::new(),
            questions: 0,
            last_link: None,
            waiting_for: Vec::new(),
        }
    }

    /// Takes one event.
    pub(super) fn take(&mut self, told: Told, now: Now) {
        let said = told.re.as_ref().and_then(|re| self.answered(re, &told.event));
        match told.event {
            Event::Message(shown) if shown.own => self.own.hold(Mine::Said(shown), now.monotonic),
            Event::Changed(change) if change.own => self.own.hold(Mine::Did(change), now.monotonic),
            Event::Delivery(delivery) => {
                self.own.deliver(&delivery);
                self.reachable(&delivery, now);
            }
            Event::Roster { people, rooms } => {
                self.status.people = Arc::new(people);
                self.status.rooms = Arc::new(rooms);
            }
            event => {
                self.release(now, true);
                let refused = matches!(event, Event::Refused(_));
                self.show(event, now.wall);
                if let Some(text) = said.filter(|_| refused) {
                    let beginning = Safe::beginning(&text, BEGINNING_COLUMNS);
                    self.say([self.look.theme.dim(&format!("   not sent: \"{}\"", beginning.as_str()))], false);
                }
            }
        }
    }

    /// Remembers a text, so that a refusal can say which one was not sent.
    pub(super) fn said(&mut self, re: String, text: String) {
        self.said.push_back((re, text));
        if self.said.len() > SAID_MAX {
            self.said.pop_front();
        }
    }

    /// Shows what is held back, because nothing more will be known of it.
    pub(super) fn flush(&mut self, now: Now) {
        self.release(now, true);
    }

    /// Rows of the program itself; `is_data` where they are an answer.
    pub(super) fn say(&mut self, rows: impl IntoIterator<Item = Safe>, is_data: bool) {
        self.rows.extend(rows.into_iter().map(|text| Row { text, is_data }));
    }

    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        let row = render::error(self.look.theme, refusal);
        self.say([row], false);
    }

    /// The rows to be printed now. Called once for a batch of events.
    pub(super) fn rows(&mut self, now: Now) -> Vec<Row> {
        self.release(now, false);
        for moved in self.own.moved() {
            let row = render::moved(self.look.theme, &moved);
            self.say([row], true);
        }
        if let Some(hint) = self.hints.next() {
            let rows: Vec<Safe> = hint.iter().map(|row| render::help(self.look.theme, row)).collect();
            self.say(rows, false);
        }
        let (columns, continued) = (self.look.columns, render::continued(self.look.theme));
        let wrapped = |row: Row| {
            let is_data = row.is_data;
            row.text.wrapped(columns, &continued).into_iter().map(move |text| Row { text, is_data })
        };
        std::mem::take(&mut self.rows).into_iter().flat_map(wrapped).collect()
    }

    /// In how many milliseconds [`Screen::rows`] has something to give without an event.
    pub(super) fn due_in(&self, now: Now) -> Option<std::time::Duration> {
        self.own.due().map(|due| due.since(now.monotonic))
    }

    /// Notes which command was answered; the text it was to send, if it was.
    fn answered(&mut self, re: &str, event: &Event) -> Option<String> {
        // Signing in is still to come.
        if !matches!(event, Event::Registered { .. }) {
            self.status.answered = self.status.answered.max(re.parse().unwrap_or(0));
        }
        let index = self.said.iter().position(|(known, _)| known == re)?;
        self.said.remove(index).map(|(_, text)| text)
    }

    fn release(&mut self, now: Now, all: bool) {
        for (mine, mark) in self.own.release(now.monotonic, all) {
            match mine {
                Mine::Said(shown) => self.message(&shown, now.wall, mark),
                Mine::Did(change) => self.change(&change, now.wall, mark),
            }
        }
    }

    fn show(&mut self, event: Event, now: UnixMillis) {
        if let Some(rows) = answers::rows(&self.look, &event) {
            return self.say(rows, true);
        }
        match event {
            Event::Message(shown) => {
                self.count(&shown);
                self.message(&shown, now, Mark::None);
            }
            Event::History { conversation, unread, items } => self.history(&conversation, unread.as_ref(), &items),
            Event::Found { words, items } => self.found(&words, &items),
            Event::Unread { conversation, count, mentions } => self.unread_from_before(conversation, count, mentions),
            Event::Backlog { conversation, mark, items } => self.backlog(&conversation, &mark, &items),
            Event::CaughtUp { mentions, conversations } => self.caught_up(&mentions, &conversations),
            Event::Changed(change) => self.change(&change, now, Mark::None),
            Event::Current { conversation } => self.current(conversation),
            Event::Refused(refusal) => self.refuse(&refusal),
            Event::Invited(invitation) => {
                let row = self.stamp(now).with(&answers::invited(&self.look, &invitation));
                self.say([row], true);
            }
            Event::TrustAsked { registry, fingerprint } => self.ask_trust(&registry, &fingerprint),
            Event::RegistryLink { state, registry } => self.link(state, &registry, now),
            Event::Room { conversation, change, user, by, text } => {
                self.room(&Target::Room(conversation), change, &user, &by, &text, now);
            }
            Event::Gap { conversation, from, missing } => self.gap(&conversation, &from, missing, now),
            Event::Forked { conversation, user } => self.forked(&conversation, &user),
            Event::Frozen { conversation, by, entries, .. } => self.frozen(&Target::Room(conversation), &by, &entries),
            Event::Presence { user, online } if self.settings.presence => {
                let symbol = if online { Symbol::Joined } else { Symbol::Parted };
                let text = if online { "is online" } else { "is offline" };
                self.notice(None, symbol, &format!("{user} {text}"), now);
            }
            Event::AwaySeen { user, text } if self.settings.presence => {
                let text = away(&text, &format!("{user} is back"), &format!("{user} is away"));
                self.notice(None, Symbol::Notice, &text, now);
            }
            event => {
                if let Some(event) = self.keys(event) {
                    self.account(event);
                }
            }
        }
    }

    fn account(&mut self, event: Event) {
        let row = match event {
            Event::Ready { listen } => {
                self.hints.ready();
                return self.say([self.look.theme.dim(&format!("Listening on {listen}."))], false);
            }
            Event::Registered { user } => format!("The account {user} is made."),
            Event::SignedIn { user } => {
                self.hints.signed_in();
                self.look.me = Some(user.clone());
                self.status.me = Some(user.clone());
                self.status.question = 0;
                format!("Signed in as {user}.")
            }
            Event::SignedOut { user } => {
                (self.look.me, self.status.me, self.status.offline_since) = (None, None, None);
                self.unread.clear();
                self.current(None);
                format!("Signed out, {user}. /login NAME signs in again.")
            }
            Event::PasswordChanged => "Your password is changed.".to_owned(),
            Event::AwaySet { text } => away(&text, "You are back.", "You are away"),
            Event::Exported { path, count: 1 } => format!("1 message is in {path}."),
            Event::Exported { path, count } => format!("{count} messages are in {path}."),
            Event::InviteSent { conversation, user } => format!("{user} is invited to {conversation}."),
            Event::Declined { conversation } => format!("The invitation to {conversation} is declined."),
            // `Bye` is the printer's; presence that is not wanted and what `take` handled end here.
            _ => return,
        };
        self.say([Safe::line(&row)], true);
    }

    fn message(&mut self, shown: &MessageShown, now: UnixMillis, mark: Mark) {
        let stamp = self.stamp(now);
        let remark = self.remark(shown, now);
        let mut rows = render::message(&self.look, shown, &stamp, &remark, mark);
        self.refer(&mut rows, &shown.id);
        if self.rings(shown)
            && let Some(last) = rows.last_mut()
        {
            last.push(&Safe::bell());
        }
        self.say(rows, true);
    }

    fn change(&mut self, change: &ChangeShown, now: UnixMillis, mark: Mark) {
        let stamp = self.stamp(now);
        let remark = if change.late { self.late(change.at, now) } else { String::new() };
        let mut rows = changes::rows(&self.look, change, &stamp, &remark, mark);
        self.refer(&mut rows, &change.id);
        self.say(rows, true);
    }

    /// The short id of a message behind its rows, if that is wanted.
    fn refer(&self, rows: &mut [Safe], id: &EventId) {
        if self.settings.refs
            && let Some(last) = rows.last_mut()
        {
            last.push(&self.look.theme.dim(&format!("  {}", changes::short(id))));
        }
    }

    fn late(&self, at: UnixMillis, now: UnixMillis) -> String {
        let same_day = render::local(&self.look, at, DAY) == render::local(&self.look, now, DAY);
        let format = if same_day { "%H:%M" } else { "%-d %b %H:%M" };
        format!("late, sent {}", render::local(&self.look, at, format))
    }

    /// What there is to say of a message's time: the clock column shows when it came.
    fn remark(&self, shown: &MessageShown, now: UnixMillis) -> String {
        let (off, ahead) = (now.0.abs_diff(shown.at.0), shown.at > now);
        if shown.late {
            return self.late(shown.at, now);
        }
        if shown.own || off <= CLOCKS_DIFFER_MS {
            return String::new();
        }
        let minutes = off / 60_000;
        let (count, unit) = if minutes < 120 { (minutes, "min") } else { (minutes / 60, "h") };
        format!("{}'s clock is {count} {unit} {}", shown.from, if ahead { "ahead" } else { "behind" })
    }

    fn room(&mut self, room: &Target, change: RoomChange, user: &UserName, by: &UserName, text: &str, now: UnixMillis) {
        let own = self.look.me.as_ref() == Some(user);
        let who = if own { "you".to_owned() } else { user.to_string() };
        let (symbol, text) = match change {
            RoomChange::Created => (Symbol::Notice, format!("{who} made the room")),
            RoomChange::Joined => (Symbol::Joined, format!("{who} joined")),
            RoomChange::Parted => (Symbol::Parted, format!("{who} left")),
            RoomChange::Topic if text.is_empty() => (Symbol::Notice, format!("{by} cleared the topic")),
            RoomChange::Topic => (Symbol::Notice, format!("{by} set the topic: {text}")),
            decided => moderation::decided(decided, own, &who, by, text),
        };
        let is_over = change == RoomChange::Closed
            || own && matches!(change, RoomChange::Parted | RoomChange::Kicked | RoomChange::Banned);
        if is_over {
            self.unread.remove(room);
            self.count_unread();
        }
        self.notice(Some(room), symbol, &text, now);
    }

    fn current(&mut self, conversation: Option<Target>) {
        if self.look.current == conversation {
            return;
        }
        if let Some(conversation) = &conversation {
            let Unread { messages: unread, from_before, .. } = self.unread.remove(conversation).unwrap_or_default();
            let unread = if unread > 0 && !from_before {
                format!(" ({unread} unread above; /history shows them)")
            } else {
                String::new()
            };
            self.say([self.look.theme.dim(&format!("Now talking in {conversation}.{unread}"))], true);
        }
        self.look.current.clone_from(&conversation);
        self.status.current = conversation;
        self.count_unread();
    }

    fn count(&mut self, shown: &MessageShown) {
        if self.look.current.as_ref() == Some(&shown.conversation) {
            return;
        }
        let mention = self.look.me.as_ref().is_some_and(|me| me.is_said_in(&shown.text));
        let unread = self.unread.entry(shown.conversation.clone()).or_default();
        unread.messages = unread.messages.saturating_add(1);
        unread.mentions = unread.mentions.saturating_add(u32::from(mention));
        self.count_unread();
    }

    fn count_unread(&mut self) {
        self.status.unread = self.unread.values().map(|unread| unread.messages).sum();
        self.status.mentions = self.unread.values().map(|unread| unread.mentions).sum();
    }

    fn rings(&self, shown: &MessageShown) -> bool {
        let to_me = matches!(shown.conversation, Target::Person(_))
            || self.look.me.as_ref().is_some_and(|me| me.is_said_in(&shown.text));
        match self.settings.bell {
            Bell::Off => false,
            Bell::Mentions => to_me && !shown.own,
            Bell::All => !shown.own,
        }
    }

    /// Told once: the registry coming and going in a bad hour is one line, not a hundred.
    fn link(&mut self, state: LinkState, registry: &str, now: UnixMillis) {
        self.status.offline_since = match state {
            LinkState::Online => None,
            _ => self.status.offline_since.take().or_else(|| Some(render::local(&self.look, now, "%H:%M"))),
        };
        let before = self.last_link.replace(state);
        let text = match state {
            LinkState::Online if before.is_none() => return,
            LinkState::Online if before == Some(LinkState::Online) => return,
            LinkState::Online => format!("The registry {registry} is back."),
            LinkState::Offline => format!("No link to the registry {registry}."),
            LinkState::Retrying if before == Some(LinkState::Retrying) => return,
            LinkState::Retrying => {
                format!(
                    "The registry {registry} does not answer; trying again. People you are linked to hear you still."
                )
            }
        };
        self.say([self.look.theme.paint(Safe::line(&text), Paint::Dim)], false);
    }

    /// One's own line waits for somebody: said once, until something reaches them.
    fn reachable(&mut self, delivery: &Delivery, now: Now) {
        let known = self.waiting_for.contains(&delivery.to);
        match (delivery.state, &delivery.conversation) {
            (DeliveryState::Queued, Target::Person(_)) if !known => {
                self.waiting_for.push(delivery.to.clone());
                // The line it is about comes first.
                self.release(now, true);
                let to = &delivery.to;
                let text = format!("{to} can't be reached now. It waits here and goes out directly or by mail.");
                self.say([self.look.theme.dim(&text)], false);
            }
            (DeliveryState::Delivered, _) if known => self.waiting_for.retain(|user| *user != delivery.to),
            _ => {}
        }
    }

    fn ask_trust(&mut self, registry: &str, fingerprint: &str) {
        self.questions += 1;
        self.status.question = self.questions;
        let rows = [
            format!("The registry {registry} is new to you. Its fingerprint is"),
            format!("  {fingerprint}"),
            "Compare it with what its operator says ('registry fingerprint' shows it there).".to_owned(),
            "Trust it? Type yes, or Enter for no.".to_owned(),
        ];
        self.say(rows.map(|row| Safe::line(&row)), false);
    }

    fn notice(&mut self, conversation: Option<&Target>, symbol: Symbol, text: &str, now: UnixMillis) {
        let stamp = self.stamp(now);
        let row = render::notice(&self.look, conversation, symbol, &stamp, text);
        self.say([row], true);
    }

    /// The time column, and a line before it where a new day begins.
    fn stamp(&mut self, at: UnixMillis) -> Safe {
        let day = render::local(&self.look, at, DAY);
        if self.day.as_ref() != Some(&day) {
            // The first line of a run needs no day: it is today.
            if self.day.is_some() {
                self.say([render::day(&self.look, at)], true);
            }
            self.day = Some(day);
            self.minute = None;
        }
        let minute = render::local(&self.look, at, "%H:%M");
        let changed = self.minute.as_ref() != Some(&minute);
        self.minute = Some(minute);
        match self.settings.timestamps {
            Timestamps::Off => Safe::empty(),
            Timestamps::Minute if !changed => render::stamp(&self.look, None),
            Timestamps::Minute | Timestamps::Always => render::stamp(&self.look, Some(at)),
        }
    }
}

fn away(text: &Option<String>, back: &str, away: &str) -> String {
    match text {
        None => back.to_owned(),
        Some(text) if text.is_empty() => format!("{away}."),
        Some(text) => format!("{away}: {text}"),
    }
}

const DAY: &str = "%Y-%m-%d";

/// Two clocks of one network agree better than this, or somebody should look.
const CLOCKS_DIFFER_MS: u64 = 120_000;

/// Texts whose fate is not known yet; more than anybody types ahead.
const SAID_MAX: usize = 256;

const BEGINNING_COLUMNS: usize = 48;
