//! The prompt as text: where plain lines go, what is unread, who one is. A pure function of [`Status`].

use std::sync::Arc;

use common::names::{RoomName, UserName};

use crate::api::Target;
use crate::frontend::sanitize::width;

/// What the editor needs to know, sent whole by the printer whenever it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) me: Option<UserName>,
    pub(super) current: Option<Target>,
    /// In conversations other than the current one.
    pub(super) unread: u32,
    pub(super) mentions: u32,
    /// The time of day at which the registry went away; `None` while it is there.
    pub(super) offline_since: Option<String>,
    /// The next line answers whether a new registry is trusted: questions are numbered, 0 is none.
    pub(super) question: u64,
    /// The number of the newest command that was answered.
    pub(super) answered: u64,
    pub(super) people: Arc<Vec<UserName>>,
    pub(super) rooms: Arc<Vec<RoomName>>,
}

impl Status {
    /// The prompt, at most a third of `columns` wide.
    pub(super) fn prompt(&self, columns: usize) -> String {
        let fits = |prompt: &String| width(prompt) <= columns / 3;
        match &self.me {
            Some(me) => self.candidates(me).into_iter().find(fits).unwrap_or_else(|| "> ".to_owned()),
            None => self.without_user().to_owned(),
        }
    }

    /// What takes the place of `drawn` while somebody types: exactly as wide, or the cursor would be elsewhere than the
    /// editor has it. Counts and the registry's absence come with the next line where there is no room for them.
    pub(super) fn in_place_of(&self, drawn: &str) -> String {
        let columns = width(drawn);
        let mut candidates = vec![self.without_user().to_owned()];
        if let Some(me) = &self.me {
            candidates = self.candidates(me).to_vec();
            // Rather since when the registry is away than the name; rather the name than how much is unread.
            let place = if self.offline_since.is_some() { 4 } else { 3 };
            candidates.insert(place, format!("[{}] {me}> ", self.place()));
        }
        let fitting = candidates.into_iter().find(|candidate| width(candidate) <= columns);
        fitting.map_or_else(|| drawn.to_owned(), |prompt| format!("{prompt}{}", " ".repeat(columns - width(&prompt))))
    }

    fn without_user(&self) -> &'static str {
        if self.question > 0 { "[trust? yes/no]> " } else { "[not signed in]> " }
    }

    fn place(&self) -> String {
        self.current.as_ref().map_or_else(|| "no room".to_owned(), Target::to_string)
    }

    /// Ever shorter.
    fn candidates(&self, me: &UserName) -> [String; 5] {
        let (place, counts) = (self.place(), self.counts());
        let brief = match (self.unread, self.mentions) {
            (0, _) => String::new(),
            (unread, mentions) => format!(" {unread}{}", if mentions > 0 { "!" } else { "" }),
        };
        let [offline, off] = match &self.offline_since {
            Some(since) => [format!(" · offline since {since}"), format!(" · off {since}")],
            None => [String::new(), String::new()],
        };
        [
            format!("[{place}{counts}{offline}] {me}> "),
            format!("[{place}{brief}{offline}] {me}> "),
            format!("[{place}{brief}{off}] {me}> "),
            format!("[{place}{off}]> "),
            format!("[{place}]> "),
        ]
    }

    fn counts(&self) -> String {
        match (self.unread, self.mentions) {
            (0, _) => String::new(),
            (unread, 0) => format!(" {unread} unread"),
            (unread, 1) => format!(" {unread} unread, 1 mention"),
            (unread, mentions) => format!(" {unread} unread, {mentions} mentions"),
        }
    }
}

/// Rows that `prompt` and `line` take on a terminal, counted as the editor counts them.
pub(super) fn rows(prompt: &str, line: &str, columns: usize) -> usize {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;
    let (mut row, mut column) = (1, 0);
    for grapheme in prompt.graphemes(true).chain(line.graphemes(true)) {
        if grapheme == "\n" {
            (row, column) = (row + 1, 0);
            continue;
        }
        column += grapheme.width();
        if column > columns {
            (row, column) = (row + 1, grapheme.width());
        }
    }
    if column == columns { row + 1 } else { row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::sample::{target, user};

    #[test]
    fn prompts_say_where_one_is_and_keep_to_a_third() {
        let mut status = Status::default();
        assert_eq!(status.prompt(80), "[not signed in]> ");
        status.question = 1;
        assert_eq!(width(&status.prompt(80)), width("[not signed in]> "));
        status.me = Some(user("alice"));
        assert_eq!(status.prompt(80), "[no room] alice> ");
        status.current = Some(target("#dev"));
        assert_eq!(status.prompt(80), "[#dev] alice> ");
        (status.unread, status.mentions) = (3, 1);
        assert_eq!(status.prompt(120), "[#dev 3 unread, 1 mention] alice> ");
        assert_eq!(status.prompt(80), "[#dev 3!] alice> ");
        assert_eq!(status.prompt(30), "[#dev]> ");
        assert_eq!(status.prompt(10), "> ");
    }

    #[test]
    fn a_prompt_takes_the_place_of_another_where_it_fits() {
        let signed_out = Status::default().prompt(80);
        let mut status = Status { me: Some(user("bob")), ..Status::default() };
        assert_eq!(status.in_place_of(&signed_out), "[no room] bob>   ");
        let drawn = status.prompt(80);
        status.unread = 1;
        assert_eq!(status.in_place_of(&signed_out), "[no room 1] bob> ");
        assert_eq!(status.in_place_of(&drawn), drawn, "rather the name than a number");
        (status.unread, status.offline_since) = (0, Some("14:03".to_owned()));
        assert_eq!(status.in_place_of(&drawn), drawn);
        for columns in [30, 60, 80, 120] {
            assert_eq!(status.in_place_of(&status.prompt(columns)), status.prompt(columns));
        }
        status.me = Some(user("bartholomew"));
        assert_eq!(status.in_place_of(&signed_out), "[no room]>       ");
        assert_eq!(status.in_place_of("> "), "> ");
    }

    #[test]
    fn prompts_say_since_when_the_registry_is_away() {
        let (me, current) = (Some(user("alice")), Some(target("#dev")));
        let mut status = Status { me, current, offline_since: Some("14:03".to_owned()), ..Status::default() };
        assert_eq!(status.prompt(120), "[#dev · offline since 14:03] alice> ");
        assert_eq!(status.prompt(80), "[#dev · off 14:03] alice> ");
        assert_eq!(status.prompt(60), "[#dev · off 14:03]> ");
        assert_eq!(status.prompt(40), "[#dev]> ");
        (status.unread, status.mentions) = (3, 1);
        assert_eq!(status.prompt(200), "[#dev 3 unread, 1 mention · offline since 14:03] alice> ");
        assert_eq!(status.prompt(120), "[#dev 3! · offline since 14:03] alice> ");
        assert_eq!(status.prompt(90), "[#dev 3! · off 14:03] alice> ");
    }

    #[test]
    fn rows_are_counted_as_the_terminal_shows_them() {
        assert_eq!(rows("> ", "", 10), 1);
        assert_eq!(rows("> ", "1234567", 10), 1);
        assert_eq!(rows("> ", "12345678", 10), 2, "a full row moves the cursor to the next");
        assert_eq!(rows("> ", "123456789", 10), 2);
        assert_eq!(rows("> ", "a\nb\nc", 10), 3);
        assert_eq!(rows("> ", "1234567漢", 10), 2);
    }
}
