//! Guided by coverage: seeds that showed something new are varied by those that follow.
//!
//! What counts as new is a [pair](ReadsFrom) of a write and the read that saw it. A run is described by a *recipe*: from
//! which step on priorities are drawn anew, and from which seed. Two recipes that agree up to a step
//! make the same picks up to there, so that a recipe can be cut where the new pair was seen and go on differently:
//! the schedule that led there is kept without keeping a schedule.
//!
//! # Why seeds come in blocks
//! What a guided seed does depends on the seeds before it, and yet the same seeds must give the same rows, whichever are asked for
//! and however many run at once. So guidance ends at fixed borders: seeds 1 to 256 are a block (by default), 257 to
//! 512 the next. Within a block seeds run in order, and a seed in its middle is run by running the block from its
//! start; blocks know nothing of each other. A trace holds the picks themselves, so its replay needs no block.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use super::{Dice, Rule, Thread, thread};
use crate::sim::{Choice, Feedback, ReadsFrom};

/// What has been learnt in a block.
#[derive(Default)]
pub(super) struct Guide {
    seen: BTreeSet<ReadsFrom>,
    corpus: Vec<Find>,
    /// The run that is under way, or was last.
    last: Option<(Recipe, Sightings)>,
}

/// A recipe that showed something new, and at which steps.
struct Find {
    recipe: Recipe,
    steps: Vec<u64>,
}

/// The pairs of one run, with the step at which each was seen first.
type Sightings = Arc<Mutex<BTreeMap<ReadsFrom, u64>>>;

impl Guide {
    /// The rule for `seed`, which is the one after the last seed asked for.
    pub(super) fn next(&mut self, seed: u64, steps: u64) -> Guided {
        self.learn();
        let recipe = self.recipe(&mut Dice::new(seed), steps);
        let sightings = Sightings::default();
        self.last = Some((recipe.clone(), sightings.clone()));
        Guided { recipe, sightings, walks: None, priorities: BTreeMap::new(), step: 0, fair_after: steps }
    }

    fn learn(&mut self) {
        let Some((recipe, sightings)) = self.last.take() else { return };
        let sightings = std::mem::take(&mut *sightings.lock().expect("nobody panics while noting a pair"));
        let new = sightings.into_iter().filter(|&(pair, _)| self.seen.insert(pair));
        let steps: Vec<u64> = new.map(|(_, step)| step).collect();
        if !steps.is_empty() {
            self.corpus.push(Find { recipe, steps });
        }
    }

    /// Half of the seeds begin afresh; the others vary a find, the younger ones more often.
    fn recipe(&self, dice: &mut Dice, steps: u64) -> Recipe {
        if self.corpus.is_empty() || dice.per_mille(500) {
            return Recipe::fresh(dice, steps);
        }
        let (one, other) = (dice.index(self.corpus.len()), dice.index(self.corpus.len()));
        let Find { recipe, steps: news } = &self.corpus[one.max(other)];
        recipe.varied(news[dice.index(news.len())], dice, steps)
    }
}

/// The seeds of a run's random numbers, by the step from which they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recipe(BTreeMap<u64, u64>);

impl Recipe {
    /// At most this many changes in a fresh recipe.
    const CHANGES: u64 = 8;
    /// A branch begins right after what was seen, or at most this many steps before, and soon changes again.
    const NEAR: u64 = 16;

    fn fresh(dice: &mut Dice, steps: u64) -> Self {
        let mut recipe = Self(BTreeMap::from([(1, dice.roll())]));
        for _ in 0..dice.below(Self::CHANGES) {
            recipe.change(1 + dice.below(steps), dice);
        }
        recipe
    }

    /// A recipe near this one, which saw something new at the step `news`.
    fn varied(&self, news: u64, dice: &mut Dice, steps: u64) -> Self {
        let mut recipe = self.clone();
        match dice.below(5) {
            0 => recipe.branch(news.saturating_sub(dice.below(Self::NEAR)).max(2), dice),
            1 | 2 => recipe.branch(news + 1, dice),
            3 => recipe.change(1 + dice.below(steps), dice),
            _ => recipe.reseed(dice),
        }
        recipe
    }

    fn branch(&mut self, step: u64, dice: &mut Dice) {
        drop(self.0.split_off(&step));
        self.change(step, dice);
        for _ in 0..dice.below(3) {
            self.change(step + 1 + dice.below(Self::NEAR), dice);
        }
    }

    fn change(&mut self, step: u64, dice: &mut Dice) {
        self.0.insert(step, dice.roll());
    }

    fn reseed(&mut self, dice: &mut Dice) {
        let nth = dice.index(self.0.len());
        let step = *self.0.keys().nth(nth).expect("it has that many");
        self.change(step, dice);
    }
}

/// Follows a recipe: from each change to the next either priorities as in [`Pct`](super::pct::Pct), drawn anew, or a random walk;
/// and a random walk at the end.
pub(super) struct Guided {
    recipe: Recipe,
    sightings: Sightings,
    /// Whether it walks at random since the last change; drawn at the first pick.
    walks: Option<bool>,
    priorities: BTreeMap<Thread, u64>,
    step: u64,
    fair_after: u64,
}

impl Rule for Guided {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn reseed(&mut self, step: u64) -> Option<u64> {
        let seed = self.recipe.0.get(&step).copied();
        if seed.is_some() {
            self.priorities.clear();
            self.walks = None;
        }
        self.step = step;
        seed
    }

    fn pick(&mut self, enabled: &[Choice], dice: &mut Dice) -> usize {
        let walks = *self.walks.get_or_insert_with(|| dice.per_mille(500));
        if walks || self.step > self.fair_after {
            return dice.index(enabled.len());
        }
        for choice in enabled {
            self.priorities.entry(thread(choice)).or_insert_with(|| dice.roll());
        }
        let priority = |at: &usize| self.priorities[&thread(&enabled[*at])];
        (0..enabled.len()).rev().max_by_key(priority).expect("something is enabled")
    }

    fn saw(&mut self, feedback: &Feedback) {
        if let Some(pair) = feedback.reads {
            let mut sightings = self.sightings.lock().expect("nobody panics while noting a pair");
            sightings.entry(pair).or_insert(self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_keeps_everything_before_it() {
        let recipe = Recipe(BTreeMap::from([(1, 11), (50, 12), (90, 13)]));
        let mut branched = recipe.clone();
        branched.branch(60, &mut Dice::new(7));
        assert_eq!(branched.0.range(..60).collect::<Vec<_>>(), recipe.0.range(..60).collect::<Vec<_>>());
        assert_ne!(branched.0.range(60..).next(), recipe.0.range(60..).next());
        assert_eq!(branched.0.range(60..61).count(), 1);
    }

    #[test]
    fn a_recipe_always_says_how_to_begin() {
        let mut dice = Dice::new(1);
        let mut recipe = Recipe::fresh(&mut dice, 100);
        for news in 0..500 {
            recipe = recipe.varied(news % 100, &mut dice, 100);
            assert!(recipe.0.contains_key(&1), "after {news}: {recipe:?}");
        }
    }
}
