//! A person's word to a session: freed from quarantine, or told to go on with its turn.

use super::partition::{Keyspace, Step};
use crate::{
    model::{Hold, Pool, SessionId},
    store::{FirstMessage, Free, Proceed, StoreResult},
};

impl Keyspace {
    pub(super) fn free(
        &mut self,
        step: &mut Step,
        id: &SessionId,
        pool: &Pool,
        first: FirstMessage,
    ) -> StoreResult<Free> {
        let Some(session) = self.session(id)? else { return Ok(Free::Absent) };
        let record = &mut session.record;
        if record.pool != *pool {
            return Ok(Free::OtherPool(record.pool.clone()));
        }
        if !matches!(record.hold, Some(Hold::Quarantined { .. })) {
            return Ok(Free::NotQuarantined);
        }
        if let Some(owner) = &record.owner {
            return Ok(Free::Owned(owner.worker.clone()));
        }
        if first == FirstMessage::Drop {
            record.dropped = Some(record.taken + 1);
        }
        (record.hold, record.orphaned, record.tries, record.updated) = (None, None, 0, step.now);
        record.suspended = None;
        record.crashes.clear();
        let runnable = session.is_runnable();
        self.settle(id, step.now);
        if runnable {
            self.offer_around(id, pool, None, step.hints);
        }
        Ok(Free::Freed)
    }

    pub(super) fn proceed(&mut self, step: &mut Step, id: &SessionId, pool: &Pool) -> StoreResult<Proceed> {
        let Some(session) = self.session(id)? else { return Ok(Proceed::Absent) };
        let record = &mut session.record;
        if record.pool != *pool {
            return Ok(Proceed::OtherPool(record.pool.clone()));
        }
        if record.suspended.is_none() || record.hold.is_some() {
            return Ok(Proceed::NotSuspended);
        }
        (record.suspended, record.updated) = (None, step.now);
        let runnable = session.is_runnable();
        self.settle(id, step.now);
        if runnable {
            self.offer_around(id, pool, None, step.hints);
        }
        Ok(Proceed::Going)
    }
}
