//! The same thing measured in turns, undisturbed and beside an attack: what the machine does meanwhile happens to both.

use std::fmt;
use std::time::{Duration, Instant};

use super::compare::Spread;

/// How long something took, and when it began.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub begun: Instant,
    pub took: Duration,
}

/// When was which; what began at no time of the two does not count.
#[derive(Debug, Default)]
pub struct Turns {
    undisturbed: Vec<(Instant, Instant)>,
    attacked: Vec<(Instant, Instant)>,
}

/// Times of one thing, round by round.
#[derive(Debug)]
pub struct Beside {
    undisturbed: Vec<Vec<Duration>>,
    attacked: Vec<Vec<Duration>>,
}

impl Timed {
    pub fn since(begun: Instant) -> Self {
        Self { begun, took: begun.elapsed() }
    }
}

impl Turns {
    pub fn was_undisturbed(&mut self, since: Instant) {
        self.undisturbed.push((since, Instant::now()));
    }

    pub fn was_attacked(&mut self, since: Instant) {
        self.attacked.push((since, Instant::now()));
    }

    pub fn sort(&self, times: &[Timed]) -> Beside {
        let during = |(from, to): &(Instant, Instant)| -> Vec<Duration> {
            let inside = times.iter().filter(|timed| (*from..*to).contains(&timed.begun));
            inside.map(|timed| timed.took).collect()
        };
        let all = |turns: &[(Instant, Instant)]| turns.iter().map(during).collect();
        Beside { undisturbed: all(&self.undisturbed), attacked: all(&self.attacked) }
    }
}

impl Beside {
    /// Whether a usual round beside the attack was no slower than the slowest undisturbed one, in its median and in its
    /// slowest hundredth. The slowest: what the machine does by itself now and then is not the attack's.
    pub fn is_noise(&self) -> bool {
        [MEDIAN, P99].into_iter().all(|of| {
            let (undisturbed, attacked) = self.rounds(of);
            middle(&attacked) <= undisturbed.iter().max().copied().unwrap_or_default()
        })
    }

    /// Whether people would not notice: a usual round beside the attack was no slower in its median than the slowest
    /// undisturbed one, and in its slowest hundredth still felt as immediate.
    pub fn is_unnoticed(&self) -> bool {
        let (undisturbed, attacked) = self.rounds(MEDIAN);
        let slowest = middle(&self.rounds(P99).1);
        middle(&attacked) <= undisturbed.iter().max().copied().unwrap_or_default() && slowest < FELT_AS_IMMEDIATE
    }

    /// The same value of every round, of both kinds, sorted.
    fn rounds(&self, of: fn(&Spread) -> Duration) -> (Vec<Duration>, Vec<Duration>) {
        let each = |rounds: &[Vec<Duration>]| {
            let mut values: Vec<Duration> = rounds.iter().map(|times| of(&Spread::of(times))).collect();
            values.sort_unstable();
            values
        };
        (each(&self.undisturbed), each(&self.attacked))
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    undisturbed  {}", Spread::of(&self.undisturbed.concat()))?;
        writeln!(f, "    attacked     {}", Spread::of(&self.attacked.concat()))?;
        for (name, of) in [("median", MEDIAN), ("p99", P99)] {
            let (undisturbed, attacked) = self.rounds(of);
            let usual = middle(&undisturbed);
            let ratio = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() / usual.as_secs_f64());
            let [low, high] = [undisturbed.first(), undisturbed.last()].map(ratio);
            let (attacked_usual, attacked_high) = (ratio(Some(&middle(&attacked))), ratio(attacked.last()));
            writeln!(
                f,
                "    {name:<6} as a ratio: {attacked_usual:.2}, at most {attacked_high:.2} in a round; \
                 undisturbed rounds {low:.2} to {high:.2}"
            )?;
        }
        f.write_str(match (self.is_noise(), self.is_unnoticed()) {
            (true, _) => "    within noise",
            (false, true) => "    BEYOND NOISE, though nobody would notice",
            (false, false) => "    BEYOND NOISE",
        })
    }
}

fn middle(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

const MEDIAN: fn(&Spread) -> Duration = |spread| spread.median;
const P99: fn(&Spread) -> Duration = |spread| spread.p99;

/// Jakob Nielsen, Usability Engineering (1993), chapter 5.
const FELT_AS_IMMEDIATE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(attacked_millis: u64) -> Beside {
        let round = |millis: u64| (0..100).map(|number| Duration::from_micros(millis * 1000 + number)).collect();
        Beside { undisturbed: [10, 11, 13].map(round).to_vec(), attacked: [9, attacked_millis, 40].map(round).to_vec() }
    }

    #[test]
    fn one_slow_round_is_noise_and_a_slow_usual_one_is_not() {
        assert!(beside(13).is_noise(), "{}", beside(13));
        assert!(!beside(14).is_noise(), "{}", beside(14));
        assert!(beside(22).to_string().contains("median as a ratio: 2.00, at most 3.6"), "{}", beside(22));
    }

    #[test]
    fn a_slow_hundredth_is_noticed_when_a_person_would_and_a_slower_median_always() {
        let round = |median: u64, slowest: u64| {
            let times = (0..100).map(|number| if number < 95 { median } else { slowest });
            times.map(Duration::from_millis).collect::<Vec<_>>()
        };
        let with = |attacked| Beside { undisturbed: vec![round(2, 9), round(3, 12)], attacked: vec![attacked] };
        let beside = with(round(3, 60));
        assert!(!beside.is_noise() && beside.is_unnoticed());
        assert!(!with(round(3, 130)).is_unnoticed());
        assert!(!with(round(5, 60)).is_unnoticed());
    }

    #[test]
    fn what_began_between_turns_does_not_count() {
        let mut turns = Turns::default();
        let begun = Instant::now();
        let at = |millis| Timed { begun: begun + Duration::from_millis(millis), took: Duration::from_millis(millis) };
        turns.undisturbed.push((begun, begun + Duration::from_millis(10)));
        turns.attacked.push((begun + Duration::from_millis(20), begun + Duration::from_millis(30)));
        let beside = turns.sort(&[0, 9, 10, 19, 20, 29, 30].map(at));
        let millis = |numbers: &[u64]| vec![numbers.iter().copied().map(Duration::from_millis).collect::<Vec<_>>()];
        assert_eq!((beside.undisturbed, beside.attacked), (millis(&[0, 9]), millis(&[20, 29])));
    }
}
