//! Who may sign in: sign-up and sign-in in two halves around the password work, and the throttle in front of it.
//! The service calls it; it knows nothing of who is online.

mod entry;
mod password;
mod reclaim;
mod rotate;
mod sign_in;
mod throttle;

pub use self::entry::SignUps;
pub(crate) use self::password::{COST_MAX, COST_MIN};
pub use self::password::{PasswordDone, PasswordJob};
pub(crate) use self::reclaim::Reclaiming;
pub use self::sign_in::{AccountLimits, Accounts, Finished, Origin};
pub(crate) use self::throttle::Source;
pub use self::throttle::ThrottleLimits;
