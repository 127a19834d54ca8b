//! A JSON object of a line, its fields in the order in which they were given. Values are borrowed where that is
//! possible: messages come by the thousand.

use std::fmt::Display;
use std::io;

use common::time::UnixMillis;
use common::visible::{Tower, is_hidden};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

/// An object that keeps the order of its fields.
pub(super) struct Object<'a>(Vec<(&'static str, Field<'a>)>);

/// The value of a field.
pub(super) enum Field<'a> {
    Text(&'a str),
    /// As it is shown to people.
    Shown(&'a dyn Display),
    /// RFC 3339, UTC, milliseconds. A time beyond the calendar, from a clock gone wild, is the last one there is.
    Time(UnixMillis),
    Flag(bool),
    Other(Value),
}

impl<'a> Object<'a> {
    /// What a line is of stands first.
    pub(super) fn of<const N: usize>(kind: &'static str, fields: [(&'static str, impl Into<Field<'a>>); N]) -> Self {
        let mut object = Self(Vec::with_capacity(1 + N + MORE_FIELDS));
        object.0.push(("type", Field::Text(kind)));
        object.extend(fields);
        object
    }

    /// One that says no more than what it is.
    pub(super) fn bare(kind: &'static str) -> Self {
        Self::of::<0>(kind, [] as [(&'static str, Field<'a>); 0])
    }

    /// One inside another.
    pub(super) fn inner<const N: usize>(fields: [(&'static str, impl Into<Field<'a>>); N]) -> Self {
        let mut object = Self(Vec::with_capacity(N));
        object.extend(fields);
        object
    }

    pub(super) fn push(&mut self, name: &'static str, value: impl Into<Field<'a>>) {
        self.0.push((name, value.into()));
    }

    pub(super) fn extend(&mut self, fields: impl IntoIterator<Item = (&'static str, impl Into<Field<'a>>)>) {
        self.0.extend(fields.into_iter().map(|(name, value)| (name, value.into())));
    }

    pub(super) fn into_line(self) -> String {
        let mut bytes = Vec::with_capacity(LINE_BYTES);
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Escaping);
        self.serialize(&mut serializer).expect("an object with string keys can be written to memory");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Shown(shown) => serializer.collect_str(shown),
            Self::Time(at) => {
                let at = i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
                serializer.collect_str(&format_args!("{:.3}", at.unwrap_or(jiff::Timestamp::MAX)))
            }
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl From<Value> for Field<'_> {
    fn from(value: Value) -> Self {
        Self::Other(value)
    }
}

/// Writes hidden characters and towers of marks as `\u` and digits: the same string to a program, and harmless on a terminal.
struct Escaping;

impl serde_json::ser::Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Almost everything that is written: nothing to hide, and no need to look at characters.
        if !fragment.bytes().fold(false, |odd, byte| odd | !(b' '..=b'~').contains(&byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        let (mut tower, mut written) = (Tower::default(), 0);
        for (at, c) in fragment.char_indices() {
            if !tower.is_too_high(c) && !is_hidden(c) {
                continue;
            }
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

/// A mark, and what was done to a message.
const MORE_FIELDS: usize = 2;
/// Most lines are shorter.
const LINE_BYTES: usize = 512;
