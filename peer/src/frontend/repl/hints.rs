//! What a person sees who does not know the program yet: the next step, once. Pure state; the screen asks it.

#[derive(Debug)]
pub(super) struct Hints {
    first_run: bool,
    /// Somebody signs in at start: no need to say how.
    signs_in: bool,
    next: Option<&'static [&'static str]>,
}

impl Hints {
    pub(super) fn new(first_run: bool, signs_in: bool) -> Self {
        Self { first_run, signs_in, next: None }
    }

    /// The program is ready.
    pub(super) fn ready(&mut self) {
        if !self.signs_in {
            self.next = Some(if self.first_run { WELCOME } else { SIGN_IN });
        }
    }

    /// Somebody signed in; told once per run.
    pub(super) fn signed_in(&mut self) {
        self.next = if self.first_run { Some(FIRST_STEPS) } else { None };
        self.first_run = false;
    }

    /// The hint to be shown now.
    pub(super) fn next(&mut self) -> Option<&'static [&'static str]> {
        self.next.take()
    }
}

const WELCOME: &[&str] = &[
    "Welcome. What people say here goes directly from one to the other, and only they can read it.",
    "  1. /register NAME makes an account (or /login NAME, if you have one)",
    "  2. /who shows who is online; @bob hello writes to bob",
    "  3. /create #room or /join #room to talk with several",
    "  /help tells more, Tab completes, /quit leaves.",
];

const SIGN_IN: &[&str] = &["Not signed in. /login NAME signs in, /register NAME makes an account, /help tells more."];

const FIRST_STEPS: &[&str] = &["Next: /who shows who is online, @bob hello writes to bob, /create #room makes a room."];
