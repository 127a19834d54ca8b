//! What the node wants, done: told, written, sent, dialled. Nothing here waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::message::peer::PeerMessage;
use common::queue::Sender;
use common::thread::{self, Handle};

use super::clock::Clock;
use super::running::{Control, Waiting};
use crate::api::Told;
use crate::disk::{Profile, vault};
use crate::net::{self, LinkHandle, Listener, NetEvent, RegistryLink};
use crate::ports::{
    DiskJob, Input, LinkId, LinkInput, LinkOutput, LocalIdentity, Output, RegistryInput, VaultJob, VaultReply,
};

pub(super) struct Performer {
    profile: Profile,
    pub(super) jobs: Waiting<DiskJob>,
    listener: Listener,
    registry: RegistryLink,
    links: BTreeMap<LinkId, LinkHandle>,
    /// Links on which something was said and not sent.
    dirty: Vec<LinkId>,
    /// What the last links were all sent, and its bytes.
    shared: Option<(Arc<PeerMessage>, Vec<u8>)>,
    last_link: u64,
    identity: Option<Arc<LocalIdentity>>,
    net_events: Sender<NetEvent>,
    control: Sender<Control>,
    /// The thread that works on sealed keys; one at a time.
    vault: Option<Handle>,
    pub(super) front_end_gone: bool,
    ended: bool,
}

impl Performer {
    pub(super) fn new(
        profile: Profile,
        jobs: Waiting<DiskJob>,
        listener: Listener,
        registry: RegistryLink,
        net_events: Sender<NetEvent>,
        control: Sender<Control>,
    ) -> Self {
        Self {
            profile,
            jobs,
            listener,
            registry,
            links: BTreeMap::new(),
            dirty: Vec::new(),
            shared: None,
            last_link: 0,
            identity: None,
            net_events,
            control,
            vault: None,
            front_end_gone: false,
            ended: false,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Has what was said on links since the last time sent: one frame for all that the node wanted at once.
    pub(super) fn flush_links(&mut self) {
        self.shared = None;
        for link in self.dirty.drain(..) {
            if let Some(handle) = self.links.get_mut(&link)
                && !handle.flush()
            {
                tracing::info!(link = link.0, "a far end does not read; its link is cut");
                handle.cut();
            }
        }
    }

    /// Does one thing. What is for the front-end is handed back.
    pub(super) fn perform(&mut self, output: Output) -> Option<Told> {
        match output {
            Output::Tell(told) => return Some(told),
            Output::Show => unreachable!("whoever keeps the front-end's queue does that"),
            Output::Disk(job) => self.jobs.push(job),
            Output::Vault(job) => self.open_vault(job),
            Output::Link(output) => self.link(output),
            Output::Registry(call) => {
                // A registry that takes nothing any more is noticed by its silence.
                if !self.registry.perform(call) {
                    tracing::warn!("the registry link does not keep up");
                }
            }
            Output::End => self.ended = true,
        }
        None
    }

    /// What the node should hear of an event of the net.
    pub(super) fn net_event(&mut self, event: NetEvent) -> Vec<Input> {
        match event {
            NetEvent::Established { established, dial } => self.established(*established, dial),
            NetEvent::DialFailed { dial, tried } => vec![Input::Link(LinkInput::DialFailed { dial, tried })],
            NetEvent::Received { link, messages } => vec![Input::Link(LinkInput::Received { link, messages })],
            NetEvent::Down { link, clean, reason } => {
                tracing::debug!(link = link.0, clean, reason, "link down");
                self.links.remove(&link);
                vec![Input::Link(LinkInput::Down { link, clean, reason })]
            }
            NetEvent::Registry(input) => {
                if let RegistryInput::Down { reason } = &input {
                    tracing::info!(reason, "registry link down");
                }
                vec![Input::Registry(input)]
            }
        }
    }

    fn established(&mut self, established: net::Established, dial: Option<crate::ports::DialId>) -> Vec<Input> {
        let reached = established.address;
        let failed = |reason: String| {
            let tried = vec![(reached, reason)];
            dial.map(|dial| Input::Link(LinkInput::DialFailed { dial, tried })).into_iter().collect()
        };
        if self.identity.as_ref().is_none_or(|identity| identity.keys.device() != established.own) {
            return failed("signed out meanwhile".to_owned());
        }
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let (person, credentials) = (established.person.clone(), established.credentials.clone());
        let (direction, address) = (established.direction, established.address);
        match net::start_link(link, established, self.net_events.clone()) {
            Ok(handle) => {
                self.links.insert(link, handle);
                vec![Input::Link(LinkInput::Up { link, person, credentials, direction, address })]
            }
            Err(error) => {
                tracing::warn!(%error, "no threads for a link");
                failed(error.to_string())
            }
        }
    }

    fn link(&mut self, output: LinkOutput) {
        match output {
            LinkOutput::Identity(identity) => {
                self.identity = identity.map(Arc::from);
                self.listener.set_identity(self.identity.clone());
            }
            LinkOutput::Dial { dial, person, addresses } => {
                if let Some(identity) = &self.identity {
                    net::dial(dial, person, addresses, Arc::clone(identity), self.net_events.clone());
                }
            }
            LinkOutput::Send { link, message } => self.send(link, &net::encoded(&message)),
            LinkOutput::SendShared { link, message } => {
                let known = self.shared.take().filter(|(known, _)| Arc::ptr_eq(known, &message));
                let bytes = known.map_or_else(|| net::encoded(&message), |(_, bytes)| bytes);
                self.send(link, &bytes);
                self.shared = Some((message, bytes));
            }
            LinkOutput::Close { link } => {
                if let Some(handle) = self.links.get_mut(&link) {
                    handle.close();
                }
            }
            LinkOutput::Cut { link, reason } => {
                tracing::warn!(link = link.0, reason, "a far end broke the protocol");
                if let Some(handle) = self.links.get(&link) {
                    handle.cut();
                }
            }
        }
    }

    fn send(&mut self, link: LinkId, message: &[u8]) {
        if let Some(handle) = self.links.get_mut(&link) {
            if !handle.is_dirty() {
                self.dirty.push(link);
            }
            handle.send(message);
        }
    }

    fn open_vault(&mut self, job: VaultJob) {
        let (profile, control) = (self.profile.clone(), self.control.clone());
        let spawned = thread::spawn("keys", move || {
            let reply = vault::run(&profile, job);
            // The engine may have ended meanwhile.
            let _ = control.send(Control::Vault(reply));
        });
        match spawned {
            Ok(handle) => self.vault = Some(handle),
            Err(error) => {
                let text = format!("Can't open the keys: {error}.");
                let _ = self.control.try_send(Control::Vault(VaultReply::Failed { text }));
            }
        }
    }

    pub(super) fn vault_done(&mut self) {
        drop(self.vault.take());
    }

    /// Says goodbye on every link, waits a moment for what is queued, and ends all threads.
    pub(super) fn end(self) {
        let Self { jobs, listener, registry, mut links, net_events, control, vault, .. } = self;
        drop((jobs, net_events, control));
        for handle in links.values_mut() {
            handle.close();
        }
        let deadline = Clock::after(GOODBYE_WITHIN);
        for handle in links.values() {
            handle.drained_by(deadline);
        }
        drop(links);
        drop(registry);
        drop(listener);
        drop(vault);
    }
}

/// Long enough for a last frame, short enough for somebody waiting for their prompt.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);
