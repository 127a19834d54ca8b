//! A registry and the people around it, all of them real processes: talking, being killed, coming back. One thread
//! hears everybody and keeps the ledger; it waits for lines with deadlines and for nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::Select;

use super::ground::Ground;
use super::ledger::{Cast, Kept, Ledger, Line, Place, Violation};
use super::resident::{Resident, Stage};
use crate::evil::Schedules;
use crate::programs::{Ended, Event, Transcript, connections, slow_down};
use crate::world::Random;

pub(super) struct House {
    cast: Cast,
    pub(super) ledger: Ledger,
    pub(super) people: Vec<Resident>,
    ground: Ground,
    pub(super) random: Random,
    /// Lines heard from everybody.
    pub(super) heard: u64,
    /// So many lines more are said by whoever may say something.
    pub(super) talk: usize,
    /// The newest line accepted, and the newest acknowledged, by whom it was said.
    pub(super) news: Option<News>,
    pub(super) deaths: Deaths,
    /// Questions so far.
    asked: u32,
}

/// What a round may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Accepted(Line),
    Acknowledged(Line, usize),
}

/// How often who was killed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deaths {
    pub(super) people: u64,
    pub(super) registry: u64,
    pub(super) gave_up: u64,
    /// Connections that were cut and slowed down, of everybody.
    pub(super) cut: u64,
    pub(super) slowed: u64,
}

impl House {
    /// Starts everybody below `folder`, on this ground.
    pub(super) fn build(cast: Cast, folder: &Path, seed: u64, ground: Ground) -> Self {
        let move_in = |name: &&str| Resident::move_in(ground.address(), ground.transcript(), folder, name);
        let people = cast.people.iter().map(move_in).collect();
        Self {
            cast,
            ledger: Ledger::new(cast),
            people,
            ground,
            random: Random::new(seed),
            heard: 0,
            talk: 0,
            news: None,
            deaths: Deaths::default(),
            asked: 0,
        }
    }

    /// Founds the rooms and lets everybody speak once to everybody.
    pub(super) fn furnish(&mut self) -> Kept<()> {
        self.wait("everybody being there", |house| house.everybody_is(Stage::SignedIn))?;
        let cast = self.cast;
        for (name, members) in cast.rooms {
            let (owner, others) = members.split_first().expect("a room has an owner");
            let is_private = members.len() < cast.people.len();
            self.ask(*owner, &format!("/create {name}{}", if is_private { " --private" } else { "" }))?;
            for member in others {
                if is_private {
                    self.ask(*owner, &format!("/invite {} {name}", cast.people[*member]))?;
                }
                self.ask(*member, &format!("/join {name}"))?;
            }
        }
        for person in 0..cast.people.len() {
            for place in cast.places(person) {
                self.say(person, place);
            }
        }
        self.settle().map(|_| ())
    }

    pub(super) fn transcript(&self) -> &Transcript {
        self.ground.transcript()
    }

    /// Says the next line there.
    pub(super) fn say(&mut self, person: usize, place: Place) -> Line {
        let line = self.ledger.next(person, place);
        let text = self.cast.text(line);
        let said = serde_json::json!({"id": SAID, "line": format!("{} {text}", self.cast.name(place))});
        self.people[person].unanswered += 1;
        self.people[person].say(&said.to_string());
        line
    }

    /// Asks something and waits for the answer.
    fn ask(&mut self, person: usize, line: &str) -> Kept<()> {
        // One command may have several answers: a later one of it must not pass for one to the next.
        self.asked += 1;
        let mark = self.asked.to_string();
        self.people[person].say(&serde_json::json!({"id": mark, "line": line}).to_string());
        self.people[person].asking = Some(mark);
        self.wait(line, |house| house.people[person].asking.is_none())
    }

    /// Hears lines until `is_so`.
    pub(super) fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Kept<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if !self.hear(deadline)? {
                let stages: Vec<Stage> = self.people.iter().map(|person| person.stage).collect();
                return Err(Violation(format!(
                    "waited {PATIENCE:?} for {what}; {stages:?}; {}",
                    self.ledger.awaited()
                )));
            }
        }
        Ok(())
    }

    /// Hears lines for so long.
    pub(super) fn listen(&mut self, time: Duration) -> Kept<()> {
        let deadline = Instant::now() + time;
        while self.hear(deadline)? {}
        Ok(())
    }

    /// Hears one line of somebody before the deadline.
    pub(super) fn hear(&mut self, deadline: Instant) -> Kept<bool> {
        self.talk();
        let alive: Vec<usize> =
            (0..self.people.len()).filter(|person| self.people[*person].stage != Stage::Stopped).collect();
        let mut select = Select::new();
        for person in &alive {
            select.recv(self.people[*person].process.lines());
        }
        let Ok(chosen) = select.select_deadline(deadline) else { return Ok(false) };
        let person = alive[chosen.index()];
        match chosen.recv(self.people[person].process.lines()) {
            Ok(line) => self.take(person, &line)?,
            Err(_) => self.ended_alone(person)?,
        }
        Ok(true)
    }

    /// Everybody who may, and has not too much unanswered, says something somewhere.
    fn talk(&mut self) {
        for person in 0..self.people.len() {
            let resident = &self.people[person];
            if self.talk > 0 && resident.stage == Stage::SignedIn && resident.unanswered < UNANSWERED_MAX {
                let places = self.cast.places(person);
                let place = *self.random.pick(&places).expect("everybody has somebody to talk to");
                self.say(person, place);
                self.talk -= 1;
            }
        }
    }

    fn take(&mut self, person: usize, line: &str) -> Kept<()> {
        self.heard += 1;
        self.people[person].note(line);
        let name = self.cast.people[person];
        let Some(event) = Event::parse(line) else {
            return Err(Violation(format!("{name} said what is no event: {line}")));
        };
        match event.text("re") {
            "" => {}
            SAID => self.people[person].unanswered -= 1,
            mark => {
                let _ = self.people[person].asking.take_if(|asking| asking == mark);
            }
        }
        match event.kind() {
            "signed_in" => self.people[person].stage = Stage::SignedIn,
            "message" if event.flag("own") => {
                let line = self.ledger.accepted(person, event.text("id"), event.text("text"))?;
                self.news = Some(News::Accepted(line));
            }
            "message" => {
                let (conversation, from) = (event.text("conversation"), event.text("from"));
                self.ledger.shown(person, conversation, from, event.text("id"), event.text("text"))?;
            }
            "delivery" if event.text("state") == "delivered" => {
                let line = self.ledger.acknowledged(person, event.text("id"), event.text("to"))?;
                let to = self.cast.person(event.text("to")).expect("the ledger knows them");
                self.news = Some(News::Acknowledged(line, to));
            }
            "history" => {
                let items = event.objects("items");
                let items: Vec<(String, String)> =
                    items.iter().map(|item| (item.text("id").to_owned(), item.text("text").to_owned())).collect();
                self.ledger.history(person, event.text("conversation"), &items)?;
            }
            "error" if !event.text("re").is_empty() || event.text("code") != "unreachable" => {
                return Err(Violation(format!("{name} was refused: {line}")));
            }
            _ => {}
        }
        Ok(())
    }

    /// A program that ended by itself may only have found no registry, at its start.
    fn ended_alone(&mut self, person: usize) -> Kept<()> {
        let was = self.people[person].stage;
        match self.people[person].stopped() {
            Ended::Exit(EXIT_UNREACHABLE) if was == Stage::Starting => {
                self.deaths.gave_up += 1;
                self.people[person].start();
                self.ledger.begin_life(person);
                Ok(())
            }
            ended => Err(Violation(format!("{} ended by itself: {ended:?}", self.cast.people[person]))),
        }
    }

    /// Kills all of them at once, with the registry if it is among them, and looks what each has kept.
    pub(super) fn kill(&mut self, people: &[usize], registry: bool) -> Kept<()> {
        if registry {
            self.ground.kill();
            self.deaths.registry += 1;
        }
        for person in people {
            self.people[*person].process.signal(libc::SIGKILL);
            self.deaths.people += 1;
        }
        for person in people {
            self.hear_out(*person)?;
            self.people[*person].stopped();
        }
        // What others were told of the dead until now is owed as well.
        while self.hear(Instant::now())? {}
        for person in people {
            let rows = self.people[*person].read_log()?;
            self.ledger.read(*person, &rows)?;
            self.ledger.check_log(*person)?;
        }
        if registry {
            self.ground.restart();
        }
        Ok(())
    }

    /// From now on the wire to the registry delays, and cuts in the middle of what it carries.
    pub(super) fn roughen(&mut self) {
        let seed = u64::try_from(self.random.below(usize::MAX)).unwrap_or(0);
        self.ground.set_weather(Some(Random::new(seed)));
    }

    /// Cuts some connections of somebody, and lets others crawl: those to other people and the one to the registry.
    pub(super) fn meddle(&mut self, person: usize) -> std::io::Result<()> {
        for socket in connections(self.people[person].process.pid())? {
            match self.random.below(100) {
                0..30 => {
                    // What is on its way to a socket that was shut down is lost. One that is gone already needs no cut.
                    self.deaths.cut += u64::from(socket.shutdown(std::net::Shutdown::Both).is_ok());
                }
                30..60 => {
                    let rate = CRAWL_BYTES_MIN << self.random.below(5);
                    slow_down(&socket, rate)?;
                    self.deaths.slowed += 1;
                }
                _ => slow_down(&socket, u32::MAX)?,
            }
        }
        Ok(())
    }

    /// What is done to frames under way, if somebody is in the middle.
    pub(super) fn schedules(&self) -> &Schedules {
        self.ground.schedules().expect("only a house with somebody in the middle is asked")
    }

    /// How often each fault happened to a frame, if somebody is in the middle.
    pub(super) fn faults(&self) -> Option<[u64; 5]> {
        Some(self.ground.schedules()?.counts().map(|(_, count)| count))
    }

    /// Has somebody ask the registry something, whatever the answer.
    pub(super) fn chatter(&mut self, person: usize) {
        self.people[person].say(CHATTER);
    }

    /// Wires are as they should be.
    fn calm(&mut self) {
        let Some(cuts) = self.ground.calm() else { return };
        self.deaths.cut += cuts;
        for person in &self.people {
            // Nobody slowed them where this is not allowed.
            for socket in connections(person.process.pid()).into_iter().flatten() {
                let _ = slow_down(&socket, u32::MAX);
            }
        }
    }

    /// Starts those who are dead.
    pub(super) fn start(&mut self, people: &[usize]) {
        for person in people {
            self.people[*person].start();
            self.ledger.begin_life(*person);
        }
    }

    /// The rest of what a dying program said; the very last line may be cut off.
    fn hear_out(&mut self, person: usize) -> Kept<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut last: Option<String> = None;
        while let Ok(line) = self.people[person].process.line(deadline) {
            if let Some(before) = last.replace(line) {
                self.take(person, &before)?;
            }
        }
        match last.filter(|line| Event::parse(line).is_some()) {
            Some(line) => self.take(person, &line),
            None => Ok(()),
        }
    }

    /// Waits until everybody is there and has everything; the time it took.
    pub(super) fn settle(&mut self) -> Kept<Duration> {
        self.talk = 0;
        self.calm();
        let begun = Instant::now();
        self.wait("everybody being there and answered", |house| {
            house.everybody_is(Stage::SignedIn) && house.people.iter().all(|person| person.unanswered == 0)
        })?;
        let deadline = Instant::now() + PATIENCE;
        while !self.ledger.awaits_nothing() {
            if !self.hear(deadline)? {
                return Err(Violation(format!("after {PATIENCE:?} {}", self.ledger.awaited())));
            }
        }
        Ok(begun.elapsed())
    }

    /// With everything settled: the histories are in order, and so is every log, read whole after the program's end.
    pub(super) fn inspect(&mut self, polite: bool) -> Kept<()> {
        for person in 0..self.people.len() {
            for place in self.cast.places(person) {
                self.ask(person, &format!("/history {} {HISTORY}", self.cast.name(place)))?;
            }
        }
        let everybody: Vec<usize> = (0..self.people.len()).collect();
        if polite {
            for person in &everybody {
                self.people[*person].say("/quit");
            }
            for person in &everybody {
                self.hear_out(*person)?;
                let ended = self.people[*person].stopped();
                if ended != Ended::Exit(0) {
                    return Err(Violation(format!("{} quit with {ended:?}", self.cast.people[*person])));
                }
            }
        }
        let alive = if polite { &[] } else { everybody.as_slice() };
        self.kill(alive, true)?;
        for person in &everybody {
            let rows = self.people[*person].read_log()?;
            self.ledger.read(*person, &rows)?;
            self.ledger.check_log(*person)?;
            let whole = self.people[*person].read_whole_log()?;
            self.ledger.check_whole(*person, &whole)?;
        }
        self.ground.check()?;
        if !self.ledger.awaits_nothing() {
            return Err(Violation(format!("shown and in no log: {}", self.ledger.awaited())));
        }
        self.start(&everybody);
        Ok(())
    }

    pub(super) fn everybody_is(&self, stage: Stage) -> bool {
        self.people.iter().all(|person| person.stage == stage)
    }

    /// Moves every file to where it outlives the run.
    pub(super) fn keep(&mut self, folder: &Path) {
        let _ = std::fs::write(folder.join("transcript"), self.transcript().text());
        self.people.iter_mut().for_each(|person| person.keep(folder));
        self.ground.keep(folder);
    }
}

/// The mark of whatever is said; whatever is asked has a number.
const SAID: &str = "said";
/// Something to say to a registry.
const CHATTER: &str = "/who";
/// The slowest connection: a second for the smallest four messages.
const CRAWL_BYTES_MIN: u32 = 1024;
/// Lines a person says ahead of the answers.
const UNANSWERED_MAX: usize = 4;
/// How long anything may take; a pause between two dials grows to half of that.
const PATIENCE: Duration = Duration::from_secs(90);
/// As many as one answer may hold.
const HISTORY: u32 = 10_000;
/// The exit code of a peer that found no registry at its start.
const EXIT_UNREACHABLE: i32 = 4;
