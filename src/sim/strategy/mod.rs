//! Who goes next: the ways to look for a schedule that breaks something.
//!
//! All of them are functions of a seed and of what they are asked, nothing else. None is best: `random` finds what
//! is easy, priorities (`pct`, `pos`) find what needs somebody to be slow at the wrong moment, and `coverage`
//! goes on from where something new was seen. A [`StrategyName`] is how a person chooses one, [`Campaign`] makes one for each seed.

mod campaign;
mod coverage;
mod dice;
mod idpct;
mod name;
mod pct;
mod pos;
mod random;
mod replay;
mod round_robin;
mod stalls;

pub use campaign::Campaign;
pub use dice::Dice;
pub use name::{BadStrategy, StrategyName};
pub use replay::{Divergence, Pick, Replay};
pub use round_robin::RoundRobin;

use self::stalls::Stalls;
use super::{Actor, Choice, Feedback, Strategy};

/// What priorities are given to: one task of one actor, which does one thing after another.
type Thread = (Actor, u32);

fn thread(choice: &Choice) -> Thread {
    (choice.actor, choice.task)
}

/// How to pick among choices other than the passing of time. A [`Player`] makes a strategy of it.
trait Rule {
    fn name(&self) -> &'static str;

    /// Picks by index. `enabled` is not empty, sorted by id, and may lack those that are stalled.
    fn pick(&mut self, enabled: &[Choice], dice: &mut Dice) -> usize;

    /// The seed of the random numbers from this step on (the first is 1), if they begin anew there.
    fn reseed(&mut self, step: u64) -> Option<u64> {
        let _ = step;
        None
    }

    fn saw(&mut self, feedback: &Feedback) {
        let _ = feedback;
    }
}

/// A rule with its random numbers, and now and then a stall.
struct Player<R> {
    rule: R,
    dice: Dice,
    stalls: Stalls,
    step: u64,
}

impl<R: Rule> Player<R> {
    fn new(rule: R, seed: u64, stalls: u64) -> Self {
        Self { rule, dice: Dice::new(seed), stalls: Stalls::new(stalls), step: 0 }
    }
}

impl<R: Rule> Strategy for Player<R> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        self.step += 1;
        if let Some(seed) = self.rule.reseed(self.step) {
            self.dice = Dice::new(seed);
        }
        let Self { rule, dice, stalls, .. } = self;
        stalls.pick(enabled, dice, |enabled, dice| rule.pick(enabled, dice))
    }

    fn saw(&mut self, _chosen: &Choice, feedback: &Feedback) {
        self.rule.saw(feedback);
    }
}
