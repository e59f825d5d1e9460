//! When time passes though something else could happen: somebody is slow.
//!
//! Whether a lease lapses while a call is under way is a matter of time, not only of order, so the choice
//! [`Kind::Time`](crate::sim::Kind::Time) needs care: a strategy that ranked it like any other would let years pass before the first call,
//! or none. Instead, now and then, a task (or everything of one actor) *stalls*: its choices are not picked, the others
//! go on, and where nothing else is left to happen time passes, up to a drawn number of times. To the stalled one that
//! is a slow network, a long collection of garbage, a busy disk.

use super::Dice;
use crate::sim::{Actor, Choice};

/// Who is slow, and for how long.
#[derive(Debug, Clone)]
pub(super) struct Stalls {
    /// How often one begins, per thousand steps.
    rate: u64,
    current: Option<Stall>,
    others: Vec<usize>,
    narrowed: Vec<Choice>,
}

#[derive(Debug, Clone)]
struct Stall {
    actor: Actor,
    /// One task of it; all of them if none.
    task: Option<u32>,
    /// How many more times time may pass.
    passes: u64,
    /// After how many more steps it is over in any case.
    steps: u64,
}

impl Stall {
    /// At most this many passes of time; in most cases far fewer.
    const MAX_PASSES: u64 = 64;
    /// The stalled one goes on after so many steps though there is always something else to do.
    const MAX_STEPS: u64 = 200;

    fn begin(victim: &Choice, dice: &mut Dice) -> Self {
        let task = dice.per_mille(700).then_some(victim.task);
        let longest = 1 << dice.below(u64::from(Self::MAX_PASSES.ilog2()) + 1);
        Self { actor: victim.actor, task, passes: 1 + dice.below(longest), steps: Self::MAX_STEPS }
    }

    fn holds(&self, choice: &Choice) -> bool {
        self.actor == choice.actor && self.task.is_none_or(|task| task == choice.task)
    }
}

impl Stalls {
    pub(super) fn new(rate: u64) -> Self {
        Self { rate, current: None, others: Vec::new(), narrowed: Vec::new() }
    }

    /// Picks time where it is due; else leaves the pick among those that are not stalled to `pick`.
    pub(super) fn pick(
        &mut self,
        enabled: &[Choice],
        dice: &mut Dice,
        pick: impl FnOnce(&[Choice], &mut Dice) -> usize,
    ) -> usize {
        let Some((last, rest)) = enabled.split_last() else { return 0 };
        let timeless = if last.id == Choice::TIME { rest } else { enabled };
        if timeless.is_empty() {
            return 0;
        }
        if timeless.len() < enabled.len() && self.current.is_none() && dice.per_mille(self.rate) {
            self.current = Some(Stall::begin(&timeless[dice.index(timeless.len())], dice));
        }
        if self.current.is_none() {
            return pick(timeless, dice);
        }
        self.pick_while_stalled(enabled, timeless, dice, pick)
    }

    fn pick_while_stalled(
        &mut self,
        enabled: &[Choice],
        timeless: &[Choice],
        dice: &mut Dice,
        pick: impl FnOnce(&[Choice], &mut Dice) -> usize,
    ) -> usize {
        let Some(stall) = &mut self.current else { return pick(timeless, dice) };
        self.others.clear();
        self.others.extend((0..timeless.len()).filter(|&at| !stall.holds(&timeless[at])));
        stall.steps = stall.steps.saturating_sub(1);
        let time_may_pass = timeless.len() < enabled.len() && stall.passes > 0;
        if stall.steps == 0 || (self.others.is_empty() && !time_may_pass) {
            self.current = None;
            return pick(timeless, dice);
        }
        if self.others.is_empty() {
            stall.passes -= 1;
            return timeless.len();
        }
        self.narrowed.clear();
        self.narrowed.extend(self.others.iter().map(|&at| timeless[at]));
        self.others[pick(&self.narrowed, dice)]
    }
}
