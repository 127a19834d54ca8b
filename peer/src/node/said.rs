//! Lines of mine between being accepted and being committed. All that are accepted before the node's outputs are
//! drained share one commit, and in each conversation one signature: the chain's hashes tie the lines of a run to it.

use std::collections::BTreeMap;

use common::ids::ConversationId;
use common::message::event::EVENT_CONTEXT;
use common::secure::sign;

use super::account::Account;
use super::context::Context;
use super::outgoing::After;
use crate::ports::Write;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Said {
    writes: Vec<Write>,
    after: Vec<After>,
    /// Runs that are not signed yet.
    runs: BTreeMap<ConversationId, Run>,
}

/// Consecutive lines of one conversation.
#[derive(Debug, Default)]
struct Run {
    /// Where its last event stands among the writes.
    last: usize,
    events: usize,
    bytes: usize,
}

impl Said {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl Account {
    /// Takes an event of mine, behind those before it, and what is written with it.
    pub(super) fn add_said(&mut self, event: Write, with: Vec<Write>, after: After) {
        let Write::Event { event: stored, .. } = &event else { unreachable!("what is said is an event") };
        let (id, bytes) = (stored.conversation, stored.wire.bytes.len() + EVENT_OVERHEAD_BYTES);
        if let Some(run) = self.said.runs.get(&id)
            && (run.events >= RUN_EVENTS_MAX || run.bytes + bytes > RUN_BYTES_MAX)
        {
            let last = run.last;
            self.sign_run(last);
            self.said.runs.remove(&id);
        }
        self.said.writes.extend(with);
        let run = self.said.runs.entry(id).or_default();
        (run.last, run.events, run.bytes) = (self.said.writes.len(), run.events + 1, run.bytes + bytes);
        self.said.writes.push(event);
        self.said.after.push(after);
    }

    /// Signs what was said, and has it committed. Nothing of it is on its way to anybody before.
    pub(super) fn keep_said(&mut self, cx: &mut Context) {
        if self.said.is_empty() {
            return;
        }
        for run in std::mem::take(&mut self.said.runs).into_values() {
            self.sign_run(run.last);
        }
        let Said { writes, after, .. } = std::mem::take(&mut self.said);
        self.commit_alone(cx, writes, after);
    }

    /// Signs the event among the writes that ends a run, there and where it is kept at hand.
    fn sign_run(&mut self, last: usize) {
        let Some(Write::Event { event, .. }) = self.said.writes.get_mut(last) else { return };
        let signature = sign::sign_bytes(EVENT_CONTEXT, &event.wire.bytes, self.keys.event_signer());
        event.wire.signature = Some(signature);
        let conversation = self.conversations.get_mut(&event.conversation);
        if let Some(log) = conversation.and_then(|conversation| conversation.own.get_mut(&event.chain)) {
            log.sign(event.number, signature);
        }
    }
}

/// Events that one signature vouches for: what is served is cut between runs, so that each fits one message, and one
/// piece of mail.
const RUN_EVENTS_MAX: usize = 64;
const RUN_BYTES_MAX: usize = 32 * 1024;
/// Signature and field names around an event's bytes.
const EVENT_OVERHEAD_BYTES: usize = 96;

const _: () = assert!(RUN_EVENTS_MAX <= common::limits::EVENTS_PER_MESSAGE_MAX);
const _: () = assert!(RUN_BYTES_MAX <= common::limits::MAIL_EVENTS_BYTES_MAX);
const _: () = assert!(RUN_BYTES_MAX <= common::limits::EVENTS_BYTES_MAX);
