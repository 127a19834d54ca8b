//! MQTT 3.1.1 with quality of service 1: the server keeps a message until its receiver has acknowledged it, and tells
//! the publisher that it has it. The one contender that acknowledges.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::super::lines::Incoming;
use super::super::talk::{Listener, Speaker};
use super::{Contender, Ends, Protocol, dial};

pub(super) const MOSQUITTO: Contender = Contender {
    name: "mosquitto QoS 1",
    package: "mosquitto",
    program: "mosquitto",
    command,
    protocol: Protocol { connect, stage, has_rooms: true },
};

fn command(program: &Path, folder: &Path, address: SocketAddr) -> io::Result<Command> {
    let file = folder.join("mosquitto.conf");
    let text = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n\
         max_inflight_messages 0\nlog_dest none\n",
        address.port()
    );
    std::fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(file);
    Ok(command)
}

fn connect(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut stream = dial(address)?;
    // Protocol level 4, a clean session, and no keep-alive.
    let body = [field(b"MQTT"), vec![4, 2, 0, 0], field(name.as_bytes())].concat();
    stream.write_all(&packet(CONNECT, &body))?;
    let mut incoming = Packets(Incoming::new(stream));
    incoming.next_of(CONNACK)?;
    incoming.0.source().try_clone()
}

fn stage(address: SocketAddr, listeners: usize) -> io::Result<Ends> {
    let mut all: Vec<Box<dyn Listener>> = Vec::new();
    for number in 0..listeners {
        let mut stream = connect(address, &format!("listener{number}"))?;
        let body = [vec![0, 1], field(TOPIC), vec![1]].concat();
        stream.write_all(&packet(SUBSCRIBE, &body))?;
        let mut incoming = Packets(Incoming::new(stream));
        incoming.next_of(SUBACK)?;
        all.push(Box::new(Heard { incoming, answers: Vec::new() }));
    }
    let stream = connect(address, "speaker")?;
    let receipts: Option<Box<dyn Listener>> = Some(Box::new(Kept(Packets(Incoming::new(stream.try_clone()?)))));
    Ok(Ends { speaker: Box::new(Publishing { stream, number: 0 }), receipts, listeners: all })
}

struct Publishing {
    stream: TcpStream,
    number: u16,
}

impl Speaker for Publishing {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        let mut packets = Vec::new();
        for text in texts {
            self.number = self.number.checked_add(1).unwrap_or(1);
            let body = [field(TOPIC), self.number.to_be_bytes().to_vec(), text.as_bytes().to_vec()].concat();
            packets.extend(packet(PUBLISH_AT_LEAST_ONCE, &body));
        }
        self.stream.write_all(&packets)
    }
}

/// A listener acknowledges what it hears.
struct Heard {
    incoming: Packets,
    answers: Vec<u8>,
}

impl Listener for Heard {
    fn hear(&mut self) -> io::Result<u64> {
        self.answers.clear();
        let answers = &mut self.answers;
        let count = self.incoming.count(|kind, body| {
            if kind & KIND != PUBLISH_AT_LEAST_ONCE & KIND {
                return false;
            }
            let number = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            answers.extend(packet(PUBACK, &body[number..number + 2]));
            true
        })?;
        self.incoming.0.source().write_all(&self.answers)?;
        Ok(count)
    }
}

/// The server's word that it has a message.
struct Kept(Packets);

impl Listener for Kept {
    fn hear(&mut self) -> io::Result<u64> {
        self.0.count(|kind, _| kind == PUBACK)
    }
}

struct Packets(Incoming<TcpStream>);

impl Packets {
    fn next_of(&mut self, wanted: u8) -> io::Result<u64> {
        self.count(|kind, _| kind == wanted)
    }

    /// How many of the packets that are here are wanted; waits until one is.
    fn count(&mut self, mut wanted: impl FnMut(u8, &[u8]) -> bool) -> io::Result<u64> {
        loop {
            let mut count = 0;
            while let Some((kind, begin, end)) = whole(self.0.held()) {
                count += u64::from(wanted(kind, &self.0.held()[begin..end]));
                self.0.take(end);
            }
            if count > 0 {
                return Ok(count);
            }
            self.0.fill()?;
        }
    }
}

/// Kind of the first packet, and where its body begins and ends, if all of it is here.
fn whole(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (mut length, mut shift, mut at) = (0, 0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f) << shift;
        (shift, at) = (shift + 7, at + 1);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (bytes.len() >= at + length).then(|| (bytes[0], at, at + length))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).expect("seven bits");
        length /= 128;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// Text behind its length.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short name");
    [length.to_be_bytes().as_slice(), bytes].concat()
}

const TOPIC: &[u8] = b"bench";
const KIND: u8 = 0xf0;
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH_AT_LEAST_ONCE: u8 = 0x32;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_any_length_are_found_whole() {
        for length in [0, 127, 128, 20_000] {
            let bytes = packet(PUBACK, &vec![7; length]);
            assert_eq!(whole(&bytes), Some((PUBACK, bytes.len() - length, bytes.len())));
            assert_eq!(whole(&bytes[..bytes.len() - 1]), None);
        }
    }
}
