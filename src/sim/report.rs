//! What a run came to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{choice::ReadsFrom, trace::Trace};

/// What one run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The strategy that picked.
    pub strategy: &'static str,
    /// What went wrong, if something did.
    pub failure: Option<Failure>,
    /// Steps it took.
    pub steps: u64,
    /// Virtual time it took.
    pub time: Duration,
    /// How many checks at the end came to no answer, as there was too much to look at.
    pub undecided: u64,
    /// The longest that something runnable waited for an owner while nothing stood in the way, by virtual time.
    pub longest_unowned: Duration,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Its schedule.
    pub trace: Trace,
    /// [`Trace::hash`].
    pub trace_hash: u64,
    /// Who read whose writes, at least once.
    pub coverage: BTreeSet<ReadsFrom>,
}

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name of what should have held.
    pub invariant: String,
    /// How it did not.
    pub sentence: String,
    /// After which step.
    pub step: u64,
}

impl Report {
    /// Whether everything held.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (step {}): {}", self.invariant, self.step, self.sentence)
    }
}
