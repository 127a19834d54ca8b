//! Curves: what something costs, by how much of something there is. One entry of `rows::GROWTHS` is one curve, one
//! picture and one line of the table.

use super::contestant::Candidate;
use super::figures::Column;
use super::law::Law;
use super::plan::Plan;

/// One curve.
pub struct Growth {
    /// What it is called on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// What there is more and more of.
    pub(super) of: &'static str,
    pub(super) sizes: &'static [usize],
    /// Of a run that only shows that it works.
    pub(super) quick_sizes: &'static [usize],
    pub(super) columns: &'static [Column],
    /// How the costs of ours should grow, and why.
    pub(super) law: Law,
    pub(super) because: &'static str,
    /// Who takes part at one size.
    pub(super) candidates: fn(&Plan, usize) -> Vec<Candidate>,
}

impl Growth {
    pub(super) fn sizes(&self, plan: &Plan) -> &'static [usize] {
        if plan.is_quick { self.quick_sizes } else { self.sizes }
    }
}
