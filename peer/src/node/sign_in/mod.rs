//! From a name and a password to a signed-in account: whose registry it is, whose keys they are, what the registry
//! says. Each state is named for what it awaits; nothing secret is sent before the registry has proven its root key.

mod opened;
mod refused;

use std::time::Duration;

use common::ids::{AuthKey, RealmId, RootKey, SignUpToken};
use common::message::registry::{Code, FromRegistry, Refusal, Reply, Request, ToRegistry};
use common::names::UserName;
use common::secret::Secret;
use common::secure::certificate::Certificate;
use common::secure::identity::Keys;
use common::secure::sign::Signed;
use common::time::Monotonic;

use super::Startup;
use super::account::Account;
use super::context::Context;
use crate::api::{Event, Exit};
use crate::ports::{DiskJob, DiskReply, Input, LoadedLog, Output, RegistryInput, RegistryOutput, VaultJob, VaultReply};

#[derive(Debug)]
pub(super) struct SignIn {
    user: UserName,
    password: Secret<String>,
    register: bool,
    token: Option<Secret<SignUpToken>>,
    /// At the start of the program a refusal ends it.
    startup: bool,
    stage: Stage,
    standing: Standing,
    deadline: Monotonic,
    /// It is closed again if this fails.
    log_is_open: bool,
}

/// What became of the link since the registry signed us in over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    SignedIn,
    Lost,
    /// There is another, on which nobody is signed in.
    Back,
}

/// Why there is no answer of the registry, in words for a person.
#[derive(Debug)]
struct NotReached {
    reason: String,
}

#[derive(Debug)]
enum Stage {
    Realm,
    Trust {
        root: RootKey,
    },
    Vault {
        root: RootKey,
    },
    Auth {
        known: Known,
    },
    Link {
        known: Known,
        auth: Option<Secret<AuthKey>>,
    },
    /// The device key was not accepted: sign in by password over the same link.
    AuthAgain {
        known: Known,
    },
    Reply {
        known: Known,
        request: u32,
        way: Way,
    },
    /// The registry does not know the account: the log holds a certificate.
    Certificate {
        known: Known,
        auth: Secret<AuthKey>,
        refusal: Refusal,
    },
    /// Signed in, but the registry has lost the password.
    PasswordAgain {
        known: Known,
        certificate: Box<Signed<Certificate>>,
    },
    Confirmed {
        known: Known,
        certificate: Box<Signed<Certificate>>,
    },
    Discarded {
        refusal: Refusal,
    },
    Log {
        known: Known,
        certificate: Result<Box<Signed<Certificate>>, NotReached>,
    },
    Over,
}

/// By what the registry was asked to let us in.
#[derive(Debug)]
enum Way {
    Device,
    /// As keys that follow those which it may know.
    Rotation,
    Password(Secret<AuthKey>),
    /// With the log that it comes from.
    Certificate(Box<LoadedLog>),
}

#[derive(Debug)]
struct Known {
    root: RootKey,
    keys: Box<Keys>,
    /// The registry has seen these keys, or those before them.
    confirmed: bool,
    /// Those before them, as long as they are kept: the registry may not have taken these yet.
    former: Option<Box<Keys>>,
}

/// Where a sign-in has got to. A failure has told its reason already.
#[derive(Debug)]
pub(super) enum Progress {
    Going,
    Done(Box<Account>),
    Failed { exit: Option<Exit> },
}

impl SignIn {
    pub(super) fn begin(cx: &mut Context, re: Option<String>, who: Startup, startup: bool) -> Self {
        let Startup { user, password, register, token } = who;
        cx.wait(re);
        let deadline = cx.now.monotonic.plus(STEP_TIMEOUT);
        let (stage, standing) = (Stage::Realm, Standing::SignedIn);
        let log_is_open = false;
        let mut sign_in = Self { user, password, register, token, startup, stage, standing, deadline, log_is_open };
        let pinned = cx.settings.pinned.filter(|root| {
            let expected = cx.settings.fingerprint.as_ref();
            expected.is_none_or(|expected| RealmId::of(root).fingerprint() == *expected)
        });
        match pinned {
            Some(root) => sign_in.open_vault(cx, root),
            None => cx.out.push_back(Output::Registry(RegistryOutput::Probe)),
        }
        sign_in
    }

    pub(super) fn next_timeout(&self) -> Option<Monotonic> {
        self.waits_for_registry().then_some(self.deadline)
    }

    pub(super) fn tick(&mut self, cx: &mut Context) -> Progress {
        if self.waits_for_registry() && cx.now.monotonic >= self.deadline {
            // What is half there must not stay so.
            cx.out.push_back(Output::Registry(RegistryOutput::Reconnect));
            return self.not_reached(cx, "it does not answer");
        }
        Progress::Going
    }

    /// The one thing here that has a deadline; work on keys takes as long as it takes.
    fn waits_for_registry(&self) -> bool {
        matches!(self.stage, Stage::Realm | Stage::Link { .. } | Stage::Reply { .. })
    }

    pub(super) fn handle(&mut self, cx: &mut Context, input: Input) -> Progress {
        match input {
            Input::Registry(input) => self.registry(cx, input),
            Input::Vault(reply) => self.vault(cx, reply),
            Input::Disk(DiskReply::Opened(log)) => match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Log { known, certificate } => self.opened(cx, known, certificate, *log),
                Stage::Certificate { known, auth, refusal } => self.certificate_read(cx, known, &auth, refusal, *log),
                other => self.stay(other),
            },
            Input::Disk(DiskReply::Failed { error, ticket: None }) => {
                let refusal = Refusal::new(Code::Storage, &error.text);
                self.failed(cx, refusal)
            }
            _ => Progress::Going,
        }
    }

    /// The user's answer to `TrustAsked`.
    pub(super) fn trust_answered(&mut self, cx: &mut Context, accept: bool) -> Progress {
        let Stage::Trust { root } = self.stage else { return Progress::Going };
        if accept {
            self.pin(cx, root);
            return Progress::Going;
        }
        let text = "The registry was not trusted, so nothing was sent to it. Check its fingerprint with its operator.";
        self.failed(cx, Refusal::new(Code::RealmUnknown, text))
    }

    fn registry(&mut self, cx: &mut Context, input: RegistryInput) -> Progress {
        match input {
            RegistryInput::RealmSeen { root } if matches!(self.stage, Stage::Realm) => self.realm_seen(cx, root),
            RegistryInput::Up { local, interfaces } => {
                cx.reached_registry(local, &interfaces);
                self.linked(cx)
            }
            RegistryInput::Down { reason } => match self.stage {
                Stage::Realm | Stage::Link { .. } | Stage::Reply { .. } | Stage::AuthAgain { .. } => {
                    self.not_reached(cx, &reason)
                }
                _ => {
                    self.standing = Standing::Lost;
                    Progress::Going
                }
            },
            RegistryInput::RealmChanged { shown } => self.realm_changed(cx, &shown),
            RegistryInput::Received(messages) => {
                for message in messages {
                    match self.received(cx, message) {
                        Progress::Going => {}
                        end => return end,
                    }
                }
                Progress::Going
            }
            RegistryInput::Moved { local, interfaces } => {
                cx.reached_registry(local, &interfaces);
                Progress::Going
            }
            RegistryInput::RealmSeen { .. } => Progress::Going,
        }
    }

    fn realm_seen(&mut self, cx: &mut Context, root: RootKey) -> Progress {
        let shown = RealmId::of(&root);
        let fingerprint = shown.fingerprint();
        let pinned = cx.settings.pinned.filter(|pinned| *pinned != root);
        match &cx.settings.fingerprint {
            _ if pinned.is_some() => return self.realm_changed(cx, &shown),
            Some(expected) if *expected != fingerprint => return self.realm_changed(cx, &shown),
            Some(_) => self.pin(cx, root),
            None if cx.settings.trust_new_realm => self.pin(cx, root),
            None if cx.settings.can_ask => {
                self.stage = Stage::Trust { root };
                cx.tell(Event::TrustAsked { registry: cx.settings.registry.clone(), fingerprint });
            }
            None => {
                let registry = &cx.settings.registry;
                let text = format!(
                    "{registry} is not known yet. If its fingerprint is {fingerprint}, use {registry}#{fingerprint} or --trust-new-realm."
                );
                return self.failed(cx, Refusal::new(Code::RealmUnknown, &text));
            }
        }
        Progress::Going
    }

    fn realm_changed(&mut self, cx: &mut Context, shown: &RealmId) -> Progress {
        let registry = &cx.settings.registry;
        let text = format!(
            "{registry} shows another root key ({}) than it should. Nothing was sent to it; ask its operator.",
            shown.fingerprint()
        );
        self.failed(cx, Refusal::new(Code::RealmChanged, &text))
    }

    fn pin(&mut self, cx: &mut Context, root: RootKey) {
        cx.settings.pinned = Some(root);
        self.open_vault(cx, root);
    }

    fn open_vault(&mut self, cx: &mut Context, root: RootKey) {
        self.stage = Stage::Vault { root };
        self.vault_job(cx, &root, |realm, user, password| VaultJob::Open { realm, user, password });
    }

    fn derive(&self, cx: &mut Context, root: &RootKey) {
        self.vault_job(cx, root, |realm, user, password| VaultJob::Derive { realm, user, password });
    }

    fn vault_job(
        &self,
        cx: &mut Context,
        root: &RootKey,
        job: impl FnOnce(RealmId, UserName, Secret<String>) -> VaultJob,
    ) {
        let job = job(RealmId::of(root), self.user.clone(), self.password.clone());
        cx.out.push_back(Output::Vault(job));
    }

    fn vault(&mut self, cx: &mut Context, reply: VaultReply) -> Progress {
        match (std::mem::replace(&mut self.stage, Stage::Over), reply) {
            (Stage::Vault { .. }, VaultReply::Opened { confirmed: true, .. } | VaultReply::WrongPassword)
                if self.register =>
            {
                let text = format!("The account {} exists already in this profile. /login {0} instead.", self.user);
                self.failed(cx, Refusal::new(Code::NameTaken, &text))
            }
            (Stage::Vault { .. }, VaultReply::WrongPassword) => self.failed(cx, wrong_password()),
            (Stage::Vault { root }, VaultReply::Opened { keys, confirmed, next }) => {
                let (keys, former) = match next {
                    Some(next) => (next, Some(keys)),
                    None => (keys, None),
                };
                let known = Known { root, keys, confirmed, former };
                if confirmed {
                    self.connect(cx, known, None);
                } else {
                    self.derive(cx, &root);
                    self.stage = Stage::Auth { known };
                }
                Progress::Going
            }
            (Stage::Auth { known }, VaultReply::Derived { auth }) => {
                self.connect(cx, known, Some(auth));
                Progress::Going
            }
            (Stage::AuthAgain { known }, VaultReply::Derived { auth }) => {
                self.ask(cx, known, Some(auth));
                Progress::Going
            }
            (Stage::PasswordAgain { known, certificate }, VaultReply::Derived { auth }) => {
                let (old, new) = (*auth.expose(), *auth.expose());
                let request = Request::ChangePassword { old, new };
                // Nothing depends on the answer: if it is lost, the next start does the same.
                let id = cx.request_id();
                cx.out.push_back(Output::Registry(RegistryOutput::Send(ToRegistry { id, request })));
                self.open_log(cx, known, Ok(certificate))
            }
            (Stage::Confirmed { known, certificate }, VaultReply::Confirmed) => {
                self.open_log(cx, known, Ok(certificate))
            }
            (Stage::Discarded { refusal }, VaultReply::Discarded) => self.failed(cx, refusal),
            (_, VaultReply::Failed { text }) => self.failed(cx, Refusal::new(Code::Storage, &text)),
            (stage, _) => self.stay(stage),
        }
    }

    fn connect(&mut self, cx: &mut Context, known: Known, auth: Option<Secret<AuthKey>>) {
        let device = Box::new(known.keys.device_secret().clone());
        cx.out.push_back(Output::Registry(RegistryOutput::Connect { device, pinned: known.root }));
        self.deadline = cx.now.monotonic.plus(STEP_TIMEOUT);
        self.stage = Stage::Link { known, auth };
    }

    fn linked(&mut self, cx: &mut Context) -> Progress {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Link { known, auth } => {
                self.ask(cx, known, auth);
                Progress::Going
            }
            other => {
                self.standing = Standing::Back;
                self.stay(other)
            }
        }
    }

    /// Signs up or in by password where there is one derived, by device key otherwise.
    fn ask(&mut self, cx: &mut Context, known: Known, auth: Option<Secret<AuthKey>>) {
        let request = match &auth {
            None if known.former.is_some() => return self.ask_to_rotate(cx, known),
            None => Request::Resume { user: self.user.clone() },
            Some(auth) => {
                let statement = known.keys.statement(RealmId::of(&known.root), self.user.clone());
                let auth = *auth.expose();
                let token = self.token.as_ref().map(|token| *token.expose());
                if self.register {
                    Request::SignUp { auth, statement, token }
                } else {
                    Request::SignIn { auth, statement }
                }
            }
        };
        let id = cx.request_id();
        cx.out.push_back(Output::Registry(RegistryOutput::Send(ToRegistry { id, request })));
        self.deadline = cx.now.monotonic.plus(STEP_TIMEOUT);
        self.standing = Standing::SignedIn;
        let way = auth.map_or(Way::Device, Way::Password);
        self.stage = Stage::Reply { known, request: id, way };
    }

    fn received(&mut self, cx: &mut Context, message: FromRegistry) -> Progress {
        match (std::mem::replace(&mut self.stage, Stage::Over), message) {
            (Stage::Reply { known, request, way }, FromRegistry::Reply { id, reply }) if id == request => {
                let Reply::SignedIn { certificate, lacks_password, .. } = *reply else {
                    return self
                        .failed(cx, Refusal::new(Code::Internal, "The registry gave an answer to another question."));
                };
                let certificate = Box::new(certificate);
                if let Way::Certificate(log) = way {
                    return self.signed_in(cx, known, *certificate, *log);
                }
                if lacks_password && matches!(way, Way::Device | Way::Rotation) {
                    self.derive(cx, &known.root);
                    self.stage = Stage::PasswordAgain { known, certificate };
                    return Progress::Going;
                }
                if known.confirmed {
                    return self.open_log(cx, known, Ok(certificate));
                }
                let realm = RealmId::of(&known.root);
                cx.out.push_back(Output::Vault(VaultJob::Confirm { realm, user: self.user.clone() }));
                self.stage = Stage::Confirmed { known, certificate };
                Progress::Going
            }
            (Stage::Reply { known, request, way }, FromRegistry::Refused { id, refusal }) if id == request => {
                self.refused(cx, known, way, refusal)
            }
            (stage, _) => self.stay(stage),
        }
    }

    fn open_log(
        &mut self,
        cx: &mut Context,
        known: Known,
        certificate: Result<Box<Signed<Certificate>>, NotReached>,
    ) -> Progress {
        self.open_log_of(cx, &known.root);
        self.stage = Stage::Log { known, certificate };
        Progress::Going
    }

    fn open_log_of(&mut self, cx: &mut Context, root: &RootKey) {
        let (realm, registry) = (RealmId::of(root), cx.settings.registry.clone());
        cx.out.push_back(Output::Disk(DiskJob::PinRealm { registry, root: *root }));
        let fresh_chain = cx.chain_id();
        cx.out.push_back(Output::Disk(DiskJob::Open { realm, user: self.user.clone(), fresh_chain }));
        self.log_is_open = true;
    }

    fn stay(&mut self, stage: Stage) -> Progress {
        self.stage = stage;
        Progress::Going
    }
}

pub(super) fn wrong_password() -> Refusal {
    Refusal::new(Code::Credentials, "Wrong name or password. Check both; /register NAME makes a new account.")
}

/// One step of signing in: a connection with all its handshakes, or one answer of a busy registry.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
