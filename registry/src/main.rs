//! The program `registry`: flags, logging, signals and exit codes around `registry::server`. Tells people on stderr,
//! programs on stdout.

#![expect(clippy::disallowed_methods, reason = "the environment is read here")]

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use common::visible::{self, LogLines};
use registry::config::{Config, ConfigError};
use registry::server::Server;
use registry::store::Store;
use registry::store::folder::{self, Folder};
use registry::store::sqlite::SqliteStore;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Accounts, presence and rooms for a peer-to-peer chat. What people say never comes here.
#[derive(Debug, Parser)]
#[command(name = "registry", bin_name = "registry", version, args_conflicts_with_subcommands = true)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the registry; the same as no command.
    Serve(Serve),
    /// Print the fingerprint that peers compare.
    Fingerprint(Place),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to listen; port 0 picks a free one. Default: port 15600 of every address.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object per line on stdout; the first says where it listens.
    #[arg(long)]
    json: bool,
    /// Log more; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log errors only.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct Place {
    /// The folder that holds everything. Default: p2p-chat/registry in your data folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A TOML file. Default: p2p-chat/registry.toml in your configuration folder, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key of the configuration, such as limits.sessions=4096.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

fn main() -> ExitCode {
    common::process::forbid_dumps();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return misused(&error),
    };
    let result = match flags.command {
        Some(Command::Fingerprint(place)) => fingerprint(&place),
        Some(Command::Serve(serve)) => run(&serve),
        None => run(&flags.serve),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    say(&format!("{error:#}"));
    ExitCode::from(if error.is::<ConfigError>() { EXIT_USAGE } else { EXIT_FAILED })
}

// The words of a mistake repeat what was typed, or pasted from somewhere.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let _ = write!(io::stderr().lock(), "{}", visible::lines(&error.render().to_string()));
    ExitCode::from(EXIT_USAGE)
}

fn fingerprint(place: &Place) -> anyhow::Result<()> {
    let config = load(place)?;
    let realm = folder::realm_of(&data_dir(place, &config)?)?;
    writeln!(io::stdout().lock(), "{}", realm.fingerprint()).context("Cannot write to stdout")
}

fn run(serve: &Serve) -> anyhow::Result<()> {
    let mut config = load(&serve.place)?;
    config.settings.listen = serve.listen.or(config.settings.listen);
    start_logging(serve);
    let mut signals = catch_signals().context("Cannot catch signals")?;

    let folder = Folder::open(&data_dir(&serve.place, &config)?)?;
    let keys = folder.keys()?;
    let store = Arc::new(SqliteStore::open(&folder.database()?, &keys.realm())?);
    let server = Server::start(&config.settings, &keys, Arc::clone(&store) as Arc<dyn Store>)?;
    announce(&server, serve);

    signals.forever().next();
    tracing::info!("stopping");
    server.stop();
    // The writer commits what has queued; whoever waited for it has its answer, but last-seen times wait for nobody.
    store.flush().context("The last changes could not be written")
}

fn load(place: &Place) -> Result<Config, ConfigError> {
    let default = || folder_of("XDG_CONFIG_HOME", ".config").map(|path| path.join(CONFIG_PATH));
    let file = place.config.clone().or_else(|| default().filter(|path| path.exists()));
    Config::load(file.as_deref(), &place.sets)
}

fn data_dir(place: &Place, config: &Config) -> anyhow::Result<PathBuf> {
    let given = place.data_dir.clone().or_else(|| config.data_dir.clone());
    let default = || folder_of("XDG_DATA_HOME", ".local/share").map(|path| path.join(DATA_PATH));
    given.or_else(default).context("There is no home folder to keep data in. Name a folder with --data-dir.")
}

fn folder_of(variable: &str, beneath_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(Path::new(beneath_home))))
}

fn start_logging(serve: &Serve) {
    let level = match (serve.quiet, serve.verbose) {
        (true, _) => tracing::Level::ERROR,
        (false, 0) => tracing::Level::INFO,
        (false, 1) => tracing::Level::DEBUG,
        (false, _) => tracing::Level::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(Mutex::new(LogLines::new(io::stderr())));
    // A log that nobody reads any more is no reason to end.
    builder.with_ansi(false).with_target(false).log_internal_errors(false).init();
}

// The first signal is read by `run`; from then on one more ends the process at once.
fn catch_signals() -> io::Result<Signals> {
    let is_second = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&is_second))?;
        signal_hook::flag::register(signal, Arc::clone(&is_second))?;
    }
    Signals::new([SIGTERM, SIGINT])
}

// Whoever reads it may be gone; that is no reason not to serve.
fn announce(server: &Server, serve: &Serve) {
    let (address, fingerprint) = (server.address(), server.fingerprint());
    if serve.json {
        // An address and hexadecimal digits have nothing to escape.
        let ready = format!(r#"{{"type":"ready","listen":"{address}","realm":"{fingerprint}"}}"#);
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{ready}").and_then(|()| stdout.flush());
    }
    if !serve.quiet {
        say(&format!("Ready on {address}. Peers: peer {}#{fingerprint}", reachable(address)));
    }
}

// An address that others can dial: for a listener on all addresses, the one this machine would leave by.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    // Connecting a datagram socket sends nothing; it only chooses a route (to an address kept for documentation).
    let route = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    });
    let ip = route.map_or(IpAddr::from([127, 0, 0, 1]), |local| local.ip());
    SocketAddr::new(ip, address.port())
}

fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible::line(line));
}

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const DATA_PATH: &str = "p2p-chat/registry";
const CONFIG_PATH: &str = "p2p-chat/registry.toml";
