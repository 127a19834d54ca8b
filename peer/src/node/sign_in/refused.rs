//! What a sign-in does when it is refused, or nobody answers: the other ways in, and the end of it.

use common::ids::{AuthKey, RealmId};
use common::message::registry::{Code, Refusal, Request, ToRegistry};
use common::secret::Secret;

use super::{Known, NotReached, Progress, STEP_TIMEOUT, SignIn, Stage, Standing, Way};
use crate::api::Exit;
use crate::node::context::Context;
use crate::ports::{DiskJob, LoadedLog, Output, RegistryOutput, VaultJob};

impl SignIn {
    pub(super) fn refused(&mut self, cx: &mut Context, known: Known, way: Way, refusal: Refusal) -> Progress {
        let is_unknown = refusal.code == Code::Credentials;
        match way {
            Way::Device if is_unknown && !known.keys.rotations().is_empty() => {
                // It may know the keys before these: it has come back from an old backup.
                self.ask_to_rotate(cx, known);
                return Progress::Going;
            }
            Way::Device | Way::Rotation if is_unknown => {
                self.derive(cx, &known.root);
                self.stage = Stage::AuthAgain { known };
                return Progress::Going;
            }
            Way::Password(auth) if is_unknown && known.confirmed && !self.register => {
                // It knew these keys once. Perhaps it has come back from an old backup.
                let root = known.root;
                self.stage = Stage::Certificate { known, auth, refusal };
                self.open_log_of(cx, &root);
                return Progress::Going;
            }
            Way::Device | Way::Rotation | Way::Password(_) | Way::Certificate(_) => {}
        }
        let passes = matches!(refusal.code, Code::Busy | Code::Throttled | Code::Storage | Code::Internal);
        if known.confirmed || passes {
            // An earlier sign-up with these keys may have succeeded without our hearing of it: they are kept.
            return self.failed(cx, refusal);
        }
        let realm = RealmId::of(&known.root);
        cx.out.push_back(Output::Vault(VaultJob::Discard { realm, user: self.user.clone() }));
        self.stage = Stage::Discarded { refusal };
        Progress::Going
    }

    /// Shows that these keys follow others of the account.
    pub(super) fn ask_to_rotate(&mut self, cx: &mut Context, known: Known) {
        let request = Request::Rotate { statement: known.keys.statement(RealmId::of(&known.root), self.user.clone()) };
        let id = cx.request_id();
        cx.out.push_back(Output::Registry(RegistryOutput::Send(ToRegistry { id, request })));
        self.deadline = cx.now.monotonic.plus(STEP_TIMEOUT);
        self.standing = Standing::SignedIn;
        self.stage = Stage::Reply { known, request: id, way: Way::Rotation };
    }

    /// The log is open: a certificate in it that still holds gives the account back.
    pub(super) fn certificate_read(
        &mut self,
        cx: &mut Context,
        known: Known,
        auth: &Secret<AuthKey>,
        refusal: Refusal,
        log: LoadedLog,
    ) -> Progress {
        let mine = log.certificate.as_ref().and_then(|kept| self.me(cx, &known, kept));
        let Some((credentials, _)) = mine else { return self.failed(cx, refusal) };
        if self.standing != Standing::SignedIn {
            let kept = credentials.certificate;
            return self.signed_in(cx, known, kept, log);
        }
        let request = Request::Reclaim { credentials: Box::new(credentials), auth: Some(*auth.expose()) };
        let id = cx.request_id();
        cx.out.push_back(Output::Registry(RegistryOutput::Send(ToRegistry { id, request })));
        self.deadline = cx.now.monotonic.plus(STEP_TIMEOUT);
        self.stage = Stage::Reply { known, request: id, way: Way::Certificate(Box::new(log)) };
        Progress::Going
    }

    /// The registry is away. Whoever it has known before, and who opened their keys, goes on without it if they still
    /// have a certificate; the link goes on trying.
    pub(super) fn not_reached(&mut self, cx: &mut Context, reason: &str) -> Progress {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Link { known, auth: None } | Stage::Reply { known, way: Way::Device | Way::Rotation, .. }
                if known.confirmed =>
            {
                self.standing = Standing::Lost;
                self.open_log(cx, known, Err(NotReached { reason: reason.to_owned() }))
            }
            _ => self.unreachable(cx, reason),
        }
    }

    pub(super) fn unreachable(&mut self, cx: &mut Context, reason: &str) -> Progress {
        let registry = &cx.settings.registry;
        let text =
            format!("Can't reach the registry at {registry}: {reason}. Is it running, and is the address right?");
        self.failed(cx, Refusal::new(Code::Unreachable, &text))
    }

    pub(super) fn failed(&mut self, cx: &mut Context, refusal: Refusal) -> Progress {
        self.stage = Stage::Over;
        if std::mem::take(&mut self.log_is_open) {
            cx.out.push_back(Output::Disk(DiskJob::Close));
        }
        cx.out.push_back(Output::Registry(RegistryOutput::Disconnect));
        let exit = exit_of(refusal.code);
        cx.fail(refusal);
        Progress::Failed { exit: self.startup.then_some(exit) }
    }
}

/// The exit code of a program whose first sign-in was refused for this reason.
fn exit_of(code: Code) -> Exit {
    match code {
        Code::Unreachable | Code::RealmChanged | Code::RealmUnknown => Exit::Unreachable,
        Code::NotPermitted => Exit::NotPermitted,
        Code::Storage => Exit::Disk,
        Code::Internal => Exit::Failed,
        _ => Exit::SignInRefused,
    }
}
