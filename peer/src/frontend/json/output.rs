//! What a program reads: one object per event, its fields exactly those of the contract, its `type` first.
//! A pure function of the event; whatever could steer a terminal is escaped, so that a log of it is safe to look at.

use common::names::UserName;
use common::time::UnixMillis;
use serde_json::{Value, json};

use super::messages;
use super::object::{Field, Object};
use crate::api::{
    Around, BanShown, CaughtUp, Delivery, DeliveryState, Event, FoundShown, InvitationShown, LinkState, MemberShown,
    MessageKind, MessageShown, PersonShown, Refusal, RoomChange, RoomShown, Told,
};

/// One line of output, with its newline; `None` for what programs are not told.
pub(crate) fn line(told: &Told) -> Option<String> {
    // Where plain text goes is told to whoever asked for it, and to nobody else.
    if told.re.is_none() && matches!(told.event, Event::Current { .. }) {
        return None;
    }
    let mut object = object(&told.event)?;
    if let Some(re) = &told.re {
        object.push("re", json!(re));
    }
    Some(object.into_line())
}

/// The answer to `/help`: the table, for a program to read.
pub(crate) fn help(re: Option<&str>, rows: &[&crate::frontend::commands::Row]) -> String {
    let commands: Vec<Value> = rows
        .iter()
        .map(|row| json!({"name": row.name, "aliases": row.aliases, "usage": row.usage(), "summary": row.summary}))
        .collect();
    let mut object = Object::of("help", [("commands", json!(commands))]);
    if let Some(re) = re {
        object.push("re", json!(re));
    }
    object.into_line()
}

fn object(event: &Event) -> Option<Object<'_>> {
    Some(match event {
        Event::Ready { listen } => {
            Object::of("ready", [("listen", json!(listen.to_string())), ("version", json!(VERSION))])
        }
        Event::Registered { user } => Object::of("registered", [("user", name(user))]),
        Event::SignedIn { user } => Object::of("signed_in", [("user", name(user))]),
        Event::SignedOut { user } => Object::of("signed_out", [("user", name(user))]),
        Event::PasswordChanged => Object::bare("password_changed"),
        Event::RegistryLink { state, registry } => {
            Object::of("link", [("state", json!(link_state(*state))), ("registry", json!(registry))])
        }
        Event::TrustAsked { registry, fingerprint } => {
            Object::of("trust_asked", [("registry", json!(registry)), ("fingerprint", json!(fingerprint))])
        }
        Event::Online { users } => Object::of("online", [("users", names(users))]),
        Event::Presence { user, online } => Object::of("presence", [("user", name(user)), ("online", json!(online))]),
        Event::Person(person) => whois(person),
        Event::Myself { .. } | Event::Fingerprints { .. } => oneself(event),
        Event::AwaySet { text } => Object::of("away", [("text", json!(text))]),
        Event::AwaySeen { user, text } => Object::of("away", [("user", name(user)), ("text", json!(text))]),
        Event::Message(shown) => message(shown),
        Event::Changed(change) => messages::changed(change),
        Event::Trace(trace) => messages::trace(trace),
        Event::Why(why) => messages::why(why),
        Event::Delivery(delivery) => delivered(delivery),
        Event::History { conversation, items, .. } => {
            let items: Vec<Object<'_>> = items.iter().map(message).collect();
            Object::of("history", [("conversation", json!(conversation.to_string())), ("items", json!(items))])
        }
        Event::Refused(refusal) => refused(refusal),
        Event::Bye { reason, .. } => Object::of("bye", [("reason", json!(reason))]),
        Event::Current { conversation } => {
            Object::of("current", [("conversation", json!(conversation.as_ref().map(ToString::to_string)))])
        }
        Event::Roster { .. } | Event::Backlog { .. } => return None,
        other => rooms(other).or_else(|| asked(other)).or_else(|| keys(other))?,
    })
}

fn rooms(event: &Event) -> Option<Object<'_>> {
    Some(match event {
        Event::Gap { conversation, from, missing } => Object::of(
            "gap",
            [("conversation", json!(conversation.to_string())), ("from", name(from)), ("missing", json!(missing))],
        ),
        Event::Forked { conversation, user } => {
            Object::of("fork", [("conversation", json!(conversation.to_string())), ("from", name(user))])
        }
        Event::Rooms { rooms } => {
            let rooms: Vec<Object<'_>> = rooms.iter().map(room).collect();
            Object::of("rooms", [("rooms", json!(rooms))])
        }
        Event::Members { conversation, members } => {
            let members: Vec<Object<'_>> = members.iter().map(member).collect();
            Object::of("members", [("conversation", json!(conversation.as_str())), ("members", json!(members))])
        }
        Event::TopicShown { conversation, text } => Object::of(
            "topic",
            [
                ("conversation", json!(conversation.as_str())),
                ("user", Value::Null),
                ("by", Value::Null),
                ("text", json!(text)),
            ],
        ),
        Event::Room { conversation, change, user, by, text } => Object::of(
            room_change(*change),
            [
                ("conversation", json!(conversation.as_str())),
                ("user", name(user)),
                ("by", name(by)),
                ("text", json!(text)),
            ],
        ),
        Event::Bans { conversation, bans } => {
            let ban = |ban: &BanShown| Object::inner([("user", name(&ban.user)), ("text", json!(ban.text))]);
            let bans: Vec<Object<'_>> = bans.iter().map(ban).collect();
            Object::of("bans", [("conversation", json!(conversation.as_str())), ("bans", json!(bans))])
        }
        Event::Frozen { conversation, by, number, entries } => Object::of(
            "frozen",
            [
                ("conversation", json!(conversation.as_str())),
                ("by", name(by)),
                ("number", json!(number)),
                ("entries", json!(entries)),
            ],
        ),
        Event::Invited(invitation) => Object::of("invited", invited(invitation)),
        Event::Invites { invites } => {
            let invites: Vec<Object<'_>> =
                invites.iter().map(|invitation| Object::inner(invited(invitation))).collect();
            Object::of("invites", [("invites", json!(invites))])
        }
        Event::InviteSent { conversation, user } => {
            Object::of("invite_sent", [("conversation", json!(conversation.as_str())), ("user", name(user))])
        }
        Event::Declined { conversation } => Object::of("declined", [("conversation", json!(conversation.as_str()))]),
        _ => return None,
    })
}

fn keys(event: &Event) -> Option<Object<'_>> {
    Some(match event {
        Event::KeyChanged { user, old, new, verified } => Object::of(
            "key_changed",
            [("user", name(user)), ("old", json!(old)), ("new", json!(new)), ("verified", json!(verified))],
        ),
        Event::KeyRotated { user, old, new, verified } => Object::of(
            "key_rotated",
            [("user", name(user)), ("old", json!(old)), ("new", json!(new)), ("verified", json!(verified))],
        ),
        Event::Rotated { user, key } => Object::of("rotated", [("user", name(user)), ("key", json!(key))]),
        Event::KeyAccepted { user, key, held } => {
            Object::of("key_accepted", [("user", name(user)), ("key", json!(key)), ("held", json!(held))])
        }
        Event::KeyRejected { user, key, dropped } => {
            Object::of("key_rejected", [("user", name(user)), ("key", json!(key)), ("dropped", json!(dropped))])
        }
        Event::SafetyNumber { user, digits, verified } => Object::of(
            "safety_number",
            [("user", name(user)), ("digits", json!(digits)), ("verified", json!(verified))],
        ),
        Event::Verified { user, digits } => Object::of("verified", [("user", name(user)), ("digits", json!(digits))]),
        Event::LookAlike { user, like } => Object::of("look_alike", [("user", name(user)), ("like", name(like))]),
        _ => return None,
    })
}

/// Answers about what was said before.
fn asked(event: &Event) -> Option<Object<'_>> {
    Some(match event {
        Event::Found { items, .. } => {
            let items: Vec<Object<'_>> = items.iter().map(found).collect();
            Object::of("found", [("items", json!(items))])
        }
        Event::Unread { conversation, count, mentions } => Object::of(
            "unread",
            [("conversation", json!(conversation.to_string())), ("count", json!(count)), ("mentions", json!(mentions))],
        ),
        Event::CaughtUp { mentions, conversations } => {
            let conversations: Vec<Object<'_>> = conversations.iter().map(caught_up).collect();
            Object::of("catchup", [("mentions", messages(mentions)), ("conversations", json!(conversations))])
        }
        Event::Exported { path, count } => Object::of("exported", [("path", json!(path)), ("count", json!(count))]),
        _ => return None,
    })
}

/// A message with the lines around it, where these were asked for.
fn found(found: &FoundShown) -> Object<'_> {
    let mut object = message(&found.message);
    if let Some(Around { before, after }) = &found.around {
        let around = Object::inner([("before", messages(before)), ("after", messages(after))]);
        object.push("context", json!(around));
    }
    object
}

fn caught_up(caught_up: &CaughtUp) -> Object<'_> {
    Object::inner([
        ("conversation", json!(caught_up.conversation.to_string())),
        ("count", json!(caught_up.count)),
        ("mentions", json!(caught_up.mentions)),
        ("from", names(&caught_up.from)),
        ("items", messages(&caught_up.items)),
    ])
}

fn messages(shown: &[MessageShown]) -> Value {
    let items: Vec<Object<'_>> = shown.iter().map(message).collect();
    json!(items)
}

/// Messages for a file, one object a line, exactly as they are told.
pub(crate) fn message_lines(_: Option<&MessageShown>, messages: &[MessageShown]) -> String {
    messages.iter().map(|shown| message(shown).into_line()).collect()
}

fn message(shown: &MessageShown) -> Object<'_> {
    let kind = match shown.kind {
        MessageKind::Text => "text",
        MessageKind::Action => "action",
    };
    let mut object = Object::of(
        "message",
        [
            ("conversation", Field::Shown(&shown.conversation)),
            ("id", Field::Shown(&shown.id)),
            ("from", Field::Text(shown.from.as_str())),
            ("text", Field::Text(&shown.text)),
            ("kind", Field::Text(kind)),
            ("at", Field::Time(shown.at)),
            ("own", Field::Flag(shown.own)),
            ("late", Field::Flag(shown.late)),
        ],
    );
    messages::add_changes(&mut object, &shown.changes);
    object
}

fn delivered(delivery: &Delivery) -> Object<'_> {
    let state = match delivery.state {
        DeliveryState::Queued => "queued",
        DeliveryState::Mailbox => "mailbox",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Refused => "refused",
        DeliveryState::Expired => "expired",
    };
    Object::of(
        "delivery",
        [
            ("conversation", Field::Shown(&delivery.conversation)),
            ("id", Field::Shown(&delivery.id)),
            ("state", Field::Text(state)),
            ("to", Field::Text(delivery.to.as_str())),
            ("done", json!(delivery.done).into()),
            ("of", json!(delivery.of).into()),
        ],
    )
}

fn oneself(event: &Event) -> Object<'_> {
    match event {
        Event::Myself { user, registry, listen, away } => Object::of(
            "whoami",
            [
                ("user", user.as_ref().map_or(Value::Null, name)),
                ("registry", json!(registry)),
                ("listen", json!(listen.to_string())),
                ("away", json!(away)),
            ],
        ),
        Event::Fingerprints { user, identity, realm, registry } => Object::of(
            "fingerprint",
            [
                ("user", name(user)),
                ("identity", json!(identity)),
                ("realm", json!(realm)),
                ("registry", json!(registry)),
            ],
        ),
        _ => Object::bare("unknown"),
    }
}

fn whois(person: &PersonShown) -> Object<'_> {
    Object::of(
        "whois",
        [
            ("user", name(&person.user)),
            ("online", json!(person.online)),
            ("identity", json!(person.identity)),
            ("verified", json!(person.verified)),
            ("blocked", json!(person.blocked_by.is_some())),
            ("new_identity", json!(person.blocked_by)),
            ("route", json!(person.route.map(|route| route.to_string()))),
            ("last_seen", person.last_seen.map_or(Value::Null, time)),
            ("away", json!(person.away)),
        ],
    )
}

fn room(room: &RoomShown) -> Object<'_> {
    Object::inner([
        ("name", json!(room.name.as_str())),
        ("private", json!(room.private)),
        ("members", json!(room.members)),
        ("owner", name(&room.owner)),
        ("topic", json!(room.topic)),
        ("joined", json!(room.joined)),
    ])
}

fn member(member: &MemberShown) -> Object<'_> {
    Object::inner([("user", name(&member.user)), ("online", json!(member.online)), ("owner", json!(member.owner))])
}

fn invited(invitation: &InvitationShown) -> [(&'static str, Value); 3] {
    [
        ("conversation", json!(invitation.conversation.as_str())),
        ("by", name(&invitation.by)),
        ("expires", time(invitation.expires)),
    ]
}

fn refused(refusal: &Refusal) -> Object<'_> {
    let mut object =
        Object::of("error", [("code", json!(refusal.code.as_str())), ("text", json!(refusal.text.as_str()))]);
    if let Some(seconds) = refusal.retry_after {
        object.push("retry_after", json!(seconds));
    }
    object
}

fn room_change(change: RoomChange) -> &'static str {
    match change {
        RoomChange::Created => "created",
        RoomChange::Joined => "joined",
        RoomChange::Parted => "parted",
        RoomChange::Topic => "topic",
        RoomChange::Kicked => "kicked",
        RoomChange::Banned => "banned",
        RoomChange::Unbanned => "unbanned",
        RoomChange::Owner => "owner",
        RoomChange::Closed => "closed",
    }
}

fn link_state(state: LinkState) -> &'static str {
    match state {
        LinkState::Online => "online",
        LinkState::Offline => "offline",
        LinkState::Retrying => "retrying",
    }
}

pub(super) fn name(user: &UserName) -> Value {
    json!(user.as_str())
}

fn names(users: &[UserName]) -> Value {
    let mut sorted: Vec<&str> = users.iter().map(UserName::as_str).collect();
    sorted.sort_unstable();
    json!(sorted)
}

pub(super) fn time(at: UnixMillis) -> Value {
    json!(Field::Time(at))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::{harmless, sample};
    use common::visible::{Tower, is_hidden};
    use proptest::prelude::*;

    #[test]
    fn every_event_as_a_program_reads_it() {
        let lines: Vec<String> =
            sample::events().into_iter().filter_map(|event| line(&Told { re: None, event })).collect();
        insta::assert_snapshot!(lines.concat().replace(VERSION, "VERSION"));
    }

    #[test]
    fn answers_carry_the_mark_and_waiting_times() {
        let refusal = Refusal::later(crate::api::Code::Throttled, "Too many.", 30);
        let told = Told { re: Some("7".to_owned()), event: Event::Refused(refusal) };
        let expected = r#"{"type":"error","code":"throttled","text":"Too many.","retry_after":30,"re":"7"}"#;
        assert_eq!(line(&told).unwrap().trim_end(), expected);
    }

    #[test]
    fn where_text_goes_is_an_answer_only() {
        let event = || Event::Current { conversation: Some(sample::target("#dev")) };
        assert_eq!(line(&Told { re: None, event: event() }), None);
        let told = line(&Told { re: Some("7".to_owned()), event: event() });
        assert_eq!(told.unwrap().trim_end(), r##"{"type":"current","conversation":"#dev","re":"7"}"##);
    }

    #[test]
    fn hidden_characters_are_escaped_and_survive() {
        let tower = "\u{301}".repeat(200);
        let text = format!("\u{1b}[2J \u{9b} \u{202e} \u{e0041} a\nb ✓ o{tower}");
        let told = Told { re: Some(text.clone()), event: Event::PasswordChanged };
        let line = line(&told).unwrap();
        assert!(!line.trim_end().chars().any(is_hidden), "{line}");
        assert_eq!(line.matches('\u{301}').count(), common::visible::MARKS_MAX);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["re"], text);
    }

    proptest! {
        /// Whatever others say, in whatever field: a program reads it as it was, and nobody who looks at the line is
        /// harmed.
        #[test]
        fn no_field_lets_text_escape(text in sample::hostile()) {
            for event in sample::events_saying(&text) {
                let Some(line) = line(&Told { re: Some(text.clone()), event }) else { continue };
                let mut tower = Tower::default();
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.chars().any(|c| is_hidden(c) || tower.is_too_high(c)), "{line:?}");
                harmless::check(line, false);
                let value: Value = serde_json::from_str(line).unwrap();
                prop_assert_eq!(&value["re"], &text);
            }
        }
    }
}
