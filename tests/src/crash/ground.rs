//! What a house stands on: a registry as a process, perhaps with rough wires to it, or one that lies about where people
//! are, so that every link of theirs leads through somebody in the middle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use common::message::registry::Reply;
use common::wire::address::Address;
use common::wire::bounded::List;

use super::Kind;
use super::ledger::Kept;
use super::log;
use crate::evil::{EvilRegistry, Middle, Schedules};
use crate::programs::{Registry, Transcript};
use crate::wire::Proxy;
use crate::world::Random;

pub(super) enum Ground {
    Honest(Box<Registry>),
    Rough { registry: Box<Registry>, wire: Proxy },
    Held { registry: Box<EvilRegistry>, wire: Middle, schedules: Schedules },
}

impl Ground {
    pub(super) fn of(kind: Kind, folder: &Path) -> Self {
        match kind {
            Kind::Middle => Self::held(),
            Kind::Wires => {
                let registry = Box::new(Registry::start_below(folder, &[]));
                let wire = Proxy::start(registry.address());
                Self::Rough { registry, wire }
            }
            Kind::Anybody | Kind::Sender | Kind::Receiver => Self::Honest(Box::new(Registry::start_below(folder, &[]))),
        }
    }

    /// Whoever is looked up is said to be where the man in the middle listens for them.
    fn held() -> Self {
        let (registry, schedules) = (Box::new(EvilRegistry::start()), Schedules::default());
        let wire = Middle::start(registry.address(), &schedules);
        let mut wires: BTreeMap<SocketAddr, Middle> = BTreeMap::new();
        let of_links = schedules.clone();
        registry.bend_replies(move |_, reply| {
            if let Reply::Person(record) = reply {
                let held = record.addresses.iter().map(|Address(real)| {
                    let wire = wires.entry(*real).or_insert_with(|| Middle::start(&real.to_string(), &of_links));
                    Address(wire.address().parse().expect("it listens there"))
                });
                record.addresses = List::cut(held.collect());
            }
        });
        Self::Held { registry, wire, schedules }
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::Honest(registry) => registry.address(),
            Self::Rough { wire, .. } => wire.address(),
            Self::Held { wire, .. } => wire.address(),
        }
    }

    pub(super) fn transcript(&self) -> &Transcript {
        match self {
            Self::Honest(registry) | Self::Rough { registry, .. } => registry.transcript(),
            Self::Held { registry, .. } => &registry.transcript,
        }
    }

    pub(super) fn schedules(&self) -> Option<&Schedules> {
        match self {
            Self::Held { schedules, .. } => Some(schedules),
            Self::Honest(_) | Self::Rough { .. } => None,
        }
    }

    /// The wires get rough, where there are some that can.
    pub(super) fn set_weather(&self, weather: Option<Random>) {
        if let Self::Rough { wire, .. } = self {
            wire.set_weather(weather);
        }
    }

    /// The end of the weather, and how often it cut; `None` where there is none.
    pub(super) fn calm(&self) -> Option<u64> {
        let Self::Rough { wire, .. } = self else { return None };
        let cuts = wire.take_cuts();
        wire.set_weather(None);
        Some(cuts)
    }

    pub(super) fn kill(&mut self) {
        if let Some(registry) = self.process() {
            registry.process().signal(libc::SIGKILL);
        }
    }

    pub(super) fn restart(&mut self) {
        if let Some(registry) = self.process() {
            registry.restart();
        }
    }

    /// Everything SQLite can find wrong with the registry's database.
    pub(super) fn check(&mut self) -> Kept<()> {
        self.process().map_or(Ok(()), |registry| log::check(&registry.data_dir().join("registry.db")))
    }

    /// Moves the registry's files to where they outlive the run.
    pub(super) fn keep(&mut self, folder: &Path) {
        if let Some(registry) = self.process() {
            let _ = std::fs::rename(registry.data_dir(), folder.join("registry"));
        }
    }

    fn process(&mut self) -> Option<&mut Registry> {
        match self {
            Self::Honest(registry) | Self::Rough { registry, .. } => Some(registry),
            Self::Held { .. } => None,
        }
    }
}
