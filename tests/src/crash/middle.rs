//! The man in the middle at work: everybody talks while one fault happens to each connection, to their registry and to
//! each other, until every schedule was played. Nothing that was altered is ever shown, every broken connection ends,
//! and everything arrives.

use std::time::{Duration, Instant};

use super::house::House;
use super::ledger::{Kept, Violation};
use super::{CAST, Plan, Report};
use crate::evil::NOTICED_WITHIN;

pub(super) fn play(
    house: &mut House,
    plan: &Plan,
    report: &mut Report,
    mut progress: impl FnMut(&mut Report, &House),
) -> Kept<()> {
    house.schedules().release(plan.seed, u64::from(plan.cycles));
    let played = meddle(house, plan, report, &mut progress).and_then(|()| {
        report.settled_max = house.settle()?;
        let everybody: Vec<usize> = (0..CAST.people.len()).collect();
        // The logs are held against what was told: nothing altered is in them either.
        house.kill(&everybody, false)
    });
    report.checkpoints += 1;
    progress(report, house);
    played.map_err(|Violation(what)| Violation(format!("{what}; schedules in play: {:?}", house.schedules().in_play())))
}

fn meddle(
    house: &mut House,
    plan: &Plan,
    report: &mut Report,
    progress: &mut impl FnMut(&mut Report, &House),
) -> Kept<()> {
    let (mut told_at, mut moved_at) = (Instant::now(), Instant::now());
    let mut person = 0;
    loop {
        let left = house.schedules().left();
        let played = plan.cycles.saturating_sub(u32::try_from(left).unwrap_or(u32::MAX));
        if played > report.cycles {
            (report.cycles, moved_at) = (played, Instant::now());
        }
        let is_open = !house.schedules().open().is_empty();
        if left == 0 && !is_open {
            return Ok(());
        }
        if moved_at.elapsed() > NOTICED_WITHIN {
            let what = format!("{left} schedules wait for a connection, and {:?} stay open", house.schedules().open());
            return Err(Violation(format!("nothing happened for {NOTICED_WITHIN:?}: {what}")));
        }
        if told_at.elapsed() > TOLD_EVERY {
            told_at = Instant::now();
            progress(report, house);
        }
        // A word to everybody and to the registry shows a broken link sooner than its silence does.
        house.talk += LINES;
        house.chatter(person);
        person = (person + 1) % CAST.people.len();
        house.listen(TURN)?;
    }
}

/// Between two words to a registry.
const TURN: Duration = Duration::from_millis(250);
/// Lines said in each turn, by anybody to anybody.
const LINES: usize = 8;
const TOLD_EVERY: Duration = Duration::from_secs(10);
