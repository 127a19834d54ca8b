//! Many idle sessions and some pairs that talk, for a long time; see `tests::bench::soak`. Run by `scripts/soak.sh` in
//! release; ends with 1 if memory grew, a session was dropped, or the pairs noticed the others.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tests::bench::soak::{Soak, Soaked, Talk};

fn main() -> ExitCode {
    let soak = match read(std::env::args().skip(1)) {
        Ok(soak) => soak,
        Err(what) => {
            say(&what);
            return ExitCode::from(2);
        }
    };
    let soaked = match soak.play(say) {
        Ok(soaked) => soaked,
        Err(error) => {
            say(&format!("It did not go through: {error}"));
            return ExitCode::FAILURE;
        }
    };
    tell(&soaked);
    let complaints = soaked.complaints();
    complaints.iter().for_each(|complaint| say(&format!("Did not hold: {complaint}.")));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Soak, String> {
    let mut soak = Soak { sessions: 10_000, pairs: 100, span: Duration::from_secs(600), programs: None };
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<f64>().map_err(|_| format!("{argument} takes a number"));
        let count = || value.parse::<usize>().map_err(|_| format!("{argument} takes a number"));
        match argument.as_str() {
            "--sessions" => soak.sessions = count()?,
            "--pairs" => soak.pairs = count()?.max(1),
            "--minutes" => soak.span = Duration::from_secs_f64(number()?.max(0.0) * 60.0),
            "--programs" => soak.programs = Some(value.into()),
            _ => return Err(format!("there is no {argument}: --sessions, --pairs, --minutes, --programs")),
        }
    }
    Ok(soak)
}

fn tell(soaked: &Soaked) {
    let Soaked { sessions, dropped, memory, alone, among_many } = soaked;
    let (begin, end) = soaked.grown();
    let most = memory.iter().copied().fold(0.0, f64::max);
    say(&format!("{sessions} sessions, {dropped} dropped"));
    say(&format!("memory of the registry: {begin:.0} KiB, {most:.0} at most, {end:.0} in the end"));
    let talk = |talk: &Talk| {
        let Talk { messages, p50, p99, low, high } = talk;
        format!("p50 {p50:.3} ms ({low:.3} to {high:.3} in parts of the time), p99 {p99:.3} ms, {messages} messages")
    };
    say(&format!("pairs alone: {}", talk(alone)));
    say(&format!("pairs among many: {}", talk(among_many)));
}

fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
