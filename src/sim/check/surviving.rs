//! What of a run still counts after the server lost writes.
//!
//! A replica that lacks the last writes takes over: the world is again what it was when the replica was cut off.
//! So a run with such losses is judged in parts. Up to each loss everything counts that happened on the line of time that
//! leads to it, and after the last one what does not lie between the cut and the loss.

use super::session::{Answer, Call};
use crate::sim::history::{History, Operation, Returned};

/// A failover: what took effect from one step to the other is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The step at which the replica was cut off.
    pub since: u64,
    /// The step at which it took over; no call was under way past it.
    pub until: u64,
}

/// The parts of a run: one that ends at each loss, and one that ends with it.
pub fn parts(history: &History<Call, Answer>, losses: &[Loss]) -> Vec<History<Call, Answer>> {
    let ends = losses.iter().map(|loss| loss.until).chain([u64::MAX]);
    ends.enumerate().map(|(before, end)| part(history, &losses[..before], end)).collect()
}

fn part(history: &History<Call, Answer>, losses: &[Loss], end: u64) -> History<Call, Answer> {
    let mut part = History::default();
    for operation in history.operations().iter().filter(|operation| operation.invoked < end) {
        if let Some(answer) = surviving(operation, losses, end) {
            let Operation { actor, object, call, invoked, .. } = operation;
            let asked = part.invoke(*actor, *object, call.clone(), *invoked);
            if let Some(Returned { at, answer }) = answer {
                part.returned(asked, answer, at);
            }
        }
    }
    part
}

/// What is known of an operation's answer; nothing if it happened, if at all, where all is lost.
///
/// One that was under way when the replica was cut off may have reached it or not: it may have happened, with that answer.
fn surviving(
    operation: &Operation<Call, Answer>,
    losses: &[Loss],
    end: u64,
) -> Option<Option<Returned<Answer>>> {
    let is_lost = |loss: &Loss| operation.invoked >= loss.since && operation.invoked < loss.until;
    if losses.iter().any(is_lost) {
        return None;
    }
    let in_doubt = losses.iter().any(|loss| operation.invoked < loss.since && operation.ended() > loss.since);
    let known = operation.returned.clone().filter(|returned| returned.at <= end);
    Some(
        known.map(|known| if in_doubt { Returned { at: Returned::<Answer>::NEVER, ..known } } else { known }),
    )
}
