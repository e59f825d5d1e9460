//! `tenure demo`: a small fleet, one of whose workers is killed in the middle of its work.

mod agent;
mod fleet;
mod people;
mod stage;
mod summary;
mod timeline;

use std::{sync::Arc, time::Duration};

use tenure::{
    Env,
    client::Client,
    model::{Namespace, Settings, WorkerName},
    store::{MemoryStore, Store},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{fleet::Fleet, people::Plan, stage::Stage, timeline::Timeline};
use crate::{
    connect,
    failure::{Exit, Failure, redacted},
    forget,
    global::Global,
    values,
};

/// Watch a fleet lose a worker, and its sessions go on
///
/// Starts three workers, talks to a few sessions, kills one worker in the middle of a turn, and prints what
/// happens to its sessions. Without Redis the workers are tasks of this process; with --redis (or
/// TENURE_REDIS) they are processes of their own, killed by `kill -9`, in a namespace of their own that is
/// deleted at the end. Ends with 1 if a message was lost or repeated.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many sessions are talked to at once, 1 to 26
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    sessions: usize,
    /// How many messages each of them gets
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    messages: usize,
    /// The workers' lease: how long it takes to notice that one has died; 1s to 5m
    #[arg(long, default_value = "1s", value_parser = values::duration, value_name = "TIME")]
    lease: Duration,
    /// Be the worker of this name, for a demonstration that another process gives
    #[arg(long, hide = true)]
    as_worker: Option<WorkerName>,
}

const EXAMPLES: &str = "\
Examples:
  tenure demo
  tenure demo --redis redis://127.0.0.1:6379
  tenure demo --sessions 20 --messages 10 --json";

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if let Some(name) = &args.as_worker {
        return fleet::be_worker(name, args.lease, global).await;
    }
    let plan = args.plan()?;
    match global.names_a_server() {
        false => embedded(&args, &plan, global).await,
        true => on_redis(&args, &plan, global).await,
    }
}

impl Args {
    fn plan(&self) -> Result<Plan, Failure> {
        if self.messages == 0 || !(1..=people::NAMES.len()).contains(&self.sessions) {
            let most = people::NAMES.len();
            let line = format!("--sessions takes 1 to {most}, and --messages at least 1");
            return Err(Failure::new(Exit::Usage, line));
        }
        Ok(Plan { sessions: people::sessions(self.sessions), messages: self.messages })
    }
}

async fn embedded(args: &Args, plan: &Plan, global: &Global) -> Result<(), Failure> {
    let env = Env::system();
    let store = MemoryStore::new(global.namespace.clone(), Settings::default(), Arc::new(env.clone()));
    let (tell, told) = mpsc::unbounded_channel();
    let fleet = Fleet::embedded(&store, &env, args.lease, &tell).await?;
    let timeline = Timeline::begin(env.clone(), global.json);
    timeline.title(&plan.title("in this process"))?;
    unless_ended(show(&Client::new(store, env), plan, Stage::new(fleet, told, timeline, plan))).await
}

async fn on_redis(args: &Args, plan: &Plan, global: &Global) -> Result<(), Failure> {
    let env = Env::system();
    let namespace: Namespace = format!("demo-{:08x}", env.random_u32()).parse().expect("a short word");
    let global = Global { namespace, ..global.clone() };
    let shown = unless_ended(in_namespace(args, plan, &global, env)).await;
    // Whatever came of it: nothing of ours is left behind.
    forget::namespace(&global, &[]).await?;
    shown
}

async fn in_namespace(args: &Args, plan: &Plan, global: &Global, env: Env) -> Result<(), Failure> {
    let client = connect::for_writing(global).await?;
    let (tell, told) = mpsc::unbounded_channel();
    let fleet = Fleet::processes(global, args.lease, &tell).await?;
    let timeline = Timeline::begin(env, global.json);
    timeline.title(&plan.title(&format!("on {}", redacted(&global.address()?))))?;
    show(&client, plan, Stage::new(fleet, told, timeline, plan)).await
}

/// Shows it, unless somebody ends it first; the fleet ends with it then.
async fn unless_ended(shown: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => (),
        _ = terminate.recv() => (),
        shown = shown => return shown,
    }
    Err(Failure::new(Exit::Failed, "interrupted: run it again to see the end"))
}

/// Talks to the sessions while the stage shows what happens, then counts what came of it.
async fn show<S: Store>(client: &Client<S>, plan: &Plan, mut stage: Stage) -> Result<(), Failure> {
    stage.open()?;
    let (say, said) = mpsc::unbounded_channel();
    let talked = tokio::select! {
        biased;
        // Ends with an error, or with the last reply.
        shown = stage.run(said) => shown,
        failed = plan.talk(client, say) => Err(failed),
    };
    let finished = match talked {
        Ok(()) => stage.finish(client).await,
        Err(failure) => Err(failure),
    };
    stage.close().await?;
    finished
}
