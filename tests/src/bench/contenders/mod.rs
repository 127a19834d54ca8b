//! What people use instead, as Debian packages it: servers that pass messages on, each with the plain client of its
//! protocol. None of them encrypts or stores here, and only MQTT's quality of service 1 acknowledges.

mod irc;
mod mqtt;
mod nats;
mod xmpp;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tempfile::TempDir;

use super::child::{Running, free_port, installed};
use super::contestant::{Candidate, Contestant, Kind};
use super::plan::Plan;
use super::talk::{Listener, Speaker, Stage};

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// The package, and the program in it.
    package: &'static str,
    program: &'static str,
    /// Writes what it needs into the folder, and says how it is started there.
    command: fn(&Path, &Path, SocketAddr) -> io::Result<std::process::Command>,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy)]
struct Protocol {
    /// One who is signed in under a name.
    connect: fn(SocketAddr, &str) -> io::Result<TcpStream>,
    /// Makes connections a speaker and listeners of one topic.
    stage: fn(SocketAddr, usize) -> io::Result<Ends>,
    /// Several can listen.
    has_rooms: bool,
}

/// Who speaks and who listens.
struct Ends {
    speaker: Box<dyn Speaker>,
    receipts: Option<Box<dyn Listener>>,
    listeners: Vec<Box<dyn Listener>>,
}

/// A contender that runs.
pub(super) struct Server {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
    contender: Contender,
    _folder: TempDir,
}

/// Everybody who passes messages from one to another.
pub(super) const ALL: [Contender; 5] = [irc::NGIRCD, irc::INSPIRCD, mqtt::MOSQUITTO, nats::NATS, xmpp::PROSODY];

impl Contender {
    fn start(self, only_in: Option<&Path>) -> io::Result<Server> {
        let program = installed(self.program, only_in)?;
        let folder = TempDir::new()?;
        let address = free_port()?;
        let mut command = (self.command)(&program, folder.path(), address)?;
        let running = Running::serve(&mut command, address)?;
        Ok(Server { running, address, contender: self, _folder: folder })
    }

    /// As a candidate of a row.
    pub(super) fn candidate(
        self,
        begin: impl FnOnce(Server) -> io::Result<Box<dyn Contestant>> + 'static,
    ) -> Candidate {
        let start = Box::new(move |plan: &Plan| begin(self.start(plan.contenders.as_deref())?));
        Candidate { name: self.name, kind: Kind::Contender, package: Some(self.package), start }
    }

    pub(super) fn has_rooms(self) -> bool {
        self.protocol.has_rooms
    }
}

impl Server {
    pub(super) fn connect(&self, name: &str) -> io::Result<TcpStream> {
        (self.contender.protocol.connect)(self.address, name)
    }

    /// One speaker and so many listeners.
    pub(super) fn stage(self, listeners: usize) -> io::Result<Stage> {
        let Ends { speaker, receipts, listeners } = (self.contender.protocol.stage)(self.address, listeners)?;
        Ok(Stage { speaker, receipts, listeners, _keeps: vec![Box::new(self)] })
    }
}

/// A connection that waits for nobody in order to batch.
fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
