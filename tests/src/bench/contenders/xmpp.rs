//! XMPP (RFC 6120), signed in anonymously and without TLS: a message stanza from one full address to another.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::super::lines::Incoming;
use super::super::talk::{Listener, Speaker};
use super::{Contender, Ends, Protocol, dial};

pub(super) const PROSODY: Contender = Contender {
    name: "prosody",
    package: "prosody",
    program: "prosody",
    command,
    protocol: Protocol { connect, stage, has_rooms: false },
};

fn command(program: &Path, folder: &Path, address: SocketAddr) -> io::Result<Command> {
    let file = folder.join("prosody.cfg.lua");
    let text = format!(
        "run_as_root = true\ndaemonize = false\npidfile = \"{0}/pid\"\ndata_path = \"{0}\"\nlog = {{ error = \"{0}/log\" }}\n\
         modules_enabled = {{ \"saslauth\" }}\nmodules_disabled = {{ \"s2s\", \"tls\" }}\n\
         interfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {1} }}\ns2s_ports = {{}}\n\
         c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n\
         VirtualHost \"bench.local\"\nauthentication = \"anonymous\"\n",
        folder.display(),
        address.port()
    );
    std::fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-F").arg("--config").arg(file);
    Ok(command)
}

fn connect(address: SocketAddr, _: &str) -> io::Result<TcpStream> {
    bound(address).map(|(stream, _)| stream)
}

/// A session and its full address.
fn bound(address: SocketAddr) -> io::Result<(TcpStream, String)> {
    let mut incoming = Incoming::new(dial(address)?);
    let open = "<?xml version='1.0'?><stream:stream to='bench.local' xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    say(&mut incoming, open)?;
    until(&mut incoming, "</stream:features>")?;
    say(&mut incoming, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")?;
    until(&mut incoming, "<success")?;
    say(&mut incoming, open)?;
    until(&mut incoming, "</stream:features>")?;
    say(&mut incoming, "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")?;
    let answer = until(&mut incoming, "</iq>")?;
    let jid = answer.split("<jid>").nth(1).and_then(|rest| rest.split("</jid>").next());
    let jid = jid.ok_or_else(|| io::Error::other("no address in the answer"))?.to_owned();
    Ok((incoming.source().try_clone()?, jid))
}

fn say(incoming: &mut Incoming<TcpStream>, stanza: &str) -> io::Result<()> {
    incoming.source().write_all(stanza.as_bytes())
}

/// Everything up to and with `end`.
fn until(incoming: &mut Incoming<TcpStream>, end: &str) -> io::Result<String> {
    loop {
        let held = String::from_utf8_lossy(incoming.held()).into_owned();
        if let Some(at) = held.find(end) {
            // Up to the end of the element, if that is not the end of it.
            let rest = held[at..].find('>').map_or(end.len(), |close| close + 1);
            incoming.take(at + rest.max(end.len()));
            return Ok(held[..at].to_owned());
        }
        incoming.fill()?;
    }
}

fn stage(address: SocketAddr, _: usize) -> io::Result<Ends> {
    let (listener, target) = bound(address)?;
    let (speaker, _) = bound(address)?;
    let listeners: Vec<Box<dyn Listener>> = vec![Box::new(Heard(Incoming::new(listener)))];
    let speaker = Box::new(Stanzas { stream: speaker, target, text: String::new() });
    Ok(Ends { speaker, receipts: None, listeners })
}

struct Stanzas {
    stream: TcpStream,
    target: String,
    text: String,
}

impl Speaker for Stanzas {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.text.clear();
        for text in texts {
            let stanza = ["<message to='", &self.target, "' type='chat'><body>", text, "</body></message>"];
            self.text.extend(stanza);
        }
        self.stream.write_all(self.text.as_bytes())
    }
}

struct Heard(Incoming<TcpStream>);

impl Listener for Heard {
    fn hear(&mut self) -> io::Result<u64> {
        loop {
            let mut count = 0;
            while let Some(at) = self.0.held().windows(END.len()).position(|window| window == END) {
                self.0.take(at + END.len());
                count += 1;
            }
            if count > 0 {
                return Ok(count);
            }
            self.0.fill()?;
        }
    }
}

const END: &[u8] = b"</message>";
