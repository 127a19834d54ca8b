//! Who takes part in a row: something that can be started, if it is installed, and measured once per round.

use std::io;

use super::plan::Plan;

/// Something that is running and ready to be measured.
pub(super) trait Contestant {
    /// One round: values by the key of their column. A column that does not apply is left out.
    fn round(&mut self) -> io::Result<Values>;
}

pub(super) type Values = Vec<(&'static str, f64)>;

/// What a contestant is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    /// What the machine itself allows.
    Limit,
    Contender,
}

/// Somebody who may take part.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The Debian package it comes in.
    pub(super) package: Option<&'static str>,
    pub(super) start: Start,
}

pub(super) type Start = Box<dyn FnOnce(&Plan) -> io::Result<Box<dyn Contestant>>>;

impl Candidate {
    pub(super) fn ours(
        name: &'static str,
        start: impl FnOnce(&Plan) -> io::Result<Box<dyn Contestant>> + 'static,
    ) -> Self {
        Self { name, kind: Kind::Ours, package: None, start: Box::new(start) }
    }

    pub(super) fn limit(
        name: &'static str,
        start: impl FnOnce(&Plan) -> io::Result<Box<dyn Contestant>> + 'static,
    ) -> Self {
        Self { name, kind: Kind::Limit, package: None, start: Box::new(start) }
    }
}

/// A contestant that is a function.
pub(super) struct Each<F>(pub(super) F);

impl<F: FnMut() -> io::Result<Values>> Contestant for Each<F> {
    fn round(&mut self) -> io::Result<Values> {
        (self.0)()
    }
}

/// The same, boxed.
pub(super) fn each(round: impl FnMut() -> io::Result<Values> + 'static) -> Box<dyn Contestant> {
    Box::new(Each(round))
}
