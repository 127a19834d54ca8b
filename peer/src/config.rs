//! What the program was told to do: flags, then the environment, then `--set`, then the configuration file, then
//! defaults. Read once by `main`; everything after it sees a finished [`Plan`].

#![expect(clippy::disallowed_methods, reason = "the environment and the configuration file are read here only")]

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Parser, ValueEnum};
use common::names::{RoomName, UserName};

use crate::api::{Code, Refusal};
use crate::frontend::commands::nearest;
use crate::frontend::settings::{Color, ENTRIES, Settings};

/// Peer-to-peer chat for the terminal. Slash commands at a prompt, or JSON lines; /help at the prompt tells more.
#[derive(Debug, Parser)]
#[command(name = "peer", bin_name = "peer", version)]
pub struct Flags {
    /// The registry; without it the last one used, then 127.0.0.1:15600
    #[arg(value_name = "HOST:PORT[#FINGERPRINT]")]
    registry: Option<String>,
    /// Sign in at start
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Make the account of --user first
    #[arg(long)]
    register: bool,
    /// With --register: also ask for the token that the registry's operator gave
    #[arg(long, requires = "register")]
    token: bool,
    /// Read the password from the first line of FILE, or of standard input with '-'. For /passwd, the second line of
    /// FILE is the new one, for --token it is the token
    #[arg(long, value_name = "FILE|-")]
    pub password_file: Option<String>,
    /// Where other peers reach this one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Keys, messages and everything else of one profile
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key of the configuration file
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Talk JSON, one object per line, on standard input and output
    #[arg(long)]
    pub json: bool,
    /// No colour, no control sequences, words instead of symbols
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN")]
    color: Option<When>,
    /// Accept the key of a registry never seen before without asking
    #[arg(long)]
    trust_new_realm: bool,
    /// Ask nothing
    #[arg(long)]
    no_input: bool,
    /// Log more; twice for everything
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// What `main` needs of the environment. A value, so that tests have their own.
#[derive(Debug, Default)]
pub struct Environment {
    pub variables: Vec<(String, OsString)>,
    pub stdin_is_terminal: bool,
    pub stdout_is_terminal: bool,
}

/// Which face the program shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Json,
    /// Lines in, lines out.
    Plain,
    /// A terminal with a line editor.
    Terminal,
}

/// Everything decided.
#[derive(Debug)]
pub struct Plan {
    /// `HOST:PORT`, if one was named.
    pub registry: Option<String>,
    pub fingerprint: Option<String>,
    pub user: Option<UserName>,
    pub register: bool,
    /// A token is needed besides the password.
    pub by_token: bool,
    pub password_file: Option<String>,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub trust_new_realm: bool,
    pub face: Face,
    /// A person may be asked: for passwords, for trust.
    pub can_ask: bool,
    /// Rooms to enter after the sign-in at start.
    pub join: Vec<RoomName>,
    pub settings: Settings,
    /// The colour question, decided; `/set color` may change it.
    pub color: bool,
    /// Words instead of symbols.
    pub words: bool,
    pub log_level: Option<tracing::Level>,
}

/// The registry of last resort.
pub const REGISTRY_DEFAULT: &str = "127.0.0.1:15600";

impl Environment {
    pub fn of_process() -> Self {
        use std::io::IsTerminal;
        let variables = VARIABLES
            .iter()
            .filter_map(|name| std::env::var_os(name).map(|value| ((*name).to_owned(), value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self {
            variables,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
        }
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.variable(name).and_then(|value| value.to_str())
    }

    /// `XDG…/p2p-chat/end`, or the same below the home folder.
    fn folder(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let base = self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        base.or_else(|| self.variable("HOME").map(|home| Path::new(home).join(below_home)))
            .map(|it| it.join("p2p-chat"))
    }
}

impl Plan {
    /// Decides; a refusal is wrong usage.
    pub fn new(flags: Flags, environment: &Environment) -> Result<Self, Refusal> {
        let file = file(flags.config.as_deref(), environment)?;
        let file = file.as_ref().map(|(path, text)| (path.as_str(), text.as_str()));
        Self::with_file(flags, environment, file)
    }

    /// The same with the path and the text of a configuration file that has been read.
    pub(crate) fn with_file(
        flags: Flags,
        environment: &Environment,
        file: Option<(&str, &str)>,
    ) -> Result<Self, Refusal> {
        let mut chosen = Chosen::default();
        if let Some((path, text)) = file {
            chosen.read(text).map_err(|what| usage(&format!("{path}: {what}")))?;
        }
        for pair in &flags.set {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(usage(&format!("--set takes KEY=VALUE, not '{pair}'.")));
            };
            chosen.set(key.trim(), value.trim()).map_err(|text| usage(&format!("--set {pair}: {text}")))?;
        }
        let (registry, fingerprint) = match flags.registry.or(chosen.registry) {
            Some(text) => registry(&text).map(|(host, fingerprint)| (Some(host), fingerprint))?,
            None => (None, None),
        };
        let user = flags.user.or(chosen.user).map(|name| user_name(&name)).transpose()?;
        if flags.register && user.is_none() {
            return Err(usage("--register needs --user NAME: the account to make."));
        }
        let listen = flags.listen.or(chosen.listen).unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
        let listen = listen.parse().map_err(|_| usage(&format!("'{listen}' is not ADDR:PORT, such as 0.0.0.0:0.")))?;
        let face = face(flags.json, flags.plain, environment);
        if let Some(when) = flags.color {
            chosen.settings.color = when.into();
        }
        let color = color(flags.color, chosen.settings.color, face, environment);
        Ok(Self {
            registry,
            fingerprint,
            user,
            register: flags.register,
            by_token: flags.token,
            password_file: flags.password_file,
            listen,
            data_dir: data_dir(flags.data_dir, environment)?,
            trust_new_realm: flags.trust_new_realm,
            face,
            can_ask: face != Face::Json && environment.stdin_is_terminal && !flags.no_input,
            join: chosen.join,
            settings: chosen.settings,
            color,
            words: flags.plain,
            log_level: log_level(environment.text("P2P_CHAT_LOG"), flags.verbose, flags.quiet)?,
        })
    }
}

/// What the configuration file and `--set` chose.
#[derive(Debug, Default)]
struct Chosen {
    registry: Option<String>,
    user: Option<String>,
    listen: Option<String>,
    join: Vec<RoomName>,
    settings: Settings,
}

impl Chosen {
    fn read(&mut self, text: &str) -> Result<(), String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        for (key, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Boolean(true) => "on".to_owned(),
                toml::Value::Boolean(false) => "off".to_owned(),
                _ => return Err(format!("the value of '{key}' is not a text.")),
            };
            self.set(&key, &value)?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "registry" => self.registry = Some(value.to_owned()),
            "user" => self.user = Some(value.to_owned()),
            "listen" => self.listen = Some(value.to_owned()),
            "join" => self.join = rooms(value)?,
            _ if ENTRIES.iter().any(|entry| entry.key == key) => self.settings.set(key, value)?,
            _ => {
                let keys =
                    ["registry", "user", "listen", "join"].into_iter().chain(ENTRIES.iter().map(|entry| entry.key));
                let nearest = nearest(key, keys.clone());
                let advice = nearest.map_or(String::new(), |nearest| format!(" Did you mean '{nearest}'?"));
                let keys: Vec<&str> = keys.collect();
                return Err(format!("There is no key '{key}'.{advice} There are: {}.", keys.join(", ")));
            }
        }
        Ok(())
    }
}

/// The path and the text of the configuration file. One that was named must be there; the one at its usual place may
/// be missing.
fn file(named: Option<&Path>, environment: &Environment) -> Result<Option<(String, String)>, Refusal> {
    let usual = environment.folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("peer.toml"));
    let Some(path) = named.map(Path::to_path_buf).or(usual) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(usage(&format!("Can't read {}: {error}.", path.display()))),
    }
}

/// `HOST:PORT#FINGERPRINT`; the port and the fingerprint may be missing.
fn registry(text: &str) -> Result<(String, Option<String>), Refusal> {
    let (address, fingerprint) = match text.split_once('#') {
        Some((address, digits)) => (address, Some(digits.to_ascii_lowercase())),
        None => (text, None),
    };
    let digits_fit = |digits: &String| {
        digits.len() == common::ids::FINGERPRINT_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    if fingerprint.as_ref().is_some_and(|digits| !digits_fit(digits)) {
        return Err(usage("A fingerprint is 32 hexadecimal digits; 'registry fingerprint' shows it."));
    }
    let host_and_port = match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.starts_with('[')) => {
            port.parse::<u16>().ok().filter(|port| *port > 0).map(|_| address.to_owned())
        }
        Some(_) => None,
        None => (!address.is_empty()).then(|| format!("{address}:{REGISTRY_PORT}")),
    };
    let host_and_port = host_and_port
        .ok_or_else(|| usage(&format!("'{text}' is not HOST:PORT, such as chat.example.org:{REGISTRY_PORT}.")))?;
    Ok((host_and_port, fingerprint))
}

/// `#one, #two`
fn rooms(list: &str) -> Result<Vec<RoomName>, String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| RoomName::parse(name).map_err(|bad| format!("'{name}' cannot be a room: {bad}."))).collect()
}

fn user_name(name: &str) -> Result<UserName, Refusal> {
    UserName::parse(name).map_err(|bad| Refusal::new(Code::BadName, &format!("'{name}' cannot be a name: {bad}.")))
}

fn data_dir(flag: Option<PathBuf>, environment: &Environment) -> Result<PathBuf, Refusal> {
    flag.or_else(|| environment.variable("P2P_CHAT_DATA_DIR").map(PathBuf::from))
        .or_else(|| environment.folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("peer")))
        .ok_or_else(|| usage("There is no home folder. Say with --data-dir DIR where to keep keys and messages."))
}

fn face(json: bool, plain: bool, environment: &Environment) -> Face {
    let editable = environment.stdin_is_terminal && environment.stdout_is_terminal && !is_dumb(environment);
    match (json, plain || !editable) {
        (true, _) => Face::Json,
        (false, true) => Face::Plain,
        (false, false) => Face::Terminal,
    }
}

/// The order users expect, which `colored` alone does not keep: flag, NO_COLOR, configuration, CLICOLOR_FORCE, terminal.
fn color(flag: Option<When>, setting: Color, face: Face, environment: &Environment) -> bool {
    let decided = match flag {
        Some(When::Always) => Some(true),
        Some(When::Never) => Some(false),
        Some(When::Auto) => None,
        None if environment.text("NO_COLOR").is_some() => Some(false),
        None => match setting {
            Color::Always => Some(true),
            Color::Never => Some(false),
            Color::Auto if environment.text("CLICOLOR_FORCE").is_some_and(|force| force != "0") => Some(true),
            Color::Auto => None,
        },
    };
    decided.unwrap_or(face == Face::Terminal)
}

fn is_dumb(environment: &Environment) -> bool {
    environment.text("TERM").is_none_or(|term| ["dumb", "cons25", "emacs"].contains(&term))
}

fn log_level(variable: Option<&str>, verbose: u8, quiet: bool) -> Result<Option<tracing::Level>, Refusal> {
    if let Some(text) = variable {
        return match text.parse() {
            Ok(level) => Ok(Some(level)),
            Err(_) if text == "off" => Ok(None),
            Err(_) => {
                Err(usage(&format!("P2P_CHAT_LOG is '{text}'; it takes error, warn, info, debug, trace or off.")))
            }
        };
    }
    Ok(Some(match (quiet, verbose) {
        (true, _) => tracing::Level::ERROR,
        (false, 0) => tracing::Level::WARN,
        (false, 1) => tracing::Level::INFO,
        (false, _) => tracing::Level::DEBUG,
    }))
}

fn usage(text: &str) -> Refusal {
    Refusal::new(Code::Usage, text)
}

impl From<When> for Color {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

const REGISTRY_PORT: u16 = 15_600;

/// Any address, any free port: the registry tells others where.
const LISTEN_DEFAULT: &str = "0.0.0.0:0";

/// Every variable the program reads here.
const VARIABLES: [&str; 8] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "P2P_CHAT_DATA_DIR",
    "P2P_CHAT_LOG",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "TERM",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str], variables: &[(&str, &str)], terminal: bool) -> Result<Plan, Refusal> {
        let flags = Flags::try_parse_from(std::iter::once(&"peer").chain(arguments)).unwrap();
        let all = variables.iter().chain(&[("HOME", "/nowhere"), ("TERM", "xterm")]);
        let variables = all.map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Plan::new(flags, &Environment { variables, stdin_is_terminal: terminal, stdout_is_terminal: terminal })
    }

    fn refused(arguments: &[&str]) -> String {
        let refusal = plan(arguments, &[], true).unwrap_err();
        format!("{}: {}", refusal.code, refusal.text.as_str())
    }

    #[test]
    fn flags_are_those_of_the_contract() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
        insta::assert_snapshot!(Flags::command().render_long_help());
    }

    #[test]
    fn registries_are_read() {
        let fingerprint = "00112233445566778899aabbccddeeff";
        let read = |text: &str| registry(text).map_err(|refusal| refusal.code);
        assert_eq!(read("a.example"), Ok(("a.example:15600".to_owned(), None)));
        assert_eq!(read("[::1]:7"), Ok(("[::1]:7".to_owned(), None)));
        let pinned = read(&format!("a:1#{}", fingerprint.to_uppercase()));
        assert_eq!(pinned, Ok(("a:1".to_owned(), Some(fingerprint.to_owned()))));
        for wrong in ["a:0", "a:port", ":1", "a:1#12", "::1", "", "a:70000"] {
            assert_eq!(read(wrong), Err(Code::Usage), "{wrong}");
        }
    }

    #[test]
    fn mistakes_name_the_nearest() {
        assert!(refused(&["--set", "bel=all"]).contains("'bell'"));
        assert!(refused(&["--set", "bell=al"]).contains("'all'"));
        assert!(refused(&["--set", "bell"]).starts_with("usage"));
        assert!(refused(&["--user", "A"]).starts_with("bad_name"));
        assert!(refused(&["--register"]).starts_with("usage"));
        assert!(refused(&["--set", "join=#dev, lobby"]).contains("'lobby'"));
        assert!(refused(&["--config", "/nowhere/peer.toml"]).starts_with("usage"));
    }

    #[test]
    fn rooms_to_enter_are_a_list() {
        let plan = plan(&["--set", "join=#Dev, #lobby"], &[], true).unwrap();
        assert_eq!(plan.join.iter().map(RoomName::as_str).collect::<Vec<_>>(), ["#dev", "#lobby"]);
    }

    #[test]
    fn the_configuration_file_gives_way_to_set_and_flags() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.toml");
        std::fs::write(&path, "registry = \"a:1\"\nuser = \"bob\"\nbell = \"all\"\npresence = false\n").unwrap();
        let path = path.to_str().unwrap();
        let plan = plan(&["--config", path, "--set", "user=carol", "b:2"], &[], true).unwrap();
        assert_eq!(plan.registry.as_deref(), Some("b:2"));
        assert_eq!(plan.user.unwrap().as_str(), "carol");
        assert_eq!(plan.settings.bell, crate::frontend::settings::Bell::All);
        assert!(!plan.settings.presence);
        std::fs::write(path, "nonsense = 1\n").unwrap();
        assert!(refused(&["--config", path]).starts_with("usage"));
    }

    #[test]
    fn colour_is_decided_in_the_order_users_expect() {
        let color = |arguments: &[&str], variables: &[(&str, &str)], terminal| {
            plan(arguments, variables, terminal).unwrap().color
        };
        let (no_color, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
        assert!(color(&[], &[], true));
        assert!(!color(&[], &[], false));
        assert!(!color(&[], &[no_color], true));
        assert!(!color(&[], &[no_color, force], true));
        assert!(color(&["--color", "always"], &[no_color], true));
        assert!(color(&[], &[force], false));
        assert!(!color(&["--set", "color=never"], &[force], true));
        assert!(!color(&["--plain"], &[], true));
        assert!(!color(&[], &[("TERM", "dumb")], true));
    }

    #[test]
    fn the_manual_page_knows_every_flag_and_setting() {
        let manual = include_str!("../../scripts/peer.1").replace('\\', "");
        let mut command = <Flags as clap::CommandFactory>::command();
        command.build();
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(manual.contains(&format!("--{flag}")), "--{flag} is not in scripts/peer.1");
        }
        for entry in ENTRIES {
            assert!(manual.contains(entry.key), "{} is not in scripts/peer.1", entry.key);
        }
    }

    #[test]
    fn folders_come_from_flag_variable_and_xdg() {
        let dir = |arguments: &[&str], variables: &[(&str, &str)]| plan(arguments, variables, true).unwrap().data_dir;
        assert_eq!(dir(&[], &[]), Path::new("/nowhere/.local/share/p2p-chat/peer"));
        assert_eq!(dir(&[], &[("XDG_DATA_HOME", "/data")]), Path::new("/data/p2p-chat/peer"));
        assert_eq!(dir(&[], &[("P2P_CHAT_DATA_DIR", "/own")]), Path::new("/own"));
        assert_eq!(dir(&["--data-dir", "/flag"], &[("P2P_CHAT_DATA_DIR", "/own")]), Path::new("/flag"));
    }
}
