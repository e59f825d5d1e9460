//! The namespace: its settings and who is there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    model::{AgentDeclaration, AgentName, Durability, Millis, Pool, SessionId, Settings, WorkerId},
    store::{StoreError, StoreResult},
};

/// What `configure` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configured {
    /// The namespace has these settings now, or had them already.
    Agreed,
    /// It has others; nothing was changed.
    Differs(Settings),
}

/// The declared agents, each by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents {
    /// How they are served.
    pub known: BTreeMap<AgentName, AgentDeclaration>,
    /// Those of which this version cannot read how. They are never taken for ones that nobody declared.
    pub unreadable: BTreeSet<AgentName>,
}

impl Agents {
    /// How `agent` is served, if anybody declared it. An error where that cannot be read.
    pub fn of(&self, agent: &AgentName) -> StoreResult<Option<&AgentDeclaration>> {
        match self.unreadable.contains(agent) {
            true => Err(StoreError::unreadable(
                format!("how the agent `{agent}` is served"),
                "its row is of a newer version, or was set by hand: see `tenure doctor`",
            )),
            false => Ok(self.known.get(agent)),
        }
    }
}

/// What `declare` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// The agent is known as it was declared; before, so, or not at all.
    Known(Option<AgentDeclaration>),
    /// It stays as it was: members that are alive serve it in that pool.
    Elsewhere {
        /// Its home.
        pool: Pool,
        /// Those members, by incarnation.
        workers: Vec<WorkerId>,
    },
}

/// A worker, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its incarnation.
    pub worker: WorkerId,
    /// The pool it serves.
    pub pool: Pool,
    /// The agents it serves.
    pub agents: Vec<AgentName>,
    /// Those of them of which as many turns run as may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub full: BTreeSet<AgentName>,
    /// Sessions it owns.
    pub sessions: usize,
    /// Turns under way.
    pub running: usize,
    /// Sessions it owns at most.
    pub capacity: usize,
    /// When it started.
    pub since: Millis,
    /// Whether it takes sessions.
    pub state: MemberState,
    /// What it has done so far; nothing where it does not say.
    #[serde(default)]
    pub tally: Tally,
}

/// What an incarnation has done since it started, by its own count (what was lost, since its process did). Decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// When it counted, by its own clock: two tallies of one incarnation make a rate.
    pub at: Millis,
    /// Turns that ended.
    pub turns: u64,
    /// Sessions it took from the dead.
    pub reaped: u64,
    /// Sessions of which a server lost something that this worker had seen acknowledged.
    #[serde(default)]
    pub losses: u64,
    /// Turns lost with those.
    #[serde(default)]
    pub lost_turns: u64,
    /// When other starts of the server answered than before, last ones last; at most [`Self::SERVERS`].
    #[serde(default)]
    pub servers: Vec<Millis>,
    /// Whom it took for dead last, newest last; at most [`Self::BURIALS`]. Two that watched may both tell of one death.
    pub buried: Vec<Burial>,
    /// How late its upkeep is.
    #[serde(default)]
    pub upkeep: UpkeepLag,
    /// What its sessions wrote that has not reached its class.
    #[serde(default, skip_serializing_if = "Unacknowledged::is_empty")]
    pub unacknowledged: Unacknowledged,
}

/// Sessions of which a boundary is written and has not reached its class: nothing of it is told before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unacknowledged {
    /// How many there are.
    pub sessions: usize,
    /// Those that have waited longest, these first; at most [`Self::NAMED`].
    pub longest: Vec<Waiting>,
}

impl Unacknowledged {
    /// How many are named.
    pub const NAMED: usize = 32;

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.sessions == 0
    }
}

/// A session whose last boundary waits for its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The session.
    pub session: SessionId,
    /// What is to be reached.
    pub class: Durability,
    /// When it was noticed first that it is not, by its owner's clock.
    pub since: Millis,
}

/// How late the upkeep is that a worker does, in milliseconds: what no hint told of waits so long at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpkeepLag {
    /// From one look at each of its partitions to the next.
    pub round_ms: u64,
    /// The longest pass over a partition's index, so far; none if it keeps no partition.
    pub pass_ms: Option<u64>,
}

impl Tally {
    /// How many deaths a worker remembers.
    pub const BURIALS: usize = 8;

    /// How many starts of the server.
    pub const SERVERS: usize = 8;
}

/// A worker's death, as another noticed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burial {
    /// Who is dead.
    pub worker: WorkerId,
    /// When that was noticed, by the clock of whoever did.
    pub at: Millis,
}

/// Whether a worker takes sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It does.
    Ready,
    /// It hands off what it has and ends.
    Draining,
}
