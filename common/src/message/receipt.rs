//! Receipts: what a member of a large room signs for an author it has no link with. Anybody may hand one on; only the
//! author checks it, and believes the signature alone.

use serde::{Deserialize, Serialize};

use super::peer::Holding;
use crate::ids::{ConversationId, IdentityKey};
use crate::limits::RECEIPTS_MAX;
use crate::secure::sign::{Signable, Signed};
use crate::wire::bounded::List;

/// Signed by the event key of `member`: of the author's chain that `holding` names I have `from` to its number on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub conversation: ConversationId,
    pub member: IdentityKey,
    /// 1, but where the history open to the member begins later and its beginning is not the author's own word.
    pub from: u64,
    pub holding: Holding,
}

impl Signable for Receipt {
    const CONTEXT: &'static str = "p2p-chat receipt v1";
}

/// Receipts on their way to one author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    pub conversation: ConversationId,
    pub author: IdentityKey,
    /// How often the one that has come furthest was handed on.
    pub hops: u8,
    pub receipts: List<Signed<Receipt>, RECEIPTS_MAX>,
}
