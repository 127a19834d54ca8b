//! What everybody was told and what their logs hold, line by line, and the promises that follow: pure bookkeeping that
//! neither reads nor waits. The first promise that is broken is the error.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// What was promised and is not so, with the evidence in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

pub(super) type Kept<T> = Result<T, Violation>;

/// Where something is said, as its author names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Person(usize),
    Room(usize),
}

/// One thing said: its author's `number`-th in that place, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    pub(super) author: usize,
    pub(super) place: Place,
    pub(super) number: u32,
}

/// Who is there and which rooms they share; nobody enters or leaves one after the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast {
    pub(super) people: &'static [&'static str],
    pub(super) rooms: &'static [(&'static str, &'static [usize])],
}

/// A text found in somebody's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) id: String,
    pub(super) text: String,
    /// It lies in a chain of the log's owner.
    pub(super) own: bool,
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub accepted: u64,
    pub shown: u64,
    pub acknowledged: u64,
    /// Shown again in a new life: not in the log at the end of the one before, or among the last lines before that and
    /// not acknowledged to their authors.
    pub retold: u64,
    /// In the log, and the program died before it had shown them: the next life did.
    pub unshown: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    cast: Cast,
    pub(super) told: Told,
    ids: HashMap<String, Line>,
    people: Vec<Person>,
}

/// One person's view.
#[derive(Debug, Default)]
struct Person {
    /// The last number given out in each place.
    said: BTreeMap<Place, u32>,
    /// Accepted in this life, and up to which number.
    accepted: BTreeMap<Place, u32>,
    /// Accepted and not yet looked for in the own log.
    to_find: Vec<Line>,
    /// Acknowledged to their authors and not yet looked for in this log.
    owed: HashSet<Line>,
    /// Others' lines that are meant for this person and neither shown nor found in the log.
    awaited: BTreeSet<Line>,
    /// Shown in this life, ever, and the last of each author and place in this life.
    shown: HashSet<Line>,
    ever_shown: HashSet<Line>,
    last_shown: HashMap<(usize, Place), u32>,
    /// The last lines shown, in order, and those that were it when this life began: these may be shown again, unless
    /// their authors were told before that they are here.
    newest: VecDeque<Line>,
    tail: HashSet<Line>,
    acknowledged: HashSet<Line>,
    /// Read from the log when the program was dead, and the last of each author and place.
    logged: HashSet<Line>,
    last_logged: HashMap<(usize, Place), u32>,
}

impl Cast {
    /// Where `person` may speak.
    pub(super) fn places(&self, person: usize) -> Vec<Place> {
        let others = (0..self.people.len()).filter(|other| *other != person).map(Place::Person);
        let rooms = (0..self.rooms.len()).filter(|room| self.rooms[*room].1.contains(&person)).map(Place::Room);
        others.chain(rooms).collect()
    }

    /// Who should hear what `author` says there.
    pub(super) fn hearers(&self, author: usize, place: Place) -> Vec<usize> {
        match place {
            Place::Person(person) => vec![person],
            Place::Room(room) => self.rooms[room].1.iter().copied().filter(|member| *member != author).collect(),
        }
    }

    /// The place as its author writes it.
    pub(super) fn name(&self, place: Place) -> String {
        match place {
            Place::Person(person) => format!("@{}", self.people[person]),
            Place::Room(room) => self.rooms[room].0.to_owned(),
        }
    }

    /// The conversation as `hearer` is shown it.
    pub(super) fn heard_as(&self, line: Line) -> String {
        match line.place {
            Place::Person(_) => format!("@{}", self.people[line.author]),
            Place::Room(_) => self.name(line.place),
        }
    }

    pub(super) fn person(&self, name: &str) -> Option<usize> {
        self.people.iter().position(|person| *person == name)
    }

    pub(super) fn text(&self, line: Line) -> String {
        format!("{} {} {}", self.people[line.author], self.name(line.place), line.number)
    }

    fn line(&self, text: &str) -> Option<Line> {
        let mut words = text.split(' ');
        let author = self.person(words.next()?)?;
        let place = words.next()?;
        let place = self.places(author).into_iter().find(|known| self.name(*known) == place)?;
        let number = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Line { author, place, number })
    }
}

impl Ledger {
    pub(super) fn new(cast: Cast) -> Self {
        let people = cast.people.iter().map(|_| Person::default()).collect();
        Self { cast, told: Told::default(), ids: HashMap::new(), people }
    }

    /// The next thing that `author` says there.
    pub(super) fn next(&mut self, author: usize, place: Place) -> Line {
        let number = self.people[author].said.entry(place).or_default();
        *number += 1;
        Line { author, place, number: *number }
    }

    /// A new life begins: what a life is told only once may be told anew.
    pub(super) fn begin_life(&mut self, person: usize) {
        let person = &mut self.people[person];
        person.accepted.clear();
        person.shown.clear();
        person.last_shown.clear();
        let tail = person.newest.iter().filter(|line| !person.acknowledged.contains(line));
        person.tail = tail.copied().collect();
    }

    /// `message` with `own: true`.
    pub(super) fn accepted(&mut self, author: usize, id: &str, text: &str) -> Kept<Line> {
        let line = self.known(author, id, text)?;
        let last = self.people[author].accepted.insert(line.place, line.number).unwrap_or(0);
        if line.author != author || line.number <= last {
            return self.broken(author, &format!("accepted '{text}' after number {last}"));
        }
        self.told.accepted += 1;
        self.people[author].to_find.push(line);
        self.expect(line);
        Ok(line)
    }

    /// `message` of somebody else.
    pub(super) fn shown(&mut self, hearer: usize, conversation: &str, from: &str, id: &str, text: &str) -> Kept<()> {
        let line = self.known(hearer, id, text)?;
        let is_meant = self.cast.hearers(line.author, line.place).contains(&hearer);
        if !is_meant || self.cast.people[line.author] != from || self.cast.heard_as(line) != conversation {
            return self.broken(hearer, &format!("was shown '{text}' as one of {from} in {conversation}"));
        }
        let person = &mut self.people[hearer];
        let again = !person.ever_shown.insert(line);
        if !person.shown.insert(line) {
            return self.broken(hearer, &format!("was shown '{text}' twice in one life"));
        }
        if again && person.logged.contains(&line) && !person.tail.contains(&line) {
            return self.broken(hearer, &format!("was shown '{text}' again, which was in the log before this life"));
        }
        if person.newest.len() >= TAIL_LINES {
            person.newest.pop_front();
        }
        person.newest.push_back(line);
        let last = person.last_shown.insert((line.author, line.place), line.number).unwrap_or(0);
        if line.number <= last {
            return self.broken(hearer, &format!("was shown '{text}' after number {last}"));
        }
        person.awaited.remove(&line);
        self.told.shown += 1;
        self.told.retold += u64::from(again);
        Ok(())
    }

    /// `delivery` with `delivered`: on the disk of `to`, says the program of `author`.
    pub(super) fn acknowledged(&mut self, author: usize, id: &str, to: &str) -> Kept<Line> {
        let line = self.ids.get(id).copied().filter(|line| line.author == author);
        let hearer = self.cast.person(to);
        let Some((line, hearer)) = line.zip(hearer) else {
            return self.broken(author, &format!("was told that {id} is delivered to {to}, and never said it"));
        };
        if !self.cast.hearers(author, line.place).contains(&hearer) {
            return self.broken(author, &format!("was told that '{}' went to {to}", self.cast.text(line)));
        }
        self.told.acknowledged += 1;
        let hearer = &mut self.people[hearer];
        hearer.acknowledged.insert(line);
        if !hearer.logged.contains(&line) {
            hearer.owed.insert(line);
        }
        Ok(line)
    }

    /// What the log of a dead program holds beyond what was read from it before, in order of arrival.
    pub(super) fn read(&mut self, owner: usize, rows: &[Logged]) -> Kept<()> {
        for Logged { id, text, own } in rows {
            let line = self.known(owner, id, text)?;
            let is_meant = self.cast.hearers(line.author, line.place).contains(&owner);
            if *own != (line.author == owner) || !*own && !is_meant {
                return self.broken(owner, &format!("has '{text}' in the log, which is none of theirs"));
            }
            let person = &mut self.people[owner];
            let last = person.last_logged.insert((line.author, line.place), line.number).unwrap_or(0);
            if !person.logged.insert(line) || line.number <= last {
                return self.broken(owner, &format!("has '{text}' in the log twice, or after number {last}"));
            }
            if person.ever_shown.contains(&line) {
                person.awaited.remove(&line);
            } else if person.awaited.contains(&line) {
                // The next life has to show it.
                self.told.unshown += 1;
            }
            if *own {
                // The author may have died before the word; it is kept all the same.
                self.expect(line);
            }
        }
        Ok(())
    }

    /// After `read`: nothing that was promised of this log is missing in it.
    pub(super) fn check_log(&mut self, owner: usize) -> Kept<()> {
        let person = &mut self.people[owner];
        let accepted = std::mem::take(&mut person.to_find);
        let owed = std::mem::take(&mut person.owed);
        let lost = accepted.iter().find(|line| !person.logged.contains(line)).copied();
        let lost_owed = owed.iter().find(|line| !person.logged.contains(line)).copied();
        // Shown and not kept: the author sends them again.
        let again: Vec<Line> = person.shown.iter().filter(|line| !person.logged.contains(line)).copied().collect();
        person.awaited.extend(again);
        if let Some(line) = lost {
            return self.broken(owner, &format!("lost the accepted '{}'", self.cast.text(line)));
        }
        if let Some(line) = lost_owed {
            return self.broken(owner, &format!("lost '{}', which was acknowledged", self.cast.text(line)));
        }
        Ok(())
    }

    /// The whole log was read anew: it is what was read piece by piece.
    pub(super) fn check_whole(&self, owner: usize, rows: &[Logged]) -> Kept<()> {
        let whole: HashSet<Line> = rows.iter().filter_map(|row| self.cast.line(&row.text)).collect();
        let person = &self.people[owner];
        match person.logged.symmetric_difference(&whole).next() {
            Some(line) => self.broken(owner, &format!("has a log that changed at '{}'", self.cast.text(*line))),
            None if rows.len() != whole.len() => self.broken(owner, "has lines twice in the log"),
            None => Ok(()),
        }
    }

    /// `/history`: every item was said, once, and each author's in order.
    pub(super) fn history(&mut self, owner: usize, conversation: &str, items: &[(String, String)]) -> Kept<()> {
        let mut last: HashMap<usize, u32> = HashMap::new();
        for (id, text) in items {
            let line = self.known(owner, id, text)?;
            let named = if line.author == owner { self.cast.name(line.place) } else { self.cast.heard_as(line) };
            let before = last.insert(line.author, line.number).unwrap_or(0);
            if named != conversation || line.number <= before {
                return self.broken(owner, &format!("has '{text}' in the history of {conversation} after {before}"));
            }
        }
        Ok(())
    }

    pub(super) fn awaits_nothing(&self) -> bool {
        self.people.iter().all(|person| person.awaited.is_empty())
    }

    /// What everybody still waits for, in words.
    pub(super) fn awaited(&self) -> String {
        let of = |person: usize| {
            let awaited = &self.people[person].awaited;
            let some: Vec<String> = awaited.iter().take(5).map(|line| self.cast.text(*line)).collect();
            format!("{} lacks {}: {}", self.cast.people[person], awaited.len(), some.join(", "))
        };
        (0..self.people.len())
            .filter(|person| !self.people[*person].awaited.is_empty())
            .map(of)
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// It must come to everybody it is meant for.
    fn expect(&mut self, line: Line) {
        for hearer in self.cast.hearers(line.author, line.place) {
            let person = &mut self.people[hearer];
            if !person.shown.contains(&line) && !person.logged.contains(&line) {
                person.awaited.insert(line);
            }
        }
    }

    /// The line that `text` is, which never has another id.
    fn known(&mut self, who: usize, id: &str, text: &str) -> Kept<Line> {
        let Some(line) = self.cast.line(text) else {
            return self.broken(who, &format!("was told '{text}', which nobody said"));
        };
        let said = self.people[line.author].said.get(&line.place).copied().unwrap_or(0);
        let same = *self.ids.entry(id.to_owned()).or_insert(line) == line;
        if !same || line.number > said || line.number == 0 {
            return self.broken(who, &format!("was told '{text}' as {id}, which is something else"));
        }
        Ok(line)
    }

    fn broken<T>(&self, who: usize, what: &str) -> Kept<T> {
        Err(Violation(format!("{} {what}", self.cast.people[who])))
    }
}

/// More than anybody is shown before the log's mark of what was shown has followed: on a slow disk that takes as long as
/// a commit, and a life may end before it has marked what the one before had not.
const TAIL_LINES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const CAST: Cast = Cast { people: &["alice", "bob", "carol"], rooms: &[("#dev", &[0, 1, 2]), ("#board", &[0, 1])] };
    const ALICE: usize = 0;
    const BOB: usize = 1;

    /// Alice said two things to bob, and both were accepted.
    fn two_lines() -> (Ledger, [Line; 2]) {
        let mut ledger = Ledger::new(CAST);
        let lines = [1, 2].map(|number| {
            let line = ledger.next(ALICE, Place::Person(BOB));
            ledger.accepted(ALICE, &format!("id{number}"), &CAST.text(line)).unwrap();
            line
        });
        (ledger, lines)
    }

    fn row(number: u32, own: bool) -> Logged {
        Logged { id: format!("id{number}"), text: format!("alice @bob {number}"), own }
    }

    fn shown(ledger: &mut Ledger, number: u32) -> Kept<()> {
        ledger.shown(BOB, "@alice", "alice", &format!("id{number}"), &format!("alice @bob {number}"))
    }

    #[track_caller]
    fn breaks<T: std::fmt::Debug>(outcome: Kept<T>, what: &str) {
        let Violation(text) = outcome.unwrap_err();
        assert!(text.contains(what), "{text}");
    }

    #[test]
    fn a_good_day_breaks_nothing() {
        let (mut ledger, _) = two_lines();
        assert!(ledger.awaited().contains("bob lacks 2"), "{}", ledger.awaited());
        shown(&mut ledger, 1).unwrap();
        ledger.acknowledged(ALICE, "id1", "bob").unwrap();
        ledger.read(BOB, &[row(1, false)]).unwrap();
        ledger.check_log(BOB).unwrap();
        ledger.begin_life(BOB);
        shown(&mut ledger, 2).unwrap();
        assert!(ledger.awaits_nothing());
        ledger.read(ALICE, &[row(1, true), row(2, true)]).unwrap();
        ledger.check_log(ALICE).unwrap();
        ledger.check_whole(ALICE, &[row(1, true), row(2, true)]).unwrap();
    }

    #[test]
    fn lost_lines_are_found_at_both_ends() {
        let (mut ledger, _) = two_lines();
        ledger.read(ALICE, &[row(1, true)]).unwrap();
        breaks(ledger.check_log(ALICE), "lost the accepted 'alice @bob 2'");
        let (mut ledger, _) = two_lines();
        shown(&mut ledger, 1).unwrap();
        ledger.acknowledged(ALICE, "id1", "bob").unwrap();
        ledger.read(BOB, &[]).unwrap();
        breaks(ledger.check_log(BOB), "lost 'alice @bob 1', which was acknowledged");
    }

    #[test]
    fn what_was_shown_and_not_kept_is_awaited_again_and_may_be_told_again() {
        let (mut ledger, _) = two_lines();
        shown(&mut ledger, 1).unwrap();
        shown(&mut ledger, 2).unwrap();
        ledger.read(BOB, &[row(1, false)]).unwrap();
        ledger.check_log(BOB).unwrap();
        ledger.begin_life(BOB);
        assert!(ledger.awaited().contains("bob lacks 1: alice @bob 2"), "{}", ledger.awaited());
        shown(&mut ledger, 1).unwrap();
        shown(&mut ledger, 2).unwrap();
        assert_eq!(ledger.told.retold, 2);
        for number in 3..=2 + TAIL_LINES {
            let line = ledger.next(ALICE, Place::Person(BOB));
            ledger.accepted(ALICE, &format!("id{number}"), &CAST.text(line)).unwrap();
            shown(&mut ledger, line.number).unwrap();
        }
        ledger.begin_life(BOB);
        breaks(shown(&mut ledger, 1), "again, which was in the log");
    }

    #[test]
    fn what_was_acknowledged_is_never_shown_again() {
        let (mut ledger, _) = two_lines();
        shown(&mut ledger, 1).unwrap();
        shown(&mut ledger, 2).unwrap();
        ledger.acknowledged(ALICE, "id1", "bob").unwrap();
        ledger.read(BOB, &[row(1, false), row(2, false)]).unwrap();
        ledger.begin_life(BOB);
        shown(&mut ledger, 2).unwrap();
        breaks(shown(&mut ledger, 1), "again, which was in the log");
    }

    #[test]
    fn repeats_strangers_and_disorder_are_found() {
        let (mut ledger, _) = two_lines();
        shown(&mut ledger, 2).unwrap();
        breaks(shown(&mut ledger, 2), "twice in one life");
        breaks(shown(&mut ledger, 1), "after number 2");
        breaks(ledger.shown(2, "@alice", "alice", "id1", "alice @bob 1"), "carol was shown");
        breaks(ledger.shown(BOB, "@alice", "alice", "id9", "alice @bob 9"), "something else");
        breaks(ledger.shown(BOB, "@alice", "alice", "id1", "alice @bob 2"), "something else");
        breaks(ledger.shown(2, "#board", "alice", "id7", "alice #board 1"), "something else");
        breaks(ledger.read(BOB, &[row(2, false), row(1, false)]), "after number 2");
        breaks(ledger.read(BOB, &[row(2, false)]), "twice");
        breaks(ledger.acknowledged(BOB, "id1", "alice"), "never said it");
    }

    #[test]
    fn a_log_that_forgets_or_repeats_is_found() {
        let (mut ledger, _) = two_lines();
        ledger.read(BOB, &[row(1, false), row(2, false)]).unwrap();
        breaks(ledger.check_whole(BOB, &[row(2, false)]), "changed at 'alice @bob 1'");
        breaks(ledger.check_whole(BOB, &[row(1, false), row(2, false), row(2, false)]), "twice in the log");
        assert_eq!(ledger.told.unshown, 2);
        assert!(!ledger.awaits_nothing(), "the next life has to show them");
    }
}
