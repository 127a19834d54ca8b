//! Times as people type them: a span of time, a time of the day, a day. Days and times are those of the reader's own
//! zone. The one parser for every command that takes a time, and the one place where a line depends on when it is typed.

use std::time::Duration;

use common::time::UnixMillis;
use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan, Zoned};

use crate::api::Since;

/// What a word says, if it says a time. A span is still to be taken from the time of whoever carries the command out.
pub(super) fn since(word: &str) -> Option<Since> {
    match span(word) {
        Some(millis) => Some(Since::Ago(millis)),
        None => moment(word, &Zoned::now()).map(Since::At),
    }
}

/// The same as a moment.
pub(super) fn at(word: &str) -> Option<UnixMillis> {
    match since(word)? {
        Since::Ago(millis) => Some(millis_of(Timestamp::now()).minus(Duration::from_millis(millis))),
        Since::At(at) => Some(at),
    }
}

/// What to type, for whoever typed something else.
pub(super) const FORMS: &str = "7d, 1h30m, 14:05, yesterday, 2026-05-12 or 2026-05-12T14:05";

/// `90s`, `10m`, `1h30m`, `7d`, `2w`: milliseconds.
fn span(word: &str) -> Option<u64> {
    let mut rest = word;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let (number, after) = rest.split_at(digits);
        let unit = match after.as_bytes().first()?.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &after[1..];
    }
    (seconds > 0).then_some(seconds)?.checked_mul(1_000)
}

fn moment(word: &str, now: &Zoned) -> Option<UnixMillis> {
    // Also the letters of a date with a time are large ones.
    let word = word.to_ascii_uppercase();
    let at = match word.as_str() {
        "TODAY" => now.start_of_day().ok()?.timestamp(),
        "YESTERDAY" => now.yesterday().ok()?.start_of_day().ok()?.timestamp(),
        _ => {
            if let Some(time) = time_of_day(&word) {
                // A time that is still to come was meant of yesterday.
                let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
                if today <= *now { today.timestamp() } else { today.checked_sub(1.day()).ok()?.timestamp() }
            } else if let Ok(timestamp) = word.parse::<Timestamp>() {
                timestamp
            } else {
                // A bare date is its first moment.
                word.parse::<DateTime>().ok()?.to_zoned(now.time_zone().clone()).ok()?.timestamp()
            }
        }
    };
    Some(millis_of(at))
}

/// Before 1970 nobody said anything here.
fn millis_of(at: Timestamp) -> UnixMillis {
    UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

/// `14:05` or `14:05:30`.
fn time_of_day(word: &str) -> Option<Time> {
    if !word.contains(':') || word.contains(['-', 'T', 'Z', '+']) {
        return None;
    }
    let padded = if word.find(':') == Some(1) { format!("0{word}") } else { word.to_owned() };
    padded.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<&str>) {
        let now: Zoned = "2026-05-12T14:03:07+02:00[Europe/Berlin]".parse().unwrap();
        let found =
            moment(word, &now).map(|at| Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap().to_string());
        assert_eq!(found.as_deref(), expected, "{word}");
    }

    #[test]
    fn days_and_times_are_those_of_the_reader() {
        check("14:03", Some("2026-05-12T12:03:00Z"));
        check("9:30", Some("2026-05-12T07:30:00Z"));
        check("23:59", Some("2026-05-11T21:59:00Z"));
        check("today", Some("2026-05-11T22:00:00Z"));
        check("yesterday", Some("2026-05-10T22:00:00Z"));
        check("2026-05-01", Some("2026-04-30T22:00:00Z"));
        check("2026-05-01T08:00", Some("2026-05-01T06:00:00Z"));
        check("2026-05-01T08:00:00Z", Some("2026-05-01T08:00:00Z"));
        check("2026-05-01t08:00:00z", Some("2026-05-01T08:00:00Z"));
        check("Today", Some("2026-05-11T22:00:00Z"));
        check("1960-01-01", Some("1970-01-01T00:00:00Z"));
        for word in ["bob", "25:00", "2026-13-01", "12", "x:y", "soon", "-1d", ""] {
            check(word, None);
        }
    }

    #[test]
    fn spans_are_sums_of_units() {
        let seconds = |word| span(word).map(|millis| millis / 1_000);
        assert_eq!(["90s", "10m", "1h30m", "7d", "2W"].map(seconds), [90, 600, 5_400, 604_800, 1_209_600].map(Some));
        assert_eq!(["", "10", "m", "10x", "1h30", "0s", "99999999999999999999d"].map(seconds), [None; 7]);
    }
}
