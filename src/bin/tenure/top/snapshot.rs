//! What one look at a fleet saw: what `--json` prints, and all that the screen is drawn from.

use std::collections::BTreeMap;

use serde::Serialize;
use tenure::{
    model::{AgentName, Pool, SessionId, Status, WorkerId},
    store::MemberState,
};

use crate::{failure::Failure, output::Time};

/// One look.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Snapshot {
    /// When it was made, by this machine's clock.
    pub(super) time: Time,
    /// Why there was no answer.
    pub(super) problem: Option<Problem>,
    /// What was seen. Nothing is known without an answer: least of all that there is nothing.
    #[serde(flatten)]
    pub(super) seen: Option<Seen>,
}

/// Why nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Problem {
    pub(super) line: String,
    /// How a command ends that cannot go on.
    #[serde(skip)]
    pub(super) failure: Failure,
}

/// A fleet as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Seen {
    pub(super) workers: Vec<WorkerRow>,
    pub(super) sessions: Sessions,
    /// Of all workers whose rate is known; none before there is one.
    pub(super) turns_per_second: Option<f64>,
    pub(super) failovers: Failovers,
    pub(super) lag: Lag,
    /// What wants an owner, longest waiting first.
    pub(super) queues: Vec<QueueRow>,
    /// The session that has waited longest for an owner.
    pub(super) oldest: Option<Oldest>,
    /// Entries of the plain door that nobody has taken yet.
    pub(super) door: u64,
    /// The key of a plain door at which something else stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_door: Option<String>,
    /// Dead letters.
    pub(super) dead: u64,
    pub(super) server: Server,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct WorkerRow {
    pub(super) worker: WorkerId,
    pub(super) pool: Pool,
    pub(super) agents: Vec<AgentName>,
    pub(super) state: MemberState,
    pub(super) sessions: usize,
    pub(super) running: usize,
    pub(super) capacity: usize,
    /// Between its last two announcements; none before the second.
    pub(super) turns_per_second: Option<f64>,
    pub(super) since: Time,
}

/// How many sessions there are. `total` is exact, `owned` and `running` are what the workers said last.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Sessions {
    pub(super) total: u64,
    pub(super) owned: usize,
    pub(super) running: usize,
    /// That want an owner.
    pub(super) ready: u64,
    /// How many were looked at for `status`: the last of a walk that goes on and on.
    pub(super) sampled: usize,
    pub(super) status: BTreeMap<Status, usize>,
}

/// Deaths that workers told of.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Failovers {
    /// Since the first look.
    pub(super) seen: usize,
    /// Sessions that were taken from the dead since the first look.
    pub(super) sessions: u64,
    /// The last ones, newest first; also from before the first look.
    pub(super) recent: Vec<Death>,
}

/// A worker that was found dead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Death {
    pub(super) worker: WorkerId,
    pub(super) time: Time,
}

/// How late the fleet is, in milliseconds; none where nothing waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Lag {
    /// Of the session that wants an owner longest.
    pub(super) ready_ms: Option<u64>,
    /// Of the wait that should have ended first.
    pub(super) timers_ms: Option<u64>,
    /// How many waits should have ended.
    pub(super) overdue: u64,
    /// Of the oldest reply that is not delivered.
    pub(super) replies_ms: Option<u64>,
    /// Of the oldest entry of the plain door.
    pub(super) door_ms: Option<u64>,
    /// From one look of upkeep at each partition to the next, of the worker that takes longest.
    pub(super) upkeep_ms: Option<u64>,
    /// The longest pass over an index that is under way.
    pub(super) pass_ms: Option<u64>,
    /// Partitions whose upkeep no worker that is there does.
    pub(super) unkept: usize,
}

/// Sessions of one pool and agent that want an owner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct QueueRow {
    pub(super) pool: Pool,
    pub(super) agent: AgentName,
    pub(super) sessions: u64,
    pub(super) oldest_ms: u64,
    /// Whether a worker that takes sessions serves it.
    pub(super) served: bool,
}

/// The session that has waited longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Oldest {
    pub(super) session: SessionId,
    pub(super) waiting_ms: u64,
}

/// The server's own load.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Server {
    pub(super) memory_bytes: u64,
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) operations_per_second: u64,
    pub(super) clients: u64,
}
