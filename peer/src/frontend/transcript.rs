//! What was said as a text file: a line per message behind its time, a line between two days, and everything from
//! others made harmless, so that looking at the file is as safe as looking at the screen.

use common::time::UnixMillis;
use jiff::tz::TimeZone;

use super::sanitize::Safe;
use crate::api::{Changes, MessageKind, MessageShown};

/// The lines of these messages; `before` is the one above the first.
pub(crate) fn lines(before: Option<&MessageShown>, messages: &[MessageShown]) -> String {
    lines_in(&TimeZone::system(), before, messages)
}

fn lines_in(zone: &TimeZone, before: Option<&MessageShown>, messages: &[MessageShown]) -> String {
    let mut text = String::new();
    let mut day = before.map(|before| local(zone, before.at, DAY));
    for message in messages {
        let today = local(zone, message.at, DAY);
        if day.as_ref() != Some(&today) {
            text.push_str(&format!("-- {today} --\n"));
            day = Some(today);
        }
        let who = match message.kind {
            MessageKind::Text => format!("<{}>", message.from),
            MessageKind::Action => format!("* {}", message.from),
        };
        let late = if message.late { "  (late)" } else { "" };
        let changed = match &message.changes {
            Changes { deleted: true, .. } => "(deleted)",
            Changes { edited: true, .. } => "  (edited)",
            _ => "",
        };
        let reactions = message.changes.reactions.iter();
        let reactions: String = reactions.map(|(word, people)| format!("  {word} {}", people.len())).collect();
        let reactions = Safe::line(&reactions);
        let said = Safe::message(&message.text);
        // What goes on has a bar before it: nobody can write a line of somebody else's into it.
        let said = said.as_str().replace('\n', "\n      | ");
        let at = local(zone, message.at, "%H:%M");
        text.push_str(&format!("{at} {} {who} {said}{changed}{}{late}\n", message.conversation, reactions.as_str()));
    }
    text
}

fn local(zone: &TimeZone, at: UnixMillis, format: &str) -> String {
    let at = i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(zone.clone()).strftime(format).to_string()
}

const DAY: &str = "%a %-d %b %Y";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::sample;
    use std::time::Duration;

    #[test]
    fn a_transcript_reads_like_the_screen_and_is_as_safe() {
        let action = MessageShown { kind: MessageKind::Action, ..sample::message("#dev", "carol", "stretches") };
        let next = MessageShown {
            at: sample::NOON.plus(Duration::from_secs(24 * 3600)),
            late: true,
            ..sample::message("@bob", "bob", "two\n14:03 #dev <carol> forged \u{1b}[2J")
        };
        let first = [sample::message("#dev", "bob", "deploy is green"), action];
        let text = lines_in(&TimeZone::UTC, None, &first) + &lines_in(&TimeZone::UTC, first.last(), &[next]);
        assert_eq!(
            text,
            "-- Tue 12 May 2026 --\n14:03 #dev <bob> deploy is green\n14:03 #dev * carol stretches\n\
             -- Wed 13 May 2026 --\n14:03 @bob <bob> two\n      | 14:03 #dev <carol> forged ␛[2J  (late)\n"
        );
    }
}
