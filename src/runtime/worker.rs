//! A worker: built, started, drained; one incarnation after the other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    admission::Admission,
    agent::{Agent, AnyAgent},
    brake::Brake,
    duty::Duty,
    env::Env,
    home::Home,
    incarnation::{Counts, Duties, Hosted, Incarnation, Stops},
    intake,
    ledger::Ledger,
    lifeline::Lifeline,
    readiness::Readiness,
    relay, strays,
    supervisor::{Command, Supervisor},
    trust::Trust,
};
use crate::{
    model::{AgentName, BadAddress, BadConfig, Pool, Settings, TurnPolicy, WorkerConfig, WorkerId},
    store::{Configured, Lapsed, Store, StoreError, Tally},
};

/// How many commands wait for the supervisor before those who give them wait too.
const COMMANDS: usize = 4096;

/// How many lapsed keys wait for the duty; what is more is found without.
const LAPSES: usize = 1_024;

/// How many events a slow listener may fall behind.
const EVENTS: usize = 256;

/// How many suspects a worker owns at once: one, so that its death convicts nobody else.
const SUSPECTS: usize = 1;

/// Builds and runs workers.
pub struct Worker;

impl Worker {
    /// A worker on `store`, serving no agent yet.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tenure::{Env, Worker, agents::Echo, model::Settings, store::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let env = Env::system();
    /// let store = MemoryStore::new("demo".parse()?, Settings::default(), Arc::new(env.clone()));
    /// let worker = Worker::builder(store).env(env).agent("echo", Echo).start().await?;
    /// worker.drain().await;
    /// # Ok(()) }
    /// ```
    pub fn builder<S: Store>(store: S) -> WorkerBuilder<S> {
        WorkerBuilder {
            store,
            env: None,
            config: None,
            settings: Settings::default(),
            agents: Vec::new(),
            watchdog: false,
        }
    }
}

/// What a worker is made of.
#[must_use]
pub struct WorkerBuilder<S> {
    store: S,
    env: Option<Env>,
    config: Option<WorkerConfig>,
    settings: Settings,
    agents: Vec<Served>,
    watchdog: bool,
}

/// An agent that is to be served.
struct Served {
    name: String,
    agent: Arc<dyn AnyAgent>,
    policy: TurnPolicy,
    home: Home,
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option makes no sense.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// An agent's name is none.
    #[error(transparent)]
    Agent(#[from] BadAddress),
    /// It would serve no agent.
    #[error("a worker needs at least one agent to serve")]
    NoAgents,
    /// The namespace was made with other settings.
    #[error("this namespace has other settings ({}): start with those, or take another namespace", .0.join("; "))]
    SettingsDiffer(Vec<String>),
    /// Others serve an agent, and its new sessions belong to another pool than they would by this worker.
    #[error(
        "agent {agent} belongs to pool {pool}, where it is served by {}, and not to pool {here}: \
         give it `pool = \"{pool}\"` here too (with `moved_from = \"{here}\"`, if its old sessions are to go on with this worker), or drain \
         those workers first (one that has just died counts until its lease is over)",
        listed(workers)
    )]
    ServedElsewhere {
        /// The agent.
        agent: AgentName,
        /// Its home.
        pool: Pool,
        /// Who is alive and serves it there.
        workers: Vec<WorkerId>,
        /// What its home would have become.
        here: Pool,
    },
    /// The server did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many workers a sentence names.
const LISTED: usize = 5;

fn listed(workers: &[WorkerId]) -> String {
    let named: Vec<_> = workers.iter().take(LISTED).map(WorkerId::as_str).collect();
    match workers.len().saturating_sub(LISTED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

impl<S: Store> WorkerBuilder<S> {
    /// Its options; without this, the defaults under the name `worker`.
    pub fn config(mut self, config: WorkerConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Its clock and randomness; without this, the machine's.
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Watches from a thread of its own whether the runtime stands still, and ends trust in leases on time also then.
    ///
    /// For a process that runs on the machine's clock; in virtual time there is nothing to watch.
    pub fn with_watchdog(mut self) -> Self {
        self.watchdog = true;
        self
    }

    /// What the namespace must have been made with.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Serves `agent` under `name`, with the agent's own policy.
    pub fn agent(self, name: &str, agent: impl Agent) -> Self {
        let policy = agent.policy();
        self.agent_with(name, agent, policy)
    }

    /// Serves `agent` under `name`, with this policy.
    pub fn agent_with(self, name: &str, agent: impl Agent, policy: TurnPolicy) -> Self {
        self.agent_in(Home::Own, name, agent, policy)
    }

    /// The same of an agent whose new sessions may belong elsewhere.
    pub fn agent_in(mut self, home: Home, name: &str, agent: impl Agent, policy: TurnPolicy) -> Self {
        self.agents.push(Served { name: name.to_owned(), agent: Arc::new(agent), policy, home });
        self
    }

    /// Starts it: when this returns it is known to the fleet and takes sessions.
    pub async fn start(self) -> Result<WorkerHandle, StartError> {
        let config = match self.config {
            Some(config) => config.check()?,
            None => WorkerConfig::named("worker".parse().expect("a name")),
        };
        if self.agents.is_empty() {
            return Err(StartError::NoAgents);
        }
        if let Configured::Differs(theirs) = self.store.configure(&self.settings).await? {
            return Err(StartError::SettingsDiffer(self.settings.differences(&theirs)));
        }
        let mut agents = BTreeMap::new();
        for Served { name, agent, policy, home } in self.agents {
            let hosted = Hosted::new(agent, policy, home, config.durability);
            agents.insert(name.parse()?, Arc::new(hosted));
        }
        let parts = Parts {
            store: self.store,
            env: self.env.unwrap_or_else(Env::system),
            config: Arc::new(config),
            agents: Arc::new(agents),
            ledger: Arc::default(),
            watchdog: self.watchdog,
        };
        parts.start().await
    }
}

/// What stays the same from one incarnation to the next.
struct Parts<S> {
    store: S,
    env: Env,
    config: Arc<WorkerConfig>,
    agents: Arc<BTreeMap<AgentName, Arc<Hosted>>>,
    ledger: Arc<Ledger>,
    watchdog: bool,
}

/// Something that a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WorkerEvent {
    /// It takes sessions, as this incarnation.
    Ready {
        /// The incarnation.
        worker: WorkerId,
    },
    /// It was buried, and goes on as a fresh incarnation.
    Lost {
        /// The incarnation that is no more.
        worker: WorkerId,
    },
    /// It hands off its sessions.
    Draining {
        /// The incarnation.
        worker: WorkerId,
    },
    /// It holds nothing any more.
    Drained {
        /// The incarnation.
        worker: WorkerId,
    },
}

/// How much a worker has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Sessions in its memory.
    pub sessions: usize,
    /// Turns under way.
    pub running: usize,
}

/// A worker that runs. Dropping it changes nothing: the worker goes on.
pub struct WorkerHandle {
    env: Env,
    now: watch::Receiver<Now>,
    events: broadcast::Sender<WorkerEvent>,
    drain: CancellationToken,
    killed: CancellationToken,
    tasks: TaskTracker,
}

/// The present incarnation, as its handle sees it.
#[derive(Clone)]
struct Now {
    worker: WorkerId,
    counts: Arc<Counts>,
    trust: Arc<Trust>,
    lost: CancellationToken,
}

impl WorkerHandle {
    /// The present incarnation.
    pub fn id(&self) -> WorkerId {
        self.now.borrow().worker.clone()
    }

    /// What it has to do.
    pub fn load(&self) -> Load {
        use std::sync::atomic::Ordering::Relaxed;
        let now = self.now.borrow();
        Load { sessions: now.counts.sessions.load(Relaxed), running: now.counts.running.load(Relaxed) }
    }

    /// What the present incarnation has done so far, and how late its upkeep is. What servers lost is not counted here,
    /// but in what it announces.
    pub fn tally(&self) -> Tally {
        self.now.borrow().counts.deeds.tally(self.env.wall(), self.env.now())
    }

    /// Whether it takes sessions and may keep them, at this moment.
    pub fn readiness(&self) -> Readiness {
        let now = self.now.borrow();
        let trusted = !now.lost.is_cancelled() && now.trust.holds_everywhere(self.env.now());
        match () {
            () if self.tasks.is_empty() => Readiness::Ended,
            () if self.drain.is_cancelled() => Readiness::Draining,
            () if trusted => Readiness::Ready,
            () => Readiness::Untrusted,
        }
    }

    /// What it says of itself from now on.
    pub fn events(&self) -> broadcast::Receiver<WorkerEvent> {
        self.events.subscribe()
    }

    /// Hands everything off and ends: turns that run may finish within the grace period.
    pub async fn drain(&self) {
        self.drain.cancel();
        self.stopped().await;
    }

    /// Whether it drains, or has: also because somebody else asked it to.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Ends at once and tells nobody, as `kill -9` would: for tests.
    pub async fn kill(&self) {
        self.killed.cancel();
        self.stopped().await;
    }

    /// Waits until it has ended.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

impl<S: Store> Parts<S> {
    async fn start(self) -> Result<WorkerHandle, StartError> {
        let (drain, killed) = (CancellationToken::new(), CancellationToken::new());
        let first = self.unborn(&drain, &killed);
        first.shared.declare().await?;
        let first = first.join().await?;
        first.shared.declare_again().await?;
        let (events, _) = broadcast::channel(EVENTS);
        let (now_is, now) = watch::channel(first.shared.now());
        let tasks = TaskTracker::new();
        let handle = WorkerHandle {
            env: self.env.clone(),
            now,
            events: events.clone(),
            drain: drain.clone(),
            killed: killed.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(self.run(first, drain, killed, events, now_is));
        tasks.close();
        Ok(handle)
    }

    /// Lives one incarnation after the other, until drained or killed.
    async fn run(
        self,
        first: Fresh<S>,
        drain: CancellationToken,
        killed: CancellationToken,
        events: broadcast::Sender<WorkerEvent>,
        now_is: watch::Sender<Now>,
    ) {
        let mut next = Some(first);
        loop {
            let fresh = match next.take() {
                Some(fresh) => fresh,
                None => match self.reborn(&drain, &killed).await {
                    Ok(fresh) => fresh,
                    Err(err) => {
                        warn!(error = %err, "cannot join: trying again");
                        tokio::select! {
                            biased;
                            () = killed.cancelled() => return,
                            () = drain.cancelled() => return,
                            () = self.env.sleep(self.config.lease.renew_every()) => continue,
                        }
                    }
                },
            };
            let worker = fresh.shared.worker.clone();
            now_is.send_replace(fresh.shared.now());
            if self.watchdog {
                fresh.shared.keep_watchdog();
            }
            // An event that nobody listens to is no loss.
            let _ = events.send(WorkerEvent::Ready { worker: worker.clone() });
            match live(fresh, &events).await {
                Ended::Lost => _ = events.send(WorkerEvent::Lost { worker }),
                Ended::Drained => {
                    join_all(self.agents.values().map(|hosted| hosted.agent.end())).await;
                    let _ = events.send(WorkerEvent::Drained { worker });
                    return;
                }
                Ended::Killed => return,
            }
        }
    }

    /// Another incarnation after one that was buried, whatever became of its agents' homes: nobody else may serve what belongs
    /// to its pool.
    async fn reborn(
        &self,
        drain: &CancellationToken,
        killed: &CancellationToken,
    ) -> Result<Fresh<S>, StoreError> {
        let next = self.unborn(drain, killed);
        next.shared.keep_homes().await?;
        next.join().await
    }

    /// A fresh incarnation that nobody knows of.
    fn unborn(&self, drain: &CancellationToken, killed: &CancellationToken) -> Unborn<S> {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (lapses, lapsed) = mpsc::channel(LAPSES);
        let stops = Stops { drain: drain.clone(), killed: killed.child_token(), ..Stops::default() };
        let shared = Arc::new(Incarnation {
            store: self.store.clone(),
            env: self.env.clone(),
            config: self.config.clone(),
            worker: WorkerId::incarnation(&self.config.name, self.env.random_u32()),
            since: self.env.wall(),
            agents: self.agents.clone(),
            trust: Arc::new(Trust::none(self.store.partitions())),
            brake: Brake::new(self.config.lease),
            stops,
            admission: Admission::default(),
            suspects: Arc::new(Semaphore::new(SUSPECTS)),
            counts: Arc::default(),
            ledger: self.ledger.clone(),
            duties: Duties::default(),
            tasks: TaskTracker::new(),
            passing: TaskTracker::new(),
            passed_on: Mutex::default(),
            commands,
            lapses,
        });
        Unborn { shared, commands: inbox, lapsed }
    }
}

/// An incarnation that has not joined, with what its tasks will read.
struct Unborn<S: Store> {
    shared: Arc<Incarnation<S>>,
    commands: mpsc::Receiver<Command>,
    lapsed: mpsc::Receiver<Lapsed>,
}

impl<S: Store> Unborn<S> {
    /// Makes it known in every partition.
    async fn join(self) -> Result<Fresh<S>, StoreError> {
        let Self { shared, commands, lapsed } = self;
        // First the ear, then the name: whoever is offered something must hear it.
        let hints = shared.store.listen(&shared.worker).await?;
        shared.join().await?;
        Ok(Fresh { shared, commands, lapsed, hints })
    }
}

/// An incarnation that has joined, with what its tasks will read.
struct Fresh<S: Store> {
    shared: Arc<Incarnation<S>>,
    commands: mpsc::Receiver<Command>,
    lapsed: mpsc::Receiver<Lapsed>,
    hints: S::Listener,
}

/// How an incarnation ended.
enum Ended {
    Drained,
    Lost,
    Killed,
}

/// Runs all tasks of one incarnation until it ends.
async fn live<S: Store>(
    Fresh { shared, commands, lapsed, hints }: Fresh<S>,
    events: &broadcast::Sender<WorkerEvent>,
) -> Ended {
    let worker = shared.worker.clone();
    info!(%worker, pool = %shared.pool(), "ready");
    let supervisor = TaskTracker::new();
    let (actors, killed) = (Supervisor::new(shared.clone(), commands), shared.stops.killed.clone());
    supervisor.spawn(async move {
        tokio::select! {
            biased;
            () = killed.cancelled() => (),
            () = actors.run() => (),
        }
    });
    supervisor.close();
    shared.spawn(shared.clone().keep_leases());
    shared.spawn(intake::run(shared.clone(), hints));
    shared.spawn(Duty::new(shared.clone(), lapsed).run());
    shared.spawn(Lifeline::new(shared.clone()).run());
    for door in shared.store.partitions().doors() {
        shared.spawn(relay::run(shared.clone(), door));
    }
    shared.spawn(strays::run(shared.clone()));

    let stops = shared.stops.clone();
    tokio::select! {
        biased;
        () = stops.killed.cancelled() => return end(&shared, Ended::Killed).await,
        () = stops.lost.cancelled() => {
            warn!(%worker, "lost: dropping all sessions");
            supervisor.wait().await;
            shared.say_goodbye().await;
            return end(&shared, Ended::Lost).await;
        }
        () = stops.drain.cancelled() => (),
    }
    info!(%worker, sessions = shared.counts.sessions.load(std::sync::atomic::Ordering::Relaxed), "draining");
    let _ = events.send(WorkerEvent::Draining { worker: worker.clone() });
    shared.step_back().await;
    tokio::select! {
        biased;
        () = stops.killed.cancelled() => return end(&shared, Ended::Killed).await,
        () = supervisor.wait() => (),
        () = shared.env.sleep(shared.config.grace) => {
            warn!(%worker, "the grace period is over: handing off in the middle of turns");
            stops.grace_over.cancel();
            tokio::select! {
                biased;
                () = supervisor.wait() => (),
                () = shared.env.sleep(shared.config.lease.ttl()) => warn!(%worker, "some leases are left to lapse"),
            }
        }
    }
    shared.passing.close();
    tokio::join!(shared.say_goodbye(), shared.passing.wait());
    info!(%worker, "drained");
    end(&shared, Ended::Drained).await
}

/// Ends what still runs, and waits for it.
async fn end<S: Store>(shared: &Incarnation<S>, how: Ended) -> Ended {
    shared.stops.killed.cancel();
    shared.tasks.close();
    shared.tasks.wait().await;
    how
}

impl<S: Store> Incarnation<S> {
    fn now(&self) -> Now {
        Now {
            worker: self.worker.clone(),
            counts: self.counts.clone(),
            trust: self.trust.clone(),
            lost: self.stops.lost.clone(),
        }
    }
}
