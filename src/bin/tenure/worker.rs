//! `tenure worker`.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tenure::{
    StartError, Worker, WorkerEvent, WorkerHandle,
    agents::file::AgentsFile,
    model::{Durability, LeaseTimes, Pool, WorkerConfig, WorkerId, WorkerName},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::broadcast::{Receiver, error::RecvError},
};
use tracing::info;

use crate::{
    agents_file, connect, doctor,
    extra::{Extra, ExtraArgs},
    failure::{Exit, Failure},
    global::Global,
    health::{self, Door},
    moved, output, values,
};

/// Serve sessions: own them, run their turns, make the results durable
///
/// Any number of workers share the sessions of a namespace. SIGTERM or Ctrl-C hands all of them
/// off and ends; a second one ends at once, and the others take over when the lease is over.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file that says which agents it serves, next to echo; `tenure check` tells what is wrong with it
    #[arg(long, env = "TENURE_AGENTS", value_name = "FILE")]
    agents: Option<PathBuf>,
    /// The set of workers this one belongs to: they serve the same sessions
    #[arg(long, default_value = "default")]
    pool: Pool,
    /// What it is called [default: host name and process id]
    #[arg(long)]
    name: Option<WorkerName>,
    /// How many sessions it owns at most; the longest idle leave first
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    capacity: usize,
    /// How long its sessions stay its own if it is cut off: 1s to 5m
    #[arg(long, default_value = "10s", value_parser = values::duration, value_name = "TIME")]
    lease: Duration,
    /// How long a session with nothing to do stays in memory
    #[arg(long, default_value = "60s", value_parser = values::duration, value_name = "TIME")]
    idle: Duration,
    /// How long turns may go on when it is told to end
    #[arg(long, default_value = "30s", value_parser = values::duration, value_name = "TIME")]
    grace: Duration,
    /// What has a turn before its reply is told, where the agent's table does not say: memory, replicas:N, fsync, fsync+replicas:N
    #[arg(long, default_value = "memory", value_name = "CLASS")]
    durability: Durability,
    #[command(flatten)]
    extra: ExtraArgs,
    /// Tell by HTTP at this address how it is: /readyz, /healthz and /metrics
    #[arg(long, env = "TENURE_HEALTH", value_parser = health::address, value_name = "ADDRESS")]
    health: Option<SocketAddr>,
}

const EXAMPLES: &str = "\
Examples:
  tenure worker --health 127.0.0.1:8080
  tenure worker --agents agents.toml
  tenure worker --redis redis://redis.internal:6379 --namespace shop --capacity 2000
  TENURE_REDIS=redis://:secret@redis.internal:6379 tenure worker --json";

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let agents = agents_file::of_worker(args.agents.as_deref(), &args.pool)?;
    let extra = args.extra.prepare(global).await?;
    let door = Door::open(args.health).await?;
    let config = args.config()?;
    tokio::select! {
        biased;
        never = door.answer() => match never {},
        ended = work(config, &agents, extra, &door, global, stop) => ended,
    }
}

async fn work(
    config: WorkerConfig,
    agents: &AgentsFile,
    extra: Extra,
    door: &Door,
    global: &Global,
    mut stop: Stop,
) -> Result<(), Failure> {
    let worker = tokio::select! {
        biased;
        () = stop.asked() => return Ok(()),
        started = start(config, agents, extra, global) => Arc::new(started?),
    };
    door.tells_of(worker.clone());
    let events = Events::of(&worker, global.json);
    tokio::select! {
        biased;
        never = events.print() => match never {},
        ended = serve(&worker, &mut stop) => ended,
    }
}

/// Nothing is owned before it returns, so it may be dropped.
async fn start(
    config: WorkerConfig,
    agents: &AgentsFile,
    extra: Extra,
    global: &Global,
) -> Result<WorkerHandle, Failure> {
    let store = connect::store(global).await?;
    if let Some(key) = store.keyring().sealing(None) {
        info!(seals = %key.id(), keys = store.keyring().keys().count(), "bodies and states are sealed");
    }
    doctor::prepare(&connect::options(global)?).await;
    doctor::examine(&connect::options(global)?, &classes(&config, agents)).await?;
    moved::warn(&store, agents, &config.pool).await;
    let builder = agents_file::serve(agents, Worker::builder(store), config)?.with_watchdog();
    extra.serve(builder).start().await.map_err(not_started)
}

/// What the agents that this worker serves ask of the server.
fn classes(config: &WorkerConfig, agents: &AgentsFile) -> Vec<Durability> {
    let served = agents.of_pool(&config.pool);
    doctor::distinct(served.map(|(_, spec)| spec.policy.durability.unwrap_or(config.durability)))
}

impl Args {
    fn config(self) -> Result<WorkerConfig, Failure> {
        let Self { pool, name, capacity, lease, idle, grace, durability, .. } = self;
        let lease =
            LeaseTimes::new(lease).map_err(|err| Failure::new(Exit::Usage, format!("--lease: {err}")))?;
        let name = name.unwrap_or_else(values::own_name);
        let config =
            WorkerConfig { pool, capacity, lease, idle, grace, durability, ..WorkerConfig::named(name) };
        config.check().map_err(|err| Failure::new(Exit::Usage, format!("--{err}")))
    }
}

async fn serve(worker: &WorkerHandle, stop: &mut Stop) -> Result<(), Failure> {
    tokio::select! {
        biased;
        () = stop.asked() => (),
        () = worker.stopped() => return match worker.is_draining() {
            // By `tenure drain`.
            true => Ok(()),
            false => Err(Failure::new(Exit::Failed, "the worker ended by itself: see its log above, and start it again")),
        },
    }
    tokio::select! {
        biased;
        () = stop.asked() => Err(Failure::new(
            Exit::Failed,
            "ended before everything was handed off: others take over when the lease is over",
        )),
        () = worker.drain() => Ok(()),
    }
}

/// Why a worker did not start, and what to do.
pub(crate) fn not_started(err: StartError) -> Failure {
    match err {
        StartError::Store(err) => err.into(),
        StartError::Config(_) | StartError::Agent(_) | StartError::NoAgents => {
            Failure::new(Exit::Usage, err.to_string())
        }
        StartError::SettingsDiffer(_) | StartError::ServedElsewhere { .. } => {
            Failure::new(Exit::Failed, err.to_string())
        }
    }
}

/// What asks a process to end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next time it is asked.
    async fn asked(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

/// What `--json` prints: that the worker is ready, then everything it says of itself.
struct Events {
    ready: WorkerId,
    events: Receiver<WorkerEvent>,
    wanted: bool,
}

impl Events {
    fn of(worker: &WorkerHandle, wanted: bool) -> Self {
        Self { events: worker.events(), ready: worker.id(), wanted }
    }

    /// Prints as long as there is something to print and somebody who reads it; never returns,
    /// because a worker goes on without an audience.
    async fn print(mut self) -> std::convert::Infallible {
        let first = WorkerEvent::Ready { worker: self.ready.clone() };
        self.wanted = self.wanted && output::json(&first).is_ok();
        while self.wanted {
            match self.events.recv().await {
                // It may have been said between the start and our listening.
                Ok(event) if event == first => (),
                Ok(event) => self.wanted = output::json(&event).is_ok(),
                Err(RecvError::Lagged(_)) => (),
                Err(RecvError::Closed) => break,
            }
        }
        std::future::pending().await
    }
}
