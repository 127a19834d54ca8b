//! What became of single messages, as a program reads it: acts upon them, their sum in a history, their way; and why
//! there is a link or none. Called by the output beside it.

use serde_json::{Value, json};

use super::object::Object;
use super::output::{name, time};
use crate::api::{Act, ChangeShown, Changes, StepShown, StepState, TraceShown, Via, WhyShown, WhyState};

pub(super) fn changed(change: &ChangeShown) -> Object<'_> {
    let (kind, text) = match &change.act {
        Act::Edited { text } => ("edited", text.as_str()),
        Act::Deleted => ("deleted", ""),
        Act::Reacted { word } => ("reaction", word.as_str()),
    };
    Object::of(
        kind,
        [
            ("conversation", json!(change.conversation.to_string())),
            ("id", json!(change.id.to_string())),
            ("event", json!(change.event.to_string())),
            ("from", name(&change.from)),
            ("text", json!(text)),
            ("at", time(change.at)),
            ("own", json!(change.own)),
            ("late", json!(change.late)),
        ],
    )
}

/// What was done to a message, where anything was.
pub(super) fn add_changes(object: &mut Object<'_>, changes: &Changes) {
    if changes.edited {
        object.push("edited", json!(true));
    }
    if changes.deleted {
        object.push("deleted", json!(true));
    }
    if !changes.reactions.is_empty() {
        let reactions = changes.reactions.iter().map(|(word, people)| {
            let people: Vec<Value> = people.iter().map(name).collect();
            (word.clone(), json!(people))
        });
        object.push("reactions", Value::Object(reactions.collect()));
    }
}

pub(super) fn trace(trace: &TraceShown) -> Object<'_> {
    let steps: Vec<Object<'_>> = trace.steps.iter().map(step).collect();
    Object::of(
        "trace",
        [
            ("conversation", json!(trace.conversation.to_string())),
            ("id", json!(trace.id.to_string())),
            ("from", name(&trace.from)),
            ("at", time(trace.at)),
            ("steps", json!(steps)),
        ],
    )
}

fn step(step: &StepShown) -> Object<'_> {
    let state = match step.state {
        StepState::Written => "written",
        StepState::Accepted => "accepted",
        StepState::Queued => "queued",
        StepState::Sent => "sent",
        StepState::Mailed => "mailbox",
        StepState::Delivered => "delivered",
        StepState::Received => "received",
        StepState::Stored => "stored",
    };
    let mut object = Object::inner([
        ("to", step.to.as_ref().map_or(Value::Null, name)),
        ("state", json!(state)),
        ("at", step.at.map_or(Value::Null, time)),
        ("route", json!(step.route.map(|route| route.to_string()))),
    ]);
    if let Some(via) = &step.via {
        let via = match via {
            Via::Author => json!("author"),
            Via::Member(member) => json!(format!("@{member}")),
            Via::Mailbox => json!("mailbox"),
        };
        object.push("via", via);
    }
    object
}

pub(super) fn why(why: &WhyShown) -> Object<'_> {
    let state = match why.state {
        WhyState::Linked => "linked",
        WhyState::Dialing => "dialing",
        WhyState::Waiting => "waiting",
        WhyState::Offline => "offline",
        WhyState::Blocked => "blocked",
        WhyState::RegistryAway => "registry_away",
        WhyState::Idle => "idle",
    };
    let tried =
        why.tried.iter().map(|tried| Object::inner([("address", json!(tried.address)), ("error", json!(tried.error))]));
    Object::of(
        "why",
        [
            ("user", name(&why.user)),
            ("state", json!(state)),
            ("text", json!(why.text)),
            ("address", json!(why.address.map(|address| address.to_string()))),
            ("tried", json!(tried.collect::<Vec<_>>())),
            ("waiting", json!(why.waiting)),
        ],
    )
}
