//! What the `disk` thread does beside its jobs: it keeps the index of words near the log, carries on searches, and
//! writes copies into files. Every chore goes in chunks, and a job that waits comes between two of them.

use std::collections::VecDeque;
use std::time::Duration;

use common::names::UserName;

use super::export::Export;
use super::log::{Log, Progress, Search};
use crate::ports::{Answer, DiskError, DiskReply, Inquiry};

/// Everything that is under way for one open log.
#[derive(Debug, Default)]
pub(super) struct Chores {
    behind: Behind,
    searches: VecDeque<(u64, Search)>,
    export: Option<Export>,
}

/// How the index stands to the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Behind {
    #[default]
    Nothing,
    /// Something was written since.
    Little,
    /// One chunk did not suffice.
    Much,
}

impl Chores {
    /// Something was written into the log, or it was opened.
    pub(super) fn log_changed(&mut self) {
        if self.behind == Behind::Nothing {
            self.behind = Behind::Little;
        }
    }

    /// How long to wait for a job before a chunk of indexing; `None` if there is nothing to do.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.behind {
            _ if !self.searches.is_empty() => Some(Duration::ZERO),
            Behind::Nothing => None,
            Behind::Little => Some(IDLE_BEFORE_INDEXING),
            Behind::Much => Some(IDLE_BETWEEN_CHUNKS),
        }
    }

    /// One chunk of indexing.
    pub(super) fn index(&mut self, log: &mut Log) {
        if let Err(error) = self.catch_up(log) {
            tracing::warn!(%error, "the index of words could not be written");
        }
    }

    /// One chunk of the search that waits longest; its answer, if that was the last.
    pub(super) fn advance_search(&mut self, log: &mut Log) -> Option<DiskReply> {
        let (ticket, mut search) = self.searches.pop_front()?;
        match self.search_chunk(log, &mut search) {
            Ok(Some(answer)) => Some(DiskReply::Answered { ticket, answer }),
            Ok(None) => {
                self.searches.push_front((ticket, search));
                None
            }
            Err(error) => Some(DiskReply::Failed { ticket: Some(ticket), error }),
        }
    }

    /// Answers a question, or takes it on.
    pub(super) fn inquire(
        &mut self,
        log: &Log,
        me: &UserName,
        ticket: u64,
        inquiry: Inquiry,
    ) -> Result<Option<Answer>, DiskError> {
        match inquiry {
            Inquiry::Search(wanted) => {
                self.searches.push_back((ticket, Log::begin_search(wanted)));
                Ok(None)
            }
            Inquiry::Unread { conversation, lines } => Ok(Some(log.unread(me, conversation, lines)?)),
            Inquiry::Export { path, conversation, not_before } => {
                let export = Export::begin(ticket, &path, log.first_page(conversation, not_before)?)?;
                self.advance_export(export, log)
            }
            Inquiry::ExportText { text } => {
                let export = self.export.take().filter(|export| export.is_of(ticket));
                let Some(mut export) = export else {
                    return Err(DiskError { text: "Can't go on with that copy: it was given up.".to_owned() });
                };
                export.write(&text)?;
                self.advance_export(export, log)
            }
        }
    }

    /// The log is closed: nobody waits for what was asked of it, and half a copy is none.
    pub(super) fn drop_all(&mut self) {
        *self = Self::default();
    }

    fn advance_export(&mut self, mut export: Export, log: &Log) -> Result<Option<Answer>, DiskError> {
        if export.page.is_last() {
            return Ok(Some(Answer::Exported { path: export.finish()? }));
        }
        let answer = log.next_page(&mut export.page)?;
        self.export = Some(export);
        Ok(Some(answer))
    }

    fn search_chunk(&mut self, log: &mut Log, search: &mut Search) -> Result<Option<Answer>, DiskError> {
        if self.behind != Behind::Nothing {
            self.catch_up(log)?;
            return Ok(None);
        }
        Ok(match log.search_chunk(search)? {
            Progress::More => None,
            Progress::Done => Some(log.found(search)?),
        })
    }

    fn catch_up(&mut self, log: &mut Log) -> Result<(), DiskError> {
        // A log that cannot be written is tried again after the next line, not in a circle.
        self.behind = Behind::Nothing;
        if log.index_chunk()? == Progress::More {
            self.behind = Behind::Much;
        }
        Ok(())
    }
}

/// A conversation in full flow is not slowed down by a second write for each line.
const IDLE_BEFORE_INDEXING: Duration = Duration::from_secs(1);
/// A burst is served before it is indexed: a chunk takes several milliseconds, and whatever comes meanwhile waits for it.
const IDLE_BETWEEN_CHUNKS: Duration = Duration::from_millis(2);
