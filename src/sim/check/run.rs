//! All that is asked of what a run's clients and workers were told.

use std::collections::BTreeSet;

use super::{
    causes,
    consistency::{Sequential, sequential},
    linear::undecided,
    log::Log,
    session::{Answer, Call, Session},
    surviving::{Loss, parts},
};
use crate::sim::{
    Actor, Object,
    history::{History, Operation},
    invariants as must,
};

/// What a run came to, by what was told in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What does not hold, and how.
    pub broken: Option<(&'static str, String)>,
    /// How many checks came to no answer, as there was too much to look at.
    pub undecided: u64,
}

/// Judges a run, in parts where the server lost writes: each session is linearizable, each reader sees
/// histories grow, and nobody sees an effect without its cause.
///
/// The last two ask for less than the first. They are asked all the same: the first may come to no answer.
pub fn judge(history: &History<Call, Answer>, losses: &[Loss]) -> Judgement {
    let mut judgement = Judgement::default();
    if losses.is_empty() {
        judgement.ask(history, &[linear, readers, effects]);
        return judgement;
    }
    for (losses_before, part) in parts(history, losses).iter().enumerate() {
        let whole = if losses_before == 0 { linear } else { linear_history };
        judgement.ask(part, &[whole, readers, effects]);
    }
    judgement
}

type Check = fn(&History<Call, Answer>) -> Outcome;

impl Judgement {
    fn ask(&mut self, part: &History<Call, Answer>, checks: &[Check]) {
        for check in checks {
            if self.broken.is_none() {
                match check(part) {
                    Ok(undecided) => self.undecided += undecided,
                    Err(broken) => self.broken = Some(broken),
                }
            }
        }
    }
}

/// How often a check came to no answer, or what does not hold, and how.
pub type Outcome = Result<u64, (&'static str, String)>;

/// Whether each session's answers could have been given one after the other.
///
/// # Errors
/// What could not.
pub fn linear(part: &History<Call, Answer>) -> Outcome {
    match undecided(&Session, part) {
        Ok(objects) => Ok(objects.len() as u64),
        Err(violated) => Err((must::LINEAR, violated.to_string())),
    }
}

/// The same of histories alone. After a loss workers know of claims and messages that were lost, and what they are told
/// rests on that.
fn linear_history(part: &History<Call, Answer>) -> Outcome {
    match undecided(&Log, part) {
        Ok(objects) => Ok(objects.len() as u64),
        Err(violated) => Err((must::LINEAR, violated.to_string())),
    }
}

/// Whether all that one client read of one session fits an order of its own reads and of what was written.
///
/// # Errors
/// What does not.
pub fn readers(part: &History<Call, Answer>) -> Outcome {
    let mut undecided = 0;
    for (reader, object) in pairs(part) {
        match sequential(&Log, &as_read_by(part, reader, object)) {
            Sequential::Consistent(_) => (),
            Sequential::Undecided => undecided += 1,
            Sequential::Violated(order) => {
                let how = format!(
                    "{reader:?} read of {object:?} what no order of its reads explains: {} operations fit",
                    order.len()
                );
                return Err((must::READERS, how));
            }
        }
    }
    Ok(undecided)
}

/// Who read what, among clients.
fn pairs(part: &History<Call, Answer>) -> BTreeSet<(Actor, Object)> {
    let reads = part.operations().iter().filter(|operation| is_read(operation));
    let by_clients = reads.filter(|operation| matches!(operation.actor, Actor::Client(_)));
    by_clients.map(|operation| (operation.actor, operation.object)).collect()
}

fn is_read(operation: &Operation<Call, Answer>) -> bool {
    matches!(operation.call, Call::Read { .. })
}

/// All that was appended to a history, and what one reader read of it.
fn as_read_by(part: &History<Call, Answer>, reader: Actor, object: Object) -> History<Call, Answer> {
    let mut seen = History::default();
    let counts = |operation: &&Operation<Call, Answer>| {
        let is_its_own = is_read(operation) && operation.actor == reader;
        operation.object == object && (is_its_own || matches!(operation.call, Call::Commit { .. }))
    };
    let mut operations: Vec<_> = part.operations().iter().filter(counts).collect();
    operations.sort_by_key(|operation| operation.invoked);
    for operation in operations {
        let Operation { actor, object, call, invoked, returned } = operation;
        let asked = seen.invoke(*actor, *object, call.clone(), *invoked);
        if let Some(returned) = returned {
            seen.returned(asked, returned.answer.clone(), returned.at);
        }
    }
    seen
}

/// Whether whoever saw something also found what it came of, in whichever session.
///
/// # Errors
/// What was not found.
pub fn effects(part: &History<Call, Answer>) -> Outcome {
    causes::check(part).map(|()| 0).map_err(|how| (must::CAUSES, how))
}
