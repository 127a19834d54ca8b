//! Real programs that are killed while they talk: a registry, four people, direct messages and rooms. After every
//! death what each was told is held against what each has. Or nobody dies, and the wires are bad, or somebody is in the
//! middle of them. Run by `scripts/crash.sh`, `scripts/mitm.sh` and, shortly, by the scenarios.

mod ground;
mod house;
mod ledger;
mod log;
mod middle;
mod resident;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use ledger::{Told, Violation};

use ground::Ground;
use house::{House, News};
use ledger::{Cast, Kept, Place};
use resident::Stage;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: Kind,
    /// How often somebody is killed, or how many connections are meddled with.
    pub cycles: u32,
    pub seed: u64,
    /// Everything lies here; what went wrong is kept here.
    pub folder: PathBuf,
}

/// Who is killed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any of them, several at once, at any moment.
    Anybody,
    /// Whoever says something, as soon as it is told to be accepted.
    Sender,
    /// Whoever hears something, as soon as its author is told that it is delivered.
    Receiver,
    /// Nobody, but the wires are cut, crawl, delay, and lose the ends of what they carry.
    Wires,
    /// Nobody, but a man in the middle flips, drops, repeats, reorders and splices frames on every link: one fault a
    /// connection, by schedules with the seeds from the plan's on.
    Middle,
}

/// What happened in a run without a violation, or until there was one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub cycles: u32,
    pub kills_of_people: u64,
    pub kills_of_registry: u64,
    /// Starts that found no registry and were repeated.
    pub gave_up: u64,
    /// Connections cut and slowed down.
    pub cut: u64,
    pub slowed: u64,
    /// Faults on frames under way, by kind.
    pub flipped: u64,
    pub dropped: u64,
    pub repeated: u64,
    pub reordered: u64,
    pub spliced: u64,
    pub checkpoints: u32,
    pub told: Told,
    /// The longest that people took to have everything.
    pub settled_max: Duration,
    pub took: Duration,
}

/// Runs the plan, telling `progress` at each checkpoint. An error is the violation, and `folder` has the evidence.
pub fn run(plan: &Plan, mut progress: impl FnMut(&Report)) -> Result<Report, Violation> {
    let mut report = Report::default();
    let begun = Instant::now();
    let mut built = None;
    let whole = catch_unwind(AssertUnwindSafe(|| {
        let ground = Ground::of(plan.kind, &plan.folder);
        let house = built.insert(House::build(CAST, &plan.folder, plan.seed, ground));
        house.furnish()?;
        if plan.kind == Kind::Middle {
            return middle::play(house, plan, &mut report, |report, house| {
                report.fill(house, begun);
                progress(report);
            });
        }
        while report.cycles < plan.cycles {
            let cycles = CHECKPOINT_CYCLES.min(plan.cycles - report.cycles);
            for _ in 0..cycles {
                match plan.kind {
                    Kind::Anybody => anybody(house)?,
                    Kind::Sender => sender(house)?,
                    Kind::Receiver => receiver(house)?,
                    Kind::Wires => wires(house)?,
                    Kind::Middle => unreachable!("it is played above"),
                }
                report.cycles += 1;
            }
            report.settled_max = house.settle()?.max(report.settled_max);
            let is_polite = house.random.percent(50);
            house.inspect(is_polite)?;
            report.checkpoints += 1;
            report.fill(house, begun);
            progress(&report);
        }
        Ok(())
    }));
    let outcome = whole.unwrap_or_else(|panic| Err(Violation(words(panic.as_ref()))));
    match outcome {
        Ok(()) => Ok(report),
        Err(violation) => {
            if let Some(house) = &mut built {
                report.fill(house, begun);
                progress(&report);
                house.keep(&plan.folder);
            }
            Err(violation)
        }
    }
}

impl Report {
    fn fill(&mut self, house: &House, begun: Instant) {
        self.kills_of_people = house.deaths.people;
        self.kills_of_registry = house.deaths.registry;
        self.gave_up = house.deaths.gave_up;
        self.cut = house.deaths.cut;
        self.slowed = house.deaths.slowed;
        if let Some(schedules) = house.faults() {
            [self.flipped, self.dropped, self.repeated, self.reordered, self.spliced] = schedules;
        }
        self.told = house.ledger.told;
        self.took = begun.elapsed();
    }
}

/// Somebody dies at a moment that is a number of lines and a little while away.
fn anybody(house: &mut House) -> Kept<()> {
    let random = &mut house.random;
    // Mostly everybody is there again; now and then somebody dies while another is still starting.
    let there = if random.percent(70) { CAST.people.len() } else { 1 + random.below(CAST.people.len()) };
    let (lines, pause) = (1 + random.below(LINES_MAX), random.below(PAUSE_MICROS_MAX));
    let registry = random.percent(20);
    let count = match random.below(100) {
        0..50 => 1,
        50..75 => 2,
        75..85 => 3,
        85..92 => 4,
        _ => usize::from(!registry),
    };
    let mut people: Vec<usize> = (0..CAST.people.len()).collect();
    while people.len() > count {
        people.remove(random.below(people.len()));
    }
    let signed_in = |house: &House| house.people.iter().filter(|person| person.stage == Stage::SignedIn).count();
    // Something is said before everybody is back.
    house.talk = TALK / 2;
    house.wait("enough people being there", |house| signed_in(house) >= there)?;
    house.talk = TALK;
    let target = house.heard + u64::try_from(lines).unwrap_or(u64::MAX);
    let deadline = Instant::now() + MOMENT_MAX;
    while house.heard < target && house.hear(deadline)? {}
    house.listen(Duration::from_micros(u64::try_from(pause).unwrap_or(0)))?;
    house.talk = 0;
    house.kill(&people, registry)?;
    house.start(&people);
    Ok(())
}

/// The author dies with the word that the line is accepted.
fn sender(house: &mut House) -> Kept<()> {
    let author = house.random.below(CAST.people.len());
    let place = *house.random.pick(&CAST.places(author)).expect("there is always somebody");
    house.wait("the author being there", |house| house.people[author].stage == Stage::SignedIn)?;
    let line = house.say(author, place);
    house.wait("the line being accepted", |house| house.news == Some(News::Accepted(line)))?;
    house.kill(&[author], false)?;
    house.start(&[author]);
    Ok(())
}

/// The recipient dies with the word that the line is delivered.
fn receiver(house: &mut House) -> Kept<()> {
    let author = house.random.below(CAST.people.len());
    let places: Vec<Place> = CAST.places(author);
    let place = *house.random.pick(&places).expect("there is always somebody");
    let hearers = CAST.hearers(author, place);
    let hearer = *house.random.pick(&hearers).expect("a room has other members");
    house.wait("both being there", |house| {
        [author, hearer].iter().all(|person| house.people[*person].stage == Stage::SignedIn)
    })?;
    let line = house.say(author, place);
    house.wait("the line being delivered", |house| house.news == Some(News::Acknowledged(line, hearer)))?;
    house.kill(&[hearer], false)?;
    house.start(&[hearer]);
    Ok(())
}

/// Bad weather between everybody, while they talk.
fn wires(house: &mut House) -> Kept<()> {
    let lines = 1 + house.random.below(LINES_MAX);
    house.roughen();
    house.talk = TALK;
    let target = house.heard + u64::try_from(lines).unwrap_or(u64::MAX);
    let deadline = Instant::now() + MOMENT_MAX;
    while house.heard < target && house.hear(deadline)? {}
    for _ in 0..1 + house.random.below(CAST.people.len()) {
        let person = house.random.below(CAST.people.len());
        house.meddle(person).map_err(|error| Violation(format!("sockets of a child are out of reach: {error}")))?;
    }
    Ok(())
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Everybody is in `#dev`; `#board` is private.
const CAST: Cast =
    Cast { people: &["alice", "bob", "carol", "dave"], rooms: &[("#dev", &[0, 1, 2, 3]), ("#board", &[0, 1, 2])] };

/// Between two times that everything is held against everything.
const CHECKPOINT_CYCLES: u32 = 25;
/// Lines said at most until a moment comes.
const TALK: usize = 60;
/// A moment is at most so many lines of everybody away, and a little while after the last of them.
const LINES_MAX: usize = 200;
const PAUSE_MICROS_MAX: usize = 3000;
/// If nobody says that many lines, the moment comes anyway.
const MOMENT_MAX: Duration = Duration::from_secs(2);
