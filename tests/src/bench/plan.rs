//! What to measure, and how long: from the arguments of `scripts/bench.sh`.

use std::path::PathBuf;

use super::history::Shelf;

#[derive(Clone, Default)]
pub struct Plan {
    /// Rows and curves by name; all of them if there is none.
    names: Vec<String>,
    /// Small numbers: whether it works, not how fast it is.
    pub is_quick: bool,
    rounds: Option<usize>,
    /// Where figures and plots go; nowhere without it.
    pub folder: Option<PathBuf>,
    /// Where the two programs are, if they are not to be built: to compare with another version.
    pub programs: Option<PathBuf>,
    /// Where contenders are looked for, instead of where programs usually are.
    pub contenders: Option<PathBuf>,
    /// Whose table is replaced.
    pub readme: Option<PathBuf>,
    /// Long logs, which take long to make.
    pub(super) logs: Shelf,
}

impl Plan {
    /// Reads the arguments; an error says which of them is none.
    pub fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => plan.is_quick = true,
                "--rounds" => plan.rounds = Some(value()?.parse().map_err(|_| "--rounds takes a number".to_owned())?),
                "--folder" => plan.folder = Some(value()?.into()),
                "--programs" => plan.programs = Some(value()?.into()),
                "--contenders" => plan.contenders = Some(value()?.into()),
                "--readme" => plan.readme = Some(value()?.into()),
                name if names().any(|known| known == name) => plan.names.push(argument),
                _ => return Err(format!("there is no row '{argument}'")),
            }
        }
        Ok(plan)
    }

    pub(super) fn wants(&self, row: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == row)
    }

    /// A part of it: what was measured before of the others stays.
    pub(super) fn is_partial(&self) -> bool {
        !self.names.is_empty()
    }

    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.is_quick { 1 } else { ROUNDS })
    }

    /// One of two numbers.
    pub(super) fn number(&self, whole: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { whole }
    }
}

/// Everything that can be measured.
fn names() -> impl Iterator<Item = &'static str> {
    let curves = super::growths().iter().map(|growth| growth.name);
    super::rows().iter().map(|row| row.name).chain(curves)
}

/// Enough for a median that one bad moment does not move.
const ROUNDS: usize = 5;
