//! The agent of `bench failover`: sleeps for as long as a message says, and tells that a run began where it is asked to.

use std::time::Duration;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    model::{Body, Resume, SessionId, TurnPolicy, parse_duration},
};

use crate::{connect, failure::Failure, global::Global};

/// What it is called in sessions.
pub(crate) const NAME: &str = "sleeper";

/// Longer than any of its turns may take.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What a worker must be told to serve it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SleeperArgs {
    /// The list that it pushes to at the start of each run that is to be told: `<process id> <session>`
    #[arg(long, hide = true, value_name = "KEY")]
    bench_list: Option<String>,
}

/// Takes the turns of sessions whose worker is to go away.
pub(crate) struct Sleeper {
    global: Global,
    conn: MultiplexedConnection,
    list: String,
}

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sleep {
    /// How long its turn takes, in whole milliseconds.
    pub(super) how_long: Duration,
    /// Whether each run of it is told.
    pub(super) told: bool,
}

impl Sleep {
    /// The message that asks for it.
    pub(super) fn body(self) -> Body {
        let told = if self.told { "tell " } else { "" };
        Body::text(&format!("{told}{}ms", self.how_long.as_millis()))
    }

    fn of(body: &Body) -> Option<Self> {
        let text = body.as_text()?;
        let told = text.strip_prefix("tell ");
        let how_long = parse_duration(told.unwrap_or(&text)).ok()?;
        Some(Self { how_long, told: told.is_some() })
    }
}

impl SleeperArgs {
    /// The agent, if this worker belongs to a benchmark.
    pub(crate) async fn agent(&self, global: &Global) -> Result<Option<Sleeper>, Failure> {
        let Some(list) = self.bench_list.clone() else { return Ok(None) };
        let conn = connect::connection(global, Duration::ZERO).await?;
        Ok(Some(Sleeper { global: global.clone(), conn, list }))
    }
}

impl Sleeper {
    /// Over a connection of its own where the first one broke, as it does when the server starts again.
    async fn tell(&self, session: &SessionId) -> Result<(), String> {
        let run = format!("{} {session}", std::process::id());
        if self.conn.clone().rpush::<_, _, ()>(&self.list, &run).await.is_ok() {
            return Ok(());
        }
        let again = connect::connection(&self.global, Duration::ZERO).await;
        let mut again = again.map_err(|failure| format!("{failure:?}"))?;
        again.rpush(&self.list, &run).await.map_err(|err| err.to_string())
    }
}

impl Agent for Sleeper {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy {
            resume: Resume::Eager,
            timeout: LONGEST,
            concurrency: 1_000_000,
            history: 0,
            ..TurnPolicy::default()
        }
    }

    async fn turn(&self, cx: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        let sleep = Sleep::of(&message.body).ok_or_else(|| AgentError::new("not a time to sleep"))?;
        if sleep.told {
            self.tell(cx.session()).await.map_err(AgentError::new)?;
        }
        cx.sleep(sleep.how_long).await;
        Ok(Reply::body(message.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_slept() {
        for told in [true, false] {
            let sleep = Sleep { how_long: Duration::from_millis(1_500), told };
            assert_eq!(Sleep::of(&sleep.body()), Some(sleep));
        }
        assert_eq!(Sleep::of(&Body::text("for a while")), None);
    }
}
