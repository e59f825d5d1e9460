//! From a failing schedule to one that a person can follow.
//!
//! First faults are dropped, then whatever follows the last pick that matters, then stretches of picks and single ones, and at
//! last stretches of one actor are joined, so that fewer switches are left. What is dropped from a schedule still
//! happens, but later and [in turn](super::strategy::RoundRobin): what remains is what had to happen *out of* turn. Dropping is delta debugging (Zeller &
//! Hildebrandt, *Simplifying and isolating failure-inducing input*, 2002); joining is after Jalbert & Sen (*A
//! trace simplification technique for effective debugging of concurrent programs*, 2010).
//!
//! Nothing here is random: the same failing run shrinks to the same schedule.

use super::strategy::Pick;

/// A run to try: scripted faults, and picks to follow [loosely](super::strategy::Replay::loose).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<F> {
    /// What goes wrong.
    pub faults: Vec<F>,
    /// Who goes next, as far as it is said.
    pub picks: Vec<Pick>,
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The same invariant failed, after exactly these picks.
    Fails(Vec<Pick>),
    /// All held, or something else failed.
    Passes,
}

/// The smallest failing plan that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk<F> {
    /// What is left of the plan: each of its faults and stretches of picks was tried without, if the budget allowed.
    pub plan: Plan<F>,
    /// All picks of its run, for an [exact replay](super::strategy::Replay::exact).
    pub picks: Vec<Pick>,
    /// How many runs it took.
    pub trials: usize,
}

/// Shrinks `plan` by running parts of it, at most `budget` times; `None` if the plan itself does not fail.
pub fn shrink<F: Clone>(
    plan: Plan<F>,
    budget: usize,
    run: impl FnMut(&Plan<F>) -> Trial,
) -> Option<Shrunk<F>> {
    let shrunk = Shrunk { plan: plan.clone(), picks: Vec::new(), trials: 0 };
    let mut shrinker = Shrinker { run, budget, shrunk };
    if !shrinker.accepts(plan) {
        return None;
    }
    shrinker.drop_faults();
    shrinker.cut_tail();
    while shrinker.drop_stretches() | shrinker.drop_picks() | shrinker.join_stretches() {}
    shrinker.drop_faults();
    Some(shrinker.shrunk)
}

struct Shrinker<F, R> {
    run: R,
    budget: usize,
    shrunk: Shrunk<F>,
}

impl<F: Clone, R: FnMut(&Plan<F>) -> Trial> Shrinker<F, R> {
    /// Goes on from `plan` if it fails as well.
    fn accepts(&mut self, plan: Plan<F>) -> bool {
        if self.shrunk.trials == self.budget {
            return false;
        }
        self.shrunk.trials += 1;
        let Trial::Fails(picks) = (self.run)(&plan) else { return false };
        self.shrunk.plan = plan;
        self.shrunk.picks = picks;
        true
    }

    fn accepts_picks(&mut self, picks: Vec<Pick>) -> bool {
        let faults = self.shrunk.plan.faults.clone();
        self.accepts(Plan { faults, picks })
    }

    fn drop_faults(&mut self) {
        let faults = self.shrunk.plan.faults.clone();
        minimise(faults, |rest| {
            let picks = self.shrunk.plan.picks.clone();
            self.accepts(Plan { faults: rest.to_vec(), picks })
        });
    }

    /// Looks, by halving, for the pick after which everything may go in turn.
    fn cut_tail(&mut self) {
        let picks = self.shrunk.plan.picks.clone();
        let (mut low, mut high) = (0, picks.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.accepts_picks(picks[..middle].to_vec()) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }

    /// True if anything was dropped.
    fn drop_stretches(&mut self) -> bool {
        let before = stretches(&self.shrunk.plan.picks);
        let after = minimise(before.clone(), |rest| self.accepts_picks(rest.concat()));
        after.len() < before.len()
    }

    /// The same, pick by pick.
    fn drop_picks(&mut self) -> bool {
        let before = self.shrunk.plan.picks.clone();
        let after = minimise(before.clone(), |rest| self.accepts_picks(rest.to_vec()));
        after.len() < before.len()
    }

    /// Joins each actor's stretches where that changes nothing; true if any were.
    fn join_stretches(&mut self) -> bool {
        let mut joined = false;
        let mut first = 0;
        loop {
            let now = stretches(&self.shrunk.plan.picks);
            let Some(stretch) = now.get(first) else { return joined };
            let actor = stretch[0].actor;
            let next = (first + 1..now.len()).find(|&at| now[at][0].actor == actor);
            let fewer = next.is_some_and(|second| {
                self.accepts_picks(moved(&now, second, first + 1))
                    || self.accepts_picks(moved(&now, first, second))
            });
            joined |= fewer;
            first += usize::from(!fewer);
        }
    }
}

/// The picks, cut where another actor goes on.
fn stretches(picks: &[Pick]) -> Vec<Vec<Pick>> {
    picks.chunk_by(|one, next| one.actor == next.actor).map(<[Pick]>::to_vec).collect()
}

/// The picks with the stretch at `from` put before the one that is now at `to`.
fn moved(stretches: &[Vec<Pick>], from: usize, to: usize) -> Vec<Pick> {
    let mut order: Vec<&Vec<Pick>> = stretches.iter().collect();
    let stretch = order.remove(from);
    order.insert(if from < to { to - 1 } else { to }, stretch);
    order.into_iter().flatten().copied().collect()
}

/// Drops from `items` what `fails` does without, in parts that get smaller: in the end no single one can go.
fn minimise<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len();
    while size > 0 {
        let mut dropped = false;
        let mut at = 0;
        while at < items.len() {
            let end = (at + size).min(items.len());
            let rest = [&items[..at], &items[end..]].concat();
            if fails(&rest) {
                items = rest;
                dropped = true;
            } else {
                at = end;
            }
        }
        // Once more at the size of one, as long as that helps: what was needed before may not be any more.
        size = if dropped { size.min(items.len()) } else { size / 2 };
    }
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sim::Actor;

    fn picks(actors: &str) -> Vec<Pick> {
        let number = |letter: char| u16::try_from(u32::from(letter)).expect("ASCII");
        (0..)
            .zip(actors.chars())
            .map(|(id, a)| Pick { id, actor: Actor::Worker(number(a)), task: 0 })
            .collect()
    }

    fn told(picks: &[Pick]) -> String {
        let letter = |pick: &Pick| match pick.actor {
            Actor::Worker(number) => char::from(u8::try_from(number).expect("ASCII")),
            other => panic!("only workers are picked here, not {other:?}"),
        };
        picks.iter().map(letter).collect()
    }

    /// Fails if the faults hold all of `faults` and the picks, taken as letters, contain `order` with gaps.
    fn needs(faults: &'static [u8], order: &'static str) -> impl FnMut(&Plan<u8>) -> Trial {
        move |plan| {
            let mut letters = told(&plan.picks).into_bytes().into_iter();
            let in_order = order.bytes().all(|letter| letters.any(|other| other == letter));
            let there = faults.iter().all(|fault| plan.faults.contains(fault));
            if in_order && there { Trial::Fails(plan.picks.clone()) } else { Trial::Passes }
        }
    }

    #[test]
    fn only_the_faults_and_picks_that_matter_are_left() {
        let plan = Plan { faults: (0..20).collect(), picks: picks("xyxyaxybzzcyxyxyxyz") };
        let shrunk = shrink(plan, 1000, needs(&[3, 17], "abc")).unwrap();
        assert_eq!(shrunk.plan.faults, [3, 17]);
        assert_eq!(told(&shrunk.plan.picks), "abc");
    }

    #[test]
    fn stretches_of_one_actor_are_joined() {
        // What has to be is two of a, and a b after the first of them.
        let run = |plan: &Plan<()>| {
            let letters = told(&plan.picks);
            let first = letters.find('a');
            let enough =
                letters.matches('a').count() >= 2 && first.is_some_and(|at| letters[at..].contains('b'));
            if enough { Trial::Fails(plan.picks.clone()) } else { Trial::Passes }
        };
        let shrunk = shrink(Plan { faults: vec![], picks: picks("aba") }, 100, run).unwrap();
        assert_eq!(stretches(&shrunk.plan.picks).len(), 2);
    }

    #[test]
    fn a_plan_that_holds_is_no_failure() {
        assert_eq!(shrink(Plan { faults: vec![1], picks: picks("ab") }, 100, needs(&[2], "ab")), None);
    }

    #[test]
    fn no_more_runs_are_made_than_allowed() {
        for budget in 1..60 {
            let mut runs = 0;
            let mut fails = needs(&[3], "abc");
            let plan = Plan { faults: (0..9).collect(), picks: picks("xaxbxcx") };
            let shrunk = shrink(plan, budget, |plan| {
                runs += 1;
                fails(plan)
            });
            assert_eq!(shrunk.unwrap().trials, runs);
            assert!(runs <= budget);
        }
    }

    proptest! {
        #[test]
        fn what_is_left_fails_and_needs_each_part(faults in prop::collection::vec(0..9u8, 0..20), order in "[a-e]{0,30}") {
            let plan = Plan { faults, picks: picks(&order) };
            let mut fails = needs(&[1, 2], "ace");
            if let Some(Shrunk { plan, picks, .. }) = shrink(plan, 10_000, needs(&[1, 2], "ace")) {
                prop_assert_eq!(fails(&plan), Trial::Fails(picks));
                prop_assert_eq!(plan.faults.len(), 2);
                prop_assert_eq!(told(&plan.picks), "ace");
            }
        }
    }
}
