//! What happened in a world, in words. Written only when a failed seed is played again.

use std::cell::RefCell;
use std::rc::Rc;

use common::message::peer::PeerMessage;
use common::time::Monotonic;

/// A shared record, so that it outlives a world that panics; or none.
#[derive(Debug, Clone, Default)]
pub struct Journal(Option<Rc<RefCell<Vec<String>>>>);

impl Journal {
    /// One that keeps what it is told.
    pub fn kept() -> Self {
        Self(Some(Rc::default()))
    }

    pub(super) fn note(&self, now: Monotonic, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            let (seconds, millis) = (now.0 / 1000, now.0 % 1000);
            lines.borrow_mut().push(format!("{seconds:4}.{millis:03}  {}", line()));
        }
    }

    /// Everything noted, one line each.
    pub fn text(&self) -> String {
        self.0.as_ref().map(|lines| lines.borrow().join("\n")).unwrap_or_default()
    }
}

/// Messages as one reads them in a journal.
pub(super) fn brief(messages: &[PeerMessage]) -> String {
    let one = |message: &PeerMessage| match message {
        PeerMessage::Events(events) => {
            let numbers = events.events.iter().filter_map(|event| event.claim().ok()).map(|event| event.number);
            format!("Events({:?}, {:?})", events.conversation, numbers.collect::<Vec<_>>())
        }
        PeerMessage::Have(have) => {
            let held: Vec<_> = have.holdings.iter().map(|holding| (holding.chain, holding.number)).collect();
            format!("Have({:?}, {held:?})", have.conversation)
        }
        PeerMessage::RoomHello { room, .. } => format!("RoomHello({room:?})"),
        other => format!("{other:?}"),
    };
    messages.iter().map(one).collect::<Vec<_>>().join(", ")
}
