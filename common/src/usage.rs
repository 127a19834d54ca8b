//! Flags that cannot be, told to whoever gave them: what was typed, or pasted from somewhere, is repeated in it, and
//! neither steers the terminal nor begins a line.

use clap::builder::StyledStr;
use clap::error::ContextValue;

use crate::visible;

/// The words of it, for a terminal.
pub fn told(mut error: clap::Error) -> String {
    let typed: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    let styled = |text: &StyledStr| StyledStr::from(visible::line(&text.to_string()));
    for (kind, value) in typed {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(visible::line(&text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| visible::line(text)).collect())
            }
            // Advice repeats what was typed as well.
            ContextValue::StyledStrs(texts) => ContextValue::StyledStrs(texts.iter().map(styled).collect()),
            other => other,
        };
        error.insert(kind, value);
    }
    visible::lines(&error.render().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_keeps_to_its_line() {
        for typed in ["--x\n\u{1b}[2Jforged", "y\nforged"] {
            let told = told(clap::Command::new("program").try_get_matches_from(["program", typed]).unwrap_err());
            assert!(
                told.contains("␊") && !told.lines().any(|line| line.contains("forged") && !line.contains("␊")),
                "{told}"
            );
        }
    }
}
