//! Plays the attacks at full size against a real registry on loopback, prints the numbers, and ends with 1 if a limit did
//! not hold. Run by `scripts/abuse.sh` in release; takes the parts to play as its arguments: guesses, answers, crowd.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::limits::{FIRST_FRAME_TIMEOUT, SIGN_IN_TIMEOUT};
use common::message::registry::{Code, Reply, Request};
use crossbeam_channel::never;
use tests::Registry;
use tests::abuse::{Comparison, Crowd, Guesses, Manner, Spread, Workers, time_answers};
use tests::wire::{Person, RegistryLink};

fn main() -> io::Result<ExitCode> {
    let mut parts: Vec<String> = std::env::args().skip(1).collect();
    if parts.is_empty() {
        parts = ["guesses", "answers", "crowd"].map(str::to_owned).to_vec();
    }
    let mut held = true;
    for part in &parts {
        held &= match part.as_str() {
            "guesses" => guesses()?,
            "answers" => answers()?,
            "crowd" => crowd()?,
            other => panic!("there is no part {other}: guesses, answers, crowd"),
        };
    }
    told(if held { "Every limit held." } else { "A limit did not hold: see above." })?;
    Ok(ExitCode::from(u8::from(!held)))
}

// 10,000 wrong passwords for one account, from one source and from 200, while its owner comes and goes.
fn guesses() -> io::Result<bool> {
    let mut held = true;
    for (sources, checked_max) in [(1, 5 + 8), (200, 30)] {
        let registry = Registry::start(&sets(&LIMITS_AS_SHIPPED));
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
    let registry = Registry::start(&sets(&LIMITS_AS_SHIPPED));
    let address = registry.address().to_owned();
    let people = Workers::sign_up(&address, 100);
    let workers = Workers::start(&address, people, WORK_EVERY);
    let _: Result<(), _> = never().recv_timeout(UNDISTURBED_FOR);
    let before = workers.stop();
    drop(registry);

    let mut registry = Registry::start(&sets(&LIMITS_AS_SHIPPED));
    let address = registry.address().to_owned();
    let workers = Workers::start(&address, Workers::sign_up(&address, 100), WORK_EVERY);
    let manners = [Manner::Silent, Manner::Dribbling, Manner::Silent, Manner::DribblingLater];
    let crowd = Crowd::stand(&address, &manners, 2000, 500, PATIENCE);
    let during = workers.stop();
    let is_running = registry.process().is_running();

    let (calm, attacked) = (Spread::of(&before.answers), Spread::of(&during.answers));
    told(&format!("{} people, undisturbed: {calm}", before.people))?;
    told(&format!("{} people, 2,000 at the door: {attacked}", during.people))?;
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64().max(1e-9);
    let (median, p99) = (ratio(attacked.median, calm.median), ratio(attacked.p99, calm.p99));
    told(&format!("  as a ratio: median {median:.2}, p99 {p99:.2}; every request was answered"))?;
    let mut held = is_running && crowd.left == 0;
    for (manner, deadline) in [
        (Manner::Silent, FIRST_FRAME_TIMEOUT),
        (Manner::Dribbling, FIRST_FRAME_TIMEOUT),
        (Manner::DribblingLater, SIGN_IN_TIMEOUT),
    ] {
        let longest = crowd.longest(manner);
        told(&format!(
            "  {manner:?}: all closed, after {:.2} s at most ({deadline:?} allowed)",
            longest.as_secs_f64()
        ))?;
        held &= longest < deadline + SLACK;
    }
    told(&format!("  still open: {}", crowd.left))?;
    Ok(held)
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
/// One half is no difference at all; further off than that and somebody patient could tell.
const CHANCE_TOLD: f64 = 0.06;
const WORK_EVERY: Duration = Duration::from_millis(50);
const UNDISTURBED_FOR: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(40);
/// A machine under load is late.
const SLACK: Duration = Duration::from_secs(2);
