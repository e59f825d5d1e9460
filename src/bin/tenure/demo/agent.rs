//! The agent of the demonstration: counts, takes its time, and tells when it begins.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure::{
    Agent, AgentError, Message, Reply, Turn,
    model::{SessionId, WorkerName},
};
use tokio::sync::mpsc::UnboundedSender;

use crate::output;

/// Its name.
pub(super) const NAME: &str = "counter";

/// How long a turn takes.
pub(super) const TURN: Duration = Duration::from_millis(200);

/// A worker has begun a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) worker: WorkerName,
    pub(super) session: SessionId,
    pub(super) turn: u64,
}

/// Who is told.
pub(super) enum Audience {
    /// This process.
    Here(UnboundedSender<Begun>),
    /// The process that started this one, which reads its output.
    Parent,
}

/// Counts a session's messages.
pub(super) struct Counter {
    pub(super) worker: WorkerName,
    pub(super) audience: Audience,
}

impl Counter {
    fn tell(&self, begun: Begun) {
        // Who has gone misses nothing.
        match &self.audience {
            Audience::Here(tell) => _ = tell.send(begun),
            Audience::Parent => _ = output::json(&begun),
        }
    }
}

impl Agent for Counter {
    type State = u64;

    async fn turn(&self, cx: &mut Turn<u64>, _: Message) -> Result<Reply, AgentError> {
        let (worker, session, turn) = (self.worker.clone(), cx.session().clone(), cx.number());
        self.tell(Begun { worker, session, turn });
        cx.sleep(TURN).await;
        *cx.state_mut() += 1;
        Ok(Reply::text(cx.state().to_string()))
    }
}
