//! What can go wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Something that goes wrong. Workers talk only to the server, so a partition cuts a worker (or client) from the
/// server, or the server from its replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// This call is lost before it takes effect; its caller gives up after a while.
    LoseCall,
    /// This call takes effect and its answer is lost; its caller gives up after a while.
    LoseReply,
    /// This call, or hint, arrives so much later, also after others that were sent later.
    Delay {
        /// How much later.
        by: Duration,
    },
    /// The answer to this call arrives as a step of its own.
    SlowReply {
        /// At the earliest so much later.
        by: Duration,
    },
    /// This hint is lost.
    LoseHint,
    /// A worker and the server do not reach each other any more.
    Partition {
        /// The worker, from 0.
        worker: u16,
        /// What becomes of what is sent meanwhile.
        how: Cut,
    },
    /// They do again.
    Heal {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process dies, as of `kill -9`. What it sent may still arrive.
    Stop {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process is asked to end, as by SIGTERM, and does so in good order.
    Drain {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process starts anew under the same name, if it does not run.
    Start {
        /// The worker, from 0.
        worker: u16,
    },
    /// A worker's process stands still (SIGSTOP): its clock goes on, its code does not.
    Pause {
        /// The worker, from 0.
        worker: u16,
        /// For so long.
        lasting: Duration,
    },
    /// The server drops a worker's subscriptions though the process lives: its lifeline is broken, and what is published
    /// to it is lost. It subscribes again after a while.
    BreakLifeline {
        /// The worker, from 0.
        worker: u16,
        /// For so long.
        lasting: Duration,
    },
    /// A worker's monotonic clock leaps forward.
    Leap {
        /// The worker, from 0.
        worker: u16,
        /// By so much.
        by: Duration,
    },
    /// A worker's monotonic clock goes at another pace from now on.
    Drift {
        /// The worker, from 0.
        worker: u16,
        /// How much faster than the server's, in millionths.
        ppm: i32,
    },
    /// The server's wall clock is set.
    SetServerClock {
        /// How much later it is, in milliseconds; negative is earlier.
        by_ms: i64,
    },
    /// The server starts anew with what it held, and without its connections: each sees one failure.
    RestartServer,
    /// The replica does not get the server's writes any more.
    CutReplica,
    /// It does again, and catches up.
    HealReplica,
    /// The replica takes the server's place, without the writes that it did not get.
    Failover,
    /// The server is out of memory: it refuses what brings more.
    FillMemory {
        /// For so long.
        lasting: Duration,
    },
    /// The server answers each write only after its disk did.
    SlowFsync {
        /// How long the disk takes.
        by: Duration,
        /// For so long.
        lasting: Duration,
    },
}

/// What becomes of what is sent over a connection that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// It is lost.
    Drop,
    /// It arrives when the connection is healed.
    Defer,
}

impl Fault {
    /// The worker it happens to, if it is one's.
    pub fn worker(self) -> Option<u16> {
        match self {
            Self::Partition { worker, .. }
            | Self::Heal { worker }
            | Self::Stop { worker }
            | Self::Drain { worker }
            | Self::Start { worker }
            | Self::Pause { worker, .. }
            | Self::BreakLifeline { worker, .. }
            | Self::Leap { worker, .. }
            | Self::Drift { worker, .. } => Some(worker),
            _ => None,
        }
    }

    /// Its name, as counted in summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoseCall => "call_lost",
            Self::LoseReply => "reply_lost",
            Self::Delay { .. } => "delay",
            Self::SlowReply { .. } => "slow_reply",
            Self::LoseHint => "hint_lost",
            Self::Partition { .. } => "partition",
            Self::Heal { .. } => "heal",
            Self::Stop { .. } => "stop",
            Self::Drain { .. } => "drain",
            Self::Start { .. } => "start",
            Self::Pause { .. } => "pause",
            Self::BreakLifeline { .. } => "lifeline_broken",
            Self::Leap { .. } => "leap",
            Self::Drift { .. } => "drift",
            Self::SetServerClock { .. } => "server_clock",
            Self::RestartServer => "server_restart",
            Self::CutReplica => "cut_replica",
            Self::HealReplica => "heal_replica",
            Self::Failover => "failover",
            Self::FillMemory { .. } => "memory_full",
            Self::SlowFsync { .. } => "slow_fsync",
        }
    }
}
