//! `/why NAME`: the state of the link with somebody, in words. Everything that is said here was decided elsewhere.

use std::time::Duration;

use common::message::registry::{Code, PersonRecord, Refusal, Request};
use common::names::UserName;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use super::links::Link;
use super::people::{Attempt, Contact, Dial};
use crate::api::{Event, Tried, WhyShown, WhyState};
use crate::ports::Direction;

impl Account {
    pub(super) fn why(&mut self, cx: &mut Context, re: Option<String>, user: UserName) {
        if user == self.user {
            return cx.refuse(re, Refusal::new(Code::Usage, "That is you. /whoami shows where you listen."));
        }
        let linked = self.people.get(&user).is_some_and(|contact| contact.link.is_some());
        if linked || !self.registry.is_online() {
            let why = self.explained(cx, &user, None);
            return cx.answer(re, Event::Why(why));
        }
        self.begin_call(cx, re, Request::Lookup { user: user.clone() }, Call::LookUpToExplain { user });
    }

    /// What there is to say; `record` is what the registry said just now, if it was asked.
    pub(super) fn explained(&self, cx: &Context, user: &UserName, record: Option<&PersonRecord>) -> WhyShown {
        let nobody = Contact::default();
        let contact = self.people.get(user).unwrap_or(&nobody);
        let link = contact.link.and_then(|link| self.links.get(link));
        let (state, mut text) = match link {
            Some(link) => (WhyState::Linked, linked(cx, user, link)),
            None => self.not_linked(cx, user, contact, record),
        };
        let waiting = self.waiting_for(user);
        let tried = contact.attempt.as_ref().filter(|_| link.is_none()).map(|attempt| &attempt.tried);
        let tried: Vec<Tried> = tried
            .into_iter()
            .flatten()
            .map(|(address, error)| Tried { address: address.to_string(), error: error.clone() })
            .collect();
        match waiting {
            0 => {}
            _ if link.is_some() => {
                text.push_str(&format!(" {} not acknowledged yet.", counted(waiting, "message is", "messages are")));
            }
            1 => text.push_str(" One message waits for them on your disk."),
            more => text.push_str(&format!(" {more} messages wait for them on your disk.")),
        }
        WhyShown { user: user.clone(), state, text, address: link.map(|link| link.address), tried, waiting }
    }

    fn not_linked(
        &self,
        cx: &Context,
        user: &UserName,
        contact: &Contact,
        record: Option<&PersonRecord>,
    ) -> (WhyState, String) {
        let now = cx.now.monotonic;
        let tried_at = contact.attempt.as_ref().map(|attempt| {
            let ago = Duration::from_millis(cx.now.wall.0.saturating_sub(attempt.at.0));
            format!("{} tried {} ago", counted(count_of(attempt), "address was", "addresses were"), span(ago))
        });
        if contact.is_blocked() {
            let text = format!("{user} shows another key than before: nothing is sent to them until that is settled.");
            return (WhyState::Blocked, text);
        }
        match &contact.dial {
            Dial::LookingUp { .. } => {
                return (
                    WhyState::Dialing,
                    format!("A link with {user} is being made: the registry is asked where they are."),
                );
            }
            Dial::Dialing { .. } => {
                let count = contact.attempt.as_ref().map_or(0, count_of);
                let text = format!("{user} is being dialled, at {}.", counted(count, "address", "addresses"));
                return (WhyState::Dialing, text);
            }
            Dial::Waiting { until, failures } if *failures > 0 => {
                let last = tried_at.map_or_else(String::new, |tried| format!(" {tried}."));
                let text = format!(
                    "{user} was not reached, {} in a row; the next attempt is in {}.{last}",
                    counted(*failures, "time", "times"),
                    span(until.since(now)),
                );
                return (WhyState::Waiting, text);
            }
            Dial::Waiting { .. } | Dial::Idle => {}
        }
        let Some(record) = record else {
            let last = tried_at.map_or_else(String::new, |tried| format!(" {tried}."));
            let known = if contact.addresses.is_empty() {
                "no address of theirs is known"
            } else {
                "their last addresses are tried when there is something to say"
            };
            let text = format!("The registry is unreachable, so nobody says whether {user} is online; {known}.{last}");
            return (WhyState::RegistryAway, text);
        };
        if record.online {
            let text = format!("{user} is online. There is nothing to say to them yet, so no link was made.");
            return (WhyState::Idle, text);
        }
        let seen = record.last_seen.map_or_else(String::new, |at| {
            format!(", last seen {} ago", span(Duration::from_millis(cx.now.wall.0.saturating_sub(at.0))))
        });
        (WhyState::Offline, format!("{user} is not online{seen}."))
    }

    /// My events that `user` has not acknowledged.
    fn waiting_for(&self, user: &UserName) -> u32 {
        let identity = self.identity_of(user);
        let count = self.conversations.values().flat_map(|conversation| {
            let member =
                conversation.room().and_then(|room| room.members.iter().find(|(_, member)| member.user == *user));
            let identity = member.map(|(identity, _)| *identity).or(identity);
            conversation.own.values().map(move |log| {
                let Some(identity) = identity else { return 0 };
                let acked = log.acked.get(&identity).copied().unwrap_or(0);
                log.pending.range(acked + 1..).filter(|(_, event)| event.recipients.contains(&identity)).count()
            })
        });
        u32::try_from(count.sum::<usize>()).unwrap_or(u32::MAX)
    }
}

fn linked(cx: &Context, user: &UserName, link: &Link) -> String {
    let now = cx.now.monotonic;
    let who = match link.direction {
        Direction::Dialed => "you dialled".to_owned(),
        Direction::Answered => format!("{user} dialled"),
    };
    let (since, idle) = (span(now.since(link.up_at)), span(now.since(link.used_at)));
    format!("{user} is linked directly at {}, for {since}; {who}; idle for {idle}.", link.address)
}

fn count_of(attempt: &Attempt) -> u32 {
    u32::try_from(attempt.addresses.len()).unwrap_or(u32::MAX)
}

fn counted(count: u32, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// A time span as one says it.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let told = [0, 119, 120, 7_199, 7_200, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }
}
