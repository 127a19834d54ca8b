//! One large room in a simulated world: everybody enters, some speak, a fifth vanishes at once, and comes back. What
//! that takes, in steps, copies, bytes and seconds of the world's clock.

mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::EventId;
use common::names::RoomName;
use common::time::Monotonic;
use peer::api::{Command, DeliveryState, Event, History, NewRoom, RoomChange, Target};

use super::traffic::Traffic;
use super::{Journal, Weather, Who, World};

pub use report::keep;

/// What a room of so many took.
#[derive(Debug, Clone)]
pub struct Crowd {
    pub members: usize,
    pub figures: Vec<(&'static str, f64)>,
}

/// Plays one room; an error says what did not come about.
pub fn crowd(members: usize, seed: u64) -> Result<Crowd, String> {
    let mut room = RoomOfMany::enter(members, seed)?;
    let mut figures = Vec::new();
    room.figures_of_calm(&mut figures)?;
    room.figures_of_talk(&mut figures)?;
    room.figures_of_loss(&mut figures)?;
    room.everybody_has_everything()?;
    Ok(Crowd { members, figures })
}

/// A room that everybody is in.
pub struct RoomOfMany {
    pub world: World,
    pub people: Vec<Who>,
    name: RoomName,
    /// What was said, by whom, and when.
    said: BTreeMap<String, (Who, Monotonic)>,
}

impl RoomOfMany {
    /// So many people enter, one after the other.
    pub fn enter(members: usize, seed: u64) -> Result<Self, String> {
        let mut world = World::new(seed, Journal::default());
        world.weather = Weather::FAIR;
        let people: Vec<Who> = (0..members).map(|number| world.person(&format!("m{number}"))).collect();
        let name = RoomName::parse("#crowd").map_err(|error| format!("{error:?}"))?;
        let mut room = Self { world, people, name, said: BTreeMap::new() };
        for who in room.people.clone() {
            room.world.start(who);
            room.world.run_for(BETWEEN_STARTS);
        }
        let first = room.people[0];
        let signed_in = |world: &World, who: Who| world.told(who).any(|event| matches!(event, Event::SignedIn { .. }));
        room.await_all("sign in", signed_in)?;
        let (private, history, topic) = (false, History::All, None);
        let new = NewRoom { name: room.name.clone(), private, history, topic };
        room.world.command(first, Command::Create(new));
        room.world.run_for(Duration::from_secs(2));
        for number in 1..members {
            let (who, name) = (room.people[number], room.name.clone());
            room.world.command(who, Command::Join { room: name });
            room.world.run_for(BETWEEN_JOINS);
        }
        room.await_all("enter", is_in)?;
        // Until everybody knows everybody, and links of the way in are gone.
        room.world.run_for(Duration::from_secs(150));
        room.holds()?;
        Ok(room)
    }

    /// Somebody says something; which text that is.
    pub fn says(&mut self, who: Who) -> String {
        let text = format!("text {}", self.said.len());
        self.world.says_this(who, Target::Room(self.name.clone()), &text);
        self.said.insert(text.clone(), (who, self.world.now()));
        text
    }

    /// Waits until all of `readers` were shown these texts; when the last was.
    pub fn await_shown(&mut self, readers: &[Who], texts: &[String], limit: Duration) -> Result<Monotonic, String> {
        let lacks = |room: &Self, reader: &Who| {
            let shown = room.world.shown(*reader);
            let is_own = |text: &String| room.said[text].0 == *reader;
            texts
                .iter()
                .filter(|text| !is_own(text))
                .any(|text| !shown.iter().rev().any(|shown| *shown == text.as_str()))
        };
        let end = self.world.now().plus(limit);
        loop {
            self.holds()?;
            if !readers.iter().any(|reader| lacks(self, reader)) {
                return Ok(self.world.now());
            }
            if self.world.now() >= end {
                let lacking = readers.iter().filter(|reader| lacks(self, reader)).count();
                return Err(format!("{lacking} of {} were not shown everything within {limit:?}", readers.len()));
            }
            self.world.run_for(LOOK_EVERY);
        }
    }

    /// Waits until authors were told that everybody who is there has these; when the last was.
    pub fn await_delivered(&mut self, texts: &[String], limit: Duration) -> Result<Monotonic, String> {
        let there = self.people.iter().filter(|who| self.world.host(**who).is_running()).count();
        let end = self.world.now().plus(limit);
        loop {
            self.holds()?;
            let fewest = texts.iter().map(|text| self.delivered_to(text)).min().unwrap_or(0);
            if fewest + 1 >= there {
                return Ok(self.world.now());
            }
            if self.world.now() >= end {
                return Err(format!("a text was acknowledged by {fewest} of {} within {limit:?}", there - 1));
            }
            self.world.run_for(LOOK_EVERY);
        }
    }

    fn delivered_to(&self, text: &str) -> usize {
        let (author, _) = self.said[text];
        let id = self.world.told(author).find_map(|event| match event {
            Event::Message(message) if message.own && message.text == text => Some(message.id),
            _ => None,
        });
        let Some(id) = id else { return 0 };
        let is_it = |event: &&Event| matches!(event, Event::Delivery(delivery) if delivery.id == id && delivery.state == DeliveryState::Delivered);
        self.world.told(author).filter(is_it).count()
    }

    /// A fifth of all vanish without a word.
    pub fn lose_a_fifth(&mut self) -> (Vec<Who>, Vec<Who>) {
        // Whoever is first in the world's order is not first on any ring.
        let is_lost = |who: &Who| who.0 % 5 == 2;
        let (lost, left): (Vec<Who>, Vec<Who>) = self.people.iter().copied().partition(is_lost);
        lost.iter().for_each(|who| self.world.crash(*who));
        (lost, left)
    }

    /// What it costs that nobody says anything, and how many links there are.
    fn figures_of_calm(&mut self, figures: &mut Vec<(&'static str, f64)>) -> Result<(), String> {
        self.world.count_traffic();
        self.world.run_for(CALM);
        let calm = self.world.count_traffic();
        let minutes = CALM.as_secs_f64() / 60.0;
        figures.push(("idle_bytes_per_minute", calm.bytes as f64 / self.people.len() as f64 / minutes));
        let links: Vec<f64> = self.people.iter().map(|who| self.world.links_of(*who) as f64).collect();
        figures.push(("links_median", median(links.clone())));
        figures.push(("links_most", links.into_iter().fold(0.0, f64::max)));
        self.holds()
    }

    /// Some people say something, one after the other.
    fn figures_of_talk(&mut self, figures: &mut Vec<(&'static str, f64)>) -> Result<(), String> {
        self.world.count_traffic();
        let mut acknowledged = Vec::new();
        for turn in 0..TEXTS {
            let who = self.people[turn * self.people.len() / TEXTS];
            let (at, text) = (self.world.now(), self.says(who));
            acknowledged.push(millis(at, self.await_delivered(&[text], PATIENCE)?));
            self.world.run_for(BETWEEN_TEXTS);
        }
        let counted = self.world.count_traffic();
        let copies = (TEXTS * (self.people.len() - 1)) as f64;
        figures.push(("steps_median", median(steps(&counted))));
        figures.push(("steps_worst", steps(&counted).into_iter().fold(0.0, f64::max)));
        figures.push(("last_member_ms", median(self.last_member(&counted))));
        figures.push(("all_acknowledged_ms", median(acknowledged)));
        figures.push(("duplicates_per_copy", counted.duplicates as f64 / copies));
        figures.push(("bytes_per_member_and_text", counted.bytes as f64 / (TEXTS * self.people.len()) as f64));
        Ok(())
    }

    /// A fifth vanishes while others speak.
    fn figures_of_loss(&mut self, figures: &mut Vec<(&'static str, f64)>) -> Result<(), String> {
        self.world.count_traffic();
        let (lost, left) = self.lose_a_fifth();
        let at = self.world.now();
        let speakers: Vec<Who> = left.iter().copied().step_by(left.len().div_ceil(TEXTS)).collect();
        let texts: Vec<String> = speakers.iter().map(|who| self.says(*who)).collect();
        let shown = self.await_shown(&left, &texts, PATIENCE)?;
        let acknowledged = self.await_delivered(&texts, PATIENCE)?;
        figures.push(("repair_ms", millis(at, shown)));
        figures.push(("repair_acknowledged_ms", millis(at, acknowledged)));
        self.world.run_for(Duration::from_secs(60));
        let back = self.world.now();
        lost.iter().for_each(|who| self.world.start(*who));
        let shown = self.await_shown(&lost, &texts, PATIENCE)?;
        figures.push(("back_ms", millis(back, shown)));
        self.world.run_for(Duration::from_secs(30));
        self.holds()
    }

    /// When each text was with the last member, after it was said.
    fn last_member(&self, counted: &Traffic) -> Vec<f64> {
        let mut last: BTreeMap<EventId, Monotonic> = BTreeMap::new();
        for ((id, _), (_, at)) in &counted.first {
            let known = last.entry(*id).or_default();
            *known = (*known).max(*at);
        }
        let said_at = |id: &EventId| {
            self.said.iter().find_map(|(text, (who, at))| {
            let is_it = |event: &Event| matches!(event, Event::Message(message) if message.id == *id && message.text == *text);
            self.world.told(*who).any(is_it).then_some(*at)
        })
        };
        last.into_iter().filter_map(|(id, at)| Some(millis(said_at(&id)?, at))).collect()
    }

    /// On every disk there is the same, and all of it.
    pub fn everybody_has_everything(&mut self) -> Result<(), String> {
        self.holds()?;
        let room = self.world.room_id(&self.name).ok_or("the room is not at the registry")?;
        let of = |who: &Who| self.world.host(*who).disk.events_of(&room);
        let first = of(&self.people[0]);
        let texts = self.said.len();
        if first.len() < texts + self.people.len() {
            return Err(format!("only {} events are kept", first.len()));
        }
        match self.people.iter().find(|who| of(who) != first) {
            Some(who) => Err(format!("{} holds something else than others", self.world.host(*who).name)),
            None => Ok(()),
        }
    }

    fn await_all(&mut self, what: &str, done: impl Fn(&World, Who) -> bool) -> Result<(), String> {
        let end = self.world.now().plus(PATIENCE);
        loop {
            self.holds()?;
            let waiting = self.people.iter().filter(|who| !done(&self.world, **who)).count();
            if waiting == 0 {
                return Ok(());
            }
            if self.world.now() >= end {
                return Err(format!("{waiting} of {} did not {what}", self.people.len()));
            }
            self.world.run_for(LOOK_EVERY);
        }
    }

    fn holds(&self) -> Result<(), String> {
        self.world.violation().map_or(Ok(()), |wrong| Err(wrong.to_owned()))
    }
}

fn is_in(world: &World, who: Who) -> bool {
    let name = &world.host(who).name;
    let entered = |event: &Event| matches!(event, Event::Room { change: RoomChange::Joined, user, .. } if user == name);
    let created = |event: &Event| matches!(event, Event::Room { change: RoomChange::Created, .. });
    world.told(who).any(|event| entered(event) || created(event))
}

fn steps(counted: &Traffic) -> Vec<f64> {
    counted.first.values().map(|(steps, _)| f64::from(*steps)).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn millis(from: Monotonic, to: Monotonic) -> f64 {
    to.since(from).as_millis() as f64
}

const TEXTS: usize = 20;
const BETWEEN_STARTS: Duration = Duration::from_millis(20);
const BETWEEN_JOINS: Duration = Duration::from_millis(100);
const BETWEEN_TEXTS: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const CALM: Duration = Duration::from_secs(240);
const PATIENCE: Duration = Duration::from_secs(120);
