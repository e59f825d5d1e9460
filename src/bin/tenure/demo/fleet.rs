//! Three workers, as tasks of this process or as processes of their own.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use futures_util::future::join_all;
use tenure::{
    Env, Worker, WorkerHandle,
    model::{LeaseTimes, WorkerConfig, WorkerName},
    store::{MemoryStore, Store},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    sync::mpsc::UnboundedSender,
    time::timeout,
};

use super::agent::{Audience, Begun, Counter, NAME};
use crate::{
    connect,
    failure::{Exit, Failure},
    global::Global,
    output, own_process, worker,
};

/// What they are called.
const NAMES: [&str; 3] = ["one", "two", "three"];
/// How long a process may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Workers that end with this value.
pub(super) struct Fleet {
    members: BTreeMap<WorkerName, Member>,
    outputs: Vec<Lines<BufReader<ChildStdout>>>,
    tell: UnboundedSender<Begun>,
}

enum Member {
    Task(WorkerHandle),
    Process(Child),
}

impl Fleet {
    /// Workers in this process, on `store`, that tell what they begin.
    pub(super) async fn embedded(
        store: &MemoryStore,
        env: &Env,
        lease: Duration,
        tell: &UnboundedSender<Begun>,
    ) -> Result<Self, Failure> {
        let mut fleet = Self { members: BTreeMap::new(), outputs: Vec::new(), tell: tell.clone() };
        for name in names() {
            let audience = Audience::Here(tell.clone());
            let handle = start(store.clone(), env, &name, lease, audience).await?;
            fleet.members.insert(name, Member::Task(handle));
        }
        Ok(fleet)
    }

    /// Workers of processes of their own; what they begin is told by whoever [listens](Self::listen).
    pub(super) async fn processes(
        global: &Global,
        lease: Duration,
        tell: &UnboundedSender<Begun>,
    ) -> Result<Self, Failure> {
        let mut fleet = Self { members: BTreeMap::new(), outputs: Vec::new(), tell: tell.clone() };
        let lease = format!("{}ms", lease.as_millis());
        for name in names() {
            let args = ["demo", "--as-worker", name.as_str(), "--lease", &lease];
            let mut child = own_process::command(global)?.args(args).spawn()?;
            let mut lines = BufReader::new(child.stdout.take().expect("its stdout is a pipe")).lines();
            match timeout(READY_WITHIN, lines.next_line()).await {
                Ok(Ok(Some(_))) => (),
                _ => return Err(Failure::new(Exit::Failed, "a worker did not start: see its message above")),
            }
            fleet.members.insert(name, Member::Process(child));
            fleet.outputs.push(lines);
        }
        Ok(fleet)
    }

    /// Their names, in the order they were started.
    pub(super) fn names(&self) -> Vec<WorkerName> {
        names().collect()
    }

    /// Passes on what the processes tell; to be polled as long as the fleet is there.
    pub(super) fn listen(&mut self) -> impl Future<Output = Infallible> + use<> {
        let (outputs, tell) = (std::mem::take(&mut self.outputs), self.tell.clone());
        async move {
            join_all(outputs.into_iter().map(|lines| pass_on(lines, &tell))).await;
            std::future::pending().await
        }
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self, name: &WorkerName) -> Result<(), Failure> {
        match self.members.remove(name) {
            Some(Member::Task(handle)) => handle.kill().await,
            Some(Member::Process(mut child)) => child.kill().await?,
            None => (),
        }
        Ok(())
    }

    /// Ends all that are left: what they hold is the demonstration's own.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        for name in self.names() {
            self.kill(&name).await?;
        }
        Ok(())
    }
}

fn names() -> impl Iterator<Item = WorkerName> {
    NAMES.into_iter().map(|name| name.parse().expect("a name"))
}

async fn pass_on(mut lines: Lines<BufReader<ChildStdout>>, tell: &UnboundedSender<Begun>) {
    while let Ok(Some(line)) = lines.next_line().await {
        // A line that was cut off by a kill tells nothing.
        if let Ok(begun) = serde_json::from_str(&line) {
            let _ = tell.send(begun);
        }
    }
}

async fn start<S: Store>(
    store: S,
    env: &Env,
    name: &WorkerName,
    lease: Duration,
    audience: Audience,
) -> Result<WorkerHandle, Failure> {
    let lease = LeaseTimes::new(lease).map_err(|err| Failure::new(Exit::Usage, format!("--lease: {err}")))?;
    let config = WorkerConfig { lease, ..WorkerConfig::named(name.clone()) };
    let agent = Counter { worker: name.clone(), audience };
    let starting = Worker::builder(store).env(env.clone()).config(config).agent(NAME, agent).start();
    starting.await.map_err(worker::not_started)
}

/// Is one of the processes, until it is killed.
pub(super) async fn be_worker(name: &WorkerName, lease: Duration, global: &Global) -> Result<(), Failure> {
    let store = connect::store(global).await?;
    let handle = start(store, &Env::system(), name, lease, Audience::Parent).await?;
    output::line("ready")?;
    handle.stopped().await;
    Ok(())
}
