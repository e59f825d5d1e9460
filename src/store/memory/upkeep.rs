//! Upkeep of a partition: what the holder of its duty looks at and puts right.

use std::{collections::BTreeMap, time::Duration};

use super::partition::{Keyspace, Outgoing, Standing, Step, WorkerLease, leave, set_timer};
use crate::{
    model::{AgentName, Millis, Pool, SessionId, StreamId, WorkerId},
    planted::{Bug, planted},
    store::{Fire, Mend, Offer, OutReply, StoreResult, Survey},
};

/// How many of a kind one look gives.
const PAGE: usize = 100;

/// How long a buried worker is remembered.
const REMEMBER_BURIED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a reply is left to its writer.
const WRITER_DELIVERS: Duration = Duration::from_millis(500);

impl Keyspace {
    pub(super) fn survey(&mut self, step: &Step, agents: &[(Pool, AgentName)]) -> Survey {
        let now = step.now;
        self.cut_deadlines(now);
        self.forget_buried(now);
        Survey {
            now,
            due: first_by_time(&self.timers, |due| due <= now),
            overdue: self.workers_standing(Standing::Overdue, now),
            buried: self.workers_standing(Standing::Buried, now),
            ready: self.ready_for(agents),
            out: self.left_in_out(now),
        }
    }

    /// Cuts deadlines further away than their own lease: there the clock went back.
    pub(super) fn cut_deadlines(&mut self, now: Millis) {
        for worker in self.workers.values_mut() {
            if let WorkerLease::Living { deadline, lease } = worker {
                *deadline = now.plus(*lease).min(*deadline);
            }
        }
    }

    fn forget_buried(&mut self, now: Millis) {
        self.workers.retain(|_, worker| match worker {
            WorkerLease::Living { .. } => true,
            WorkerLease::Buried { at } => now.since(*at) <= REMEMBER_BURIED,
        });
    }

    fn workers_standing(&self, standing: Standing, now: Millis) -> Vec<WorkerId> {
        self.workers.keys().filter(|worker| self.standing(worker, now) == standing).cloned().collect()
    }

    /// What is in `ready` of those agents that have a worker with room.
    fn ready_for(&self, agents: &[(Pool, AgentName)]) -> BTreeMap<(Pool, AgentName), Vec<SessionId>> {
        let with_room =
            agents.iter().filter(|queue| self.idle.get(*queue).is_some_and(|idle| !idle.is_empty()));
        let ready = with_room.filter_map(|queue| {
            let sessions = first_by_time(self.ready.get(queue)?, |_| true);
            (!sessions.is_empty()).then(|| (queue.clone(), sessions))
        });
        ready.collect()
    }

    /// The replies that nobody will deliver any more.
    fn left_in_out(&self, now: Millis) -> Vec<OutReply> {
        let left = |reply: &Outgoing| {
            let nobodys = reply.writer.as_ref().is_none_or(|writer| self.is_gone(writer));
            nobodys || now.since(reply.time) > WRITER_DELIVERS || reply.time > now
        };
        let replies = self.out.iter().take(PAGE).filter(|(_, reply)| left(reply));
        replies
            .map(|(id, reply)| OutReply { id, to: reply.to.clone(), payload: reply.payload.clone() })
            .collect()
    }

    pub(super) fn fire(&mut self, step: &mut Step, id: &SessionId, pool: &Pool) -> StoreResult<Fire> {
        let session = match self.session(id) {
            Ok(Some(session)) => session,
            nothing => {
                let nothing = nothing.map(|_| Fire::NotDue);
                self.timers.remove(id);
                return nothing;
            }
        };
        if session.record.pool != *pool {
            return Ok(Fire::OtherPool(session.record.pool.clone()));
        }
        let due = session.record.backoff;
        if due.is_none_or(|due| due > step.now && !planted(Bug::TimerTwice)) {
            set_timer(&mut self.timers, id, due);
            return Ok(Fire::NotDue);
        }
        session.record.backoff = None;
        session.record.updated = step.now;
        let (owner, runnable) = (session.record.owner.clone(), session.is_runnable());
        self.settle(id, step.now);
        match owner {
            Some(owner) => step.hints.wake(&owner.worker, id, None),
            None if runnable => _ = self.offer_around(id, pool, None, step.hints),
            None => (),
        }
        Ok(Fire::Fired)
    }

    pub(super) fn offer(
        &mut self,
        step: &mut Step,
        id: &SessionId,
        pool: &Pool,
        except: Option<&WorkerId>,
    ) -> Offer {
        let queue = (pool.clone(), id.agent());
        if !self.ready.get(&queue).is_some_and(|ready| ready.contains_key(id)) {
            return Offer::Gone;
        }
        self.offer_around(id, pool, except, step.hints).map_or(Offer::Nobody, Offer::Told)
    }

    pub(super) fn mend(
        &mut self,
        step: &mut Step,
        id: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> StoreResult<Mend> {
        let before = self.places(id, pool, owner);
        let Some(session) = self.session(id)? else {
            self.forget(id, pool, owner);
            return Ok(Mend::Absent);
        };
        let record = &mut session.record;
        if record.pool != *pool {
            return Ok(Mend::OtherPool(record.pool.clone()));
        }
        let actual = record.owner.as_ref().map(|owner| owner.worker.clone());
        if actual.as_ref() != owner {
            return Ok(Mend::OtherOwner(actual));
        }
        let home = home.filter(|home| record.epoch.is_none() && record.pool != **home);
        if let Some(home) = home {
            record.pool = home.clone();
            record.updated = step.now;
        }
        let unregistered = session.own(step.now).is_none();
        if unregistered && planted(Bug::RobbedWithoutOwn) {
            self.take_from_the_dead(step, id);
        }
        if home.is_some() {
            leave(&mut self.ready, &(pool.clone(), id.agent()), id);
        }
        if let Some(of) = actual.clone().filter(|owner| self.is_gone(owner)) {
            return Ok(Mend::Orphan { of });
        }
        self.settle(id, step.now);
        if let Some(owner) = actual.filter(|_| unregistered) {
            step.hints.wake(&owner, id, None);
        }
        let agree = home.is_none() && before == self.places(id, pool, owner);
        Ok(if agree { Mend::Fine } else { Mend::Mended })
    }

    /// Where the session stands among the indexes.
    fn places(&self, id: &SessionId, pool: &Pool, owner: Option<&WorkerId>) -> Places {
        let ready = self.ready.get(&(pool.clone(), id.agent()));
        let held = owner.and_then(|owner| self.held.get(owner));
        Places {
            indexed: self.index.contains(id),
            ready: ready.is_some_and(|ready| ready.contains_key(id)),
            timer: self.timers.get(id).copied(),
            held: held.is_some_and(|held| held.contains(id)),
        }
    }

    /// Takes a session that is not there out of all indexes that the caller named.
    pub(super) fn forget(&mut self, id: &SessionId, pool: &Pool, owner: Option<&WorkerId>) {
        leave(&mut self.ready, &(pool.clone(), id.agent()), id);
        self.timers.remove(id);
        self.index.remove(id);
        if let Some(owner) = owner {
            self.let_go(owner, id);
        }
    }

    /// Takes a reply out of `out`, if it is still there.
    pub(super) fn take_out(&mut self, id: StreamId) -> Option<Outgoing> {
        self.out.remove(id)
    }
}

/// Which indexes know a session.
#[derive(PartialEq, Eq)]
struct Places {
    indexed: bool,
    ready: bool,
    timer: Option<Millis>,
    held: bool,
}

/// The first of a sorted set whose times pass, in order of time and then id.
fn first_by_time(set: &BTreeMap<SessionId, Millis>, passes: impl Fn(Millis) -> bool) -> Vec<SessionId> {
    let mut found: Vec<_> =
        set.iter().filter(|(_, time)| passes(**time)).map(|(id, time)| (*time, id)).collect();
    found.sort();
    found.into_iter().take(PAGE).map(|(_, id)| id.clone()).collect()
}
