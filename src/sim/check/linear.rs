//! Linearizability: does every operation look as if it took effect at one moment between question and answer?
//!
//! Decided object by object (P-compositionality: Horn & Kroening, *Faster linearizability checking via
//! P-compositionality*, 2015), each by Wing & Gong's search (1993) with Lowe's memory of what was seen (2017).
//! An operation without an answer may have taken effect at any moment after its question, or never.

use std::fmt;

use super::{
    Model,
    search::{Found, Interval, search},
};
use crate::sim::history::{History, Operation};

/// How often the model may be asked about one object before the check gives up.
pub const BUDGET: usize = 5_000_000;

/// What a check of one object came to. Operations are named by their places in the slice that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Here is an order that explains every answer.
    Linearizable(Vec<usize>),
    /// No order does.
    Violated(Violation),
    /// The search took longer than [`BUDGET`].
    Undecided,
}

/// Why there is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The first answer that cannot be explained: up to just before it came, everything could be.
    pub culprit: usize,
    /// An order that explains everything answered before.
    pub before: Vec<usize>,
}

/// Checks the operations of one object, which must be sorted by their invocation.
pub fn check<M: Model>(model: &M, operations: &[&Operation<M::Call, M::Answer>]) -> Verdict {
    match order_until(model, operations, u64::MAX) {
        Found::Order(order) => Verdict::Linearizable(order),
        Found::TooMuch => Verdict::Undecided,
        Found::Stuck(_) => explain(model, operations).map_or(Verdict::Undecided, Verdict::Violated),
    }
}

/// Checks every object of a history; the first that fails is told.
///
/// # Errors
/// What cannot be explained, or what could not be decided.
pub fn check_history<M: Model>(
    model: &M,
    history: &History<M::Call, M::Answer>,
) -> Result<(), NotLinearizable>
where
    M::Call: fmt::Debug,
    M::Answer: fmt::Debug,
{
    for (object, operations) in history.by_object() {
        match check(model, &operations) {
            Verdict::Linearizable(_) => (),
            Verdict::Violated(violation) => {
                let account = render(&operations, &violation);
                return Err(NotLinearizable::Violated { object: format!("{object:?}"), account });
            }
            Verdict::Undecided => return Err(NotLinearizable::Undecided { object: format!("{object:?}") }),
        }
    }
    Ok(())
}

/// A history that [`check_history`] did not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLinearizable {
    /// An answer contradicts all orders.
    #[error("the answers about {object} fit no order of the operations:\n{account}")]
    Violated {
        /// What was asked about.
        object: String,
        /// The operations, one a line: first those that fit, then the one that does not.
        account: String,
    },
    /// The history is too concurrent to be decided.
    #[error(
        "the operations on {object} overlap so much that their order could not be decided: use fewer clients, or more objects"
    )]
    Undecided {
        /// What was asked about.
        object: String,
    },
}

/// The earliest answer up to which there is no order.
///
/// Every beginning of a linearizable history is linearizable, so that halving finds it.
fn explain<M: Model>(model: &M, operations: &[&Operation<M::Call, M::Answer>]) -> Option<Violation> {
    let mut by_end: Vec<usize> =
        (0..operations.len()).filter(|&at| operations[at].returned.is_some()).collect();
    by_end.sort_unstable_by_key(|&at| operations[at].ended());
    let until = |nth: usize| order_until(model, operations, operations[by_end[nth]].ended());
    let (mut low, mut high) = (0, by_end.len().checked_sub(1)?);
    while low < high {
        let middle = low.midpoint(high);
        match until(middle) {
            Found::Order(_) => low = middle + 1,
            Found::Stuck(_) => high = middle,
            Found::TooMuch => return None,
        }
    }
    let before = match low.checked_sub(1).map(until) {
        Some(Found::Order(order)) => order,
        _ => Vec::new(),
    };
    Some(Violation { culprit: by_end[low], before })
}

/// Looks for an order of what had happened by the stamp `end`: later questions are left out, and later answers unknown.
fn order_until<M: Model>(model: &M, operations: &[&Operation<M::Call, M::Answer>], end: u64) -> Found {
    let intervals: Vec<Interval> = operations
        .iter()
        .take_while(|operation| operation.invoked <= end)
        .map(|operation| Interval {
            invoked: operation.invoked,
            ended: if operation.ended() <= end { operation.ended() } else { u64::MAX },
            line: 0,
        })
        .collect();
    let step = |state: &M::State, at: usize| {
        let known = (intervals[at].ended != u64::MAX).then(|| operations[at].answer()).flatten();
        model.step(state, &operations[at].call, known)
    };
    search(&intervals, model.initial(), step, BUDGET)
}

/// How many of the operations that fit are shown.
const SHOWN: usize = 12;

fn render<C: fmt::Debug, R: fmt::Debug>(operations: &[&Operation<C, R>], violation: &Violation) -> String {
    let Violation { culprit, before } = violation;
    let left_out = before.len().saturating_sub(SHOWN);
    let mut lines = Vec::new();
    if left_out > 0 {
        lines.push(format!("    … {left_out} before"));
    }
    lines.extend(before[left_out..].iter().map(|&at| format!("    {}", line(operations[at]))));
    lines.push(format!("  ✗ {}", line(operations[*culprit])));
    lines.join("\n")
}

fn line<C: fmt::Debug, R: fmt::Debug>(operation: &Operation<C, R>) -> String {
    let Operation { actor, call, invoked, .. } = operation;
    match &operation.returned {
        Some(returned) => format!("[{invoked}, {}] {actor:?}: {call:?} → {:?}", returned.at, returned.answer),
        None => format!("[{invoked}, …] {actor:?}: {call:?} → no answer"),
    }
}
