//! `tenure dev`.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tenure::{
    Env, Worker,
    client::{Answer, Client, Outgoing},
    model::{SessionId, Settings, WorkerConfig},
    store::{MemoryStore, Store},
};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::{
    agents_file,
    failure::{Exit, Failure},
    global::Global,
    output, values, worker,
};

/// Talk to an agent in this terminal, with everything embedded and no Redis
///
/// Each line is a message, answered before the next is read. In a pipe each line in is one reply
/// out, and nothing else. Nothing is kept when it ends.
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
    let first =
        || -> SessionId { format!("{}/dev", agents.first()).parse().expect("an agent's name and a key") };
    let session = session.unwrap_or_else(first);
    if !agents.agents.contains_key(&session.agent()) {
        let (agent, names) = (session.agent(), agents_file::names(&agents));
        let line = format!("there is no agent {agent} here: dev has {names}, as in {}", first());
        return Err(Failure::new(Exit::NotFound, line));
    }
    let env = Env::system();
    let store = MemoryStore::new(global.namespace.clone(), Settings::default(), Arc::new(env.clone()));
    let builder = Worker::builder(store.clone()).env(env.clone());
    let builder = agents_file::serve(&agents, builder, WorkerConfig::named(values::own_name()))?;
    let worker = builder.start().await.map_err(worker::not_started)?;
    let conversation = Conversation {
        client: Client::new(store, env),
        session,
        lines: BufReader::new(tokio::io::stdin()).lines(),
        prompts: stdin().is_terminal() && stdout().is_terminal(),
    };
    let prompts = conversation.prompts;
    if prompts {
        let from = file.map_or("built in".to_owned(), |file| file.display().to_string());
        output::line(format!(
            "session {}, agents {} ({from})",
            conversation.session,
            agents_file::names(&agents)
        ))?;
    }
    let ended = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) if prompts => output::line(""),
            interrupted => interrupted.map_err(Failure::from),
        },
        ended = conversation.run() => ended,
    };
    worker.drain().await;
    ended
}

struct Conversation<S> {
    client: Client<S>,
    session: SessionId,
    lines: Lines<BufReader<Stdin>>,
    /// Whether a person sits at both ends.
    prompts: bool,
}

impl<S: Store> Conversation<S> {
    async fn run(mut self) -> Result<(), Failure> {
        while let Some(line) = self.read().await? {
            match self.say(&line).await {
                Ok(reply) => output::line(reply)?,
                // A person reads on; a program must not take the next reply for this one's.
                Err(failure) if self.prompts => _ = failure.report(),
                Err(failure) => return Err(failure),
            }
        }
        if self.prompts { output::line("") } else { Ok(()) }
    }

    async fn read(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if self.prompts {
                let mut out = stdout().lock();
                out.write_all(b"you> ")?;
                out.flush()?;
            }
            let line = self.lines.next_line().await.map_err(unreadable)?;
            match line {
                Some(line) if self.prompts && line.is_empty() => (),
                line => return Ok(line),
            }
        }
    }

    async fn say(&self, text: &str) -> Result<String, Failure> {
        let message = Outgoing::text(self.session.clone(), text);
        let Answer { reply, .. } = self.client.ask(message, REPLY_WITHIN).await?;
        let reply = reply.as_ref().map(output::plain).unwrap_or_default();
        Ok(if self.prompts { format!("{}> {reply}", self.session.agent()) } else { reply })
    }
}

fn unreadable(err: std::io::Error) -> Failure {
    match err.kind() {
        std::io::ErrorKind::InvalidData => Failure::new(Exit::Usage, "a line is not UTF-8: give text"),
        _ => err.into(),
    }
}
