//! What the owner of a room decided, as one line for those in it.

use common::names::UserName;

use crate::api::RoomChange;
use crate::frontend::repl::theme::Symbol;

/// `own`: it is about the reader, whom `who` names then as `you`.
pub(super) fn decided(change: RoomChange, own: bool, who: &str, by: &UserName, reason: &str) -> (Symbol, String) {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let was = if own { "were" } else { "was" };
    match change {
        RoomChange::Kicked => (Symbol::Parted, format!("{who} {was} removed by {by}{because}")),
        RoomChange::Banned => (Symbol::Parted, format!("{who} {was} banned by {by}{because}")),
        RoomChange::Unbanned => (Symbol::Notice, format!("{by} lifted the ban on {who}")),
        RoomChange::Owner if own => (Symbol::Notice, format!("{by} gave you the room: you decide here now")),
        RoomChange::Owner => (Symbol::Notice, format!("{by} gave the room to {who}")),
        RoomChange::Closed => (Symbol::Parted, format!("{by} closed the room{because}")),
        RoomChange::Created | RoomChange::Joined | RoomChange::Parted | RoomChange::Topic => {
            (Symbol::Notice, format!("{who} changed the room"))
        }
    }
}
