//! What is asked of the disk: who waits for each answer, and what becomes of a question that could not be answered.

use common::ids::{ChainId, ConversationId, IdentityKey};
use common::message::peer::{Holding, Want};
use common::message::registry::{Code, Refusal};

use super::account::Account;
use super::context::Context;
use super::deeds::Heard;
use super::forks::Branch;
use super::inquiries::Asking;
use super::mail::MailReading;
use super::references::Errand;
use super::sync::Reading;
use crate::ports::{DiskError, DiskReply, LinkId, StoredEvent};

/// Why something is read.
#[derive(Debug)]
pub(super) enum Read {
    Chain(Reading),
    History {
        conversation: ConversationId,
    },
    /// For somebody's mailbox.
    Mail(MailReading),
    /// What I gave where somebody's mail or receipt says that they hold something.
    Far {
        conversation: ConversationId,
        identity: IdentityKey,
        holding: Holding,
    },
    /// For somebody who lacks it.
    Wanted {
        link: LinkId,
        want: Want,
    },
    /// Of a chain of mine that is given up.
    SayAgain {
        conversation: ConversationId,
        chain: ChainId,
    },
    /// What is here of a chain where another holds something.
    Compare {
        link: LinkId,
        conversation: ConversationId,
        holding: Holding,
    },
    /// What is here in the places of another branch.
    Branch(Branch),
    /// The message that a command is about.
    Referred(Errand),
    /// The messages that somebody's acts are about.
    Changed(Box<Heard>),
    /// The way of this message of a conversation.
    Traced(Box<StoredEvent>),
    Inquiry(Asking),
}

impl Account {
    pub(super) fn disk_replied(&mut self, cx: &mut Context, reply: DiskReply) {
        match reply {
            DiskReply::Committed { ticket } => self.committed(cx, ticket),
            DiskReply::ChainRead { ticket, events } => {
                self.chain_was_read(cx, ticket, events);
            }
            DiskReply::HistoryRead { ticket, events, changes } => {
                if let Some(Read::History { conversation }) = self.disk.reads.remove(&ticket) {
                    self.history_read(cx, conversation, events, changes);
                }
            }
            DiskReply::EventsRead { ticket, events, changes } => match self.disk.reads.remove(&ticket) {
                Some(Read::Referred(errand)) => self.referred(cx, errand, events, changes),
                Some(Read::Changed(heard)) => self.tell_deeds(cx, *heard, events, &changes),
                _ => {}
            },
            DiskReply::StepsRead { ticket, recipients, steps } => {
                if let Some(Read::Traced(event)) = self.disk.reads.remove(&ticket) {
                    self.traced(cx, &event, &recipients, &steps);
                }
            }
            DiskReply::Answered { ticket, answer } => self.answered(cx, ticket, answer),
            DiskReply::Failed { ticket, error } => self.disk_failed(cx, ticket, &error),
            DiskReply::Opened(_) | DiskReply::Closed => {}
        }
    }

    fn chain_was_read(&mut self, cx: &mut Context, ticket: u64, events: Vec<StoredEvent>) {
        match self.disk.reads.remove(&ticket) {
            Some(Read::Chain(reading)) => self.chain_read(cx, &reading, events),
            Some(Read::Mail(reading)) => self.mail_read(cx, reading, events),
            Some(Read::Far { conversation, identity, holding }) => {
                let agrees = events.first().map(|event| event.id) == holding.last;
                self.far_holding_compared(cx, conversation, &identity, &holding, agrees);
            }
            Some(Read::Wanted { link, want }) => self.served(cx, link, &want, events),
            Some(Read::SayAgain { conversation, chain }) => self.said_before(cx, conversation, chain, &events),
            Some(Read::Branch(branch)) => self.branch_compared(cx, branch, &events),
            Some(Read::Compare { link, conversation, holding }) => {
                self.compared(cx, link, conversation, &holding, &events);
            }
            _ => {}
        }
    }

    pub(super) fn read_failed(&mut self, cx: &mut Context, read: Read, error: &DiskError) {
        match read {
            Read::Inquiry(asking) => self.inquiry_failed(cx, asking, error),
            Read::Wanted { link, want } => self.served(cx, link, &want, Vec::new()),
            Read::History { .. } | Read::Referred(_) | Read::Traced(_) => {
                cx.fail(Refusal::new(Code::Storage, &error.text));
            }
            again @ (Read::SayAgain { .. } | Read::Compare { .. }) => {
                self.disk.again.push(again);
                self.disk.retry_soon(cx.now.monotonic);
            }
            Read::Changed(heard) => {
                self.disk.untold.push(*heard);
                self.disk.retry_soon(cx.now.monotonic);
            }
            Read::Mail(reading) => self.mail_failed(cx, reading.user()),
            // Whoever holds it says so again.
            Read::Far { .. } | Read::Branch(_) => {}
            Read::Chain(reading) => {
                let unread = self.push_failed(&reading);
                self.disk.unread.insert(unread);
                self.disk.retry_soon(cx.now.monotonic);
            }
        }
    }

    /// Another try for all that somebody waits for.
    pub(super) fn read_what_failed(&mut self, cx: &mut Context) {
        self.links.pushes.append(&mut self.disk.unread);
        for read in std::mem::take(&mut self.disk.again) {
            match read {
                Read::SayAgain { conversation, chain } => self.read_again(cx, conversation, chain),
                Read::Compare { link, conversation, holding } => self.compare(cx, link, conversation, &holding),
                _ => {}
            }
        }
        for heard in std::mem::take(&mut self.disk.untold) {
            self.read_heard(cx, heard);
        }
    }
}
