//! One group of writes of a class: a pipeline of scripts, a mark, and the wait behind them.
//!
//! The mark is there for repeats: where a script finds its work done it writes nothing, and a wait behind nothing but
//! reads is answered at once (Redis 7.2 and later, Valkey), whatever the replicas have.

use std::{sync::Arc, time::Duration};

use redis::{Pipeline, Value};
use tracing::{debug, warn};

use super::{
    errors::{again, is_no_script_value},
    keys::{Keys, mark_beside},
    lanes::Lane,
    scripts::{Call, Name},
    target::Server,
};
use crate::{
    model::{Durability, Partition},
    store::{Reach, StoreError, StoreResult},
};

/// How long the replicas, or the disk, may take.
const WITHIN: Duration = Duration::from_secs(1);

/// Where groups of one class go.
#[derive(Clone)]
pub(super) struct GroupLane {
    pub(super) lane: Lane,
    pub(super) class: Durability,
    pub(super) keys: Keys,
}

/// What a group came to.
pub(super) struct Outcome {
    /// What each write answered, in order.
    pub(super) values: Vec<StoreResult<Value>>,
    /// Whether all of it has reached the class.
    pub(super) reach: Reach,
}

/// What a pipeline answered, and who did.
struct Answers {
    server: Arc<Server>,
    scripts: Vec<Value>,
    mark: Value,
    waits: Vec<Value>,
}

impl GroupLane {
    /// Sends a group. A write without a call is there for what was written before: its value is the mark's.
    pub(super) async fn send(self, writes: Vec<Option<Call>>) -> StoreResult<Outcome> {
        let calls: Vec<_> = writes.iter().flatten().collect();
        let mut answers = self.ask(&calls).await?;
        let (reach, error) = match self.complete(&calls, &mut answers).await {
            Ok(reach) => (reach, None),
            Err(error) => (Reach::Unknown, Some(error)),
        };
        let check = |value| match &error {
            Some(error) if is_no_script_value(&value) => Err(again(error)),
            _ => self.lane.checked(value),
        };
        let mut scripts = answers.scripts.into_iter();
        let values = writes.iter().map(|write| match write {
            Some(_) => check(scripts.next().unwrap_or_default()),
            None => check(answers.mark.clone()),
        });
        Ok(Outcome { values: values.collect(), reach })
    }

    /// Sees to it that every call was run, and none twice: those that the server refused, since it had forgotten their
    /// script, are sent again, and nothing else. Of several messages that a session took only the last would be known again.
    async fn complete(&self, calls: &[&Call], answers: &mut Answers) -> StoreResult<Reach> {
        let scripts = answers.scripts.iter_mut().zip(calls);
        let (places, refused): (Vec<_>, Vec<_>) = scripts
            .filter(|(value, _)| is_no_script_value(value))
            .map(|(value, call)| (value, *call))
            .unzip();
        if refused.is_empty() && !is_no_script_value(&answers.mark) {
            return Ok(self.reach(&answers.mark, &answers.waits));
        }
        self.lane.load_all().await?;
        let anew = self.ask(&refused).await?;
        let reach = self.reach(&anew.mark, &anew.waits);
        for (place, value) in places.into_iter().zip(anew.scripts) {
            *place = value;
        }
        answers.mark = anew.mark;
        // What another server has says nothing of what this one was sent.
        Ok(if anew.server == answers.server { reach } else { Reach::Unknown })
    }

    async fn ask(&self, calls: &[&Call]) -> StoreResult<Answers> {
        let mut pipeline = redis::pipe();
        for call in calls {
            pipeline.add_command(call.command.clone());
        }
        // Where the first of them writes: in a cluster that is where all do.
        let first = calls.first().map(|call| mark_beside(call.key()));
        let mark = first.unwrap_or_else(|| self.keys.partition(Partition(0)).mark());
        pipeline.add_command(self.lane.script(Name::Mark, &[mark]).command);
        self.add_waits(&mut pipeline);
        let (server, mut scripts) = self.lane.each_within(&pipeline, 2 * WITHIN).await?;
        let missing = || StoreError::unreadable("a group's answers", "some are missing");
        let mut rest =
            (scripts.len() > calls.len()).then(|| scripts.split_off(calls.len())).ok_or_else(missing)?;
        let waits = rest.split_off(1);
        Ok(Answers { server, scripts, mark: rest.remove(0), waits })
    }

    /// In this order: a wait for the disks of replicas that have not said yet that they have it takes a second.
    fn add_waits(&self, pipeline: &mut Pipeline) {
        let Durability { fsync, replicas } = self.class;
        let within = crate::model::millis(WITHIN);
        if replicas > 0 {
            pipeline.cmd("WAIT").arg(replicas).arg(within);
        }
        if fsync {
            pipeline.cmd("WAITAOF").arg(1).arg(replicas).arg(within);
        }
    }

    /// What the waits say: how many replicas have it, and how many disks, ours and theirs. Without the mark they say nothing.
    fn reach(&self, mark: &Value, waits: &[Value]) -> Reach {
        let Durability { fsync, replicas } = self.class;
        let enough = |value: &Value| match value {
            Value::Int(acknowledged) => *acknowledged >= i64::from(replicas),
            Value::Array(disks) => matches!(
                disks.as_slice(),
                [Value::Int(own), Value::Int(theirs)] if *own >= 1 && *theirs >= i64::from(replicas)
            ),
            Value::ServerError(error) => {
                warn!(class = %self.class, code = error.code(), details = error.details(), "the server does not wait");
                false
            }
            _ => false,
        };
        let asked = usize::from(fsync) + usize::from(replicas > 0);
        let marked = !matches!(mark, Value::ServerError(_));
        if marked && waits.len() == asked && waits.iter().all(enough) {
            return Reach::Reached;
        }
        debug!(class = %self.class, ?mark, ?waits, "not acknowledged");
        Reach::Unknown
    }
}
