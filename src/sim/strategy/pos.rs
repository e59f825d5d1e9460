//! Partial order sampling (Yuan, Yang & Gu, *Partial order aware concurrency sampling*, 2018).
//!
//! Every event gets a random priority, and the highest goes next. Afterwards those that race with it (the same
//! object, and one of the two writes) draw a new one. So events that commute are not shuffled for nothing, and the
//! order of those that race is independent of what came before: orders that differ are found more evenly than by a
//! random walk.

use std::collections::BTreeMap;

use super::{Dice, Rule};
use crate::sim::Choice;

/// Priorities per event.
#[derive(Default)]
pub(super) struct Pos {
    priorities: BTreeMap<u64, u64>,
}

impl Pos {
    /// Events may vanish without having been picked (their worker died), so the table is swept now and then.
    fn sweep(&mut self, enabled: &[Choice]) {
        if self.priorities.len() > 64 + 4 * enabled.len() {
            self.priorities.retain(|&id, _| enabled.binary_search_by_key(&id, |choice| choice.id).is_ok());
        }
    }
}

impl Rule for Pos {
    fn name(&self) -> &'static str {
        "pos"
    }

    fn pick(&mut self, enabled: &[Choice], dice: &mut Dice) -> usize {
        for choice in enabled {
            self.priorities.entry(choice.id).or_insert_with(|| dice.roll());
        }
        let highest = (0..enabled.len()).rev().max_by_key(|&at| self.priorities[&enabled[at].id]);
        let picked = highest.expect("something is enabled");
        self.priorities.remove(&enabled[picked].id);
        for choice in enabled.iter().filter(|choice| choice.races_with(&enabled[picked])) {
            self.priorities.remove(&choice.id);
        }
        self.sweep(enabled);
        picked
    }
}
