//! What the machine itself allows: the same bytes over the same sockets, with nothing decided and nothing stored.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use common::secure::handshake::Handshake;
use common::secure::seal::{Opener, Sealer};
use common::thread::{Handle, spawn};
use common::wire::batch::{self, Batch};
use common::wire::codec;
use common::wire::frame::FrameDecoder;
use crossbeam_channel::bounded;

use super::lines::Incoming;
use super::talk::{Listener, Speaker, Stage};
use crate::wire::Person;

/// Two connected sockets that do not wait in order to batch.
pub(super) fn connected() -> io::Result<[TcpStream; 2]> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok([near, far])
}

/// A line of text through two threads of somebody else: one reads, one writes.
pub(super) fn two_hops() -> io::Result<Stage> {
    let [near, mut far] = connected()?;
    let [mut out, heard] = connected()?;
    let (piece, pieces) = bounded::<Vec<u8>>(QUEUE);
    let reader = spawn("hop-read", move || {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(count @ 1..) = far.read(&mut buffer) {
            if piece.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    })?;
    let writer = spawn("hop-write", move || {
        while let Ok(bytes) = pieces.recv() {
            if out.write_all(&bytes).is_err() {
                break;
            }
        }
    })?;
    let closing = Closing { socket: near.try_clone()?, threads: vec![reader, writer] };
    let listeners: Vec<Box<dyn Listener>> = vec![Box::new(Lines(Incoming::new(heard)))];
    Ok(Stage { speaker: Box::new(Plain(near)), receipts: None, listeners, _keeps: vec![Box::new(closing)] })
}

/// One thread that seals for each listener and writes to each.
pub(super) fn sealed(listeners: usize) -> io::Result<Stage> {
    let mut links = Vec::new();
    let mut ears: Vec<Box<dyn Listener>> = Vec::new();
    for _ in 0..listeners {
        let [near, far] = connected()?;
        let (sealer, opener) = halves();
        links.push((near, sealer));
        let decoder = FrameDecoder::new(common::limits::FRAME_BYTES_MAX);
        ears.push(Box::new(Opening { socket: far, opener, decoder }));
    }
    let speaker = Box::new(Sealing { links, batch: Batch::default(), plaintexts: Vec::new() });
    Ok(Stage { speaker, receipts: None, listeners: ears, _keeps: Vec::new() })
}

/// One direction of a sealed link.
pub(super) fn halves() -> (Sealer, Opener) {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut dialer = Handshake::peer_dialer(alice.keys.device_secret(), bob.keys.device());
    let mut answerer = Handshake::peer_answerer(bob.keys.device_secret());
    let fits = "two ends of one handshake fit";
    for _ in 0..2 {
        answerer.read(&dialer.write(&[]).expect(fits)).expect(fits);
        if answerer.remote().is_none() {
            dialer.read(&answerer.write(&[]).expect(fits)).expect(fits);
        }
    }
    (dialer.finish().expect(fits).0, answerer.finish().expect(fits).1)
}

/// A socket whose end ends the threads behind it.
struct Closing {
    socket: TcpStream,
    threads: Vec<Handle>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.threads.clear();
    }
}

struct Plain(TcpStream);

impl Speaker for Plain {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.0.write_all((texts.join("\n") + "\n").as_bytes())
    }
}

struct Lines(Incoming<TcpStream>);

impl Listener for Lines {
    fn hear(&mut self) -> io::Result<u64> {
        self.0.count_lines(|_| true)
    }
}

struct Sealing {
    links: Vec<(TcpStream, Sealer)>,
    batch: Batch,
    plaintexts: Vec<Vec<u8>>,
}

impl Speaker for Sealing {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.plaintexts.clear();
        for text in texts {
            let encoded = codec::encode(text);
            if !self.batch.push_encoded(&encoded) {
                self.end_batch();
                assert!(self.batch.push_encoded(&encoded), "one text fits an empty batch");
            }
        }
        self.end_batch();
        for (socket, sealer) in &mut self.links {
            let mut frames = Vec::new();
            self.plaintexts.iter().for_each(|plaintext| sealer.seal(plaintext, &mut frames));
            socket.write_all(&frames)?;
        }
        Ok(())
    }
}

impl Sealing {
    fn end_batch(&mut self) {
        let mut plaintext = Vec::new();
        self.batch.take_padded(&mut plaintext);
        self.plaintexts.push(plaintext);
    }
}

struct Opening {
    socket: TcpStream,
    opener: Opener,
    decoder: FrameDecoder,
}

impl Listener for Opening {
    fn hear(&mut self) -> io::Result<u64> {
        loop {
            let mut count = 0;
            while let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                let plaintext = self.opener.open(frame).map_err(io::Error::other)?;
                count += batch::read::<String>(plaintext).map_err(io::Error::other)?.len() as u64;
            }
            if count > 0 {
                return Ok(count);
            }
            if self.decoder.fill(&mut self.socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

const QUEUE: usize = 64;
const READ_BYTES: usize = 64 * 1024;
