//! The turns that one child has been asked to take, by the id of their request.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::{model::SessionId, runtime::AgentError};

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a result.
    Answered(Box<RawValue>),
    /// With an error of the agent's own.
    Refused(AgentError),
    /// With the child.
    Died(Arc<str>),
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) session: SessionId,
    pub(super) turn: u64,
}

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A turn waited for it.
    ByItsTurn,
    /// The turn is over: it came too late, or for the second time.
    Late,
    /// Nothing with this id was ever asked.
    Unknown,
}

/// Who waits for an answer.
#[derive(Debug)]
pub(super) struct Calls(Mutex<Table>);

#[derive(Debug)]
struct Table {
    first: u64,
    next: u64,
    closed: bool,
    open: BTreeMap<u64, Call>,
    /// Given up, and the child does not know yet. No more than the child was given.
    cancelled: Vec<u64>,
}

#[derive(Debug)]
struct Call {
    whose: Whose,
    written: bool,
    ending: oneshot::Sender<Ending>,
}

impl Calls {
    /// None yet; ids count from `first`, so that those of an earlier child are never used again.
    pub(super) fn from(first: u64) -> Self {
        Self(Mutex::new(Table {
            first,
            next: first,
            closed: false,
            open: BTreeMap::new(),
            cancelled: Vec::new(),
        }))
    }

    /// Opens one; none when the child has ended.
    pub(super) fn open(&self, whose: Whose) -> Option<(u64, oneshot::Receiver<Ending>)> {
        let mut table = self.table();
        if table.closed {
            return None;
        }
        let (ending, waits) = oneshot::channel();
        let id = table.next;
        table.next += 1;
        table.open.insert(id, Call { whose, written: false, ending });
        Some((id, waits))
    }

    /// Whether `id` is still worth writing; from here on the child counts as having been given it.
    pub(super) fn begin(&self, id: u64) -> bool {
        self.table().open.get_mut(&id).map(|call| call.written = true).is_some()
    }

    /// The turn of `id` is over. True if the child must be told.
    pub(super) fn give_up(&self, id: u64) -> bool {
        let mut table = self.table();
        let must_tell = table.open.remove(&id).is_some_and(|call| call.written);
        if must_tell {
            table.cancelled.push(id);
        }
        must_tell
    }

    /// What the child has not been told of yet.
    pub(super) fn take_cancelled(&self) -> Vec<u64> {
        mem::take(&mut self.table().cancelled)
    }

    /// Ends the call of `id`.
    pub(super) fn end(&self, id: u64, ending: Ending) -> Taken {
        let mut table = self.table();
        match table.open.remove(&id) {
            Some(call) => {
                // If its turn is over at this very moment, nobody is left to care.
                let _ = call.ending.send(ending);
                Taken::ByItsTurn
            }
            None if (table.first..table.next).contains(&id) => Taken::Late,
            None => Taken::Unknown,
        }
    }

    /// Whose turn runs, if it is exactly one.
    pub(super) fn only(&self) -> Option<Whose> {
        let table = self.table();
        let mut open = table.open.values();
        match (open.next(), open.next()) {
            (Some(call), None) => Some(call.whose.clone()),
            _ => None,
        }
    }

    /// Fails what the child was given, lets go of what it was not, and takes no more. The next free id.
    pub(super) fn close(&self, why: &Arc<str>) -> u64 {
        let mut table = self.table();
        table.closed = true;
        let given = mem::take(&mut table.open).into_values().filter(|call| call.written);
        given.for_each(|call| _ = call.ending.send(Ending::Died(why.clone())));
        table.next
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics in these few lines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(session: &str) -> Whose {
        Whose { session: session.parse().unwrap(), turn: 1 }
    }

    fn result() -> Ending {
        Ending::Answered(RawValue::from_string("{}".to_owned()).unwrap())
    }

    #[test]
    fn an_answer_finds_its_turn_once_and_is_late_after_that() {
        let calls = Calls::from(7);
        let (id, mut ending) = calls.open(whose("a/1")).unwrap();
        assert_eq!(id, 7);
        assert_eq!(calls.end(7, result()), Taken::ByItsTurn);
        assert!(matches!(ending.try_recv(), Ok(Ending::Answered(_))));
        assert_eq!(calls.end(7, result()), Taken::Late);
        for never in [0, 6, 8, u64::MAX] {
            assert_eq!(calls.end(never, result()), Taken::Unknown, "{never}");
        }
    }

    #[test]
    fn only_a_turn_that_the_child_was_given_is_cancelled() {
        let calls = Calls::from(1);
        let (given, _keep) = calls.open(whose("a/1")).unwrap();
        let (waiting, _keep) = calls.open(whose("a/2")).unwrap();
        assert!(calls.begin(given));
        assert!(calls.give_up(given) && !calls.give_up(waiting));
        assert!(!calls.begin(waiting), "it is not worth writing any more");
        assert_eq!((calls.take_cancelled(), calls.take_cancelled()), (vec![given], vec![]));
    }

    #[test]
    fn a_child_that_ends_fails_what_it_was_given_and_nothing_else() {
        let calls = Calls::from(1);
        let (given, mut died) = calls.open(whose("a/1")).unwrap();
        let (_, mut let_go) = calls.open(whose("a/2")).unwrap();
        calls.begin(given);
        assert_eq!(calls.close(&"crashed".into()), 3);
        assert!(matches!(died.try_recv(), Ok(Ending::Died(why)) if &*why == "crashed"));
        assert!(matches!(let_go.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(calls.open(whose("a/3")).is_none());
    }

    #[test]
    fn a_line_of_the_childs_log_belongs_to_a_session_only_if_one_turn_runs() {
        let calls = Calls::from(1);
        assert_eq!(calls.only(), None);
        let (_, _keep) = calls.open(whose("a/1")).unwrap();
        assert_eq!(calls.only(), Some(whose("a/1")));
        let (_, _keep) = calls.open(whose("a/2")).unwrap();
        assert_eq!(calls.only(), None);
    }
}
