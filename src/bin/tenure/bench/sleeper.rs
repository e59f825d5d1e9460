//! The agent of `bench failover`: says that a run began, and then sleeps.

use std::time::Duration;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    model::{Resume, TurnPolicy},
};

use crate::{connect, failure::Failure, global::Global};

/// What it is called in sessions.
pub(crate) const NAME: &str = "sleeper";

/// What a worker must be told to serve it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SleeperArgs {
    /// The list that it pushes to at the start of each run: `<process id> <session>`
    #[arg(long, hide = true, value_name = "KEY")]
    bench_list: Option<String>,
    /// How long its turns take
    #[arg(long, hide = true, default_value = "10m", value_parser = crate::values::duration, value_name = "TIME")]
    bench_sleep: Duration,
}

/// Takes the turns of sessions whose worker is to go away.
pub(crate) struct Sleeper {
    conn: MultiplexedConnection,
    list: String,
    sleep: Duration,
}

impl SleeperArgs {
    /// The agent, if this worker belongs to a benchmark.
    pub(crate) async fn agent(&self, global: &Global) -> Result<Option<Sleeper>, Failure> {
        let Some(list) = self.bench_list.clone() else { return Ok(None) };
        let conn = connect::connection(global, Duration::ZERO).await?;
        Ok(Some(Sleeper { conn, list, sleep: self.bench_sleep }))
    }
}

impl Agent for Sleeper {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy {
            resume: Resume::Eager,
            timeout: self.sleep * 2 + Duration::from_secs(60),
            concurrency: 1_000_000,
            history: 0,
            ..TurnPolicy::default()
        }
    }

    async fn turn(&self, cx: &mut Turn<()>, _: Message) -> Result<Reply, AgentError> {
        let run = format!("{} {}", std::process::id(), cx.session());
        let pushed: Result<(), _> = self.conn.clone().rpush(&self.list, run).await;
        pushed.map_err(|err| AgentError::new(err.to_string()))?;
        cx.sleep(self.sleep).await;
        Ok(Reply::none())
    }
}
