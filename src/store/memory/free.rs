//! Freeing a session from quarantine.

use super::partition::{Keyspace, Step};
use crate::{
    model::{Hold, Pool, SessionId},
    store::{FirstMessage, Free, StoreResult},
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
        record.crashes.clear();
        let runnable = session.is_runnable();
        self.settle(id, step.now);
        if runnable {
            self.offer_around(id, pool, None, step.hints);
        }
        Ok(Free::Freed)
    }
}
