//! The end of a sign-in: the log is open, and it is clear with which keys and which certificate it goes on.

use common::ids::RealmId;
use common::message::registry::{Code, Refusal};
use common::secure::certificate::{self, Certificate, Credentials, Person};
use common::secure::sign::Signed;

use super::{Known, NotReached, Progress, SignIn, Standing};
use crate::api::{Event, LinkState};
use crate::node::account::{Account, Beginning};
use crate::node::context::Context;
use crate::node::rotating::Rotating;
use crate::ports::LoadedLog;

impl SignIn {
    /// The log is open: with the certificate of the registry, or with the one that it holds. That one also says which of
    /// two sets of keys the registry was last heard to know.
    pub(super) fn opened(
        &mut self,
        cx: &mut Context,
        known: Known,
        certificate: Result<Box<Signed<Certificate>>, NotReached>,
        mut log: LoadedLog,
    ) -> Progress {
        let NotReached { reason } = match certificate {
            Ok(certificate) => return self.signed_in(cx, known, *certificate, log),
            Err(not_reached) => not_reached,
        };
        let Some(kept) = log.certificate.take() else { return self.unreachable(cx, &reason) };
        log.certificate = Some(kept.clone());
        if self.me(cx, &known, &kept).is_some() {
            return self.signed_in(cx, known, *kept, log);
        }
        let Known { root, keys: next, confirmed, former } = known;
        let Some(keys) = former else { return self.unreachable(cx, &reason) };
        let known = Known { root, keys, confirmed, former: None };
        if self.me(cx, &known, &kept).is_none() {
            return self.unreachable(cx, &reason);
        }
        self.begin_as(cx, known, *kept, log, Rotating::Sealed { keys: next, is_asked: false })
    }

    /// Who this certificate says that I am, if it holds and is about these keys.
    pub(super) fn me(
        &self,
        cx: &Context,
        known: &Known,
        certificate: &Signed<Certificate>,
    ) -> Option<(Credentials, Person)> {
        let Known { root, keys, .. } = known;
        let statement = keys.statement(RealmId::of(root), self.user.clone());
        let credentials = Credentials { statement, certificate: certificate.clone() };
        let me = certificate::verify(&credentials, root, cx.now.wall).ok()?;
        (me.identity == keys.identity() && me.device == keys.device()).then_some((credentials, me))
    }

    pub(super) fn signed_in(
        &mut self,
        cx: &mut Context,
        known: Known,
        certificate: Signed<Certificate>,
        log: LoadedLog,
    ) -> Progress {
        let rotating = match &known.former {
            // The registry has taken them.
            Some(_) => {
                let is_signed_in = self.standing == Standing::SignedIn;
                Rotating::Taken { is_signed_in, is_asked: false, linked: Vec::new() }
            }
            None => Rotating::No,
        };
        self.begin_as(cx, known, certificate, log, rotating)
    }

    fn begin_as(
        &mut self,
        cx: &mut Context,
        known: Known,
        certificate: Signed<Certificate>,
        log: LoadedLog,
        rotating: Rotating,
    ) -> Progress {
        let Some((credentials, me)) = self.me(cx, &known, &certificate) else {
            let text = "The registry's certificate for this account does not hold. Is this machine's clock right?";
            return self.failed(cx, Refusal::new(Code::Internal, text));
        };
        let Known { root, keys, .. } = known;
        if self.register {
            let mark = cx.mark();
            cx.answer(mark, Event::Registered { user: self.user.clone() });
        }
        let registry = cx.settings.registry.clone();
        let standing = self.standing;
        let state = if standing == Standing::SignedIn { LinkState::Online } else { LinkState::Offline };
        cx.tell(Event::RegistryLink { state, registry });
        cx.finish(Event::SignedIn { user: self.user.clone() });
        let (user, expires) = (self.user.clone(), me.expires);
        let beginning = Beginning { root, user, keys: *keys, credentials, expires, standing, rotating };
        Progress::Done(Box::new(Account::begin(cx, beginning, log)))
    }
}
