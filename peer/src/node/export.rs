//! `/export`: page by page from the log through the front-end's own hand into a file. The log is read and the file
//! written by the disk; between the two each page becomes messages here, and text as the front-end writes it.

use super::account::Account;
use super::context::Context;
use super::inquiries::Asking;
use crate::api::{Export, MessageShown, Typeset};
use crate::ports::Inquiry;

/// A copy under way.
#[derive(Debug)]
pub(super) struct Exporting {
    typeset: Typeset,
    last: Option<MessageShown>,
    pub(super) count: u64,
}

impl Account {
    pub(super) fn export(&mut self, cx: &mut Context, re: Option<String>, export: Export) {
        let Export { path, target, since, typeset } = export;
        let conversation = match target.map(|target| self.conversation_of(&target)).transpose() {
            Ok(conversation) => conversation,
            Err(refusal) => return cx.refuse(re, refusal),
        };
        cx.wait(re);
        let inquiry = Inquiry::Export { path, conversation, not_before: since };
        self.inquire(cx, inquiry, Asking::Export(Box::new(Exporting { typeset, last: None, count: 0 })));
    }

    pub(super) fn export_page(
        &mut self,
        cx: &mut Context,
        ticket: u64,
        mut exporting: Exporting,
        messages: Vec<MessageShown>,
    ) {
        let Typeset(typeset) = exporting.typeset;
        let text = typeset(exporting.last.as_ref(), &messages);
        exporting.count += messages.len() as u64;
        exporting.last = messages.into_iter().next_back().or(exporting.last);
        self.inquire_on(cx, ticket, Inquiry::ExportText { text }, Asking::Export(Box::new(exporting)));
    }
}
