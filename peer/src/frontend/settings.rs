//! The few settings of the terminal, by name: for `/set`, the configuration file, `--set` and completion alike.
//! A value is checked where it is set; everybody else reads fields.

use super::commands::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub color: Color,
    pub timestamps: Timestamps,
    pub bell: Bell,
    /// Tell when people come and go.
    pub presence: bool,
    /// Show a short id behind each message.
    pub refs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal that is not dumb.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// When the minute changes.
    Minute,
    /// On every line.
    Always,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    Off,
    /// When my name is said, or somebody writes to me alone.
    Mentions,
    /// At every message.
    All,
}

/// One setting as it is listed.
pub struct Entry {
    pub key: &'static str,
    pub values: &'static [&'static str],
    pub means: &'static str,
}

pub static ENTRIES: &[Entry] = &[
    Entry { key: "bell", values: &["off", "mentions", "all"], means: "when the terminal's bell rings" },
    Entry { key: "color", values: &["auto", "always", "never"], means: "whether colours are used" },
    Entry { key: "presence", values: &["on", "off"], means: "tell when people come and go" },
    Entry { key: "refs", values: &["on", "off"], means: "show a short id behind each message" },
    Entry {
        key: "timestamps",
        values: &["minute", "always", "off"],
        means: "times at the new minute, always, or never",
    },
];

impl Default for Settings {
    fn default() -> Self {
        Self { color: Color::Auto, timestamps: Timestamps::Minute, bell: Bell::Off, presence: true, refs: false }
    }
}

impl Settings {
    /// Sets one; the error is a line for a person and names the nearest valid key or value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let entry = entry(key)?;
        let Some(number) = entry.values.iter().position(|valid| valid.eq_ignore_ascii_case(value)) else {
            let nearest = nearest(value, entry.values.iter().copied());
            let advice = nearest.map_or(String::new(), |nearest| format!(" Did you mean '{nearest}'?"));
            let values = entry.values.join(", ");
            return Err(format!("'{value}' is no value of '{}'.{advice} It takes: {values}.", entry.key));
        };
        match entry.key {
            "bell" => self.bell = [Bell::Off, Bell::Mentions, Bell::All][number],
            "color" => self.color = [Color::Auto, Color::Always, Color::Never][number],
            "presence" => self.presence = number == 0,
            "refs" => self.refs = number == 0,
            _ => self.timestamps = [Timestamps::Minute, Timestamps::Always, Timestamps::Off][number],
        }
        Ok(())
    }

    /// The value of a setting as it is written.
    pub fn value(&self, entry: &Entry) -> &'static str {
        let number = match entry.key {
            "bell" => self.bell as usize,
            "color" => self.color as usize,
            "presence" => usize::from(!self.presence),
            "refs" => usize::from(!self.refs),
            _ => self.timestamps as usize,
        };
        entry.values[number]
    }
}

/// The setting of this name.
pub fn entry(key: &str) -> Result<&'static Entry, String> {
    ENTRIES.iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).ok_or_else(|| {
        let nearest = nearest(key, ENTRIES.iter().map(|entry| entry.key));
        let advice = nearest.map_or(String::new(), |nearest| format!(" Did you mean '{nearest}'?"));
        format!("There is no setting '{key}'.{advice} /set lists all.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_shown() {
        for entry in ENTRIES {
            for value in entry.values {
                let mut settings = Settings::default();
                settings.set(entry.key, value).unwrap();
                assert_eq!(settings.value(entry), *value, "{}", entry.key);
            }
        }
    }

    #[test]
    fn mistakes_are_told_the_nearest() {
        let mut settings = Settings::default();
        assert!(settings.set("bel", "all").unwrap_err().contains("'bell'"));
        assert!(settings.set("bell", "mention").unwrap_err().contains("'mentions'"));
        assert_eq!(settings, Settings::default());
    }
}
