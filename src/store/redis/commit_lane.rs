//! Commit lanes: one connection for each durability class, where many writes share one wait.
//!
//! `WAIT` covers the writes of its own connection, and holds that connection up until it is answered. So writes of a
//! class go through a connection of their own; while one group of them is waited for the next gathers, and then goes
//! out as one pipeline: the scripts, a mark, and the wait behind them. Who finds nobody sending sends for all.
//!
//! The mark is there for repeats: where a script finds its work done it writes nothing, and a wait behind nothing but
//! reads is answered at once (Redis 7.2 and later, Valkey), whatever the replicas have.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use redis::{Pipeline, Value};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tracing::{debug, warn};

use super::{
    errors::{again, is_no_script_value},
    keys::Keys,
    keys::mark_beside,
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

/// How many writes share a wait at most.
const MOST: usize = 512;

/// Writes of one class.
pub(super) struct CommitLane {
    lane: Lane,
    class: Durability,
    keys: Keys,
    gathering: Mutex<Vec<Write>>,
    /// Held by who sends.
    sending: AsyncMutex<()>,
}

/// A write that waits to be sent; without a call only for what was written before.
struct Write {
    call: Option<Call>,
    answer: oneshot::Sender<StoreResult<Written>>,
}

/// What a write came to.
#[derive(Debug)]
pub(super) struct Written {
    /// What its script answered.
    pub(super) value: Value,
    pub(super) reach: Reach,
}

impl CommitLane {
    /// A lane of its own connection, which it makes when it is first used.
    pub(super) fn new(lane: Lane, class: Durability, keys: Keys) -> Self {
        Self { lane, class, keys, gathering: Mutex::default(), sending: AsyncMutex::new(()) }
    }

    /// Writes, and waits for the class. May be dropped: a write that was not sent yet is not sent then. Whoever sent
    /// for others leaves them without an answer.
    pub(super) async fn write(&self, call: Option<Call>) -> StoreResult<Written> {
        let (answer, mut answered) = oneshot::channel();
        self.gathering().push(Write { call, answer });
        loop {
            let sending = tokio::select! {
                biased;
                written = &mut answered => {
                    return written.unwrap_or_else(|_| Err(StoreError::Unavailable("its sender is gone".into())));
                }
                sending = self.sending.lock() => sending,
            };
            self.send_group().await;
            drop(sending);
        }
    }

    /// Who answers.
    pub(super) async fn server(&self) -> StoreResult<Arc<Server>> {
        self.lane.server().await
    }

    /// Connects anew for the next group, unless that was done since `seen` answered.
    pub(super) fn connect_again(&self, seen: &Server) {
        self.lane.connect_again(seen);
    }

    async fn send_group(&self) {
        let group = self.next_group();
        if group.is_empty() {
            return;
        }
        let (calls, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Write { call, answer }| (call, answer)).unzip();
        match self.run(&calls).await {
            Ok((values, reach)) => {
                for (answer, value) in answers.into_iter().zip(values) {
                    // Whoever does not listen any more asks again.
                    let _ = answer.send(value.map(|value| Written { value, reach }));
                }
            }
            Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(again(&error)))),
        }
    }

    /// Who waits to be sent, and is still there.
    fn next_group(&self) -> Vec<Write> {
        let mut gathering = self.gathering();
        let many = gathering.len().min(MOST);
        gathering.drain(..many).filter(|write| !write.answer.is_closed()).collect()
    }

    /// Sends a group; what each call answered, and whether all of it reached the class.
    async fn run(&self, calls: &[Option<Call>]) -> StoreResult<(Vec<StoreResult<Value>>, Reach)> {
        let mut answers = self.send(calls).await?;
        if answers.iter().any(is_no_script_value) {
            // Some may have run: each may be repeated.
            self.lane.load_all().await?;
            answers = self.send(calls).await?;
        }
        let scripts = calls.iter().flatten().count();
        let mut answers = answers.into_iter();
        let mut of_scripts: Vec<_> = answers.by_ref().take(scripts).collect();
        let values = calls.iter().rev().map(|call| match call {
            Some(_) => self.lane.checked(of_scripts.pop().unwrap_or_default()),
            None => Ok(Value::Nil),
        });
        let mut values: Vec<_> = values.collect();
        values.reverse();
        // The mark's.
        self.lane.checked(answers.next().unwrap_or_default())?;
        Ok((values, self.reach(answers.collect())))
    }

    async fn send(&self, calls: &[Option<Call>]) -> StoreResult<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for call in calls.iter().flatten() {
            pipeline.add_command(call.command.clone());
        }
        // Where the first of them writes: in a cluster that is where all do.
        let first = calls.iter().flatten().next();
        let mark =
            first.map_or_else(|| self.keys.partition(Partition(0)).mark(), |call| mark_beside(call.key()));
        pipeline.add_command(self.lane.script(Name::Mark, &[mark]).command);
        self.add_waits(&mut pipeline);
        self.lane.each_within(&pipeline, 2 * WITHIN).await
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

    /// What the waits say: how many replicas have it, and how many disks, ours and theirs.
    fn reach(&self, waits: Vec<Value>) -> Reach {
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
        if waits.len() == asked && waits.iter().all(enough) {
            return Reach::Reached;
        }
        debug!(class = %self.class, ?waits, "not acknowledged");
        Reach::Unknown
    }

    fn gathering(&self) -> MutexGuard<'_, Vec<Write>> {
        self.gathering.lock().expect("nobody panics with the lock held")
    }
}
