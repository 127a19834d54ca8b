//! Answers of several rows: people, rooms, invitations, oneself. Pure functions of the event and a [`Look`].

use common::names::UserName;

use super::ladder;
use super::render::{Look, answer, local};
use super::theme::Symbol;
use crate::api::{Event, InvitationShown, MemberShown, PersonShown, RoomShown};
use crate::frontend::sanitize::{Paint, Safe};

/// The rows that answer a question; `None` for events that are no such answer.
pub(super) fn rows(look: &Look, event: &Event) -> Option<Vec<Safe>> {
    Some(match event {
        Event::Online { users } => online(look, users),
        Event::Person(person) => whois(look, person),
        Event::Myself { user, registry, listen, away } => {
            let name = user.as_ref().map_or_else(|| "nobody: not signed in".to_owned(), UserName::to_string);
            let mut rows = vec![field("you are", &name), field("registry", registry)];
            rows.push(field("you listen on", &listen.to_string()));
            if let Some(text) = away {
                rows.push(field("away", &or_dash(text)));
            }
            rows
        }
        Event::Fingerprints { user, identity, realm, registry } => {
            vec![field(&format!("key of {user}"), identity), field("registry", registry), field("its key", realm)]
        }
        Event::Trace(trace) => ladder::trace(look, trace),
        Event::Why(why) => ladder::why(look, why),
        Event::Rooms { rooms } if rooms.is_empty() => {
            vec![answer("No rooms yet. /create #name makes one.")]
        }
        Event::Rooms { rooms } => rooms.iter().map(|room| self::room(look, room)).collect(),
        Event::Members { conversation, members } => {
            let count = members.len();
            let mut rows = vec![answer(&format!("{conversation}: {count} {}", plural(count, "member")))];
            rows.extend(members.iter().map(|member| self::member(look, member)));
            rows
        }
        Event::TopicShown { conversation, text } if text.is_empty() => {
            vec![answer(&format!("{conversation} has no topic. /topic TEXT sets one."))]
        }
        Event::TopicShown { conversation, text } => vec![answer(&format!("Topic of {conversation}: {text}"))],
        Event::Bans { conversation, bans } if bans.is_empty() => {
            vec![answer(&format!("Nobody is banned from {conversation}."))]
        }
        Event::Bans { conversation, bans } => {
            let mut rows = vec![answer(&format!("Banned from {conversation}:"))];
            rows.extend(bans.iter().map(|ban| {
                let reason = if ban.text.is_empty() { String::new() } else { format!(": {}", ban.text) };
                answer("  ").with(&look.theme.name(&ban.user, look.me.as_ref())).with(&answer(&reason))
            }));
            rows
        }
        Event::Invites { invites } if invites.is_empty() => vec![answer("No invitations.")],
        Event::Invites { invites } => invites.iter().map(|invitation| invited(look, invitation)).collect(),
        _ => return None,
    })
}

/// An invitation with what to do about it.
pub(super) fn invited(look: &Look, invitation: &InvitationShown) -> Safe {
    let InvitationShown { conversation, by, expires } = invitation;
    let until = local(look, *expires, "%-d %b");
    look.theme
        .name(by, look.me.as_ref())
        .with(&answer(&format!(" invites you to {conversation} (until {until}). ")))
        .with(&look.theme.paint(answer(&format!("/accept {conversation}")), Paint::Command))
        .with(&answer(" or "))
        .with(&look.theme.paint(answer(&format!("/decline {conversation}")), Paint::Command))
}

fn online(look: &Look, users: &[UserName]) -> Vec<Safe> {
    if users.is_empty() {
        return vec![answer("Nobody is online with that in the name.")];
    }
    let mut row = answer(&format!("{} online:", users.len()));
    let mut sorted: Vec<&UserName> = users.iter().collect();
    sorted.sort_unstable();
    for user in sorted {
        row.push(&answer(" "));
        row.push(&look.theme.name(user, look.me.as_ref()));
    }
    vec![row]
}

fn whois(look: &Look, person: &PersonShown) -> Vec<Safe> {
    let state = match (person.online, person.last_seen) {
        (true, _) => "online".to_owned(),
        (false, Some(at)) => format!("offline, last seen {}", local(look, at, "%-d %b %Y %H:%M")),
        (false, None) => "offline".to_owned(),
    };
    let mut rows = vec![look.theme.name(&person.user, look.me.as_ref()).with(&answer(&format!(" is {state}")))];
    if let Some(text) = &person.away {
        rows.push(field("away", &or_dash(text)));
    }
    let verified = match (person.verified, look.theme.symbol(Symbol::Verified)) {
        (true, "verified") => "verified".to_owned(),
        (true, sign) => format!("{sign} verified"),
        (false, _) => format!("not compared yet; see /verify {}", person.user),
    };
    rows.push(field("key", &format!("{} ({verified})", person.identity)));
    if let Some(other) = &person.blocked_by {
        let warning = "the key changed: nothing is sent to them and nothing from them is shown";
        rows.push(look.theme.paint(field("blocked", warning), Paint::Warning));
        rows.push(field("key now", &format!("{other} (/accept-key {0} or /reject-key {0})", person.user)));
    }
    rows.push(field("connected", &person.route.map_or_else(|| "no".to_owned(), |route| format!("directly, {route}"))));
    rows
}

fn room(look: &Look, room: &RoomShown) -> Safe {
    let mut row = look.theme.paint(answer(&format!("{:<25}", room.name)), Paint::Bold);
    let count = usize::try_from(room.members).unwrap_or(usize::MAX);
    row.push(&answer(&format!(" {:>3} {:<8}", room.members, plural(count, "member"))));
    let mut remarks = Vec::new();
    if room.private {
        remarks.push("private");
    }
    if room.joined {
        remarks.push("you are in");
    }
    row.push(&look.theme.dim(&format!("owner {}", room.owner)));
    if !remarks.is_empty() {
        row.push(&look.theme.dim(&format!(", {}", remarks.join(", "))));
    }
    if !room.topic.is_empty() {
        row.push(&answer(&format!("  {}", room.topic)));
    }
    row
}

fn member(look: &Look, member: &MemberShown) -> Safe {
    let mut row = answer("  ").with(&look.theme.name(&member.user, look.me.as_ref()));
    if member.owner {
        row.push(&answer(", owner"));
    }
    if !member.online {
        row.push(&look.theme.dim(", offline"));
    }
    row
}

fn field(name: &str, value: &str) -> Safe {
    Safe::line(&format!("  {:<14} {value}", format!("{name}:")))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "yes".to_owned() } else { text.to_owned() }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
