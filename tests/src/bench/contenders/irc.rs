//! IRC (RFC 2812): `PRIVMSG` to a person or a channel.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::super::lines::{Incoming, contains};
use super::super::talk::{Listener, Speaker};
use super::{Contender, Ends, Protocol, dial};

pub(super) const NGIRCD: Contender =
    Contender { name: "ngircd", package: "ngircd", program: "ngircd", command: ngircd, protocol: IRC };

pub(super) const INSPIRCD: Contender =
    Contender { name: "inspircd", package: "inspircd", program: "inspircd", command: inspircd, protocol: IRC };

const IRC: Protocol = Protocol { connect, stage, has_rooms: true };

fn ngircd(program: &Path, folder: &Path, address: SocketAddr) -> io::Result<Command> {
    let file = folder.join("ngircd.conf");
    let text = format!(
        "[Global]\nName = bench.local\nInfo = bench\nListen = 127.0.0.1\nPorts = {}\nMotdPhrase = hi\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\nPingTimeout = 3600\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\nChrootDir =\n",
        address.port()
    );
    std::fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("--nodaemon").arg("--config").arg(file);
    Ok(command)
}

fn inspircd(program: &Path, folder: &Path, address: SocketAddr) -> io::Result<Command> {
    let file = folder.join("inspircd.conf");
    let log = folder.join("log");
    let text = format!(
        "<server name=\"bench.local\" description=\"bench\" network=\"bench\" id=\"1AA\">\n\
         <admin name=\"a\" nick=\"a\" email=\"a@bench.local\">\n\
         <bind address=\"127.0.0.1\" port=\"{}\" type=\"clients\">\n\
         <connect allow=\"*\" timeout=\"60\" pingfreq=\"3600\" hardsendq=\"64M\" softsendq=\"64M\" recvq=\"1M\" \
         localmax=\"100000\" globalmax=\"100000\" maxconnwarn=\"no\" threshold=\"{}\" commandrate=\"{}\" \
         fakelag=\"no\" resolvehostnames=\"no\" useident=\"no\">\n\
         <performance softlimit=\"20000\" somaxconn=\"4096\">\n\
         <pid file=\"{}\">\n<log method=\"file\" type=\"*\" level=\"default\" target=\"{}\">\n",
        address.port(),
        INSPIRCD_THRESHOLD,
        INSPIRCD_COMMAND_RATE,
        folder.join("pid").display(),
        log.display(),
    );
    std::fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.args(["--nofork", "--runasroot"]).arg("--config").arg(file);
    Ok(command)
}

fn connect(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut stream = dial(address)?;
    stream.write_all(format!("NICK {name}\r\nUSER {name} 0 * :{name}\r\n").as_bytes())?;
    let mut incoming = Incoming::new(stream);
    loop {
        let line =
            incoming.line(|line| line.starts_with("PING") || line.contains(" 376 ") || line.contains(" 422 "))?;
        let Some(token) = line.strip_prefix("PING ") else { return incoming.source().try_clone() };
        let answer = format!("PONG {token}\r\n");
        incoming.source().write_all(answer.as_bytes())?;
    }
}

fn stage(address: SocketAddr, listeners: usize) -> io::Result<Ends> {
    let speaker = connect(address, "speaker")?;
    let target = if listeners == 1 { "listener0" } else { "#bench" };
    let enter = |mut stream: TcpStream| {
        let mut incoming = Incoming::new(stream.try_clone()?);
        if listeners > 1 {
            stream.write_all(format!("JOIN {target}\r\n").as_bytes())?;
            incoming.line(|line| line.contains(" 366 "))?;
        }
        Ok::<_, io::Error>(incoming)
    };
    enter(speaker.try_clone()?)?;
    let mut all: Vec<Box<dyn Listener>> = Vec::new();
    for number in 0..listeners {
        all.push(Box::new(Heard(enter(connect(address, &format!("listener{number}"))?)?)));
    }
    let speaker = Box::new(Saying { stream: speaker, target: target.to_owned(), lines: String::new() });
    Ok(Ends { speaker, receipts: None, listeners: all })
}

struct Saying {
    stream: TcpStream,
    target: String,
    lines: String,
}

impl Speaker for Saying {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.lines.clear();
        for text in texts {
            self.lines.extend(["PRIVMSG ", self.target.as_str(), " :", text, "\r\n"]);
        }
        self.stream.write_all(self.lines.as_bytes())
    }
}

struct Heard(Incoming<TcpStream>);

impl Listener for Heard {
    fn hear(&mut self) -> io::Result<u64> {
        self.0.count_lines(|line| contains(line, b" PRIVMSG "))
    }
}

/// It puts out whoever has said this many lines within the second: there is no other way to have it not count them.
const INSPIRCD_THRESHOLD: u32 = 4_000_000;
/// A thousandth of a line a second that it forgives; it does so once a second.
const INSPIRCD_COMMAND_RATE: u32 = 2_000_000_000;
