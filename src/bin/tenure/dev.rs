//! `tenure dev`.

use std::{sync::Arc, time::Duration};

use tenure::{
    Env, Worker, WorkerHandle,
    agents::Echo,
    client::Client,
    model::{AgentName, SessionId, Settings, WorkerConfig},
    store::MemoryStore,
};

use crate::{
    conversation::{Conversation, has_person},
    failure::{Exit, Failure},
    global::Global,
    values, worker,
};

/// Talk to an agent in this terminal, with everything embedded and no Redis
///
/// Each line is a message, answered before the next is read. On a terminal the arrow keys edit and
/// recall lines, and Ctrl-D ends. In a pipe each line in is one reply out, and nothing else. Nothing is
/// kept when it ends.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The session: agent/key
    #[arg(default_value = "echo/dev")]
    session: SessionId,
}

const EXAMPLES: &str = "\
Examples:
  tenure dev
  printf 'one\\ntwo\\n' | tenure dev echo/test";

/// The agent that is always there.
const ECHO: &str = "echo";

/// Far longer than an agent may take: it fails, or answers, before.
const REPLY_WITHIN: Duration = Duration::from_secs(3600);

pub(crate) async fn run(Args { session }: Args, global: &Global) -> Result<(), Failure> {
    let env = Env::system();
    let store = MemoryStore::new(global.namespace.clone(), Settings::default(), Arc::new(env.clone()));
    let (worker, agents) = start(store.clone(), env.clone()).await?;
    let conversation = Conversation { client: Client::new(store, env), session, reply_within: REPLY_WITHIN };
    let ended = match serves(&agents, &conversation.session) {
        Ok(()) => {
            if has_person(global) {
                greet(&conversation.session, &agents);
            }
            conversation.hold(global).await
        }
        Err(failure) => Err(failure),
    };
    worker.drain().await;
    ended
}

/// A worker with the agents that there are, and their names.
async fn start(store: MemoryStore, env: Env) -> Result<(WorkerHandle, Vec<AgentName>), Failure> {
    let config = WorkerConfig::named(values::own_name());
    let worker = Worker::builder(store).env(env).config(config).agent(ECHO, Echo).start().await;
    let agents = vec![ECHO.parse().expect("a name")];
    Ok((worker.map_err(worker::not_started)?, agents))
}

fn serves(agents: &[AgentName], session: &SessionId) -> Result<(), Failure> {
    if agents.contains(&session.agent()) {
        return Ok(());
    }
    let (agent, names) = (session.agent(), names(agents));
    let line = format!("there is no agent {agent} here: dev has {names}, as in `tenure dev {ECHO}/dev`");
    Err(Failure::new(Exit::NotFound, line))
}

/// Says where things are: to a person, beside the conversation.
fn greet(session: &SessionId, agents: &[AgentName]) {
    eprintln!("{session}, embedded in this process: no Redis, and nothing is kept when it ends");
    eprintln!("agents: {} (`tenure dev AGENT/KEY` talks to another session)", names(agents));
    eprintln!("Ctrl-C stops waiting for a reply, Ctrl-D ends");
}

fn names(agents: &[AgentName]) -> String {
    agents.iter().map(AgentName::as_str).collect::<Vec<_>>().join(", ")
}
