//! What every part of the node needs at hand: the time, the way out, fresh numbers and randomness, and which command
//! is being worked on.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use common::ids::{self, ChainId, MailSalt, RootKey};
use common::limits::ADDRESSES_MAX;
use common::message::registry::{Code, Refusal};
use common::names::UserName;
use common::secret::Secret;
use common::time::Now;

use crate::api::{Event, Told};
use crate::ports::{DialId, Output};

#[derive(Debug)]
pub(super) struct Context {
    pub(super) now: Now,
    pub(super) out: VecDeque<Output>,
    /// Events told since the start of the program, and how many of them the front-end has written out.
    pub(super) told: u64,
    pub(super) written: u64,
    /// It cannot write any more.
    pub(super) output_lost: bool,
    pub(super) settings: Settings,
    /// Where others may find us, as known since the registry was last reached.
    pub(super) own_addresses: Vec<SocketAddr>,
    /// Who is signing out while the log is being closed.
    pub(super) leaving: Option<UserName>,
    seed: Secret<[u8; 32]>,
    drawn: u64,
    last_number: u64,
    /// The command that runs and has not been answered.
    running: Option<Option<String>>,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) registry: String,
    pub(super) fingerprint: Option<String>,
    pub(super) pinned: Option<RootKey>,
    pub(super) trust_new_realm: bool,
    pub(super) can_ask: bool,
    pub(super) listen: SocketAddr,
}

impl Context {
    pub(super) fn new(now: Now, settings: Settings, seed: Secret<[u8; 32]>) -> Self {
        Self {
            now,
            out: VecDeque::new(),
            told: 0,
            written: 0,
            output_lost: false,
            settings,
            own_addresses: Vec::new(),
            leaving: None,
            seed,
            drawn: 0,
            last_number: 0,
            running: None,
        }
    }

    /// An event that answers nothing.
    pub(super) fn tell(&mut self, event: Event) {
        self.answer(None, event);
    }

    /// An event that answers a command, which may go on.
    pub(super) fn answer(&mut self, re: Option<String>, event: Event) {
        self.told += 1;
        self.out.push_back(Output::Tell(Told { re, event }));
    }

    /// An error that answers a command.
    pub(super) fn refuse(&mut self, re: Option<String>, refusal: Refusal) {
        self.answer(re, Event::Refused(refusal));
    }

    /// The command goes on until `finish`, `fail` or `done`; those behind it wait.
    pub(super) fn wait(&mut self, re: Option<String>) {
        self.running = Some(re);
    }

    /// The mark of the running command, for an event that does not end it.
    pub(super) fn mark(&self) -> Option<String> {
        self.running.clone().flatten()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.running.is_some()
    }

    /// Ends the running command; returns its mark.
    pub(super) fn done(&mut self) -> Option<String> {
        self.running.take().flatten()
    }

    /// Answers the running command and ends it.
    pub(super) fn finish(&mut self, event: Event) {
        let re = self.done();
        self.answer(re, event);
    }

    /// Refuses the running command and ends it.
    pub(super) fn fail(&mut self, refusal: Refusal) {
        self.finish(Event::Refused(refusal));
    }

    /// The registry was reached from `local` on a machine with these interfaces: what to announce follows from that.
    /// Loopback counts only if the registry is there too, or if nothing else is listened on.
    /// Whether that is something else than before.
    pub(super) fn reached_registry(&mut self, local: SocketAddr, interfaces: &[IpAddr]) -> bool {
        let addresses = self.reachable_at(local, interfaces);
        let changed = self.own_addresses != addresses;
        self.own_addresses = addresses;
        changed
    }

    fn reachable_at(&self, local: SocketAddr, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
        let listen = self.settings.listen;
        if !listen.ip().is_unspecified() {
            return vec![listen];
        }
        let usable = |ip: &IpAddr| match ip {
            _ if ip.is_loopback() => local.ip().to_canonical().is_loopback() && (ip.is_ipv4() || listen.is_ipv6()),
            IpAddr::V4(_) => true,
            // A link-local address means nothing without its interface.
            IpAddr::V6(ip) => listen.is_ipv6() && !ip.is_unicast_link_local(),
        };
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for ip in interfaces.iter().copied().filter(usable).chain([local.ip().to_canonical()]) {
            let address = SocketAddr::new(ip, listen.port());
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.truncate(ADDRESSES_MAX);
        addresses
    }

    /// A number never given before by this node.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The number of a request to the registry.
    pub(super) fn request_id(&mut self) -> u32 {
        // Wrapping is harmless: nothing waits for four billion requests.
        u32::try_from(self.number() & u64::from(u32::MAX)).expect("masked to 32 bits")
    }

    pub(super) fn dial_id(&mut self) -> DialId {
        DialId(self.number())
    }

    pub(super) fn chain_id(&mut self) -> ChainId {
        let [head @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.draw();
        ChainId(head)
    }

    pub(super) fn mail_salt(&mut self) -> MailSalt {
        MailSalt(self.draw())
    }

    /// Random bytes for one use.
    pub(super) fn secret(&mut self) -> Secret<[u8; 32]> {
        Secret::new(self.draw())
    }

    /// A number from 0 to below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.draw();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound.max(1)
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        ids::hash("p2p-chat node randomness v1", &[self.seed.expose(), &self.drawn.to_be_bytes()])
    }
}

/// The registry cannot be asked just now.
pub(super) fn no_registry(what: &str) -> Refusal {
    let text =
        format!("{what}: the registry is unreachable. It is tried again; what you write to people still goes out.");
    Refusal::new(Code::Unreachable, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(listen: &str) -> Context {
        let listen = listen.parse().unwrap();
        let (registry, fingerprint, pinned) = ("home:15600".to_owned(), None, None);
        let settings = Settings { registry, fingerprint, pinned, trust_new_realm: false, can_ask: false, listen };
        Context::new(Now::default(), settings, Secret::new([1; 32]))
    }

    fn check(listen: &str, local: &str, interfaces: &[&str], announced: &[&str]) {
        let interfaces: Vec<IpAddr> = interfaces.iter().map(|ip| ip.parse().unwrap()).collect();
        let announced: Vec<SocketAddr> = announced.iter().map(|address| address.parse().unwrap()).collect();
        let mut cx = context(listen);
        assert!(cx.reached_registry(local.parse().unwrap(), &interfaces));
        assert_eq!(cx.own_addresses, announced);
        assert!(!cx.reached_registry(local.parse().unwrap(), &interfaces), "nothing is new");
    }

    #[test]
    fn what_is_announced_follows_from_where_the_registry_is() {
        let interfaces = ["127.0.0.1", "10.0.0.5", "fe80::1", "2001:db8::5"];
        check("127.0.0.1:9", "10.0.0.5:1", &interfaces, &["127.0.0.1:9"]);
        check("0.0.0.0:9", "10.0.0.5:1", &interfaces, &["10.0.0.5:9"]);
        check("[::]:9", "10.0.0.5:1", &interfaces, &["10.0.0.5:9", "[2001:db8::5]:9"]);
        check("0.0.0.0:9", "127.0.0.1:1", &interfaces, &["127.0.0.1:9", "10.0.0.5:9"]);
        let mut cx = context("0.0.0.0:9");
        for ip in ["10.0.0.5", "10.0.7.5"] {
            assert!(
                cx.reached_registry(SocketAddr::new(ip.parse().unwrap(), 1), &[ip.parse().unwrap()]),
                "{ip} is new"
            );
        }
    }
}
