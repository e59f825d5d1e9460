//! `tenure dev`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tenure::{
    Env, Worker,
    agents::file::AgentsFile,
    client::Client,
    model::{SessionId, Settings, WorkerConfig},
    store::MemoryStore,
};

use crate::{
    agents_file,
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
    /// The session: agent/key [default: dev of the agent that agents.toml declares first, or echo/dev]
    session: Option<SessionId>,
    /// The file that says which agents there are [default: ./agents.toml, if it is there]
    #[arg(long, env = "TENURE_AGENTS", value_name = "FILE")]
    agents: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tenure dev
  tenure dev support/alice --agents shop/agents.toml
  printf 'one\\ntwo\\n' | tenure dev echo/test";

/// Far longer than an agent may take: it fails, or answers, before.
const REPLY_WITHIN: Duration = Duration::from_secs(3600);

pub(crate) async fn run(Args { session, agents }: Args, global: &Global) -> Result<(), Failure> {
    let (agents, file) = agents_file::of_dev(agents)?;
    let session = session_of(session, &agents)?;
    let env = Env::system();
    let store = MemoryStore::new(global.namespace.clone(), Settings::default(), Arc::new(env.clone()));
    let builder = Worker::builder(store.clone()).env(env.clone());
    let builder = agents_file::serve(&agents, builder, WorkerConfig::named(values::own_name()))?;
    let worker = builder.start().await.map_err(worker::not_started)?;
    if has_person(global) {
        greet(&session, &agents, file);
    }
    let conversation = Conversation { client: Client::new(store, env), session, reply_within: REPLY_WITHIN };
    let ended = conversation.hold(global).await;
    worker.drain().await;
    ended
}

/// The session that was named, or one of the agent declared first; its agent is among those that there are.
fn session_of(named: Option<SessionId>, agents: &AgentsFile) -> Result<SessionId, Failure> {
    let first: SessionId = format!("{}/dev", agents.first()).parse().expect("an agent's name and a key");
    let session = named.unwrap_or_else(|| first.clone());
    if agents.agents.contains_key(&session.agent()) {
        return Ok(session);
    }
    let (agent, names) = (session.agent(), agents_file::names(agents));
    let line = format!("there is no agent {agent} here: dev has {names}, as in {first}");
    Err(Failure::new(Exit::NotFound, line))
}

/// Says where things are: to a person, beside the conversation.
fn greet(session: &SessionId, agents: &AgentsFile, file: Option<PathBuf>) {
    let from =
        file.map_or("built in: there is no ./agents.toml".to_owned(), |file| file.display().to_string());
    eprintln!("{session}, embedded in this process: no Redis, and nothing is kept when it ends");
    eprintln!("agents: {} ({from}); `tenure dev AGENT/KEY` talks to another", agents_file::names(agents));
    eprintln!("Ctrl-C stops waiting for a reply, Ctrl-D ends");
}
