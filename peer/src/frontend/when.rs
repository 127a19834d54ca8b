//! Times as people type them: `7d` ago, `14:05`, `yesterday`, a date, a date with a time. Read in the user's own time
//! zone; the one parser for every command that takes a time.

use common::time::UnixMillis;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// What the text means now; `None` if it means nothing.
pub(crate) fn read(text: &str) -> Option<UnixMillis> {
    read_at(text, &Zoned::now())
}

/// What to type, for whoever typed something else.
pub(crate) const FORMS: &str = "7d, 1h30m, 14:05, yesterday, 2026-05-12 or 2026-05-12T14:05";

fn read_at(text: &str, now: &Zoned) -> Option<UnixMillis> {
    let text = text.trim().to_ascii_lowercase();
    let at = match text.as_str() {
        "now" => now.timestamp(),
        "today" => now.start_of_day().ok()?.timestamp(),
        "yesterday" => now.yesterday().ok()?.start_of_day().ok()?.timestamp(),
        _ => duration(&text)
            .and_then(|ago| now.timestamp().checked_sub(ago).ok())
            .or_else(|| time_of_day(&text, now))
            .or_else(|| date(&text, now))?,
    };
    // Before 1970 nobody said anything here.
    Some(UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or(0)))
}

/// `90s`, `10m`, `1h30m`, `7d`, `2w`.
fn duration(text: &str) -> Option<SignedDuration> {
    let mut seconds: i64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            'w' => 7 * 24 * 3600,
            _ => return None,
        };
        seconds = digits.parse::<i64>().ok()?.checked_mul(unit)?.checked_add(seconds)?;
        digits.clear();
    }
    (digits.is_empty() && !text.is_empty()).then(|| SignedDuration::from_secs(seconds))
}

/// The last time the clock showed this.
fn time_of_day(text: &str, now: &Zoned) -> Option<Timestamp> {
    let is_clock = text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || c == ':');
    let time: Time = is_clock.then(|| text.parse().ok()).flatten()?;
    let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
    let at = if today > *now { today.checked_sub(1.day()).ok()? } else { today };
    Some(at.timestamp())
}

/// A day is its beginning; without a zone it is the user's.
fn date(text: &str, now: &Zoned) -> Option<Timestamp> {
    let upper = text.to_ascii_uppercase();
    if let Ok(at) = upper.parse::<Timestamp>() {
        return Some(at);
    }
    let moment = match upper.parse::<Date>().ok().filter(|_| !upper.contains('T')) {
        Some(date) => date.at(0, 0, 0, 0),
        None => upper.parse::<DateTime>().ok()?,
    };
    Some(moment.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let now: Zoned = "2026-05-12T14:03:07+02:00[Europe/Berlin]".parse().unwrap();
        let at = read_at(text, &now)?;
        Some(Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap().to_string())
    }

    #[test]
    fn every_form_means_a_moment_in_the_users_zone() {
        for (text, at) in [
            ("90s", "2026-05-12T12:01:37Z"),
            ("1h30m", "2026-05-12T10:33:07Z"),
            ("7d", "2026-05-05T12:03:07Z"),
            ("2W", "2026-04-28T12:03:07Z"),
            ("14:03", "2026-05-12T12:03:00Z"),
            ("14:05", "2026-05-11T12:05:00Z"),
            ("yesterday", "2026-05-10T22:00:00Z"),
            ("Today", "2026-05-11T22:00:00Z"),
            ("2026-01-31", "2026-01-30T23:00:00Z"),
            ("2026-01-31T10:00", "2026-01-31T09:00:00Z"),
            ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(at), "{text}");
        }
        for text in ["", "7", "d", "7x", "25:00", "2026-13-01", "soon", "-1d", "99999999999999999999d", "9999999999w"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
