//! Links between people: certificates are checked as the real net does, what is sent arrives in order and late, until
//! somebody closes the link or the weather cuts it. What was on the way then is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use common::message::peer::PeerMessage;
use common::secure::certificate::{self, Person};
use common::time::{Monotonic, UnixMillis};
use peer::ports::{DialId, Direction, Input, LinkId, LinkInput, LinkOutput, LocalIdentity};

use super::faults::Place;
use super::host::{Host, Who};
use super::{Happening, World};

/// A link, by number; each end has a number of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WireId(u64);

/// An end of a link: 0 dialled, 1 answered.
pub(super) type Side = usize;

#[derive(Debug)]
pub(super) struct Wire {
    ends: [End; 2],
    /// Nothing travels on it any more.
    dead: bool,
}

#[derive(Debug)]
struct End {
    who: Who,
    life: u64,
    link: LinkId,
    /// The node was told of it.
    up: bool,
    /// It said goodbye.
    closing: bool,
    /// The node was told that it is gone, or is gone itself.
    down: bool,
    arriving: VecDeque<(Monotonic, Parcel)>,
    last_arrival: Monotonic,
}

/// What one end has sent and the other has not read.
#[derive(Debug)]
enum Parcel {
    Message(Box<PeerMessage>),
    Bye,
}

impl World {
    /// Cuts the links between two people; each end notices in its own time. Whether there was one.
    pub fn cut(&mut self, one: Who, other: Who) -> bool {
        let between = |wire: &Wire| !wire.dead && wire.connects(one, other);
        let cut: Vec<WireId> = self.wires.iter().filter(|(_, wire)| between(wire)).map(|(id, _)| *id).collect();
        for id in &cut {
            let wire = self.wires.get_mut(id).expect("it was just found");
            wire.dead = true;
            for side in 0..2 {
                let (from, to) = self.weather.notice;
                let notice = self.random.between(from, to);
                self.plan(notice, Happening::WireDown { wire: *id, side, clean: false });
            }
        }
        if !cut.is_empty() {
            let (one, other) = (&self.hosts[one.0].name, &self.hosts[other.0].name);
            self.journal.note(self.now, || format!("CUT between {one} and {other}"));
        }
        !cut.is_empty()
    }

    /// Links between two people that both ends believe in.
    pub fn links_between(&self, one: Who, other: Who) -> usize {
        let lives = |end: &End| end.up && !end.down && !end.closing && self.hosts[end.who.0].life == end.life;
        let between = |wire: &&Wire| !wire.dead && wire.connects(one, other) && wire.ends.iter().all(lives);
        self.wires.values().filter(between).count()
    }

    /// Links of one person that both ends believe in.
    pub fn links_of(&self, who: Who) -> usize {
        let lives = |end: &End| end.up && !end.down && !end.closing && self.hosts[end.who.0].life == end.life;
        let of = |wire: &&Wire| !wire.dead && wire.ends.iter().any(|end| end.who == who) && wire.ends.iter().all(lives);
        self.wires.values().filter(of).count()
    }

    /// Dials made between two people so far.
    pub fn links_made(&self, one: Who, other: Who) -> usize {
        self.wires.values().filter(|wire| wire.connects(one, other)).count()
    }

    pub(super) fn link_output(&mut self, who: Who, output: LinkOutput) {
        match output {
            LinkOutput::Identity(identity) => self.hosts[who.0].identity = identity,
            LinkOutput::Dial { dial, person, addresses } => {
                let life = self.hosts[who.0].life;
                let targets = (0..self.hosts.len()).map(Who);
                let mut found = targets.filter(|target| addresses.contains(&Host::address(*target)));
                let fails = self.random.percent(self.weather.dial_failures);
                let target = found.next().filter(|_| !fails);
                let time = self.latency() * 2;
                self.plan(time, Happening::Dialed { who, life, dial, expected: person, target });
            }
            LinkOutput::Send { link, message } => self.say(who, link, message),
            LinkOutput::SendShared { link, message } => self.say(who, link, Arc::unwrap_or_clone(message)),
            LinkOutput::Close { link } => {
                self.send(who, link, Parcel::Bye);
                if let Some((wire, side)) = self.wire_of(who, link) {
                    self.wires.get_mut(&wire).expect("it was just found").ends[side].closing = true;
                }
            }
            LinkOutput::Cut { link, reason } => self.cut_off(who, link, &reason),
        }
    }

    /// The handshake, with everything that the real one checks.
    pub(super) fn dialed(&mut self, who: Who, life: u64, dial: DialId, expected: &Person, target: Option<Who>) {
        let target = target.filter(|target| !self.are_apart(Place::Person(who), Place::Person(*target)));
        let walls = (self.clocks_of(who).wall, target.map_or(UnixMillis(0), |target| self.clocks_of(target).wall));
        let caller = self.hosts[who.0].identity.as_deref().filter(|_| self.hosts[who.0].life == life);
        let called = target.and_then(|target| self.hosts[target.0].identity.as_deref());
        let agreed = caller.zip(called).and_then(|(caller, called)| shake_hands(caller, called, expected, walls));
        let (Some((caller_seen, called_seen)), Some(target)) = (agreed, target) else {
            let patience = self.random.between(Duration::ZERO, DIAL_PATIENCE);
            return self.plan(patience, Happening::DialFailed { who, life, dial });
        };
        let id = WireId(u64::try_from(self.wires.len()).expect("worlds are small"));
        let ends = [(who, life), (target, self.hosts[target.0].life)];
        let mut sides = 0..;
        let ends = ends.map(|(who, life)| {
            let link = LinkId(id.0 * 2 + sides.next().expect("an endless range"));
            let (arriving, last_arrival) = (VecDeque::new(), self.now);
            End { who, life, link, up: false, closing: false, down: false, arriving, last_arrival }
        });
        self.wires.insert(id, Wire { ends, dead: false });
        let (caller_name, called_name) = (&self.hosts[who.0].name, &self.hosts[target.0].name);
        self.journal.note(self.now, || format!("{caller_name} links to {called_name}"));
        let latency = self.latency();
        let up_at = self.now.plus(latency);
        let wire = self.wires.get_mut(&id).expect("it was just made");
        wire.ends[1].last_arrival = up_at;
        self.plan_at(up_at, Happening::WireUp { wire: id, side: 1, person: Box::new(caller_seen) });
        self.wire_up(id, 0, called_seen);
    }

    pub(super) fn dial_failed(&mut self, who: Who, life: u64, dial: DialId) {
        self.give(who, life, Input::Link(LinkInput::DialFailed { dial, tried: Vec::new() }));
    }

    pub(super) fn wire_up(&mut self, id: WireId, side: Side, person: Person) {
        let wire = self.wires.get_mut(&id).expect("links are kept for ever");
        let far = wire.ends[1 - side].who;
        let end = &mut wire.ends[side];
        // A far end that has closed or died meanwhile is reported right after.
        let (who, life, link) = (end.who, end.life, end.link);
        let identity = self.hosts[far.0].identity.as_ref();
        let Some(credentials) = identity.map(|identity| Box::new(identity.credentials.clone())) else { return };
        if end.down {
            return;
        }
        end.up = true;
        let direction = if side == 0 { Direction::Dialed } else { Direction::Answered };
        let address = Host::address(far);
        self.give(who, life, Input::Link(LinkInput::Up { link, person, credentials, direction, address }));
    }

    pub(super) fn wire_arrives(&mut self, id: WireId, side: Side) {
        let now = self.now;
        let wire = self.wires.get_mut(&id).expect("links are kept for ever");
        let far = wire.ends[1 - side].who;
        let end = &mut wire.ends[side];
        if wire.dead || end.down || !end.up {
            return;
        }
        let (who, life, link) = (end.who, end.life, end.link);
        let mut messages = Vec::new();
        let mut bye = false;
        while let Some((_, parcel)) = end.arriving.pop_front_if(|(at, _)| *at <= now) {
            match parcel {
                Parcel::Message(message) => messages.push(*message),
                Parcel::Bye => bye = true,
            }
        }
        if !messages.is_empty() {
            let name = &self.hosts[who.0].name;
            self.journal.note(now, || format!("{name} reads on {link:?}: {}", super::journal::brief(&messages)));
            self.count_arrived(far, who, &messages);
            self.give(who, life, Input::Link(LinkInput::Received { link, messages }));
        }
        if bye {
            self.wire_down(id, side, true);
        }
    }

    pub(super) fn wire_down(&mut self, id: WireId, side: Side, clean: bool) {
        let wire = self.wires.get_mut(&id).expect("links are kept for ever");
        let end = &mut wire.ends[side];
        let first = !std::mem::replace(&mut wire.dead, true);
        if !std::mem::replace(&mut end.down, true) && end.up {
            let (who, life, link) = (end.who, end.life, end.link);
            let reason = if clean { "it said goodbye" } else { "the connection was cut" }.to_owned();
            let name = &self.hosts[who.0].name;
            self.journal.note(self.now, || format!("{name} sees {link:?} down: {reason}"));
            self.give(who, life, Input::Link(LinkInput::Down { link, clean, reason }));
        }
        if first {
            let latency = self.latency();
            self.plan(latency, Happening::WireDown { wire: id, side: 1 - side, clean: false });
        }
    }

    /// A program is gone. What it had sent may or may not arrive before the other end notices.
    pub(super) fn drop_wires(&mut self, who: Who) {
        let ids: Vec<WireId> = self.wires.iter().filter(|(_, wire)| !wire.dead).map(|(id, _)| *id).collect();
        for id in ids {
            let lost = self.random.percent(50);
            let (from, to) = self.weather.notice;
            let notice = self.now.plus(self.random.between(from, to));
            let wire = self.wires.get_mut(&id).expect("it was just found");
            let Some(side) = (0..2).find(|side| wire.ends[*side].who == who && !wire.ends[*side].down) else {
                continue;
            };
            wire.ends[side].down = true;
            let far = &mut wire.ends[1 - side];
            if lost {
                far.arriving.clear();
            }
            let at = notice.max(far.last_arrival.plus(Duration::from_millis(1)));
            self.plan_at(at, Happening::WireDown { wire: id, side: 1 - side, clean: false });
        }
    }

    /// A node cuts whoever broke the protocol. Honest ones never do.
    fn cut_off(&mut self, who: Who, link: LinkId, reason: &str) {
        let name = self.hosts[who.0].name.clone();
        let Some((id, side)) = self.wire_of(who, link) else { return };
        let far = self.wires[&id].ends[1 - side].who;
        if self.hosts[who.0].lies.is_none() && self.hosts[far.0].lies.is_none() {
            return self.violated(|| format!("{name} cut {link:?} of an honest peer: {reason}"));
        }
        self.journal.note(self.now, || format!("{name} cuts {link:?} of a liar: {reason}"));
        let wire = self.wires.get_mut(&id).expect("it was just found");
        wire.ends[side].down = true;
        wire.dead = true;
        let latency = self.latency();
        self.plan(latency, Happening::WireDown { wire: id, side: 1 - side, clean: false });
    }

    fn say(&mut self, who: Who, link: LinkId, message: PeerMessage) {
        let Some((id, side)) = self.wire_of(who, link) else { return };
        let reader = self.wires[&id].ends[1 - side].who;
        let sent = match &message {
            PeerMessage::Events(events) => self.model.sent(&self.hosts, events),
            _ => Ok(()),
        };
        if let Err(wrong) = sent.and_then(|()| self.model.may_be_told((who, reader), &message, &self.hosts)) {
            let name = self.hosts[who.0].name.clone();
            return self.violated(|| format!("{name} {wrong}"));
        }
        if self.loses_receipts && matches!(message, PeerMessage::Receipts(_)) {
            return;
        }
        self.count_sent(who, link, &message);
        let message = self.with_forged_receipts(who, message);
        for message in self.twisted(who, reader, message) {
            self.send(who, link, Parcel::Message(Box::new(message)));
        }
    }

    fn send(&mut self, who: Who, link: LinkId, parcel: Parcel) {
        let Some((id, side)) = self.wire_of(who, link) else { return };
        let latency = self.latency();
        let wire = self.wires.get_mut(&id).expect("it was just found");
        if wire.dead || wire.ends[side].closing || wire.ends[side].down {
            return;
        }
        let reader = wire.ends[1 - side].who;
        if let Parcel::Message(message) = &parcel
            && let PeerMessage::Events(events) = message.as_ref()
            && !self.model.may_receive(reader, events.conversation, &*self.registry.store)
        {
            let (name, reader) = (self.hosts[who.0].name.clone(), self.hosts[reader.0].name.clone());
            return self.violated(|| format!("{name} sent {reader} events of a room they were never let into"));
        }
        let far = &mut wire.ends[1 - side];
        let at = far.last_arrival.max(self.now.plus(latency));
        far.last_arrival = at;
        far.arriving.push_back((at, parcel));
        self.plan_at(at, Happening::WireArrives { wire: id, side: 1 - side });
    }

    fn wire_of(&self, who: Who, link: LinkId) -> Option<(WireId, Side)> {
        let (id, side) = (WireId(link.0 / 2), usize::try_from(link.0 % 2).expect("0 or 1"));
        let end = &self.wires.get(&id)?.ends[side];
        (end.who == who && end.life == self.hosts[who.0].life).then_some((id, side))
    }
}

impl Wire {
    fn connects(&self, one: Who, other: Who) -> bool {
        let people = [self.ends[0].who, self.ends[1].who];
        people == [one, other] || people == [other, one]
    }
}

/// Whom each end sees at the other, if both believe what they are shown.
fn shake_hands(
    caller: &LocalIdentity,
    called: &LocalIdentity,
    expected: &Person,
    (caller_wall, called_wall): (UnixMillis, UnixMillis),
) -> Option<(Person, Person)> {
    if called.keys.device() != expected.device {
        return None;
    }
    let caller_seen = certificate::verify(&caller.credentials, &called.root, called_wall).ok()?;
    let called_seen = certificate::verify(&called.credentials, &caller.root, caller_wall).ok()?;
    let known = caller_seen.device == caller.keys.device();
    let meant = (&called_seen.user, called_seen.identity, called_seen.device)
        == (&expected.user, expected.identity, expected.device);
    (known && meant).then_some((caller_seen, called_seen))
}

/// A dial gives up after this long.
const DIAL_PATIENCE: Duration = Duration::from_secs(3);
