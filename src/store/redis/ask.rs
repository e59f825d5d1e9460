//! Calling a script on a lane and reading its reply.

use std::{sync::Arc, time::Duration};

use redis::Value;

use super::{
    RedisStore,
    commit_lane::Written,
    masters::{Master, Traffic},
    overwritten::keys_of,
    replies::{Reply, names},
    scripts::{Call, Name},
    target::Server,
};
use crate::{
    model::{Durability, Partition},
    store::{Reach, Run, StoreError, StoreResult},
};

impl RedisStore {
    /// The beginning of a call.
    pub(super) fn script<K: AsRef<str>>(&self, name: Name, keys: &[K]) -> Call {
        self.shared.scripts.call(name, keys)
    }

    /// Calls a script; its reply.
    pub(super) async fn ask(&self, traffic: Traffic, call: Call) -> StoreResult<Reply> {
        match self.shared.masters.call(traffic, &call).await {
            Ok(value) => Reply::of(call.name, value),
            Err(error) => Err(self.naming(&keys_of(&call), error).await),
        }
    }

    /// Calls a script if this start of its server answers (any, if none is named); its reply.
    pub(super) async fn ask_under(&self, run: Option<Run>, call: Call) -> StoreResult<Option<Reply>> {
        let answered = match self.shared.masters.call_under(run, &call).await {
            Ok(answered) => answered,
            Err(error) => return Err(self.naming(&keys_of(&call), error).await),
        };
        answered.map(|value| Reply::of(call.name, value)).transpose()
    }

    /// Calls a script and waits for `class`: over the lane of `traffic` where that is reached at once, else on its commit lane.
    pub(super) async fn ask_at(
        &self,
        class: Durability,
        traffic: Traffic,
        call: Call,
    ) -> StoreResult<(Reply, Reach)> {
        if class == Durability::MEMORY {
            return Ok((self.ask(traffic, call).await?, Reach::Reached));
        }
        let name = call.name;
        let Written { value, reach } = self.shared.masters.write(class, self.keys(), call).await?;
        Ok((Reply::of(name, value)?, reach))
    }

    /// Whether all that was written to `partition` before has reached `class`.
    pub(super) async fn has_reached(&self, partition: Partition, class: Durability) -> StoreResult<Reach> {
        if class == Durability::MEMORY {
            return Ok(Reach::Reached);
        }
        let mark = self.keys().partition(partition).mark();
        Ok(self.shared.masters.settle(class, self.keys(), &mark).await?.reach)
    }

    /// The same of what was written anywhere: by a look at each master.
    pub(super) async fn has_reached_everywhere(&self, class: Durability) -> StoreResult<Reach> {
        let mut seen: Vec<Arc<Master>> = Vec::new();
        for partition in self.keys().partitions().all() {
            let master = self.shared.masters.of(&self.keys().partition(partition).mark())?;
            if seen.iter().any(|seen| Arc::ptr_eq(seen, &master)) {
                continue;
            }
            seen.push(master);
            if self.has_reached(partition, class).await? == Reach::Unknown {
                return Ok(Reach::Unknown);
            }
        }
        Ok(Reach::Reached)
    }

    /// Which start of which master has `partition`. None where there is but one server.
    pub(super) async fn run_of(&self, partition: Partition) -> Option<Run> {
        if !self.shared.masters.is_cluster() {
            return None;
        }
        let server = self.shared.masters.server(&self.keys().partition(partition).workers()).await.ok()?;
        Some(Run::named(&server.run_id))
    }

    /// The same of what was written to `server`, by any connection: another server's word says nothing of it.
    pub(super) async fn has_reached_on(
        &self,
        server: &Server,
        partition: Partition,
        class: Durability,
    ) -> StoreResult<Reach> {
        if class == Durability::MEMORY {
            return Ok(Reach::Reached);
        }
        let reach = self.has_reached(partition, class).await?;
        let master = self.shared.masters.of(&self.keys().partition(partition).mark())?;
        let commits = master.commits(class, self.keys());
        let waited = commits.server().await?;
        if *waited == *server {
            return Ok(reach);
        }
        // A server may begin a new line of history while connections stay: then the older one is told so by connecting anew.
        commits.connect_again(&waited);
        master.lane(Traffic::Leases).connect_again(server);
        Ok(Reach::Unknown)
    }
}

/// What `what` holds cannot be read.
pub(super) fn unreadable(what: &'static str) -> impl Fn(String) -> StoreError {
    move |why| StoreError::unreadable(what, why)
}

/// What a partition holds cannot be read.
pub(super) fn unreadable_in(what: &str, partition: Partition) -> impl Fn(String) -> StoreError {
    move |why| StoreError::unreadable(format!("`{what}` of partition {partition}"), why)
}

/// A list of names; see [`names`].
pub(super) fn parse_names<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &'static str,
    value: Value,
) -> StoreResult<Vec<T>> {
    match value {
        Value::Array(parts) => Ok(names(what, parts)),
        _ => Err(StoreError::unreadable(what, "not a list")),
    }
}

/// A duration in whole milliseconds, at least one: to Redis zero is for ever, or an error.
pub(super) fn at_least_a_millisecond(duration: Duration) -> u64 {
    crate::model::millis(duration).max(1)
}
