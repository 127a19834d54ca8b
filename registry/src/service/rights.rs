//! What each request needs of the session it comes on: one row per request, so that a new request cannot be
//! forgotten here.

use common::message::registry::{Code, Request};

use crate::directory::online::Caller;
use crate::refusal::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// Nobody signed in yet on this session.
    Stranger,
    /// Somebody signed in.
    User,
}

/// Refuses what this session may not ask now.
pub(super) fn check(request: &Request, caller: &Caller) -> Result<(), Failure> {
    match (need(request), caller.user.is_some()) {
        (Need::Stranger, true) => Err(Failure::new(Code::AlreadySignedIn, ALREADY)),
        (Need::User, false) => Err(not_signed_in()),
        _ => Ok(()),
    }
}

pub(super) fn not_signed_in() -> Failure {
    Failure::new(Code::NotSignedIn, "You are not signed in. Use /login NAME, or /register NAME for a new account.")
}

fn need(request: &Request) -> Need {
    match request {
        Request::Ping => Need::Nothing,
        Request::SignUp { .. } => Need::Stranger,
        Request::SignIn { .. } => Need::Stranger,
        Request::Resume { .. } => Need::Stranger,
        Request::Rotate { .. } => Need::Stranger,
        Request::Reclaim { .. } => Need::Stranger,
        Request::SignOut => Need::User,
        Request::ChangePassword { .. } => Need::User,
        Request::Renew => Need::User,
        Request::Announce { .. } => Need::User,
        Request::Watch { .. } => Need::User,
        Request::Who { .. } => Need::User,
        Request::Lookup { .. } => Need::User,
        Request::CreateRoom { .. } => Need::User,
        Request::Rooms { .. } => Need::User,
        Request::FindRoom { .. } => Need::User,
        Request::JoinRoom { .. } => Need::User,
        Request::PartRoom { .. } => Need::User,
        Request::Members { .. } => Need::User,
        Request::Memberships { .. } => Need::User,
        Request::Log { .. } => Need::User,
        Request::AddEntry { .. } => Need::User,
        Request::Invite { .. } => Need::User,
        Request::Invites => Need::User,
        Request::Decline { .. } => Need::User,
        Request::PutPrekey { .. } => Need::User,
        Request::PutMail { .. } => Need::User,
        Request::Mail { .. } => Need::User,
        Request::DropMail { .. } => Need::User,
    }
}

const ALREADY: &str = "You are signed in already. Use /logout first.";
