//! The search that all order checks share: can these operations be put into one order that a model allows?
//!
//! Wing & Gong (*Testing and verifying concurrent objects*, 1993) place, one after another, operations that nothing
//! unplaced precedes, and take back the last where they are stuck. Lowe (*Testing for linearizability*, 2017)
//! remembers which sets of placed operations led to which states, so that no such pair is looked at twice. Two
//! orders of a hundred operations that commute cost one look, not a hundred factorial.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{BuildHasherDefault, Hash},
};

/// When one operation was under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    /// The question's stamp.
    pub invoked: u64,
    /// The answer's; `u64::MAX` if there is none, and then the operation need not be placed.
    pub ended: u64,
    /// Operations of one line keep their order in time; those of two lines need not.
    pub line: usize,
}

/// What a search came to. Orders name operations by their places among the intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// An order in which everything answered has its place.
    Order(Vec<usize>),
    /// There is none. This is one that places as many as can be.
    Stuck(Vec<usize>),
    /// The budget was spent first.
    TooMuch,
}

/// Looks for an order of `intervals`, which are sorted by `invoked`, asking `step` at most `budget` times.
pub(super) fn search<S: Clone + Eq + Hash>(
    intervals: &[Interval],
    initial: S,
    step: impl Fn(&S, usize) -> Option<S>,
    budget: usize,
) -> Found {
    Search::new(intervals, step, budget).run(initial)
}

/// Sets are only asked whether they hold something, so their order shows nowhere; the hash is fixed all the same.
type Seen<S> = HashSet<(Placed, S), BuildHasherDefault<DefaultHasher>>;

struct Search<'a, S, F> {
    intervals: &'a [Interval],
    step: F,
    budget: usize,
    /// Answered operations that have no place yet.
    missing: usize,
    unplaced: Chain,
    placed: Placed,
    seen: Seen<S>,
    frames: Vec<Frame<S>>,
    /// The options of all frames, one after another.
    options: Vec<usize>,
    /// The earliest end among unplaced operations, line by line, while options are listed.
    bounds: Vec<u64>,
    best: Best,
}

/// One placed operation, and what can follow it.
struct Frame<S> {
    operation: usize,
    state: S,
    /// Where its options begin; they end where the next frame's begin.
    first: usize,
    /// The option to try next.
    next: usize,
}

struct Best {
    missing: usize,
    order: Vec<usize>,
}

/// What the first frame is said to have placed.
const NOTHING: usize = usize::MAX;

impl<'a, S: Clone + Eq + Hash, F: Fn(&S, usize) -> Option<S>> Search<'a, S, F> {
    fn new(intervals: &'a [Interval], step: F, budget: usize) -> Self {
        let missing = intervals.iter().filter(|interval| interval.ended != u64::MAX).count();
        let lines = intervals.iter().map(|interval| interval.line + 1).max().unwrap_or(0);
        Self {
            intervals,
            step,
            budget,
            missing,
            unplaced: Chain::of(intervals.len()),
            placed: Placed::none_of(intervals.len()),
            seen: Seen::default(),
            frames: Vec::new(),
            options: Vec::new(),
            bounds: vec![u64::MAX; lines],
            best: Best { missing: usize::MAX, order: Vec::new() },
        }
    }

    fn run(mut self, initial: S) -> Found {
        self.open(NOTHING, initial);
        while self.missing > 0 {
            if self.advance() {
                continue;
            }
            if self.budget == 0 {
                return Found::TooMuch;
            }
            if !self.retreat() {
                return Found::Stuck(self.best.order);
            }
        }
        Found::Order(self.order())
    }

    /// Places one more operation, if one of the last frame's options has not been tried and fits.
    fn advance(&mut self) -> bool {
        while let Some((operation, state)) = self.fitting_option() {
            self.place(operation);
            if self.seen.insert((self.placed.clone(), state.clone())) {
                self.open(operation, state);
                return true;
            }
            self.take_back(operation);
        }
        false
    }

    fn fitting_option(&mut self) -> Option<(usize, S)> {
        let frame = self.frames.last_mut()?;
        while frame.next < self.options.len() && self.budget > 0 {
            let operation = self.options[frame.next];
            frame.next += 1;
            self.budget -= 1;
            let Some(state) = (self.step)(&frame.state, operation) else { continue };
            // One that nobody was told of and that changes nothing may as well not have happened.
            let idle = self.intervals[operation].ended == u64::MAX && state == frame.state;
            if !idle {
                return Some((operation, state));
            }
        }
        None
    }

    /// Takes the last operation back; false if there was none.
    fn retreat(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        self.options.truncate(frame.first);
        if frame.operation == NOTHING {
            return false;
        }
        self.take_back(frame.operation);
        true
    }

    fn open(&mut self, operation: usize, state: S) {
        let first = self.options.len();
        self.frames.push(Frame { operation, state, first, next: first });
        if self.missing < self.best.missing {
            self.best = Best { missing: self.missing, order: self.order() };
        }
        self.list_options(first);
    }

    /// Lists the operations that nothing unplaced precedes; those that ended first come first, as they leave least choice.
    fn list_options(&mut self, first: usize) {
        self.bounds.fill(u64::MAX);
        let mut at = self.unplaced.first();
        while at < self.intervals.len() {
            let Interval { invoked, ended, line } = self.intervals[at];
            if invoked <= self.bounds[line] {
                self.bounds[line] = self.bounds[line].min(ended);
                self.options.push(at);
            } else if self.bounds.len() == 1 {
                break;
            }
            at = self.unplaced.after(at);
        }
        self.options[first..].sort_unstable_by_key(|&at| (self.intervals[at].ended, at));
    }

    fn place(&mut self, operation: usize) {
        self.unplaced.take(operation);
        self.placed.flip(operation);
        self.missing -= self.weight(operation);
    }

    fn take_back(&mut self, operation: usize) {
        self.unplaced.put_back(operation);
        self.placed.flip(operation);
        self.missing += self.weight(operation);
    }

    fn weight(&self, operation: usize) -> usize {
        usize::from(self.intervals[operation].ended != u64::MAX)
    }

    fn order(&self) -> Vec<usize> {
        self.frames.iter().map(|frame| frame.operation).filter(|&operation| operation != NOTHING).collect()
    }
}

/// Which operations have their place, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Placed(Box<[u64]>);

impl Placed {
    fn none_of(operations: usize) -> Self {
        Self(vec![0; operations.div_ceil(64)].into())
    }

    fn flip(&mut self, operation: usize) {
        self.0[operation / 64] ^= 1 << (operation % 64);
    }
}

/// Operations in order, linked so that one can be taken out and put back at once.
struct Chain {
    /// Shifted by one: place 0 is the head, and the last place is the end.
    next: Vec<usize>,
    previous: Vec<usize>,
}

impl Chain {
    fn of(operations: usize) -> Self {
        let places = operations + 2;
        Self {
            next: (0..places).map(|place| place + 1).collect(),
            previous: (0..places).map(|place| place.wrapping_sub(1)).collect(),
        }
    }

    /// The first operation; at least as great as their number if there is none.
    fn first(&self) -> usize {
        self.next[0] - 1
    }

    fn after(&self, operation: usize) -> usize {
        self.next[operation + 1] - 1
    }

    fn take(&mut self, operation: usize) {
        let (previous, next) = (self.previous[operation + 1], self.next[operation + 1]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    /// Puts back what was taken last.
    fn put_back(&mut self, operation: usize) {
        let (previous, next) = (self.previous[operation + 1], self.next[operation + 1]);
        self.next[previous] = operation + 1;
        self.previous[next] = operation + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(invoked: u64, ended: u64) -> Interval {
        Interval { invoked, ended, line: 0 }
    }

    #[test]
    fn operations_that_commute_are_not_tried_in_every_order() {
        // Twelve at once that all fit, and one that never does: 12! orders, but only 2^12 sets, each with one state.
        let mut intervals: Vec<Interval> = (0..12).map(|n| at(n, 100 + n)).collect();
        intervals.push(at(12, 200));
        let step = |state: &u32, operation: usize| (operation < 12).then_some(*state);
        assert!(matches!(search(&intervals, 0, step, 200_000), Found::Stuck(order) if order.len() == 12));
    }

    #[test]
    fn a_spent_budget_is_no_verdict() {
        let intervals: Vec<Interval> = (0..20).map(|n| at(n, 100 + n)).collect();
        assert_eq!(search(&intervals, 0_u32, |_, _| None, 5), Found::TooMuch);
    }

    #[test]
    fn what_nobody_was_told_of_is_placed_only_where_it_helps() {
        let intervals = [at(0, u64::MAX), at(1, u64::MAX), at(2, 3)];
        let add = |state: &u32, operation: usize| match operation {
            0 | 1 => Some(state + 1),
            _ => (*state == 1).then_some(*state),
        };
        assert_eq!(search(&intervals, 0, add, 1000), Found::Order(vec![0, 2]));
    }

    #[test]
    fn lines_keep_their_own_order_only() {
        let read_first = |state: &u32, operation: usize| match operation {
            0 => Some(1),
            _ => (*state == 0).then_some(0),
        };
        let intervals = |line| [at(0, 1), Interval { line, ..at(2, 3) }];
        assert_eq!(search(&intervals(0), 0, read_first, 100), Found::Stuck(vec![0]));
        assert_eq!(search(&intervals(1), 0, read_first, 100), Found::Order(vec![1, 0]));
    }
}
