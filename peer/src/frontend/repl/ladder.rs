//! Answers to `/trace` and `/why`: a ladder with one step a row, and a link's state with what was tried. Pure functions
//! of the event and a [`Look`].

use super::changes::short;
use super::render::{Look, answer, local};
use crate::api::{StepShown, StepState, TraceShown, Via, WhyShown};
use crate::frontend::sanitize::{Paint, Safe};

pub(super) fn trace(look: &Look, trace: &TraceShown) -> Vec<Safe> {
    let whose = if trace.own { "Yours".to_owned() } else { format!("By {}", trace.from) };
    let written = local(look, trace.at, "%-d %b %Y %H:%M:%S");
    let title = format!("{whose} in {}, {written}, id {}:", trace.conversation, short(&trace.id));
    let names = trace.steps.iter().filter_map(|step| step.to.as_ref());
    let columns = names.map(|name| name.as_str().len()).max().unwrap_or(0).max(HERE.len());
    std::iter::once(answer(&title)).chain(trace.steps.iter().map(|step| self::step(look, step, columns))).collect()
}

fn step(look: &Look, step: &StepShown, columns: usize) -> Safe {
    let at = step.at.map_or_else(|| " ".repeat(TIME_COLUMNS), |at| local(look, at, "%H:%M:%S%.3f"));
    let who = step.to.as_ref().map_or(HERE, |to| to.as_str());
    let state = match step.state {
        StepState::Written => "written, by its author's clock",
        StepState::Accepted => "on your disk",
        StepState::Queued => "waits here until a link takes it",
        StepState::Sent => "sent",
        StepState::Mailed => "left in their mailbox",
        StepState::Delivered => "on their disk",
        StepState::Received => "received",
        StepState::Stored => "on your disk",
    };
    let via = match &step.via {
        None => String::new(),
        Some(Via::Author) => " from its author".to_owned(),
        Some(Via::Member(member)) => format!(" from {member}, who had it"),
        Some(Via::Mailbox) => " from your mailbox".to_owned(),
    };
    let route = step.route.map_or_else(String::new, |route| format!(" ({route})"));
    look.theme.dim(&format!("  {at}  ")).with(&answer(&format!("{who:<columns$}  {state}{via}{route}")))
}

pub(super) fn why(look: &Look, why: &WhyShown) -> Vec<Safe> {
    let mut rows = vec![answer(&why.text)];
    let columns = why.tried.iter().map(|tried| tried.address.len()).max().unwrap_or(0);
    rows.extend(why.tried.iter().map(|tried| {
        let address = answer(&format!("  {:<columns$}  ", tried.address));
        address.with(&look.theme.paint(answer(&tried.error), Paint::Warning))
    }));
    rows
}

/// Who stands in the column of recipients where there is none.
const HERE: &str = "here";

/// `14:03:07.042`.
const TIME_COLUMNS: usize = 12;
