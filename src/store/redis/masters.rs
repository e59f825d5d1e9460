//! The servers that a namespace is spread over, and what leads there: every operation names a key of what it is
//! about, and goes to the master that has it. With one server that is always the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::{Cmd, Pipeline, Value};

use super::{
    Options,
    admin::Admin,
    cluster::Cluster,
    commit_lane::{CommitLane, Written},
    errors::{about, again, alone, elsewhere},
    keys::Keys,
    lanes::Lane,
    merged::{Job, Merged, Outcome, Piece},
    scripts::{Call, Name},
    seeds::Seeds,
    slots::Slot,
    switch::Watch,
    target::{Server, Target},
    waiting::Waiting,
};
use crate::{
    model::Durability,
    store::{Run, StoreResult},
};

/// What an operation is about: what goes over one connection is never held up by what goes over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Messages and commits.
    Turns,
    /// Leases and upkeep.
    Leases,
    /// Reads.
    Reads,
}

/// One server that takes writes, and the connections to it; each is made when it is first used.
pub(super) struct Master {
    pub(super) target: Arc<Target>,
    turns: Lane,
    leases: Lane,
    reads: Lane,
    /// Small commands, many at once, where messages and commits go.
    merged: Merged,
    /// Writes that wait for replicas or a disk, by class.
    commits: Mutex<BTreeMap<(bool, u8), Arc<CommitLane>>>,
    waiting: Waiting,
    admin: Admin,
    /// Ends with it.
    _watch: Option<Watch>,
}

/// All of them.
pub(super) enum Masters {
    /// A server by itself.
    One(Arc<Master>),
    Cluster(Arc<Cluster>),
}

impl Master {
    pub(super) fn new(target: Arc<Target>) -> Self {
        let lane = || Lane::new(target.clone());
        let turns = lane();
        Self {
            merged: Merged::new(turns.clone()),
            turns,
            leases: lane(),
            reads: lane(),
            commits: Mutex::default(),
            waiting: Waiting::new(target.clone()),
            admin: Admin::new(target.clone()),
            _watch: Watch::over(&target),
            target,
        }
    }

    /// The same connections, for what is still on its way to this node.
    pub(super) fn asking(&self) -> Self {
        Self {
            target: self.target.clone(),
            merged: Merged::new(self.turns.asking()),
            turns: self.turns.asking(),
            leases: self.leases.asking(),
            reads: self.reads.asking(),
            commits: Mutex::default(),
            waiting: self.waiting.clone(),
            admin: self.admin.clone(),
            _watch: None,
        }
    }

    pub(super) fn lane(&self, traffic: Traffic) -> &Lane {
        match traffic {
            Traffic::Turns => &self.turns,
            Traffic::Leases => &self.leases,
            Traffic::Reads => &self.reads,
        }
    }

    /// Administers by a connection of the pool; what is still on its way is asked for with the reads.
    async fn administer(&self, command: &Cmd) -> StoreResult<Value> {
        match self.reads.is_asking() {
            true => self.reads.run(command).await,
            false => self.admin.run(command).await,
        }
    }

    async fn administer_all(&self, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        match self.reads.is_asking() {
            true => self.reads.all(pipeline).await,
            false => self.admin.all(pipeline).await,
        }
    }

    /// Where writes of `class` go.
    pub(super) fn commits(&self, class: Durability, keys: &Keys) -> Arc<CommitLane> {
        let mut lanes = self.commits.lock().expect("nobody panics with the lock held");
        let lane = || CommitLane::new(Lane::new(self.target.clone()), class, keys.clone());
        lanes.entry((class.fsync, class.replicas)).or_insert_with(|| Arc::new(lane())).clone()
    }
}

impl Masters {
    /// Those that `options` lead to. A server by itself is not asked yet.
    pub(super) async fn connect(options: &Options) -> StoreResult<Self> {
        match Seeds::of(&options.url) {
            Some(seeds) => Ok(Self::Cluster(Cluster::connect(seeds, options.clone()).await?)),
            None => Ok(Self::One(Arc::new(Master::new(Arc::new(options.target()?))))),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// All that are known now.
    pub(super) fn all(&self) -> Vec<Arc<Master>> {
        match self {
            Self::One(master) => vec![master.clone()],
            Self::Cluster(cluster) => cluster.masters(),
        }
    }

    /// The one that is believed to have `key`.
    pub(super) fn of(&self, key: &str) -> StoreResult<Arc<Master>> {
        match self {
            Self::One(master) => Ok(master.clone()),
            Self::Cluster(cluster) => cluster.master(Slot::of(key.as_bytes())),
        }
    }

    /// Whether one server is believed to have both keys.
    pub(super) fn are_on_one(&self, key: &str, other: &str) -> bool {
        match (self.of(key), self.of(other)) {
            (Ok(one), Ok(other)) => Arc::ptr_eq(&one, &other),
            _ => false,
        }
    }

    /// Asks the master that has `key`.
    async fn on<T, F>(&self, key: &[u8], ask: impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let asked = match self {
            Self::One(master) => ask(master.clone()).await.map_err(alone),
            Self::Cluster(cluster) => cluster.on(key, ask).await,
        };
        asked.map_err(|error| about(key, error))
    }

    /// Calls a script at the master that has `key`.
    async fn script_on<T, F>(&self, key: &[u8], call: impl Fn(Arc<Master>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let called = match self {
            Self::One(master) => call(master.clone()).await.map_err(alone),
            Self::Cluster(cluster) => cluster.on_arrived(key, call).await,
        };
        called.map_err(|error| about(key, error))
    }

    /// Who answers for `key` on the lane that leases go through.
    pub(super) async fn server(&self, key: &str) -> StoreResult<Arc<Server>> {
        self.on(key.as_bytes(), |master| async move { master.leases.server().await }).await
    }

    /// Calls a script.
    pub(super) async fn call(&self, traffic: Traffic, call: &Call) -> StoreResult<Value> {
        self.script_on(call.key(), move |master| async move { master.lane(traffic).call(call).await }).await
    }

    /// Calls a script, if this start of its server answers (any, if none is named).
    pub(super) async fn call_under(&self, run: Option<Run>, call: &Call) -> StoreResult<Option<Value>> {
        self.script_on(call.key(), move |master| async move { master.leases.call_under(run, call).await })
            .await
    }

    /// Calls a script; nothing where the server forbids that, or what the script does, to this user.
    pub(super) async fn call_if_allowed(&self, call: &Call) -> StoreResult<Option<Value>> {
        self.script_on(call.key(), move |master| async move { master.turns.call_if_allowed(call).await })
            .await
    }

    /// Calls a script, and waits for the class.
    pub(super) async fn write(&self, class: Durability, keys: &Keys, call: Call) -> StoreResult<Written> {
        let key = call.key().to_vec();
        let written = match self {
            Self::One(master) => master.commits(class, keys).write(Some(call)).await.map_err(alone),
            Self::Cluster(cluster) => {
                let call = &call;
                let ask = move |master: Arc<Master>| async move {
                    master.commits(class, keys).write(Some(call.clone())).await
                };
                cluster.on_arrived(call.key(), ask).await
            }
        };
        written.map_err(|error| about(&key, error))
    }

    /// Waits for the class of what was written before where the key `mark` is.
    pub(super) async fn settle(&self, class: Durability, keys: &Keys, mark: &str) -> StoreResult<Written> {
        match self {
            Self::One(master) => master.commits(class, keys).write(None).await.map_err(alone),
            Self::Cluster(cluster) => {
                let call =
                    cluster.master(Slot::of(mark.as_bytes()))?.target.scripts.call(Name::Mark, &[mark]);
                self.write(class, keys, call).await
            }
        }
    }

    /// Runs a command about `key`.
    pub(super) async fn run(&self, traffic: Traffic, key: &str, command: &Cmd) -> StoreResult<Value> {
        let ask = move |master: Arc<Master>| async move { master.lane(traffic).run(command).await };
        self.on(key.as_bytes(), ask).await
    }

    /// The same where leases go, and who answered.
    pub(super) async fn run_on(&self, key: &str, command: &Cmd) -> StoreResult<(Arc<Server>, Value)> {
        self.on(key.as_bytes(), move |master| async move { master.leases.run_on(command).await }).await
    }

    /// Runs a pipeline about `key`, whose commands may fail by themselves; not where one would be done elsewhere.
    pub(super) async fn each(
        &self,
        traffic: Traffic,
        key: &str,
        pipeline: &Pipeline,
    ) -> StoreResult<Vec<StoreResult<Value>>> {
        let ask = move |master: Arc<Master>| async move {
            let lane = master.lane(traffic);
            here(lane, lane.each(pipeline).await?)
        };
        self.on(key.as_bytes(), ask).await
    }

    /// Does a small job where messages and commits go, together with what others have there.
    pub(super) async fn merged(&self, job: &Job, load: &[Piece]) -> StoreResult<Outcome> {
        self.on(job.key().as_bytes(), move |master| async move { master.merged.run(job, load).await }).await
    }

    /// The partitions, or plain doors, that one pipeline may be about.
    pub(super) fn groups<T>(&self, places: impl Iterator<Item = T>) -> Vec<Vec<T>> {
        match self {
            Self::One(_) => vec![places.collect()],
            Self::Cluster(_) => places.map(|place| vec![place]).collect(),
        }
    }

    /// Runs a command that nothing waits for, about `key`.
    pub(super) async fn administer(&self, key: &str, command: &Cmd) -> StoreResult<Value> {
        self.on(key.as_bytes(), move |master| async move { master.administer(command).await }).await
    }

    /// The same for a pipeline; a command's error fails it all.
    pub(super) async fn administer_all(&self, key: &str, pipeline: &Pipeline) -> StoreResult<Vec<Value>> {
        self.on(key.as_bytes(), move |master| async move { master.administer_all(pipeline).await }).await
    }

    /// Runs a command that blocks, about `key`; see [`Waiting::run`].
    pub(super) async fn wait(
        &self,
        key: &str,
        wait: Duration,
        block: impl Fn(Duration) -> Cmd,
    ) -> StoreResult<Value> {
        let block = &block;
        self.on(key.as_bytes(), move |master| async move { master.waiting.run(wait, block).await }).await
    }
}

/// What each command of a pipeline came to; an error if one would be done elsewhere.
fn here(lane: &Lane, values: Vec<Value>) -> StoreResult<Vec<StoreResult<Value>>> {
    let values: Vec<_> = values.into_iter().map(|value| lane.checked(value)).collect();
    match values.iter().find_map(|value| value.as_ref().err().filter(|error| elsewhere(error).is_some())) {
        Some(error) => Err(again(error)),
        None => Ok(values),
    }
}
