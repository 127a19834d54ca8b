//! Plays the attacks at full size against a real registry on loopback, prints the numbers, and ends with 1 if a limit did
//! not hold. Run by `scripts/abuse.sh` in release. One core belongs to the attackers, the others to the registry and to
//! everybody who works: what attackers compute takes nothing from anybody, and all that a registry does for them does.
//! Rounds take turns with undisturbed ones, in which the attackers' core computes as hard and talks to nobody; nothing
//! that began within a moment of a change counts.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::limits::{FIRST_FRAME_TIMEOUT, SIGN_IN_TIMEOUT};
use common::message::registry::{Code, Reply, Request};
use tests::Registry;
use tests::abuse::{
    Attack, Comparison, Crowd, Guesses, Manner, PLAY, Pairs, READY, Spread, Turns, Workers, pause, time_answers,
};
use tests::cores::{self, Pinned};
use tests::wire::{Person, RegistryLink};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, attack, registry, round, core] = arguments.as_slice()
        && first == PLAY
    {
        return play(attack, registry, round, core).map(|()| ExitCode::SUCCESS);
    }
    let of_crowds = ["guesses", "answers", "crowd"];
    let all = || of_crowds.into_iter().chain(Attack::ALL.map(Attack::name)).map(str::to_owned).collect();
    let parts: Vec<String> = if arguments.is_empty() { all() } else { arguments };
    let mut held = true;
    for part in &parts {
        held &= match (part.as_str(), Attack::named(part)) {
            ("guesses", _) => guesses()?,
            ("answers", _) => answers()?,
            ("crowd", _) => crowd()?,
            (_, Some(attack)) => beside(attack)?,
            (other, None) => panic!("there is no part {other}: {}", all().join(", ")),
        };
    }
    told(if held { "Every limit held." } else { "A limit did not hold: see above." })?;
    Ok(ExitCode::from(u8::from(!held)))
}

// An attack in a process of its own, which whoever started it ends.
fn play(attack: &str, registry: &str, round: &str, core: &str) -> io::Result<()> {
    let attack = Attack::named(attack).expect("one of those there are");
    let [round, core] = [round, core].map(|number| number.parse().expect("a number"));
    let _pinned = Pinned::to(&[core])?;
    attack.play(registry, round, || drop(told(READY)))
}

// The core of the attackers, and those of everybody else.
fn divided() -> io::Result<(usize, Vec<usize>)> {
    let mut ours = cores::all()?;
    let theirs = ours.pop().expect("at least one");
    Ok((theirs, if ours.is_empty() { vec![theirs] } else { ours }))
}

// People who talk with each other, and people who ask the registry, in turns undisturbed and beside an attack.
fn beside(attack: Attack) -> io::Result<bool> {
    let (theirs, ours) = divided()?;
    let _pinned = Pinned::to(&ours)?;
    let cost: &[&str] = if attack == Attack::Passwords { &["passwords.bcrypt_cost=12"] } else { &[] };
    let mut registry = Registry::start(&sets(&[LIMITS_AS_SHIPPED.as_slice(), cost].concat()));
    let address = registry.address().to_owned();
    let workers = Workers::start(&address, Workers::sign_up(&address, WORKERS), WORK_EVERY);
    let pairs = Pairs::start(&registry, PAIRS, TALK_EVERY);
    attack.prepare(&address, ROUNDS);
    let mut turns = Turns::default();
    for round in 0..ROUNDS {
        for attack in [Attack::Nothing, attack] {
            let attacker = attack.start(&address, round, theirs)?;
            pause(MOMENT);
            let since = Instant::now();
            pause(ROUND);
            if attack == Attack::Nothing {
                turns.was_undisturbed(since)
            } else {
                turns.was_attacked(since)
            }
            drop(attacker);
            pause(MOMENT);
        }
    }
    let (talked, worked) = (pairs.stop(), workers.stop());
    told(&format!("{}, {ROUNDS} rounds, {} people who work:", attack.name(), WORKERS + 2 * PAIRS))?;
    let mut held = registry.process().is_running();
    for (what, times) in
        [("a line and its answer", talked), ("a request", worked.answers), ("coming back", worked.returns)]
    {
        let beside = turns.sort(&times);
        told(&format!("  {what}\n{beside}"))?;
        held &= beside.is_noise();
    }
    told_counts(&registry)?;
    Ok(held)
}

// 10,000 wrong passwords for one account, from one source and from 200, while its owner comes and goes.
fn guesses() -> io::Result<bool> {
    let mut held = true;
    for (sources, checked_max) in [(1, 5 + 8), (200, 30)] {
        let registry = Registry::start(&sets(&[LIMITS_AS_SHIPPED.as_slice(), &[WIDE_DOOR]].concat()));
        let address = registry.address().to_owned();
        let alice = Person::new("alice");
        drop(RegistryLink::sign_up(&address, &alice));
        let owner = {
            let address = address.clone();
            let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
            let thread = common::thread::spawn("owner", move || {
                let alice = Person::new("alice");
                let mut times = Vec::new();
                while stopped.recv_timeout(Duration::from_millis(20)).is_err_and(|error| error.is_timeout()) {
                    let begun = Instant::now();
                    let mut link = RegistryLink::connect(&address, &alice);
                    let resumed = link.ask(Request::Resume { user: alice.name.clone() });
                    assert!(matches!(resumed, Ok(Reply::SignedIn { .. })), "the owner was kept out: {resumed:?}");
                    times.push(begun.elapsed());
                }
                times
            });
            (stop, thread?)
        };
        let begun = Instant::now();
        let guesses = Guesses { registry: &address, account: &alice, sources, first_source: 0 };
        let guessed = guesses.run(10_000);
        drop(owner.0);
        let times = owner.1.join();
        told(&format!(
            "10,000 wrong passwords from {sources} source(s) in {:.1} s: {guessed:?}",
            begun.elapsed().as_secs_f64()
        ))?;
        told(&format!("  the owner's device signed in {} times, always: {}", times.len(), Spread::of(&times)))?;
        held &= guessed.checked <= checked_max && guessed.guesses == 10_000;
    }
    Ok(held)
}

// Whether a refusal, or its time, tells that an account exists: while passwords are checked, and while it is throttled.
fn answers() -> io::Result<bool> {
    let mut held = true;
    let wide = ["limits.password_failures=1000", "limits.password_failures_hour=100000", WIDE_SOURCE];
    let narrow = ["limits.password_failures=1", "limits.password_failures_hour=1", WIDE_SOURCE];
    let parts = [
        ("a wrong password, bcrypt cost 4", [wide.as_slice(), &["passwords.bcrypt_cost=4"]].concat(), 2000),
        ("a wrong password, bcrypt cost 10", [wide.as_slice(), &["passwords.bcrypt_cost=10"]].concat(), 150),
        ("told to wait", narrow.to_vec(), 2000),
    ];
    for (what, settings, count) in parts {
        let registry = Registry::start(&sets(&settings));
        let [known, unknown] = ["known", "ghost"].map(Person::new);
        drop(RegistryLink::sign_up(registry.address(), &known));
        let [of_known, of_unknown] = time_answers(registry.address(), &known, &unknown, count);
        let times = |answers: &[(Duration, _)]| answers.iter().map(|(time, _)| *time).collect::<Vec<_>>();
        let (known_times, unknown_times) = (times(&of_known), times(&of_unknown));
        let comparison = Comparison::of(&known_times, &unknown_times);
        told(&format!("{what}: {comparison}"))?;
        told(&format!("  there is such an account: {}", Spread::of(&known_times)))?;
        told(&format!("  there is none:            {}", Spread::of(&unknown_times)))?;
        let same = of_known.iter().zip(&of_unknown).all(|((_, one), (_, other))| one.code == other.code);
        let codes = of_known.iter().filter(|(_, refusal)| refusal.code == Code::Credentials).count();
        told(&format!("  the same codes in both: {same}; {codes} of {} were checked", of_known.len()))?;
        held &= same && (comparison.chance - 0.5).abs() < CHANCE_TOLD;
    }
    Ok(held)
}

// 1,000 silent connections and 1,000 that send a byte a second, against 100 people who work.
fn crowd() -> io::Result<bool> {
    let (theirs, ours) = divided()?;
    let _pinned = Pinned::to(&ours)?;
    let mut registry = Registry::start(&sets(&LIMITS_AS_SHIPPED));
    let address = registry.address().to_owned();
    let workers = Workers::start(&address, Workers::sign_up(&address, 100), WORK_EVERY);
    let (mut turns, mut crowds) = (Turns::default(), Vec::new());
    for round in 0..CROWDS {
        let attacker = Attack::Nothing.start(&address, round, theirs)?;
        pause(MOMENT);
        let since = Instant::now();
        pause(SIGN_IN_TIMEOUT);
        turns.was_undisturbed(since);
        drop(attacker);
        let address = address.clone();
        let stand = move || {
            let _pinned = Pinned::to(&[theirs]);
            let manners = [Manner::Silent, Manner::Dribbling, Manner::Silent, Manner::DribblingLater];
            Crowd::stand(&address, &manners, 2000, 500, PATIENCE)
        };
        let since = Instant::now();
        crowds.push(common::thread::spawn("crowd", stand)?.join());
        turns.was_attacked(since);
        pause(MOMENT);
    }
    let worked = workers.stop();
    let mut held = registry.process().is_running();
    told(&format!("100 people who work, and {CROWDS} times 2,000 connections that never sign in:"))?;
    for (what, times) in [("a request", worked.answers), ("coming back", worked.returns)] {
        let beside = turns.sort(&times);
        told(&format!("  {what}\n{beside}"))?;
        held &= beside.is_unnoticed();
    }
    for (manner, deadline) in [
        (Manner::Silent, FIRST_FRAME_TIMEOUT),
        (Manner::Dribbling, FIRST_FRAME_TIMEOUT),
        (Manner::DribblingLater, SIGN_IN_TIMEOUT),
    ] {
        let longest = crowds.iter().map(|crowd| crowd.longest(manner)).max().unwrap_or_default();
        let seconds = longest.as_secs_f64();
        told(&format!("  {manner:?}: all closed, after {seconds:.2} s at most ({deadline:?} allowed)"))?;
        held &= longest < deadline + SLACK;
    }
    let left: usize = crowds.iter().map(|crowd| crowd.left).sum();
    told(&format!("  still open: {left}"))?;
    told_counts(&registry)?;
    Ok(held && left == 0)
}

// What the registry refused and cut meanwhile.
fn told_counts(registry: &Registry) -> io::Result<()> {
    let stats = registry.order(&["stats"]);
    let bitten: Vec<&str> = stats.lines().filter(|line| !line.ends_with("=0")).collect();
    told(&format!("  registry stats: {}", bitten.join(" ")))
}

fn sets<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|setting| ["--set", *setting]).collect()
}

fn told(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// What the harness widens for tests that want to be left alone, as it is by itself.
const LIMITS_AS_SHIPPED: [&str; 4] = [
    "limits.unauthenticated_per_source=16",
    "limits.password_failures=5",
    "limits.password_failures_hour=30",
    WIDE_SOURCE,
];
/// 10,000 guesses from one source shall meet the limit of the account.
const WIDE_SOURCE: &str = "limits.password_failures_per_source_hour=100000";
/// All of them are made to wait at the door; fewer at once would take an hour. Whoever was told to wait and hung up counts
/// until that second is over, so there is room for each guesser twice.
const WIDE_DOOR: &str = "limits.unauthenticated_per_source=150";
/// One half is no difference at all; further off than that and somebody patient could tell.
const CHANCE_TOLD: f64 = 0.06;
const WORKERS: usize = 20;
const PAIRS: usize = 2;
const WORK_EVERY: Duration = Duration::from_millis(50);
const TALK_EVERY: Duration = Duration::from_millis(20);
/// So many that the slowest undisturbed one shows what the machine does by itself.
const ROUNDS: usize = 10;
const ROUND: Duration = Duration::from_millis(2500);
/// Of a crowd of 2,000, which takes more than the time for signing in.
const CROWDS: usize = 5;
/// Until what has just begun or ended is everywhere.
const MOMENT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(40);
/// A machine under load is late.
const SLACK: Duration = Duration::from_secs(2);
