//! The screen told as stories: what a person sees, event by event.

use super::*;
use crate::frontend::repl::theme::Theme;
use crate::frontend::{harmless, sample};
use common::time::Monotonic;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::time::Duration;

struct Story {
    screen: Screen,
    now: Now,
    text: String,
}

impl Story {
    fn new(theme: Theme) -> Self {
        // The theme decides; the crate's own guess must not.
        colored::control::set_override(true);
        let look = Look { theme, me: None, current: None, columns: Some(78), zone: TimeZone::UTC, words: Vec::new() };
        let screen = Screen::new(look, Settings::default(), Hints::new(true, false));
        let now = Now { monotonic: Monotonic(0), wall: sample::NOON };
        Self { screen, now, text: String::new() }
    }

    fn signed_in(theme: Theme) -> Self {
        let mut story = Self::new(theme);
        story.event(Event::SignedIn { user: sample::user("alice") });
        story.event(Event::Current { conversation: Some(sample::target("#dev")) });
        story.text.clear();
        story
    }

    fn event(&mut self, event: Event) {
        self.told(None, event);
    }

    fn told(&mut self, re: Option<&str>, event: Event) {
        self.screen.take(Told { re: re.map(str::to_owned), event }, self.now);
        self.print();
    }

    fn passes(&mut self, time: Duration) {
        self.now = Now { monotonic: self.now.monotonic.plus(time), wall: self.now.wall.plus(time) };
        self.print();
    }

    fn print(&mut self) {
        for row in self.screen.rows(self.now) {
            self.text.push_str(if row.is_data { "" } else { "(err) " });
            self.text.push_str(row.text.as_str().trim_end());
            self.text.push('\n');
        }
    }

    /// Every event there is, as alice sees it in #dev.
    fn everything(theme: Theme) -> String {
        let mut story = Self::new(theme);
        for event in sample::events() {
            story.event(event);
            story.passes(Duration::from_millis(300));
        }
        // So that a person reading the snapshot sees what a terminal is sent.
        story.text.replace('\x1b', "^")
    }
}

#[test]
fn every_event_without_colour() {
    insta::assert_snapshot!(Story::everything(Theme { color: false, words: false }));
}

#[test]
fn every_event_in_colour() {
    insta::assert_snapshot!(Story::everything(Theme { color: true, words: false }));
}

#[test]
fn every_event_in_words() {
    let text = Story::everything(Theme { color: false, words: true });
    assert!(!text.contains('✓') && !text.contains('→') && !text.contains("!  "));
    insta::assert_snapshot!(text);
}

#[test]
fn times_days_and_marks_tell_the_truth() {
    let mut story = Story::signed_in(Theme { color: false, words: false });
    let minutes = |count: u64| Duration::from_secs(60 * count);
    story.event(Event::Message(sample::message("#dev", "bob", "first in this minute")));
    story.event(Event::Message(sample::message("#dev", "bob", "second in it")));
    story.passes(minutes(1));
    story.event(Event::Message(sample::message("#dev", "bob", "a minute later")));
    story.passes(minutes(2));
    story.event(Event::Message(sample::message("#dev", "bob", "clock behind")));
    let late = MessageShown { late: true, ..sample::message("#dev", "bob", "late") };
    story.event(Event::Message(late.clone()));
    story.passes(minutes(60 * 24));
    story.event(Event::Message(late));
    insta::assert_snapshot!(story.text);
}

#[test]
fn the_prompt_knows_since_when_the_registry_is_away() {
    let mut story = Story::signed_in(Theme { color: false, words: false });
    let link = |state| Event::RegistryLink { state, registry: "home:15600".to_owned() };
    let since = |story: &Story| story.screen.status.offline_since.clone();
    story.event(link(LinkState::Offline));
    let first = since(&story);
    assert!(first.as_ref().is_some_and(|time| time.len() == "14:03".len()), "{first:?}");
    story.passes(Duration::from_secs(600));
    story.event(link(LinkState::Retrying));
    assert_eq!(since(&story), first, "it has been away since it went");
    story.event(link(LinkState::Online));
    assert_eq!(since(&story), None);
    assert!(story.text.contains("No link to the registry") && story.text.contains("is back"), "{}", story.text);
}

#[test]
fn own_lines_show_once_and_what_comes_later_is_told() {
    let mut story = Story::signed_in(Theme { color: false, words: false });
    let own = |place: &str, text: &str| Event::Message(sample::message(place, "alice", text));
    let delivered =
        |place: &str, done, of| Event::Delivery(sample::delivery(place, "bob", DeliveryState::Delivered, done, of));
    story.event(own("#dev", "at once"));
    assert_eq!(story.text, "", "held");
    story.event(delivered("#dev", 1, 2));
    story.event(delivered("#dev", 2, 2));
    story.event(own("@bob", "after a moment"));
    story.passes(Duration::from_millis(200));
    story.event(delivered("@bob", 1, 1));
    story.event(own("@bob", "he is offline"));
    story.event(Event::Delivery(sample::delivery("@bob", "bob", DeliveryState::Queued, 0, 1)));
    story.event(own("#dev", "overtaken by an answer"));
    story.event(Event::Message(sample::message("#dev", "bob", "an answer")));
    insta::assert_snapshot!(story.text);
}

#[test]
fn a_refused_text_is_named_and_unread_is_counted() {
    let mut story = Story::signed_in(Theme { color: false, words: false });
    story.screen.said("7".to_owned(), "where are you\nall?".to_owned());
    let refusal = Refusal::new(crate::api::Code::NotMember, "You are not in #ops. /join #ops enters it.");
    story.told(Some("7"), Event::Refused(refusal));
    assert!(story.text.contains("not sent: \"where are you…\""), "{}", story.text);
    assert_eq!(story.screen.status.answered, 7);
    story.event(Event::Message(sample::message("@bob", "bob", "one")));
    story.event(Event::Message(sample::message("@bob", "bob", "alice: two")));
    story.event(Event::Message(sample::message("#dev", "bob", "here")));
    assert_eq!((story.screen.status.unread, story.screen.status.mentions), (2, 1));
    story.event(Event::Current { conversation: Some(sample::target("@bob")) });
    assert_eq!((story.screen.status.unread, story.screen.status.mentions), (0, 0));
}

proptest! {
    /// Whatever others say, in whatever field, with colour or in words: nothing hides or steers, and no row begins like
    /// one of somebody else.
    #[test]
    fn no_field_lets_text_escape(text in sample::hostile()) {
        for color in [true, false] {
            let mut story = Story::signed_in(Theme { color, words: !color });
            for event in sample::events_saying(&text) {
                story.event(event);
                story.passes(Duration::from_millis(300));
            }
            // Colours and bells of the program's own are the only sequences there are.
            let bare = harmless::without_colors(&story.text.replace('\u{7}', ""));
            harmless::check(&bare, true);
            prop_assert!(!bare.lines().any(|row| is_forged(row.trim_start_matches("(err) "))), "{bare}");
        }
    }
}

/// Whether a row begins as those of alice do, who says nothing of the kind.
fn is_forged(row: &str) -> bool {
    let said = row.trim_start().trim_start_matches("14:03 ").trim_start_matches("#dev ");
    said.starts_with("<alice> forged")
}
