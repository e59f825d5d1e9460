//! The invariant that every operation restores, read off a snapshot.

use tenure::{
    model::SessionId,
    store::{PartitionSnapshot, SessionSnapshot, Snapshot},
};

/// What of the invariant does not hold, as a sentence.
pub fn broken(snapshot: &Snapshot) -> Option<String> {
    snapshot
        .partitions
        .values()
        .find_map(|held| held.sessions.iter().find_map(|(id, session)| broken_for(held, id, session)))
}

fn broken_for(held: &PartitionSnapshot, id: &SessionId, session: &SessionSnapshot) -> Option<String> {
    let record = &session.record;
    let ready =
        held.ready.get(&(record.pool.clone(), id.agent())).is_some_and(|ready| ready.contains_key(id));
    let wants_owner = record.owner.is_none() && record.is_runnable(session.inbox.len() as u64);
    let held_by =
        |owner: &tenure::model::Token| held.held.get(&owner.worker).is_some_and(|held| held.contains(id));
    let rules = [
        (ready == wants_owner, "in `ready` exactly if it has no owner and is runnable"),
        (held.timers.get(id) == record.backoff.as_ref(), "in `timers` exactly if it waits for a time"),
        (record.owner.as_ref().is_none_or(held_by), "in `held` of its owner"),
        (held.index.contains(id), "in `index`"),
    ];
    let broken = rules.into_iter().find(|(holds, _)| !holds);
    broken.map(|(_, rule)| format!("{id} should be {rule}: {record:?}"))
}
