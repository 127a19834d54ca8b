//! NATS: a subject that one publishes to and others have subscribed to.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::super::lines::Incoming;
use super::super::talk::{Listener, Speaker};
use super::{Contender, Ends, Protocol, dial};

pub(super) const NATS: Contender = Contender {
    name: "NATS",
    package: "nats-server",
    program: "nats-server",
    command,
    protocol: Protocol { connect, stage, has_rooms: true },
};

fn command(program: &Path, _: &Path, address: SocketAddr) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(["--addr", "127.0.0.1", "--port", &address.port().to_string()]);
    Ok(command)
}

fn connect(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut stream = dial(address)?;
    let options = r#"{"verbose":false,"pedantic":false,"lang":"rust","version":"0","protocol":0,"name":"#;
    stream.write_all(format!("CONNECT {options}\"{name}\"}}\r\nPING\r\n").as_bytes())?;
    let mut incoming = Incoming::new(stream);
    incoming.line(|line| line == "PONG")?;
    incoming.source().try_clone()
}

fn stage(address: SocketAddr, listeners: usize) -> io::Result<Ends> {
    let mut all: Vec<Box<dyn Listener>> = Vec::new();
    for number in 0..listeners {
        let mut stream = connect(address, &format!("listener{number}"))?;
        stream.write_all(b"SUB bench 1\r\nPING\r\n")?;
        let mut incoming = Incoming::new(stream);
        incoming.line(|line| line == "PONG")?;
        all.push(Box::new(Heard(incoming)));
    }
    let speaker = Box::new(Publishing { stream: connect(address, "speaker")?, lines: String::new() });
    Ok(Ends { speaker, receipts: None, listeners: all })
}

struct Publishing {
    stream: TcpStream,
    lines: String,
}

impl Speaker for Publishing {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.lines.clear();
        for text in texts {
            self.lines.push_str(&format!("PUB bench {}\r\n{text}\r\n", text.len()));
        }
        self.stream.write_all(self.lines.as_bytes())
    }
}

struct Heard(Incoming<TcpStream>);

impl Listener for Heard {
    fn hear(&mut self) -> io::Result<u64> {
        // The text of a message stands in a line of its own behind this one. A server that asks is answered.
        let pings = std::cell::Cell::new(0);
        let count = self.0.count_lines(|line| {
            pings.set(pings.get() + usize::from(line.starts_with(b"PING")));
            line.starts_with(b"MSG ")
        })?;
        self.0.source().write_all("PONG\r\n".repeat(pings.get()).as_bytes())?;
        Ok(count)
    }
}
