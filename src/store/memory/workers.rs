//! A worker's own lease in a partition: joining, renewing, burying.

use super::{
    MemoryStore,
    partition::{Keyspace, Standing, Step, WorkerLease, leave},
};
use crate::{
    model::{Millis, WorkerId},
    planted::{Bug, planted},
    store::{Bury, Duty, DutyWish, Ground, Presence, Renewal},
};

/// An embedded server starts once.
pub(super) const RUN: &str = "memory";

impl Keyspace {
    pub(super) fn join(&mut self, step: &Step, presence: &Presence) -> Renewal {
        if self.standing(&presence.worker, step.now) == Standing::Unknown {
            let fresh = WorkerLease::Living { deadline: step.now, lease: presence.lease };
            self.workers.insert(presence.worker.clone(), fresh);
        }
        self.renew(step, presence)
    }

    pub(super) fn renew(&mut self, step: &Step, presence: &Presence) -> Renewal {
        let Presence { worker, lease, .. } = presence;
        if self.is_gone(worker) && !planted(Bug::RenewRevives) {
            return Renewal::Lost;
        }
        let renewed = WorkerLease::Living { deadline: step.now.plus(*lease), lease: *lease };
        self.workers.insert(worker.clone(), renewed);
        self.cut_deadlines(step.now);
        self.show_load(presence);
        self.grant_duty(worker, presence.duty, step.now);
        let alive = self.workers.keys().filter(|worker| self.standing(worker, step.now) == Standing::Alive);
        Renewal::Renewed { now: step.now, duty: self.keeper(), alive: alive.count() }
    }

    /// Sets a worker's load in `idle` of each of its agents, or takes it out where it has no room.
    fn show_load(&mut self, Presence { worker, pool, agents, full, load, .. }: &Presence) {
        for agent in agents {
            let queue = (pool.clone(), agent.clone());
            match load.filter(|_| !full.contains(agent)) {
                Some(load) => _ = self.idle.entry(queue).or_default().insert(worker.clone(), load),
                None => leave(&mut self.idle, &queue, worker),
            }
        }
    }

    /// Who has the duty.
    pub(super) fn keeper(&self) -> Option<WorkerId> {
        self.duty.as_ref().map(|duty| duty.holder.clone())
    }

    fn grant_duty(&mut self, worker: &WorkerId, wish: DutyWish, now: Millis) {
        let has_it = self.duty.as_ref().is_some_and(|duty| duty.holder == *worker);
        let free = match &self.duty {
            None => true,
            Some(duty) => duty.is_yielded || self.standing(&duty.holder, now) != Standing::Alive,
        };
        let kept = |is_yielded| Some(Duty { holder: worker.clone(), is_yielded });
        match wish {
            DutyWish::Take if free => self.duty = kept(false),
            DutyWish::GiveUp if has_it => self.duty = None,
            wish if has_it => self.duty = kept(wish == DutyWish::Yield),
            DutyWish::Take | DutyWish::Leave | DutyWish::Yield | DutyWish::GiveUp => (),
        }
    }

    pub(super) fn bury(&mut self, step: &mut Step, worker: &WorkerId, ground: Ground) -> Bury {
        match (self.standing(worker, step.now), ground) {
            (Standing::Unknown, _) => Bury::Unknown,
            (Standing::Buried, _) => Bury::Buried,
            (_, Ground::OverdueUnder(reckoning)) if reckoning.run != MemoryStore::only_run() => {
                Bury::OtherRun
            }
            (Standing::Alive, Ground::Overdue | Ground::OverdueUnder(_)) => Bury::Alive,
            (_, Ground::OverdueUnder(reckoning)) if step.now > reckoning.until => Bury::Later,
            (Standing::Alive | Standing::Overdue, _) => {
                self.put_to_rest(worker, step.now);
                if ground != Ground::OwnWish {
                    step.hints.bury(worker);
                }
                Bury::Buried
            }
        }
    }

    /// Writes a worker down as buried: its duty is free, and nothing is offered to it any more.
    pub(super) fn put_to_rest(&mut self, worker: &WorkerId, now: Millis) {
        self.workers.insert(worker.clone(), WorkerLease::Buried { at: now });
        self.duty.take_if(|duty| duty.holder == *worker);
        for idle in self.idle.values_mut() {
            idle.remove(worker);
        }
    }
}
