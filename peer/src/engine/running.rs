//! The engine's loop: wait for whatever comes first, hand it to the node, perform what the node wants. It waits on
//! nobody but its own inboxes, so no circle of waiting can form.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use common::queue::{self, Receiver, Sender};
use common::thread::Handle;
use common::time::Now;
use crossbeam_channel::{Select, TryRecvError, TrySendError};

use super::clock::Clock;
use super::perform::Performer;
use crate::api::{Asked, Told, Written};
use crate::disk::{self, Profile};
use crate::net::{self, NetEvent};
use crate::node::Node;
use crate::ports::{DiskReply, Input, Output, VaultReply};

/// Everything the engine thread owns.
pub(super) struct Running {
    clock: Clock,
    commands: Receiver<Asked>,
    written: Arc<Written>,
    /// What the node knows of it.
    events_written: u64,
    output_lost: bool,
    inbox: Receiver<NetEvent>,
    control: Receiver<Control>,
    replies: Receiver<DiskReply>,
    events: Waiting<Told>,
    performer: Performer,
    // Joined last: the disk drains its jobs when `performer` has dropped their sender.
    disk: Handle,
}

/// The engine's ends of what joins it to a front-end.
pub(super) struct FrontEnd {
    pub(super) commands: Receiver<Asked>,
    pub(super) events: Sender<Told>,
    pub(super) written: Arc<Written>,
}

/// What ends by itself and must always get through.
#[derive(Debug)]
pub(super) enum Control {
    Vault(VaultReply),
}

/// A queue to somebody slower, and what did not fit.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    queue: Sender<T>,
    rest: VecDeque<T>,
}

impl<T> Waiting<T> {
    pub(super) fn new(queue: Sender<T>) -> Self {
        Self { queue, rest: VecDeque::new() }
    }

    /// Takes an item; it is handed over with the next [`Waiting::flush`].
    pub(super) fn push(&mut self, item: T) {
        self.rest.push_back(item);
    }

    pub(super) fn is_full(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Hands over what fits now. Nobody at the other end: there is nobody to tell.
    pub(super) fn flush(&mut self) {
        while let Some(item) = self.rest.pop_front() {
            match self.queue.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => return self.rest.push_front(item),
                Err(TrySendError::Disconnected(_)) => self.rest.clear(),
            }
        }
    }
}

impl Running {
    pub(super) fn start(
        profile: Profile,
        listener: TcpListener,
        registry: String,
        front_end: FrontEnd,
        clock: Clock,
    ) -> io::Result<Self> {
        let FrontEnd { commands, events, written } = front_end;
        // Full: readers wait, TCP slows the far ends down.
        let (net_events, inbox) = queue::bounded_at(commands.bell(), INBOX_MAX);
        let (control_events, control) = queue::bounded_at(commands.bell(), CONTROL_MAX);
        // Full: the engine takes nothing that could make more of them.
        let (jobs, queued) = queue::bounded(JOBS_MAX);
        let (answers, replies) = queue::bounded_at(commands.bell(), REPLIES_MAX);
        let disk = disk::worker::start(profile.clone(), queued, answers)?;
        let registry = net::start_registry_link(registry, net_events.clone())?;
        let listener = net::start_listener(listener, net_events.clone())?;
        let performer = Performer::new(profile, Waiting::new(jobs), listener, registry, net_events, control_events);
        let (events, events_written, output_lost) = (Waiting::new(events), 0, false);
        Ok(Self {
            clock,
            commands,
            written,
            events_written,
            output_lost,
            inbox,
            control,
            replies,
            events,
            performer,
            disk,
        })
    }

    pub(super) fn run(mut self, mut node: Node) {
        loop {
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Show => {
                        self.events.flush();
                        // On a single core whoever shows it has to be let in.
                        thread::yield_now();
                    }
                    output => {
                        if let Some(told) = self.performer.perform(output) {
                            self.events.push(told);
                        }
                    }
                }
            }
            // Whoever waits elsewhere goes first, and what takes longest comes last.
            self.performer.flush_links();
            self.events.flush();
            self.performer.jobs.flush();
            if self.performer.is_ended() {
                break;
            }
            self.wait(&node);
            self.take_in(&mut node);
        }
        self.end();
    }

    /// Sleeps until something can be taken in, handed over, or is due. Whatever it is, `take_in` looks at all of them.
    fn wait(&mut self, node: &Node) {
        if self.is_blocked() {
            return self.wait_for_room(node);
        }
        let takes_commands = node.wants_commands() && !self.performer.front_end_gone;
        let deadline = node.next_timeout().map(|at| self.clock.instant(at));
        self.commands.bell().sleep(deadline, || {
            self.replies.is_ready()
                || self.control.is_ready()
                || self.inbox.is_ready()
                || takes_commands && self.commands.is_ready()
        });
    }

    /// The same while somebody slower is behind: net and front-end have to wait until there is room.
    fn wait_for_room(&self, node: &Node) {
        let mut select = Select::new();
        select.recv(self.replies.channel());
        select.recv(self.control.channel());
        if self.events.is_full() {
            select.send(self.events.queue.channel());
        }
        if self.performer.jobs.is_full() {
            select.send(self.performer.jobs.queue.channel());
        }
        match node.next_timeout() {
            Some(at) => {
                let _ = select.ready_deadline(self.clock.instant(at));
            }
            None => {
                select.ready();
            }
        }
    }

    fn take_in(&mut self, node: &mut Node) {
        self.events.flush();
        self.performer.jobs.flush();
        let now = self.clock.now();
        self.look_at_front_end(now, node);
        for _ in 0..TAKEN_AT_ONCE {
            match self.replies.try_recv() {
                Ok(reply) => node.handle(now, Input::Disk(reply)),
                Err(TryRecvError::Empty) => break,
                // Its panic is ours: the disk's handle passes it on, but nothing may be promised any more either way.
                Err(TryRecvError::Disconnected) => panic!("the disk thread is gone"),
            }
        }
        for control in self.control.try_iter() {
            let Control::Vault(reply) = control;
            self.performer.vault_done();
            node.handle(now, Input::Vault(reply));
        }
        if !self.is_blocked() {
            for event in self.inbox.try_iter().take(TAKEN_AT_ONCE) {
                for input in self.performer.net_event(event) {
                    node.handle(now, input);
                }
            }
            for _ in 0..TAKEN_AT_ONCE {
                if !node.wants_commands() || self.performer.front_end_gone {
                    break;
                }
                match self.commands.try_recv() {
                    Ok(asked) => node.handle(now, Input::Command(asked)),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        self.performer.front_end_gone = true;
                        self.written.lost();
                        self.look_at_front_end(now, node);
                        let command = crate::api::Command::Quit { patience_ms: 0 };
                        node.handle(now, Input::Command(Asked { re: None, command }));
                    }
                }
            }
        }
        if node.next_timeout().is_some_and(|at| at <= now.monotonic) {
            node.handle(now, Input::Tick);
        }
    }

    /// Nothing wakes the engine for this: the node asks to be woken while it waits for a line to be written.
    fn look_at_front_end(&mut self, now: Now, node: &mut Node) {
        let events = self.written.events();
        if events != self.events_written {
            self.events_written = events;
            node.handle(now, Input::Written { events });
        }
        if self.written.is_lost() && !self.output_lost {
            self.output_lost = true;
            node.handle(now, Input::OutputLost);
        }
    }

    fn is_blocked(&self) -> bool {
        self.events.is_full() || self.performer.jobs.is_full()
    }

    /// Ends every thread: first what they wait for goes, then they are joined.
    fn end(self) {
        let Self { commands, inbox, control, replies, events, performer, disk, .. } = self;
        // The goodbye itself has to fit: the front-end reads until the end.
        let Waiting { queue, rest } = events;
        for told in rest {
            if queue.send(told).is_err() {
                break;
            }
        }
        drop((commands, inbox, control, replies));
        performer.end();
        drop(disk);
        // Only now does the front-end see the end: nothing of ours runs any more.
        drop(queue);
    }
}

/// Readers hand over everything of one read at once.
const INBOX_MAX: usize = 256;
const CONTROL_MAX: usize = 16;
/// Jobs carry what others sent: a disk slower than the net must not make them a heap of memory.
const JOBS_MAX: usize = 256;
/// Every job in flight has room for its reply.
const REPLIES_MAX: usize = 2 * JOBS_MAX;
/// Between two looks at what the node wants done, so that bursts become batches and nobody starves.
const TAKEN_AT_ONCE: usize = 64;
