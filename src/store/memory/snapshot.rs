//! All that the store holds, as one value.

use std::collections::BTreeMap;

use super::partition::{Keyspace, Remembered, Session, WorkerLease};
use crate::{
    model::{Millis, Partition},
    store::{IdSnapshot, OutReply, PartitionSnapshot, SessionSnapshot},
};

impl Keyspace {
    /// What this partition holds, without empty collections.
    pub(super) fn snapshot(&self, partition: Partition, now: Millis) -> PartitionSnapshot {
        let sessions = self.sessions.iter().map(|(id, session)| (id.clone(), session.snapshot(now)));
        let workers = self.workers.iter().map(|(worker, lease)| (worker.clone(), lease.deadline()));
        let held = self.held.iter().filter(|(_, held)| !held.is_empty());
        let out = self.out.iter().map(|(id, reply)| {
            let (to, payload) = (reply.to.clone(), reply.payload.clone());
            OutReply { id, to, payload }
        });
        PartitionSnapshot {
            sessions: sessions.collect(),
            workers: workers.collect(),
            ready: without_empty(&self.ready),
            idle: without_empty(&self.idle),
            held: held.map(|(worker, held)| (worker.clone(), held.clone())).collect(),
            timers: self.timers.clone(),
            index: self.index.clone(),
            out: out.collect(),
            dead: self.letters(partition, None).collect(),
            cursors: self.cursors.clone(),
            duty: self.duty.clone(),
            ids: self.ids.iter().map(|(key, remembered)| (key.clone(), remembered.snapshot())).collect(),
        }
    }
}

fn without_empty<K: Ord + Clone, M: Ord + Clone, V: Clone>(
    family: &BTreeMap<K, BTreeMap<M, V>>,
) -> BTreeMap<K, BTreeMap<M, V>> {
    family.iter().filter(|(_, set)| !set.is_empty()).map(|(key, set)| (key.clone(), set.clone())).collect()
}

impl Session {
    fn snapshot(&self, now: Millis) -> SessionSnapshot {
        SessionSnapshot {
            record: self.record.clone(),
            own: self.own(now).cloned(),
            state: self.state.clone(),
            inbox: self.inbox.iter().cloned().collect(),
            history: self.history.clone(),
        }
    }
}

impl WorkerLease {
    fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Living { deadline, .. } => Some(*deadline),
            Self::Buried { .. } => None,
        }
    }
}

impl Remembered {
    fn snapshot(&self) -> IdSnapshot {
        IdSnapshot { message: self.message, answer: self.answer.clone(), waiters: self.waiters.clone() }
    }
}
