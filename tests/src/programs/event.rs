//! One JSON line of a program, and short ways to look at it.

use std::fmt;

use serde_json::Value;

/// An object with a `type`.
#[derive(Clone, PartialEq)]
pub struct Event(Value);

impl Event {
    /// The event, if `line` is an object with a `type`.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.get("type")?.as_str()?;
        Some(Self(value))
    }

    pub fn kind(&self) -> &str {
        self.text("type")
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind() == kind
    }

    /// A field of text; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.field(field).as_str().unwrap_or_default()
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.field(field).as_u64()
    }

    /// Whether the field is `true`.
    pub fn flag(&self, field: &str) -> bool {
        self.field(field).as_bool().unwrap_or_default()
    }

    pub fn field(&self, field: &str) -> &Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    /// A field that is a list of texts.
    pub fn texts(&self, field: &str) -> Vec<&str> {
        self.items(field).iter().filter_map(Value::as_str).collect()
    }

    /// A field that is a list.
    pub fn items(&self, field: &str) -> &[Value] {
        self.field(field).as_array().map_or(&[], Vec::as_slice)
    }

    /// A list of objects as events of the given type, to be looked at in the same way.
    pub fn objects(&self, field: &str) -> Vec<Self> {
        self.items(field).iter().cloned().map(Self).collect()
    }

    /// Whether this is a message of `from` in `conversation`, not one's own.
    pub fn is_message(&self, conversation: &str, from: &str) -> bool {
        self.is("message") && self.text("conversation") == conversation && self.text("from") == from
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
