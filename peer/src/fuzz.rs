//! What fuzzers feed of this program: typed lines, text from others on its way to a screen, and its configuration. Each
//! takes any bytes and panics if the code does, or if a promise of it does not hold. The program never calls them.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::{CommandFactory, FromArgMatches};
use common::fuzz::Choices;
use common::ids::EventId;
use common::names::UserName;
use common::time::UnixMillis;
use common::usage;

use crate::api::{Changes, Command, MessageKind, MessageShown, Target};
use crate::config::{Environment, Flags, Plan};
use crate::frontend::commands::{Line, parse};
use crate::frontend::harmless;
use crate::frontend::json::{message_lines, read_input};
use crate::frontend::sanitize::{Paint, Safe, width};
use crate::frontend::settings::{ENTRIES, Settings};
use crate::frontend::transcript;

/// One line as a person or a program types it.
pub fn fuzz_command_line(data: &[u8]) {
    let typed = String::from_utf8_lossy(data);
    let line = read_input(&typed).map_or_else(|_| typed.clone().into_owned(), |input| input.line);
    match parse(&line) {
        Ok(Line::Ask(Command::Say { text, .. })) => {
            assert!(!text.is_empty(), "nothing is said");
            let is_command = line.starts_with('/') && !line.starts_with("//");
            assert!(!is_command || text.len() < line.trim_end().len(), "a command became text");
        }
        Ok(_) => {}
        Err(refusal) => assert!(!refusal.text.as_str().is_empty(), "a refusal says why"),
    }
}

/// Where it goes, the width of a terminal, then text of others: as UTF-8, or as code points of four bytes each.
pub fn fuzz_sanitizer(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (way, columns, is_utf8) = (choices.below(4), COLUMNS_MIN + choices.below(128), choices.flag());
    let rest = choices.rest();
    let point = |bytes: &[u8; 4]| char::from_u32(u32::from_le_bytes(*bytes));
    let text = if is_utf8 {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        rest.as_chunks().0.iter().filter_map(point).collect()
    };
    match way {
        0 => on_a_screen(&text, columns),
        1 => painted(&text, columns),
        2 => in_json(&text),
        _ => in_a_transcript(&text),
    }
}

/// Rows keep to the terminal.
fn on_a_screen(text: &str, columns: usize) {
    harmless::check(Safe::message(text).as_str(), true);
    for row in Safe::message(text).rows(Some(columns), 12, 8) {
        harmless::check(row.as_str(), false);
        assert!(width(row.as_str()) <= (columns - 8).max(8), "{:?}", row.as_str());
    }
    let beginning = Safe::beginning(text, columns);
    harmless::check(beginning.as_str(), false);
    assert!(width(beginning.as_str()) <= columns);
}

/// The only sequences in a finished row are colours of the program.
fn painted(text: &str, columns: usize) {
    colored::control::set_override(true);
    let line = Safe::line(text);
    harmless::check(line.as_str(), false);
    let words = text.split_whitespace().take(2).map(|word| word.chars().take(WORD_CHARS_MAX).collect());
    let words: Vec<String> = words.collect();
    let painted = line.clone().painted(Paint::Error).with(&line.emphasised(&words));
    for row in painted.wrapped(Some(columns), &Safe::line("  | ")) {
        harmless::check_painted(row.as_str(), false);
    }
}

/// A program reads the same text, and whoever looks at the line sees nothing move.
fn in_json(text: &str) {
    let line = message_lines(None, &[message(text)]);
    let line = line.strip_suffix('\n').expect("a line");
    harmless::check(line, false);
    let value: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
    assert_eq!(value["text"], text);
}

/// Nobody begins a line of an exported text but the program.
fn in_a_transcript(text: &str) {
    let lines = transcript::lines(None, &[message(text)]);
    harmless::check(&lines, true);
    assert!(lines.lines().skip(2).all(|line| line.starts_with("      | ")), "{lines:?}");
}

fn message(text: &str) -> MessageShown {
    MessageShown {
        conversation: Target::Person(UserName::parse("bob").expect("a good name")),
        id: EventId([7; 32]),
        from: UserName::parse("bob").expect("a good name"),
        text: text.to_owned(),
        kind: MessageKind::Text,
        at: UnixMillis(1_800_000_000_000),
        own: false,
        late: false,
        changes: Changes::default(),
    }
}

/// Either arguments that end in zeros, or a configuration file, a zero, and then `--set`, name, address and registry.
pub fn fuzz_config(data: &[u8]) {
    let mut choices = Choices::new(data);
    let is_arguments = choices.flag();
    let words: Vec<&[u8]> = choices.rest().split(|byte| *byte == 0).take(WORDS_MAX).collect();
    if is_arguments {
        let arguments = words.iter().map(|word| OsStr::from_bytes(word));
        if let Err(error) = flags(std::iter::once(OsStr::new("peer")).chain(arguments)) {
            harmless::check(&usage::told(error), true);
        }
        return;
    }
    let text = |index: usize| words.get(index).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut arguments = vec!["peer".to_owned(), "--data-dir=/nowhere".to_owned()];
    arguments.extend(text(1).map(|word| format!("--set={word}")));
    arguments.extend(text(2).map(|word| format!("--user={word}")));
    arguments.extend(text(3).map(|word| format!("--listen={word}")));
    arguments.extend(text(4).into_iter().flat_map(|word| ["--".to_owned(), word]));
    let Ok(flags) = flags(arguments) else { return };
    let file = text(0).unwrap_or_default();
    match Plan::with_file(flags, &Environment::default(), Some(("peer.toml", &file))) {
        Ok(plan) => holds_together(&plan),
        Err(refusal) => assert!(!refusal.text.as_str().is_empty(), "a refusal says why"),
    }
}

/// As `Flags::parse` reads them; to describe them to clap takes longer than that, and is done once.
fn flags<I: IntoIterator<Item: Into<OsString> + Clone>>(arguments: I) -> Result<Flags, clap::Error> {
    thread_local!(static COMMAND: RefCell<clap::Command> = RefCell::new(Flags::command()));
    COMMAND.with_borrow_mut(|command| {
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        Flags::from_arg_matches_mut(&mut matches).map_err(|error| error.format(command))
    })
}

fn holds_together(plan: &Plan) {
    let port = |registry: &str| registry.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    assert!(plan.registry.as_deref().is_none_or(|registry| port(registry).is_some_and(|port| port > 0)));
    let digits = common::ids::FINGERPRINT_DIGITS;
    assert!(plan.fingerprint.as_ref().is_none_or(|fingerprint| fingerprint.len() == digits));
    let mut again = Settings::default();
    for entry in ENTRIES {
        again.set(entry.key, plan.settings.value(entry)).expect("what is shown can be set");
    }
    assert_eq!(again, plan.settings);
}

/// Below that a terminal shows no rows worth measuring.
const COLUMNS_MIN: usize = 20;

const WORDS_MAX: usize = 8;

/// As long as names are.
const WORD_CHARS_MAX: usize = 32;
