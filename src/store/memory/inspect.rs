//! A look at one session from the side, without copying it: for simulations, which look after every step.

use std::collections::VecDeque;

use super::{
    MemoryStore,
    partition::{Session, WorkerLease},
};
use crate::{
    model::{Entry, Millis, Partition, SessionId, SessionRecord, WorkerId},
    store::Mail,
};

/// One session and what the indexes of its partition say of it.
#[derive(Debug, Clone, Copy)]
pub struct SessionSight<'a> {
    /// Its record.
    pub record: &'a SessionRecord,
    /// Its inbox.
    pub inbox: &'a VecDeque<Mail>,
    /// Its history.
    pub history: &'a [Entry],
    /// Whether it is in `ready` of its pool and agent.
    pub is_ready: bool,
    /// When its timer is due, if it has one.
    pub timer: Option<Millis>,
    /// Whether it is in `held` of its owner; true if it has none.
    pub is_held: bool,
    /// Whether it is listed.
    pub is_indexed: bool,
}

impl MemoryStore {
    /// Shows one session as it stands, none if there is none. `look` must not ask the store anything.
    pub fn inspect<T>(&self, session: &SessionId, look: impl FnOnce(Option<SessionSight>) -> T) -> T {
        let state = self.state();
        let keys = state.partitions.get(&self.shared.partitions.of(session));
        let sight = keys.and_then(|keys| {
            let Session { record, inbox, history, .. } = keys.sessions.get(session)?;
            let ready = keys.ready.get(&(record.pool.clone(), session.agent()));
            let held_by = |owner: &crate::model::Token| {
                keys.held.get(&owner.worker).is_some_and(|held| held.contains(session))
            };
            Some(SessionSight {
                record,
                inbox,
                history,
                is_ready: ready.is_some_and(|ready| ready.contains_key(session)),
                timer: keys.timers.get(session).copied(),
                is_held: record.owner.as_ref().is_none_or(held_by),
                is_indexed: keys.index.contains(session),
            })
        });
        look(sight)
    }

    /// Whether this worker is buried in this partition.
    pub fn is_buried(&self, partition: Partition, worker: &WorkerId) -> bool {
        let state = self.state();
        let keys = state.partitions.get(&partition);
        keys.is_some_and(|keys| matches!(keys.workers.get(worker), Some(WorkerLease::Buried { .. })))
    }

    /// Who has the duty of a partition.
    pub fn keeper(&self, partition: Partition) -> Option<WorkerId> {
        let state = self.state();
        state.partitions.get(&partition)?.keeper()
    }

    /// Whether nothing is left to do: no mail that may be run, no reply to deliver, no entry at a plain door.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        let settled = |session: &Session| session.inbox.is_empty() || session.record.hold.is_some();
        state.ingress.values().all(|stream| stream.iter().next().is_none())
            && state
                .partitions
                .values()
                .all(|keys| keys.out.iter().next().is_none() && keys.sessions.values().all(settled))
    }
}
