//! The command line of `registry`. Kept apart from `main` so that a test can hold the manual page against it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Accounts, presence and rooms for a peer-to-peer chat. What people say never comes here.
#[derive(Debug, Parser)]
#[command(name = "registry", bin_name = "registry", version, args_conflicts_with_subcommands = true)]
pub struct Flags {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the registry; the same as no command.
    Serve(Serve),
    /// List accounts, let people in, keep them out. Works while the registry runs.
    User(User),
    /// Write database and keys to one new file, a tar archive. Works while the registry runs.
    Backup {
        /// The file to make; it must not exist.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Look whether database and keys are whole.
    Check(Place),
    /// Print how much there is and what was refused. Of a registry that does not run: that it does not.
    Stats {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Print the fingerprint that peers compare.
    Fingerprint(Place),
}

#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    pub action: UserAction,
}

#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Print every account: name, online, offline or suspended, and when it was last seen (seconds since 1970).
    List(Place),
    /// Print a token with which NAME can sign up once, whatever sign_up says.
    Add(Named),
    /// Print a token with which NAME can begin anew, with another password and other keys.
    Reset(Named),
    /// Close NAME's session and let nobody sign in as NAME.
    Suspend(Named),
    /// Let NAME sign in again.
    Resume(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The account.
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen; port 0 picks a free one. Default: port 15600 of every address.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object per line on stdout; the first says where it listens.
    #[arg(long)]
    pub json: bool,
    /// Log more; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log errors only.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Place {
    /// The folder that holds everything. Default: p2p-chat/registry in your data folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A TOML file. Default: p2p-chat/registry.toml in your configuration folder, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration, such as limits.sessions=4096.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every command and every flag, with those of the commands below it.
    fn words(command: &clap::Command) -> Vec<String> {
        let flags = command.get_arguments().flat_map(|argument| {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            [long, short]
        });
        let below =
            command.get_subcommands().flat_map(|below| [vec![below.get_name().to_owned()], words(below)].concat());
        flags.flatten().chain(below.filter(|word| word != "help")).collect()
    }

    #[test]
    fn the_manual_page_knows_every_command_and_flag() {
        let manual = include_str!("../../scripts/registry.1").replace('\\', "");
        let mut command = Flags::command();
        command.build();
        for word in words(&command) {
            assert!(manual.contains(&word), "{word} is not in scripts/registry.1");
        }
    }
}
