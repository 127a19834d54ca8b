//! Questions to the log that are on their way, each with what asked it, and where their answers go.

use super::account::Account;
use super::context::Context;
use super::export::Exporting;
use super::reads::Read;
use super::unread::CatchingUp;
use crate::api::{Code, Event, Refusal};
use crate::ports::{Answer, DiskError, DiskJob, Inquiry, Output};

/// Why the log was asked.
#[derive(Debug)]
pub(super) enum Asking {
    Search {
        words: Vec<String>,
        with_context: bool,
    },
    /// At the beginning: what was unread when the program ended.
    UnreadBefore,
    /// A conversation with unread lines became the current one.
    Backlog,
    CatchUp(CatchingUp),
    Export(Box<Exporting>),
}

impl Account {
    pub(super) fn inquire(&mut self, cx: &mut Context, inquiry: Inquiry, asking: Asking) {
        let ticket = cx.number();
        self.inquire_on(cx, ticket, inquiry, asking);
    }

    /// The same for a question that goes on under its ticket.
    pub(super) fn inquire_on(&mut self, cx: &mut Context, ticket: u64, inquiry: Inquiry, asking: Asking) {
        self.disk.reads.insert(ticket, Read::Inquiry(asking));
        cx.out.push_back(Output::Disk(DiskJob::Inquire { ticket, inquiry }));
    }

    pub(super) fn answered(&mut self, cx: &mut Context, ticket: u64, answer: Answer) {
        let Some(Read::Inquiry(asking)) = self.disk.reads.remove(&ticket) else { return };
        match (asking, answer) {
            (Asking::Search { words, with_context }, Answer::Found { found, changes }) => {
                let found = found.into_iter();
                let items = found.filter_map(|found| self.found_shown(found, &changes, with_context)).collect();
                cx.finish(Event::Found { words, items });
            }
            (Asking::UnreadBefore, Answer::Unread { unread, .. }) => self.unread_before(cx, unread),
            (Asking::Backlog, Answer::Unread { unread, changes }) => self.backlog(cx, unread, &changes),
            (Asking::CatchUp(_), Answer::Unread { unread, changes }) => self.caught_up(cx, unread, &changes),
            (Asking::Export(exporting), Answer::ExportPage { events, changes }) => {
                self.export_page(cx, ticket, *exporting, self.messages_shown(events, &changes));
            }
            (Asking::Export(exporting), Answer::Exported { path }) => {
                cx.finish(Event::Exported { path, count: exporting.count });
            }
            (asking, _) => self.inquiry_failed(cx, asking, &DiskError { text: "The log answered amiss.".to_owned() }),
        }
    }

    pub(super) fn inquiry_failed(&mut self, cx: &mut Context, asking: Asking, error: &DiskError) {
        let refusal = Refusal::new(Code::Storage, &error.text);
        match asking {
            Asking::Search { .. } | Asking::Export(_) => cx.fail(refusal),
            Asking::CatchUp(catching_up) => {
                self.not_caught_up(catching_up);
                cx.fail(refusal);
            }
            // Nobody asked for these by name: what is unread stays so on the disk, and is told next time.
            Asking::UnreadBefore | Asking::Backlog => cx.tell(Event::Refused(refusal)),
        }
    }
}
