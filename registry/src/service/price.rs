//! What a request costs of its session's budget: one for looking something up, more for what has to be signed, and most for
//! what the disk or others have to work for. The budget itself is the server's.

use common::message::registry::Request;

/// In units of the cheapest, which takes some thirty microseconds.
pub fn price(request: &Request) -> u32 {
    match request {
        // Everybody who shares something with them is told.
        Request::SignUp { .. }
        | Request::SignIn { .. }
        | Request::Resume { .. }
        | Request::Rotate { .. }
        | Request::SignOut => 5,
        // A commit, and news for others.
        Request::ChangePassword { .. }
        | Request::CreateRoom { .. }
        | Request::JoinRoom { .. }
        | Request::PartRoom { .. }
        | Request::AddEntry { .. }
        | Request::Invite { .. }
        | Request::Decline { .. }
        | Request::PutPrekey { .. }
        | Request::PutMail { .. }
        | Request::DropMail { .. } => 5,
        // A certificate.
        Request::Lookup { .. } | Request::Renew => 3,
        // A thousand names to be put down.
        Request::Watch { .. } => 20,
        _ => 1,
    }
}
