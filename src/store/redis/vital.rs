//! Who is there, by their lifelines.

use redis::Value;

use super::{RedisStore, masters::Traffic};
use crate::{
    model::WorkerId,
    store::{StoreError, StoreResult, Vitals},
};

impl RedisStore {
    /// How many are subscribed to each worker's lifeline, on the server that has the namespace's own keys.
    pub(super) async fn look_for(&self, workers: &[WorkerId]) -> StoreResult<Vitals> {
        let mut ask = redis::cmd("PUBSUB");
        ask.arg("SHARDNUMSUB");
        for worker in workers {
            ask.arg(self.keys().life(worker));
        }
        let (server, answer) = self.shared.masters.run_on(&self.keys().conf(), &ask).await?;
        let present = subscribed(answer).filter(|present| present.len() == workers.len());
        let present = present
            .ok_or_else(|| StoreError::unreadable("PUBSUB SHARDNUMSUB", "not as many as asked for"))?;
        Ok(Vitals { run: server.run_id.clone(), present })
    }

    /// Publishes something to a worker; whether it heard.
    pub(super) async fn tell(&self, worker: &WorkerId, what: char) -> StoreResult<bool> {
        let first = self.keys().partitions().all().next().expect("there is a partition");
        let wake = self.keys().partition(first).wake(worker);
        let mut publish = redis::cmd("SPUBLISH");
        publish.arg(&wake).arg(format!("{what} {worker}"));
        Ok(self.shared.masters.run(Traffic::Leases, &wake, &publish).await? != Value::Int(0))
    }
}

/// Channels and how many are subscribed to them, in turn.
fn subscribed(answer: Value) -> Option<Vec<bool>> {
    let Value::Array(parts) = answer else { return None };
    parts.chunks(2).map(|pair| matches!(pair, [_, Value::Int(_)]).then(|| pair[1] != Value::Int(0))).collect()
}
