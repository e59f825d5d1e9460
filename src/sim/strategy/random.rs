//! A random walk: whatever is enabled, each with the same chance.

use super::{Dice, Rule};
use crate::sim::Choice;

/// Picks uniformly. Fair: nothing waits for ever.
pub(super) struct Random;

impl Rule for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn pick(&mut self, enabled: &[Choice], dice: &mut Dice) -> usize {
        dice.index(enabled.len())
    }
}
