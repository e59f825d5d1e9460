//! The agent of the chaos suite (`tests/chaos`): counts, so that its last reply proves what came before.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure::{
    Agent, AgentError, Body, Message, Reply, Turn,
    model::{EntryKind, TurnPolicy},
};

/// What it is called in sessions.
pub(crate) const NAME: &str = "tally";

/// How many entries of its history it reads in each turn: the last turn's.
const LOOKS_BACK: usize = 3;

/// Whether a worker serves it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TallyArgs {
    /// Serve the agent of the chaos suite too
    #[arg(long, hide = true)]
    tally: bool,
}

impl TallyArgs {
    /// The agent, if this worker belongs to the chaos suite.
    pub(crate) fn agent(&self) -> Option<Tally> {
        self.tally.then_some(Tally)
    }
}

/// Takes the turns of sessions whose workers fare badly.
pub(crate) struct Tally;

/// What it is sent: the message's number in its session, and how long the turn takes.
#[derive(Debug, Deserialize)]
struct Order {
    n: u64,
    ms: u64,
}

/// What it keeps, and answers: how many it has taken, and which, in which order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    count: u64,
    chain: u64,
}

impl Count {
    /// With one more taken. The chain is below 2^53, so that every reader of JSON reads it right.
    fn and(&self, n: u64) -> Self {
        let mixed = (self.chain ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { count: self.count + 1, chain: mixed >> 11 }
    }
}

impl Agent for Tally {
    type State = Count;

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { history: LOOKS_BACK, ..TurnPolicy::default() }
    }

    async fn turn(&self, cx: &mut Turn<Count>, message: Message) -> Result<Reply, AgentError> {
        let wrong = |err: tenure::model::BadBody| AgentError::permanent(err.to_string());
        let order: Order = message.body.decode().map_err(wrong)?;
        let last = cx.history().await?;
        let known = cx.state().count;
        if last.last().is_some_and(|entry| entry.turn != known) {
            return Err(AgentError::permanent(format!(
                "{known} turns are counted, and the last is {last:?}"
            )));
        }
        cx.sleep(Duration::from_millis(order.ms)).await;
        let count = cx.state().and(order.n);
        let body = Body::of(&count).map_err(wrong)?;
        cx.append(EntryKind::ToolResult, body.clone())?;
        *cx.state_mut() = count;
        Ok(Reply::body(body))
    }
}
