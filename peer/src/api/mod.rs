//! The border between front-ends and the engine: plain data, `Command` in, `Event` out. A front-end knows nothing
//! else of the program; a new face costs one folder under `frontend`.

mod change;
mod command;
mod event;
mod trace;
mod written;

use std::fmt;

use common::names::{BadName, RoomName, UserName};

pub use change::{Act, ChangeShown, Changes};
pub use command::{Asked, Command, Export, NewRoom, Reference, Search, Since, To, Typeset};
pub use common::message::registry::{Code, Refusal};
pub use common::message::room::History;
pub use event::{
    Around, BanShown, CaughtUp, Delivery, DeliveryState, Event, Exit, FoundShown, InvitationShown, LinkState,
    MemberShown, MessageKind, MessageShown, PersonShown, RoomChange, RoomShown, Told, UnreadMark,
};
pub use trace::{StepShown, StepState, TraceShown, Tried, Via, WhyShown, WhyState};
pub use written::Written;

/// A conversation as its user sees it: `@bob` or `#dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Person(UserName),
    Room(RoomName),
}

impl Target {
    /// Reads `#room`, `@name` or `name`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.starts_with('#') {
            return RoomName::parse(text).map(Self::Room);
        }
        UserName::parse(text.strip_prefix('@').unwrap_or(text)).map(Self::Person)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "@{name}"),
            Self::Room(name) => write!(f, "{name}"),
        }
    }
}
