//! Who is able to own sessions and to keep partitions while time passes, and what stands in everybody's way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{choice::Actor, invariants as must, world::State};
use crate::model::{Partition, WorkerId};

/// What does not change while time passes from one event to the next.
pub(super) struct Scene {
    /// Who runs, reaches the server, trusts its lease there, and is not buried.
    pub(super) able: BTreeSet<(WorkerId, Partition)>,
    /// Whose subscriptions the server has: others are offered nothing.
    pub(super) heard: BTreeSet<WorkerId>,
    /// Who has the duty of each partition.
    pub(super) keepers: BTreeMap<Partition, Option<WorkerId>>,
    /// Whether a worker's call or its answer is lost or late at this very moment.
    pub(super) is_hampered: bool,
    /// Whether the scheduler lets time pass though some worker could go on.
    pub(super) is_held_up: bool,
}

impl Scene {
    pub(super) fn is_able(&self, worker: &WorkerId, partition: Partition) -> bool {
        self.able.contains(&(worker.clone(), partition))
    }
}

impl State {
    /// Time is about to pass up to `to`: nobody waits for an owner for too long.
    pub(super) fn waits_until(&mut self, to: Duration, is_held_up: bool) {
        let passed = to.saturating_sub(self.now());
        if passed.is_zero() {
            return;
        }
        let scene = self.scene(is_held_up);
        if let Some((session, waited)) = self.unowned.pass(&scene, passed) {
            let how = format!("{session} is runnable, has waited {waited:?}, and nobody able owns it");
            self.fail(must::TAKEN, how);
        }
    }

    fn scene(&self, is_held_up: bool) -> Scene {
        let store = self.server.store();
        let keepers = self.server.partitions().all().map(|one| (one, store.keeper(one))).collect();
        let clocks = |actor| self.own_clock(actor);
        let able = self.watch.trusting(&clocks).filter(|(actor, worker, partition)| {
            self.process(*actor).hears(self.now()) && !store.is_buried(*partition, worker)
        });
        Scene {
            able: able.map(|(_, worker, partition)| (worker.clone(), partition)).collect(),
            heard: self.heard().cloned().collect(),
            keepers,
            is_hampered: self.is_hampered(),
            is_held_up,
        }
    }

    fn is_hampered(&self) -> bool {
        let of_workers = self.calls.values().filter(|call| matches!(call.choice.actor, Actor::Worker(_)));
        let mut calls = of_workers.map(|call| (call, self.process(call.choice.actor)));
        calls.any(|(call, process)| call.is_hampered(self.now(), process))
    }
}
