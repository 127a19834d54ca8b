//! Everything a peer decides, without a socket, file, thread, clock, terminal or randomness of its own. The engine (or
//! the simulator) calls `handle` with what happened, drains `poll_output`, and calls again at `next_timeout`.

mod account;
mod arrivals;
mod calls;
mod changes;
mod commands;
mod conduct;
mod context;
mod conversation;
mod deeds;
mod dials;
mod early;
mod entries;
mod export;
mod footprint;
mod forks;
mod heartbeat;
mod held;
mod holdings;
mod inquiries;
mod invitations;
mod keys;
mod lazy;
mod links;
mod loading;
mod look_alikes;
mod mail;
mod members;
mod moderation;
mod outgoing;
mod overlay;
mod people;
mod presenting;
mod reads;
mod receive;
mod references;
mod registry;
mod repair;
mod replies;
mod restored;
mod rooms;
mod rotating;
mod said;
mod search;
mod sign_in;
mod strangers;
mod surviving;
mod sync;
mod trace;
mod unread;
mod whereabouts;
mod why;
mod writing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{RootKey, SignUpToken};
use common::message::registry::{Code, Refusal};
use common::names::UserName;
use common::secret::Secret;
use common::time::{Monotonic, Now};

use crate::api::{Asked, Command, Event, Exit, LinkState};
use crate::ports::{DiskReply, Input, LinkInput, LinkOutput, Output, RegistryInput, RegistryOutput};

pub use footprint::Footprint;

use account::Account;
use context::Context;
use heartbeat::Heartbeat;
use sign_in::SignIn;

/// What a node is told about its surroundings once.
#[derive(Debug)]
pub struct NodeConfig {
    /// `HOST:PORT` of the registry, as the user gave it.
    pub registry: String,
    /// The fingerprint the user gave with it.
    pub fingerprint: Option<String>,
    /// The root key this registry showed before.
    pub pinned: Option<RootKey>,
    /// Trusts a registry never seen before.
    pub trust_new_realm: bool,
    /// There is a person who can be asked whether to trust it.
    pub can_ask: bool,
    /// Where this peer listens.
    pub listen: SocketAddr,
    pub startup: Option<Startup>,
    /// From the operating system's generator; everything random in a node comes from it.
    pub seed: Secret<[u8; 32]>,
}

/// Whom to sign in. At the start of the program: if that is refused, the program ends.
#[derive(Debug)]
pub struct Startup {
    pub user: UserName,
    pub password: Secret<String>,
    pub register: bool,
    /// The operator's leave to register.
    pub token: Option<Secret<SignUpToken>>,
}

/// One peer.
#[derive(Debug)]
pub struct Node {
    cx: Context,
    heartbeat: Heartbeat,
    session: Session,
    /// Commands taken and not begun: they run one after the other.
    queue: VecDeque<Asked>,
    quitting: Option<Quitting>,
    /// A sign-out lets what was asked before it be answered, until then.
    log_out_until: Option<Monotonic>,
}

#[derive(Debug)]
enum Session {
    SignedOut,
    SigningIn(Box<SignIn>),
    SignedIn(Box<Account>),
    /// The log is being closed; after that nobody is signed in.
    Closing,
}

#[derive(Debug)]
struct Quitting {
    /// Acknowledgements are waited for until then.
    patience: Monotonic,
    /// The disk is waited for until then.
    disk_patience: Monotonic,
    exit: Exit,
    /// The log is being closed; nothing else happens any more.
    closing: bool,
}

impl Node {
    pub fn new(now: Now, config: NodeConfig) -> Self {
        let NodeConfig { registry, fingerprint, pinned, trust_new_realm, can_ask, listen, startup, seed } = config;
        let settings = context::Settings { registry, fingerprint, pinned, trust_new_realm, can_ask, listen };
        let mut node = Self {
            cx: Context::new(now, settings, seed),
            heartbeat: Heartbeat::new(now),
            session: Session::SignedOut,
            queue: VecDeque::new(),
            quitting: None,
            log_out_until: None,
        };
        node.cx.tell(Event::Ready { listen });
        if let Some(who) = startup {
            node.cx.wait(None);
            let sign_in = SignIn::begin(&mut node.cx, None, who, true);
            node.session = Session::SigningIn(Box::new(sign_in));
        }
        node
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.cx.now = now;
        if self.heartbeat.beat(now)
            && let Session::SignedIn(account) = &mut self.session
        {
            account.woken(&mut self.cx);
        }
        match input {
            Input::Command(asked) => self.command(asked),
            Input::Tick => self.tick(),
            Input::Written { events } => self.cx.written = events,
            Input::OutputLost => self.cx.output_lost = true,
            Input::Disk(DiskReply::Closed) => self.log_closed(),
            other => self.pass_on(other),
        }
        self.next_commands();
        self.advance_log_out();
        self.advance_quit();
    }

    /// The next thing to be done, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.cx.out.is_empty()
            && let Session::SignedIn(account) = &mut self.session
        {
            account.flush(&mut self.cx);
        }
        self.cx.out.pop_front()
    }

    /// When `handle` wants to be called with `Input::Tick` at the latest.
    pub fn next_timeout(&self) -> Option<Monotonic> {
        let session = match &self.session {
            Session::SignedIn(account) => {
                let beat = self.heartbeat.next();
                Some(account.next_timeout().map_or(beat, |at| at.min(beat)))
            }
            Session::SigningIn(sign_in) => sign_in.next_timeout(),
            Session::SignedOut | Session::Closing => None,
        };
        let quit = self.quitting.as_ref().filter(|quitting| !quitting.closing).map(|quitting| {
            let patience = quitting.patience;
            if self.cx.now.monotonic < patience { patience } else { quitting.disk_patience }
        });
        session.into_iter().chain(quit).chain(self.log_out_until).min()
    }

    /// Whether further commands should be handed over yet; the front-end's queue holds them until then.
    pub fn wants_commands(&self) -> bool {
        self.queue.len() < QUEUED_COMMANDS_MAX
    }

    fn command(&mut self, asked: Asked) {
        match asked.command {
            Command::Quit { patience_ms: 0 } => self.quit(Duration::ZERO, Exit::Done),
            Command::TrustRealm { accept } => {
                if let Session::SigningIn(sign_in) = &mut self.session {
                    let end = sign_in.trust_answered(&mut self.cx, accept);
                    self.sign_in_went(end);
                }
            }
            _ => self.queue.push_back(asked),
        }
    }

    fn next_commands(&mut self) {
        while !self.cx.is_waiting() && self.quitting.is_none() && !self.is_coming_back() {
            let Some(asked) = self.queue.pop_front() else { return };
            self.begin(asked);
        }
    }

    /// What is typed into a machine that just woke should not fail for the second that its connection takes.
    fn is_coming_back(&self) -> bool {
        matches!(&self.session, Session::SignedIn(account) if account.registry.is_coming_back())
    }

    fn begin(&mut self, Asked { re, command }: Asked) {
        match command {
            Command::Quit { patience_ms } => self.quit(Duration::from_millis(patience_ms.into()), Exit::Done),
            Command::Register { user, password, token } => {
                self.sign_in(re, Startup { user, password, register: true, token });
            }
            Command::LogIn { user, password } => {
                self.sign_in(re, Startup { user, password, register: false, token: None });
            }
            Command::WhoAmI => {
                let (user, away) = match &self.session {
                    Session::SignedIn(account) => (Some(account.user.clone()), account.away.clone()),
                    _ => (None, None),
                };
                let registry = self.cx.settings.registry.clone();
                let listen = self.cx.settings.listen;
                self.cx.answer(re, Event::Myself { user, registry, listen, away });
            }
            Command::LogOut if matches!(self.session, Session::SignedIn(_)) => {
                self.cx.wait(re);
                self.log_out_until = Some(self.cx.now.monotonic.plus(DISK_PATIENCE));
            }
            command => match &mut self.session {
                Session::SignedIn(account) => account.command(&mut self.cx, re, command),
                _ => self.cx.refuse(re, Refusal::new(Code::NotSignedIn, "You are not signed in. /login NAME first.")),
            },
        }
    }

    fn sign_in(&mut self, re: Option<String>, who: Startup) {
        if let Session::SignedIn(account) = &self.session {
            let text = format!("You are signed in as {}. /logout first.", account.user);
            return self.cx.refuse(re, Refusal::new(Code::AlreadySignedIn, &text));
        }
        self.cx.wait(re.clone());
        let sign_in = SignIn::begin(&mut self.cx, re, who, false);
        self.session = Session::SigningIn(Box::new(sign_in));
    }

    fn pass_on(&mut self, input: Input) {
        match &mut self.session {
            Session::SigningIn(sign_in) => {
                let end = sign_in.handle(&mut self.cx, input);
                self.sign_in_went(end);
            }
            Session::SignedIn(account) => {
                let replaced = account.handle(&mut self.cx, input);
                if let Err(account::Replaced) = replaced {
                    if self.cx.is_waiting() {
                        let text = "This account was signed in again elsewhere meanwhile.";
                        self.cx.fail(Refusal::new(Code::NotSignedIn, text));
                    }
                    self.cx.wait(None);
                    self.close_session();
                }
            }
            Session::SignedOut | Session::Closing => {
                // Too late: it was begun as somebody who has signed out since.
                match input {
                    Input::Registry(RegistryInput::Up { .. }) => {
                        self.cx.out.push_back(Output::Registry(RegistryOutput::Disconnect));
                    }
                    Input::Link(LinkInput::Up { link, .. }) => {
                        self.cx.out.push_back(Output::Link(LinkOutput::Close { link }));
                    }
                    _ => {}
                }
            }
        }
    }

    fn sign_in_went(&mut self, end: sign_in::Progress) {
        match end {
            sign_in::Progress::Going => {}
            sign_in::Progress::Done(account) => self.session = Session::SignedIn(account),
            sign_in::Progress::Failed { exit: Some(exit) } => {
                self.session = Session::SignedOut;
                self.quit(Duration::ZERO, exit);
            }
            sign_in::Progress::Failed { exit: None } => self.session = Session::SignedOut,
        }
    }

    fn tick(&mut self) {
        match &mut self.session {
            Session::SignedIn(account) => account.tick(&mut self.cx),
            Session::SigningIn(sign_in) => {
                let end = sign_in.tick(&mut self.cx);
                self.sign_in_went(end);
            }
            Session::SignedOut | Session::Closing => {}
        }
    }

    fn advance_log_out(&mut self) {
        let Some(until) = self.log_out_until else { return };
        let waits = match &mut self.session {
            Session::SignedIn(account) => {
                let mails = account.hurry_mail(&mut self.cx);
                (mails || account.has_unanswered()) && self.cx.now.monotonic < until
            }
            _ => false,
        };
        if !waits {
            self.log_out_until = None;
            self.close_session();
        }
    }

    fn close_session(&mut self) {
        if let Session::SignedIn(account) = &mut self.session {
            account.close(&mut self.cx);
            self.cx.leaving = Some(account.user.clone());
            let registry = self.cx.settings.registry.clone();
            self.cx.tell(Event::RegistryLink { state: LinkState::Offline, registry });
            self.session = Session::Closing;
        }
    }

    fn log_closed(&mut self) {
        if matches!(self.session, Session::Closing) {
            self.session = Session::SignedOut;
        }
        if let Some(user) = self.cx.leaving.take() {
            self.cx.finish(Event::SignedOut { user });
        }
        if let Some(Quitting { closing: true, exit, .. }) = self.quitting {
            self.end(exit);
        }
    }

    fn quit(&mut self, patience: Duration, exit: Exit) {
        let patience = self.cx.now.monotonic.plus(patience);
        let disk_patience = patience.plus(DISK_PATIENCE);
        let fresh = Quitting { patience, disk_patience, exit, closing: false };
        let quitting = self.quitting.get_or_insert(fresh);
        quitting.patience = quitting.patience.min(patience);
        quitting.disk_patience = quitting.disk_patience.min(disk_patience);
    }

    fn advance_quit(&mut self) {
        let Some(quitting) = &mut self.quitting else { return };
        if quitting.closing {
            return;
        }
        let now = self.cx.now.monotonic;
        if let Session::SignedIn(account) = &mut self.session {
            account.secure(&mut self.cx);
            let unsaved = account.has_unsaved() && now < quitting.disk_patience;
            let mails = now < quitting.patience && account.hurry_mail(&mut self.cx);
            if unsaved || mails || account.awaits_acknowledgement() && now < quitting.patience {
                return;
            }
        }
        quitting.closing = true;
        let exit = quitting.exit;
        match &mut self.session {
            Session::SignedIn(account) => {
                let unsaved = account.has_unsaved();
                account.close(&mut self.cx);
                if unsaved && exit == Exit::Done {
                    quitting.exit = Exit::Disk;
                }
                self.session = Session::Closing;
            }
            Session::Closing => {}
            Session::SigningIn(_) | Session::SignedOut => self.end(exit),
        }
    }

    fn end(&mut self, exit: Exit) {
        let reason = match exit {
            Exit::Done => "quit",
            Exit::SignInRefused => "sign-in refused",
            Exit::Unreachable => "registry not reached",
            Exit::NotPermitted => "not permitted",
            Exit::Disk => "the disk failed",
            _ => "failed",
        };
        self.cx.tell(Event::Bye { reason: reason.to_owned(), exit });
        self.cx.out.push_back(Output::End);
    }
}

/// Commands held here before the front-end has to wait: pasted lines, mostly.
const QUEUED_COMMANDS_MAX: usize = 256;
/// What was accepted gets this long to reach a slow disk before the program gives up on it.
const DISK_PATIENCE: Duration = Duration::from_secs(2);
