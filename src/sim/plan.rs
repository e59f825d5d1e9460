//! When things go wrong: plans of faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{faults::Fault, rates::Rates};

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long after the start, by virtual time.
    At(Duration),
    /// Before this step, from 1.
    Step(u64),
    /// Before this step, and not before this time: the step before it may be long ago.
    StepAt(u64, Duration),
    /// To the call or hint of this [id](super::Choice::id).
    To(u64),
}

/// A fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// When it happens.
    pub when: When,
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Planned {
    /// `fault`, so long after the start.
    pub fn at(time: Duration, fault: Fault) -> Self {
        Self { when: When::At(time), fault }
    }

    /// `fault`, before this step.
    pub fn before_step(step: u64, fault: Fault) -> Self {
        Self { when: When::Step(step), fault }
    }

    /// `fault`, before this step and not before this time.
    pub(super) fn before_step_at(step: u64, time: Duration, fault: Fault) -> Self {
        Self { when: When::StepAt(step, time), fault }
    }
}

/// Which faults a simulation has.
#[derive(Debug, Clone, PartialEq)]
pub enum Faults {
    /// These and no others.
    Plan(Vec<Planned>),
    /// The seed draws them at these rates.
    Rates(Rates),
    /// Both.
    Both(Vec<Planned>, Rates),
}
