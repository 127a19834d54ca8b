//! The rows of the table about keys: comparing them, and deciding about one that changed.

use common::secure::safety::{DIGITS, parse_digits};

use super::Group::{Account, People};
use super::{Arguments, Line, Row, Slot};
use crate::api::{Code, Command, Refusal};

pub(super) const VERIFY: Row = Row {
    name: "verify",
    aliases: &[],
    arguments: "NAME [DIGITS]",
    group: People,
    slots: &[Slot::Person, Slot::Text],
    summary: "compare keys with somebody: the digits both of you see",
    details: "Without DIGITS it shows twelve groups of five. Let the other read theirs to you, on the phone or face to \
              face; with what you hear as DIGITS, spaces or not, it compares and marks the person verified.",
    examples: &["/verify bob"],
    see_also: &["whois", "fingerprint", "accept-key"],
    build: verify,
};

pub(super) const ROTATE: Row = Row {
    name: "rotate",
    aliases: &[],
    arguments: "[--yes]",
    group: Account,
    slots: &[Slot::Option("--yes")],
    summary: "get a new key, signed by the one you have",
    details: "For when somebody may have seen your files. Others are told of it and go on talking with you; whoever had \
              compared your key is asked to compare the new one. The old key is destroyed here, and does no good any \
              more to whoever has it, unless they were faster. An account has six keys at most. At the prompt the \
              word is typed again; --yes needs no second word.",
    examples: &["/rotate", "/rotate --yes"],
    see_also: &["fingerprint", "verify", "passwd"],
    build: |arguments| Ok(Line::Rotate { yes: arguments.option("--yes") }),
};

pub(super) const ACCEPT_KEY: Row = Row {
    name: "accept-key",
    aliases: &[],
    arguments: "NAME [--yes]",
    group: People,
    slots: &[Slot::Person, Slot::Option("--yes")],
    summary: "believe that a changed key is really theirs",
    details: "Ask the person first, in another way than this: whoever has the new key is believed to be them from now \
              on, hears what still waits for them, and is shown with what was held. At the prompt the name is typed \
              again; --yes needs no second word.",
    examples: &["/accept-key bob", "/accept-key bob --yes"],
    see_also: &["reject-key", "verify", "whois"],
    build: |arguments| {
        let before = arguments.option("--yes");
        let user = arguments.person()?;
        Ok(Line::AcceptKey { user, yes: before || arguments.option("--yes") })
    },
};

pub(super) const REJECT_KEY: Row = Row {
    name: "reject-key",
    aliases: &[],
    arguments: "NAME",
    group: People,
    slots: &[Slot::Person],
    summary: "keep the key from before, and drop what came with the other",
    details: "You are warned again whenever another key is shown under that name.",
    examples: &["/reject-key bob"],
    see_also: &["accept-key"],
    build: |arguments| Ok(Line::Ask(Command::RejectKey { user: arguments.person()? })),
};

fn verify(arguments: &mut Arguments<'_>) -> Result<Line, Refusal> {
    let user = arguments.person()?;
    let digits = match arguments.text_if_any() {
        None => None,
        Some(text) => Some(parse_digits(&text).ok_or_else(|| {
            let text = format!("A safety number has {DIGITS} digits, with or without spaces. Nobody was marked.");
            Refusal::new(Code::Usage, &text)
        })?),
    };
    Ok(Line::Ask(Command::Verify { user, digits }))
}
