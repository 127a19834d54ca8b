//! One line of a program's input: a REPL line, or an object that carries one with a mark for its answer.

use serde_json::Value;

use crate::api::{Code, Refusal};

/// A line and the mark its answer shall carry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) re: Option<String>,
    pub(crate) line: String,
}

/// Reads `line`, which has no newline at its end. An error carries the mark, if one could be read.
pub(crate) fn read(line: &str) -> Result<Input, (Option<String>, Refusal)> {
    if !line.starts_with('{') {
        return Ok(Input { re: None, line: line.to_owned() });
    }
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else {
        return Err((None, usage("the line begins with '{' and is no JSON object")));
    };
    let re = match object.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.len() <= ID_BYTES_MAX => Some(id.clone()),
        Some(_) => return Err((None, usage("'id' is not a string of at most 128 bytes"))),
    };
    match object.get("line") {
        Some(Value::String(line)) => Ok(Input { re, line: line.clone() }),
        _ => Err((re, usage("'line' is missing or no string"))),
    }
}

fn usage(what: &str) -> Refusal {
    let text = format!("Not understood: {what}. Write a line, or {{\"id\":\"7\",\"line\":\"/msg bob hi\"}}.");
    Refusal::new(Code::Usage, &text)
}

/// A mark travels with every answer; it is a name, not a payload.
const ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_objects_are_read() {
        assert_eq!(read("/who"), Ok(Input { re: None, line: "/who".to_owned() }));
        assert_eq!(
            read(r#"{"id":"7","line":"a\nb"}"#),
            Ok(Input { re: Some("7".to_owned()), line: "a\nb".to_owned() })
        );
        assert_eq!(read(r#"{"line":"/who"}"#).unwrap().re, None);
        for (line, re) in [("{nonsense", None), ("{\"id\":\"7\"}", Some("7")), ("{\"id\":7,\"line\":\"x\"}", None)] {
            let (told, refusal) = read(line).unwrap_err();
            assert_eq!((told.as_deref(), refusal.code), (re, Code::Usage), "{line}");
        }
    }
}
