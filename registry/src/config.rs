//! What an operator may set: one row per key, read by the file, by `--set` and by the error that suggests the nearest.
//! Later ones win: defaults, file, `--set`. Knows nothing of sockets; `server` and `service` get their part of it.

#![expect(clippy::disallowed_methods, reason = "the configuration file is read here")]

use std::fs;
use std::path::{Path, PathBuf};

use common::limits::{MAILBOX_DAYS, MAILBOX_ITEMS};

use crate::accounts::{AccountLimits, COST_MAX, COST_MIN};
use crate::server::{DoorLimits, PasswordSettings, RateLimits, Settings, Timing};
use crate::service::{Limits, MailLimits, SignUps, ThrottleLimits};

/// See the module.
#[derive(Debug, Clone)]
pub struct Config {
    /// `None`: the user's own data folder.
    pub data_dir: Option<PathBuf>,
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: None,
            settings: Settings {
                listen: None,
                control: None,
                door: DoorLimits {
                    sessions: SESSIONS_MAX,
                    sessions_per_source: 1024,
                    unauthenticated: 2048,
                    unauthenticated_per_source: 16,
                    memory_mib: 0,
                },
                rates: RateLimits { requests_per_second: 100, requests_at_once: 3000, requests_before_sign_in: 60 },
                passwords: PasswordSettings { bcrypt_cost: 12, at_once: 0, queue: 64 },
                timing: Timing::default(),
                service: Limits {
                    accounts: AccountLimits {
                        sign_ups: SignUps::Open,
                        throttle: ThrottleLimits {
                            password_failures: 5,
                            password_failures_hour: 30,
                            password_failures_per_source_hour: 200,
                            sign_ups_per_source_hour: 30,
                            sign_ups_hour: 1000,
                            invites_per_owner_hour: 200,
                            invites_to_one_hour: 20,
                        },
                    },
                    rooms_per_account: 100,
                    mail: MailLimits { items: MAILBOX_ITEMS, items_from_sender: 2500, days: MAILBOX_DAYS },
                },
            },
        }
    }
}

/// A setting that cannot be used: the caller's mistake, told with what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("There is no setting '{key}'. Did you mean '{nearest}'?")]
    UnknownKey { key: String, nearest: &'static str },
    #[error("'{value}' is no value for {key}: it takes {takes}. The nearest is '{nearest}'.")]
    BadValue { key: &'static str, value: String, takes: String, nearest: String },
    #[error("'{0}' is no setting. Write KEY=VALUE, such as limits.sessions=4096.")]
    NotAPair(String),
    #[error("Cannot read the configuration {path}: {source}. Check the name behind --config.")]
    File { path: String, source: std::io::Error },
    #[error("The configuration {path} is not TOML: {detail}. Correct it there.")]
    Toml { path: String, detail: String },
    #[error("The setting '{0}' of the configuration is neither text nor a number. Write KEY = VALUE.")]
    NotAValue(String),
}

impl Config {
    /// Defaults, then the file if there is one, then `sets`, each `KEY=VALUE`.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(path) = file {
            config.read(path)?;
        }
        for set in sets {
            let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::NotAPair(set.clone()))?;
            config.set(key.trim(), value.trim())?;
        }
        Ok(config)
    }

    /// Sets one key from its text.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let row = KEYS.iter().find(|row| row.name == key).ok_or_else(|| unknown(key))?;
        (row.apply)(self, value).map_err(|Wrong { takes, nearest }| ConfigError::BadValue {
            key: row.name,
            value: value.to_owned(),
            takes,
            nearest,
        })
    }

    fn read(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| ConfigError::File { path: shown(), source })?;
        self.read_text(&text, shown)
    }

    fn read_text(&mut self, text: &str, path: impl Fn() -> String) -> Result<(), ConfigError> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            let detail = error.message().trim().replace('\n', " ");
            ConfigError::Toml { path: path(), detail }
        })?;
        self.read_table("", &table)
    }

    // `[limits] sessions = 4096` and `limits.sessions = 4096` are the same to TOML and here.
    fn read_table(&mut self, prefix: &str, table: &toml::Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(inner) => self.read_table(&key, inner)?,
                toml::Value::String(text) => self.set(&key, text)?,
                toml::Value::Integer(number) => self.set(&key, &number.to_string())?,
                _ => return Err(ConfigError::NotAValue(key)),
            }
        }
        Ok(())
    }
}

/// What fuzzers feed: a configuration file, and after each zero one `KEY=VALUE`.
#[doc(hidden)]
pub fn fuzz_config(data: &[u8]) {
    let mut texts = data.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut config = Config::default();
    let file = texts.next().unwrap_or_default();
    let read = config.read_text(&file, || "registry.toml".to_owned());
    let set = Config::load(None, &texts.take(SETS_MAX).map(String::from).collect::<Vec<_>>());
    for told in [read.err().map(|error| error.to_string()), set.as_ref().err().map(ToString::to_string)] {
        assert!(told.is_none_or(|told| !told.is_empty()), "an error says why");
    }
    for config in [Some(config), set.ok()].into_iter().flatten() {
        let Settings { door, passwords, .. } = config.settings;
        assert!((1..=SESSIONS_MAX).contains(&door.sessions) && (COST_MIN..=COST_MAX).contains(&passwords.bcrypt_cost));
    }
}

struct Key {
    name: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), Wrong>,
}

struct Wrong {
    takes: String,
    nearest: String,
}

macro_rules! number {
    ($name:literal, $min:expr, $max:expr, $config:ident => $field:expr) => {
        Key {
            name: $name,
            apply: |$config, text| {
                $field = number(text, $min, $max)?;
                Ok(())
            },
        }
    };
}

const KEYS: &[Key] = &[
    Key {
        name: "listen",
        apply: |config, text| {
            let wrong = |_| Wrong { takes: "ADDRESS:PORT".into(), nearest: "[::]:15600".into() };
            config.settings.listen = Some(text.parse().map_err(wrong)?);
            Ok(())
        },
    },
    Key {
        name: "data_dir",
        apply: |config, text| {
            config.data_dir = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Key {
        name: "sign_up",
        apply: |config, text| {
            config.settings.service.accounts.sign_ups = match choice(text, &["open", "token", "closed"])? {
                "open" => SignUps::Open,
                "token" => SignUps::ByToken,
                _ => SignUps::Closed,
            };
            Ok(())
        },
    },
    number!("passwords.bcrypt_cost", COST_MIN, COST_MAX, config => config.settings.passwords.bcrypt_cost),
    number!("passwords.at_once", 0, 256, config => config.settings.passwords.at_once),
    number!("passwords.queue", 0, 4096, config => config.settings.passwords.queue),
    number!("limits.sessions", 1, SESSIONS_MAX, config => config.settings.door.sessions),
    number!("limits.sessions_per_source", 1, SESSIONS_MAX, config => config.settings.door.sessions_per_source),
    number!("limits.unauthenticated", 1, SESSIONS_MAX, config => config.settings.door.unauthenticated),
    number!(
        "limits.unauthenticated_per_source", 1, SESSIONS_MAX,
        config => config.settings.door.unauthenticated_per_source
    ),
    // 0: no limit of our own.
    number!("limits.memory_mib", 0, 1 << 20, config => config.settings.door.memory_mib),
    number!("limits.requests_per_second", 1, 1_000_000, config => config.settings.rates.requests_per_second),
    number!("limits.requests_at_once", 100, 1_000_000, config => config.settings.rates.requests_at_once),
    number!("limits.requests_before_sign_in", 10, 1_000_000, config => config.settings.rates.requests_before_sign_in),
    number!("limits.signups_per_source_hour", 0, PER_HOUR_MAX, config => throttle(config).sign_ups_per_source_hour),
    number!("limits.signups_hour", 0, PER_HOUR_MAX, config => throttle(config).sign_ups_hour),
    number!("limits.password_failures", 1, 1000, config => throttle(config).password_failures),
    number!("limits.password_failures_hour", 1, PER_HOUR_MAX, config => throttle(config).password_failures_hour),
    number!(
        "limits.password_failures_per_source_hour", 1, PER_HOUR_MAX,
        config => throttle(config).password_failures_per_source_hour
    ),
    number!("limits.invites_per_owner_hour", 0, PER_HOUR_MAX, config => throttle(config).invites_per_owner_hour),
    number!("limits.invites_to_one_hour", 0, PER_HOUR_MAX, config => throttle(config).invites_to_one_hour),
    number!("limits.rooms_per_account", 0, 100_000, config => config.settings.service.rooms_per_account),
    number!("limits.mailbox_items", 0, 100_000, config => config.settings.service.mail.items),
    number!(
        "limits.mailbox_items_from_sender", 0, 1_000_000,
        config => config.settings.service.mail.items_from_sender
    ),
    // Prekeys outlive the default by a week; mail kept for longer than that could not be opened any more.
    number!("limits.mailbox_days", 1, MAILBOX_DAYS + 7, config => config.settings.service.mail.days),
];

fn throttle(config: &mut Config) -> &mut ThrottleLimits {
    &mut config.settings.service.accounts.throttle
}

fn number(text: &str, min: u32, max: u32) -> Result<u32, Wrong> {
    let wrong = |nearest: u32| Wrong { takes: format!("a number from {min} to {max}"), nearest: nearest.to_string() };
    let value: i128 = text.parse().map_err(|_| wrong(min))?;
    let nearest = u32::try_from(value.clamp(min.into(), max.into())).unwrap_or(max);
    if i128::from(nearest) == value { Ok(nearest) } else { Err(wrong(nearest)) }
}

fn choice<'a>(text: &str, choices: &[&'a str]) -> Result<&'a str, Wrong> {
    let found = choices.iter().find(|choice| **choice == text);
    found.copied().ok_or_else(|| Wrong {
        takes: choices.join(" or "),
        nearest: nearest(text, choices.iter().copied()).unwrap_or_default().to_owned(),
    })
}

fn unknown(key: &str) -> ConfigError {
    let nearest = nearest(key, KEYS.iter().map(|row| row.name));
    ConfigError::UnknownKey { key: key.to_owned(), nearest: nearest.unwrap_or_default() }
}

fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A pasted page is not compared letter by letter.
    let typed: String = typed.chars().take(COMPARED_CHARS_MAX).collect();
    let close = names.map(|name| (closeness(&typed, name), name));
    close.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

// With or without the part before the dot, whichever is closer.
fn closeness(typed: &str, name: &str) -> f64 {
    let short = name.rsplit('.').next().unwrap_or(name);
    strsim::jaro_winkler(typed, name).max(strsim::jaro_winkler(typed, short))
}

/// Twice as long as the longest key.
const COMPARED_CHARS_MAX: usize = 80;

/// More pairs than that find nothing more.
const SETS_MAX: usize = 8;

/// Past some 16,000 threads the kernel refuses more memory mappings and the process would abort.
const SESSIONS_MAX: u32 = 15_000;
/// Each attempt within the hour is remembered: this many take some megabytes.
const PER_HOUR_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sets: &[&str]) -> Result<Config, ConfigError> {
        Config::load(None, &sets.iter().map(|&set| set.to_owned()).collect::<Vec<_>>())
    }

    fn complaint(set: &str) -> String {
        with(&[set]).unwrap_err().to_string()
    }

    #[test]
    fn every_key_of_the_contract_can_be_set() {
        let config = with(&[
            "limits.unauthenticated_per_source=64",
            "limits.signups_per_source_hour=1000",
            "limits.signups_hour=2000",
            "limits.requests_per_second=7",
            "limits.sessions=4096",
            "limits.sessions_per_source = 64",
            "passwords.bcrypt_cost=4",
            "limits.mailbox_items=10",
            "limits.mailbox_days=3",
            "sign_up=closed",
        ]);
        let settings = config.unwrap().settings;
        assert_eq!((settings.door.sessions, settings.door.sessions_per_source), (4096, 64));
        assert_eq!(settings.passwords.bcrypt_cost, 4);
        assert_eq!((settings.service.mail.items, settings.service.mail.days), (10, 3));
        assert_eq!(settings.service.accounts.sign_ups, SignUps::Closed);
        let throttle = settings.service.accounts.throttle;
        assert_eq!((throttle.sign_ups_per_source_hour, throttle.sign_ups_hour), (1000, 2000));
        assert_eq!(settings.rates.requests_per_second, 7);
    }

    #[test]
    fn the_manual_page_knows_every_key() {
        let manual = include_str!("../../scripts/registry.1");
        for key in KEYS {
            assert!(manual.contains(key.name), "{} is not in scripts/registry.1", key.name);
        }
    }

    #[test]
    fn mistakes_name_the_nearest_right_one() {
        assert_eq!(
            complaint("limits.sesions=3"),
            "There is no setting 'limits.sesions'. Did you mean 'limits.sessions'?"
        );
        assert!(complaint("bcrypt_cost=3").contains("'passwords.bcrypt_cost'"));
        assert!(complaint("passwords.bcrypt_cost=99").ends_with("a number from 4 to 16. The nearest is '16'."));
        assert!(complaint("limits.sessions=many").contains("'many'"));
        assert!(complaint("sign_up=opne").ends_with("open or token or closed. The nearest is 'open'."));
        assert!(complaint("sessions").contains("KEY=VALUE"));
    }

    #[test]
    fn the_file_knows_the_same_keys_and_gives_way_to_flags() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.toml");
        fs::write(&path, "sign_up = \"closed\"\nlimits.rooms_per_account = 3\n[passwords]\nbcrypt_cost = 5\n").unwrap();
        let config = Config::load(Some(&path), &["passwords.bcrypt_cost=6".to_owned()]).unwrap();
        assert_eq!(config.settings.passwords.bcrypt_cost, 6);
        assert_eq!(config.settings.service.rooms_per_account, 3);
        fs::write(&path, "limits = { sesions = 3 }").unwrap();
        assert!(matches!(Config::load(Some(&path), &[]), Err(ConfigError::UnknownKey { .. })));
        fs::write(&path, "limits = [").unwrap();
        assert!(matches!(Config::load(Some(&path), &[]), Err(ConfigError::Toml { .. })));
    }
}
