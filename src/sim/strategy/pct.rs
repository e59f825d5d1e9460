//! Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi & Nagarakatte, *A randomized scheduler with
//! probabilistic guarantees of finding bugs*, 2010).
//!
//! Every task gets a random priority when it is first seen, and the one with the highest runs. At `depth - 1` steps,
//! drawn beforehand among the first `steps`, the task that would run falls below all others. A bug that needs
//! `depth` orderings to meet (most need one or two) is found by a seed with a probability of at least
//! 1 / (tasks × steps^(depth - 1)), whatever else the program does.
//!
//! The highest task may run for ever, so this is no strategy to judge liveness by: the fair variant follows priorities
//! for as many steps as were estimated, and then walks at random.

use std::collections::BTreeMap;

use super::{Dice, Rule, Thread, thread};
use crate::sim::Choice;

/// Priorities with a few changes.
pub(super) struct Pct {
    name: &'static str,
    priorities: BTreeMap<Thread, u64>,
    /// Steps at which the highest falls, and how deep.
    falls: BTreeMap<u64, u64>,
    step: u64,
    /// After this step priorities count no more.
    fair_after: u64,
}

/// First priorities are above this, those of the fallen below.
const FALLEN: u64 = 1 << 32;

impl Pct {
    pub(super) fn new(name: &'static str, depth: u64, steps: u64, dice: &mut Dice) -> Self {
        let mut falls = BTreeMap::new();
        // In the paper's order: the i-th point drawn, wherever it lies, makes priority i.
        let wanted = depth.saturating_sub(1).min(steps);
        while (falls.len() as u64) < wanted {
            let depth = falls.len() as u64;
            falls.entry(1 + dice.below(steps)).or_insert(depth);
        }
        Self { name, priorities: BTreeMap::new(), falls, step: 0, fair_after: u64::MAX }
    }

    /// The same, but a random walk after `steps`.
    pub(super) fn fair(depth: u64, steps: u64, dice: &mut Dice) -> Self {
        Self { fair_after: steps, ..Self::new("fair-pct", depth, steps, dice) }
    }

    fn highest(&self, enabled: &[Choice]) -> usize {
        let priority = |at: &usize| self.priorities[&thread(&enabled[*at])];
        // Of several choices of one task the first made comes first.
        (0..enabled.len()).rev().max_by_key(priority).expect("something is enabled")
    }
}

impl Rule for Pct {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pick(&mut self, enabled: &[Choice], dice: &mut Dice) -> usize {
        self.step += 1;
        if self.step > self.fair_after {
            return dice.index(enabled.len());
        }
        for choice in enabled {
            self.priorities.entry(thread(choice)).or_insert_with(|| FALLEN + (dice.roll() >> 1));
        }
        if let Some(&depth) = self.falls.get(&self.step) {
            let falling = thread(&enabled[self.highest(enabled)]);
            self.priorities.insert(falling, depth);
        }
        self.highest(enabled)
    }
}
